#include "conv2d.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

// Output rows at a time in bwd_w: so many that x and dz of the block stay in L1 beside a tile.
constexpr std::int64_t kBlockBytes = 28 * 1024;

int rows_per_block(const ConvShape& s) {
  const std::int64_t row =
      4 * (static_cast<std::int64_t>(s.W) * s.C * s.stride_h +
           static_cast<std::int64_t>(s.Q) * std::min(s.K, kPanel) * s.stride_w);
  return static_cast<int>(std::clamp<std::int64_t>(kBlockBytes / row, 1, s.P));
}

}  // namespace

Conv2D::Conv2D(const Tensor& x, const Tensor& y, const ConvShape& shape, Param& weights,
               Param* bias, Activation activation, int threads, bool training, Arena& arena)
    : x_(x), y_(y), s_(shape), weights_(weights), bias_(bias), activation_(activation),
      gradient_(weights, bias, shape.K) {
  const bool reaches = (s_.P - 1) * s_.stride_h + s_.R - s_.pad_top > s_.H ||
                       (s_.Q - 1) * s_.stride_w + s_.S - s_.pad_left > s_.W;
  pads_ = s_.pad_top > 0 || s_.pad_left > 0 || reaches;
  Hp_ = pads_ ? std::max((s_.P - 1) * s_.stride_h + s_.R, s_.H + s_.pad_top) : s_.H;
  Wp_ = pads_ ? std::max((s_.Q - 1) * s_.stride_w + s_.S, s_.W + s_.pad_left) : s_.W;
  if (pads_) {
    x_scratch_ = round_up(static_cast<std::int64_t>(Hp_) * Wp_ * s_.C + 32, 16);
    arena.reserve(&x_padded_, x_scratch_ * threads);
  }
  const std::int64_t rows = static_cast<std::int64_t>(s_.R) * s_.S * s_.C;
  for (int r = 0; r < s_.R; ++r) x_row_.push_back(static_cast<std::int64_t>(r) * Wp_ * s_.C);
  for (std::int64_t p = 0; p < panel_count(s_.K); ++p)
    for (int r = 0; r < s_.R; ++r)
      w_offset_.push_back(panel_offset(rows, p) +
                          static_cast<std::int64_t>(r) * s_.S * s_.C * panel_width(s_.K, p));
  if (!training) return;

  // dx[h] = sum over r of dz[(h + pad - r) / stride] W[r]: a forward convolution of dz, its
  // elements `stride` apart and bordered with zeros, with the reversed kernel.
  const bool border = x.grad != nullptr;
  z_step_h_ = border ? s_.stride_h : 1;
  z_step_w_ = border ? s_.stride_w : 1;
  z_top_ = border ? s_.R - 1 - s_.pad_top : 0;
  z_left_ = border ? s_.S - 1 - s_.pad_left : 0;
  Hz_ = border ? std::max(s_.H + s_.R - 1, z_top_ + (s_.P - 1) * z_step_h_ + 1) : s_.P;
  Wz_ = border ? std::max(s_.W + s_.S - 1, z_left_ + (s_.Q - 1) * z_step_w_ + 1) : s_.Q;
  z_scratch_ = round_up(static_cast<std::int64_t>(Hz_) * Wz_ * s_.K + 32, 16);
  arena.reserve(&dz_, z_scratch_ * threads);
  gradient_.reserve(arena, threads);
  if (border) {
    const std::int64_t flipped_rows = static_cast<std::int64_t>(s_.R) * s_.S * s_.K;
    arena.reserve(&flipped_, panel_size(flipped_rows, s_.C));
    const std::int64_t panels = panel_count(s_.C);
    taps_.assign(static_cast<std::size_t>(s_.H), 0);
    tap_z_.assign(static_cast<std::size_t>(s_.H) * s_.R, 0);
    tap_f_.assign(static_cast<std::size_t>(panels * s_.H) * s_.R, 0);
    for (int h = 0; h < s_.H; ++h) {
      for (int r = 0; r < s_.R; ++r) {
        const int row = h + r - z_top_;  // of the outputs, times the stride
        if (row < 0 || row % s_.stride_h != 0 || row / s_.stride_h >= s_.P) continue;
        const int tap = taps_[static_cast<std::size_t>(h)]++;
        tap_z_[static_cast<std::size_t>(h * s_.R + tap)] =
            static_cast<std::int64_t>(h + r) * Wz_ * s_.K;
        for (std::int64_t p = 0; p < panels; ++p)
          tap_f_[static_cast<std::size_t>((p * s_.H + h) * s_.R + tap)] =
              panel_offset(flipped_rows, p) +
              static_cast<std::int64_t>(r) * s_.S * s_.K * panel_width(s_.C, p);
      }
    }
  }
  for (int p = 0; p < s_.P; ++p) {
    xp_row_.push_back(static_cast<std::int64_t>(p) * s_.stride_h * Wp_ * s_.C);
    zp_row_.push_back((static_cast<std::int64_t>(p) * z_step_h_ + z_top_) * Wz_ * s_.K +
                      static_cast<std::int64_t>(z_left_) * s_.K);
  }
}

