// The kernels for any machine: 4 floats per vector (SSE2, NEON, or plain code).
#include "kernels.h"

namespace penmark {
namespace {

typedef float Vec __attribute__((vector_size(16)));
typedef float LooseVec __attribute__((vector_size(16), aligned(4), may_alias));
typedef int IndexVec __attribute__((vector_size(16)));
constexpr int kLanes = 4;
constexpr int kRows = 6;  // 6 * 2 accumulators, 2 of B, 1 of A: 15 registers
constexpr int kColumnVecs = 2;
#define PENMARK_EVEN 0, 2, 4, 6
#define PENMARK_ODD 1, 3, 5, 7

#include "brgemm_kernel.inl"
#include "elementwise_kernel.inl"
#include "pass_kernel.inl"
#include "peak_kernel.inl"
#include "kernel_table.inl"

}  // namespace

const Kernels& scalar_kernels() {
  static constexpr Kernels table = make_table("scalar");
  return table;
}

}  // namespace penmark
