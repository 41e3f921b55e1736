// The kernels for any machine: 4 floats per vector (SSE2, NEON, or plain code).
#include "bf16.h"
#include "kernels.h"

namespace penmark {
namespace {

typedef float Vec __attribute__((vector_size(16)));
typedef float LooseVec __attribute__((vector_size(16), aligned(4), may_alias));
typedef int IndexVec __attribute__((vector_size(16)));
typedef std::uint32_t Words __attribute__((vector_size(16)));
typedef std::uint32_t LooseWords __attribute__((vector_size(16), aligned(4), may_alias));
constexpr int kLanes = 4;
constexpr int kRows = 6;  // 6 * 2 accumulators, 2 of B, 1 of A: 15 registers
constexpr int kBf16Rows = 4;  // 4 * 2 accumulators, 4 halves of B, 2 of A: 14 registers
constexpr int kColumnVecs = 2;
constexpr int kInnerUnits = 4;  // no more than lanes
constexpr int kSparseVecs = 2;
#define PENMARK_EVEN 0, 2, 4, 6
#define PENMARK_ODD 1, 3, 5, 7

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

const Kernels& scalar_kernels() {
  static constexpr Kernels table = make_table("scalar");
  return table;
}

const Bf16Kernels& scalar_bf16() { return kBf16Kernels; }

}  // namespace penmark
