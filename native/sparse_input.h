// The products of a dense layer with an input that is mostly zeros, as pictures on a plain background
// are: four fifths of MNIST's pixels. What is zero adds nothing to an output nor to a gradient, so
// only the rest is listed and multiplied. A kernel that looked at single pixels would wait for the
// weights of each; so four images, or for the gradient four features side by side, share a list of
// where any of them is not zero, and each row that is loaded serves four sums.
#pragma once

#include "layer.h"

namespace penmark {

class SparseInput {
 public:
  void reserve(Arena& arena, const Tensor& x, int N, int threads, bool training);

  // By all threads: counts the zeros of this batch. A barrier must follow before the two answers, which
  // hold until the next batch and are the same for all threads.
  void count(const Step& step, int thread);
  bool few_by_image(const Step& step) const;    // listing pays in fwd
  bool few_by_feature(const Step& step) const;  // and in bwd_w

  // y = f(x W + bias). By all threads: the lists, a barrier, and the product.
  void list_by_image(const Step& step, int thread);
  void fwd(const Step& step, int thread, const Param& weights, const float* bias,
           Activation activation, const Tensor& y);

  // dW = x^T dz and the update of W, in the same two parts, not before all threads are through with
  // fwd. dz as panels N rows apart; `tile`, (kTileRows, kPanel), is this thread's own.
  static constexpr std::int64_t kTileRows = 108;
  void list_by_feature(const Step& step, int thread);
  void bwd_w(const Step& step, int thread, const float* dz, Param& weights, float* tile);

 private:
  const Tensor* x_ = nullptr;
  std::int64_t N_ = 0, C_ = 0;
  // Lists of kSparseRows rows each: values (kSparseRows, columns up to 16), and their places.
  float* values_ = nullptr;
  std::int32_t* places_ = nullptr;
  int* lengths_ = nullptr;
  float* turned_ = nullptr;          // (threads, 16, kTurn): features of some images
  std::int64_t* counts_ = nullptr;   // (threads, 8): NonzeroCounts, each in a line of its own
};

}  // namespace penmark
