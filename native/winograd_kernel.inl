// The transforms of winograd.h, for any vector width. Channels are a multiple of 16.

// The one-dimensional maps; a two-dimensional one is a map of the columns, then of the rows. Each reads
// vectors `f` apart and writes vectors `t` apart: spread_input is B^T, gather_output A^T, spread_weights
// G, and the others are their transposes.

// Interpolation at 0, 1, -1 and infinity.
struct Winograd2x2 {
  static constexpr int kOutputs = 2;

  static void spread_input(const Vec* d, int f, Vec* v, int t) {
    v[0] = d[0] - d[2 * f];
    v[t] = d[f] + d[2 * f];
    v[2 * t] = d[2 * f] - d[f];
    v[3 * t] = d[f] - d[3 * f];
  }
  static void gather_input(const Vec* v, int f, Vec* d, int t) {
    d[0] = v[0];
    d[t] = v[f] - v[2 * f] + v[3 * f];
    d[2 * t] = v[f] + v[2 * f] - v[0];
    d[3 * t] = Vec{} - v[3 * f];
  }
  static void spread_output(const Vec* y, int f, Vec* z, int t) {
    z[0] = y[0];
    z[t] = y[0] + y[f];
    z[2 * t] = y[0] - y[f];
    z[3 * t] = Vec{} - y[f];
  }
  static void gather_output(const Vec* m, int f, Vec* y, int t) {
    y[0] = m[0] + m[f] + m[2 * f];
    y[t] = m[f] - m[2 * f] - m[3 * f];
  }
  static void spread_weights(const Vec* g, int f, Vec* u, int t) {
    const Vec ends = 0.5f * (g[0] + g[2 * f]), middle = 0.5f * g[f];
    u[0] = g[0];
    u[t] = ends + middle;
    u[2 * t] = ends - middle;
    u[3 * t] = g[2 * f];
  }
  static void gather_weights(const Vec* u, int f, Vec* g, int t) {
    const Vec sum = 0.5f * (u[f] + u[2 * f]);
    g[0] = u[0] + sum;
    g[t] = 0.5f * (u[f] - u[2 * f]);
    g[2 * t] = sum + u[3 * f];
  }
};

// Interpolation at 0, r, -r, 2r, -2r and infinity, r = sqrt(1/2): a pair of points and its inverses,
// whose powers stay near 1. The usual 1 and 2 would lose two more bits.
struct Winograd4x4 {
  static constexpr int kOutputs = 4;
  static constexpr float kRoot = 0.70710678f;

