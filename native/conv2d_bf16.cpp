#include "conv2d_bf16.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

constexpr std::int64_t kZero[1] = {0};
// A product reads a tile's depth past the end of its operand, and finds zeros or later pixels.
constexpr std::int64_t kPast = 2 * kBf16Depth;

}  // namespace

Conv2DBf16::Conv2DBf16(const Tensor& x, const Tensor& y, const ConvShape& shape, Param& weights,
                       Param* bias, Activation activation, int threads, bool training,
                       const Bf16Kernels& bf16, Arena& arena)
    : bf16_(bf16), x_(x), y_(y), s_(shape), weights_(weights), bias_(bias),
      activation_(activation), gradient_(weights, bias, shape.K) {
  Hp_ = std::max((s_.P - 1) * s_.stride_h + s_.R, s_.H + s_.pad_top);
  Wp_ = std::max((s_.Q - 1) * s_.stride_w + s_.S, s_.W + s_.pad_left);
  Kz_ = static_cast<int>(round_up(s_.K, 2));
  const std::int64_t positions = static_cast<std::int64_t>(Hp_) * Wp_;
  depth_ = round_up(static_cast<std::int64_t>(s_.S) * s_.C, kBf16Depth);
  x_size_ = round_up(positions * s_.C + kPast, 32);
  w_size_ = s_.R * depth_ / 2 * padded_columns(s_.K);
  arena.reserve(&x16_, threads * x_size_);
  arena.reserve(&words_, threads * w_size_);
  for (int r = 0; r < s_.R; ++r) x_row_.push_back(static_cast<std::int64_t>(r) * Wp_ * s_.C);
  for (std::int64_t p = 0; p < panel_count(s_.K); ++p)
    for (int r = 0; r < s_.R; ++r)
      w_offset_.push_back(panel_offset(s_.R * depth_ / 2, p) +
                          r * depth_ / 2 * panel_width(s_.K, p));
  if (!training) return;

  // A row of dz ends in at least S - 1 zeros, which are also the border before the next row.
  origin_ = static_cast<std::int64_t>(s_.R - 1) * Wp_ + s_.S - 1;
  length_ = round_up((static_cast<std::int64_t>(s_.P) - 1) * s_.stride_h * Wp_ +
                         (static_cast<std::int64_t>(s_.Q) - 1) * s_.stride_w + 1,
                     kBf16Depth);
  flipped_depth_ = round_up(static_cast<std::int64_t>(s_.S) * Kz_, kBf16Depth);
  z_size_ = round_up((origin_ + std::max(length_, positions) + s_.S) * Kz_ + kPast, 32);
  pairs_size_ = length_ / 2 * padded_columns(s_.K);
  x_pairs_size_ = (positions + 1) / 2 * padded_columns(s_.C);
  xt_stride_ = round_up(std::max(length_ + origin_, positions) / 2 + 1, 16);
  arena.reserve(&dz_, threads * round_up(static_cast<std::int64_t>(s_.Q) * s_.K, 16));
  arena.reserve(&dz16_, threads * z_size_);
  arena.reserve(&dz_pairs_, threads * pairs_size_);
  arena.reserve(&x_pairs_, threads * x_pairs_size_);
  arena.reserve(&xt_, threads * padded_columns(s_.C) * xt_stride_);
  gradient_.reserve(arena, threads);
  f_size_ = s_.R * flipped_depth_ / 2 * padded_columns(s_.C);
  if (x.grad == nullptr) return;
  arena.reserve(&flipped_, threads * f_size_);
  for (int r = 0; r < s_.R; ++r) z_row_.push_back(static_cast<std::int64_t>(r) * Wp_ * Kz_);
  for (std::int64_t p = 0; p < panel_count(s_.C); ++p)
    for (int r = 0; r < s_.R; ++r)
      f_offset_.push_back(panel_offset(s_.R * flipped_depth_ / 2, p) +
                          r * flipped_depth_ / 2 * panel_width(s_.C, p));
}

// The border stays as it was cleared with the arena.
void Conv2DBf16::round_image(const float* image, std::uint16_t* to) const {
  const std::int64_t row = static_cast<std::int64_t>(s_.W) * s_.C;
  bf16_.round_rows(image, row,
                   to + (static_cast<std::int64_t>(s_.pad_top) * Wp_ + s_.pad_left) * s_.C,
                   static_cast<std::int64_t>(Wp_) * s_.C, s_.H, row);
}

