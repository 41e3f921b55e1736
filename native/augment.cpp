#include "augment.h"

#include <cmath>

namespace penmark {
namespace {

// SplitMix64 (Steele, Lea, Flood, 2014), as a function of the counter alone.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

float uniform(const float (&range)[2], std::uint64_t key, std::uint32_t image, int which) {
  const std::uint64_t bits = mix(mix(key) + (static_cast<std::uint64_t>(image) << 8) +
                                 static_cast<std::uint64_t>(which));
  const float unit = static_cast<float>(bits >> 40) * (1.0f / 16777216.0f);
  return range[0] + (range[1] - range[0]) * unit;
}

// Coordinates outside the image, brought inside as Keras's fill modes do.
float bring_inside(float at, int size, Fill fill) {
  const float n = static_cast<float>(size);
  switch (fill) {
    case Fill::constant: return at;
    case Fill::nearest: return at < 0.0f ? 0.0f : (at > n - 1.0f ? n - 1.0f : at);
    case Fill::wrap: return at - n * std::floor(at / n);
    case Fill::reflect: {  // (d c b a | a b c d | d c b a)
      const float shifted = at + 0.5f;
      const float period = shifted - 2.0f * n * std::floor(shifted / (2.0f * n));
      return (period < n ? period : 2.0f * n - period) - 0.5f;
    }
  }
  return at;
}

int clamp_index(int at, int size) { return at < 0 ? 0 : (at >= size ? size - 1 : at); }

template <class T>
struct Image {
  const T* x;
  int H, W, C;
  const Augment& augment;

  float pixel(int h, int w, int c) const {
    if (augment.fill == Fill::constant && (h < 0 || h >= H || w < 0 || w >= W))
      return augment.fill_value;
    if (augment.fill == Fill::wrap) {
      h = (h % H + H) % H;
      w = (w % W + W) % W;
    }
    return static_cast<float>(
        x[(static_cast<std::int64_t>(clamp_index(h, H)) * W + clamp_index(w, W)) * C + c]);
  }

  float sample(float h, float w, int c) const {
    // Far outside: keep the conversion to int defined.
    if (!(std::fabs(h) < 1e6f && std::fabs(w) < 1e6f)) return augment.fill_value;
    if (!augment.bilinear)
      return pixel(static_cast<int>(std::floor(h + 0.5f)), static_cast<int>(std::floor(w + 0.5f)),
                   c);
    const float h0 = std::floor(h), w0 = std::floor(w);
    const int i = static_cast<int>(h0), j = static_cast<int>(w0);
    const float down = h - h0, right = w - w0;
    const float top = pixel(i, j, c) * (1 - right) + pixel(i, j + 1, c) * right;
    const float bottom = pixel(i + 1, j, c) * (1 - right) + pixel(i + 1, j + 1, c) * right;
    return top * (1 - down) + bottom * down;
  }
};

template <class T>
void warp_any(const Augment& a, const T* x, float* y, int H, int W, int C, std::uint64_t key,
              std::uint32_t image, float scale, float offset) {
  const float shift_h = uniform(a.shift_h, key, image, 0) * static_cast<float>(H);
  const float shift_w = uniform(a.shift_w, key, image, 1) * static_cast<float>(W);
  const float angle = uniform(a.turn, key, image, 2) * 6.2831853f;
  const float zoom_h = 1.0f + uniform(a.zoom_h, key, image, 3);
  const float zoom_w = a.zoom_keeps_ratio ? zoom_h : 1.0f + uniform(a.zoom_w, key, image, 4);
  const float cosine = std::cos(angle), sine = std::sin(angle);
  const float middle_h = 0.5f * static_cast<float>(H - 1), middle_w = 0.5f * static_cast<float>(W - 1);
  const Image<T> from{x, H, W, C, a};
  for (int h = 0; h < H; ++h) {
    for (int w = 0; w < W; ++w) {
      const float dh = (static_cast<float>(h) - middle_h - shift_h) * zoom_h;
      const float dw = (static_cast<float>(w) - middle_w - shift_w) * zoom_w;
      const float at_h = bring_inside(middle_h + sine * dw + cosine * dh, H, a.fill);
      const float at_w = bring_inside(middle_w + cosine * dw - sine * dh, W, a.fill);
      for (int c = 0; c < C; ++c) *y++ = scale * from.sample(at_h, at_w, c) + offset;
    }
  }
}

}  // namespace

void warp(const Augment& augment, const std::uint8_t* x, float* y, int H, int W, int C,
          std::uint64_t key, std::uint32_t image, float scale, float offset) {
  warp_any(augment, x, y, H, W, C, key, image, scale, offset);
}

void warp(const Augment& augment, const float* x, float* y, int H, int W, int C,
          std::uint64_t key, std::uint32_t image, float scale, float offset) {
  warp_any(augment, x, y, H, W, C, key, image, scale, offset);
}

}  // namespace penmark
