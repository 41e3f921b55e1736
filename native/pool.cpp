#include "pool.h"

namespace penmark {

Pool::Pool(const Tensor& x, const Tensor& y, const PoolShape& shape, bool takes_max, int N,
           Arena& arena)
    : x_(x), y_(y), shape_(shape), takes_max_(takes_max) {
  if (takes_max_) arena.reserve(&argmax_, N * y.features);
}

void Pool::fwd_image(const Step& step, std::int64_t n) {
  const float* x = x_.data + n * x_.stride;
  float* y = y_.data + n * y_.stride;
  if (takes_max_) step.kernels.max_pool(shape_, x, y, argmax_ + n * y_.features);
  else step.kernels.average_pool(shape_, x, y);
}

void Pool::bwd_image(const Step& step, std::int64_t n, int thread) {
  if (x_.grad == nullptr) return;
  const float* dy = y_.grad_of(n, thread);
  float* dx = x_.grad_of(n, thread);
  if (takes_max_) step.kernels.max_pool_bwd(shape_, dy, argmax_ + n * y_.features, dx);
  else step.kernels.average_pool_bwd(shape_, dy, dx);
}

}  // namespace penmark
