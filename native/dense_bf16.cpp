#include "dense_bf16.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

constexpr std::int64_t kZero[1] = {0};
// Rows of the weights whose gradient is one tile: 16 KB of it, so that the update finds it in L1.
constexpr std::int64_t kBlock = 128;
constexpr std::int64_t kDeriveImages = 16;

}  // namespace

DenseBf16::DenseBf16(const Tensor& x, const Tensor& y, Param& weights, Param* bias,
                     Activation activation, int N, int threads, bool training,
                     const Bf16Kernels& bf16, Arena& arena)
    : bf16_(bf16), x_(x), y_(y), weights_(weights), bias_(bias), activation_(activation),
      C_(x.features), K_(y.features), panels_(panel_count(K_)),
      deep_N_(round_up(N, kBf16Depth)), deep_C_(round_up(C_, kBf16Depth)),
      deep_K_(round_up(K_, kBf16Depth)) {
  arena.reserve(&x16_, N * deep_C_);
  arena.reserve(&packed_, threads * deep_C_ / 2 * kPanel);
  if (!training) return;
  arena.reserve(&dz16_, threads * kDeriveImages * deep_K_);
  arena.reserve(&dz_pairs_, panels_ * deep_N_ / 2 * kPanel);
  arena.reserve(&dz_, threads * kDeriveImages * kPanel);
  if (x.grad != nullptr) {
    arena.reserve(&dz_t_, panel_count(N) * deep_K_ / 2 * kPanel);
    arena.reserve(&w16_, threads * panels_ * kBlock * kPanel);
    arena.reserve(&dx_t_, threads * kBlock * kPanel);
    arena.reserve(&turned_, threads * kPanel * kBlock);
    for (std::int64_t p = 0; p < panels_; ++p) {
      w_offset_.push_back(p * kBlock * kPanel);
      dz_offset_.push_back(p * kPanel / 2 * kPanel);
    }
  }
  arena.reserve(&x_pairs_, threads * deep_N_ / 2 * kBlock);
  arena.reserve(&xt_, threads * kBlock * deep_N_ / 2);
  arena.reserve(&tiles_, threads * kBlock * kPanel);
  bias_gradient_.reserve(arena, K_, threads);
}

// A panel of weights becomes words in L2 and is used there for all images.
void DenseBf16::fwd(const Step& step, int thread) {
  const Range images = share_of(step.n, thread, step.threads);
  bf16_.round_rows(x_.data + images.begin * x_.stride, x_.stride, x16_ + images.begin * deep_C_,
                   deep_C_, images.end - images.begin, C_);
  step.barrier.wait();
  std::uint32_t* words = packed_ + thread * deep_C_ / 2 * kPanel;
  const bool relu = activation_ == Activation::relu;
  const Range share = share_of(panels_ * step.n, thread, step.threads);
  for (std::int64_t panel = 0; panel < panels_; ++panel) {
    const Range own = share_in_group(share, panel, step.n);
    if (own.begin >= own.end) continue;
    const int rows = static_cast<int>(own.end - own.begin);
    const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
    bf16_.pack_pairs(weights_.w + panel_offset(C_, panel), bk, words, bk, C_, bk);
    std::memset(words + (C_ + 1) / 2 * bk, 0,
                static_cast<std::size_t>((deep_C_ / 2 - (C_ + 1) / 2) * bk) * 4);
    float* y = y_.data + own.begin * y_.stride + panel * kPanel;
    bf16_.product({x16_ + own.begin * deep_C_, words, y,
                   bias_ != nullptr ? bias_->w + panel * kPanel : nullptr, kZero, kZero, deep_C_,
                   bk, y_.stride, 0, 0, 1, 1, rows, columns, static_cast<int>(C_), false,
                   relu});  // beta = 0, + bias + relu
    if (activation_ != Activation::linear && !relu)
      for (int i = 0; i < rows; ++i, y += y_.stride)
        step.kernels.activate(activation_, 0.0f, y, y, columns);
  }
}

void DenseBf16::bwd(const Step& step, int thread) {
  derive(step, thread);
  step.barrier.wait();
  update(step, thread);
  if (step.update != nullptr && bias_ != nullptr && bias_->trainable)
    bias_gradient_.apply(step, *bias_, thread);
}

// A thread's images of dz: in pairs of images, for bwd_w, and transposed in pairs of units, for
// bwd_d.
void DenseBf16::derive(const Step& step, int thread) {
  float* bias_sums = bias_gradient_.of(thread);
  std::memset(bias_sums, 0, static_cast<std::size_t>(K_) * sizeof(float));
  float* dz = dz_ + thread * kDeriveImages * kPanel;
  std::uint16_t* rounded = dz16_ + thread * kDeriveImages * deep_K_;
  std::memset(rounded, 0, static_cast<std::size_t>(kDeriveImages * deep_K_) * sizeof *rounded);
  const Range images = share_of(step.n, thread, step.threads, kDeriveImages);
  for (std::int64_t n = images.begin; n < images.end; n += kDeriveImages) {
    const std::int64_t rows = std::min(kDeriveImages, images.end - n);
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const std::int64_t at = n * y_.stride + panel * kPanel, columns = panel_columns(K_, panel);
      step.kernels.derive_rows(activation_, y_.data + at, y_.grad + at, y_.stride, dz, kPanel, rows,
                               columns, bias_sums + panel * kPanel);
      std::uint16_t* to = rounded + panel * kPanel;
      bf16_.round_rows(dz, kPanel, to, deep_K_, rows, columns);
      bf16_.pair_rows(to, deep_K_, dz_pairs_ + (panel * deep_N_ + n) / 2 * kPanel, kPanel, rows,
                      columns);
    }
    if (x_.grad != nullptr)
      transpose_words(step.kernels, rounded, deep_K_ / 2,
                      dz_t_ + n / kPanel * (deep_K_ / 2 * kPanel) + n % kPanel, kPanel,
                      static_cast<int>(rows), static_cast<int>(deep_K_ / 2));
  }
  if (thread + 1 < step.threads) return;
  const std::int64_t pairs = (step.n + 1) / 2, all = round_up(step.n, kBf16Depth) / 2;
  for (std::int64_t panel = 0; panel < panels_; ++panel)
    std::memset(dz_pairs_ + (panel * deep_N_ / 2 + pairs) * kPanel, 0,
                static_cast<std::size_t>((all - pairs) * kPanel) * sizeof *dz_pairs_);
}

