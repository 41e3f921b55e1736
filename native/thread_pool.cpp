#include "thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#if defined(__linux__)
#include <sched.h>
#endif

namespace penmark {
namespace {

constexpr int kMostThreads = 1024;
// A sleeper takes tens of microseconds to wake; threads that all run are seldom further apart.
constexpr int kMostSpin_us = 100, kLeastSpin_us = 2;
constexpr int kPausesPerLook = 8;  // at the clock; a pause takes 5 to 70 ns

using Clock = std::chrono::steady_clock;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Makes denormals zero for the life of the object, on this thread.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(__builtin_ia32_stmxcsr()) {
    __builtin_ia32_ldmxcsr(saved_ | 0x8040u);  // FTZ and DAZ
  }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (1ull << 24)));  // FZ
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  unsigned long long saved_ = 0;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
};

int affinity_threads() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

// Whole processors that the cgroup's quota allows, or 0 where there is none.
int cgroup_threads() {
#if defined(__linux__)
  double quota = 0, period = 0;
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  if (v2 >> quota >> period && period > 0) return static_cast<int>((quota + period - 1) / period);
  std::ifstream q("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), p("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (q >> quota && p >> period && quota > 0 && period > 0)
    return static_cast<int>((quota + period - 1) / period);
#endif
  return 0;
}

}  // namespace

int available_threads() {
  if (const char* text = std::getenv("PENMARK_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long count = std::strtol(text, &end, 10);
    if (*end != '\0' || count < 1 || count > kMostThreads)
      throw std::invalid_argument("PENMARK_THREADS must be a whole number from 1 to 1024, got '" +
                                  std::string(text) + "'");
    return static_cast<int>(count);
  }
  const int affinity = affinity_threads(), quota = cgroup_threads();
  const int count = quota > 0 && quota < affinity ? quota : affinity;
  return count < 1 ? 1 : (count > kMostThreads ? kMostThreads : count);
}

Barrier::Barrier(int threads) : threads_(threads), spin_us_(kMostSpin_us) {}

// Twice as long if spinning paid, or would have; half as long if not.
void Barrier::learn(bool short_wait) {
  const int spin = spin_us_.load(std::memory_order_relaxed);
  const int next = short_wait ? std::min(2 * spin, kMostSpin_us) : std::max(spin / 2, kLeastSpin_us);
  if (next != spin) spin_us_.store(next, std::memory_order_relaxed);
}

void Barrier::wait() {
  if (threads_ == 1) return;
  const std::uint32_t round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    // Sequentially consistent, like the sleepers' count: either the last to arrive sees a sleeper,
    // or the sleeper sees the new round before it lies down.
    round_.store(round + 1);
    if (sleepers_.load() > 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    return;
  }
  const Clock::time_point start = Clock::now();
  const auto limit = std::chrono::microseconds(spin_us_.load(std::memory_order_relaxed));
  do {
    for (int pause = 0; pause < kPausesPerLook; ++pause) {
      if (round_.load(std::memory_order_acquire) != round) return learn(true);
      relax();
    }
  } while (Clock::now() - start < limit);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, [&] { return round_.load() != round; });
    sleepers_.fetch_sub(1);
  }
  learn(Clock::now() - start < std::chrono::microseconds(kMostSpin_us));
}

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  workers_.reserve(static_cast<std::size_t>(threads));
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::serve(int number) {
  std::uint64_t seen = 0;
  for (;;) {
    const std::function<void(int)>* task = nullptr;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
      if (number >= wanted_) continue;
      task = task_;
    }
    {
      const FlushDenormals flush;
      (*task)(number);
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --running_;
    }
    done_.notify_one();
  }
}

void ThreadPool::run(int threads, const std::function<void(int)>& task) {
  const int wanted = std::min(threads, threads_);
  if (wanted > 1) {
    // Only now: many a network is built to be looked at, or is too small for more than one.
    while (static_cast<int>(workers_.size()) + 1 < threads_)
      workers_.emplace_back([this, number = static_cast<int>(workers_.size()) + 1] {
        serve(number);
      });
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      wanted_ = wanted;
      running_ = wanted - 1;
      ++generation_;
    }
    wake_.notify_all();
  }
  {
    const FlushDenormals flush;
    task(0);
  }
  if (wanted > 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
  }
}

}  // namespace penmark
