// BatchNormalization over the channels.
#pragma once

#include "layer.h"

namespace penmark {

class BatchNorm final : public Layer {
 public:
  struct Params {
    Param *gamma, *beta;  // (C) or null
    Param *mean, *variance;  // moving averages (C)
  };
  // x, y: (N, H, W, C). A frozen layer normalizes with the moving averages in training too.
  BatchNorm(const Tensor& x, const Tensor& y, const Params& params, float momentum, float epsilon,
            bool frozen, int threads, Arena& arena);
  void fwd(const Step& step, int thread) override;
  void bwd(const Step& step, int thread) override;

 private:
  float* partial(int thread) const { return sums_ + thread * 2 * padded_; }
  // total (C) = sum of the threads' partial sums, in the order of the threads.
  void total_of(const Step& step, std::int64_t at, float* total) const;

  const Tensor &x_, &y_;
  Params params_;
  float momentum_, epsilon_;
  bool frozen_;
  std::int64_t pixels_, C_, padded_;
  float* sums_ = nullptr;     // (threads, 2, padded C)
  float* own_ = nullptr;      // (threads, 5, padded C): mean, inv_std; dgamma, dbeta, factor
};

}  // namespace penmark
