#include "activations.h"

#include <cmath>
#include <cstring>

namespace penmark {

void Activate::fwd_image(const Step& step, std::int64_t n) {
  step.kernels.activate(activation_, alpha_, x_.data + n * x_.stride, y_.data + n * y_.stride,
                        x_.features);
}

void Activate::bwd_image(const Step& step, std::int64_t n, int thread) {
  if (x_.grad == nullptr) return;
  step.kernels.activate_bwd(activation_, alpha_, x_.data + n * x_.stride, y_.data + n * y_.stride,
                            y_.grad_of(n, thread), x_.grad_of(n, thread), x_.features);
}

void Softmax::fwd_image(const Step&, std::int64_t n) {
  for (std::int64_t from = 0; from < x_.features; from += x_.C) {
    const float* x = x_.data + n * x_.stride + from;
    float* y = y_.data + n * y_.stride + from;
    float most = x[0], sum = 0.0f;
    for (int c = 1; c < x_.C; ++c) most = x[c] > most ? x[c] : most;
    for (int c = 0; c < x_.C; ++c) sum += y[c] = std::exp(x[c] - most);
    for (int c = 0; c < x_.C; ++c) y[c] /= sum;
  }
}

void Softmax::bwd_image(const Step&, std::int64_t n, int thread) {
  if (x_.grad == nullptr) return;
  for (std::int64_t from = 0; from < x_.features; from += x_.C) {
    const float* y = y_.data + n * y_.stride + from;
    const float* dy = y_.grad_of(n, thread) + from;
    float* dx = x_.grad_of(n, thread) + from;
    float dot = 0.0f;
    for (int c = 0; c < x_.C; ++c) dot += y[c] * dy[c];
    for (int c = 0; c < x_.C; ++c) dx[c] = y[c] * (dy[c] - dot);
  }
}

void Rescale::fwd_image(const Step& step, std::int64_t n) {
  step.kernels.scale_f32(x_.data + n * x_.stride, y_.data + n * y_.stride, x_.features, scale_,
                         offset_);
}

void Rescale::bwd_image(const Step& step, std::int64_t n, int thread) {
  if (x_.grad == nullptr) return;
  step.kernels.scale_f32(y_.grad_of(n, thread), x_.grad_of(n, thread), x_.features, scale_,
                         0.0f);
}

void Add::fwd_image(const Step& step, std::int64_t n) {
  float* y = y_.data + n * y_.stride;
  std::memcpy(y, inputs_[0]->data + n * inputs_[0]->stride,
              static_cast<std::size_t>(y_.features) * sizeof(float));
  for (std::size_t i = 1; i < inputs_.size(); ++i)
    step.kernels.add(y, inputs_[i]->data + n * inputs_[i]->stride, y, y_.features);
}

void Add::bwd_image(const Step&, std::int64_t n, int thread) {
  for (const Tensor* input : inputs_)
    if (input->grad != nullptr)
      std::memcpy(input->grad_of(n, thread), y_.grad_of(n, thread),
                  static_cast<std::size_t>(y_.features) * sizeof(float));
}

void Fork::bwd_image(const Step& step, std::int64_t n, int thread) {
  if (x_.grad == nullptr) return;
  float* dx = x_.grad_of(n, thread);
  std::memset(dx, 0, static_cast<std::size_t>(x_.features) * sizeof(float));
  for (const Tensor* copy : copies_)
    step.kernels.add(dx, copy->grad_of(n, thread), dx, x_.features);
}

}  // namespace penmark
