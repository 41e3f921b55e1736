// The table of functions that each instruction set provides; dispatch.cpp picks one table.
#pragma once

#include "brgemm.h"

namespace penmark {

enum class Activation : int {
  linear, relu, sigmoid, tanh, gelu, gelu_tanh, silu, elu, selu, leaky_relu, softplus, softsign,
  exponential, hard_sigmoid, relu6
};

enum class OptimizerKind : int { sgd, momentum, nesterov, rmsprop, adagrad, adadelta, adam };

// One update of a run of weights, all scalars of the step resolved.
struct UpdateRule {
  OptimizerKind kind;
  float rate;        // learning rate; for Adam with both bias corrections folded in
  float decay;       // weight decay times learning rate; 0 = none
  float clip;        // clipvalue; 0 = none
  float gradient_scale;  // from clipnorm; 1 = none
  float beta1, beta2;    // Adam's betas; beta1 also momentum, beta2 also rho
  float epsilon;
  bool amsgrad, centered, has_momentum;
  std::int64_t next;     // how far on the run begins that is updated next, whose moments are
                         // fetched meanwhile (Adam); 0 = unknown
};

// What a pooling pass sees of one image: x (H, W, C), y (P, Q, C).
struct PoolShape {
  int H, W, C, P, Q, R, S;  // R, S: pool size
  int stride_h, stride_w, pad_top, pad_left;
};

constexpr int kPackSlack = 16;

// y = x W + bias with the weights transposed: rows of x by rows of W^T (see narrow_dense.h).
struct InnerProducts {
  const float* x;      // (rows, features), zero from there to whole vectors of 16
  std::int64_t x_stride;
  const float* w;      // panels of (units, features)
  const float* bias;   // (units rounded up to 16), or null
  float* y;            // (rows, units)
  std::int64_t y_stride;
  int rows, units;
  std::int64_t features;
  bool relu;
};

constexpr int kSparseRows = 4;

// Of a matrix, how many of its (group of kSparseRows rows, column) and of its (row, group of four
// columns) hold a number that is not zero.
struct NonzeroCounts {
  std::int64_t groups_of_rows, groups_of_columns;
};

// C = A B, then C = relu(C + bias) where asked for, for up to kSparseRows rows A of which only some
// columns are listed; the others are zero.
struct SparseProduct {
  const float* a;              // (kSparseRows, count), rows lda apart
  const std::int32_t* listed;  // (count): which row of B each column of A meets
  const float* b;              // panels b_panel apart, rows ldb apart
  float* c;                    // (m, n): panels c_panel apart, rows ldc apart
  const float* bias;           // (n rounded up to 16), or null
  std::int64_t lda, ldb, b_panel, ldc, c_panel;
  int count, m, n;
  bool relu;
  const float* ahead[3] = {};  // as in Brgemm
  int ahead_lines = 0;
};

constexpr int kLiveRows = 2;

// Inner products of kLiveRows rows of dz with some rows of W (see live_gradient.h).
struct LiveProducts {
  const float* dz;  // panels dz_panel apart, rows dz_row apart
  std::int64_t dz_panel, dz_row;
  const float* w;   // panels as in pack.h, w_panel apart
  std::int64_t w_panel, columns;
  const std::int32_t* listed;  // (count): which rows of W
  int count;
  float* sums;  // for each live_features of the listed: (kLiveRows, live_features)
};

// A row of Winograd's tiles, as far apart as their outputs are wide, in an image (see winograd.h).
template <class T>
struct TileRow {
  T* rows[6];    // the image's rows under it, as many as a tile is high; null: outside the image
  T* outside;    // (channels): stands for every pixel outside
  int columns;   // of the image
  int first;     // column of the first tile; may be negative
  int channels;  // a multiple of 16
  int tiles;
};

// Winograd's transforms for tiles of 2 by 2 or 4 by 4 outputs, from 16 or 36 points; tile t of a point
// lies at t * channels. `bwd` ones are the transposed maps; input_bwd adds to what is there.
struct WinogradKernels {
  void (*input)(const TileRow<const float>& from, float* points, std::int64_t point_stride);
  void (*input_bwd)(const float* points, std::int64_t point_stride, const TileRow<float>& to);
  void (*output)(const float* points, std::int64_t point_stride, const float* bias, bool relu,
                 const TileRow<float>& to);
  void (*output_bwd)(const TileRow<const float>& from, float* points, std::int64_t point_stride);
  // n kernels side by side, a multiple of 16: 9 taps to the points, and back.
  void (*weights)(const float* taps, std::int64_t tap_stride, float* points,
                  std::int64_t point_stride, std::int64_t n);
  void (*weights_bwd)(const float* points, std::int64_t point_stride, float* taps,
                      std::int64_t tap_stride, std::int64_t n);
};

struct Kernels {
  const char* name;
  int tile_rows;  // of C, kept in registers by the product

  // C = beta C + sum A B, A row by row (fwd, bwd_d) or transposed (bwd_w).
  void (*brgemm)(const Brgemm&);
  void (*brgemm_at)(const Brgemm&);
  void (*inner_products)(const InnerProducts&);
  // to (columns, rows) = from (rows, columns) transposed. columns is a multiple of 16; rows need
  // not be, but rows of `to` are written with zeros to the next multiple of the vector length.
  void (*transpose)(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                    int rows, int columns);
  // A for brgemm_at, a tile at a time (see Brgemm::a_tile).
  // to (columns, rows) = from (rows, columns) transposed, and up to kPackSlack floats more; rows at
  // most tile_rows, columns a multiple of 16.
  void (*pack_rows)(const float* from, std::int64_t from_stride, float* to,
                    std::int64_t to_stride, int rows, int columns);
  // to (rows, columns) = from (rows, columns); columns at most tile_rows.
  void (*pack_columns)(const float* from, std::int64_t from_stride, float* to,
                       std::int64_t to_stride, std::int64_t rows, int columns);

