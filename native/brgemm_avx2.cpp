// The kernels for AVX2 with FMA, 8 floats per vector, 16 registers.
#include "bf16.h"
#include "kernels.h"

namespace penmark {
namespace {

typedef float Vec __attribute__((vector_size(32)));
typedef float LooseVec __attribute__((vector_size(32), aligned(4), may_alias));
typedef int IndexVec __attribute__((vector_size(32)));
typedef std::uint32_t Words __attribute__((vector_size(32)));
typedef std::uint32_t LooseWords __attribute__((vector_size(32), aligned(4), may_alias));
constexpr int kLanes = 8;
constexpr int kRows = 6;  // 6 * 2 accumulators, 2 of B, 1 of A: 15 registers
constexpr int kBf16Rows = 4;  // 4 * 2 accumulators, 4 halves of B, 2 of A: 14 registers
constexpr int kColumnVecs = 2;
constexpr int kInnerUnits = 6;  // 2 * 6 accumulators, 2 of x, 1 of the weights: 15 registers
constexpr int kSparseVecs = 2;  // 4 * 2 accumulators, 2 of B, 1 of A: 11 registers
#define PENMARK_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define PENMARK_ODD 1, 3, 5, 7, 9, 11, 13, 15

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

const Kernels& avx2_kernels() {
  static constexpr Kernels table = make_table("avx2");
  return table;
}

const Bf16Kernels& avx2_bf16() { return kBf16Kernels; }

}  // namespace penmark
