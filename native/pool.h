// MaxPooling2D, AveragePooling2D and GlobalAveragePooling2D; each thread takes whole images.
#pragma once

#include "layer.h"

namespace penmark {

class Pool final : public ImageLayer {
 public:
  // x: (N, H, W, C), y: (N, P, Q, C). Global pooling is average pooling with the image as window.
  Pool(const Tensor& x, const Tensor& y, const PoolShape& shape, bool takes_max, int N,
       Arena& arena);
  void fwd_image(const Step& step, std::int64_t n) override;
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  const Tensor &x_, &y_;
  PoolShape shape_;
  bool takes_max_;
  std::uint8_t* argmax_ = nullptr;  // (N, y.features): position of the maximum in its window
};

}  // namespace penmark
