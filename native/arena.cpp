#include "arena.h"

#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace penmark {
namespace {

constexpr std::size_t kAlign = 64;
// Vector loads may read (never write) up to two vectors past a ragged last row.
constexpr std::size_t kSlack = 128;
constexpr unsigned char kGuard = 0xA5;
// Arrays that are read and written together must not lie at the same place of their pages: a load
// waits for older stores whose lower 12 bits of the address are its own. A third of a page between
// the starts of large regions keeps a weight and its two moments apart: in L1, Adam's update of 16
// weights took 13.6 ns with them a cache line apart, and takes 6.5.
constexpr std::size_t kPage = 4096, kStagger = 1344;
// Memory of this size or more asks for pages of this size: 15 MB of weights and Adam's moments are
// 3,700 pages of 4 KB, more than the TLB's 2,048 entries.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

Arena::~Arena() {
  if (memory_ != nullptr) ::operator delete(memory_, std::align_val_t{alignment_});
}

void Arena::add(void** where, std::size_t bytes) {
  regions_.push_back({where, bytes_, bytes});
  const std::size_t padded = (bytes + kAlign - 1) / kAlign * kAlign + kAlign;
  bytes_ += padded;
  if (bytes >= kPage) {
    const std::size_t wanted = (regions_.back().offset + kStagger) % kPage;
    bytes_ += (wanted + kPage - bytes_ % kPage) % kPage;
  }
}

void Arena::allocate() {
  std::size_t total = bytes_ + kSlack;
  if (total >= kHugePage) {
    alignment_ = kHugePage;
    total = (total + kHugePage - 1) / kHugePage * kHugePage;
  }
  memory_ = static_cast<unsigned char*>(::operator new(total, std::align_val_t{alignment_}));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  // Only a hint: where the kernel refuses, small pages do.
  if (alignment_ == kHugePage) madvise(memory_, total, MADV_HUGEPAGE);
#endif
  std::memset(memory_, 0, total);
  for (const Region& region : regions_) {
    *region.where = memory_ + region.offset;
    if (guards_) std::memset(memory_ + region.offset + region.bytes, kGuard, kAlign);
  }
}

std::int64_t Arena::first_overrun() const {
  if (!guards_ || memory_ == nullptr) return -1;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    const unsigned char* guard = memory_ + regions_[i].offset + regions_[i].bytes;
    for (std::size_t j = 0; j < kAlign; ++j)
      if (guard[j] != kGuard) return static_cast<std::int64_t>(i);
  }
  return -1;
}

}  // namespace penmark
