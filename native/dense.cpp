#include "dense.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

constexpr std::int64_t kZero[1] = {0};
// Reduction at a time: 320 rows of a panel are 40 KB and stay in L1 for all rows of the block.
constexpr std::int64_t kReduction = 320;
// Rows of weights whose gradient is one tile: 8 register tiles of 14; 14 KB, so that the update
// finds them in L1.
constexpr int kRowBlock = 112;
constexpr int kImages = 128;  // images at a time in bwd_w
// bwd_d by dot products needs no transposed weights, but sums up lanes at the end of each: that
// costs more than a transposition where K is small or the batch is large.
constexpr std::int64_t kTransposeUpToK = 128;
constexpr int kTransposeFromN = 256;

}  // namespace

Dense::Dense(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
             int N, int threads, bool training, Arena& arena)
    : x_(x), y_(y), weights_(weights), bias_(bias), activation_(activation), C_(x.features),
      K_(y.features), panels_(panel_count(K_)),
      transposes_(K_ <= kTransposeUpToK || N >= kTransposeFromN) {
  for (std::int64_t p = 0; p < panels_; ++p) {
    z_offset_.push_back(p * kPanel);
    w_offset_.push_back(panel_offset(C_, p));
  }
  if (!training) return;
  arena.reserve(&dz_, N * y.stride);
  arena.reserve(&tiles_, static_cast<std::int64_t>(threads) * kRowBlock * kPanel);
  if (transposes_) arena.reserve(&flipped_, panel_size(K_, C_));
  if (bias_ != nullptr) bias_gradient_.reserve(arena, *bias_, threads);
  else arena.reserve(&no_bias_, threads * round_up(K_, 16));
}

void Dense::fwd(const Step& step, int thread) {
  std::int64_t bn = std::min<std::int64_t>(64, step.n);
  while (bn > 8 && panels_ * ((step.n + bn - 1) / bn) < 2 * step.threads) bn = (bn + 1) / 2;
  const std::int64_t blocks = (step.n + bn - 1) / bn;
  const std::int64_t parts = (C_ + kReduction - 1) / kReduction;
  const bool relu = activation_ == Activation::relu;
  const Range tasks = share_of(panels_ * blocks, thread, step.threads);
  for (std::int64_t task = tasks.begin; task < tasks.end; ++task) {
    const std::int64_t panel = task / blocks, n0 = task % blocks * bn;
    const int rows = static_cast<int>(std::min<std::int64_t>(bn, step.n - n0));
    const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
    float* y = y_.data + n0 * y_.stride + panel * kPanel;
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t c0 = C_ * part / parts, c1 = C_ * (part + 1) / parts;
      const bool last = part + 1 == parts;
      const float* bias = last && bias_ != nullptr ? bias_->w + panel * kPanel : nullptr;
      step.kernels.brgemm({x_.data + n0 * x_.stride + c0,
                           weights_.w + panel_offset(C_, panel) + c0 * bk, y, bias, kZero, kZero,
                           x_.stride, bk, y_.stride, 1, rows, columns, static_cast<int>(c1 - c0),
                           part > 0, last && relu});  // beta = part > 0, + bias + relu at the end
    }
    if (activation_ != Activation::linear && !relu)
      for (int i = 0; i < rows; ++i, y += y_.stride)
        step.kernels.activate(activation_, 0.0f, y, y, columns);
  }
}

void Dense::bwd(const Step& step, int thread) {
  float* bias_sums = bias_ != nullptr ? bias_gradient_.of(thread)
                                      : no_bias_ + thread * round_up(K_, 16);
  std::memset(bias_sums, 0, static_cast<std::size_t>(K_) * sizeof(float));
  const Range images = share_of(step.n, thread, step.threads);
  for (std::int64_t n = images.begin; n < images.end; ++n)
    step.kernels.derive_rows(activation_, y_.data + n * y_.stride, y_.grad + n * y_.stride,
                             dz_ + n * y_.stride, K_, 1, K_, bias_sums);
  if (x_.grad != nullptr && transposes_) {
    // Kernel position 0 of a 1 by 1 convolution; threads share the rows.
    if (thread == 0) flip_panels(weights_.w, flipped_, 1, 1, static_cast<int>(C_),
                                 static_cast<int>(K_), 0, 1);
  }
  step.barrier.wait();
  if (x_.grad != nullptr) {
    if (transposes_) bwd_d_transposed(step, thread);
    else bwd_d_in_place(step, thread);
    step.barrier.wait();  // the weights are about to change
  }
  if (step.update == nullptr) return;
  if (weights_.trainable) bwd_w(step, thread);
  if (bias_ != nullptr && bias_->trainable) bias_gradient_.apply(step, *bias_, thread);
}

