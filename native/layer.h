// What a layer is: sized once for a batch, then run by all threads together, step after step.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "arena.h"
#include "kernels.h"
#include "thread_pool.h"

namespace penmark {

// A batch of activations: image n at data + n*stride holds (H, W, C) with the channels contiguous;
// a flat tensor has H = W = 1. From the last feature up to `stride` everything is zero, always.
struct Tensor {
  int H = 1, W = 1, C = 1;
  std::int64_t features = 0, stride = 0;
  float* data = nullptr;  // (N, stride)
  float* grad = nullptr;  // (N, stride): d loss / d data; null where nothing asks for it
};

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// One weight of the model with its optimizer state. `w`, the slots and `grad` hold `size` floats:
// as panels (see brgemm.h) of rows by columns, or flat if rows is 1.
struct Param {
  std::string name;
  std::vector<std::int64_t> shape;  // as Keras has it
  std::int64_t rows = 1, columns = 1, size = 0;
  bool trainable = true;     // has a gradient and slots
  bool decays = true;        // weight decay applies
  float* w = nullptr;
  std::array<float*, 3> slot{};
  float* grad = nullptr;
};

// What a step does with gradients: the update at once, tile by tile while the gradient is in cache,
// or, where all of it is needed first (clipnorm, or a caller who asks for it), kept in Param::grad.
struct Update {
  UpdateRule rule{};
  float decay = 0.0f;  // for the params that decay
  bool fused = true;

  void apply(const Kernels& kernels, Param& param, std::int64_t begin, const float* gradient,
             std::int64_t count) const;
};

struct Step {
  const Kernels& kernels;
  Barrier& barrier;
  const Update* update;  // null: no gradients wanted
  int threads;
  int n;                // images in this batch, at most the N planned for
  bool training;        // dropout drops, batch normalization uses the batch
  std::uint64_t key;    // of this step's random numbers
};

// Weight gradients that each thread sums over its own images, then adds up and applies together.
class PartialGradient {
 public:
  void reserve(Arena& arena, const Param& param, int threads);
  float* of(int thread) const { return sums_ + thread * stride_; }  // (param.size), panels
  // Called by all threads after a barrier; each handles its own range of the weights.
  void apply(const Step& step, Param& param, int thread);

 private:
  float* sums_ = nullptr;  // (threads, stride)
  std::int64_t stride_ = 0;
};

class Layer {
 public:
  virtual ~Layer() = default;
  // Each is called by every thread with its number. On return a thread's own share is done; the
  // network puts a barrier between layers. bwd reads the outputs' grad and writes the inputs'.
  virtual void fwd(const Step& step, int thread) = 0;
  virtual void bwd(const Step& step, int thread) = 0;
};

}  // namespace penmark
