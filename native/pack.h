// Weights between Keras's layout and panels.
//
// Panels of a (rows, columns) matrix: panel p covers columns 32 p .. and is stored as [rows][bk],
// bk = 32, or 16 for a last panel with at most 16 columns. Missing columns are zero and stay zero:
// their gradient is. A convolution kernel (R, S, C, K) is the matrix (R*S*C, K).
#pragma once

#include <cstdint>

#include "kernels.h"

namespace penmark {

inline std::int64_t panel_count(std::int64_t columns) { return (columns + kPanel - 1) / kPanel; }
inline std::int64_t padded_columns(std::int64_t columns) { return (columns + 15) / 16 * 16; }
inline std::int64_t panel_size(std::int64_t rows, std::int64_t columns) {
  return rows * padded_columns(columns);
}
inline std::int64_t panel_offset(std::int64_t rows, std::int64_t panel) {
  return panel * rows * kPanel;
}
// bk of that panel, and how many of its columns are real.
inline int panel_width(std::int64_t columns, std::int64_t panel) {
  const std::int64_t left = padded_columns(columns) - panel * kPanel;
  return left < kPanel ? static_cast<int>(left) : kPanel;
}
inline int panel_columns(std::int64_t columns, std::int64_t panel) {
  const std::int64_t left = columns - panel * kPanel;
  return left < kPanel ? static_cast<int>(left) : kPanel;
}

// matrix: (rows, columns), C order; panels: panel_size(rows, columns)
void pack_panels(const float* matrix, float* panels, std::int64_t rows, std::int64_t columns);
void unpack_panels(const float* panels, float* matrix, std::int64_t rows, std::int64_t columns);

// The same with panels of the transposed matrix, panel_size(columns, rows).
void pack_transposed(const float* matrix, float* panels, std::int64_t rows, std::int64_t columns);
void unpack_transposed(const float* panels, float* matrix, std::int64_t rows,
                       std::int64_t columns);

// `Kernels::transpose` for 32-bit words of any kind: it moves bits and computes nothing.
void transpose_words(const Kernels& kernels, const void* from, std::int64_t from_stride,
                     std::uint32_t* to, std::int64_t to_stride, int rows, int columns);

// For bwd_d of a convolution: from panels of (R*S*C, K) to panels of (R*S*K, C) with both kernel
// axes reversed, so that the gradient to the input is a forward convolution.
// Handles kernel positions [begin, end) of R*S.
void flip_panels(const Kernels& kernels, const float* panels, float* flipped, int R, int S, int C,
                 int K, std::int64_t begin, std::int64_t end);

}  // namespace penmark
