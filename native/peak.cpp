#include "peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "dispatch.h"
#include "thread_pool.h"

namespace penmark {

double peak_gflops(int threads) {
  const Kernels& kernels = choose_isa().kernels;
  ThreadPool pool(threads);
  std::atomic<float> sink{0.0f};
  const auto seconds = [&](std::int64_t rounds) {
    const auto start = std::chrono::steady_clock::now();
    pool.run(threads, [&](int) { sink.store(kernels.multiply_adds(rounds), std::memory_order_relaxed); });
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  // Neighbors on a shared machine slow single trials, so the best of several short ones counts.
  constexpr double kTrialSeconds = 0.005;
  constexpr int kTrials = 20;
  std::int64_t rounds = 1000;
  while (seconds(rounds) < kTrialSeconds) rounds *= 2;
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial)
    best = std::max(best, static_cast<double>(rounds) / seconds(rounds));
  return best * threads * static_cast<double>(kernels.operations_per_round) / 1e9;
}

}  // namespace penmark
