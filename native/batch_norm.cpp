#include "batch_norm.h"

#include <cmath>
#include <cstring>

namespace penmark {

BatchNorm::BatchNorm(const Tensor& x, const Tensor& y, const Params& params, float momentum,
                     float epsilon, bool frozen, int threads, Arena& arena)
    : x_(x), y_(y), params_(params), momentum_(momentum), epsilon_(epsilon), frozen_(frozen),
      pixels_(x.features / x.C), C_(x.C), padded_(round_up(x.C, 16)) {
  arena.reserve(&sums_, threads * 2 * padded_);
  arena.reserve(&own_, threads * 5 * padded_);
}

void BatchNorm::total_of(const Step& step, std::int64_t at, float* total) const {
  std::memset(total, 0, static_cast<std::size_t>(C_) * sizeof(float));
  for (int t = 0; t < step.threads; ++t) step.kernels.add(total, partial(t) + at, total, C_);
}

// Each thread computes mean and inv_std for itself, from the same sums in the same order: that
// costs C operations and saves a barrier.
void BatchNorm::fwd(const Step& step, int thread) {
  const Range images = share_of(step.n, thread, step.threads);
  float* mean = own_ + thread * 5 * padded_;
  float* inv_std = mean + padded_;
  if (step.training && !frozen_) {
    const float inv_count = 1.0f / static_cast<float>(step.n * pixels_);
    float* sums = partial(thread);
    std::memset(sums, 0, static_cast<std::size_t>(2 * padded_) * sizeof(float));
    for (std::int64_t n = images.begin; n < images.end; ++n)
      step.kernels.column_sums(x_.data + n * x_.stride, C_, pixels_, C_, sums);
    step.barrier.wait();
    total_of(step, 0, mean);
    for (std::int64_t c = 0; c < C_; ++c) mean[c] *= inv_count;
    // The variance as the mean square around the mean: from raw squares it would cancel.
    for (std::int64_t n = images.begin; n < images.end; ++n)
      step.kernels.centered_squares(x_.data + n * x_.stride, pixels_, C_, mean, sums + padded_);
    step.barrier.wait();
    total_of(step, padded_, inv_std);
    for (std::int64_t c = 0; c < C_; ++c) {
      const float variance = inv_std[c] * inv_count;
      inv_std[c] = 1.0f / std::sqrt(variance + epsilon_);
      if (thread == 0 && step.update != nullptr) {
        float& m = params_.mean->w[c];
        float& v = params_.variance->w[c];
        m = m * momentum_ + mean[c] * (1.0f - momentum_);
        v = v * momentum_ + variance * (1.0f - momentum_);
      }
    }
  } else {
    for (std::int64_t c = 0; c < C_; ++c) {
      mean[c] = params_.mean->w[c];
      inv_std[c] = 1.0f / std::sqrt(params_.variance->w[c] + epsilon_);
    }
  }
  const float* gamma = params_.gamma != nullptr ? params_.gamma->w : nullptr;
  const float* beta = params_.beta != nullptr ? params_.beta->w : nullptr;
  for (std::int64_t n = images.begin; n < images.end; ++n)
    step.kernels.normalize(x_.data + n * x_.stride, y_.data + n * y_.stride, pixels_, C_, mean,
                           inv_std, gamma, beta);
}

void BatchNorm::bwd(const Step& step, int thread) {
  const Range images = share_of(step.n, thread, step.threads);
  float* mean = own_ + thread * 5 * padded_;
  float* inv_std = mean + padded_;
  float* dgamma = inv_std + padded_;
  float* dbeta = dgamma + padded_;
  float* factor = dbeta + padded_;
  float* sums = partial(thread);
  std::memset(sums, 0, static_cast<std::size_t>(2 * padded_) * sizeof(float));
  for (std::int64_t n = images.begin; n < images.end; ++n)
    step.kernels.normalize_sums(x_.data + n * x_.stride, y_.grad + n * y_.stride, pixels_, C_, mean,
                                inv_std, sums, sums + padded_);
  step.barrier.wait();
  total_of(step, 0, dgamma);
  total_of(step, padded_, dbeta);
  for (std::int64_t c = 0; c < C_; ++c)
    factor[c] = params_.gamma != nullptr ? params_.gamma->w[c] * inv_std[c] : inv_std[c];
  step.barrier.wait();  // gamma is about to change
  if (thread == 0 && step.update != nullptr) {
    if (params_.gamma != nullptr && params_.gamma->trainable)
      step.update->apply(step.kernels, *params_.gamma, 0, dgamma, C_);
    if (params_.beta != nullptr && params_.beta->trainable)
      step.update->apply(step.kernels, *params_.beta, 0, dbeta, C_);
  }
  if (x_.grad == nullptr) return;
  if (frozen_) {  // mean and variance do not depend on x: only the factor is left
    std::memset(dgamma, 0, static_cast<std::size_t>(C_) * sizeof(float));
    std::memset(dbeta, 0, static_cast<std::size_t>(C_) * sizeof(float));
  }
  const float inv_count = 1.0f / static_cast<float>(step.n * pixels_);
  for (std::int64_t n = images.begin; n < images.end; ++n)
    step.kernels.normalize_bwd(x_.data + n * x_.stride, y_.grad + n * y_.stride,
                               x_.grad + n * x_.stride, pixels_, C_, mean, inv_std, factor, dgamma,
                               dbeta, inv_count);
}

}  // namespace penmark
