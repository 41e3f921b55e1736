// MaxPooling2D, AveragePooling2D and GlobalAveragePooling2D; each thread takes whole images.
#pragma once

#include "layer.h"

namespace penmark {

class Pool final : public Layer {
 public:
  // x: (N, H, W, C), y: (N, P, Q, C). Global pooling is average pooling with the image as window.
  Pool(const Tensor& x, const Tensor& y, const PoolShape& shape, bool takes_max, int N,
       Arena& arena);
  void fwd(const Step& step, int thread) override;
  void bwd(const Step& step, int thread) override;

 private:
  const Tensor &x_, &y_;
  PoolShape shape_;
  bool takes_max_;
  std::uint8_t* argmax_ = nullptr;  // (N, y.features): position of the maximum in its window
};

}  // namespace penmark
