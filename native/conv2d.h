// Conv2D: y = f(x * W + b), as loops around the micro-kernel; no im2col.
//
// In N H W C, the S*C values under one kernel row lie side by side, so an output row of Q pixels is
// a batch-reduce over the R kernel rows of (Q, S*C) times (S*C, bk). Each thread takes whole images.
#pragma once

#include "conv_gradient.h"

namespace penmark {

struct ConvShape {
  int H, W, C, K, R, S, P, Q;
  int stride_h, stride_w, pad_top, pad_left;
};

class Conv2D final : public Layer {
 public:
  // x: (N, H, W, C), y: (N, P, Q, K), weights: R*S*C by K, bias: K or null. f is linear, relu,
  // sigmoid or tanh.
  Conv2D(const Tensor& x, const Tensor& y, const ConvShape& shape, Param& weights, Param* bias,
         Activation activation, int threads, bool training, Arena& arena);
  std::vector<Sweep> fwd_sweeps() override;
  std::vector<Sweep> bwd_sweeps() override;

 private:
  void bwd_image(const Step& step, std::int64_t n, int thread);
  const float* padded(const float* image, int thread) const;
  void fwd_image(const Step& step, const float* x, float* y) const;
  void bwd_d_image(const Step& step, const float* dz, float* dx) const;
  void bwd_w_image(const Step& step, const float* x, const float* dz, float* dw, bool first) const;

  const Tensor &x_, &y_;
  ConvShape s_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  ConvGradient gradient_;
  bool pads_;
  int Hp_, Wp_;                 // input with its zero border
  int Hz_, Wz_;                 // dz spread out for bwd_d, with its border of zeros
  int z_top_, z_left_;          // where dz of output (0, 0) lies in it
  int z_step_h_, z_step_w_;     // and how far apart outputs are
  std::int64_t x_scratch_ = 0, z_scratch_ = 0;  // floats per thread
  float* x_padded_ = nullptr;   // (threads, Hp, Wp, C)
  float* dz_ = nullptr;         // (threads, Hz, Wz, K)
  float* flipped_ = nullptr;    // panels of R*S*K by C: the kernel reversed, channels swapped
  std::vector<std::int64_t> x_row_;          // (R): kernel rows in x
  std::vector<std::int64_t> w_offset_;       // (panels, R)
  // For bwd_d, the kernel rows that meet rows of dz, and not its border or the gaps of a stride:
  std::vector<int> taps_;                    // (H): how many
  std::vector<std::int64_t> tap_z_;          // (H, R): their rows in dz
  std::vector<std::int64_t> tap_f_;          // (panels of C, H, R): and in the flipped kernel
  std::vector<std::int64_t> xp_row_, zp_row_;   // (P): output rows in x and in dz, for bwd_w
};

}  // namespace penmark
