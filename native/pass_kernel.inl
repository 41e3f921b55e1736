// Passes over whole images or rows: scaling, sums, pooling, dropout, normalization. Plain loops over
// contiguous channels, for the compiler to vectorize.

template <class T>
inline void scale_any(const T* x, float* y, std::int64_t n, float scale, float offset) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = scale * static_cast<float>(x[i]) + offset;
}
void scale_u8(const std::uint8_t* x, float* y, std::int64_t n, float scale, float offset) {
  scale_any(x, y, n, scale, offset);
}
void scale_f32(const float* x, float* y, std::int64_t n, float scale, float offset) {
  scale_any(x, y, n, scale, offset);
}

void add(const float* a, const float* b, float* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

// Rows by columns (pixels by channels): a pair of vectors of columns at a time, so that what belongs
// to a column stays in registers while the rows pass by. kFull: both vectors are whole; else
// `columns` are left.
constexpr int kPair = 2 * kLanes;

template <bool kFull>
struct Pair {
  Vec v[2];

  static Pair zero() { return {{Vec{}, Vec{}}}; }
  static Pair of(const float* p, int columns) {
    if (kFull) return {{load(p), load(p + kLanes)}};
    if (columns <= kLanes) return {{load_part(p, columns), Vec{}}};
    return {{load(p), load_part(p + kLanes, columns - kLanes)}};
  }
  void to(float* p, int columns) const {
    if (kFull) {
      store(p, v[0]);
      store(p + kLanes, v[1]);
    } else if (columns <= kLanes) {
      store_part(p, v[0], columns);
    } else {
      store(p, v[0]);
      store_part(p + kLanes, v[1], columns - kLanes);
    }
  }
};

// Runs body<kFull>(first column, columns) for all columns.
#define PENMARK_BY_COLUMNS(C, body)                                                \
  std::int64_t c = 0;                                                              \
  for (; c + kPair <= (C); c += kPair) body<true>(c, kPair);                       \
  if (c < (C)) body<false>(c, static_cast<int>((C) - c));

inline int clipped(int first, int size, int limit) {
  return first + size < limit ? first + size : limit;
}

struct MaxPool {
  const float* x;  // channel 0 of the window's first pixel inside the image
  std::int64_t row, C;  // floats in a row of pixels, and in a pixel
  int rows, columns;  // of the window inside the image
  int first, across;  // number of that pixel in the window; numbers in a row of the window
  float* y;
  std::uint8_t* argmax;

  template <bool kFull>
  void run(std::int64_t c, int channels) const {
    typedef std::uint8_t Bytes __attribute__((vector_size(kLanes)));
    Vec best[2] = {splat(-__builtin_inff()), splat(-__builtin_inff())};
    // 255 stands until a value above -infinity comes: no gradient flows.
    IndexVec winner[2] = {IndexVec{} + 255, IndexVec{} + 255};
    for (int h = 0; h < rows; ++h) {
      for (int w = 0; w < columns; ++w) {
        const auto a = Pair<kFull>::of(x + h * row + w * C + c, channels);
        const IndexVec here = IndexVec{} + (first + h * across + w);
        for (int i = 0; i < 2; ++i) {
          const IndexVec loses = a.v[i] <= best[i];  // a NaN wins, to be reported
          best[i] = loses ? best[i] : a.v[i];
          winner[i] = loses ? winner[i] : here;
        }
      }
    }
    Pair<kFull>{{best[0], best[1]}}.to(y + c, channels);
    Bytes bytes[2];
    for (int i = 0; i < 2; ++i) bytes[i] = __builtin_convertvector(winner[i], Bytes);
    if (kFull) __builtin_memcpy(argmax + c, bytes, sizeof bytes);
    else for (int i = 0; i < channels; ++i) argmax[c + i] = bytes[i / kLanes][i % kLanes];
  }
};

void max_pool(const PoolShape& s, const float* x, float* y, std::uint8_t* argmax) {
  const std::int64_t row = static_cast<std::int64_t>(s.W) * s.C;
  for (int p = 0; p < s.P; ++p) {
    const int top = p * s.stride_h - s.pad_top, h = top < 0 ? 0 : top;
    for (int q = 0; q < s.Q; ++q, y += s.C, argmax += s.C) {
      const int left = q * s.stride_w - s.pad_left, w = left < 0 ? 0 : left;
      const MaxPool job{x + h * row + static_cast<std::int64_t>(w) * s.C, row, s.C,
                        clipped(top, s.R, s.H) - h, clipped(left, s.S, s.W) - w,
                        (h - top) * s.S + (w - left), s.S, y, argmax};
      PENMARK_BY_COLUMNS(s.C, job.template run)
    }
  }
}

inline void clear(float* x, std::int64_t n) { __builtin_memset(x, 0, sizeof(float) * n); }

// Windows that neither overlap nor leave the image write every element of theirs once.
inline bool disjoint(const PoolShape& s) {
  return s.stride_h >= s.R && s.stride_w >= s.S && s.pad_top == 0 && s.pad_left == 0;
}
inline bool covering(const PoolShape& s) {
  return disjoint(s) && s.stride_h == s.R && s.stride_w == s.S && s.P * s.R == s.H &&
         s.Q * s.S == s.W;
}

void max_pool_bwd(const PoolShape& s, const float* dy, const std::uint8_t* argmax, float* dx) {
  const bool write = disjoint(s);
  if (!covering(s)) clear(dx, static_cast<std::int64_t>(s.H) * s.W * s.C);
  for (int p = 0; p < s.P; ++p) {
    const int top = p * s.stride_h - s.pad_top, bottom = clipped(top, s.R, s.H);
    for (int q = 0; q < s.Q; ++q) {
      const int left = q * s.stride_w - s.pad_left, right = clipped(left, s.S, s.W);
      const std::int64_t from = (static_cast<std::int64_t>(p) * s.Q + q) * s.C;
      for (int h = top < 0 ? 0 : top; h < bottom; ++h) {
        for (int w = left < 0 ? 0 : left; w < right; ++w) {
          float* to = dx + (static_cast<std::int64_t>(h) * s.W + w) * s.C;
          const std::int32_t here = (h - top) * s.S + (w - left);
          const float* g = dy + from;
          const std::uint8_t* winner = argmax + from;
          if (write) {
#pragma omp simd
            for (int c = 0; c < s.C; ++c) to[c] = winner[c] == here ? g[c] : 0.0f;
          } else {
#pragma omp simd
            for (int c = 0; c < s.C; ++c) to[c] += winner[c] == here ? g[c] : 0.0f;
          }
        }
      }
    }
  }
}

// Keras divides by the number of elements inside the image, not by the window's size.
inline float window_share(int top, int bottom, int left, int right) {
  const int rows = bottom - (top < 0 ? 0 : top), columns = right - (left < 0 ? 0 : left);
  return 1.0f / static_cast<float>(rows * columns);
}

void average_pool(const PoolShape& s, const float* x, float* y) {
  clear(y, static_cast<std::int64_t>(s.P) * s.Q * s.C);
  for (int p = 0; p < s.P; ++p) {
    const int top = p * s.stride_h - s.pad_top, bottom = clipped(top, s.R, s.H);
    for (int q = 0; q < s.Q; ++q) {
      const int left = q * s.stride_w - s.pad_left, right = clipped(left, s.S, s.W);
      const float share = window_share(top, bottom, left, right);
      float* to = y + (static_cast<std::int64_t>(p) * s.Q + q) * s.C;
      for (int h = top < 0 ? 0 : top; h < bottom; ++h) {
        for (int w = left < 0 ? 0 : left; w < right; ++w) {
          const float* from = x + (static_cast<std::int64_t>(h) * s.W + w) * s.C;
#pragma omp simd
          for (int c = 0; c < s.C; ++c) to[c] += share * from[c];
        }
      }
    }
  }
}

void average_pool_bwd(const PoolShape& s, const float* dy, float* dx) {
  clear(dx, static_cast<std::int64_t>(s.H) * s.W * s.C);
  for (int p = 0; p < s.P; ++p) {
    const int top = p * s.stride_h - s.pad_top, bottom = clipped(top, s.R, s.H);
    for (int q = 0; q < s.Q; ++q) {
      const int left = q * s.stride_w - s.pad_left, right = clipped(left, s.S, s.W);
      const float share = window_share(top, bottom, left, right);
      const float* from = dy + (static_cast<std::int64_t>(p) * s.Q + q) * s.C;
      for (int h = top < 0 ? 0 : top; h < bottom; ++h) {
        for (int w = left < 0 ? 0 : left; w < right; ++w) {
          float* to = dx + (static_cast<std::int64_t>(h) * s.W + w) * s.C;
#pragma omp simd
          for (int c = 0; c < s.C; ++c) to[c] += share * from[c];
        }
      }
    }
  }
}

// Counter-based: the number of element i depends on (key, i) alone, whichever thread asks for it.
// Two rounds of the 32-bit finalizer of MurmurHash3 (Appleby, public domain) with the key between.
inline std::uint32_t mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16);
}
inline std::uint32_t random_bits(std::uint64_t key, std::uint32_t i) {
  const std::uint32_t low = static_cast<std::uint32_t>(key);
  const std::uint32_t high = static_cast<std::uint32_t>(key >> 32);
  return mix(mix(i ^ low) + high);
}

