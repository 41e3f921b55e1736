#include "dropout.h"

#include <cmath>
#include <cstring>

namespace penmark {

Dropout::Dropout(const Tensor& x, const Tensor& y, double rate, std::uint64_t number, int N,
                 Arena& arena)
    : x_(x), y_(y), drop_(static_cast<std::uint32_t>(std::lround(rate * 4294967295.0))),
      scale_(static_cast<float>(1.0 / (1.0 - rate))), number_(number),
      words_((x.features + 31) / 32) {
  arena.reserve(&mask_, N * words_);
}

void Dropout::fwd_image(const Step& step, std::int64_t n) {
  const float* x = x_.data + n * x_.stride;
  float* y = y_.data + n * y_.stride;
  if (step.training)
    step.kernels.dropout(x, y, mask_ + n * words_, x_.features,
                         step.key + number_ * 0x9e3779b97f4a7c15ull,
                         static_cast<std::uint32_t>(n * words_ * 32), drop_, scale_);
  else
    std::memcpy(y, x, static_cast<std::size_t>(x_.features) * sizeof(float));
}

void Dropout::bwd_image(const Step& step, std::int64_t n, int thread) {
  if (x_.grad == nullptr) return;
  step.kernels.dropout_bwd(y_.grad_of(n, thread), x_.grad_of(n, thread), mask_ + n * words_,
                           x_.features, scale_);
}

}  // namespace penmark