  static void spread_input(const Vec* d, int f, Vec* v, int t) {
    const Vec near_even = d[4 * f] - 2.0f * d[2 * f], far_even = d[4 * f] - 0.5f * d[2 * f];
    const Vec near_odd = kRoot * (d[3 * f] - 2.0f * d[f]), far_odd = kRoot * (2.0f * d[3 * f] - d[f]);
    v[0] = d[0] - 2.5f * d[2 * f] + d[4 * f];
    v[t] = near_even + near_odd;
    v[2 * t] = near_even - near_odd;
    v[3 * t] = far_even + far_odd;
    v[4 * t] = far_even - far_odd;
    v[5 * t] = d[f] - 2.5f * d[3 * f] + d[5 * f];
  }
  static void gather_input(const Vec* v, int f, Vec* d, int t) {
    const Vec near_even = v[f] + v[2 * f], far_even = v[3 * f] + v[4 * f];
    const Vec near_odd = kRoot * (v[f] - v[2 * f]), far_odd = kRoot * (v[3 * f] - v[4 * f]);
    d[0] = v[0];
    d[t] = v[5 * f] - 2.0f * near_odd - far_odd;
    d[2 * t] = -2.5f * v[0] - 2.0f * near_even - 0.5f * far_even;
    d[3 * t] = near_odd + 2.0f * far_odd - 2.5f * v[5 * f];
    d[4 * t] = v[0] + near_even + far_even;
    d[5 * t] = v[5 * f];
  }
  static void spread_output(const Vec* y, int f, Vec* z, int t) {
    const Vec near_even = y[0] + 0.5f * y[2 * f], far_even = y[0] + 2.0f * y[2 * f];
    const Vec near_odd = kRoot * (y[f] + 0.5f * y[3 * f]);
    const Vec far_odd = kRoot * (2.0f * y[f] + 4.0f * y[3 * f]);
    z[0] = y[0];
    z[t] = near_even + near_odd;
    z[2 * t] = near_even - near_odd;
    z[3 * t] = far_even + far_odd;
    z[4 * t] = far_even - far_odd;
    z[5 * t] = y[3 * f];
  }
  static void gather_output(const Vec* m, int f, Vec* y, int t) {
    const Vec near_even = m[f] + m[2 * f], far_even = m[3 * f] + m[4 * f];
    const Vec near_odd = kRoot * (m[f] - m[2 * f]), far_odd = kRoot * (m[3 * f] - m[4 * f]);
    y[0] = m[0] + near_even + far_even;
    y[t] = near_odd + 2.0f * far_odd;
    y[2 * t] = 0.5f * near_even + 2.0f * far_even;
    y[3 * t] = 0.5f * near_odd + 4.0f * far_odd + m[5 * f];
  }
  static void spread_weights(const Vec* g, int f, Vec* u, int t) {
    const Vec near_even = (-2.0f / 3.0f) * g[0] - (1.0f / 3.0f) * g[2 * f];
    const Vec far_even = (1.0f / 6.0f) * g[0] + (1.0f / 3.0f) * g[2 * f];
    const Vec near_odd = (-2.0f / 3.0f * kRoot) * g[f], far_odd = (1.0f / 3.0f * kRoot) * g[f];
    u[0] = g[0];
    u[t] = near_even + near_odd;
    u[2 * t] = near_even - near_odd;
    u[3 * t] = far_even + far_odd;
    u[4 * t] = far_even - far_odd;
    u[5 * t] = g[2 * f];
  }
  static void gather_weights(const Vec* u, int f, Vec* g, int t) {
    const Vec near_even = u[f] + u[2 * f], far_even = u[3 * f] + u[4 * f];
    const Vec near_odd = u[f] - u[2 * f], far_odd = u[3 * f] - u[4 * f];
    g[0] = u[0] - (2.0f / 3.0f) * near_even + (1.0f / 6.0f) * far_even;
    g[t] = (1.0f / 3.0f * kRoot) * (far_odd - 2.0f * near_odd);
    g[2 * t] = (1.0f / 3.0f) * (far_even - near_even) + u[5 * f];
  }
};

