// Dropout: y = x / (1 - rate) where kept, 0 elsewhere.
#pragma once

#include "layer.h"

namespace penmark {

class Dropout final : public ImageLayer {
 public:
  // x, y: (N, features); `number` tells this layer's random numbers from other layers'.
  Dropout(const Tensor& x, const Tensor& y, double rate, std::uint64_t number, int N,
          Arena& arena);
  void fwd_image(const Step& step, std::int64_t n) override;
  void bwd_image(const Step& step, std::int64_t n, int thread) override;

 private:
  const Tensor &x_, &y_;
  std::uint32_t drop_;           // dropped where the random 32 bits are below this
  float scale_;
  std::uint64_t number_;
  std::int64_t words_;           // of mask per image
  std::uint32_t* mask_ = nullptr;  // (N, words): one bit per element, 1 = kept
};

}  // namespace penmark
