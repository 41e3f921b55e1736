// The gradient to a dense layer's input, only where it is of use: where the activation that made the
// input has a slope. The slope is zero for a ReLU below zero, for a unit that dropout has taken out,
// and, in float32, for a sigmoid or tanh that has come to its limits; there the gradient meets that
// zero next.
#pragma once

#include <vector>

#include "layer.h"

namespace penmark {

class LiveGradient {
 public:
  // `row_block`: features in a block.
  void reserve(Arena& arena, const Tensor& x, std::int64_t row_block, int N, int threads);

  // By all threads: lists where this batch's input has a slope. A barrier must follow before the
  // answer, which holds until the next batch and is the same for all threads.
  void list(const Step& step, int thread);
  bool few(const Step& step) const;  // the listed products are quicker than all

  // This thread's part of dx = dz W^T for a block of features: the sum over its panels of W, the same
  // ones at every step. dz as panels N + 1 rows apart.
  void product(const Step& step, int thread, std::int64_t block, const Range& panels,
               const float* dz, const Param& weights);
  // dx from the threads' parts. By all threads, after a barrier.
  void add_up(const Step& step, int thread) const;

 private:
  const Tensor* x_ = nullptr;
  std::int64_t N_ = 0, row_block_ = 0, blocks_ = 0, width_ = 0, slots_ = 0;
  // A slot is kLiveRows images by one block of features: which features are listed, and how many.
  std::int32_t* listed_ = nullptr;  // (slots, width)
  int* lengths_ = nullptr;          // (slots)
  float* parts_ = nullptr;          // (threads, slots, kLiveRows * width): LiveProducts::sums
  std::vector<char> takes_part_;    // (threads, blocks)
};

}  // namespace penmark
