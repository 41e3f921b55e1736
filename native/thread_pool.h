// Persistent threads that run one function together, each knowing its number.
//
// Work is split statically by thread number, so results depend on the thread count and on nothing
// else: the same seed and count give the same bits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace penmark {

// As many threads as the process may use: affinity and cgroup quota respected, PENMARK_THREADS
// overrides. Throws std::invalid_argument when the variable is not a whole number from 1 to 1024.
int available_threads();

// Meets all threads of a region. Spins first, since a step has many of these some microseconds apart,
// then sleeps, since the cores may be shared with others. How long it spins follows from how long
// the waits have been: where others use the cores too, a thread waits for one that has lost its
// core, for milliseconds, and would burn the time that the other one needs.
class Barrier {
 public:
  explicit Barrier(int threads);
  void wait();

 private:
  void learn(bool short_wait);

  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<int> spin_us_;
  std::mutex mutex_;
  std::condition_variable wake_;
};

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Denormal numbers count as zero while a task runs (saturated sigmoids and old moments of Adam are
  // full of them, and each costs a hundred cycles); XLA does the same.
  // Runs task(0) on the caller and task(1) .. task(threads - 1) on others, with at most as many
  // threads as the pool has; returns when all have. The task must not throw.
  void run(int threads, const std::function<void(int)>& task);

 private:
  void serve(int number);

  const int threads_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int)>* task_ = nullptr;
  int wanted_ = 0;  // threads that the task is for
  std::uint64_t generation_ = 0;
  int running_ = 0;
  bool stopping_ = false;
};

// Elements [begin, end) of `total` for one thread, in whole grains.
struct Range {
  std::int64_t begin, end;
};
inline Range share_of(std::int64_t total, int thread, int threads, std::int64_t grain = 1) {
  const std::int64_t grains = (total + grain - 1) / grain;
  const std::int64_t begin = grains * thread / threads * grain;
  const std::int64_t end = grains * (thread + 1) / threads * grain;
  return {begin < total ? begin : total, end < total ? end : total};
}

// Groups of `size` elements dealt out one after the other: which of the elements of `group` are in
// `share`, counted from the group's first.
inline Range share_in_group(const Range& share, std::int64_t group, std::int64_t size) {
  const auto at = [&](std::int64_t i) {
    const std::int64_t place = i - group * size;
    return place < 0 ? 0 : place < size ? place : size;
  };
  return {at(share.begin), at(share.end)};
}

}  // namespace penmark
