#include "dense.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "pack.h"

namespace penmark {
namespace {

constexpr std::int64_t kZero[1] = {0};
// Reduction at a time in fwd: 136 rows of a panel are 17 KB; with the 8 KB of a register tile's
// rows of x they stay in L1, even where another process shares it.
constexpr std::int64_t kReduction = 136;
// Images at a time in fwd: they stay in L2 (784 KB of 784 features) while all panels pass by.
constexpr std::int64_t kForwardImages = 256;
// Panels of the weights at a time in bwd_d: enough work for a register tile of dx^T between its load
// and its store, and few enough for their blocks of the weights to stay in L2 until their update.
constexpr std::int64_t kGroup = 6;
// Rows of weights whose gradient is one block: at most 8 register tiles of 14; 14 KB, so that the
// update finds them in L1.
constexpr std::int64_t kRowBlock = 112;
static_assert(kRowBlock >= SparseInput::kTileRows);
constexpr int kImages = 128;  // images at a time in bwd_w
constexpr std::int64_t kDeriveImages = 16;  // a vector's lanes at most: see dz_t
// With fewer panels than this, x is read too few times for a packed copy to pay.
constexpr std::int64_t kPackFromPanels = 4;

std::int64_t quotient_up(std::int64_t n, std::int64_t by) { return n > 0 ? (n + by - 1) / by : 0; }

// The panels of which `block` is in `share`, blocks dealt out in the same order.
Range panels_in(const Range& share, std::int64_t block, std::int64_t blocks) {
  return {quotient_up(share.begin - block, blocks), quotient_up(share.end - block, blocks)};
}

// Size of equal parts of at most `most` each; the last one may be shorter. total > 0
std::int64_t equal_parts(std::int64_t total, std::int64_t most) {
  const std::int64_t parts = (total + most - 1) / most;
  return (total + parts - 1) / parts;
}

}  // namespace

Dense::Dense(const Tensor& x, const Tensor& y, Param& weights, Param* bias, Activation activation,
             int N, int threads, bool training, int tile_rows, Arena& arena)
    : x_(x), y_(y), weights_(weights), bias_(bias), activation_(activation), N_(N),
      C_(x.features), K_(y.features), panels_(panel_count(K_)), tile_rows_(tile_rows),
      tile_columns_(equal_parts(C_, tile_rows)),
      looks_for_zeros_(panels_ >= kPackFromPanels),
      looks_for_slope_(looks_for_zeros_ && x.grad != nullptr && x.slope != Activation::linear) {
  // Whole tiles and whole groups of a list.
  const std::int64_t whole = std::lcm(tile_columns_, std::int64_t{kSparseRows});
  row_block_ = round_up(equal_parts(C_, kRowBlock / whole * whole), whole);  // at most kRowBlock
  if (panels_ >= kPackFromPanels && N > 1) {
    // No batch has more tiles than this, nor all its tiles together more rows.
    const std::int64_t tiles = (N + tile_rows - 1) / tile_rows;
    arena.reserve(&packed_, std::max((N + tiles) * padded_columns(C_) + tiles * kPackSlack,
                                     round_up(C_, tile_columns_) * N));
  }
  if (looks_for_zeros_) sparse_.reserve(arena, x, N, threads, training);
  if (!training) return;
  arena.reserve(&dz_, panels_ * (N + 1) * kPanel);
  arena.reserve(&tiles_, threads * kRowBlock * kPanel);
  if (x.grad != nullptr) {
    const std::int64_t image_panels = panel_count(N);
    arena.reserve(&dz_t_, image_panels * padded_columns(K_) * kPanel);
    arena.reserve(&dx_t_, threads * image_panels * C_ * kPanel);
    arena.reserve(&turned_, threads * kPanel * kPanel);
    if (looks_for_slope_) live_.reserve(arena, x, row_block_, N, threads);
    for (std::int64_t p = 0; p < kGroup; ++p) {
      w_offset_.push_back(p * C_ * kPanel);
      z_offset_.push_back(p * kPanel * kPanel);
    }
  }
  bias_gradient_.reserve(arena, K_, threads);
}

void Dense::fwd(const Step& step, int thread) {
  if (looks_for_zeros_) {
    sparse_.count(step, thread);
    if (looks_for_slope_) live_.list(step, thread);
    step.barrier.wait();
  }
  if (!looks_for_zeros_ || !sparse_.few_by_image(step)) return fwd_packed(step, thread);
  sparse_.list_by_image(step, thread);
  step.barrier.wait();
  sparse_.fwd(step, thread, weights_, bias_ != nullptr ? bias_->w : nullptr, activation_, y_);
}

// Images outermost: x is read once, and each part of a panel once for all the images in L2. With
// the panels outermost, x came from L3 for each of them.
void Dense::fwd_packed(const Step& step, int thread) {
  const bool packs = packed_ != nullptr && step.n > 1;
  // Images are dealt out and taken a tile at a time.
  const std::int64_t R = packs ? equal_parts(step.n, tile_rows_) : 1;
  const std::int64_t tiles = (step.n + R - 1) / R, tile_size = padded_columns(C_) * R + kPackSlack;
  if (packs) {
    const Range own = share_of(tiles, thread, step.threads);
    for (std::int64_t t = own.begin; t < own.end; ++t)
      step.kernels.pack_rows(x_.data + t * R * x_.stride, x_.stride, packed_ + t * tile_size,
                             R, static_cast<int>(std::min(R, step.n - t * R)),
                             static_cast<int>(padded_columns(C_)));
    step.barrier.wait();
  }
  const auto product_kernel = packs ? step.kernels.brgemm_at : step.kernels.brgemm;
  const std::int64_t block_tiles = equal_parts(tiles, std::max<std::int64_t>(kForwardImages / R, 1));
  const bool relu = activation_ == Activation::relu;
  // Cut in the middle of a panel where need be, so that 25 panels are as much work for each of 2
  // threads; and as in bwd_w, so that a thread finds the weights it updated in its own cache.
  const Range share = share_of(panels_ * tiles, thread, step.threads);
  for (std::int64_t block = 0; block < tiles; block += block_tiles) {
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const Range own = share_in_group(share, panel, tiles);
      const std::int64_t t0 = std::max(own.begin, block), t1 = std::min(own.end, block + block_tiles);
      if (t0 >= t1) continue;
      const std::int64_t n0 = t0 * R;
      const int rows = static_cast<int>(std::min<std::int64_t>(t1 * R, step.n) - n0);
      const int bk = panel_width(K_, panel), columns = panel_columns(K_, panel);
      float* y = y_.data + n0 * y_.stride + panel * kPanel;
      // Half as wide, a panel's part may be twice as long.
      const std::int64_t most = kReduction * kPanel / bk, parts = (C_ + most - 1) / most;
      for (std::int64_t part = 0; part < parts; ++part) {
        const std::int64_t c0 = C_ * part / parts, c1 = C_ * (part + 1) / parts;
        const bool last = part + 1 == parts;
        const float* bias = last && bias_ != nullptr ? bias_->w + panel * kPanel : nullptr;
        const float* w = weights_.w + panel_offset(C_, panel) + c0 * bk;
        const float* x = packs ? packed_ + t0 * tile_size + c0 * R : x_.data + n0 * x_.stride + c0;
        Brgemm product{x, w, y, bias, kZero, kZero, packs ? R : x_.stride, bk,
                       y_.stride, 1, rows, columns, static_cast<int>(c1 - c0), part > 0,
                       last && relu};  // beta = part > 0, + bias + relu at the end
        if (packs) product.a_tile = tile_size;
        if (bk == kPanel) {  // the next part of the weights follows; past the end is harmless
          product.ahead[0] = w + (c1 - c0) * bk;
          product.ahead_lines = static_cast<int>((c1 - c0) * bk / 16);
        }
        product_kernel(product);
      }
      if (activation_ != Activation::linear && !relu)
        for (int i = 0; i < rows; ++i, y += y_.stride)
          step.kernels.activate(activation_, 0.0f, y, y, columns);
    }
  }
}

