// Layers that map each element, or each row for softmax: y = f(x).
#pragma once

#include "layer.h"

namespace penmark {

// y = f(x); alpha is the slope of leaky_relu and the scale of elu.
class Activate final : public ImageLayer {
 public:
  Activate(const Tensor& x, const Tensor& y, Activation activation, float alpha)
      : x_(x), y_(y), activation_(activation), alpha_(alpha) {}
  void fwd_image(const Step& step, std::int64_t n) override;
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  const Tensor &x_, &y_;
  Activation activation_;
  float alpha_;
};

// Softmax over the channels of each pixel (of each image, if flat).
class Softmax final : public ImageLayer {
 public:
  Softmax(const Tensor& x, const Tensor& y) : x_(x), y_(y) {}
  void fwd_image(const Step& step, std::int64_t n) override;
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  const Tensor &x_, &y_;
};

// y = scale * x + offset
class Rescale final : public ImageLayer {
 public:
  Rescale(const Tensor& x, const Tensor& y, float scale, float offset)
      : x_(x), y_(y), scale_(scale), offset_(offset) {}
  void fwd_image(const Step& step, std::int64_t n) override;
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  const Tensor &x_, &y_;
  float scale_, offset_;
};

// y = sum of the inputs; each input gets dy.
class Add final : public ImageLayer {
 public:
  Add(std::vector<const Tensor*> inputs, const Tensor& y) : inputs_(std::move(inputs)), y_(y) {}
  void fwd_image(const Step& step, std::int64_t n) override;
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  std::vector<const Tensor*> inputs_;
  const Tensor& y_;
};

// Where a tensor feeds several layers, each gets a copy of its own; their gradients add up here.
class Fork final : public ImageLayer {
 public:
  Fork(const Tensor& x, std::vector<const Tensor*> copies) : x_(x), copies_(std::move(copies)) {}
  void fwd_image(const Step&, std::int64_t) override {}  // the copies share x's data
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  const Tensor& x_;
  std::vector<const Tensor*> copies_;
};

}  // namespace penmark
