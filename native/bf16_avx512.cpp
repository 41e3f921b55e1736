// bfloat16 with AVX-512-BF16: each instruction multiplies 16 pairs and adds both products to 16
// float32 sums.
#include <immintrin.h>

#include "bf16.h"
#include "kernels.h"

namespace penmark {
namespace {

typedef float Vec __attribute__((vector_size(64)));
typedef float LooseVec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int IndexVec __attribute__((vector_size(64)));
typedef std::uint32_t Words __attribute__((vector_size(64)));
typedef std::uint32_t LooseWords __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int kLanes = 16;
constexpr int kRows = 14;
constexpr int kBf16Rows = kRows;
constexpr int kColumnVecs = 2;
#define PENMARK_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define PENMARK_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31

inline Vec multiply_pairs(Vec sums, Words a, Words b) {
  return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sums),
                                                reinterpret_cast<__m512bh>(a),
                                                reinterpret_cast<__m512bh>(b)));
}

#include "brgemm_kernel.inl"
#include "bf16_kernel.inl"

inline __mmask32 first_lanes(std::int64_t count) {
  return count >= 32 ? 0xffffffffu : (1u << count) - 1u;
}

// With masks, because GCC 12 warns of an uninitialized variable inside the forms without.
inline __m512i widen(__m256i x) { return _mm512_maskz_cvtepu16_epi32(0xffff, x); }

void round_rows(const float* x, std::int64_t x_stride, std::uint16_t* y, std::int64_t y_stride,
                std::int64_t rows, std::int64_t columns) {
  if (x_stride == columns && y_stride == columns) {
    columns *= rows;
    rows = 1;
  }
  for (std::int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
    for (std::int64_t c = 0; c < columns; c += 32) {
      const __mmask32 lanes = first_lanes(columns - c);
      const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes), x + c);
      const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes >> 16), x + c + 16);
      _mm512_mask_storeu_epi16(y + c, lanes,
                               reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
  }
}

constexpr std::int64_t kFetchAhead = 1024;  // floats

void pack_pairs(const float* x, std::int64_t x_stride, std::uint32_t* y, std::int64_t y_stride,
                std::int64_t rows, std::int64_t columns) {
  const __m512i interleaved = _mm512_set_epi16(
      31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
      3, 18, 2, 17, 1, 16, 0);
  for (std::int64_t r = 0; r < rows; r += 2, x += 2 * x_stride, y += y_stride) {
    const float* odd = x + x_stride;
    for (std::int64_t c = 0; c < columns; c += 16) {
      // Weights come from far away, a row after the other: fetched in time they take half as long.
      __builtin_prefetch(x + c + kFetchAhead, 0, 2);
      __builtin_prefetch(odd + c + kFetchAhead, 0, 2);
      const __mmask16 lanes = static_cast<__mmask16>(first_lanes(columns - c));
      const __mmask16 odd_lanes_read = r + 1 < rows ? lanes : __mmask16{0};
      const __m512 low = _mm512_maskz_loadu_ps(lanes, x + c);
      const __m512 high = _mm512_maskz_loadu_ps(odd_lanes_read, odd + c);
      const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
      _mm512_mask_storeu_epi32(
          y + c, lanes, _mm512_maskz_permutexvar_epi16(0xffffffff, interleaved, both));
    }
  }
}

void pair_rows(const std::uint16_t* x, std::int64_t x_stride, std::uint32_t* y,
               std::int64_t y_stride, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; r += 2, x += 2 * x_stride, y += y_stride) {
    const std::uint16_t* odd = x + x_stride;
    for (std::int64_t c = 0; c < columns; c += 16) {
      const __mmask16 lanes = static_cast<__mmask16>(first_lanes(columns - c));
      const __mmask16 odd_lanes_read = r + 1 < rows ? lanes : __mmask16{0};
      const __m512i low = widen(_mm256_maskz_loadu_epi16(lanes, x + c));
      const __m512i high = widen(_mm256_maskz_loadu_epi16(odd_lanes_read, odd + c));
      const __m512i raised = _mm512_maskz_slli_epi32(0xffff, high, 16);
      _mm512_mask_storeu_epi32(y + c, lanes, _mm512_or_si512(low, raised));
    }
  }
}

constexpr Bf16Kernels kBf16Kernels{bf16_product, round_rows, pack_pairs, pair_rows};

}  // namespace

const Bf16Kernels& avx512_bf16() { return kBf16Kernels; }

}  // namespace penmark
