// Dense with few units and many features: the last layer of a classifier, or a softmax regression.
//
// Panels of units would be half empty, and each feature would have to be spread over a vector before
// it meets them. Here the weights lie transposed, as panels of (K, C), and vectors hold features:
//
//     y = x W       inner products of rows of x with rows of W^T
//     dW^T = dz^T x, dx = dz W^T       panel by panel
#pragma once

#include "layer.h"

namespace penmark {

class NarrowDense final : public Layer {
 public:
  // Whether a layer of C features and K units is one. Its weights have Param::transposed set.
  static bool suits(std::int64_t C, std::int64_t K);

  // As Dense.
  NarrowDense(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
              int N, int threads, bool training, Arena& arena);
  void fwd(const Step& step, int thread) override;
  void bwd(const Step& step, int thread) override;

 private:
  void derive(const Step& step, int thread);
  void bwd_panels(const Step& step, int thread);

  const Tensor &x_, &y_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  std::int64_t C_, K_;
  float* dz_ = nullptr;       // (N, kUnits): d loss / d (x W + b)
  float* tiles_ = nullptr;    // (threads, K, kPanel): gradients to a panel on their way
  PartialGradient bias_gradient_;
};

}  // namespace penmark