// A block of rows of W at a time: dx = dz W^T of its channels, then its gradient and its update,
// which finds the block in L2. A thread has rows of its own: nobody else needs them as they were.
void DenseBf16::update(const Step& step, int thread) {
  const bool trains = step.update != nullptr && weights_.trainable;
  const Range own = share_of(C_, thread, step.threads, C_ >= kBlock * step.threads ? 16 : 1);
  for (std::int64_t c0 = own.begin; c0 < own.end; c0 += kBlock) {
    const std::int64_t rows = std::min(kBlock, own.end - c0);
    if (x_.grad != nullptr) bwd_d(step, thread, c0, static_cast<int>(rows));
    if (trains) bwd_w(step, thread, c0, rows);
  }
}

// dx^T = W dz^T of a block of rows: in this order W need not be turned, only dz and dx, which are
// small.
void DenseBf16::bwd_d(const Step& step, int thread, std::int64_t c0, int rows) {
  std::uint16_t* w16 = w16_ + thread * panels_ * kBlock * kPanel;
  float* dx_t = dx_t_ + thread * kBlock * kPanel;
  float* turned = turned_ + thread * kPanel * kBlock;
  for (std::int64_t p = 0; p < panels_; ++p) {
    const int bk = panel_width(K_, p);
    std::uint16_t* to = w16 + p * kBlock * kPanel;
    if (bk < kPanel) std::memset(to, 0, static_cast<std::size_t>(rows * kPanel) * sizeof *to);
    bf16_.round_rows(weights_.w + panel_offset(C_, p) + c0 * bk, bk, to, kPanel, rows, bk);
  }
  for (std::int64_t n0 = 0; n0 < step.n; n0 += kPanel) {
    const int images = panel_columns(step.n, n0 / kPanel);
    bf16_.product({w16, dz_t_ + n0 / kPanel * (deep_K_ / 2 * kPanel), dx_t, nullptr,
                   w_offset_.data(), dz_offset_.data(), kPanel, kPanel, kPanel, 0, 0,
                   static_cast<int>(panels_), 1, rows, images, kPanel, false, false});  // beta = 0
    // Whole vectors are turned into their place.
    const bool whole = images % 16 == 0 && rows % 16 == 0;
    float* dx = x_.grad + n0 * x_.stride + c0;
    step.kernels.transpose(dx_t, kPanel, whole ? dx : turned, whole ? x_.stride : kBlock, rows,
                           panel_width(step.n, n0 / kPanel));
    for (int n = 0; n < images && !whole; ++n)
      std::memcpy(dx + n * x_.stride, turned + n * kBlock,
                  static_cast<std::size_t>(rows) * sizeof(float));
  }
}

// dW = x^T dz of a block of rows, tile by tile, and the update of each tile while it is in L1.
void DenseBf16::bwd_w(const Step& step, int thread, std::int64_t c0, std::int64_t rows) {
  float* tile = tiles_ + thread * kBlock * kPanel;
  std::uint32_t* x_pairs = x_pairs_ + thread * deep_N_ / 2 * kBlock;
  std::uint32_t* xt = xt_ + thread * kBlock * deep_N_ / 2;
  const std::int64_t pairs = (step.n + 1) / 2, all_pairs = round_up(step.n, kBf16Depth) / 2;
  bf16_.pair_rows(x16_ + c0, deep_C_, x_pairs, kBlock, step.n, rows);
  std::memset(x_pairs + pairs * kBlock, 0,
              static_cast<std::size_t>((all_pairs - pairs) * kBlock) * 4);
  transpose_words(step.kernels, x_pairs, kBlock, xt, deep_N_ / 2, static_cast<int>(all_pairs),
                  static_cast<int>(round_up(rows, 16)));
  const auto at = [&](std::int64_t p) { return panel_offset(C_, p) + c0 * panel_width(K_, p); };
  for (std::int64_t panel = 0; panel < panels_; ++panel) {
    const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
    if (columns < bk) std::memset(tile, 0, sizeof(float) * static_cast<std::size_t>(rows * bk));
    bf16_.product({reinterpret_cast<const std::uint16_t*>(xt),
                   dz_pairs_ + panel * deep_N_ / 2 * kPanel, tile, nullptr, kZero, kZero, deep_N_,
                   kPanel, bk, 0, 0, 1, 1, static_cast<int>(rows), columns,
                   static_cast<int>(2 * all_pairs), false, false});  // beta = 0
    // The same rows of the next panel follow; the update of a panel is work enough to fetch them.
    const std::int64_t next = panel + 1 < panels_ ? at(panel + 1) - at(panel) : 0;
    step.update->apply(step.kernels, weights_, at(panel), tile, rows * bk, next);
  }
}

}  // namespace penmark
