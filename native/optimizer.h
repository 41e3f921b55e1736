// Keras's optimizers: their constants, and what they become in one step.
#pragma once

#include <cstdint>

#include "layer.h"

namespace penmark {

struct Optimizer {
  OptimizerKind kind = OptimizerKind::sgd;
  double beta1 = 0, beta2 = 0, epsilon = 0;  // see UpdateRule
  double weight_decay = 0;
  double clip_value = 0, clip_norm = 0, global_clip_norm = 0;  // 0 = none
  bool amsgrad = false, centered = false;

  // Slots that a weight needs: Adam's two moments (three with amsgrad), and so on.
  int slots() const;
  bool needs_norms() const { return clip_norm > 0 || global_clip_norm > 0; }
  // The update of step number `iteration` (from 0) at that learning rate.
  Update at(std::int64_t iteration, float rate) const;
};

}  // namespace penmark
