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
  const std::int64_t by_feature = training ? padded_columns(C_) * padded_columns(N) : 0;
  arena.reserve(&values_, std::max(by_image, by_feature));
  arena.reserve(&places_, std::max(by_image, by_feature) / kSparseRows);
  arena.reserve(&lengths_, std::max<std::int64_t>(round_up(N, kSparseRows), padded_columns(C_)) /
                               kSparseRows);
  arena.reserve(&counts_, threads * kLine);
  if (training) arena.reserve(&turned_, threads * 16 * kTurn);
}

void SparseInput::count(const Step& step, int thread) {
  const Range images = share_of(step.n, thread, step.threads, kSparseRows);
  const NonzeroCounts counts = step.kernels.count_nonzeros(
      x_->data + images.begin * x_->stride, x_->stride, images.end - images.begin, C_);
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
        x_->data + n * x_->stride, x_->stride,
        static_cast<int>(std::min<std::int64_t>(kSparseRows, images.end - n)), C_, 0,
        values_ + n * width, width, places_ + n / kSparseRows * width);
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
    for (std::int64_t group = strip.begin; group < strip.end; ++group) {
      const std::int64_t n = group * kSparseRows, size = strip.end - strip.begin;
      SparseProduct product{values_ + n * width, places_ + group * width, w,
                            y.data + n * y.stride + at,
                            bias != nullptr ? bias + at : nullptr, width, bk, C_ * kPanel, y.stride,
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
  const std::int64_t width = padded_columns(N_);
  float* turned = turned_ + thread * kBlock * kTurn;
  const Range features = share_of(padded_columns(C_), thread, step.threads, kBlock);
  for (std::int64_t c = features.begin; c < features.end; c += kBlock) {
    int* lengths = lengths_ + c / kSparseRows;
    std::fill(lengths, lengths + kBlock / kSparseRows, 0);
    for (std::int64_t n = 0; n < step.n; n += kTurn) {
      const std::int64_t images = std::min(kTurn, step.n - n);
      step.kernels.transpose(x_->data + n * x_->stride + c, x_->stride, turned, kTurn,
                             static_cast<int>(images), static_cast<int>(kBlock));
      for (std::int64_t g = 0; g < kBlock / kSparseRows; ++g)
        lengths[g] += step.kernels.list_nonzeros(
            turned + g * kSparseRows * kTurn, kTurn, kSparseRows, images, static_cast<int>(n),
            values_ + (c + g * kSparseRows) * width + lengths[g], width,
            places_ + (c / kSparseRows + g) * width + lengths[g]);
    }
  }
}

// Panels outermost: their dz stays in L2 while the lists, which are short, pass by.
void SparseInput::bwd_w(const Step& step, int thread, const float* dz, Param& weights, float* tile) {
  const std::int64_t K = weights.columns, width = padded_columns(N_);
  const std::int64_t blocks = (C_ + kFeatures - 1) / kFeatures;
  const Range share = share_of(panel_count(K) * blocks, thread, step.threads);
  for (std::int64_t panel = share.begin / blocks; panel * blocks < share.end;) {
    const Strip strip = strip_from(share, panel, blocks, K);
    const int bk = panel_width(K, panel);
    const std::int64_t at = panel * kPanel, panel_size = C_ * bk;
    panel += strip.panels;
    const std::int64_t columns = std::min(panel * kPanel, K) - at;
    for (std::int64_t block = strip.begin; block < strip.end; ++block) {
      const std::int64_t c0 = block * kFeatures, c1 = std::min(c0 + kFeatures, C_);
      const std::int64_t rows = c1 - c0, groups = (rows + kSparseRows - 1) / kSparseRows;
      const std::int64_t from = panel_offset(C_, at / kPanel) + c0 * bk;
      if (columns % bk != 0)
        std::fill(tile, tile + strip.panels * rows * bk, 0.0f);
      for (std::int64_t c = c0; c < c1; c += kSparseRows) {
        const std::int64_t group = c / kSparseRows;
        SparseProduct product{values_ + c * width, places_ + group * width,
                              dz + at * N_, tile + (c - c0) * bk, nullptr, width, kPanel,
                              N_ * kPanel, bk, rows * bk, lengths_[group],
                              static_cast<int>(std::min<std::int64_t>(kSparseRows, c1 - c)),
                              static_cast<int>(columns), false};
        // The update comes next and reads these: each product fetches a part of one panel's.
        const std::int64_t number = (c - c0) / kSparseRows * strip.panels;
        const std::int64_t of = number / groups, lines = rows * bk / 16;
        const std::int64_t begin = lines * (number % groups) / groups;
        const std::int64_t place = from + of * panel_size + begin * 16;
        const auto slot = [&](std::size_t i) -> const float* {
          return weights.slot[i] != nullptr ? weights.slot[i] + place : nullptr;
        };
        product.ahead[0] = weights.w + place;
        product.ahead[1] = slot(0);
        product.ahead[2] = slot(1);
        product.ahead_lines = static_cast<int>(
            std::min(lines, lines * (number % groups + strip.panels) / groups) - begin);
        step.kernels.sparse_product(product);
      }
      for (std::int64_t p = 0; p < strip.panels; ++p)
        step.update->apply(step.kernels, weights, from + p * panel_size, tile + p * rows * bk,
                           rows * bk);
    }
  }
}

}  // namespace penmark
