#include "winograd.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

constexpr int kLine = 16;  // floats that are fetched at once: a line of the cache
// Transformed inputs and outputs of a block, which have to stay in L2 beside the weights.
constexpr std::int64_t kBlockBytes = 512 * 1024;
// Tiles to reduce over in bwd_w, so that reading and writing the sums does not cost more.
constexpr int kReduction = 64;
// Transformed weights, 16 or 36 for every 9: more would come from memory for every image.
constexpr std::int64_t kMostWeightBytes = 1024 * 1024;
constexpr std::int64_t kNoShift[] = {0};

int quotient_up(int n, int by) { return (n + by - 1) / by; }

constexpr int points_of(int side) { return (side + 2) * (side + 2); }

// Multiplications for an image, channel and channel.
int products_of(const ConvShape& s, int side) {
  return points_of(side) * quotient_up(s.P, side) * quotient_up(s.Q, side);
}

std::int64_t weight_bytes(const ConvShape& s, int side) { return 4LL * points_of(side) * s.C * s.K; }

// Side of the tiles of outputs that make for the quickest way: 2 or 4; 0: none, tap by tap is quicker.
int best_side(const ConvShape& s) {
  if (s.R != 3 || s.S != 3 || s.stride_h != 1 || s.stride_w != 1) return 0;
  if (s.C % 16 != 0 || s.K % 16 != 0 || weight_bytes(s, 2) > kMostWeightBytes) return 0;
  if (4 * products_of(s, 2) > 3 * 9 * s.P * s.Q) return 0;
  const bool larger = weight_bytes(s, 4) <= kMostWeightBytes &&
                      4 * products_of(s, 4) <= 3 * products_of(s, 2);
  return larger ? 4 : 2;
}

// One matrix of C by K, or K by C, per point; apart by no multiple of 4 KB, so that they lie in
// different sets of the L1 cache.
std::int64_t apart(std::int64_t floats) { return floats + 16; }

// Pixels in `rows` rows of `columns`, the channels of each contiguous.
template <class T>
struct Pixels {
  T* data;
  int rows, columns, channels;
};

// A row of tiles, `high` pixels high, the first of which begins at pixel (top, left).
template <class T>
TileRow<T> tile_row(const Pixels<T>& pixels, T* outside, int top, int left, int high, int tiles) {
  TileRow<T> row{{}, outside, pixels.columns, left, pixels.channels, tiles};
  for (int i = 0; i < high; ++i)
    if (top + i >= 0 && top + i < pixels.rows)
      row.rows[i] =
          pixels.data + static_cast<std::int64_t>(top + i) * pixels.columns * pixels.channels;
  return row;
}

}  // namespace

bool WinogradConv2D::suits(const ConvShape& shape) { return best_side(shape) != 0; }

WinogradConv2D::WinogradConv2D(const Tensor& x, const Tensor& y, const ConvShape& shape,
                               Param& weights, Param* bias, Activation activation, int threads,
                               bool training, Arena& arena)
    : x_(x), y_(y), s_(shape), weights_(weights), bias_(bias), activation_(activation),
      gradient_(weights, bias, shape.K), side_(best_side(shape)), points_(points_of(side_)),
      down_(quotient_up(s_.P, side_)), across_(quotient_up(s_.Q, side_)) {
  const std::int64_t row = 4LL * points_ * across_ * (s_.C + s_.K);
  const int most = static_cast<int>(std::clamp<std::int64_t>(kBlockBytes / row, 1, 1 << 20));
  const int blocks = (down_ + most - 1) / most;
  block_rows_ = (down_ + blocks - 1) / blocks;
  if (training && blocks == 1)
    images_ = std::clamp(kReduction / (down_ * across_), 1, std::max(1, most / down_));
  const std::int64_t tiles = static_cast<std::int64_t>(images_) * block_rows_ * across_;
  x_points_ = apart(tiles * s_.C);
  y_points_ = apart(tiles * s_.K);
  w_points_ = apart(static_cast<std::int64_t>(s_.C) * s_.K);
  arena.reserve(&xt_, std::int64_t{threads} * points_ * x_points_);
  arena.reserve(&yt_, std::int64_t{threads} * points_ * y_points_);
  arena.reserve(&wt_, points_ * w_points_);
  const int widest = std::max(s_.C, s_.K);
  arena.reserve(&zeros_, widest);
  arena.reserve(&aside_, static_cast<std::int64_t>(threads) * widest);
  if (!training) return;
  arena.reserve(&dz_, static_cast<std::int64_t>(threads) * side_ * block_rows_ * s_.Q * s_.K);
  arena.reserve(&dwt_, std::int64_t{threads} * points_ * w_points_);
  if (x.grad != nullptr) {
    arena.reserve(&wt_transposed_, points_ * w_points_);
    arena.reserve(&dxt_, std::int64_t{threads} * points_ * x_points_);
  }
  gradient_.reserve(arena, threads);
}