// dx = dz W^T from transposed panels.
void Dense::bwd_d_transposed(const Step& step, int thread) {
  const std::int64_t panels = panel_count(C_);
  const std::int64_t bn = 64, blocks = (step.n + bn - 1) / bn;
  const std::int64_t parts = (K_ + kReduction - 1) / kReduction;
  const Range tasks = share_of(panels * blocks, thread, step.threads);
  for (std::int64_t task = tasks.begin; task < tasks.end; ++task) {
    const std::int64_t panel = task / blocks, n0 = task % blocks * bn;
    const int bc = panel_width(C_, panel);
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t k0 = K_ * part / parts, k1 = K_ * (part + 1) / parts;
      step.kernels.brgemm(
          {dz_ + n0 * y_.stride + k0, flipped_ + panel_offset(K_, panel) + k0 * bc,
           x_.grad + n0 * x_.stride + panel * kPanel, nullptr, kZero, kZero, y_.stride, bc,
           x_.stride, 1, static_cast<int>(std::min(bn, step.n - n0)), panel_columns(C_, panel),
           static_cast<int>(k1 - k0), part > 0, false});
    }
  }
}

// dx = dz W^T with W read as it lies: panel by panel, each row's run of bk against dz.
void Dense::bwd_d_in_place(const Step& step, int thread) {
  const Range channels = share_of(C_, thread, step.threads, 16);
  const int count = static_cast<int>(channels.end - channels.begin);
  if (count <= 0) return;
  const int tail = panel_width(K_, panels_ - 1);
  const int full = static_cast<int>(tail == kPanel ? panels_ : panels_ - 1);
  float* dx = x_.grad + channels.begin;
  if (full > 0)
    step.kernels.brgemm_bt({dz_, weights_.w + channels.begin * kPanel, dx, nullptr,
                            z_offset_.data(), w_offset_.data(), y_.stride, kPanel, x_.stride, full,
                            step.n, count, kPanel, false, false});
  if (tail != kPanel)
    step.kernels.brgemm_bt({dz_, weights_.w + channels.begin * tail, dx, nullptr,
                            z_offset_.data() + full, w_offset_.data() + full, y_.stride, tail,
                            x_.stride, 1, step.n, count, tail, full > 0, false});
}

// dW = x^T dz, tile by tile, and the update of each tile while it is in L1: with small batches the
// traffic of weights and optimizer state is most of a dense layer's time.
void Dense::bwd_w(const Step& step, int thread) {
  float* tile = tiles_ + static_cast<std::int64_t>(thread) * kRowBlock * kPanel;
  const std::int64_t blocks = (C_ + kRowBlock - 1) / kRowBlock;
  const Range tasks = share_of(panels_ * blocks, thread, step.threads);
  for (std::int64_t task = tasks.begin; task < tasks.end; ++task) {
    const std::int64_t panel = task / blocks, c0 = task % blocks * kRowBlock;
    const int rows = static_cast<int>(std::min<std::int64_t>(kRowBlock, C_ - c0));
    const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
    if (columns < bk) std::memset(tile, 0, sizeof(float) * static_cast<std::size_t>(rows * bk));
    for (int n0 = 0; n0 < step.n; n0 += kImages)
      step.kernels.brgemm_at({x_.data + n0 * x_.stride + c0, dz_ + n0 * y_.stride + panel * kPanel,
                              tile, nullptr, kZero, kZero, x_.stride, y_.stride, bk, 1, rows,
                              columns, std::min(kImages, step.n - n0), n0 > 0, false});
    step.update->apply(step.kernels, weights_, panel_offset(C_, panel) + c0 * bk, tile,
                       static_cast<std::int64_t>(rows) * bk);
  }
}

}  // namespace penmark
