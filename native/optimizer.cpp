#include "optimizer.h"

#include <cmath>

namespace penmark {

int Optimizer::slots() const {
  switch (kind) {
    case OptimizerKind::sgd: return 0;
    case OptimizerKind::momentum:
    case OptimizerKind::nesterov:
    case OptimizerKind::adagrad: return 1;
    case OptimizerKind::adadelta: return 2;
    case OptimizerKind::rmsprop: return 3;  // velocity, momentum, average gradient
    case OptimizerKind::adam: return amsgrad ? 3 : 2;
  }
  return 0;
}

Update Optimizer::at(std::int64_t iteration, float rate) const {
  Update update;
  UpdateRule& rule = update.rule;
  rule.kind = kind;
  rule.rate = rate;
  if (kind == OptimizerKind::adam) {
    const double t = static_cast<double>(iteration + 1);
    rule.rate = static_cast<float>(rate * std::sqrt(1.0 - std::pow(beta2, t)) /
                                   (1.0 - std::pow(beta1, t)));
  }
  rule.clip = static_cast<float>(needs_norms() ? 0.0 : clip_value);
  rule.gradient_scale = 1.0f;
  rule.beta1 = static_cast<float>(beta1);
  rule.beta2 = static_cast<float>(beta2);
  rule.epsilon = static_cast<float>(epsilon);
  rule.amsgrad = amsgrad;
  rule.centered = centered;
  rule.has_momentum = kind == OptimizerKind::rmsprop && beta1 > 0;
  update.decay = static_cast<float>(weight_decay * rate);
  update.fused = !needs_norms();
  return update;
}

}  // namespace penmark