Dense::Way Dense::way_back(const Step& step) const {
  return {looks_for_slope_ && live_.few(step),
          looks_for_zeros_ && step.update != nullptr && weights_.trainable &&
              sparse_.few_by_feature(step)};
}

void Dense::bwd(const Step& step, int thread) {
  const Way way = way_back(step);
  prepare(step, thread, way);
  step.barrier.wait();
  if (way.sparse && sparse_.wants_sum()) {
    sum_images(step, thread);
    step.barrier.wait();
  }
  // With a gradient to the input the weights are read once for both.
  if (way.sparse && x_.grad == nullptr)
    sparse_.bwd_w(step, thread, dz_, weights_, tiles_ + thread * kRowBlock * kPanel);
  else
    bwd_w_and_d(step, thread, way);
  if (x_.grad != nullptr) {
    step.barrier.wait();
    way.live ? live_.add_up(step, thread) : add_up_d(step, thread);
  }
  if (step.update != nullptr && bias_ != nullptr && bias_->trainable)
    bias_gradient_.apply(step, *bias_, thread);
}

// A thread's images of dz, as panels, and of x, in tiles of features. bwd_w walks down images: in
// rows as they lie, each image is another page, which misses the 96 entries of the TLB's first level
// and is too far for the prefetchers.
void Dense::prepare(const Step& step, int thread, const Way& way) {
  float* bias_sums = bias_gradient_.of(thread);
  std::memset(bias_sums, 0, static_cast<std::size_t>(K_) * sizeof(float));
  const Range images = share_of(step.n, thread, step.threads, kDeriveImages);
  for (std::int64_t n = images.begin; n < images.end; n += kDeriveImages) {
    const std::int64_t rows = std::min(kDeriveImages, images.end - n);
    float* columns = dz_t_ + (n / kPanel) * padded_columns(K_) * kPanel + n % kPanel;
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const std::int64_t at = n * y_.stride + panel * kPanel;
      step.kernels.derive_rows(activation_, y_.data + at, y_.grad + at, y_.stride,
                               dz_ + (panel * (N_ + 1) + n) * kPanel, kPanel, rows,
                               panel_columns(K_, panel), bias_sums + panel * kPanel);
      if (x_.grad != nullptr && !way.live)
        step.kernels.transpose(dz_ + (panel * (N_ + 1) + n) * kPanel, kPanel,
                               columns + panel * kPanel * kPanel, kPanel, static_cast<int>(rows),
                               panel_width(K_, panel));
    }
  }
  if (step.update == nullptr || !weights_.trainable) return;
  if (way.sparse) return sparse_.list_by_feature(step, thread);
  if (packed_ == nullptr) return;
  for (std::int64_t n = images.begin; n < images.end; n += kDeriveImages) {
    const std::int64_t rows = std::min(kDeriveImages, images.end - n);
    for (std::int64_t c = 0; c < C_; c += tile_columns_) {
      step.kernels.pack_columns(x_.data + n * x_.stride + c, x_.stride,
                                packed_ + c * N_ + n * tile_columns_, tile_columns_, rows,
                                static_cast<int>(std::min(tile_columns_, C_ - c)));
    }
  }
}