void dropout(const float* x, float* y, std::uint32_t* mask, std::int64_t n, std::uint64_t key,
             std::uint32_t first, std::uint32_t drop, float scale) {
  for (std::int64_t i = 0; i < n; i += 32) {
    const int block = n - i < 32 ? static_cast<int>(n - i) : 32;
    std::uint32_t kept[32] = {};
    for (int j = 0; j < block; ++j) {
      const std::uint32_t keep = random_bits(key, first + static_cast<std::uint32_t>(i + j)) >= drop;
      kept[j] = keep << j;
      y[i + j] = keep ? x[i + j] * scale : 0.0f;
    }
    std::uint32_t word = 0;
#pragma omp simd reduction(| : word)
    for (int j = 0; j < 32; ++j) word |= kept[j];
    mask[i / 32] = word;
  }
}

void dropout_bwd(const float* dy, float* dx, const std::uint32_t* mask, std::int64_t n,
                 float scale) {
  for (std::int64_t i = 0; i < n; i += 32) {
    const int block = n - i < 32 ? static_cast<int>(n - i) : 32;
    const std::uint32_t word = mask[i / 32];
#pragma omp simd
    for (int j = 0; j < block; ++j) {
      const float passed = dy[i + j] * scale;  // in any case: a load that depends stops Clang
      dx[i + j] = (word >> j) & 1u ? passed : 0.0f;
    }
  }
}

