// Built with the baseline's flags: it must run on every machine.
#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#if defined(PENMARK_X86)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace penmark {
namespace {

#if defined(PENMARK_X86)
struct Features {
  bool avx2 = false, avx512 = false, avx512_bf16 = false, amx = false;
};

// What the operating system saves on a switch of threads: a processor's AVX-512 is of no use where
// its registers would be lost.
unsigned long long saved_state() {
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
}

// Linux lends the 8 KB of tiles to processes that ask, once for all their threads.
bool tiles_usable([[maybe_unused]] bool supported) {
#if defined(PENMARK_SOFTWARE_TILES)
  return true;
#elif defined(__linux__) && defined(PENMARK_AMX)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XTILEDATA
  return supported && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Features detect() {
  Features found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  constexpr unsigned kFma = 1u << 12, kOsxsave = 1u << 27, kAvx = 1u << 28;
  if ((c & kOsxsave) == 0 || (c & kAvx) == 0) return found;
  const bool fma = (c & kFma) != 0;
  const unsigned long long state = saved_state();
  constexpr unsigned long long kYmm = 0x6, kZmm = 0xe6;  // XCR0: SSE, AVX; opmask, ZMM_Hi256, Hi16
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  constexpr unsigned kAvx2 = 1u << 5;
  constexpr unsigned kAvx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // F DQ BW VL
  found.avx2 = fma && (b & kAvx2) != 0 && (state & kYmm) == kYmm;
  found.avx512 = found.avx2 && (b & kAvx512) == kAvx512 && (state & kZmm) == kZmm;
  const unsigned leaf7_d = d;
  constexpr unsigned kAvx512Bf16 = 1u << 5;
  found.avx512_bf16 = found.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
                      (a & kAvx512Bf16) != 0;
  constexpr unsigned kAmx = (1u << 22) | (1u << 24);  // BF16, TILE
  constexpr unsigned long long kTiles = 0x60000;      // XCR0: configuration and data
  found.amx = found.avx512_bf16 &&
              tiles_usable((leaf7_d & kAmx) == kAmx && (state & kTiles) == kTiles);
  return found;
}
#endif

struct Entry {
  const char* name;
  const Kernels& (*table)();
  const Bf16Kernels& (*bf16)();
};

std::vector<Entry> usable() {
  std::vector<Entry> entries{{"scalar", scalar_kernels, scalar_bf16}};
#if defined(PENMARK_X86)
  static const Features features = detect();
  if (features.avx2) entries.push_back({"avx2", avx2_kernels, avx2_bf16});
  if (features.avx512) entries.push_back({"avx512", avx512_kernels, avx512_bf16_by_float});
#if defined(PENMARK_AVX512_BF16)
  if (features.avx512_bf16) entries.push_back({"avx512_bf16", avx512_kernels, avx512_bf16});
#endif
#if defined(PENMARK_AMX)
  if (features.amx) entries.push_back({"amx", avx512_kernels, amx_bf16});
#endif
#endif
  return entries;
}

}  // namespace

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Entry& entry : usable()) names.emplace_back(entry.name);
  return names;
}

Isa choose_isa(const std::string& name) {
  const auto isa = [](const Entry& entry) {
    return Isa{entry.name, entry.table(), entry.bf16()};
  };
  const char* variable = std::getenv("PENMARK_ISA");
  const bool from_variable = name.empty() && variable != nullptr && *variable != '\0';
  const std::string wanted = from_variable ? variable : name;
  const std::vector<Entry> entries = usable();
  if (wanted.empty()) return isa(entries.back());
  std::string known;
  for (const Entry& entry : entries) {
    if (wanted == entry.name) return isa(entry);
    known += known.empty() ? entry.name : std::string(", ") + entry.name;
  }
  throw std::invalid_argument((from_variable ? "PENMARK_ISA" : std::string("isa")) +
                              " must be one of " + known + " on this machine, got '" + wanted +
                              "'");
}

}  // namespace penmark
