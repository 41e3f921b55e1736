#include "network.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

#if defined(__GLIBC__)  // defined by the headers above
#include <malloc.h>
#endif

namespace penmark {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kBetweenReports = std::chrono::milliseconds(100);

// A key per step that does not repeat among steps and seeds that anyone uses.
std::uint64_t step_key(std::uint64_t seed, std::int64_t iteration) {
  std::uint64_t x = seed * 0xd1342543de82ef95ull + static_cast<std::uint64_t>(iteration);
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ull;
  return x ^ (x >> 32);
}

int checked_threads(int threads) {
  if (threads < 0 || threads > 1024) throw std::invalid_argument("threads must be 0 to 1024");
  return threads == 0 ? available_threads() : threads;
}

// What others in the process have freed, glibc keeps for itself: 40 MB after JAX has compiled the
// drawing of cnn's first weights. Memory for training comes on top of it. Where weights and state are
// small, the 5 milliseconds that this takes are better saved.
void give_back_freed_memory(const Arena& weights) {
  constexpr std::size_t kLarge = 16'000'000;
  if (weights.bytes() < kLarge) return;
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace

Network::Network(const Shape& input, int threads, const std::string& isa, bool guards)
    : isa_(choose_isa(isa)), kernels_(isa_.kernels), chooses_threads_(threads == 0),
      pool_(checked_threads(threads)), guards_(guards), graph_(input), weights_(guards),
      gradients_(guards), totals_(static_cast<std::size_t>(pool_.threads())) {}

void Network::set_loss(int tensor, LossOptions loss) {
  graph_.shape(tensor);  // throws if there is none
  loss_at_ = tensor;
  loss_ = std::move(loss);
}

void Network::finish(bool trains) {
  if (finished_) throw std::invalid_argument("the network is already finished");
  for (const std::unique_ptr<Param>& param : graph_.params()) {
    weights_.reserve(&param->w, param->size);
    if (!trains || !param->trainable) continue;
    for (int i = 0; i < optimizer_.slots(); ++i)
      weights_.reserve(&param->slot[static_cast<std::size_t>(i)], param->size);
  }
  if (trains) give_back_freed_memory(weights_);
  weights_.allocate();
  if (optimizer_.needs_norms()) keep_gradients();
  squares_.assign(static_cast<std::size_t>(pool_.threads()) * graph_.params().size(), 0.0);
  trains_ = trains;
  finished_ = true;
}

// Only where they are asked for: an update takes each one while it is made.
void Network::keep_gradients() {
  if (gradients_.bytes() > 0) return;
  for (const std::unique_ptr<Param>& param : graph_.params())
    if (param->trainable) gradients_.reserve(&param->grad, param->size);
  gradients_.allocate();
}

Plan& Network::plan_for(int batch, bool training) {
  if (!finished_) throw std::invalid_argument("finish() comes first");
  if (training && !trains_)
    throw std::invalid_argument("finish(trains=True) comes before training");
  if (training && loss_at_ < 0) throw std::invalid_argument("set_loss() comes before training");
  if (!training) batch = images_at_once(graph_, batch);
  std::unique_ptr<Plan>& plan = plans_[{batch, training}];
  if (plan != nullptr) return *plan;
  if (training) give_back_freed_memory(weights_);
  int threads = pool_.threads();
  if (chooses_threads_) threads = threads_worth(graph_, batch, threads, training);
  plan = std::make_unique<Plan>(graph_, batch, threads, training, loss_at_,
                                loss_at_ < 0 ? nullptr : &loss_, augment_, isa_, guards_);
  return *plan;
}

// Calls body(thread, first image, images in the batch, number of the batch) on every thread, and
// `progress` on thread 0 between batches.
template <class Body>
void Network::for_each_batch(const Run& run, Plan& plan, const Progress& progress,
                             const Body& body) {
  for (Totals& totals : totals_) totals.clear(loss_.top_k.size());
  const int batch = plan.capacity();
  const std::int64_t batches = (run.count + batch - 1) / batch;
  std::atomic<bool> stop{false};
  const auto report = [&](std::int64_t done) {
    Totals sum;
    sum.clear(loss_.top_k.size());
    for (const Totals& totals : totals_) sum.add(totals);
    return progress(done, sum);
  };
  pool_.run(plan.threads(), [&](int thread) {
    Clock::time_point next = Clock::now() + kBetweenReports;
    for (std::int64_t i = 0; i < batches; ++i) {
      const std::int64_t first = i * batch;
      body(thread, first, static_cast<int>(std::min<std::int64_t>(batch, run.count - first)), i);
      if (!progress) continue;
      // Every thread is past the last barrier of the batch, so the totals stand still.
      if (thread == 0 && i + 1 < batches) {
        const Clock::time_point now = Clock::now();
        if (now >= next) {
          next = now + kBetweenReports;
          if (!report(i + 1)) stop.store(true, std::memory_order_relaxed);
        }
      }
      plan.barrier().wait();
      if (stop.load(std::memory_order_relaxed)) return;
    }
  });
  if (progress && !stop.load()) report(batches);
}

Totals Network::train(const Run& run, const Training& training, const Progress& progress) {
  Plan& plan = plan_for(run.batch, true);
  for_each_batch(run, plan, progress, [&](int thread, std::int64_t first, int n, std::int64_t i) {
    const std::int64_t iteration = training.iteration + i;
    const Update update = optimizer_.at(iteration, training.rates[i]);
    const Step step{kernels_, plan.barrier(), &update, plan.threads(), n, true,
                    step_key(training.seed, iteration)};
    const std::int64_t* order = run.labels.order + first;
    const Labels labels{run.labels.classes, run.labels.targets, run.labels.weights, order};
    plan.gather(step, run.images, order, run.count - first, thread);
    plan.fwd(step, thread);
    plan.loss(step, labels, true, thread, totals_[static_cast<std::size_t>(thread)]);
    plan.bwd(step, thread);
    if (!update.fused) apply_with_norms(step, thread);
  });
  Totals sum;
  sum.clear(loss_.top_k.size());
  for (const Totals& totals : totals_) sum.add(totals);
  return sum;
}

// clipnorm and global_clipnorm: all gradients first, then their norms, then the updates.
void Network::apply_with_norms(const Step& step, int thread) {
  const std::vector<std::unique_ptr<Param>>& params = graph_.params();
  double* own = squares_.data() + static_cast<std::size_t>(thread) * params.size();
  for (std::size_t p = 0; p < params.size(); ++p) {
    own[p] = 0.0;
    if (!params[p]->trainable) continue;
    const Range range = share_of(params[p]->size, thread, step.threads, 16);
    for (std::int64_t i = range.begin; i < range.end; ++i)
      own[p] += static_cast<double>(params[p]->grad[i]) * params[p]->grad[i];
  }
  step.barrier.wait();
  const auto squares = [&](std::size_t p) {
    double sum = 0.0;
    for (int t = 0; t < step.threads; ++t)
      sum += squares_[static_cast<std::size_t>(t) * params.size() + p];
    return sum;
  };
  double all = 0.0;
  for (std::size_t p = 0; p < params.size(); ++p) all += squares(p);
  for (std::size_t p = 0; p < params.size(); ++p) {
    if (!params[p]->trainable) continue;
    const bool own_norm = optimizer_.clip_norm > 0;
    const double limit = own_norm ? optimizer_.clip_norm : optimizer_.global_clip_norm;
    Update update = *step.update;
    update.fused = true;
    update.rule.gradient_scale =
        static_cast<float>(limit / std::max(std::sqrt(own_norm ? squares(p) : all), limit));
    const Range range = share_of(params[p]->size, thread, step.threads, 16);
    update.apply(kernels_, *params[p], range.begin, params[p]->grad + range.begin,
                 range.end - range.begin);
  }
  step.barrier.wait();
}

Totals Network::evaluate(const Run& run, const Progress& progress) {
  if (loss_at_ < 0) throw std::invalid_argument("set_loss() comes before evaluate()");
  Plan& plan = plan_for(run.batch, false);
  for_each_batch(run, plan, progress, [&](int thread, std::int64_t first, int n, std::int64_t) {
    const Step step{kernels_, plan.barrier(), nullptr, plan.threads(), n, false, 0};
    const std::int64_t* order = run.labels.order + first;
    const Labels labels{run.labels.classes, run.labels.targets, run.labels.weights, order};
    plan.gather(step, run.images, order, run.count - first, thread);
    plan.fwd(step, thread);
    plan.loss(step, labels, false, thread, totals_[static_cast<std::size_t>(thread)]);
  });
  Totals sum;
  sum.clear(loss_.top_k.size());
  for (const Totals& totals : totals_) sum.add(totals);
  return sum;
}

void Network::predict(const Run& run, int tensor, float* out, const Progress& progress) {
  graph_.shape(tensor);  // throws if there is none
  Plan& plan = plan_for(run.batch, false);
  const Tensor& y = plan.tensor(tensor);
  for_each_batch(run, plan, progress, [&](int thread, std::int64_t first, int n, std::int64_t) {
    const Step step{kernels_, plan.barrier(), nullptr, plan.threads(), n, false, 0};
    plan.gather(step, run.images, run.labels.order + first, run.count - first, thread);
    plan.fwd(step, thread);
    const Range images = share_of(n, thread, step.threads);
    for (std::int64_t i = images.begin; i < images.end; ++i)
      std::memcpy(out + (first + i) * y.features, y.data + i * y.stride,
                  static_cast<std::size_t>(y.features) * sizeof(float));
    plan.barrier().wait();
  });
}

Totals Network::gradients(const Run& run, std::uint64_t seed) {
  Plan& plan = plan_for(run.batch, true);
  keep_gradients();
  for_each_batch(run, plan, nullptr, [&](int thread, std::int64_t, int n, std::int64_t) {
    Update update = optimizer_.at(0, 0.0f);
    update.fused = false;
    const Step step{kernels_, plan.barrier(), &update, plan.threads(), n, true,
                    step_key(seed, 0)};
    plan.gather(step, run.images, run.labels.order, run.count, thread);
    plan.fwd(step, thread);
    plan.loss(step, run.labels, true, thread, totals_[static_cast<std::size_t>(thread)]);
    plan.bwd(step, thread);
  });
  Totals sum;
  sum.clear(loss_.top_k.size());
  for (const Totals& totals : totals_) sum.add(totals);
  return sum;
}

std::size_t Network::plan_bytes() const {
  std::size_t most = 0;
  for (const auto& entry : plans_) most = std::max(most, entry.second->bytes());
  return most + weights_.bytes() + gradients_.bytes();
}

std::vector<LayerTime> Network::training_times() const {
  std::vector<LayerTime> sum;
  for (const auto& entry : plans_) {
    if (!entry.first.second) continue;
    const std::vector<LayerTime>& times = entry.second->times();
    if (sum.empty()) {
      sum = times;
      continue;
    }
    for (std::size_t i = 0; i < times.size(); ++i) {
      sum[i].fwd_s += times[i].fwd_s;
      sum[i].bwd_s += times[i].bwd_s;
    }
  }
  return sum;
}

std::int64_t Network::first_overrun() const {
  for (const Arena* arena : {&weights_, &gradients_})
    if (const std::int64_t region = arena->first_overrun(); region >= 0) return region;
  for (const auto& entry : plans_)
    if (const std::int64_t region = entry.second->first_overrun(); region >= 0) return region;
  return -1;
}

}  // namespace penmark