struct ColumnSums {
  const float* x;
  std::int64_t rows, C;
  float* sums;

  // Two rows at a time: one sum after the other would wait for the adder.
  template <bool kFull>
  void run(std::int64_t c, int columns) const {
    auto even = Pair<kFull>::zero(), odd = even;
    const float* from = x + c;
    for (std::int64_t r = 0; r + 1 < rows; r += 2, from += 2 * C) {
      const auto a = Pair<kFull>::of(from, columns), b = Pair<kFull>::of(from + C, columns);
      for (int i = 0; i < 2; ++i) {
        even.v[i] += a.v[i];
        odd.v[i] += b.v[i];
      }
    }
    if (rows % 2 != 0) {
      const auto a = Pair<kFull>::of(from, columns);
      for (int i = 0; i < 2; ++i) even.v[i] += a.v[i];
    }
    for (int i = 0; i < 2; ++i) even.v[i] += odd.v[i];
    even.to(sums + c, columns);
  }
};
void column_sums(const float* x, std::int64_t rows, std::int64_t C, float* sums) {
  const ColumnSums job{x, rows, C, sums};
  PENMARK_BY_COLUMNS(C, job.template run)
}

struct CenteredSquares {
  const float* x;
  std::int64_t rows, C;
  const float* mean;
  float* squares;

