#include "losses.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace penmark {
namespace {

constexpr std::int64_t kAhead = 8;  // images whose labels are fetched into the cache before their turn

// log(1 + e^x) without overflow
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

struct Row {
  const float* scores;
  float highest;      // of the scores
  const float* exps;  // (K): e^(score - highest)
  const float* targets;
  float* gradient;  // or null
  std::int64_t K;
  std::int64_t label;  // the class whose target is 1, all others 0; -1 if they are not
  float factor;     // weight / images in the batch
};

double softmax_cross_entropy(const Row& row) {
  const float most = row.highest;
  double sum = 0, mass = 1, dot = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < row.K; ++k) sum += row.exps[k];
  if (row.label >= 0) {
    dot = static_cast<double>(row.scores[row.label]) - most;
  } else {
    mass = 0;
    for (std::int64_t k = 0; k < row.K; ++k) {
      mass += row.targets[k];
      // A class without probability adds nothing, however far its logit is: 0 * infinity is 0 here.
      if (row.targets[k] != 0.0f)
        dot += row.targets[k] * (static_cast<double>(row.scores[k]) - most);
    }
  }
  if (row.gradient != nullptr) {
    const float scale = static_cast<float>(mass / sum);
    for (std::int64_t k = 0; k < row.K; ++k)
      row.gradient[k] = row.factor * (row.exps[k] * scale - row.targets[k]);
  }
  return mass * std::log(sum) - dot;
}

// Keras's loss from probabilities: where one is clipped, the loss does not change with it, so its
// target leaves the gradient.
double clipped_cross_entropy(const Row& row) {
  constexpr double kEpsilon = 1e-7;
  double sum = 0;
  for (std::int64_t k = 0; k < row.K; ++k) sum += row.exps[k];
  double loss = 0, mass = 0;
  for (std::int64_t k = 0; k < row.K; ++k) {
    const double p = row.exps[k] / sum, t = row.targets[k];
    const bool kept = p > kEpsilon && p < 1.0 - kEpsilon;
    loss -= t * std::log(std::min(std::max(p, kEpsilon), 1.0 - kEpsilon));
    if (kept) mass += t;
    if (row.gradient != nullptr) row.gradient[k] = static_cast<float>(kept ? -t : 0.0);
  }
  if (row.gradient != nullptr)
    for (std::int64_t k = 0; k < row.K; ++k) {
      const double p = row.exps[k] / sum;
      row.gradient[k] = row.factor * static_cast<float>(row.gradient[k] + mass * p);
    }
  return loss;
}

double sigmoid_cross_entropy(const Row& row) {
  const double share = 1.0 / static_cast<double>(row.K);
  double loss = 0;
  for (std::int64_t k = 0; k < row.K; ++k) {
    const double x = row.scores[k], t = row.targets[k];
    loss += softplus(x) - x * t;
    if (row.gradient != nullptr)
      row.gradient[k] = static_cast<float>(row.factor * share * (1.0 / (1.0 + std::exp(-x)) - t));
  }
  return loss * share;
}

double mean_squared_error(const Row& row) {
  const float share = 1.0f / static_cast<float>(row.K);
  double loss = 0;
  for (std::int64_t k = 0; k < row.K; ++k) {
    const float d = row.scores[k] - row.targets[k];
    loss += static_cast<double>(d) * d;
    if (row.gradient != nullptr) row.gradient[k] = row.factor * 2.0f * share * d;
  }
  return loss * share;
}

}  // namespace

bool one_hot_classes(const float* targets, std::int64_t n, std::int64_t K, std::int64_t* classes) {
  bool all = true;
  for (std::int64_t i = 0; i < n && all; ++i, targets += K) {
    std::int32_t ones = 0, zeros = 0, place = 0;
    for (std::int32_t j = 0; j < K; ++j) {  // no branch: a class is not to be foretold
      const bool one = targets[j] == 1.0f;
      ones += one;
      zeros += targets[j] == 0.0f;
      place += one ? j : 0;
    }
    all = ones == 1 && zeros == K - 1;
    classes[i] = place;
  }
  return all;
}

void Totals::clear(std::size_t ks) {
  loss = correct = binary = 0;
  images = 0;
  top_k.assign(ks, 0.0);
}

void Totals::add(const Totals& other) {
  loss += other.loss;
  correct += other.correct;
  binary += other.binary;
  images += other.images;
  for (std::size_t i = 0; i < top_k.size(); ++i) top_k[i] += other.top_k[i];
}

