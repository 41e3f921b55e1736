#include "batch_norm.h"

#include <cmath>
#include <cstring>

namespace penmark {

BatchNorm::BatchNorm(const Tensor& x, const Tensor& y, const Params& params, float momentum,
                     float epsilon, bool frozen, int threads, Arena& arena)
    : x_(x), y_(y), params_(params), momentum_(momentum), epsilon_(epsilon), frozen_(frozen),
      pixels_(x.features / x.C), C_(x.C), padded_(round_up(x.C, 16)) {
  arena.reserve(&moments_, threads * 4 * padded_);
  arena.reserve(&sums_, threads * 2 * padded_);
  arena.reserve(&own_, threads * 7 * padded_);
}

BatchNorm::Moments BatchNorm::moments(int thread) const {
  float* at = moments_ + thread * 4 * padded_;
  return {at, at + padded_};
}

BatchNorm::Own BatchNorm::own(int thread) const {
  float* at = own_ + thread * 7 * padded_;
  return {at,
          at + padded_,
          at + 2 * padded_,
          at + 3 * padded_,
          at + 4 * padded_,
          at + 5 * padded_,
          at + 6 * padded_};
}

// Mean and sum of squares of two sets together: Chan, Golub, LeVeque, "Updating Formulae and a
// Pairwise Algorithm for Computing Sample Variances" (1979). From raw squares they would cancel, and
// a mean of the whole batch first would be another pass through memory.
static void merge(float* mean, float* squares, float count, const float* other_mean,
                  const float* other_squares, float other_count, std::int64_t C) {
  const float share = other_count / (count + other_count);
  for (std::int64_t c = 0; c < C; ++c) {
    const float apart = other_mean[c] - mean[c];
    mean[c] += apart * share;
    squares[c] += other_squares[c] + apart * apart * count * share;
  }
}

void BatchNorm::add_image(const Step& step, std::int64_t n, int thread) {
  const Moments total = moments(thread);
  const std::int64_t before = n - share_of(step.n, thread, step.threads).begin;
  const Moments image = before == 0 ? total
                                    : Moments{total.mean + 2 * padded_, total.squares + 2 * padded_};
  const float* x = x_.data + n * x_.stride;
  step.kernels.column_sums(x, pixels_, C_, image.mean);
  const float inv_count = 1.0f / static_cast<float>(pixels_);
  for (std::int64_t c = 0; c < C_; ++c) image.mean[c] *= inv_count;
  step.kernels.centered_squares(x, pixels_, C_, image.mean, image.squares);
  const float count = static_cast<float>(pixels_);
  if (before > 0)
    merge(total.mean, total.squares, static_cast<float>(before) * count, image.mean, image.squares,
          count, C_);
}

// Each thread computes mean and inv_std for itself, from the same sums in the same order: that
// costs C operations and saves a barrier.
void BatchNorm::prepare_fwd(const Step& step, int thread) {
  const Own mine = own(thread);
  if (uses_batch(step)) {
    float* squares = mine.inv_std;
    float images = 0.0f;
    for (int t = 0; t < step.threads; ++t) {
      const Range range = share_of(step.n, t, step.threads);
      const float more = static_cast<float>(range.end - range.begin);
      const Moments other = moments(t);
      if (images == 0.0f) {
        std::memcpy(mine.mean, other.mean, static_cast<std::size_t>(C_) * sizeof(float));
        std::memcpy(squares, other.squares, static_cast<std::size_t>(C_) * sizeof(float));
      } else if (more > 0.0f) {
        merge(mine.mean, squares, images * static_cast<float>(pixels_), other.mean, other.squares,
              more * static_cast<float>(pixels_), C_);
      }
      images += more;
    }
    const float inv_count = 1.0f / static_cast<float>(step.n * pixels_);
    for (std::int64_t c = 0; c < C_; ++c) {
      const float variance = squares[c] * inv_count;
      mine.inv_std[c] = 1.0f / std::sqrt(variance + epsilon_);
      if (thread == 0 && step.update != nullptr) {
        float& m = params_.mean->w[c];
        float& v = params_.variance->w[c];
        m = m * momentum_ + mine.mean[c] * (1.0f - momentum_);
        v = v * momentum_ + variance * (1.0f - momentum_);
      }
    }
  } else {
    for (std::int64_t c = 0; c < C_; ++c) {
      mine.mean[c] = params_.mean->w[c];
      mine.inv_std[c] = 1.0f / std::sqrt(params_.variance->w[c] + epsilon_);
    }
  }
  for (std::int64_t c = 0; c < C_; ++c) {
    mine.factor[c] = mine.inv_std[c] * (params_.gamma != nullptr ? params_.gamma->w[c] : 1.0f);
    mine.shift[c] = params_.beta != nullptr ? params_.beta->w[c] : 0.0f;
  }
}

std::vector<Sweep> BatchNorm::fwd_sweeps() {
  Sweep measure, normalize;
  measure.image = [this](const Step& step, std::int64_t n, int thread) {
    if (uses_batch(step)) add_image(step, n, thread);
  };
  normalize.waits = true;
  normalize.prepare = [this](const Step& step, int thread) { prepare_fwd(step, thread); };
  normalize.image = [this](const Step& step, std::int64_t n, int thread) {
    const Own mine = own(thread);
    step.kernels.normalize(x_.data + n * x_.stride, y_.data + n * y_.stride, pixels_, C_,
                           mine.mean, mine.factor, mine.shift);
  };
  return {measure, normalize};
}

// From the sums of all threads: gradients of gamma and beta, and what the gradient to the input is
// made of. With xhat = (x - mean) inv_std,
//   dx = gamma inv_std (dy - (sum dy + xhat sum (dy xhat)) / count).
void BatchNorm::prepare_bwd(const Step& step, int thread) {
  const Own mine = own(thread);
  std::memset(mine.products, 0, static_cast<std::size_t>(2 * padded_) * sizeof(float));
  for (int t = 0; t < step.threads; ++t) {
    const float* sums = sums_ + t * 2 * padded_;
    step.kernels.add(mine.products, sums, mine.products, C_);
    step.kernels.add(mine.sums, sums + padded_, mine.sums, C_);
  }
  // In a frozen layer mean and variance do not depend on x: only the factor is left.
  const float share = frozen_ ? 0.0f : 1.0f / static_cast<float>(step.n * pixels_);
  for (std::int64_t c = 0; c < C_; ++c) {
    mine.products[c] *= mine.inv_std[c];
    mine.tilt[c] = mine.factor[c] * mine.inv_std[c] * mine.products[c] * share;
    mine.shift[c] = mine.factor[c] * mine.sums[c] * share;
  }
}

void BatchNorm::update(const Step& step, int thread) {
  if (thread != 0) return;
  const Own mine = own(thread);
  if (params_.gamma != nullptr && params_.gamma->trainable)
    step.update->apply(step.kernels, *params_.gamma, 0, mine.products, C_);
  if (params_.beta != nullptr && params_.beta->trainable)
    step.update->apply(step.kernels, *params_.beta, 0, mine.sums, C_);
}

std::vector<Sweep> BatchNorm::bwd_sweeps() {
  Sweep sum, derive;
  sum.prepare = [this](const Step&, int thread) {
    std::memset(sums_ + thread * 2 * padded_, 0,
                static_cast<std::size_t>(2 * padded_) * sizeof(float));
  };
  sum.image = [this](const Step& step, std::int64_t n, int thread) {
    float* sums = sums_ + thread * 2 * padded_;
    step.kernels.normalize_sums(x_.data + n * x_.stride, y_.grad + n * y_.stride, pixels_, C_,
                                own(thread).mean, sums, sums + padded_);
  };
  derive.waits = true;
  derive.prepare = [this](const Step& step, int thread) { prepare_bwd(step, thread); };
  derive.image = [this](const Step& step, std::int64_t n, int thread) {
    if (x_.grad == nullptr) return;
    const Own mine = own(thread);
    step.kernels.normalize_bwd(x_.data + n * x_.stride, y_.grad + n * y_.stride,
                               x_.grad + n * x_.stride, pixels_, C_, mine.mean, mine.factor,
                               mine.tilt, mine.shift);
  };
  derive.end = [this](const Step& step, int thread) { update(step, thread); };
  return {sum, derive};
}

}  // namespace penmark