// The image itself, or a copy with its zero border; the border was cleared with the arena.
const float* Conv2D::padded(const float* image, int thread) const {
  if (!pads_) return image;
  float* copy = x_padded_ + thread * x_scratch_;
  const std::size_t row = static_cast<std::size_t>(s_.W) * s_.C;
  for (int h = 0; h < s_.H; ++h)
    std::memcpy(copy + (static_cast<std::int64_t>(h + s_.pad_top) * Wp_ + s_.pad_left) * s_.C,
                image + static_cast<std::int64_t>(h) * row, row * sizeof(float));
  return copy;
}

void Conv2D::fwd_image(const Step& step, const float* x, float* y) const {
  const bool relu = activation_ == Activation::relu;
  for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel) {
    const float* bias = bias_ != nullptr ? bias_->w + panel * kPanel : nullptr;
    // Panel outside, rows inside: the panel's weights stay in L1, the image streams from L2.
    for (int p = 0; p < s_.P; ++p)
      step.kernels.brgemm(
          {x + static_cast<std::int64_t>(p) * s_.stride_h * Wp_ * s_.C, weights_.w,
           y + static_cast<std::int64_t>(p) * s_.Q * s_.K + panel * kPanel, bias, x_row_.data(),
           w_offset_.data() + panel * s_.R, static_cast<std::int64_t>(s_.stride_w) * s_.C,
           panel_width(s_.K, panel), s_.K, s_.R, s_.Q, panel_columns(s_.K, panel), s_.S * s_.C,
           false, relu});  // beta = 0, + bias + relu
  }
  if (activation_ != Activation::linear && !relu)
    step.kernels.activate(activation_, 0.0f, y, y, y_.features);
}

std::vector<Sweep> Conv2D::fwd_sweeps() {
  Sweep sweep;
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    fwd_image(step, padded(x_.data + n * x_.stride, thread), y_.data + n * y_.stride);
  };
  return {sweep};
}

void Conv2D::bwd_d_image(const Step& step, const float* dz, float* dx) const {
  for (std::int64_t panel = 0; panel < panel_count(s_.C); ++panel)
    for (int h = 0; h < s_.H; ++h)
      step.kernels.brgemm({dz, flipped_,
                           dx + static_cast<std::int64_t>(h) * s_.W * s_.C + panel * kPanel,
                           nullptr, tap_z_.data() + h * s_.R,
                           tap_f_.data() + (panel * s_.H + h) * s_.R, s_.K,
                           panel_width(s_.C, panel), s_.C, taps_[static_cast<std::size_t>(h)],
                           s_.W, panel_columns(s_.C, panel), s_.S * s_.K, false, false});  // beta = 0
}

// dW[r] = sum over p of x[p + r]^T dz[p]: pixels are the reduction, rows the batch to reduce.
void Conv2D::bwd_w_image(const Step& step, const float* x, const float* dz, float* dw,
                         bool first) const {
  const int block = rows_per_block(s_);
  const std::int64_t SC = static_cast<std::int64_t>(s_.S) * s_.C;
  for (int p0 = 0; p0 < s_.P; p0 += block) {
    const int rows = std::min(block, s_.P - p0);
    for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel)
      for (int r = 0; r < s_.R; ++r)
        step.kernels.brgemm_at({x + static_cast<std::int64_t>(r) * Wp_ * s_.C, dz + panel * kPanel,
                                dw + w_offset_[static_cast<std::size_t>(panel * s_.R + r)], nullptr,
                                xp_row_.data() + p0, zp_row_.data() + p0,
                                static_cast<std::int64_t>(s_.stride_w) * s_.C,
                                static_cast<std::int64_t>(z_step_w_) * s_.K,
                                panel_width(s_.K, panel), rows, static_cast<int>(SC),
                                panel_columns(s_.K, panel), s_.Q, !(first && p0 == 0), false});
  }
}

std::vector<Sweep> Conv2D::bwd_sweeps() {
  Sweep sweep;
  if (x_.grad != nullptr)
    sweep.begin = [this](const Step& step, int thread) {
      const Range taps = share_of(static_cast<std::int64_t>(s_.R) * s_.S, thread, step.threads);
      flip_panels(step.kernels, weights_.w, flipped_, s_.R, s_.S, s_.C, s_.K, taps.begin,
                  taps.end);
    };
  sweep.prepare = [this](const Step& step, int thread) { gradient_.prepare(step, thread); };
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    bwd_image(step, n, thread);
  };
  sweep.end = [this](const Step& step, int thread) { gradient_.update(step, thread); };
  return {sweep};
}

void Conv2D::bwd_image(const Step& step, std::int64_t n, int thread) {
  const float* y = y_.data + n * y_.stride;
  const float* dy = y_.grad_of(n, thread);
  float* dz = dz_ + thread * z_scratch_;
  const std::int64_t row = static_cast<std::int64_t>(s_.Q) * s_.K;
  for (int p = 0; p < s_.P; ++p)
    step.kernels.derive_rows(activation_, y + p * row, dy + p * row, s_.K,
                             dz + zp_row_[static_cast<std::size_t>(p)],
                             static_cast<std::int64_t>(z_step_w_) * s_.K, s_.Q, s_.K,
                             gradient_.bias_sums(thread));
  if (weights_.trainable)
    bwd_w_image(step, padded(x_.data + n * x_.stride, thread), dz, gradient_.weight_sums(thread),
                n == share_of(step.n, thread, step.threads).begin);
  if (x_.grad != nullptr) bwd_d_image(step, dz, x_.grad_of(n, thread));
}

}  // namespace penmark
