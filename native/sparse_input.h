// The products of a dense layer with an input that is mostly zeros, as pictures on a plain background
// are: four fifths of MNIST's pixels. What is zero adds nothing to an output nor to a gradient, so
// only the rest is listed and multiplied. A kernel that looked at single pixels would wait for the
// weights of each; so four images, or for the gradient four features side by side, share a list of
// where any of them is not zero, and each row that is loaded serves four sums.
//
// Units of a sigmoid or tanh far from its middle give 0 or 1, or -1 or 1, to the last bit. In training
// each feature of such an input counts from its usual limit u: x W = (x - u) W + u W, where u W is the
// same for all images, and x^T dz = (x - u)^T dz + u^T (sum of dz over the images).
#pragma once

#include "layer.h"

namespace penmark {

class SparseInput {
 public:
  void reserve(Arena& arena, const Tensor& x, int N, int threads, bool training);

  // By all threads: counts the zeros of this batch. A barrier must follow before the answers, which
  // hold until the next batch and are the same for all threads.
  void count(const Step& step, int thread);
  bool few_by_image(const Step& step) const;    // listing pays in fwd
  bool few_by_feature(const Step& step) const;  // and in bwd_w

  // y = f(x W + bias). By all threads: the lists, a barrier, and the product.
  void list_by_image(const Step& step, int thread);
  void fwd(const Step& step, int thread, const Param& weights, const float* bias,
           Activation activation, const Tensor& y);

  // dW = x^T dz and the update of W, in the same two parts, not before all threads are through with
  // fwd. dz as panels N + 1 rows apart, the last row being the sum of the others if `wants_sum`;
  // `tile`, (kTileRows, kPanel), is this thread's own.
  static constexpr std::int64_t kTileRows = 108;
  bool wants_sum() const { return balance_ != nullptr; }
  void list_by_feature(const Step& step, int thread);
  void bwd_w(const Step& step, int thread, const float* dz, Param& weights, float* tile);
  // The same for some rows of W and some panels of one width. `next`: how far behind each weight lies
  // one that is read soon after.
  void bwd_w_block(const Step& step, const Range& rows, const Range& panels, std::int64_t next,
                   const float* dz, Param& weights, float* tile);

 private:
  void find_usual(const Step& step, int thread);
  const float* usual_of(int thread) const;
  const float* usual_product(const Step& step, int thread, const float* w, int bk, int columns,
                             const float* bias);
  void gradient_tile(const Step& step, const Range& rows, const Range& panels, std::int64_t next,
                     const float* dz, Param& weights, float* tile);

  const Tensor* x_ = nullptr;
  std::int64_t N_ = 0, C_ = 0;
  // Lists of kSparseRows rows each: values (kSparseRows, columns up to 16), and their places.
  float* values_ = nullptr;
  std::int32_t* places_ = nullptr;
  int* lengths_ = nullptr;
  float* turned_ = nullptr;          // (threads, 16, kTurn): features of some images
  std::int64_t* counts_ = nullptr;   // (threads, 8): NonzeroCounts, each in a line of its own
  float* usual_ = nullptr;           // (1 + threads, features up to 16): zeros, then each thread's u
  // Null unless the input has limits: how many more of a thread's images are at the upper one.
  std::int32_t* balance_ = nullptr;  // (threads, features up to 16)
  float* usual_values_ = nullptr;    // (threads, kSparseRows, features up to 16): u as a list
  std::int32_t* usual_places_ = nullptr;
  float* base_ = nullptr;            // (threads, kPanel * kPanels): u W + bias for some panels
};

}  // namespace penmark
