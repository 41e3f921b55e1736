// A graph made ready to run for batches of up to N images: layers, activations, work space.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dispatch.h"
#include "graph.h"
#include "losses.h"

namespace penmark {

// Images as the caller holds them: uint8 or float32, (images, features), C order.
struct Images {
  const std::uint8_t* bytes = nullptr;
  const float* floats = nullptr;
};

// Seconds that a layer has taken so far, as thread 0 saw it, waiting for the others included.
struct LayerTime {
  std::string name;
  double fwd_s = 0, bwd_s = 0;
};

// Sweeps that a thread's images go through one after the other, and the layers that they belong to.
struct Chain {
  std::vector<Sweep> sweeps;
  std::vector<std::size_t> layers;  // (sweeps)
};

// At most `most`; fewer if a step is so little work that the threads would mostly wait for each
// other.
int threads_worth(const Graph& graph, int N, int most, bool training);

// At most `most`; fewer if so many images' activations, all layers', would take more memory than
// larger batches are worth. Answers do not depend on it.
int images_at_once(const Graph& graph, int most);

class Plan {
 public:
  // With `training`, only what leads to tensor `loss_at` runs, and gradients have room. `loss` may
  // be null in a plan for inference.
  Plan(Graph& graph, int N, int threads, bool training, int loss_at, const LossOptions* loss,
       const Augment& augment, const Isa& isa, bool guards);

  int capacity() const { return N_; }
  int threads() const { return threads_; }
  Barrier& barrier() { return barrier_; }
  const Tensor& tensor(int number) const { return *tensors_[static_cast<std::size_t>(number)]; }
  std::size_t bytes() const { return arena_.bytes(); }
  const std::vector<LayerTime>& times() const { return times_; }
  std::int64_t first_overrun() const { return arena_.first_overrun(); }

  // Each is called by all threads; all end with a barrier.
  // Brings image order[i] (or i, if order is null) to place i, converting and warping on the way.
  // `left` images are to come, this batch's included: the next ones are fetched into the cache.
  void gather(const Step& step, const Images& images, const std::int64_t* order, std::int64_t left,
              int thread);
  void fwd(const Step& step, int thread);
  void bwd(const Step& step, int thread);
  void loss(const Step& step, const Labels& labels, bool differentiate, int thread, Totals& totals);

 private:
  void find_used(int loss_at);
  void build(const Node& node);
  void connect(int output, int alias_of);
  const Tensor& input_of(int tensor);
  bool stays_with_thread(int tensor) const;
  Tensor& new_tensor(const Shape& shape);
  using Seconds = double LayerTime::*;
  void run(std::vector<Chain>& chains, const Step& step, int thread, Seconds seconds);

  Graph& graph_;
  int N_, threads_;
  Barrier barrier_;
  bool training_;
  Augment augment_;
  const Isa& isa_;
  Arena arena_;
  std::vector<char> used_, differentiable_;  // per tensor
  std::vector<int> consumers_;               // per tensor
  std::vector<Tensor*> tensors_;             // per tensor; null where unused
  std::vector<std::vector<Tensor*>> copies_;  // per tensor with several consumers
  std::vector<std::unique_ptr<Tensor>> owned_;
  struct Alias {
    Tensor* alias;
    const Tensor* of;
    bool shares_gradient;
  };
  std::vector<Alias> aliases_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<const Tensor*> outputs_;  // (layers)
  std::vector<LayerTime> times_;  // (layers)
  std::vector<Chain> fwd_, bwd_;  // in the order in which they run
  std::unique_ptr<Loss> loss_;
  float scale_ = 1.0f, offset_ = 0.0f;  // a Rescaling of the input, done while gathering
};

}  // namespace penmark