// Where the pixels of tile t lie: kSide by kSide of them, those outside the image at `outside`.
template <int kSide, class T>
inline void tile_pixels(const TileRow<T>& row, int column, T* (&pixel)[kSide * kSide]) {
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

template <class Maps>
void winograd_input(const TileRow<const float>& from, float* points, std::int64_t point_stride) {
  constexpr int n = Maps::kOutputs + 2;
  for (int t = 0; t < from.tiles; ++t, points += from.channels) {
    const float* pixel[n * n];
    tile_pixels<n>(from, from.first + Maps::kOutputs * t, pixel);
    for (int c = 0; c < from.channels; c += kLanes) {
      Vec half[n * n];
      PENMARK_UNROLL for (int j = 0; j < n; ++j) {
        Vec d[n];
        PENMARK_UNROLL for (int i = 0; i < n; ++i) d[i] = load(pixel[i * n + j] + c);
        Maps::spread_input(d, 1, half + j, n);
      }
      PENMARK_UNROLL for (int i = 0; i < n; ++i) {
        Vec v[n];
        Maps::spread_input(half + n * i, 1, v, 1);
        PENMARK_UNROLL for (int j = 0; j < n; ++j)
          store(points + (i * n + j) * point_stride + c, v[j]);
      }
    }
  }
}

template <class Maps>
void winograd_input_bwd(const float* points, std::int64_t point_stride, const TileRow<float>& to) {
  constexpr int n = Maps::kOutputs + 2;
  for (int t = 0; t < to.tiles; ++t, points += to.channels) {
    float* pixel[n * n];
    tile_pixels<n>(to, to.first + Maps::kOutputs * t, pixel);
    for (int c = 0; c < to.channels; c += kLanes) {
      Vec half[n * n];
      PENMARK_UNROLL for (int j = 0; j < n; ++j) {
        Vec v[n];
        PENMARK_UNROLL for (int i = 0; i < n; ++i)
          v[i] = load(points + (i * n + j) * point_stride + c);
        Maps::gather_input(v, 1, half + j, n);
      }
      PENMARK_UNROLL for (int i = 0; i < n; ++i) {
        Vec d[n];
        Maps::gather_input(half + n * i, 1, d, 1);
        PENMARK_UNROLL for (int j = 0; j < n; ++j)
          store(pixel[i * n + j] + c, load(pixel[i * n + j] + c) + d[j]);
      }
    }
  }
}

template <class Maps>
void winograd_output(const float* points, std::int64_t point_stride, const float* bias, bool relu,
                     const TileRow<float>& to) {
  constexpr int m = Maps::kOutputs, n = m + 2;
  for (int t = 0; t < to.tiles; ++t, points += to.channels) {
    float* pixel[m * m];
    tile_pixels<m>(to, to.first + m * t, pixel);
    for (int c = 0; c < to.channels; c += kLanes) {
      Vec half[m * n];
      PENMARK_UNROLL for (int j = 0; j < n; ++j) {
        Vec v[n];
        PENMARK_UNROLL for (int i = 0; i < n; ++i)
          v[i] = load(points + (i * n + j) * point_stride + c);
        Maps::gather_output(v, 1, half + j, n);
      }
      const Vec shift = bias != nullptr ? load(bias + c) : Vec{};
      PENMARK_UNROLL for (int i = 0; i < m; ++i) {
        Vec y[m];
        Maps::gather_output(half + n * i, 1, y, 1);
        PENMARK_UNROLL for (int j = 0; j < m; ++j) {
          Vec out = y[j] + shift;
          if (relu) out = out < Vec{} ? Vec{} : out;  // a NaN must stay one
          store(pixel[i * m + j] + c, out);
        }
      }
    }
  }
}

template <class Maps>
void winograd_output_bwd(const TileRow<const float>& from, float* points,
                         std::int64_t point_stride) {
  constexpr int m = Maps::kOutputs, n = m + 2;
  for (int t = 0; t < from.tiles; ++t, points += from.channels) {
    const float* pixel[m * m];
    tile_pixels<m>(from, from.first + m * t, pixel);
    for (int c = 0; c < from.channels; c += kLanes) {
      Vec half[n * m];
      PENMARK_UNROLL for (int j = 0; j < m; ++j) {
        Vec y[m];
        PENMARK_UNROLL for (int i = 0; i < m; ++i) y[i] = load(pixel[i * m + j] + c);
        Maps::spread_output(y, 1, half + j, m);
      }
      PENMARK_UNROLL for (int i = 0; i < n; ++i) {
        Vec z[n];
        Maps::spread_output(half + m * i, 1, z, 1);
        PENMARK_UNROLL for (int j = 0; j < n; ++j)
          store(points + (i * n + j) * point_stride + c, z[j]);
      }
    }
  }
}

template <class Maps>
void winograd_weights(const float* taps, std::int64_t tap_stride, float* points,
                      std::int64_t point_stride, std::int64_t kernels) {
  constexpr int n = Maps::kOutputs + 2;
  for (std::int64_t at = 0; at < kernels; at += kLanes) {
    Vec g[9], half[3 * n], u[n * n];
    PENMARK_UNROLL for (int i = 0; i < 9; ++i) g[i] = load(taps + i * tap_stride + at);
    for (int j = 0; j < 3; ++j) Maps::spread_weights(g + j, 3, half + j, 3);
    for (int i = 0; i < n; ++i) Maps::spread_weights(half + 3 * i, 1, u + n * i, 1);
    for (int i = 0; i < n * n; ++i) store(points + i * point_stride + at, u[i]);
  }
}

template <class Maps>
void winograd_weights_bwd(const float* points, std::int64_t point_stride, float* taps,
                          std::int64_t tap_stride, std::int64_t kernels) {
  constexpr int n = Maps::kOutputs + 2;
  for (std::int64_t at = 0; at < kernels; at += kLanes) {
    Vec u[n * n], half[3 * n], g[9];
    for (int i = 0; i < n * n; ++i) u[i] = load(points + i * point_stride + at);
    for (int j = 0; j < n; ++j) Maps::gather_weights(u + j, n, half + j, n);
    for (int i = 0; i < 3; ++i) Maps::gather_weights(half + n * i, 1, g + 3 * i, 1);
    PENMARK_UNROLL for (int i = 0; i < 9; ++i) store(taps + i * tap_stride + at, g[i]);
  }
}
