// The network as it was described: nodes, tensors by number, weights. Plans are built from it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment.h"
#include "conv2d.h"
#include "layer.h"

namespace penmark {

enum class Op : int {
  dense, conv2d, max_pool, average_pool, activate, softmax, rescale, reshape, dropout, batch_norm,
  add
};

struct Shape {
  int H = 1, W = 1, C = 1;
  std::int64_t features() const { return static_cast<std::int64_t>(H) * W * C; }
};

// The most that one image may hold; it keeps every product of sizes inside 64 bits.
constexpr std::int64_t kMostFeatures = std::int64_t{1} << 30;

struct Node {
  Op op;
  std::vector<int> inputs;
  int output;
  std::vector<int> params;  // dense, conv2d: kernel [, bias]; batch_norm: gamma, beta, mean,
                            // variance, -1 for none
  Activation activation = Activation::linear;
  float alpha = 0, scale = 1, offset = 0, momentum = 0, epsilon = 0;
  double rate = 0;
  bool frozen = false;
  bool bf16 = false;  // dense, conv2d: products of operands rounded to bfloat16
  ConvShape conv{};
  PoolShape pool{};
};

// Every method throws std::invalid_argument for sizes that make no sense.
class Graph {
 public:
  explicit Graph(const Shape& input);

  int dense(int x, int units, bool use_bias, Activation activation, bool trainable,
            const std::string& name, bool bf16 = false);
  int conv2d(int x, int filters, int R, int S, int stride_h, int stride_w, bool same,
             bool use_bias, Activation activation, bool trainable, const std::string& name,
             bool bf16 = false);
  int pool(int x, bool takes_max, int R, int S, int stride_h, int stride_w, bool same);
  int global_average_pool(int x);
  int activate(int x, Activation activation, float alpha);
  int softmax(int x);
  int rescale(int x, float scale, float offset);
  int reshape(int x, const Shape& shape);
  int dropout(int x, double rate);
  int batch_norm(int x, float momentum, float epsilon, bool center, bool scale, bool trainable,
                 const std::string& name);
  int add(const std::vector<int>& inputs);

  const Shape& shape(int tensor) const;
  int last() const { return static_cast<int>(shapes_.size()) - 1; }
  const std::vector<Node>& nodes() const { return nodes_; }
  std::vector<std::unique_ptr<Param>>& params() { return params_; }
  Param* param(int number) {
    return number < 0 ? nullptr : params_[static_cast<std::size_t>(number)].get();
  }

 private:
  int push(Node node, const Shape& output);
  int new_param(const std::string& name, std::vector<std::int64_t> shape, bool trainable);

  std::vector<Shape> shapes_;  // by tensor number; 0 is the input
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Param>> params_;
};

}  // namespace penmark
