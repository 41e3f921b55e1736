#include "conv_gradient.h"

#include <cstring>

namespace penmark {

void ConvGradient::reserve(Arena& arena, int threads) {
  weight_gradient_.reserve(arena, weights_, threads);
  if (bias_ != nullptr) bias_gradient_.reserve(arena, *bias_, threads);
  else arena.reserve(&no_bias_, threads * round_up(filters_, 16));
}

float* ConvGradient::bias_sums(int thread) const {
  return bias_ != nullptr ? bias_gradient_.of(thread) : no_bias_ + thread * round_up(filters_, 16);
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
