// bfloat16 on machines without instructions for it: rounding in integers, products in float32.

inline Vec lower_half(Words pair) { return reinterpret_cast<Vec>(pair << 16); }
inline Vec upper_half(Words pair) { return reinterpret_cast<Vec>(pair & 0xffff0000u); }
inline Vec multiply_pairs(Vec sums, Words a, Words b) {
  sums += lower_half(a) * lower_half(b);
  return sums + upper_half(a) * upper_half(b);
}

#include "bf16_kernel.inl"

// To the nearest, ties to even; a NaN keeps its upper bits and becomes quiet.
inline std::uint16_t round_bf16(float x) {
  const std::uint32_t bits = as_bits(x);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

void round_rows(const float* x, std::int64_t x_stride, std::uint16_t* y, std::int64_t y_stride,
                std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c) y[c] = round_bf16(x[c]);
  }
}

void pack_pairs(const float* x, std::int64_t x_stride, std::uint32_t* y, std::int64_t y_stride,
                std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; r += 2, x += 2 * x_stride, y += y_stride) {
    const bool both = r + 1 < rows;
    const float* odd = both ? x + x_stride : x;
    const std::uint32_t keep = both ? 0xffffffffu : 0xffffu;
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c)
      y[c] = (round_bf16(x[c]) | static_cast<std::uint32_t>(round_bf16(odd[c])) << 16) & keep;
  }
}

void pair_rows(const std::uint16_t* x, std::int64_t x_stride, std::uint32_t* y,
               std::int64_t y_stride, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; r += 2, x += 2 * x_stride, y += y_stride) {
    const bool both = r + 1 < rows;
    const std::uint16_t* odd = both ? x + x_stride : x;
    const std::uint32_t keep = both ? 0xffffffffu : 0xffffu;
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c)
      y[c] = (x[c] | static_cast<std::uint32_t>(odd[c]) << 16) & keep;
  }
}

constexpr Bf16Kernels kBf16Kernels{bf16_product, round_rows, pack_pairs, pair_rows};