void Conv2DBf16::pack_weights(std::uint32_t* words) const {
  const std::int64_t SC = static_cast<std::int64_t>(s_.S) * s_.C;
  for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel) {
    const int bk = panel_width(s_.K, panel);
    const float* from = weights_.w + panel_offset(s_.R * SC, panel);
    for (int r = 0; r < s_.R; ++r, from += SC * bk)
      bf16_.pack_pairs(from, bk, words + w_offset_[static_cast<std::size_t>(panel * s_.R + r)], bk,
                       SC, bk);
  }
}

// Thread by thread a copy of the weights of its own, which a step pays with microseconds and saves
// a barrier.
std::vector<Sweep> Conv2DBf16::fwd_sweeps() {
  Sweep sweep;
  sweep.prepare = [this](const Step& step, int thread) {
    const Range images = share_of(step.n, thread, step.threads);
    if (images.begin < images.end) pack_weights(words_ + thread * w_size_);
  };
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    fwd_image(step, n, thread);
  };
  return {sweep};
}

void Conv2DBf16::fwd_image(const Step& step, std::int64_t n, int thread) const {
  std::uint16_t* x16 = x16_ + thread * x_size_;
  float* y = y_.data + n * y_.stride;
  const bool relu = activation_ == Activation::relu;
  round_image(x_.data + n * x_.stride, x16);
  for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel)
    bf16_.product({x16, words_ + thread * w_size_, y + panel * kPanel,
                   bias_ != nullptr ? bias_->w + panel * kPanel : nullptr, x_row_.data(),
                   w_offset_.data() + panel * s_.R, static_cast<std::int64_t>(s_.stride_w) * s_.C,
                   panel_width(s_.K, panel), s_.K,
                   static_cast<std::int64_t>(s_.stride_h) * Wp_ * s_.C,
                   static_cast<std::int64_t>(s_.Q) * s_.K, s_.R, s_.P, s_.Q,
                   panel_columns(s_.K, panel), s_.S * s_.C, false,
                   relu});  // beta = 0, + bias + relu
  if (activation_ != Activation::linear && !relu)
    step.kernels.activate(activation_, 0.0f, y, y, y_.features);
}

// Words of (S * Kz, C) for each row of the reversed kernel: pairs along K lie side by side in a
// rounded row of W, and are moved as words.
void Conv2DBf16::pack_flipped(const Step& step, std::uint32_t* words) const {
  const std::int64_t rows = static_cast<std::int64_t>(s_.R) * s_.S * s_.C;
  for (std::int64_t pc = 0; pc < panel_count(s_.C); ++pc) {
    const int bc = panel_width(s_.C, pc), channels = panel_columns(s_.C, pc);
    for (int r = 0; r < s_.R; ++r) {
      for (int s = 0; s < s_.S; ++s) {
        std::uint32_t* to = words + f_offset_[static_cast<std::size_t>(pc * s_.R + r)] +
                            static_cast<std::int64_t>(s) * Kz_ / 2 * bc;
        const std::int64_t tap = static_cast<std::int64_t>(s_.R - 1 - r) * s_.S + s_.S - 1 - s;
        for (std::int64_t pk = 0; pk < panel_count(s_.K); ++pk) {
          const int bk = panel_width(s_.K, pk);
          alignas(64) std::uint16_t block[kPanel * kPanel];
          alignas(64) std::uint32_t turned[kPanel / 2 * kPanel];
          if (bk < kPanel) std::memset(block, 0, sizeof block);
          bf16_.round_rows(weights_.w + panel_offset(rows, pk) + (tap * s_.C + pc * kPanel) * bk,
                           bk, block, kPanel, channels, bk);
          transpose_words(step.kernels, block, kPanel / 2, turned, kPanel, channels, kPanel / 2);
          const int pairs = (panel_columns(s_.K, pk) + 1) / 2;
          for (int pair = 0; pair < pairs; ++pair, to += bc)
            std::memcpy(to, turned + pair * kPanel, static_cast<std::size_t>(channels) * 4);
        }
      }
    }
  }
}

// dz of an image, at its positions; zeros stay between.
void Conv2DBf16::derive(const Step& step, const float* y, const float* dy, int thread,
                        float* db) const {
  const std::int64_t row = static_cast<std::int64_t>(s_.Q) * s_.K;
  float* dz = dz_ + thread * round_up(row, 16);
  std::uint16_t* to = dz16_ + thread * z_size_ + origin_ * Kz_;
  for (int p = 0; p < s_.P; ++p) {
    step.kernels.derive_rows(activation_, y + p * row, dy + p * row, s_.K, dz, s_.K, s_.Q, s_.K,
                             db);
    bf16_.round_rows(dz, s_.K, to, static_cast<std::int64_t>(s_.stride_w) * Kz_, s_.Q, s_.K);
    to += static_cast<std::int64_t>(s_.stride_h) * Wp_ * Kz_;
  }
}