// The last row of dz: the sum over the images, for the panels that are this thread's.
void Dense::sum_images(const Step& step, int thread) {
  const Range own = share_of(panels_, thread, step.threads);
  for (std::int64_t panel = own.begin; panel < own.end; ++panel) {
    float* sum = dz_ + (panel * (N_ + 1) + N_) * kPanel;
    for (int k = 0; k < panel_columns(K_, panel); ++k) {
      sum[k] = 0.0f;
      for (int t = 0; t < step.threads; ++t) sum[k] += bias_gradient_.of(t)[panel * kPanel + k];
    }
  }
}

// dx^T = W dz^T and dW = x^T dz, block by block of W, and the update of each block while it is in
// L1: with small batches the traffic of weights and optimizer state is most of a dense layer's time,
// and so W is read once for both. Taken in this order W need not be transposed, only dz and dx, which
// are small; dx is summed up over the panels, by each thread over its own. Rows outermost, so that
// their block of x stays in L2.
void Dense::bwd_w_and_d(const Step& step, int thread, const Way& way) {
  const bool wants_weights = step.update != nullptr && weights_.trainable;
  const bool wants_dx = x_.grad != nullptr;
  float* tile = tiles_ + thread * kRowBlock * kPanel;
  const std::int64_t blocks = (C_ + row_block_ - 1) / row_block_;
  const std::int64_t bn = equal_parts(step.n, kImages);
  const std::int64_t x_stride = packed_ != nullptr ? tile_columns_ : x_.stride;
  const std::int64_t image_panels = panel_count(step.n), dz_t_size = padded_columns(K_) * kPanel;
  float* dx_t = dx_t_ + thread * panel_count(N_) * C_ * kPanel;
  const Range share = share_of(panels_ * blocks, thread, step.threads);
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t c0 = block * row_block_;
    const int rows = static_cast<int>(std::min(row_block_, C_ - c0));
    const float* x = packed_ != nullptr ? packed_ + c0 * N_ : x_.data + c0;
    const Range own = panels_in(share, block, blocks);
    if (wants_dx && way.live && own.begin < own.end)
      live_.product(step, thread, block, own, dz_, weights_);
    for (std::int64_t p0 = own.begin; p0 < own.end;) {
      const int bk = panel_width(K_, p0), k = panel_columns(K_, p0);
      std::int64_t p1 = p0 + 1;
      while (p1 < own.end && p1 < p0 + kGroup && panel_columns(K_, p1) == kPanel) ++p1;
      const std::int64_t at0 = panel_offset(C_, p0) + c0 * bk;
      for (std::int64_t i = 0; wants_dx && !way.live && i < image_panels; ++i)
        step.kernels.brgemm({weights_.w + at0, dz_t_ + i * dz_t_size + p0 * kPanel * kPanel,
                             dx_t + (i * C_ + c0) * kPanel, nullptr, w_offset_.data(),
                             z_offset_.data(), bk, kPanel, kPanel, static_cast<int>(p1 - p0), rows,
                             panel_columns(step.n, i), k, p0 > own.begin, false});
      // Soon after this block of the weights comes the next group's, or the next block.
      std::int64_t next = 0;
      if (wants_dx && !way.live && p0 + kGroup < own.end) next = kGroup * C_ * kPanel;
      else if (wants_dx && block + 1 < blocks) next = rows * bk;
      if (way.sparse)
        sparse_.bwd_w_block(step, {c0, c0 + rows}, {p0, p1}, next, dz_, weights_, tile);
      for (std::int64_t panel = p0; wants_weights && !way.sparse && panel < p1; ++panel) {
        const std::int64_t at = panel_offset(C_, panel) + c0 * bk;
        const auto slot = [&](std::size_t i) -> const float* {
          return weights_.slot[i] != nullptr ? weights_.slot[i] + at : nullptr;
        };
        if (k < bk) std::memset(tile, 0, sizeof(float) * static_cast<std::size_t>(rows * bk));
        for (std::int64_t n0 = 0; n0 < step.n; n0 += bn) {
          Brgemm product{x + n0 * x_stride, dz_ + (panel * (N_ + 1) + n0) * kPanel, tile, nullptr,
                         kZero, kZero, x_stride, kPanel, bk, 1, rows, k,
                         static_cast<int>(std::min(bn, step.n - n0)), n0 > 0, false};
          if (packed_ != nullptr) product.a_tile = tile_columns_ * N_;
          if (n0 + bn >= step.n) {  // the update comes next and reads these, then the next group
            product.ahead[0] = weights_.w + at + next;
            product.ahead[1] = slot(0);
            product.ahead[2] = slot(1);
            product.ahead_lines = rows * bk / 16;
          }
          step.kernels.brgemm_at(product);
        }
        step.update->apply(step.kernels, weights_, at, tile,
                           static_cast<std::int64_t>(rows) * bk);
      }
      p0 = p1;
    }
  }
}