  // balance (columns) grows by one for each row of x (rows, columns) that is `upper` there, and
  // shrinks by one for each that is `lower`. All three: columns rounded up to 16 are read.
  void (*count_limits)(const float* x, std::int64_t x_stride, std::int64_t rows,
                       std::int64_t columns, float lower, float upper, std::int32_t* balance);
  // Of x - usual in each row, x (rows, columns), both zero from there to whole vectors of 16.
  NonzeroCounts (*count_nonzeros)(const float* x, std::int64_t x_stride, const float* usual,
                                  std::int64_t rows, std::int64_t columns);
  // Copies the columns of x - usual that are not all zero to `to` (kSparseRows, ...), and their
  // numbers, counted from first_column, to `listed`; returns how many. rows <= kSparseRows, the
  // missing ones become zero. x as above; up to 16 columns more than listed are written.
  int (*list_nonzeros)(const float* x, std::int64_t x_stride, const float* usual, int rows,
                       std::int64_t columns, int first_column, float* to, std::int64_t to_stride,
                       std::int32_t* listed);
  void (*sparse_product)(const SparseProduct&);

  // Lists at which of y's columns, counted from first_column, the activation that made y has a slope
  // in any of the rows; returns how many. Up to 16 more are written, of which the first ones, to a
  // multiple of live_features, repeat the last.
  int (*list_live)(Activation, const float* y, std::int64_t stride, int rows, std::int64_t columns,
                   int first_column, std::int32_t* listed);
  void (*live_products)(const LiveProducts&);
  int live_features;

  // y = f(x) and dx = dy f'(.), elementwise over n; `z` is what f saw, `y` what it gave.
  void (*activate)(Activation, float alpha, const float* x, float* y, std::int64_t n);
  void (*activate_bwd)(Activation, float alpha, const float* z, const float* y, const float* dy,
                       float* dx, std::int64_t n);
  // out = dy f'(y) for f of linear, relu, sigmoid, tanh, over rows of K; bias_gradient (K) grows
  // by the column sums. Rows of y and of dy are y_stride apart, rows of out out_stride.
  void (*derive_rows)(Activation, const float* y, const float* dy, std::int64_t y_stride,
                      float* out, std::int64_t out_stride, std::int64_t rows, std::int64_t K,
                      float* bias_gradient);

  // Weights w (n), slots s0, s1, s2 (n each; null where the rule has none), gradient g (n).
  void (*update)(const UpdateRule&, float* w, float* s0, float* s1, float* s2, const float* g,
                 std::int64_t n);

  // y = scale * x + offset
  void (*scale_u8)(const std::uint8_t* x, float* y, std::int64_t n, float scale, float offset);
  void (*scale_f32)(const float* x, float* y, std::int64_t n, float scale, float offset);
  void (*add)(const float* a, const float* b, float* y, std::int64_t n);  // y = a + b
  // argmax: one byte per output element, the window position that won.
  void (*max_pool)(const PoolShape&, const float* x, float* y, std::uint8_t* argmax);
  void (*max_pool_bwd)(const PoolShape&, const float* dy, const std::uint8_t* argmax, float* dx);
  void (*average_pool)(const PoolShape&, const float* x, float* y);
  void (*average_pool_bwd)(const PoolShape&, const float* dy, float* dx);

  // Keeps element i of stream (key, first + i) with probability 1 - drop/2^32, scaled by `scale`;
  // bit i of mask tells whether it was kept. mask: (n + 31) / 32 words.
  void (*dropout)(const float* x, float* y, std::uint32_t* mask, std::int64_t n,
                  std::uint64_t key, std::uint32_t first, std::uint32_t drop, float scale);
  void (*dropout_bwd)(const float* dy, float* dx, const std::uint32_t* mask, std::int64_t n,
                      float scale);

  // x, y, dy, dx (rows, C); everything else (C).
  // sums = column sums of x; then squares = column sums of (x - mean)^2.
  void (*column_sums)(const float* x, std::int64_t rows, std::int64_t C, float* sums);
  void (*centered_squares)(const float* x, std::int64_t rows, std::int64_t C, const float* mean,
                           float* squares);
  // y = (x - mean) * factor + shift
  void (*normalize)(const float* x, float* y, std::int64_t rows, std::int64_t C, const float* mean,
                    const float* factor, const float* shift);
  // sums += sum dy, products += sum dy * (x - mean)
  void (*normalize_sums)(const float* x, const float* dy, std::int64_t rows, std::int64_t C,
                         const float* mean, float* products, float* sums);
  // dx = factor * dy - ((x - mean) * tilt + shift)
  void (*normalize_bwd)(const float* x, const float* dy, float* dx, std::int64_t rows,
                        std::int64_t C, const float* mean, const float* factor, const float* tilt,
                        const float* shift);

  WinogradKernels winograd_2x2, winograd_4x4;

  // See peak_kernel.inl.
  float (*multiply_adds)(std::int64_t rounds);
  int operations_per_round;
};

// Defined in brgemm_{scalar,avx2,avx512}.cpp. A table exists only where its file was built.
const Kernels& scalar_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();

}  // namespace penmark
