#include "pack.h"

namespace penmark {

namespace {

// Element (r, c) of the matrix is at r * row_step + c * column_step.
void pack(const float* matrix, std::int64_t row_step, std::int64_t column_step, float* panels,
          std::int64_t rows, std::int64_t columns) {
  for (std::int64_t p = 0; p < panel_count(columns); ++p) {
    const int bk = panel_width(columns, p), real = panel_columns(columns, p);
    const float* from = matrix + p * kPanel * column_step;
    float* to = panels + panel_offset(rows, p);
    for (std::int64_t r = 0; r < rows; ++r, from += row_step, to += bk)
      for (int j = 0; j < bk; ++j) to[j] = j < real ? from[j * column_step] : 0.0f;
  }
}

void unpack(const float* panels, float* matrix, std::int64_t row_step, std::int64_t column_step,
            std::int64_t rows, std::int64_t columns) {
  for (std::int64_t p = 0; p < panel_count(columns); ++p) {
    const int bk = panel_width(columns, p), real = panel_columns(columns, p);
    const float* from = panels + panel_offset(rows, p);
    float* to = matrix + p * kPanel * column_step;
    for (std::int64_t r = 0; r < rows; ++r, from += bk, to += row_step)
      for (int j = 0; j < real; ++j) to[j * column_step] = from[j];
  }
}

}  // namespace

void pack_panels(const float* matrix, float* panels, std::int64_t rows, std::int64_t columns) {
  pack(matrix, columns, 1, panels, rows, columns);
}

void unpack_panels(const float* panels, float* matrix, std::int64_t rows, std::int64_t columns) {
  unpack(panels, matrix, columns, 1, rows, columns);
}

void pack_transposed(const float* matrix, float* panels, std::int64_t rows, std::int64_t columns) {
  pack(matrix, 1, columns, panels, columns, rows);
}

void unpack_transposed(const float* panels, float* matrix, std::int64_t rows,
                       std::int64_t columns) {
  unpack(panels, matrix, 1, columns, columns, rows);
}

void transpose_words(const Kernels& kernels, const void* from, std::int64_t from_stride,
                     std::uint32_t* to, std::int64_t to_stride, int rows, int columns) {
  kernels.transpose(static_cast<const float*>(from), from_stride,
                    static_cast<float*>(static_cast<void*>(to)), to_stride, rows, columns);
}

void flip_panels(const Kernels& kernels, const float* panels, float* flipped, int R, int S, int C,
                 int K, std::int64_t begin, std::int64_t end) {
  const std::int64_t rows = static_cast<std::int64_t>(R) * S * C;
  const std::int64_t flipped_rows = static_cast<std::int64_t>(R) * S * K;
  for (std::int64_t rs = begin; rs < end; ++rs) {
    const std::int64_t mirrored = static_cast<std::int64_t>(R) * S - 1 - rs;
    for (std::int64_t pc = 0; pc < panel_count(C); ++pc) {
      const int bc = panel_width(C, pc), channels = panel_columns(C, pc);
      for (std::int64_t pk = 0; pk < panel_count(K); ++pk) {
        const int bk = panel_width(K, pk), columns = panel_columns(K, pk);
        const float* from = panels + panel_offset(rows, pk) + (rs * C + pc * kPanel) * bk;
        float* to =
            flipped + panel_offset(flipped_rows, pc) + (mirrored * K + pk * kPanel) * bc;
        if (columns == bk) {
          kernels.transpose(from, bk, to, bc, channels, bk);
          continue;
        }
        for (int k = 0; k < columns; ++k)
          for (int c = 0; c < channels; ++c) to[k * bc + c] = from[c * bk + k];
      }
    }
  }
}

}  // namespace penmark