WinogradConv2D::Block WinogradConv2D::block_from(int first_row) const {
  const int rows = std::min(block_rows_, down_ - first_row);
  return {first_row, rows, rows * across_, 0};
}

const WinogradKernels& WinogradConv2D::transforms(const Step& step) const {
  return side_ == 4 ? step.kernels.winograd_4x4 : step.kernels.winograd_2x2;
}

const float* WinogradConv2D::x_row(std::int64_t n, int row) const {
  return x_.data + n * x_.stride + static_cast<std::int64_t>(row) * s_.W * s_.C;
}

const float* WinogradConv2D::y_row(std::int64_t n, int row) const {
  return y_.data + n * y_.stride + static_cast<std::int64_t>(row) * s_.Q * s_.K;
}

// Of the wider of the two; of the other some are fetched too early or in vain.
int WinogradConv2D::lines_of(int rows) const {
  return rows * std::max(s_.W * s_.C, s_.Q * s_.K) / kLine;
}

// A panel holds, for every tap, C rows of its width: kernels side by side.
void WinogradConv2D::transform_weights(const Step& step, int thread) {
  const Range channels = share_of(s_.C, thread, step.threads);
  for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel) {
    const int width = panel_width(s_.K, panel);
    transforms(step).weights(
        weights_.w + panel_offset(9LL * s_.C, panel) + channels.begin * width,
        static_cast<std::int64_t>(s_.C) * width,
        wt_ + panel_offset(s_.C, panel) + channels.begin * width, w_points_,
        (channels.end - channels.begin) * width);
  }
}

void WinogradConv2D::transpose_weights(const Step& step, int thread) {
  const Range points = share_of(points_, thread, step.threads);
  for (std::int64_t point = points.begin; point < points.end; ++point)
    flip_panels(step.kernels, wt_ + point * w_points_, wt_transposed_ + point * w_points_, 1, 1,
                s_.C, s_.K, 0, 1);
}

void WinogradConv2D::transform_inputs(const Step& step, const float* image, const Block& block,
                                      int thread) {
  float* points = xt_ + thread * points_ * x_points_ + block.at * s_.C;
  const Pixels<const float> pixels{image, s_.H, s_.W, s_.C};
  for (int i = 0; i < block.rows; ++i)
    transforms(step).input(
        tile_row<const float>(pixels, zeros_, side_ * (block.first + i) - s_.pad_top,
                              -s_.pad_left, side_ + 2, across_),
        points + static_cast<std::int64_t>(i) * across_ * s_.C, x_points_);
}

