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
  std::vector<Sweep> fwd_sweeps() override;
  std::vector<Sweep> bwd_sweeps() override;

 private:
  // What a thread keeps, each (padded C).
  struct Moments {  // of the images that it has seen so far
    float *mean, *squares;  // squares: sum of (x - mean)^2
  };
  Moments moments(int thread) const;
  struct Own {
    float *mean, *inv_std, *factor, *shift;  // y = (x - mean) * factor + shift
    float *products, *sums, *tilt;           // see Kernels::normalize_sums, normalize_bwd
  };
  Own own(int thread) const;
  bool uses_batch(const Step& step) const { return step.training && !frozen_; }
  void add_image(const Step& step, std::int64_t n, int thread);
  void prepare_fwd(const Step& step, int thread);
  void prepare_bwd(const Step& step, int thread);
  void update(const Step& step, int thread);

  const Tensor &x_, &y_;
  Params params_;
  float momentum_, epsilon_;
  bool frozen_;
  std::int64_t pixels_, C_, padded_;
  float* moments_ = nullptr;  // (threads, 4, padded C): mean, squares; the same of one image
  float* sums_ = nullptr;     // (threads, 2, padded C): products, sums of the thread's images
  float* own_ = nullptr;      // (threads, 7, padded C)
};

}  // namespace penmark
