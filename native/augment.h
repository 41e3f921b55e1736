// Training-time augmentation: one random affine warp per image, from the stored image straight into
// the batch. Rotation, zoom and translation compose into one matrix, so an image is resampled once.
#pragma once

#include <cstdint>

namespace penmark {

enum class Fill : int { constant, nearest, reflect, wrap };

struct Augment {
  bool enabled = false;
  // Uniform ranges, as Keras's layers take them: shares of height and width, shares of a full turn.
  float shift_h[2] = {0, 0}, shift_w[2] = {0, 0};
  float turn[2] = {0, 0};
  float zoom_h[2] = {0, 0}, zoom_w[2] = {0, 0};
  bool zoom_keeps_ratio = true;  // the same zoom for width as for height
  Fill fill = Fill::reflect;
  float fill_value = 0.0f;
  bool bilinear = true;
};

// y = scale * warp(x) + offset. x: (H, W, C), y: (H, W, C). `key` and `image` choose the warp.
void warp(const Augment& augment, const std::uint8_t* x, float* y, int H, int W, int C,
          std::uint64_t key, std::uint32_t image, float scale, float offset);
void warp(const Augment& augment, const float* x, float* y, int H, int W, int C,
          std::uint64_t key, std::uint32_t image, float scale, float offset);

}  // namespace penmark