void WinogradConv2D::multiply_points(const Step& step, const Points& from, const float* weights,
                                     const Points& to, int tiles, const Ahead& ahead) const {
  const std::int64_t panels = panel_count(to.channels), products = points_ * panels;
  for (std::int64_t product = 0; product < products; ++product) {
    const std::int64_t point = product / panels, panel = product % panels;
    Brgemm job{from.data + point * from.apart,
               weights + point * w_points_ + panel_offset(from.channels, panel),
               to.data + point * to.apart + panel * kPanel, nullptr, kNoShift, kNoShift,
               from.channels, panel_width(to.channels, panel), to.channels, 1, tiles,
               panel_columns(to.channels, panel), from.channels, false, false};
    const std::int64_t first = ahead.lines * product / products;
    for (int i = 0; i < 2; ++i) job.ahead[i] = ahead.data[i] + kLine * first;
    job.ahead_lines = static_cast<int>(ahead.lines * (product + 1) / products - first);
    step.kernels.brgemm(job);
  }
}

void WinogradConv2D::fwd_image(const Step& step, std::int64_t n, int thread) {
  float* xt = xt_ + thread * points_ * x_points_;
  float* yt = yt_ + thread * points_ * y_points_;
  float* y = y_.data + n * y_.stride;
  const Pixels<float> pixels{y, s_.P, s_.Q, s_.K};
  float* aside = aside_ + thread * std::max(s_.C, s_.K);
  const bool relu = activation_ == Activation::relu;
  for (int first = 0; first < down_; first += block_rows_) {
    const Block block = block_from(first);
    transform_inputs(step, x_.data + n * x_.stride, block, thread);
    // Where this block's outputs go, and where the layer before puts the next image's.
    const Ahead ahead{{y_row(n, side_ * first), x_row(n + 1, side_ * first)},
                      lines_of(side_ * block.rows)};
    multiply_points(step, {xt, x_points_, s_.C}, wt_, {yt, y_points_, s_.K}, block.tiles, ahead);
    for (int i = 0; i < block.rows; ++i)
      transforms(step).output(yt + static_cast<std::int64_t>(i) * across_ * s_.K, y_points_,
                           bias_ != nullptr ? bias_->w : nullptr, relu,
                           tile_row(pixels, aside, side_ * (first + i), 0, side_, across_));
  }
  if (activation_ != Activation::linear && !relu)
    step.kernels.activate(activation_, 0.0f, y, y, y_.features);
}

std::vector<Sweep> WinogradConv2D::fwd_sweeps() {
  Sweep sweep;
  sweep.begin = [this](const Step& step, int thread) { transform_weights(step, thread); };
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    fwd_image(step, n, thread);
  };
  return {sweep};
}

std::vector<Sweep> WinogradConv2D::bwd_sweeps() {
  Sweep sweep;
  if (x_.grad != nullptr)
    sweep.begin = [this](const Step& step, int thread) { transpose_weights(step, thread); };
  sweep.prepare = [this](const Step& step, int thread) { gradient_.prepare(step, thread); };
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    bwd_image(step, n, thread);
  };
  sweep.end = [this](const Step& step, int thread) { gradient_.update(step, thread); };
  return {sweep};
}

void WinogradConv2D::bwd_image(const Step& step, std::int64_t n, int thread) {
  const Range images = share_of(step.n, thread, step.threads);
  float* dx = x_.grad != nullptr ? x_.grad_of(n, thread) : nullptr;
  if (dx != nullptr) std::memset(dx, 0, static_cast<std::size_t>(x_.features) * sizeof(float));
  for (int first = 0; first < down_; first += block_rows_) {
    Block block = block_from(first);
    const std::int64_t image = (n - images.begin) % images_;
    block.at = image * block.tiles;
    transform_gradients(step, n, block, thread);
    if (dx != nullptr) bwd_d_block(step, n, block, dx, thread);
    if (!weights_.trainable) continue;
    transform_inputs(step, x_.data + n * x_.stride, block, thread);
    if (image + 1 == images_ || n + 1 == images.end)
      bwd_w_tiles(step, block.at + block.tiles, n - image == images.begin && first == 0, thread);
  }
  if (weights_.trainable && n + 1 == images.end) finish_weight_gradient(step, thread);
}

