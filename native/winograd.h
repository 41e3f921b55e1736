// Conv2D of 3x3 kernels at stride 1 with fewer multiplications: F(2x2, 3x3) and F(4x4, 3x3) of
// A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
//
// Outputs Y come in tiles of 2 by 2, each from the 4 by 4 inputs d under it and the kernel g:
//
//     Y = A^T [(G g G^T) * (B^T d B)] A        (* elementwise)
//
// Each of the 16 elements, a point, is over all channels a matrix product of its own: tiles by C
// times C by K, 16 multiplications in place of 36. Tiles of 4 by 4, from 6 by 6 inputs, make it 36 in
// place of 144; their transformed weights are larger and their sums less exact. How exact depends on
// the numbers interpolated at: B. Barabasz, A. Anderson, K. M. Soodhalter, D. Gregg, "Error Analysis
// and Improving the Accuracy of Winograd Convolution for Deep Neural Networks" (2020).
//
// Gradients take the transposed way. With Z = A dY A^T,
//
//     dd = B [(G g G^T) * Z] B^T        dg = G^T [(B^T d B) * Z] G
//
// so that the transformed inputs, outputs and weights serve forward and back alike. Tiles are
// handled in blocks of whole rows that stay in L2.
#pragma once

#include "conv2d.h"

namespace penmark {

class WinogradConv2D final : public Layer {
 public:
  // Whether the shape allows it, and there are enough whole tiles for it to be the quicker way.
  static bool suits(const ConvShape& shape);

  // As Conv2D.
  WinogradConv2D(const Tensor& x, const Tensor& y, const ConvShape& shape, Param& weights,
                 Param* bias, Activation activation, int threads, bool training, Arena& arena);
  std::vector<Sweep> fwd_sweeps() override;
  std::vector<Sweep> bwd_sweeps() override;

 private:
  // Rows of tiles of one image, and where they lie in the scratch.
  struct Block {
    int first, rows, tiles;
    std::int64_t at;  // tiles of other images before them
  };
  Block block_from(int first_row) const;
  const WinogradKernels& transforms(const Step& step) const;
  const float* x_row(std::int64_t n, int row) const;
  const float* y_row(std::int64_t n, int row) const;
  int lines_of(int rows) const;  // of x or y
  // The points' matrices of tiles by channels, from one to the next `apart` floats.
  struct Points {
    float* data;
    std::int64_t apart;
    int channels;
  };
  // What comes next is fetched from L3 meanwhile: two arrays of `lines` lines.
  struct Ahead {
    const float* data[2];
    int lines;
  };
  // Each of `from` times its weights, panels of from.channels by to.channels.
  void multiply_points(const Step& step, const Points& from, const float* weights,
                       const Points& to, int tiles, const Ahead& ahead) const;
  void transform_weights(const Step& step, int thread);
  void transpose_weights(const Step& step, int thread);
  void transform_inputs(const Step& step, const float* image, const Block& block, int thread);
  void fwd_image(const Step& step, std::int64_t n, int thread);
  void bwd_image(const Step& step, std::int64_t n, int thread);
  void transform_gradients(const Step& step, std::int64_t n, const Block& block, int thread);
  void bwd_w_tiles(const Step& step, std::int64_t tiles, bool first, int thread);
  void bwd_d_block(const Step& step, std::int64_t n, const Block& block, float* dx, int thread);
  void finish_weight_gradient(const Step& step, int thread);

  const Tensor &x_, &y_;
  ConvShape s_;
  Param& weights_;
  Param* bias_;
  Activation activation_;
  ConvGradient gradient_;
  int side_;                       // outputs along a side of a tile: 2 or 4
  int points_;                     // 16 or 36
  int down_, across_;              // tiles of an image
  int block_rows_;                 // rows of tiles at a time
  int images_ = 1;                 // small ones that share a reduction in bwd_w
  std::int64_t x_points_, y_points_, w_points_;  // floats from one point to the next
  float* xt_ = nullptr;            // (threads, points, tiles of a block, C): inputs
  float* yt_ = nullptr;            // (threads, points, tiles of a block, K): outputs or their gradient
  float* dxt_ = nullptr;           // (threads, points, tiles of a block, C): gradient to the inputs
  float* wt_ = nullptr;            // (points, panels of C by K)
  float* wt_transposed_ = nullptr; // (points, panels of K by C)
  float* dwt_ = nullptr;           // (threads, points, panels of C by K): sums over a thread's images
  float* dz_ = nullptr;            // (threads, output rows of a block, Q, K)
  float* zeros_ = nullptr;         // (the larger of C and K): what lies outside an image
  float* aside_ = nullptr;         // (threads, the same): where what falls outside goes
};

}  // namespace penmark
