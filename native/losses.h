// Losses from the network's last tensor, with the metrics that the same pass can count.
#pragma once

#include <optional>

#include "layer.h"

namespace penmark {

enum class LossKind : int { softmax_cross_entropy, sigmoid_cross_entropy, mean_squared_error };

struct LossOptions {
  LossKind kind = LossKind::softmax_cross_entropy;
  float label_smoothing = 0.0f;
  std::vector<int> top_k;      // count images whose class is among the k highest scores
  std::optional<float> threshold;  // of binary accuracy: the score above which the answer is "yes"
  bool clips = false;          // softmax cross-entropy from probabilities clipped to [1e-7, 1 - 1e-7]
};

// Labels of one batch: classes, or one row of targets per image. Weights may be null (all 1).
struct Labels {
  const std::int64_t* classes = nullptr;  // (n)
  const float* targets = nullptr;         // (n, K)
  const float* weights = nullptr;         // (n)
  const std::int64_t* order = nullptr;    // (n): image i of the batch has label order[i]
};

// Whether every row of targets (n, K) is a one among zeros; `classes` (n) then holds their places.
bool one_hot_classes(const float* targets, std::int64_t n, std::int64_t K, std::int64_t* classes);

struct Totals {
  double loss = 0;                 // sum over images of weight * loss
  double correct = 0;              // images whose highest score is at the label
  double binary = 0;               // sum over images of the share of outputs on the right side
  std::vector<double> top_k;       // images, per k
  std::int64_t images = 0;

  void clear(std::size_t ks);
  void add(const Totals& other);
};

class Loss {
 public:
  // scores: (N, K): logits, or plain outputs for mean squared error.
  Loss(const Tensor& scores, LossOptions options, int N, Arena& arena);
  // Adds this thread's images to `totals` and, with `differentiate`, writes scores.grad: the
  // gradient of the mean over the batch.
  void run(const Step& step, const Labels& labels, bool differentiate, int thread, Totals& totals);

 private:
  void exponentials(const Step& step, const Range& images);

  const Tensor& scores_;
  LossOptions options_;
  float* target_ = nullptr;  // (N, K): each image's targets, from classes or smoothed
  float* exps_ = nullptr;    // (N, K), softmax only: e^(score - highest score)
  float* highest_ = nullptr; // (N), softmax only: each image's highest score
};

}  // namespace penmark
