// Dense: y = f(x W + b).
#pragma once

#include "layer.h"

namespace penmark {

class Dense final : public Layer {
 public:
  // x: (N, C), y: (N, K), weights: C by K, bias: K or null. f is linear, relu, sigmoid or tanh.
  Dense(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
        int N, int threads, bool training, Arena& arena);
  void fwd(const Step& step, int thread) override;
  void bwd(const Step& step, int thread) override;

 private:
  void bwd_d_transposed(const Step& step, int thread);
  void bwd_d_in_place(const Step& step, int thread);
  void bwd_w(const Step& step, int thread);

  const Tensor &x_, &y_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  std::int64_t C_, K_, panels_;
  bool transposes_;                // bwd_d through a transposed copy of the weights
  float* dz_ = nullptr;            // (N, y.stride): d loss / d (x W + b)
  float* tiles_ = nullptr;         // (threads, kRowBlock, kPanel): gradient tiles on their way
  float* flipped_ = nullptr;       // panels of K by C, where transposes_
  PartialGradient bias_gradient_;
  float* no_bias_ = nullptr;       // (threads, K): where column sums go that nobody wants
  std::vector<std::int64_t> z_offset_, w_offset_;  // (panels): columns of dz, panels of weights
};

}  // namespace penmark
