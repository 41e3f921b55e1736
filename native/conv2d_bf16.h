// Conv2D in bfloat16: y = f(x * W + b), both operands of each product rounded (see bf16.h).
//
// Pixels, border included, are numbered row by row: a position. A tap (r, s) of the kernel is then
// a constant distance of r * Wp + s positions, for x and for dz alike, so that every product reads
// its operand where it lies, whatever the tap.
#pragma once

#include "bf16.h"
#include "conv2d.h"

namespace penmark {

class Conv2DBf16 final : public Layer {
 public:
  // As Conv2D.
  Conv2DBf16(const Tensor& x, const Tensor& y, const ConvShape& shape, Param& weights, Param* bias,
             Activation activation, int threads, bool training, const Bf16Kernels& bf16,
             Arena& arena);
  std::vector<Sweep> fwd_sweeps() override;
  std::vector<Sweep> bwd_sweeps() override;

 private:
  void fwd_image(const Step& step, std::int64_t n, int thread) const;
  void prepare_bwd(const Step& step, int thread);
  void bwd_image(const Step& step, std::int64_t n, int thread);
  void round_image(const float* image, std::uint16_t* to) const;
  void pack_weights(std::uint32_t* words) const;
  void pack_flipped(const Step& step, std::uint32_t* words) const;
  void derive(const Step& step, const float* y, const float* dy, int thread, float* db) const;
  void bwd_w_image(const Step& step, const float* x, int thread, bool first) const;
  void bwd_d_image(int thread, float* dx) const;

  const Bf16Kernels& bf16_;
  const Tensor &x_, &y_;
  ConvShape s_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  ConvGradient gradient_;
  int Hp_, Wp_;                // input with its border of zeros
  int Kz_;                     // K rounded up to even: a pair never straddles two taps
  std::int64_t depth_, flipped_depth_;  // S*C and S*Kz, rounded up to kBf16Depth
  std::int64_t origin_;        // position of dz(0, 0) among the zeros before it
  std::int64_t length_;        // positions from the first output to the last, to whole depths
  std::int64_t x_size_, w_size_, f_size_, z_size_, pairs_size_, x_pairs_size_, xt_stride_;
  std::uint16_t* x16_ = nullptr;     // (threads, Hp * Wp, C)
  std::uint32_t* words_ = nullptr;   // (threads, panels of K, R, depth / 2, bk)
  std::uint32_t* flipped_ = nullptr; // (threads, panels of C, R, flipped_depth / 2, bc)
  float* dz_ = nullptr;              // (threads, Q, K)
  std::uint16_t* dz16_ = nullptr;    // (threads, positions of dz, Kz)
  std::uint32_t* dz_pairs_ = nullptr;  // (threads, length / 2, K rounded up to 16)
  std::uint32_t* x_pairs_ = nullptr;   // (threads, Hp * Wp / 2, C rounded up to 16)
  std::uint32_t* xt_ = nullptr;        // (threads, C rounded up to 16, xt_stride): x transposed
  std::vector<std::int64_t> x_row_, z_row_;            // (R): kernel rows in x and in dz
  std::vector<std::int64_t> w_offset_, f_offset_;      // (panels, R)
};

}  // namespace penmark
