// Dense in bfloat16: y = f(x W + b), both operands of each product rounded (see bf16.h).
#pragma once

#include "bf16.h"
#include "layer.h"

namespace penmark {

class DenseBf16 final : public Layer {
 public:
  // x: (N, C), y: (N, K), weights: C by K, bias: K or null. f is linear, relu, sigmoid or tanh.
  DenseBf16(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
            int N, int threads, bool training, const Bf16Kernels& bf16, Arena& arena);
  void fwd(const Step& step, int thread) override;
  void bwd(const Step& step, int thread) override;

 private:
  void derive(const Step& step, int thread);
  void update(const Step& step, int thread);
  void bwd_d(const Step& step, int thread, std::int64_t c0, int rows);
  void bwd_w(const Step& step, int thread, std::int64_t c0, std::int64_t rows);

  const Bf16Kernels& bf16_;
  const Tensor &x_, &y_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  std::int64_t C_, K_, panels_;
  std::int64_t deep_N_, deep_C_, deep_K_;  // rounded up to kBf16Depth
  std::uint16_t* x16_ = nullptr;       // (N, deep_C)
  std::uint32_t* packed_ = nullptr;    // (threads, deep_C / 2, kPanel): a panel of W in pairs of rows
  std::uint16_t* dz16_ = nullptr;      // (threads, kDeriveImages, deep_K)
  std::uint32_t* dz_pairs_ = nullptr;  // (panels, deep_N / 2, kPanel): pairs of images
  std::uint32_t* dz_t_ = nullptr;      // (image panels, deep_K / 2, kPanel): dz^T, pairs of units
  float* dz_ = nullptr;                // (threads, kDeriveImages, kPanel)
  std::uint16_t* w16_ = nullptr;       // (threads, panels, kBlock, kPanel): rows of W
  float* dx_t_ = nullptr;              // (threads, kBlock, kPanel): dx^T of these rows
  float* turned_ = nullptr;            // (threads, kPanel, kBlock): the same as dx
  std::uint32_t* x_pairs_ = nullptr;   // (threads, deep_N / 2, kBlock)
  std::uint32_t* xt_ = nullptr;        // (threads, kBlock, deep_N / 2): x transposed
  float* tiles_ = nullptr;             // (threads, kBlock, kPanel): gradient tiles on their way
  std::vector<std::int64_t> w_offset_, dz_offset_;  // (panels): in w16_ and dz_t_
  PartialGradient bias_gradient_;
};

}  // namespace penmark
