// What a layer is: sized once for a batch, then run by all threads together, step after step.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
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
  // d loss / d data; null where nothing asks for it. (N, stride), or, where a thread takes each image
  // on to the next layer at once, (threads, stride): that stays in its cache and is written over.
  float* grad = nullptr;
  bool grad_by_thread = false;
  // Where this activation's slope, at what it has made of `data`, is zero, `grad` is of no use.
  Activation slope = Activation::linear;

  float* grad_of(std::int64_t n, int thread) const {
    return grad + (grad_by_thread ? thread : n) * stride;
  }
};

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// One weight of the model with its optimizer state. `w`, the slots and `grad` hold `size` floats:
// as panels (see brgemm.h) of rows by columns, or flat if rows is 1.
struct Param {
  std::string name;
  std::vector<std::int64_t> shape;  // as Keras has it
  std::int64_t rows = 1, columns = 1, size = 0;
  bool transposed = false;   // panels of columns by rows (see narrow_dense.h)
  bool trainable = true;     // has a gradient and slots
  bool decays = true;        // weight decay applies
  float* w = nullptr;
  std::array<float*, 3> slot{};
  float* grad = nullptr;     // null where no one asks for it
};

// What a step does with gradients: the update at once, tile by tile while the gradient is in cache,
// or, where all of it is needed first (clipnorm, or a caller who asks for it), kept in Param::grad.
struct Update {
  UpdateRule rule{};
  float decay = 0.0f;  // for the params that decay
  bool fused = true;

  // `next`: see UpdateRule.
  void apply(const Kernels& kernels, Param& param, std::int64_t begin, const float* gradient,
             std::int64_t count, std::int64_t next = 0) const;
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

// Weight gradients that each thread sums over its own images, then adds up and applies together. The
// sums of a bias are there also for a layer without one.
class PartialGradient {
 public:
  void reserve(Arena& arena, std::int64_t size, int threads);  // size: as in Param
  float* of(int thread) const { return sums_ + thread * stride_; }  // (size), panels
  // Called by all threads after a barrier; each handles its own range of the weights.
  void apply(const Step& step, Param& param, int thread);

 private:
  float* sums_ = nullptr;  // (threads, stride)
  std::int64_t stride_ = 0;
};

// Work on the images of a batch, each on its own. The plan takes one image through all sweeps that
// follow each other before it turns to the next: what one has written, the next finds in L2.
struct Sweep {
  using Shared = std::function<void(const Step&, int thread)>;
  Shared begin;    // by all threads, before any image of theirs; a barrier follows
  Shared prepare;  // for this thread's images only: no barrier follows
  std::function<void(const Step&, std::int64_t n, int thread)> image;
  Shared end;      // by all threads, when all images are done
  bool waits = false;  // begin or prepare reads what all threads have done in the sweep before
};

// Each function is called by every thread with its number, and does that thread's share.
class Layer {
 public:
  virtual ~Layer() = default;
  // bwd reads the outputs' grad and writes the inputs'. A layer overrides these two if it looks at
  // all images of a batch at once, and if not, the two below.
  virtual void fwd(const Step&, int) {}
  virtual void bwd(const Step&, int) {}
  virtual std::vector<Sweep> fwd_sweeps();
  virtual std::vector<Sweep> bwd_sweeps();
};

// A layer with one plain sweep each way.
class ImageLayer : public Layer {
 public:
  std::vector<Sweep> fwd_sweeps() override;
  std::vector<Sweep> bwd_sweeps() override;
  virtual void fwd_image(const Step& step, std::int64_t n) = 0;
  virtual void bwd_image(const Step& step, std::int64_t n, int thread) = 0;
};

}  // namespace penmark
