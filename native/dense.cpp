#include "dense.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

constexpr std::int64_t kZero[1] = {0};
// Reduction at a time in fwd: 200 rows of a panel are 25 KB; with the 11 KB of a register tile's
// rows of x they stay in L1.
constexpr std::int64_t kReduction = 200;
// Images at a time in fwd: they stay in L2 (784 KB of 784 features) while all panels pass by.
constexpr std::int64_t kForwardImages = 256;
// The same for bwd_d, in panels of dz: 6 transposed blocks are 24 KB.
constexpr std::int64_t kDepth = 6;
// Rows of weights whose gradient is one tile: at most 8 register tiles of 14; 14 KB, so that the
// update finds them in L1.
constexpr std::int64_t kRowBlock = 112;
constexpr int kImages = 128;  // images at a time in bwd_w
constexpr std::int64_t kDeriveImages = 16;
// With fewer panels than this, bwd_w reads x too few times for a packed copy to pay.
constexpr std::int64_t kPackFromPanels = 4;

// Panel by rows, dealt out in that order: which of the `rows` rows of `panel` are in `share`. Cut
// in the middle of a panel where need be, so that 25 panels are as much work for each of 2 threads;
// and alike in fwd and bwd_w, so that a thread finds the weights it updated in its own cache.
Range rows_in(const Range& share, std::int64_t panel, std::int64_t rows) {
  const auto at = [&](std::int64_t i) {
    return std::clamp<std::int64_t>(i - panel * rows, 0, rows);
  };
  return {at(share.begin), at(share.end)};
}

// Size of equal parts of at most `most` each; the last one may be shorter. total > 0
std::int64_t equal_parts(std::int64_t total, std::int64_t most) {
  const std::int64_t parts = (total + most - 1) / most;
  return (total + parts - 1) / parts;
}

}  // namespace

Dense::Dense(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
             int N, int threads, bool training, Arena& arena)
    : x_(x), y_(y), weights_(weights), bias_(bias), activation_(activation), N_(N),
      C_(x.features), K_(y.features), panels_(panel_count(K_)),
      row_block_(round_up(equal_parts(C_, kRowBlock), 8)) {
  for (std::int64_t p = 0; p < kDepth; ++p) {
    z_offset_.push_back(p * N * kPanel);
    w_offset_.push_back(p * kPanel * kPanel);
  }
  if (!training) return;
  arena.reserve(&dz_, panels_ * N * kPanel);
  if (panels_ >= kPackFromPanels)
    arena.reserve(&packed_, round_up(C_, row_block_) * N);
  arena.reserve(&tiles_, threads * kRowBlock * kPanel);
  if (x.grad != nullptr) arena.reserve(&flipped_, threads * kDepth * kPanel * kPanel);
  if (bias_ != nullptr) bias_gradient_.reserve(arena, *bias_, threads);
  else arena.reserve(&no_bias_, threads * round_up(K_, 16));
}

// Images outermost: x is read once, and each part of a panel once for all the images in L2. With
// the panels outermost, x came from L3 for each of them.
void Dense::fwd(const Step& step, int thread) {
  const std::int64_t bn = equal_parts(step.n, kForwardImages);
  const bool relu = activation_ == Activation::relu;
  const Range share = share_of(panels_ * step.n, thread, step.threads);
  for (std::int64_t block = 0; block < step.n; block += bn) {
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const Range own = rows_in(share, panel, step.n);
      const std::int64_t n0 = std::max(own.begin, block), n1 = std::min(own.end, block + bn);
      if (n0 >= n1) continue;
      const int rows = static_cast<int>(n1 - n0);
      const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
      float* y = y_.data + n0 * y_.stride + panel * kPanel;
      // Half as wide, a panel's part may be twice as long.
      const std::int64_t most = kReduction * kPanel / bk, parts = (C_ + most - 1) / most;
      for (std::int64_t part = 0; part < parts; ++part) {
        const std::int64_t c0 = C_ * part / parts, c1 = C_ * (part + 1) / parts;
        const bool last = part + 1 == parts;
        const float* bias = last && bias_ != nullptr ? bias_->w + panel * kPanel : nullptr;
        const float* w = weights_.w + panel_offset(C_, panel) + c0 * bk;
        Brgemm product{x_.data + n0 * x_.stride + c0, w, y, bias, kZero, kZero, x_.stride, bk,
                       y_.stride, 1, rows, columns, static_cast<int>(c1 - c0), part > 0,
                       last && relu};  // beta = part > 0, + bias + relu at the end
        if (bk == kPanel) {  // the next part of the weights follows; past the end is harmless
          product.ahead[0] = w + (c1 - c0) * bk;
          product.ahead_lines = static_cast<int>((c1 - c0) * bk / 16);
        }
        step.kernels.brgemm(product);
      }
      if (activation_ != Activation::linear && !relu)
        for (int i = 0; i < rows; ++i, y += y_.stride)
          step.kernels.activate(activation_, 0.0f, y, y, columns);
    }
  }
}

void Dense::bwd(const Step& step, int thread) {
  prepare(step, thread);
  step.barrier.wait();
  if (x_.grad != nullptr) {
    bwd_d(step, thread);
    step.barrier.wait();  // the weights are about to change
  }
  if (step.update == nullptr) return;
  if (weights_.trainable) bwd_w(step, thread);
  if (bias_ != nullptr && bias_->trainable) bias_gradient_.apply(step, *bias_, thread);
}

