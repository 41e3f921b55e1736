// A network that trains and answers: graph, weights, optimizer state, threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "graph.h"
#include "optimizer.h"
#include "plan.h"

namespace penmark {

// Called between batches, at most ten times a second and once at the end, on the caller's thread;
// false stops the run. `done` counts batches.
using Progress = std::function<bool(std::int64_t done, const Totals& totals)>;

struct Run {
  Images images;
  Labels labels;                // weights and order as in Labels; order: (count), into images
  std::int64_t count = 0;       // images to go through
  int batch = 32;  // without training perhaps fewer at once, see images_at_once
};

struct Training {
  const float* rates = nullptr;  // (batches): learning rate of each step
  std::int64_t iteration = 0;    // steps done before this run
  std::uint64_t seed = 0;
};

class Network {
 public:
  // threads: 0 = as many as the process may use and the work is worth; isa: see choose_isa.
  Network(const Shape& input, int threads, const std::string& isa, bool guards);

  Graph& graph() { return graph_; }
  const char* isa() const { return isa_.name; }
  int threads() const { return pool_.threads(); }
  const Optimizer& optimizer() const { return optimizer_; }

  void set_optimizer(const Optimizer& optimizer) { optimizer_ = optimizer; }
  void set_loss(int tensor, LossOptions loss);
  void set_augment(const Augment& augment) { augment_ = augment; }
  // Ends the description and allocates the weights and, if it `trains`, the optimizer's state, all
  // zero. Before any of the below.
  void finish(bool trains);

  // Trains on the batches of `run` in turn; the last may be smaller. Returns the sums over the
  // images done. The same seed, thread count and instruction set give the same bits.
  Totals train(const Run& run, const Training& training, const Progress& progress);
  // Loss and metrics without training.
  Totals evaluate(const Run& run, const Progress& progress);
  // Tensor `tensor` of each image, as it is after a forward pass: out (count, features).
  void predict(const Run& run, int tensor, float* out, const Progress& progress);
  // Loss of one batch, its gradient left in Param::grad; no weight changes.
  Totals gradients(const Run& run, std::uint64_t seed);

  // Bytes of the largest plan and of the weights; regions written past their end (-1: none).
  std::size_t plan_bytes() const;
  std::int64_t first_overrun() const;
  // Seconds per layer of the plans for training, summed over all runs so far.
  std::vector<LayerTime> training_times() const;

 private:
  Plan& plan_for(int batch, bool training);
  void keep_gradients();
  void apply_with_norms(const Step& step, int thread);
  template <class Body>
  void for_each_batch(const Run& run, Plan& plan, const Progress& progress, const Body& body);

  const Isa isa_;
  const Kernels& kernels_;
  const bool chooses_threads_;
  ThreadPool pool_;
  bool guards_;
  Graph graph_;
  Optimizer optimizer_;
  Augment augment_;
  LossOptions loss_;
  int loss_at_ = -1;
  bool finished_ = false, trains_ = false;
  Arena weights_, gradients_;
  std::map<std::pair<int, bool>, std::unique_ptr<Plan>> plans_;
  std::vector<Totals> totals_;     // per thread
  std::vector<double> squares_;    // (threads, params): sums of squared gradients
};

}  // namespace penmark
