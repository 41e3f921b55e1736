// The gradients to a convolution's weights and bias, which every thread sums over its own images.
#pragma once

#include "layer.h"

namespace penmark {

class ConvGradient {
 public:
  ConvGradient(Param& weights, Param* bias, int filters)
      : weights_(weights), bias_(bias), filters_(filters) {}
  void reserve(Arena& arena, int threads);

  // Sums of a thread: panels as the weights have them, overwritten by its first image; and (K),
  // added to by all of its images, there also for a convolution without a bias.
  float* weight_sums(int thread) const { return weight_gradient_.of(thread); }
  float* bias_sums(int thread) const { return bias_gradient_.of(thread); }

  void prepare(const Step& step, int thread);  // before the thread's images
  void update(const Step& step, int thread);   // when all images are done, by all threads

 private:
  Param& weights_;
  Param* bias_;
  int filters_;
  PartialGradient weight_gradient_, bias_gradient_;
};

}  // namespace penmark
