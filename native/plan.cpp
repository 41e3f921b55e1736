#include "plan.h"

#include <algorithm>
#include <chrono>

#include "activations.h"
#include "batch_norm.h"
#include "conv2d_bf16.h"
#include "dense.h"
#include "dense_bf16.h"
#include "dropout.h"
#include "narrow_dense.h"
#include "pool.h"
#include "winograd.h"

namespace penmark {
namespace {

using Clock = std::chrono::steady_clock;

// Adds a layer's sweeps; the images go on to them straight from the sweep before, if they may.
void append(std::vector<Chain>& chains, std::vector<Sweep> sweeps, std::size_t layer) {
  for (Sweep& sweep : sweeps) {
    const bool joins = !chains.empty() && !sweep.waits && chains.back().sweeps.back().image;
    if (!joins) chains.emplace_back();
    chains.back().sweeps.push_back(std::move(sweep));
    chains.back().layers.push_back(layer);
  }
}

// One sweep back, in which an image's gradients depend on that image's alone.
bool by_image(Op op) {
  switch (op) {
    case Op::conv2d:
    case Op::max_pool:
    case Op::average_pool:
    case Op::activate:
    case Op::softmax:
    case Op::rescale:
    case Op::dropout: return true;
    case Op::dense:
    case Op::reshape:
    case Op::batch_norm:
    case Op::add: return false;
  }
  return false;
}

// Of which activation the slope at a node's output says whether its gradient is of use (see Tensor).
Activation slope_of(const Node& node, const Tensor& x) {
  switch (node.op) {
    case Op::dense:
    case Op::conv2d:
    case Op::activate:
      switch (node.activation) {
        case Activation::relu:
        case Activation::sigmoid:
        case Activation::tanh: return node.activation;
        default: return Activation::linear;
      }
    case Op::max_pool: return x.slope;  // each output is one of the inputs
    // What is dropped is zero, and what is not is zero where x is; its scale hides a sigmoid's one.
    case Op::dropout:
      return x.slope == Activation::relu || x.slope == Activation::sigmoid ? Activation::relu
                                                                           : Activation::linear;
    default: return Activation::linear;
  }
}

constexpr std::int64_t kAhead = 8;  // images, fetched into the cache before their turn

// Operations in a step for which one more thread pays: some 20 microseconds of them.
constexpr std::int64_t kOperationsPerThread = 2'000'000;

// Of one batch that is answered and not trained on. Beyond some hundred images a larger batch saves
// no time: `cnn` takes 0.25 MB an image.
constexpr std::int64_t kActivationBytes = 32'000'000;
constexpr std::int64_t kFewestImages = 16;

constexpr const char* kOpNames[] = {"dense",   "conv2d",  "max_pool", "average_pool", "activate",
                                    "softmax", "rescale", "reshape",  "dropout", "batch_norm",
                                    "add"};

}  // namespace

int threads_worth(const Graph& graph, int N, int most, bool training) {
  std::int64_t operations = 0;
  for (const Node& node : graph.nodes()) {
    const std::int64_t outputs = graph.shape(node.output).features();
    std::int64_t reduction = 1;
    if (node.op == Op::dense) reduction = graph.shape(node.inputs[0]).features();
    if (node.op == Op::conv2d)
      reduction = static_cast<std::int64_t>(node.conv.R) * node.conv.S * node.conv.C;
    operations += 2 * N * outputs * reduction * (training ? 3 : 1);
    if (operations >= most * kOperationsPerThread) return most;
  }
  return std::max(1, static_cast<int>(operations / kOperationsPerThread));
}

int images_at_once(const Graph& graph, int most) {
  std::int64_t bytes = 0;
  for (int tensor = 0; tensor <= graph.last(); ++tensor)
    bytes += graph.shape(tensor).features() * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t enough = std::max(kFewestImages, kActivationBytes / bytes / 16 * 16);
  return static_cast<int>(std::min<std::int64_t>(most, enough));
}

Plan::Plan(Graph& graph, int N, int threads, bool training, int loss_at, const LossOptions* loss,
           const Augment& augment, const Isa& isa, bool guards)
    : graph_(graph), N_(N), threads_(threads), barrier_(threads_), training_(training),
      augment_(augment), isa_(isa), arena_(guards) {
  const std::size_t count = static_cast<std::size_t>(graph.last()) + 1;
  used_.assign(count, training ? 0 : 1);
  differentiable_.assign(count, 0);
  consumers_.assign(count, 0);
  tensors_.assign(count, nullptr);
  copies_.resize(count);
  if (training) find_used(loss_at);
  for (const Node& node : graph.nodes()) {
    if (!used_[static_cast<std::size_t>(node.output)]) continue;
    bool differentiable = false;
    for (const int x : node.inputs) {
      ++consumers_[static_cast<std::size_t>(x)];
      differentiable |= differentiable_[static_cast<std::size_t>(x)] != 0;
    }
    for (const int p : node.params)
      differentiable |= p >= 0 && graph.param(p)->trainable;
    differentiable_[static_cast<std::size_t>(node.output)] = training && differentiable;
  }

  connect(0, -1);
  for (const Node& node : graph.nodes())
    if (used_[static_cast<std::size_t>(node.output)]) build(node);
  if (loss != nullptr)
    loss_ = std::make_unique<Loss>(*tensors_[static_cast<std::size_t>(loss_at)], *loss, N_, arena_);
  arena_.allocate();
  for (const Alias& alias : aliases_) {
    alias.alias->data = alias.of->data;
    if (alias.shares_gradient) alias.alias->grad = alias.of->grad;
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) append(fwd_, layers_[i]->fwd_sweeps(), i);
  if (!training) return;
  for (std::size_t i = layers_.size(); i-- > 0;)  // none for layers below the first that trains
    if (outputs_[i]->grad != nullptr) append(bwd_, layers_[i]->bwd_sweeps(), i);
}

void Plan::find_used(int loss_at) {
  used_[0] = 1;
  used_[static_cast<std::size_t>(loss_at)] = 1;
  const std::vector<Node>& nodes = graph_.nodes();
  for (std::size_t i = nodes.size(); i-- > 0;)
    if (used_[static_cast<std::size_t>(nodes[i].output)])
      for (const int x : nodes[i].inputs) used_[static_cast<std::size_t>(x)] = 1;
}

// Whether the one layer that reads the tensor follows the one that makes it, and both take images
// one by one on the way back: then a thread needs the gradient of one image at a time.
bool Plan::stays_with_thread(int tensor) const {
  const Node* maker = nullptr;
  for (const Node& node : graph_.nodes()) {
    if (!used_[static_cast<std::size_t>(node.output)]) continue;
    if (maker != nullptr)
      return consumers_[static_cast<std::size_t>(tensor)] == 1 && node.inputs.size() == 1 &&
             node.inputs[0] == tensor && by_image(maker->op) && by_image(node.op);
    if (node.output == tensor) maker = &node;
  }
  return false;
}

Tensor& Plan::new_tensor(const Shape& shape) {
  owned_.push_back(std::make_unique<Tensor>());
  Tensor& tensor = *owned_.back();
  tensor.H = shape.H;
  tensor.W = shape.W;
  tensor.C = shape.C;
  tensor.features = shape.features();
  // Whole vectors per image; and never a multiple of 1 KB, which would put the same feature of all
  // images into a few sets of the L1 cache.
  tensor.stride = round_up(tensor.features, 16);
  if (tensor.stride % 256 == 0) tensor.stride += 16;
  return tensor;
}

// Makes tensor `output`, sharing the memory of tensor object `alias_of` of the layers so far if
// that is an input of a reshape; and, if several layers read it, a copy for each.
void Plan::connect(int output, int alias_of) {
  const std::size_t at = static_cast<std::size_t>(output);
  Tensor& tensor = new_tensor(graph_.shape(output));
  tensors_[at] = &tensor;
  const bool differentiable = differentiable_[at] != 0;
  // A gradient pointer must be known to be wanted while layers are built: mark it, until allocate()
  // puts the address there.
  static float wanted;
  if (alias_of >= 0) {
    const Tensor& of = input_of(alias_of);
    tensor.stride = of.stride;
    tensor.slope = of.slope;
    aliases_.push_back({&tensor, &of, differentiable});
  } else {
    arena_.reserve(&tensor.data, N_ * tensor.stride);
    tensor.grad_by_thread = stays_with_thread(output);
    const std::int64_t images = tensor.grad_by_thread ? threads_ : N_;
    if (differentiable) arena_.reserve(&tensor.grad, images * tensor.stride);
  }
  if (differentiable) tensor.grad = &wanted;
  if (!differentiable || consumers_[at] < 2) return;
  std::vector<const Tensor*> copies;
  for (int i = 0; i < consumers_[at]; ++i) {
    Tensor& copy = new_tensor(graph_.shape(output));
    copy.stride = tensor.stride;
    aliases_.push_back({&copy, &tensor, false});
    arena_.reserve(&copy.grad, N_ * copy.stride);
    copy.grad = &wanted;
    copies.push_back(&copy);
    copies_[at].push_back(&copy);
  }
  layers_.push_back(std::make_unique<Fork>(tensor, std::move(copies)));
  outputs_.push_back(&tensor);
  times_.push_back({"fork", 0, 0});
}

// The tensor itself, or the next copy that no layer has taken yet.
const Tensor& Plan::input_of(int tensor) {
  const std::size_t at = static_cast<std::size_t>(tensor);
  if (copies_[at].empty()) return *tensors_[at];
  const Tensor* copy = copies_[at].back();
  copies_[at].pop_back();
  return *copy;
}

void Plan::build(const Node& node) {
  const int x0 = node.inputs[0];
  if (node.op == Op::reshape) return connect(node.output, x0);
  if (node.op == Op::rescale && x0 == 0 && consumers_[0] == 1) {
    scale_ = node.scale;
    offset_ = node.offset;
    return connect(node.output, x0);
  }
  std::vector<const Tensor*> inputs;
  for (const int x : node.inputs) inputs.push_back(&input_of(x));
  const Tensor& x = *inputs[0];
  // A Fork of the output must come after the layer that makes it.
  const std::size_t place = layers_.size();
  connect(node.output, -1);
  Tensor& y = *tensors_[static_cast<std::size_t>(node.output)];
  y.slope = slope_of(node, x);
  const auto param = [&](std::size_t i) -> Param* {
    return i < node.params.size() ? graph_.param(node.params[i]) : nullptr;
  };
  std::unique_ptr<Layer> layer;
  switch (node.op) {
    case Op::dense:
      if (node.bf16)
        layer = std::make_unique<DenseBf16>(x, y, *param(0), param(1), node.activation, N_,
                                            threads_, training_, isa_.bf16, arena_);
      else if (param(0)->transposed)
        layer = std::make_unique<NarrowDense>(x, y, *param(0), param(1), node.activation, N_,
                                              threads_, training_, arena_);
      else
        layer = std::make_unique<Dense>(x, y, *param(0), param(1), node.activation, N_, threads_,
                                        training_, isa_.kernels.tile_rows, arena_);
      break;
    case Op::conv2d:
      if (node.bf16)
        layer = std::make_unique<Conv2DBf16>(x, y, node.conv, *param(0), param(1), node.activation,
                                             threads_, training_, isa_.bf16, arena_);
      else if (WinogradConv2D::suits(node.conv))
        layer = std::make_unique<WinogradConv2D>(x, y, node.conv, *param(0), param(1),
                                                 node.activation, threads_, training_, arena_);
      else
        layer = std::make_unique<Conv2D>(x, y, node.conv, *param(0), param(1), node.activation,
                                         threads_, training_, arena_);
      break;
    case Op::max_pool:
    case Op::average_pool:
      layer = std::make_unique<Pool>(x, y, node.pool, node.op == Op::max_pool, N_, arena_);
      break;
    case Op::activate:
      layer = std::make_unique<Activate>(x, y, node.activation, node.alpha);
      break;
    case Op::softmax: layer = std::make_unique<Softmax>(x, y); break;
    case Op::rescale: layer = std::make_unique<Rescale>(x, y, node.scale, node.offset); break;
    case Op::dropout:
      layer = std::make_unique<Dropout>(x, y, node.rate, static_cast<std::uint64_t>(node.output),
                                        N_, arena_);
      break;
    case Op::batch_norm:
      layer = std::make_unique<BatchNorm>(
          x, y, BatchNorm::Params{param(0), param(1), param(2), param(3)}, node.momentum,
          node.epsilon, node.frozen, threads_, arena_);
      break;
    case Op::add: layer = std::make_unique<Add>(std::move(inputs), y); break;
    case Op::reshape: return;
  }
  layers_.insert(layers_.begin() + static_cast<std::ptrdiff_t>(place), std::move(layer));
  outputs_.insert(outputs_.begin() + static_cast<std::ptrdiff_t>(place), &y);
  const std::string name = param(0) != nullptr ? param(0)->name : std::to_string(node.output);
  times_.insert(times_.begin() + static_cast<std::ptrdiff_t>(place),
                {std::string(kOpNames[static_cast<int>(node.op)]) + " " + name, 0, 0});
}

void Plan::gather(const Step& step, const Images& images, const std::int64_t* order,
                  std::int64_t left, int thread) {
  const Tensor& x = *tensors_[0];
  const Range range = share_of(step.n, thread, step.threads);
  const bool warps = augment_.enabled && step.training;
  for (std::int64_t n = range.begin; n < range.end; ++n) {
    const std::int64_t from = (order != nullptr ? order[n] : n) * x.features;
    // After this batch's images come the next one's.
    std::int64_t ahead = n + kAhead;
    if (ahead >= range.end) ahead += step.n + range.begin - range.end;
    if (images.bytes != nullptr && order != nullptr && ahead < left)
      for (std::int64_t i = 0; i < x.features; i += 64)
        __builtin_prefetch(images.bytes + order[ahead] * x.features + i);
    float* to = x.data + n * x.stride;
    if (warps && images.bytes != nullptr)
      warp(augment_, images.bytes + from, to, x.H, x.W, x.C, step.key,
           static_cast<std::uint32_t>(n), scale_, offset_);
    else if (warps)
      warp(augment_, images.floats + from, to, x.H, x.W, x.C, step.key,
           static_cast<std::uint32_t>(n), scale_, offset_);
    else if (images.bytes != nullptr)
      step.kernels.scale_u8(images.bytes + from, to, x.features, scale_, offset_);
    else
      step.kernels.scale_f32(images.floats + from, to, x.features, scale_, offset_);
  }
  step.barrier.wait();
}

void Plan::fwd(const Step& step, int thread) { run(fwd_, step, thread, &LayerTime::fwd_s); }
void Plan::bwd(const Step& step, int thread) { run(bwd_, step, thread, &LayerTime::bwd_s); }

void Plan::run(std::vector<Chain>& chains, const Step& step, int thread, Seconds seconds) {
  const Range images = share_of(step.n, thread, step.threads);
  Clock::time_point last = Clock::now();
  const auto count = [&](std::size_t layer) {
    if (thread != 0) return;
    const Clock::time_point now = Clock::now();
    times_[layer].*seconds += std::chrono::duration<double>(now - last).count();
    last = now;
  };
  for (const Chain& chain : chains) {
    const std::size_t length = chain.sweeps.size();
    bool begins = false, ends = false, has_images = false;
    for (std::size_t i = 0; i < length; ++i) {
      const Sweep& sweep = chain.sweeps[i];
      if (sweep.begin) sweep.begin(step, thread);
      if (sweep.prepare) sweep.prepare(step, thread);
      begins |= static_cast<bool>(sweep.begin);
      ends |= static_cast<bool>(sweep.end);
      has_images |= static_cast<bool>(sweep.image);
      count(chain.layers[i]);
    }
    if (begins) step.barrier.wait();
    count(chain.layers.back());
    if (!has_images) continue;
    for (std::int64_t n = images.begin; n < images.end; ++n)
      for (std::size_t i = 0; i < length; ++i) {
        chain.sweeps[i].image(step, n, thread);
        count(chain.layers[i]);
      }
    step.barrier.wait();
    count(chain.layers.back());
    if (!ends) continue;
    for (std::size_t i = 0; i < length; ++i)
      if (chain.sweeps[i].end) {
        chain.sweeps[i].end(step, thread);
        count(chain.layers[i]);
      }
    step.barrier.wait();
  }
}

void Plan::loss(const Step& step, const Labels& labels, bool differentiate, int thread,
                Totals& totals) {
  loss_->run(step, labels, differentiate, thread, totals);
  step.barrier.wait();
}

}  // namespace penmark