// dW[r, s] = sum over positions of x[position + r * Wp + s]^T dz[position].
void Conv2DBf16::bwd_w_image(const Step& step, const float* x, int thread, bool first) const {
  const std::int64_t positions = static_cast<std::int64_t>(Hp_) * Wp_;
  const std::int64_t C16 = padded_columns(s_.C), K16 = padded_columns(s_.K);
  std::uint16_t* x16 = x16_ + thread * x_size_;
  std::uint32_t* x_pairs = x_pairs_ + thread * x_pairs_size_;
  std::uint32_t* xt = xt_ + thread * C16 * xt_stride_;
  std::uint32_t* dz_pairs = dz_pairs_ + thread * pairs_size_;
  round_image(x, x16);
  bf16_.pair_rows(x16, s_.C, x_pairs, C16, positions, s_.C);
  transpose_words(step.kernels, x_pairs, C16, xt, xt_stride_,
                  static_cast<int>((positions + 1) / 2), static_cast<int>(C16));
  bf16_.pair_rows(dz16_ + thread * z_size_ + origin_ * Kz_, Kz_, dz_pairs, K16, length_, s_.K);

  // With one channel, the rows of dW of neighboring taps are x shifted by one position each.
  const int taps = s_.C == 1 ? 1 : s_.S, m = s_.C == 1 ? s_.S : s_.C;
  const std::int64_t lda = s_.C == 1 ? 1 : 2 * xt_stride_;
  const std::uint16_t* x_rows = reinterpret_cast<const std::uint16_t*>(xt);
  float* dw = gradient_.weight_sums(thread);
  const std::int64_t rows = static_cast<std::int64_t>(s_.R) * s_.S * s_.C;
  for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel) {
    const int bk = panel_width(s_.K, panel);
    for (int r = 0; r < s_.R; ++r)  // blocks: the taps of a kernel row, a position apart
      bf16_.product({x_rows + static_cast<std::int64_t>(r) * Wp_, dz_pairs + panel * kPanel,
                     dw + panel_offset(rows, panel) +
                         static_cast<std::int64_t>(r) * s_.S * s_.C * bk,
                     nullptr, kZero, kZero, lda, K16, bk, 1,
                     static_cast<std::int64_t>(s_.C) * bk, 1, taps, m,
                     panel_columns(s_.K, panel), static_cast<int>(length_), !first, false});
  }
}

void Conv2DBf16::bwd_d_image(int thread, float* dx) const {
  const std::uint16_t* dz =
      dz16_ + thread * z_size_ +
      (static_cast<std::int64_t>(s_.pad_top) * Wp_ + s_.pad_left) * Kz_;
  for (std::int64_t panel = 0; panel < panel_count(s_.C); ++panel)
    bf16_.product({dz, flipped_ + thread * f_size_, dx + panel * kPanel, nullptr, z_row_.data(),
                   f_offset_.data() + panel * s_.R, Kz_, panel_width(s_.C, panel), s_.C,
                   static_cast<std::int64_t>(Wp_) * Kz_, static_cast<std::int64_t>(s_.W) * s_.C,
                   s_.R, s_.H, s_.W, panel_columns(s_.C, panel), s_.S * Kz_, false,
                   false});  // beta = 0
}

std::vector<Sweep> Conv2DBf16::bwd_sweeps() {
  Sweep sweep;
  sweep.prepare = [this](const Step& step, int thread) { prepare_bwd(step, thread); };
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    bwd_image(step, n, thread);
  };
  sweep.end = [this](const Step& step, int thread) {
    if (step.update != nullptr) gradient_.update(step, thread);
  };
  return {sweep};
}

void Conv2DBf16::prepare_bwd(const Step& step, int thread) {
  gradient_.prepare(step, thread);
  const Range images = share_of(step.n, thread, step.threads);
  if (images.begin != images.end && x_.grad != nullptr)
    pack_flipped(step, flipped_ + thread * f_size_);
}

void Conv2DBf16::bwd_image(const Step& step, std::int64_t n, int thread) {
  derive(step, y_.data + n * y_.stride, y_.grad_of(n, thread), thread,
         gradient_.bias_sums(thread));
  if (step.update != nullptr && weights_.trainable)
    bwd_w_image(step, x_.data + n * x_.stride, thread,
                n == share_of(step.n, thread, step.threads).begin);
  if (x_.grad != nullptr) bwd_d_image(thread, x_.grad_of(n, thread));
}

}  // namespace penmark
