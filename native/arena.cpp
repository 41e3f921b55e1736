#include "arena.h"

#include <cstring>
#include <new>

namespace penmark {
namespace {

constexpr std::size_t kAlign = 64;
// Vector loads may read (never write) up to two vectors past a ragged last row.
constexpr std::size_t kSlack = 128;
constexpr unsigned char kGuard = 0xA5;

}  // namespace

Arena::~Arena() {
  if (memory_ != nullptr) ::operator delete(memory_, std::align_val_t{kAlign});
}

void Arena::add(void** where, std::size_t bytes) {
  regions_.push_back({where, bytes_, bytes});
  const std::size_t padded = (bytes + kAlign - 1) / kAlign * kAlign + kAlign;
  bytes_ += padded;
}

void Arena::allocate() {
  memory_ = static_cast<unsigned char*>(::operator new(bytes_ + kSlack, std::align_val_t{kAlign}));
  std::memset(memory_, 0, bytes_ + kSlack);
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
