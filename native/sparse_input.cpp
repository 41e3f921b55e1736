#include "sparse_input.h"

#include <algorithm>

#include "pack.h"

namespace penmark {
namespace {

// Where more than this share of the lists is left, the packed products are as quick.
constexpr double kMostListed = 0.8;
constexpr std::int64_t kTurn = 64;    // images turned at a time
constexpr std::int64_t kLine = 8;     // counts of one thread
constexpr std::int64_t kPanels = 3;   // side by side in a register tile, where it is that wide
constexpr std::int64_t kFeatures = SparseInput::kTileRows / kPanels;  // in a gradient tile

// Panels beside each other of whose `rows` rows a thread has the same.
struct Strip {
  std::int64_t panel, panels, begin, end;
};

// The next strip of a thread's share of panels by rows, dealt out in that order; begins at `panel`.
Strip strip_from(const Range& share, std::int64_t panel, std::int64_t rows, std::int64_t columns) {
  const Range first = share_in_group(share, panel, rows);
  Strip strip{panel, 1, first.begin, first.end};
  const std::int64_t count = panel_count(columns);
  for (std::int64_t p = panel + 1; p < count && strip.panels < kPanels; ++p, ++strip.panels) {
    const Range next = share_in_group(share, p, rows);
    if (next.begin != first.begin || next.end != first.end || panel_width(columns, p) != kPanel)
      break;
  }
  return strip;
}

}  // namespace

void SparseInput::reserve(Arena& arena, const Tensor& x, int N, int threads, bool training) {
  x_ = &x;
  N_ = N;
  C_ = x.features;
  const std::int64_t by_image = round_up(N, kSparseRows) * padded_columns(C_);
  const std::int64_t by_feature = training ? padded_columns(C_) * padded_columns(N + 1) : 0;
  arena.reserve(&values_, std::max(by_image, by_feature));
  arena.reserve(&places_, std::max(by_image, by_feature) / kSparseRows);
  arena.reserve(&lengths_, std::max<std::int64_t>(round_up(N, kSparseRows), padded_columns(C_)) /
                               kSparseRows);
  arena.reserve(&counts_, threads * kLine);
  if (training) arena.reserve(&turned_, threads * 16 * kTurn);
  const std::int64_t width = padded_columns(C_);
  arena.reserve(&usual_, (1 + threads) * width);
  if (!training || (x.slope != Activation::sigmoid && x.slope != Activation::tanh)) return;
  arena.reserve(&balance_, threads * width);
  arena.reserve(&usual_values_, threads * kSparseRows * width);
  arena.reserve(&usual_places_, threads * width);
  arena.reserve(&base_, threads * kPanels * kPanel);
}

const float* SparseInput::usual_of(int thread) const {
  return usual_ + (balance_ != nullptr ? (1 + thread) * padded_columns(C_) : 0);
}

// The limit at which most of the batch's images are that are at one. Each thread has its own copy.
void SparseInput::find_usual(const Step& step, int thread) {
  const float lower = x_->slope == Activation::tanh ? -1.0f : 0.0f, upper = 1.0f;
  const std::int64_t width = padded_columns(C_);
  const Range images = share_of(step.n, thread, step.threads, kSparseRows);
  std::int32_t* own = balance_ + thread * width;
  std::fill(own, own + width, 0);
  step.kernels.count_limits(x_->data + images.begin * x_->stride, x_->stride,
                            images.end - images.begin, C_, lower, upper, own);
  step.barrier.wait();
  float* usual = usual_ + (1 + thread) * width;
  for (std::int64_t c = 0; c < C_; ++c) {
    std::int32_t balance = 0;
    for (int t = 0; t < step.threads; ++t) balance += balance_[t * width + c];
    usual[c] = balance > 0 ? upper : balance < 0 ? lower : 0.0f;
  }
}

void SparseInput::count(const Step& step, int thread) {
  if (balance_ != nullptr) find_usual(step, thread);
  const Range images = share_of(step.n, thread, step.threads, kSparseRows);
  const NonzeroCounts counts =
      step.kernels.count_nonzeros(x_->data + images.begin * x_->stride, x_->stride,
                                  usual_of(thread), images.end - images.begin, C_);
  counts_[thread * kLine] = counts.groups_of_rows;
  counts_[thread * kLine + 1] = counts.groups_of_columns;
}

bool SparseInput::few_by_image(const Step& step) const {
  std::int64_t listed = 0;
  for (int t = 0; t < step.threads; ++t) listed += counts_[t * kLine];
  return listed <= kMostListed * static_cast<double>(round_up(step.n, kSparseRows) / kSparseRows * C_);
}

bool SparseInput::few_by_feature(const Step& step) const {
  std::int64_t listed = 0;
  for (int t = 0; t < step.threads; ++t) listed += counts_[t * kLine + 1];
  return listed <= kMostListed * static_cast<double>(round_up(C_, kSparseRows) / kSparseRows * step.n);
}

void SparseInput::list_by_image(const Step& step, int thread) {
  const std::int64_t width = padded_columns(C_);
  const Range images = share_of(step.n, thread, step.threads, kSparseRows);
  for (std::int64_t n = images.begin; n < images.end; n += kSparseRows)
    lengths_[n / kSparseRows] = step.kernels.list_nonzeros(
        x_->data + n * x_->stride, x_->stride, usual_of(thread),
        static_cast<int>(std::min<std::int64_t>(kSparseRows, images.end - n)), C_, 0,
        values_ + n * width, width, places_ + n / kSparseRows * width);
}

// u W + bias for some panels.
const float* SparseInput::usual_product(const Step& step, int thread, const float* w, int bk,
                                        int columns, const float* bias) {
  const std::int64_t width = padded_columns(C_);
  float* values = usual_values_ + thread * kSparseRows * width;
  std::int32_t* places = usual_places_ + thread * width;
  float* base = base_ + thread * kPanels * kPanel;
  const int count = step.kernels.list_nonzeros(usual_of(thread), width, usual_, 1, C_, 0, values,
                                               width, places);
  step.kernels.sparse_product({values, places, w, base, bias, width, bk, C_ * kPanel, kPanel,
                               kPanel, count, 1, columns, false});
  return base;
}

void SparseInput::fwd(const Step& step, int thread, const Param& weights, const float* bias,
                      Activation activation, const Tensor& y) {
  const bool relu = activation == Activation::relu;
  const std::int64_t K = y.features, width = padded_columns(C_);
  const std::int64_t groups = (step.n + kSparseRows - 1) / kSparseRows;
  const Range share = share_of(panel_count(K) * groups, thread, step.threads);
  for (std::int64_t panel = share.begin / groups; panel * groups < share.end;) {
    const Strip strip = strip_from(share, panel, groups, K);
    const int bk = panel_width(K, panel);
    const std::int64_t at = panel * kPanel;
    panel += strip.panels;
    const std::int64_t columns = std::min(panel * kPanel, K) - at;
    const float* w = weights.w + panel_offset(C_, at / kPanel);
    // The next strip's weights, past the end harmless; each product fetches its part.
    const std::int64_t lines = panel * groups < share.end ? strip.panels * C_ * bk / 16 : 0;
    const float* base = bias != nullptr ? bias + at : nullptr;
    if (balance_ != nullptr)
      base = usual_product(step, thread, w, bk, static_cast<int>(columns), base);
    for (std::int64_t group = strip.begin; group < strip.end; ++group) {
      const std::int64_t n = group * kSparseRows, size = strip.end - strip.begin;
      SparseProduct product{values_ + n * width, places_ + group * width, w,
                            y.data + n * y.stride + at, base, width, bk, C_ * kPanel, y.stride,
                            kPanel, lengths_[group],
                            static_cast<int>(std::min<std::int64_t>(kSparseRows, step.n - n)),
                            static_cast<int>(columns), relu};
      const std::int64_t from = lines * (group - strip.begin) / size;
      product.ahead[0] = w + strip.panels * C_ * bk + from * 16;
      product.ahead_lines = static_cast<int>(lines * (group + 1 - strip.begin) / size - from);
      step.kernels.sparse_product(product);
      if (activation == Activation::linear || relu) continue;
      for (int i = 0; i < product.m; ++i, product.c += y.stride)
        step.kernels.activate(activation, 0.0f, product.c, product.c, columns);
    }
  }
}

void SparseInput::list_by_feature(const Step& step, int thread) {
  constexpr std::int64_t kBlock = 16;  // features turned at a time
  const std::int64_t width = padded_columns(N_ + 1);
  const float* usual = usual_of(thread);
  float* turned = turned_ + thread * kBlock * kTurn;
  const Range features = share_of(padded_columns(C_), thread, step.threads, kBlock);
  for (std::int64_t c = features.begin; c < features.end; c += kBlock) {
    int* lengths = lengths_ + c / kSparseRows;
    std::fill(lengths, lengths + kBlock / kSparseRows, 0);
    for (std::int64_t n = 0; n < step.n; n += kTurn) {
      const std::int64_t images = std::min(kTurn, step.n - n);
      step.kernels.transpose(x_->data + n * x_->stride + c, x_->stride, turned, kTurn,
                             static_cast<int>(images), static_cast<int>(kBlock));
      for (std::int64_t i = 0; i < kBlock; ++i)
        if (usual[c + i] != 0.0f)
          step.kernels.scale_f32(turned + i * kTurn, turned + i * kTurn, images, 1.0f, -usual[c + i]);
      for (std::int64_t g = 0; g < kBlock / kSparseRows; ++g)
        lengths[g] += step.kernels.list_nonzeros(
            turned + g * kSparseRows * kTurn, kTurn, usual_, kSparseRows, images,
            static_cast<int>(n), values_ + (c + g * kSparseRows) * width + lengths[g], width,
            places_ + (c / kSparseRows + g) * width + lengths[g]);
    }
    for (std::int64_t g = 0; g < kBlock / kSparseRows; ++g) {
      const float* of = usual + c + g * kSparseRows;
      if (std::all_of(of, of + kSparseRows, [](float u) { return u == 0.0f; })) continue;
      for (std::int64_t i = 0; i < kSparseRows; ++i)
        values_[(c + g * kSparseRows + i) * width + lengths[g]] = of[i];
      places_[(c / kSparseRows + g) * width + lengths[g]++] = static_cast<std::int32_t>(N_);
    }
  }
}

// Panels outermost: their dz stays in L2 while the lists, which are short, pass by.
void SparseInput::bwd_w(const Step& step, int thread, const float* dz, Param& weights, float* tile) {
  const std::int64_t blocks = (C_ + kFeatures - 1) / kFeatures;
  const Range share = share_of(panel_count(weights.columns) * blocks, thread, step.threads);
  for (std::int64_t panel = share.begin / blocks; panel * blocks < share.end;) {
    const Strip strip = strip_from(share, panel, blocks, weights.columns);
    for (std::int64_t block = strip.begin; block < strip.end; ++block)
      gradient_tile(step, {block * kFeatures, std::min((block + 1) * kFeatures, C_)},
                    {panel, panel + strip.panels}, 0, dz, weights, tile);
    panel += strip.panels;
  }
}

void SparseInput::bwd_w_block(const Step& step, const Range& rows, const Range& panels,
                              std::int64_t next, const float* dz, Param& weights, float* tile) {
  for (std::int64_t panel = panels.begin; panel < panels.end; panel += kPanels)
    for (std::int64_t c = rows.begin; c < rows.end; c += kFeatures)
      gradient_tile(step, {c, std::min(c + kFeatures, rows.end)},
                    {panel, std::min(panel + kPanels, panels.end)}, next, dz, weights, tile);
}

// The gradient to some rows and panels of W, rows from a multiple of kSparseRows on, and the update.
void SparseInput::gradient_tile(const Step& step, const Range& rows, const Range& panels,
                                std::int64_t next, const float* dz, Param& weights, float* tile) {
  const std::int64_t K = weights.columns, width = padded_columns(N_ + 1), image_rows = N_ + 1;
  const std::int64_t count = panels.end - panels.begin, height = rows.end - rows.begin;
  const int bk = panel_width(K, panels.begin);
  const std::int64_t columns = std::min(panels.end * kPanel, K) - panels.begin * kPanel;
  const std::int64_t from = panel_offset(C_, panels.begin) + rows.begin * bk;
  const std::int64_t groups = (height + kSparseRows - 1) / kSparseRows;
  if (columns % bk != 0) std::fill(tile, tile + count * height * bk, 0.0f);
  for (std::int64_t c = rows.begin; c < rows.end; c += kSparseRows) {
    const std::int64_t group = c / kSparseRows;
    SparseProduct product{values_ + c * width, places_ + group * width,
                          dz + panels.begin * kPanel * image_rows, tile + (c - rows.begin) * bk,
                          nullptr, width, kPanel, image_rows * kPanel, bk, height * bk,
                          lengths_[group],
                          static_cast<int>(std::min<std::int64_t>(kSparseRows, rows.end - c)),
                          static_cast<int>(columns), false};
    // The update comes next and reads these: each product fetches a part of one panel's.
    const std::int64_t number = (c - rows.begin) / kSparseRows * count;
    const std::int64_t of = number / groups, lines = height * bk / 16;
    const std::int64_t begin = lines * (number % groups) / groups;
    const std::int64_t place = from + of * C_ * bk + begin * 16;
    const auto slot = [&](std::size_t i) -> const float* {
      return weights.slot[i] != nullptr ? weights.slot[i] + place : nullptr;
    };
    product.ahead[0] = weights.w + place + next;
    product.ahead[1] = slot(0);
    product.ahead[2] = slot(1);
    product.ahead_lines = static_cast<int>(
        std::min(lines, lines * (number % groups + count) / groups) - begin);
    step.kernels.sparse_product(product);
  }
  for (std::int64_t p = 0; p < count; ++p)
    step.update->apply(step.kernels, weights, from + p * C_ * bk, tile + p * height * bk,
                       height * bk);
}

}  // namespace penmark
