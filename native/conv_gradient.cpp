#include "conv_gradient.h"

#include <cstring>

namespace penmark {

void ConvGradient::reserve(Arena& arena, int threads) {
  weight_gradient_.reserve(arena, weights_.size, threads);
  bias_gradient_.reserve(arena, filters_, threads);
}

void ConvGradient::prepare(const Step& step, int thread) {
  std::memset(bias_sums(thread), 0, static_cast<std::size_t>(filters_) * sizeof(float));
  const Range images = share_of(step.n, thread, step.threads);
  // A thread without an image must add zeros.
  if (images.begin == images.end)
    std::memset(weight_sums(thread), 0, static_cast<std::size_t>(weights_.size) * sizeof(float));
}

void ConvGradient::update(const Step& step, int thread) {
  if (weights_.trainable) weight_gradient_.apply(step, weights_, thread);
  if (bias_ != nullptr && bias_->trainable) bias_gradient_.apply(step, *bias_, thread);
}

}  // namespace penmark