void WinogradConv2D::transform_gradients(const Step& step, std::int64_t n, const Block& block,
                                         int thread) {
  const std::int64_t length = static_cast<std::int64_t>(s_.Q) * s_.K;  // of a row of outputs
  const int begin = side_ * block.first, end = std::min(s_.P, begin + side_ * block.rows);
  const std::int64_t from = begin * length;
  float* dz = dz_ + thread * side_ * block_rows_ * length;
  step.kernels.derive_rows(activation_, y_.data + n * y_.stride + from,
                           y_.grad_of(n, thread) + from, s_.K, dz, s_.K,
                           static_cast<std::int64_t>(end - begin) * s_.Q, s_.K,
                           gradient_.bias_sums(thread));
  float* points = yt_ + thread * points_ * y_points_ + block.at * s_.K;
  const Pixels<const float> pixels{dz, end - begin, s_.Q, s_.K};
  for (int i = 0; i < block.rows; ++i)
    transforms(step).output_bwd(tile_row<const float>(pixels, zeros_, side_ * i, 0, side_, across_),
                             points + static_cast<std::int64_t>(i) * across_ * s_.K, y_points_);
}

// Tiles are the reduction.
void WinogradConv2D::bwd_w_tiles(const Step& step, std::int64_t tiles, bool first, int thread) {
  const float* xt = xt_ + thread * points_ * x_points_;
  const float* yt = yt_ + thread * points_ * y_points_;
  float* sums = dwt_ + thread * points_ * w_points_;
  for (int point = 0; point < points_; ++point)
    for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel)
      step.kernels.brgemm_at({xt + point * x_points_, yt + point * y_points_ + panel * kPanel,
                              sums + point * w_points_ + panel_offset(s_.C, panel), nullptr,
                              kNoShift, kNoShift, s_.C, s_.K, panel_width(s_.K, panel), 1, s_.C,
                              panel_columns(s_.K, panel), static_cast<int>(tiles), !first, false});
}

void WinogradConv2D::bwd_d_block(const Step& step, std::int64_t n, const Block& block, float* dx,
                                 int thread) {
  float* dxt = dxt_ + thread * points_ * x_points_;
  float* yt = yt_ + thread * points_ * y_points_ + block.at * s_.K;
  // What transform_inputs reads next, and transform_gradients after that.
  const int top = std::max(0, side_ * block.first - s_.pad_top), below = block.first + block.rows;
  const int bottom = std::min(s_.H, side_ * below + 2 - s_.pad_top);
  const Ahead ahead{{x_row(n, top), below < down_ ? y_row(n, side_ * below) : y_row(n + 1, 0)},
                    lines_of(bottom - top)};
  multiply_points(step, {yt, y_points_, s_.K}, wt_transposed_, {dxt, x_points_, s_.C},
                  block.tiles, ahead);
  const Pixels<float> pixels{dx, s_.H, s_.W, s_.C};
  float* aside = aside_ + thread * std::max(s_.C, s_.K);
  for (int i = 0; i < block.rows; ++i)
    transforms(step).input_bwd(dxt + static_cast<std::int64_t>(i) * across_ * s_.C, x_points_,
                            tile_row(pixels, aside, side_ * (block.first + i) - s_.pad_top,
                                     -s_.pad_left, side_ + 2, across_));
}

void WinogradConv2D::finish_weight_gradient(const Step& step, int thread) {
  const float* sums = dwt_ + thread * points_ * w_points_;
  float* gradient = gradient_.weight_sums(thread);
  for (std::int64_t panel = 0; panel < panel_count(s_.K); ++panel) {
    const std::int64_t kernels = static_cast<std::int64_t>(s_.C) * panel_width(s_.K, panel);
    transforms(step).weights_bwd(sums + panel_offset(s_.C, panel), w_points_,
                                      gradient + panel_offset(9LL * s_.C, panel), kernels, kernels);
  }
}

}  // namespace penmark