  template <bool kFull>
  void run(std::int64_t c, int columns) const {
    const auto m = Pair<kFull>::of(mean + c, columns);
    auto even = Pair<kFull>::zero(), odd = even;
    const float* from = x + c;
    for (std::int64_t r = 0; r + 1 < rows; r += 2, from += 2 * C) {
      const auto a = Pair<kFull>::of(from, columns), b = Pair<kFull>::of(from + C, columns);
      for (int i = 0; i < 2; ++i) {
        even.v[i] += (a.v[i] - m.v[i]) * (a.v[i] - m.v[i]);
        odd.v[i] += (b.v[i] - m.v[i]) * (b.v[i] - m.v[i]);
      }
    }
    if (rows % 2 != 0) {
      const auto a = Pair<kFull>::of(from, columns);
      for (int i = 0; i < 2; ++i) even.v[i] += (a.v[i] - m.v[i]) * (a.v[i] - m.v[i]);
    }
    for (int i = 0; i < 2; ++i) even.v[i] += odd.v[i];
    even.to(squares + c, columns);
  }
};
void centered_squares(const float* x, std::int64_t rows, std::int64_t C, const float* mean,
                      float* squares) {
  const CenteredSquares job{x, rows, C, mean, squares};
  PENMARK_BY_COLUMNS(C, job.template run)
}

struct Normalize {
  const float* x;
  float* y;
  std::int64_t rows, C;
  const float *mean, *factor, *shift;

  template <bool kFull>
  void run(std::int64_t c, int columns) const {
    const auto m = Pair<kFull>::of(mean + c, columns), f = Pair<kFull>::of(factor + c, columns),
               s = Pair<kFull>::of(shift + c, columns);
    for (std::int64_t at = c; at < rows * C; at += C) {
      auto a = Pair<kFull>::of(x + at, columns);
      for (int i = 0; i < 2; ++i) a.v[i] = (a.v[i] - m.v[i]) * f.v[i] + s.v[i];
      a.to(y + at, columns);
    }
  }
};
void normalize(const float* x, float* y, std::int64_t rows, std::int64_t C, const float* mean,
               const float* factor, const float* shift) {
  const Normalize job{x, y, rows, C, mean, factor, shift};
  PENMARK_BY_COLUMNS(C, job.template run)
}

struct NormalizeSums {
  const float *x, *dy;
  std::int64_t rows, C;
  const float* mean;
  float *products, *sums;

  template <bool kFull>
  void run(std::int64_t c, int columns) const {
    const auto m = Pair<kFull>::of(mean + c, columns);
    auto product = Pair<kFull>::of(products + c, columns), sum = Pair<kFull>::of(sums + c, columns);
    for (std::int64_t at = c; at < rows * C; at += C) {
      const auto a = Pair<kFull>::of(x + at, columns), g = Pair<kFull>::of(dy + at, columns);
      for (int i = 0; i < 2; ++i) {
        product.v[i] += g.v[i] * (a.v[i] - m.v[i]);
        sum.v[i] += g.v[i];
      }
    }
    product.to(products + c, columns);
    sum.to(sums + c, columns);
  }
};
void normalize_sums(const float* x, const float* dy, std::int64_t rows, std::int64_t C,
                    const float* mean, float* products, float* sums) {
  const NormalizeSums job{x, dy, rows, C, mean, products, sums};
  PENMARK_BY_COLUMNS(C, job.template run)
}

struct NormalizeBwd {
  const float *x, *dy;
  float* dx;
  std::int64_t rows, C;
  const float *mean, *factor, *tilt, *shift;

  template <bool kFull>
  void run(std::int64_t c, int columns) const {
    const auto m = Pair<kFull>::of(mean + c, columns), f = Pair<kFull>::of(factor + c, columns),
               t = Pair<kFull>::of(tilt + c, columns), s = Pair<kFull>::of(shift + c, columns);
    for (std::int64_t at = c; at < rows * C; at += C) {
      const auto a = Pair<kFull>::of(x + at, columns);
      auto g = Pair<kFull>::of(dy + at, columns);
      for (int i = 0; i < 2; ++i)
        g.v[i] = f.v[i] * g.v[i] - ((a.v[i] - m.v[i]) * t.v[i] + s.v[i]);
      g.to(dx + at, columns);
    }
  }
};
void normalize_bwd(const float* x, const float* dy, float* dx, std::int64_t rows, std::int64_t C,
                   const float* mean, const float* factor, const float* tilt,
                   const float* shift) {
  const NormalizeBwd job{x, dy, dx, rows, C, mean, factor, tilt, shift};
  PENMARK_BY_COLUMNS(C, job.template run)
}
