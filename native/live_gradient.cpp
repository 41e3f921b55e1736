#include "live_gradient.h"

#include <algorithm>
#include <cstring>

#include "pack.h"

namespace penmark {
namespace {

// Where more than this share of the products is listed, all of them are as quick: each row of
// weights is loaded for two images only.
constexpr double kMostListed = 0.4;

}  // namespace

void LiveGradient::reserve(Arena& arena, const Tensor& x, std::int64_t row_block, int N,
                           int threads) {
  x_ = &x;
  N_ = N;
  row_block_ = row_block;
  blocks_ = (x.features + row_block - 1) / row_block;
  width_ = padded_columns(row_block);
  slots_ = (N + kLiveRows - 1) / kLiveRows * blocks_;
  arena.reserve(&listed_, slots_ * width_);
  arena.reserve(&lengths_, slots_);
  arena.reserve(&parts_, threads * slots_ * kLiveRows * width_);
  takes_part_.assign(static_cast<std::size_t>(threads * blocks_), 0);
}

void LiveGradient::list(const Step& step, int thread) {
  const Range images = share_of(step.n, thread, step.threads, kLiveRows);
  for (std::int64_t n = images.begin; n < images.end; n += kLiveRows)
    for (std::int64_t block = 0; block < blocks_; ++block) {
      const std::int64_t c0 = block * row_block_, slot = n / kLiveRows * blocks_ + block;
      lengths_[slot] = step.kernels.list_live(
          x_->slope, x_->data + n * x_->stride + c0, x_->stride,
          static_cast<int>(std::min<std::int64_t>(kLiveRows, step.n - n)),
          std::min(row_block_, x_->features - c0), static_cast<int>(c0), listed_ + slot * width_);
    }
}

bool LiveGradient::few(const Step& step) const {
  const std::int64_t slots = (step.n + kLiveRows - 1) / kLiveRows * blocks_;
  std::int64_t listed = 0;
  for (std::int64_t slot = 0; slot < slots; ++slot) listed += lengths_[slot];
  return kLiveRows * listed <= kMostListed * static_cast<double>(step.n * x_->features);
}

void LiveGradient::product(const Step& step, int thread, std::int64_t block, const Range& panels,
                           const float* dz, const Param& weights) {
  takes_part_[static_cast<std::size_t>(thread * blocks_ + block)] = 1;
  const std::int64_t last = std::min(panels.end * kPanel, weights.columns);
  for (std::int64_t n = 0; n < step.n; n += kLiveRows) {
    const std::int64_t slot = n / kLiveRows * blocks_ + block;
    step.kernels.live_products({dz + (panels.begin * (N_ + 1) + n) * kPanel, (N_ + 1) * kPanel,
                                n + 1 < step.n ? kPanel : 0,
                                weights.w + panel_offset(weights.rows, panels.begin),
                                weights.rows * kPanel, last - panels.begin * kPanel,
                                listed_ + slot * width_, lengths_[slot],
                                parts_ + (thread * slots_ + slot) * kLiveRows * width_});
  }
}

void LiveGradient::add_up(const Step& step, int thread) const {
  const int group = step.kernels.live_features;
  const std::int64_t size = kLiveRows * width_;
  const Range images = share_of(step.n, thread, step.threads, kLiveRows);
  for (std::int64_t n = images.begin; n < images.end; n += kLiveRows) {
    const std::int64_t rows = std::min<std::int64_t>(kLiveRows, step.n - n);
    float* dx = x_->grad + n * x_->stride;
    std::memset(dx, 0, static_cast<std::size_t>(rows * x_->stride) * sizeof(float));
    for (std::int64_t block = 0; block < blocks_; ++block) {
      const std::int64_t slot = n / kLiveRows * blocks_ + block;
      const int count = lengths_[slot];
      float* sums = nullptr;
      for (int t = 0; t < step.threads; ++t) {
        if (!takes_part_[static_cast<std::size_t>(t * blocks_ + block)]) continue;
        float* part = parts_ + (t * slots_ + slot) * size;
        if (sums == nullptr) sums = part;
        else step.kernels.add(sums, part, sums, (count + group - 1) / group * group * kLiveRows);
      }
      for (int i = 0; i < count; ++i) {
        const float* sum = sums + i / group * group * kLiveRows + i % group;
        for (std::int64_t row = 0; row < rows; ++row)
          dx[row * x_->stride + listed_[slot * width_ + i]] = sum[row * group];
      }
    }
  }
}

}  // namespace penmark
