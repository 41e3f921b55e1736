// The one building block: a batch-reduce matrix product on small blocks.
//
//     C = beta * C + sum_i A_i B_i,   then  C = relu(C + bias)  where asked for
//
// after Georganas et al., "High-Performance Deep Learning via a Single Building Block" (2019).
// Dense and convolution layers are loops around it.
//
// Legend, used in all of native/ (Keras's words in brackets):
//   N         images in a batch           C, K      channels in, channels out [filters, units]
//   H, W      input height and width      R, S      kernel height and width [kernel_size]
//   P, Q      output height and width     bn bc bk  blocks of N, C, K
//   fwd       forward pass                bwd_d     gradient to the input (data)
//   bwd_w     gradient to the weights
// Activations are N H W C with the channels contiguous, each image at its own `stride`.
// Weights are panels of bk output channels: panel p holds rows [reduction index][bk], bk = 32,
// and 16 in a last panel that needs no more; missing columns are zero (see pack.h).
//
// This header and kernels.h are all that the files built for one instruction set may include:
// an inline function of the standard library compiled with AVX-512 and kept by the linker would
// crash every older machine.
#pragma once

#include <cstdint>

namespace penmark {

constexpr int kLastPanel = 16;  // bk of a last panel that needs no more
constexpr int kPanel = 32;  // bk: two AVX-512 vectors, so that 12 rows fill 24 of 32 registers

struct Brgemm {
  const float* a;           // A_i: (m, k), element (row, j) at a_offset[i] + row*lda + j
                            //      transposed: at a_offset[i] + j*lda + row
  const float* b;           // B_i: (k, n), row j at b_offset[i] + j*ldb; readable to n rounded up
  float* c;                 // C: (m, n), rows ldc apart; only n columns are written
  const float* bias;        // (n rounded up to 16), or null
  const std::int64_t* a_offset;  // (batch)
  const std::int64_t* b_offset;  // (batch)
  std::int64_t lda, ldb, ldc;
  int batch, m, n, k;       // n <= kPanel
  bool accumulate;          // beta: 1 if set, else 0
  bool relu;
  // brgemm_at only. If not 0, A comes in tiles of `lda` rows (lda at most Kernels::tile_rows),
  // `a_tile` apart, each (k, lda): what pack_rows and pack_columns give. A tile is then read from
  // end to end, which keeps 14 rows from missing the cache all at once.
  std::int64_t a_tile = 0;
  // Up to three arrays (the first ones non-null) of `ahead_lines` vectors of 64 bytes each that the
  // caller reads next: fetched into L2 while the product keeps the arithmetic units busy.
  const float* ahead[3] = {};
  int ahead_lines = 0;
};

}  // namespace penmark