Loss::Loss(const Tensor& scores, LossOptions options, int N, Arena& arena)
    : scores_(scores), options_(std::move(options)) {
  arena.reserve(&target_, N * scores.features);
  if (options_.kind != LossKind::softmax_cross_entropy) return;
  arena.reserve(&exps_, N * scores.features);
  arena.reserve(&highest_, N);
}

// Those of all images in one pass: ten classes do not fill a vector.
void Loss::exponentials(const Step& step, const Range& images) {
  const std::int64_t K = scores_.features;
  for (std::int64_t n = images.begin; n < images.end; ++n) {
    const float* scores = scores_.data + n * scores_.stride;
    float* exps = exps_ + n * K;
    float most = scores[0];
#pragma omp simd reduction(max : most)
    for (std::int64_t k = 1; k < K; ++k) most = std::max(most, scores[k]);
    for (std::int64_t k = 0; k < K; ++k) exps[k] = scores[k] - most;
    highest_[n] = most;
  }
  float* exps = exps_ + images.begin * K;
  step.kernels.activate(Activation::exponential, 0.0f, exps, exps,
                        (images.end - images.begin) * K);
}

void Loss::run(const Step& step, const Labels& labels, bool differentiate, int thread,
               Totals& totals) {
  const std::int64_t K = scores_.features;
  const Range images = share_of(step.n, thread, step.threads);
  const bool softmax = options_.kind == LossKind::softmax_cross_entropy;
  if (softmax) exponentials(step, images);
  for (std::int64_t n = images.begin; n < images.end; ++n) {
    const std::int64_t at = labels.order != nullptr ? labels.order[n] : n;
    if (labels.classes != nullptr && labels.order != nullptr && n + kAhead < images.end)
      __builtin_prefetch(labels.classes + labels.order[n + kAhead]);
    const float* scores = scores_.data + n * scores_.stride;
    float* target = target_ + n * K;
    std::int64_t label;
    if (labels.classes != nullptr) {
      label = labels.classes[at];
      std::memset(target, 0, static_cast<std::size_t>(K) * sizeof(float));
      target[label] = 1.0f;
    } else {
      std::memcpy(target, labels.targets + at * K, static_cast<std::size_t>(K) * sizeof(float));
      label = std::max_element(target, target + K) - target;
    }
    // Without branches: which class wins is what a processor cannot foresee.
    const float own_score = scores[label];
    int above = 0, tied_before = 0;
#pragma omp simd reduction(+ : above, tied_before)
    for (int k = 0; k < static_cast<int>(K); ++k) {
      above += scores[k] > own_score;
      tied_before += (scores[k] == own_score) & (k < static_cast<int>(label));
    }
    totals.correct += above + tied_before == 0;
    if (options_.threshold) {
      int right = 0;
#pragma omp simd reduction(+ : right)
      for (std::int64_t k = 0; k < K; ++k)
        right += (scores[k] > *options_.threshold) == (target[k] > 0.5f);
      totals.binary += right / static_cast<double>(K);
    }
    for (std::size_t i = 0; i < options_.top_k.size(); ++i)
      totals.top_k[i] += above < options_.top_k[i];

    const float smoothing = options_.label_smoothing;
    if (smoothing > 0.0f) {
      const float floor = options_.kind == LossKind::sigmoid_cross_entropy
                              ? 0.5f * smoothing
                              : smoothing / static_cast<float>(K);
      for (std::int64_t k = 0; k < K; ++k) target[k] = target[k] * (1.0f - smoothing) + floor;
    }
    const float weight = labels.weights != nullptr ? labels.weights[at] : 1.0f;
    const Row row{scores, softmax ? highest_[n] : 0.0f, softmax ? exps_ + n * K : nullptr, target,
                  differentiate ? scores_.grad + n * scores_.stride : nullptr, K,
                  labels.classes != nullptr && smoothing <= 0.0f ? label : -1,
                  weight / static_cast<float>(step.n)};
    double loss = 0;
    switch (options_.kind) {
      case LossKind::softmax_cross_entropy:
        loss = options_.clips ? clipped_cross_entropy(row) : softmax_cross_entropy(row);
        break;
      case LossKind::sigmoid_cross_entropy: loss = sigmoid_cross_entropy(row); break;
      case LossKind::mean_squared_error: loss = mean_squared_error(row); break;
    }
    totals.loss += weight * loss;
    ++totals.images;
  }
}

}  // namespace penmark
