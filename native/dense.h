// Dense: y = f(x W + b).
#pragma once

#include "layer.h"
#include "live_gradient.h"
#include "sparse_input.h"

namespace penmark {

class Dense final : public Layer {
 public:
  // x: (N, C), y: (N, K), weights: C by K, bias: K or null. f is linear, relu, sigmoid or tanh.
  Dense(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
        int N, int threads, bool training, int tile_rows, Arena& arena);
  void fwd(const Step& step, int thread) override;
  void bwd(const Step& step, int thread) override;

 private:
  void fwd_packed(const Step& step, int thread);
  // How a step goes back, from what this batch holds.
  struct Way {
    bool live;    // dx only where the activation below has a slope
    bool sparse;  // dW without what is zero
  };
  Way way_back(const Step& step) const;
  void prepare(const Step& step, int thread, const Way& way);
  void sum_images(const Step& step, int thread);
  void bwd_w_and_d(const Step& step, int thread, const Way& way);
  void add_up_d(const Step& step, int thread);

  const Tensor &x_, &y_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  std::int64_t N_, C_, K_, panels_;
  std::int64_t tile_rows_;         // images in a packed tile of x in fwd, at most
  std::int64_t tile_columns_;      // features in a packed tile of x in bwd_w
  std::int64_t row_block_ = 0;     // rows of the weights in a gradient tile
  float* dz_ = nullptr;            // (panels, N + 1, kPanel): d loss / d (x W + b), and its sum
  // x as tiles, or null: not worth it. In fwd (tiles of images, C, images), in bwd (tiles of
  // features, N, features).
  float* packed_ = nullptr;
  float* tiles_ = nullptr;         // (threads, kRowBlock, kPanel): gradient tiles on their way
  float* dz_t_ = nullptr;          // (image panels, K up to 16, kPanel): dz transposed
  float* dx_t_ = nullptr;          // (threads, image panels, C, kPanel): dx transposed, partial sums
  float* turned_ = nullptr;        // (threads, kPanel, kPanel): a block of dx on its way
  PartialGradient bias_gradient_;
  bool looks_for_zeros_;           // where there are panels enough for a list to pay
  SparseInput sparse_;
  bool looks_for_slope_;           // of the activation that made x
  LiveGradient live_;
  std::vector<std::int64_t> w_offset_, z_offset_;  // (kGroup): panels of W, blocks of dz_t
};

}  // namespace penmark
