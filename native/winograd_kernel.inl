// The transforms of winograd.h, for any vector width. Channels are a multiple of 16.

// Where the pixels of tile t lie: kSide by kSide of them, those outside the image at `outside`.
template <int kSide, class T>
inline void tile_pixels(const TileRow<T>& row, int t, T* (&pixel)[kSide * kSide]) {
  const int column = row.first + 2 * t;
  const bool inside = column >= 0 && column + kSide <= row.columns;
  PENMARK_UNROLL for (int i = 0; i < kSide; ++i) {
    PENMARK_UNROLL for (int j = 0; j < kSide; ++j) {
      const bool is_there =
          row.rows[i] != nullptr && (inside || (column + j >= 0 && column + j < row.columns));
      pixel[i * kSide + j] =
          is_there ? row.rows[i] + static_cast<std::int64_t>(column + j) * row.channels
                   : row.outside;
    }
  }
}

// The four one-dimensional maps; a two-dimensional one is a map of the columns, then of the rows.
// B^T and its transpose:
inline void spread_input(const Vec* d, int step, Vec* v) {
  v[0] = d[0] - d[2 * step];
  v[step] = d[step] + d[2 * step];
  v[2 * step] = d[2 * step] - d[step];
  v[3 * step] = d[step] - d[3 * step];
}
inline void gather_input(const Vec* v, int step, Vec* d) {
  d[0] = v[0];
  d[step] = v[step] - v[2 * step] + v[3 * step];
  d[2 * step] = v[step] + v[2 * step] - v[0];
  d[3 * step] = Vec{} - v[3 * step];
}
// A and its transpose:
inline void spread_output(Vec y0, Vec y1, int step, Vec* z) {
  z[0] = y0;
  z[step] = y0 + y1;
  z[2 * step] = y0 - y1;
  z[3 * step] = Vec{} - y1;
}
inline void gather_output(const Vec* m, int step, Vec& y0, Vec& y1) {
  y0 = m[0] + m[step] + m[2 * step];
  y1 = m[step] - m[2 * step] - m[3 * step];
}

inline void winograd_input(const TileRow<const float>& from, float* points,
                           std::int64_t point_stride) {
  for (int t = 0; t < from.tiles; ++t, points += from.channels) {
    const float* pixel[16];
    tile_pixels<4>(from, t, pixel);
    for (int c = 0; c < from.channels; c += kLanes) {
      Vec d[16], half[16], v[16];
      PENMARK_UNROLL for (int i = 0; i < 16; ++i) d[i] = load(pixel[i] + c);
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) spread_input(d + i, 4, half + i);
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) spread_input(half + 4 * i, 1, v + 4 * i);
      PENMARK_UNROLL for (int i = 0; i < 16; ++i) store(points + i * point_stride + c, v[i]);
    }
  }
}

inline void winograd_input_bwd(const float* points, std::int64_t point_stride,
                               const TileRow<float>& to) {
  for (int t = 0; t < to.tiles; ++t, points += to.channels) {
    float* pixel[16];
    tile_pixels<4>(to, t, pixel);
    for (int c = 0; c < to.channels; c += kLanes) {
      Vec v[16], half[16], d[16];
      PENMARK_UNROLL for (int i = 0; i < 16; ++i) v[i] = load(points + i * point_stride + c);
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) gather_input(v + i, 4, half + i);
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) gather_input(half + 4 * i, 1, d + 4 * i);
      PENMARK_UNROLL for (int i = 0; i < 16; ++i)
        store(pixel[i] + c, load(pixel[i] + c) + d[i]);
    }
  }
}

