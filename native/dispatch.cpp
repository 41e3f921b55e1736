// Built with the baseline's flags: it must run on every machine.
#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#if defined(PENMARK_X86)
#include <cpuid.h>
#endif

namespace penmark {
namespace {

#if defined(PENMARK_X86)
struct Features {
  bool avx2 = false, avx512 = false;
};

// What the operating system saves on a switch of threads: a processor's AVX-512 is of no use where
// its registers would be lost.
unsigned long long saved_state() {
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
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
  return found;
}
#endif

struct Entry {
  const char* name;
  const Kernels& (*table)();
};

std::vector<Entry> usable() {
  std::vector<Entry> entries{{"scalar", scalar_kernels}};
#if defined(PENMARK_X86)
  const Features features = detect();
  if (features.avx2) entries.push_back({"avx2", avx2_kernels});
  if (features.avx512) entries.push_back({"avx512", avx512_kernels});
#endif
  return entries;
}

}  // namespace

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Entry& entry : usable()) names.emplace_back(entry.name);
  return names;
}

const Kernels& choose_kernels(const std::string& name) {
  const char* variable = std::getenv("PENMARK_ISA");
  const bool from_variable = name.empty() && variable != nullptr && *variable != '\0';
  const std::string wanted = from_variable ? variable : name;
  const std::vector<Entry> entries = usable();
  if (wanted.empty()) return entries.back().table();
  std::string known;
  for (const Entry& entry : entries) {
    if (wanted == entry.name) return entry.table();
    known += known.empty() ? entry.name : std::string(", ") + entry.name;
  }
  throw std::invalid_argument((from_variable ? "PENMARK_ISA" : std::string("isa")) +
                              " must be one of " + known + " on this machine, got '" + wanted +
                              "'");
}

}  // namespace penmark
