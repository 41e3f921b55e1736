#include "layer.h"

#include <cstring>

namespace penmark {

void Update::apply(const Kernels& kernels, Param& param, std::int64_t begin, const float* gradient,
                   std::int64_t count, std::int64_t next) const {
  if (count <= 0) return;
  if (!fused) {
    std::memcpy(param.grad + begin, gradient, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  UpdateRule own = rule;
  own.decay = param.decays ? decay : 0.0f;
  own.next = next;
  const auto at = [&](int i) { return param.slot[i] == nullptr ? nullptr : param.slot[i] + begin; };
  kernels.update(own, param.w + begin, at(0), at(1), at(2), gradient, count);
}

void PartialGradient::reserve(Arena& arena, std::int64_t size, int threads) {
  stride_ = round_up(size, 16);
  arena.reserve(&sums_, stride_ * threads);
}

void PartialGradient::apply(const Step& step, Param& param, int thread) {
  const Range range = share_of(param.size, thread, step.threads, 16);
  float* total = of(0) + range.begin;
  const std::int64_t count = range.end - range.begin;
  for (int other = 1; other < step.threads; ++other)
    step.kernels.add(total, of(other) + range.begin, total, count);
  step.update->apply(step.kernels, param, range.begin, total, count);
}

std::vector<Sweep> Layer::fwd_sweeps() {
  Sweep whole;
  whole.begin = [this](const Step& step, int thread) { fwd(step, thread); };
  whole.waits = true;
  return {whole};
}

std::vector<Sweep> Layer::bwd_sweeps() {
  Sweep whole;
  whole.begin = [this](const Step& step, int thread) { bwd(step, thread); };
  whole.waits = true;
  return {whole};
}

std::vector<Sweep> ImageLayer::fwd_sweeps() {
  Sweep sweep;
  sweep.image = [this](const Step& step, std::int64_t n, int) { fwd_image(step, n); };
  return {sweep};
}

std::vector<Sweep> ImageLayer::bwd_sweeps() {
  Sweep sweep;
  sweep.image = [this](const Step& step, std::int64_t n, int thread) {
    bwd_image(step, n, thread);
  };
  return {sweep};
}

}  // namespace penmark