// dx from the threads' sums of dx^T, blocks of 32 by 32 dealt out to the threads.
void Dense::add_up_d(const Step& step, int thread) {
  float* turned = turned_ + thread * kPanel * kPanel;
  const std::int64_t blocks = (C_ + row_block_ - 1) / row_block_;
  const std::int64_t panels = panel_count(C_), size = panel_count(N_) * C_ * kPanel;
  const Range share = share_of(panel_count(step.n) * panels, thread, step.threads);
  for (std::int64_t at = share.begin; at < share.end; ++at) {
    const std::int64_t n0 = at / panels * kPanel, c0 = at % panels * kPanel;
    const int images = panel_columns(step.n, at / panels);
    const int channels = panel_columns(C_, at % panels);
    float* sum = dx_t_ + (n0 / kPanel * C_ + c0) * kPanel;
    // A block of rows has a sum from each thread that had a panel of it; the rows of this one may
    // belong to several blocks.
    for (std::int64_t c = c0; c < c0 + channels;) {
      const std::int64_t block = c / row_block_;
      const std::int64_t end = std::min((block + 1) * row_block_, c0 + channels);
      const std::int64_t from = (c - c0) * kPanel, count = (end - c) * kPanel;
      bool first = true;
      for (int t = 0; t < step.threads; ++t) {
        const Range own = panels_in(share_of(panels_ * blocks, t, step.threads), block, blocks);
        if (own.begin >= own.end) continue;
        const float* other = sum + t * size + from;
        if (first && t > 0)
          std::memcpy(sum + from, other, static_cast<std::size_t>(count) * sizeof(float));
        else if (!first)
          step.kernels.add(sum + from, other, sum + from, count);
        first = false;
      }
      c = end;
    }
    step.kernels.transpose(sum, kPanel, turned, kPanel, channels, panel_width(step.n, at / panels));
    for (int n = 0; n < images; ++n)
      std::memcpy(x_.grad + (n0 + n) * x_.stride + c0, turned + n * kPanel,
                  static_cast<std::size_t>(channels) * sizeof(float));
  }
}

}  // namespace penmark
