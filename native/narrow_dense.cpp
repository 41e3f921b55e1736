#include "narrow_dense.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

constexpr std::int64_t kMostUnits = 12, kFewestFeatures = 128;
constexpr int kUnits = 16;  // a row of dz, in whole vectors
constexpr std::int64_t kNoShift[] = {0};
constexpr std::int64_t kImages = 16;  // dealt out to the threads at a time

}  // namespace

bool NarrowDense::suits(std::int64_t C, std::int64_t K) {
  return K <= kMostUnits && C >= kFewestFeatures;
}

NarrowDense::NarrowDense(const Tensor& x, const Tensor& y, Param& weights, Param* bias,
                         Activation activation, int N, int threads, bool training, Arena& arena)
    : x_(x), y_(y), weights_(weights), bias_(bias), activation_(activation), C_(x.features),
      K_(y.features) {
  if (!training) return;
  arena.reserve(&dz_, static_cast<std::int64_t>(N) * kUnits);
  arena.reserve(&tiles_, threads * K_ * kPanel);
  bias_gradient_.reserve(arena, K_, threads);
}

void NarrowDense::fwd(const Step& step, int thread) {
  const Range images = share_of(step.n, thread, step.threads, kImages);
  const int rows = static_cast<int>(images.end - images.begin);
  const bool relu = activation_ == Activation::relu;
  float* y = y_.data + images.begin * y_.stride;
  step.kernels.inner_products({x_.data + images.begin * x_.stride, x_.stride, weights_.w,
                               bias_ != nullptr ? bias_->w : nullptr, y, y_.stride, rows,
                               static_cast<int>(K_), C_, relu});
  if (activation_ == Activation::linear || relu) return;
  for (int n = 0; n < rows; ++n, y += y_.stride)
    step.kernels.activate(activation_, 0.0f, y, y, K_);
}

void NarrowDense::bwd(const Step& step, int thread) {
  derive(step, thread);
  step.barrier.wait();
  bwd_panels(step, thread);
  if (step.update != nullptr && bias_ != nullptr && bias_->trainable)
    bias_gradient_.apply(step, *bias_, thread);
}

void NarrowDense::derive(const Step& step, int thread) {
  float* bias_sums = bias_gradient_.of(thread);
  std::memset(bias_sums, 0, static_cast<std::size_t>(K_) * sizeof(float));
  const Range images = share_of(step.n, thread, step.threads, kImages);
  const std::int64_t at = images.begin * y_.stride;
  step.kernels.derive_rows(activation_, y_.data + at, y_.grad + at, y_.stride,
                           dz_ + images.begin * kUnits, kUnits, images.end - images.begin, K_,
                           bias_sums);
}

// dx of a panel's features before the update of its weights, which follows while they are in L1.
void NarrowDense::bwd_panels(const Step& step, int thread) {
  float* tile = tiles_ + thread * K_ * kPanel;
  const Range own = share_of(panel_count(C_), thread, step.threads);
  for (std::int64_t panel = own.begin; panel < own.end; ++panel) {
    const int bc = panel_width(C_, panel), features = panel_columns(C_, panel);
    const std::int64_t at = panel_offset(K_, panel), from = panel * kPanel;
    if (x_.grad != nullptr)
      step.kernels.brgemm({dz_, weights_.w + at, x_.grad + from, nullptr, kNoShift, kNoShift, kUnits,
                           bc, x_.stride, 1, step.n, features, static_cast<int>(K_), false, false});
    if (step.update == nullptr || !weights_.trainable) continue;
    if (features < bc) std::memset(tile, 0, sizeof(float) * static_cast<std::size_t>(K_ * bc));
    step.kernels.brgemm_at({dz_, x_.data + from, tile, nullptr, kNoShift, kNoShift, kUnits,
                            x_.stride, bc, 1, static_cast<int>(K_), features, step.n, false, false});
    step.update->apply(step.kernels, weights_, at, tile, K_ * bc);
  }
}

}  // namespace penmark