inline void winograd_output(const float* points, std::int64_t point_stride, const float* bias,
                            bool relu, const TileRow<float>& to) {
  for (int t = 0; t < to.tiles; ++t, points += to.channels) {
    float* pixel[4];
    tile_pixels<2>(to, t, pixel);
    for (int c = 0; c < to.channels; c += kLanes) {
      Vec m[16], half[8], y[4];
      PENMARK_UNROLL for (int i = 0; i < 16; ++i) m[i] = load(points + i * point_stride + c);
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) gather_output(m + i, 4, half[i], half[4 + i]);
      PENMARK_UNROLL for (int i = 0; i < 2; ++i)
        gather_output(half + 4 * i, 1, y[2 * i], y[2 * i + 1]);
      const Vec shift = bias != nullptr ? load(bias + c) : Vec{};
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) {
        Vec out = y[i] + shift;
        if (relu) out = out < Vec{} ? Vec{} : out;  // a NaN must stay one
        store(pixel[i] + c, out);
      }
    }
  }
}

inline void winograd_output_bwd(const TileRow<const float>& from, float* points,
                                std::int64_t point_stride) {
  for (int t = 0; t < from.tiles; ++t, points += from.channels) {
    const float* pixel[4];
    tile_pixels<2>(from, t, pixel);
    for (int c = 0; c < from.channels; c += kLanes) {
      Vec y[4], half[8], z[16];
      PENMARK_UNROLL for (int i = 0; i < 4; ++i) y[i] = load(pixel[i] + c);
      PENMARK_UNROLL for (int i = 0; i < 2; ++i) spread_output(y[i], y[2 + i], 2, half + i);
      PENMARK_UNROLL for (int i = 0; i < 4; ++i)
        spread_output(half[2 * i], half[2 * i + 1], 1, z + 4 * i);
      PENMARK_UNROLL for (int i = 0; i < 16; ++i) store(points + i * point_stride + c, z[i]);
    }
  }
}

// G and its transpose, of n kernels side by side; n is a multiple of 16.
inline void winograd_weights(const float* taps, std::int64_t tap_stride, float* points,
                             std::int64_t point_stride, std::int64_t n) {
  const auto spread = [](const Vec* g, int step, Vec* u, int u_step) {
    const Vec ends = 0.5f * (g[0] + g[2 * step]), middle = 0.5f * g[step];
    u[0] = g[0];
    u[u_step] = ends + middle;
    u[2 * u_step] = ends - middle;
    u[3 * u_step] = g[2 * step];
  };
  for (std::int64_t at = 0; at < n; at += kLanes) {
    Vec g[9], half[12], u[16];
    PENMARK_UNROLL for (int i = 0; i < 9; ++i) g[i] = load(taps + i * tap_stride + at);
    PENMARK_UNROLL for (int i = 0; i < 3; ++i) spread(g + i, 3, half + i, 3);
    PENMARK_UNROLL for (int i = 0; i < 4; ++i) spread(half + 3 * i, 1, u + 4 * i, 1);
    PENMARK_UNROLL for (int i = 0; i < 16; ++i) store(points + i * point_stride + at, u[i]);
  }
}

inline void winograd_weights_bwd(const float* points, std::int64_t point_stride, float* taps,
                                 std::int64_t tap_stride, std::int64_t n) {
  const auto gather = [](const Vec* u, int step, Vec* g, int g_step) {
    const Vec sum = 0.5f * (u[step] + u[2 * step]);
    g[0] = u[0] + sum;
    g[g_step] = 0.5f * (u[step] - u[2 * step]);
    g[2 * g_step] = sum + u[3 * step];
  };
  for (std::int64_t at = 0; at < n; at += kLanes) {
    Vec u[16], half[12], g[9];
    PENMARK_UNROLL for (int i = 0; i < 16; ++i) u[i] = load(points + i * point_stride + at);
    PENMARK_UNROLL for (int i = 0; i < 4; ++i) gather(u + i, 4, half + i, 4);
    PENMARK_UNROLL for (int i = 0; i < 3; ++i) gather(half + 4 * i, 1, g + 3 * i, 1);
    PENMARK_UNROLL for (int i = 0; i < 9; ++i) store(taps + i * tap_stride + at, g[i]);
  }
}
