// The kernels for AVX-512 (F, BW, DQ, VL), 16 floats per vector, 32 registers.
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
constexpr int kRows = 14;  // 14 * 2 accumulators, 2 of B, 1 of A: 31 registers
constexpr int kBf16Rows = 12;  // 12 * 2 accumulators, 4 halves of B, 2 of A: 30 registers
constexpr int kColumnVecs = 2;
constexpr int kInnerUnits = 12;  // 2 * 12 accumulators, 2 of x, 1 of the weights: 27 registers
constexpr int kSparseVecs = 6;  // 4 * 6 accumulators, 6 of B, 1 of A: 31 registers
#define PENMARK_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define PENMARK_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31

#include "brgemm_kernel.inl"
#include "inner_kernel.inl"
#include "sparse_kernel.inl"
#include "elementwise_kernel.inl"
#include "live_kernel.inl"
#include "pass_kernel.inl"
#include "winograd_kernel.inl"
#include "bf16_by_float.inl"
#include "peak_kernel.inl"
#include "kernel_table.inl"

}  // namespace

const Kernels& avx512_kernels() {
  static constexpr Kernels table = make_table("avx512");
  return table;
}

const Bf16Kernels& avx512_bf16_by_float() { return kBf16Kernels; }

}  // namespace penmark
