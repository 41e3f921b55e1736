// Matrix products of bfloat16 numbers with float32 sums, for `mixed_bfloat16`.
//
// A bfloat16 is the upper half of a float32: 8 bits of exponent, 8 of precision. Weights, optimizer
// state and activations stay float32 in memory; a layer rounds both operands of its products to the
// nearest bfloat16 (ties to even) on their way into scratch, where the product finds them in cache.
// The sums are float32 on every instruction set: AMX tiles, AVX-512-BF16's pairs, or, on machines
// without either, float32 multiply-adds of the rounded operands.
//
// Two neighbors along the reduction are multiplied together, so B comes as words: the lower half
// holds an even row, the upper half the odd row after it. A needs no such order: its neighbors
// along the reduction lie side by side.
//
// As kernels.h, this header may be included by the files built for one instruction set.
#pragma once

#include <cstdint>

namespace penmark {

// Depth of an AMX tile: B has zero rows up to a multiple of it, and A is readable that far, so that
// no product ends in the middle of a tile.
constexpr int kBf16Depth = 32;

// For each block j: C_j = beta C_j + sum_i A_ij B_i, then relu(C_j + bias) where asked for.
struct Bf16Product {
  const std::uint16_t* a;  // A_ij: (m, k), element (row, l) at
                           //       a_offset[i] + j*a_step + row*lda + l; readable, and finite
                           //       where the rest is, to k rounded up to kBf16Depth
  const std::uint32_t* b;  // B_i: (k / 2, n) words, pair l at b_offset[i] + l*ldb; zero from k to k
                           //      rounded up to kBf16Depth; readable to n rounded up to 16
  float* c;                // C_j: (m, n), rows ldc apart, at j*c_step; only n columns are written
  const float* bias;       // (n rounded up to 16), or null
  const std::int64_t* a_offset;  // (batch)
  const std::int64_t* b_offset;  // (batch)
  std::int64_t lda, ldb, ldc, a_step, c_step;
  int batch, blocks, m, n, k;  // n <= kPanel
  bool accumulate;             // beta: 1 if set, else 0
  bool relu;
};

struct Bf16Kernels {
  void (*product)(const Bf16Product&);
  // y (rows, columns) = x (rows, columns) rounded to bfloat16.
  void (*round_rows)(const float* x, std::int64_t x_stride, std::uint16_t* y,
                     std::int64_t y_stride, std::int64_t rows, std::int64_t columns);
  // y (rows / 2 rounded up, columns): row pairs of x as words, rounded first by pack_pairs; after
  // an odd number of rows, the last words' upper halves are zero.
  void (*pack_pairs)(const float* x, std::int64_t x_stride, std::uint32_t* y,
                     std::int64_t y_stride, std::int64_t rows, std::int64_t columns);
  void (*pair_rows)(const std::uint16_t* x, std::int64_t x_stride, std::uint32_t* y,
                    std::int64_t y_stride, std::int64_t rows, std::int64_t columns);
};

// Defined in brgemm_{scalar,avx2,avx512}.cpp and bf16_{avx512,amx}.cpp, where those are built.
const Bf16Kernels& scalar_bf16();
const Bf16Kernels& avx2_bf16();
const Bf16Kernels& avx512_bf16_by_float();  // AVX-512 without instructions for bfloat16
const Bf16Kernels& avx512_bf16();
const Bf16Kernels& amx_bf16();

}  // namespace penmark