// A thread's images of dz, as panels, and of x, in blocks of row_block_ features. bwd_w walks down
// images: in rows as they lie, each image is another page, which misses the 96 entries of the TLB's
// first level and is too far for the prefetchers.
void Dense::prepare(const Step& step, int thread) {
  float* bias_sums = bias_ != nullptr ? bias_gradient_.of(thread)
                                      : no_bias_ + thread * round_up(K_, 16);
  std::memset(bias_sums, 0, static_cast<std::size_t>(K_) * sizeof(float));
  const Range images = share_of(step.n, thread, step.threads);
  for (std::int64_t n = images.begin; n < images.end; n += kDeriveImages) {
    const std::int64_t rows = std::min(kDeriveImages, images.end - n);
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const std::int64_t at = n * y_.stride + panel * kPanel;
      step.kernels.derive_rows(activation_, y_.data + at, y_.grad + at, y_.stride,
                               dz_ + (panel * N_ + n) * kPanel, kPanel, rows,
                               panel_columns(K_, panel), bias_sums + panel * kPanel);
    }
  }
  if (packed_ == nullptr || step.update == nullptr || !weights_.trainable) return;
  for (std::int64_t n = images.begin; n < images.end; ++n)
    for (std::int64_t c0 = 0; c0 < C_; c0 += row_block_)
      std::memcpy(packed_ + c0 * N_ + n * row_block_, x_.data + n * x_.stride + c0,
                  static_cast<std::size_t>(std::min(row_block_, C_ - c0)) * sizeof(float));
}

// dx = dz W^T. A part of W is transposed into L1 and used there for all images: a copy of the whole
// transposed matrix goes through L3, and dot products along K alias in L1 (panels of 512 rows lie
// 64 KB apart); of dense 512 -> 512 with 128 images, bwd took 1.36 s an epoch so, and now 1.13.
void Dense::bwd_d(const Step& step, int thread) {
  float* flipped = flipped_ + thread * kDepth * kPanel * kPanel;
  const std::int64_t panels = panel_count(C_), parts = (panels_ + kDepth - 1) / kDepth;
  const Range share = share_of(panels * step.n, thread, step.threads);
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    const Range own = rows_in(share, panel, step.n);
    if (own.begin >= own.end) continue;
    const int rows = static_cast<int>(own.end - own.begin), channels = panel_columns(C_, panel);
    float* dx = x_.grad + own.begin * x_.stride + panel * kPanel;
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t p0 = panels_ * part / parts, p1 = panels_ * (part + 1) / parts;
      for (std::int64_t p = p0; p < p1; ++p) {
        const int bk = panel_width(K_, p);
        step.kernels.transpose(weights_.w + panel_offset(C_, p) + panel * kPanel * bk, bk,
                               flipped + (p - p0) * kPanel * kPanel, kPanel, channels, bk);
      }
      const int tail = panel_columns(K_, p1 - 1);
      const std::int64_t full = tail == kPanel ? p1 : p1 - 1;
      if (full > p0)
        step.kernels.brgemm({dz_ + (p0 * N_ + own.begin) * kPanel, flipped, dx, nullptr,
                             z_offset_.data(), w_offset_.data(), kPanel, kPanel, x_.stride,
                             static_cast<int>(full - p0), rows, channels, kPanel, p0 > 0, false});
      if (full < p1)
        step.kernels.brgemm({dz_ + (full * N_ + own.begin) * kPanel,
                             flipped + (full - p0) * kPanel * kPanel, dx, nullptr, kZero, kZero,
                             kPanel, kPanel, x_.stride, 1, rows, channels, tail, full > 0, false});
    }
  }
}

// dW = x^T dz, tile by tile, and the update of each tile while it is in L1: with small batches the
// traffic of weights and optimizer state is most of a dense layer's time. Rows outermost, so that
// their block of x stays in L2.
void Dense::bwd_w(const Step& step, int thread) {
  float* tile = tiles_ + thread * kRowBlock * kPanel;
  const std::int64_t blocks = (C_ + row_block_ - 1) / row_block_;
  const std::int64_t bn = equal_parts(step.n, kImages);
  const std::int64_t x_stride = packed_ != nullptr ? row_block_ : x_.stride;
  const Range share = share_of(panels_ * blocks, thread, step.threads);
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t c0 = block * row_block_;
    const int rows = static_cast<int>(std::min(row_block_, C_ - c0));
    const float* x = packed_ != nullptr ? packed_ + c0 * N_ : x_.data + c0;
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const Range own = rows_in(share, panel, blocks);
      if (block < own.begin || block >= own.end) continue;
      const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
      const std::int64_t at = panel_offset(C_, panel) + c0 * bk;
      const auto slot = [&](std::size_t i) -> const float* {
        return weights_.slot[i] != nullptr ? weights_.slot[i] + at : nullptr;
      };
      if (columns < bk) std::memset(tile, 0, sizeof(float) * static_cast<std::size_t>(rows * bk));
      for (std::int64_t n0 = 0; n0 < step.n; n0 += bn) {
        Brgemm product{x + n0 * x_stride, dz_ + (panel * N_ + n0) * kPanel, tile, nullptr, kZero,
                       kZero, x_stride, kPanel, bk, 1, rows, columns,
                       static_cast<int>(std::min(bn, step.n - n0)), n0 > 0, false};
        if (n0 + bn >= step.n) {  // the update comes next, and reads these
          product.ahead[0] = weights_.w + at;
          product.ahead[1] = slot(0);
          product.ahead[2] = slot(1);
          product.ahead_lines = rows * bk / 16;
        }
        step.kernels.brgemm_at(product);
      }
      step.update->apply(step.kernels, weights_, at, tile,
                         static_cast<std::int64_t>(rows) * bk);
    }
  }
}

}  // namespace penmark
