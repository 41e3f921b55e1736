#include "graph.h"

#include <algorithm>
#include <stdexcept>

#include "narrow_dense.h"
#include "pack.h"

namespace penmark {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

struct Window {
  int outputs, before;
};

// Output size and leading padding of a window along one axis, as Keras and TensorFlow count them.
Window slide(int size, int window, int stride, bool same) {
  if (window < 1 || stride < 1) refuse("kernel size and strides must be at least 1");
  if (!same) {
    if (window > size)
      refuse("a window of " + std::to_string(window) + " does not fit into " +
             std::to_string(size) + " pixels");
    return {(size - window) / stride + 1, 0};
  }
  const int outputs = (size + stride - 1) / stride;
  const std::int64_t covered = static_cast<std::int64_t>(outputs - 1) * stride + window;
  return {outputs, covered > size ? static_cast<int>((covered - size) / 2) : 0};
}

}  // namespace

Graph::Graph(const Shape& input) {
  if (input.H < 1 || input.W < 1 || input.C < 1 ||
      static_cast<double>(input.H) * input.W * input.C > static_cast<double>(kMostFeatures))
    refuse("the input shape must be positive and hold at most 2^30 elements");
  shapes_.push_back(input);
}

const Shape& Graph::shape(int tensor) const {
  if (tensor < 0 || tensor > last()) refuse("there is no tensor " + std::to_string(tensor));
  return shapes_[static_cast<std::size_t>(tensor)];
}

int Graph::push(Node node, const Shape& output) {
  if (static_cast<double>(output.H) * output.W * output.C > static_cast<double>(kMostFeatures))
    refuse("a layer's output must hold at most 2^30 elements");
  shapes_.push_back(output);
  node.output = last();
  nodes_.push_back(std::move(node));
  return last();
}

// The last axis are columns, all others rows; vectors are padded so that a bias can be loaded whole.
int Graph::new_param(const std::string& name, std::vector<std::int64_t> shape, bool trainable) {
  auto param = std::make_unique<Param>();
  param->name = name;
  param->columns = shape.back();
  double floats = static_cast<double>(padded_columns(shape.back()));
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) {
    param->rows *= shape[i];
    floats *= static_cast<double>(shape[i]);
  }
  if (floats > static_cast<double>(kMostFeatures)) refuse("a weight must hold at most 2^30 elements");
  param->size = panel_size(param->rows, param->columns);
  param->shape = std::move(shape);
  param->trainable = trainable;
  params_.push_back(std::move(param));
  return static_cast<int>(params_.size()) - 1;
}

int Graph::dense(int x, int units, bool use_bias, Activation activation, bool trainable,
                 const std::string& name, bool bf16) {
  const Shape from = shape(x);
  if (units < 1) refuse("units must be at least 1");
  if (from.H != 1 || from.W != 1) refuse("a dense layer takes flat input");
  Node node{Op::dense, {x}, 0, {}};
  node.activation = activation;
  node.bf16 = bf16;
  node.params.push_back(new_param(name + "/kernel", {from.C, units}, trainable));
  if (!bf16 && NarrowDense::suits(from.C, units)) {
    Param& kernel = *params_.back();
    kernel.transposed = true;
    kernel.size = panel_size(kernel.columns, kernel.rows);
  }
  if (use_bias) node.params.push_back(new_param(name + "/bias", {units}, trainable));
  return push(std::move(node), {1, 1, units});
}

int Graph::conv2d(int x, int filters, int R, int S, int stride_h, int stride_w, bool same,
                  bool use_bias, Activation activation, bool trainable, const std::string& name,
                  bool bf16) {
  const Shape from = shape(x);
  if (filters < 1) refuse("filters must be at least 1");
  const Window h = slide(from.H, R, stride_h, same), w = slide(from.W, S, stride_w, same);
  Node node{Op::conv2d, {x}, 0, {}};
  node.activation = activation;
  node.bf16 = bf16;
  node.conv = {from.H, from.W, from.C, filters, R, S, h.outputs, w.outputs,
               stride_h, stride_w, h.before, w.before};
  node.params.push_back(new_param(name + "/kernel", {R, S, from.C, filters}, trainable));
  if (use_bias) node.params.push_back(new_param(name + "/bias", {filters}, trainable));
  return push(std::move(node), {h.outputs, w.outputs, filters});
}

int Graph::pool(int x, bool takes_max, int R, int S, int stride_h, int stride_w, bool same) {
  const Shape from = shape(x);
  const Window h = slide(from.H, R, stride_h, same), w = slide(from.W, S, stride_w, same);
  // The position of a maximum is kept in a byte, of which 255 means "nowhere".
  if (takes_max && static_cast<std::int64_t>(R) * S > 255)
    refuse("a max pooling window must hold at most 255 pixels");
  Node node{takes_max ? Op::max_pool : Op::average_pool, {x}, 0, {}};
  node.pool = {from.H, from.W, from.C, h.outputs, w.outputs, R, S,
               stride_h, stride_w, h.before, w.before};
  return push(std::move(node), {h.outputs, w.outputs, from.C});
}

int Graph::global_average_pool(int x) {
  const Shape from = shape(x);
  return pool(x, false, from.H, from.W, from.H, from.W, false);
}

int Graph::activate(int x, Activation activation, float alpha) {
  Node node{Op::activate, {x}, 0, {}};
  node.activation = activation;
  node.alpha = alpha;
  return push(std::move(node), Shape(shape(x)));
}

int Graph::softmax(int x) { return push(Node{Op::softmax, {x}, 0, {}}, Shape(shape(x))); }

int Graph::rescale(int x, float scale, float offset) {
  Node node{Op::rescale, {x}, 0, {}};
  node.scale = scale;
  node.offset = offset;
  return push(std::move(node), Shape(shape(x)));
}

int Graph::reshape(int x, const Shape& to) {
  if (to.H < 1 || to.W < 1 || to.C < 1 || to.features() != shape(x).features())
    refuse("a reshape must keep the number of elements");
  return push(Node{Op::reshape, {x}, 0, {}}, to);
}

int Graph::dropout(int x, double rate) {
  if (!(rate >= 0.0 && rate < 1.0)) refuse("a dropout rate must be at least 0 and below 1");
  Node node{Op::dropout, {x}, 0, {}};
  node.rate = rate;
  return push(std::move(node), Shape(shape(x)));
}

int Graph::batch_norm(int x, float momentum, float epsilon, bool center, bool scale,
                      bool trainable, const std::string& name) {
  const std::int64_t C = shape(x).C;
  Node node{Op::batch_norm, {x}, 0, {}};
  node.momentum = momentum;
  node.epsilon = epsilon;
  node.frozen = !trainable;
  node.params.push_back(scale ? new_param(name + "/gamma", {C}, trainable) : -1);
  node.params.push_back(center ? new_param(name + "/beta", {C}, trainable) : -1);
  node.params.push_back(new_param(name + "/moving_mean", {C}, false));
  node.params.push_back(new_param(name + "/moving_variance", {C}, false));
  return push(std::move(node), Shape(shape(x)));
}

int Graph::add(const std::vector<int>& inputs) {
  if (inputs.size() < 2) refuse("an addition takes at least two inputs");
  const Shape first = shape(inputs[0]);
  for (const int x : inputs)
    if (shape(x).H != first.H || shape(x).W != first.W || shape(x).C != first.C)
      refuse("an addition takes inputs of one shape");
  return push(Node{Op::add, inputs, 0, {}}, first);
}

}  // namespace penmark
