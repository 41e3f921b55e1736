// The one kernel, for any vector width: included by brgemm_{scalar,avx2,avx512}.cpp, each of which
// has defined, in its anonymous namespace, `Vec` (a GNU vector of floats), `LooseVec` (the same,
// unaligned), `IndexVec`, kLanes, the register tile kRows by kColumnVecs, and PENMARK_EVEN and
// PENMARK_ODD (lane numbers 0 2 4 ... and 1 3 5 ...).

// Everything below is unrolled into registers; a loop left over would spill the accumulators.
#define PENMARK_UNROLL _Pragma("GCC unroll 16")

inline Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
inline Vec splat(float x) { return x - Vec{}; }

// The first `count` lanes.
#ifdef __AVX512F__
inline Vec load_part(const float* p, int count) {
  return (Vec)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
}
inline void store_part(float* p, Vec v, int count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
}
#else
inline Vec load_part(const float* p, int count) {
  Vec v{};
  for (int i = 0; i < count; ++i) v[i] = p[i];
  return v;
}
inline void store_part(float* p, Vec v, int count) {
  for (int i = 0; i < count; ++i) p[i] = v[i];
}
#endif

// Lines of up to three arrays (see Brgemm::ahead), fetched one of each per step of a product.
struct Ahead {
  const float *first, *second, *third;
  int lines;
  Ahead(const float* const (&arrays)[3], int count, std::int64_t from)
      : first(arrays[0] + from * kLine),
        second(arrays[1] != nullptr ? arrays[1] + from * kLine : first),
        third(arrays[2] != nullptr ? arrays[2] + from * kLine : first), lines(count) {}
  void fetch() {
    if (lines <= 0) return;
    --lines;
    __builtin_prefetch(first, 0, 2);
    __builtin_prefetch(second, 0, 2);
    __builtin_prefetch(third, 0, 2);
    first += kLine, second += kLine, third += kLine;
  }
  static constexpr int kLine = 16;
};

template <int MR, int NV>
inline void add_bias(Vec (&acc)[MR][NV], const float* from) {
  PENMARK_UNROLL for (int j = 0; j < NV; ++j) {
    const Vec bias = load(from + j * kLanes);
    PENMARK_UNROLL for (int i = 0; i < MR; ++i) acc[i][j] += bias;
  }
}

// "x < 0 ? 0 : x" and not "x > 0 ? x : 0": a NaN must stay one, to be reported.
template <int MR, int NV>
inline void relu(Vec (&acc)[MR][NV]) {
  PENMARK_UNROLL for (int i = 0; i < MR; ++i)
    PENMARK_UNROLL for (int j = 0; j < NV; ++j) acc[i][j] = acc[i][j] < Vec{} ? Vec{} : acc[i][j];
}

// C tile of MR rows by NV vectors, of which the last may hold fewer than kLanes columns; its rows of
// A begin `a_from` after each A_i.
template <int MR, int NV, bool kTransposed>
void tile(const Brgemm& g, std::int64_t a_from, std::int64_t row, int column, int columns) {
  // C comes first: then a sum cut in parts is the same sum, in the same order.
  float* c = g.c + row * g.ldc + column;
  const int last = columns - (NV - 1) * kLanes;  // columns in the last vector
  Vec acc[MR][NV];
  if (g.accumulate) {
    PENMARK_UNROLL for (int i = 0; i < MR; ++i)
      PENMARK_UNROLL for (int j = 0; j < NV; ++j) {
        const float* from = c + i * g.ldc + j * kLanes;
        acc[i][j] = (j + 1 < NV || last == kLanes) ? load(from) : load_part(from, last);
      }
  } else {
    PENMARK_UNROLL for (int i = 0; i < MR; ++i)
      PENMARK_UNROLL for (int j = 0; j < NV; ++j) acc[i][j] = Vec{};
  }

  const std::int64_t first = g.ahead_lines * row / g.m;  // this tile's share
  Ahead ahead(g.ahead, static_cast<int>(g.ahead_lines * (row + MR) / g.m - first), first);

  const std::int64_t lda = g.lda, ldb = g.ldb;
  for (int t = 0; t < g.batch; ++t) {
    const float* a = g.a + g.a_offset[t] + a_from;
    const float* b = g.b + g.b_offset[t] + column;
    for (int k = 0; k < g.k; ++k) {
      // Before the loads: with a branch between them and the products, Clang keeps a whole column of
      // A in registers and the accumulators on the stack.
      ahead.fetch();
      Vec bv[NV];
      PENMARK_UNROLL for (int j = 0; j < NV; ++j) bv[j] = load(b + j * kLanes);
      PENMARK_UNROLL for (int i = 0; i < MR; ++i) {
        const Vec av = splat(kTransposed ? a[i] : a[i * lda]);
        PENMARK_UNROLL for (int j = 0; j < NV; ++j) acc[i][j] += av * bv[j];
      }
      a += kTransposed ? lda : 1;
      b += ldb;
    }
  }

  if (g.bias != nullptr) add_bias(acc, g.bias + column);
  if (g.relu) relu(acc);
  PENMARK_UNROLL for (int i = 0; i < MR; ++i)
    PENMARK_UNROLL for (int j = 0; j < NV; ++j) {
      float* to = c + i * g.ldc + j * kLanes;
      if (j + 1 < NV || last == kLanes) store(to, acc[i][j]);
      else store_part(to, acc[i][j], last);
    }
}

using Tile = void (*)(const Brgemm&, std::int64_t a_from, std::int64_t row, int column,
                      int columns);

template <int... I>
struct Rows {};
template <int N, int... I>
struct MakeRows : MakeRows<N - 1, N, I...> {};
template <int... I>
struct MakeRows<0, I...> { using type = Rows<I...>; };

template <bool kTransposed, int NV, int... I>
inline Tile choose(int rows, Rows<I...>) {
  static const Tile table[] = {tile<I, NV, kTransposed>...};
  return table[rows - 1];
}

template <bool kTransposed>
void brgemm_any(const Brgemm& g) {
  using All = typename MakeRows<kRows>::type;
  const bool packed = kTransposed && g.a_tile != 0;
  // Equal tiles: 26 rows run as 13 + 13 and not as 14 + 12, 100 as 12.5 on average.
  const int most = packed ? static_cast<int>(g.lda) : kRows;
  const int tiles = (g.m + most - 1) / most;
  const int base = packed ? most : g.m / tiles, longer = packed ? 0 : g.m % tiles;
  for (int column = 0; column < g.n; column += kColumnVecs * kLanes) {
    const int left = g.n - column;
    const int columns = left < kColumnVecs * kLanes ? left : kColumnVecs * kLanes;
    const bool wide = columns > kLanes;
    std::int64_t row = 0;
    for (int t = 0; t < tiles; ++t) {
      const int left_rows = g.m - static_cast<int>(row);
      const int equal = base + (t < longer ? 1 : 0), rows = equal < left_rows ? equal : left_rows;
      const std::int64_t a_from = packed ? t * g.a_tile : (kTransposed ? row : row * g.lda);
      const Tile run = wide ? choose<kTransposed, kColumnVecs>(rows, All{})
                            : choose<kTransposed, 1>(rows, All{});
      run(g, a_from, row, column, columns);
      row += rows;
    }
  }
}

#ifdef __clang__
inline Vec even_lanes(Vec a, Vec b) { return __builtin_shufflevector(a, b, PENMARK_EVEN); }
inline Vec odd_lanes(Vec a, Vec b) { return __builtin_shufflevector(a, b, PENMARK_ODD); }
#else  // GCC has had __builtin_shufflevector since 12 only
inline Vec even_lanes(Vec a, Vec b) { return __builtin_shuffle(a, b, IndexVec{PENMARK_EVEN}); }
inline Vec odd_lanes(Vec a, Vec b) { return __builtin_shuffle(a, b, IndexVec{PENMARK_ODD}); }
#endif

inline void transpose(const float* from, std::int64_t from_stride, float* to,
                      std::int64_t to_stride, int rows, int columns) {
  for (int row = 0; row < rows; row += kLanes) {
    for (int column = 0; column < columns; column += kLanes) {
      Vec v[kLanes], turned[kLanes];
      PENMARK_UNROLL for (int i = 0; i < kLanes; ++i)
        v[i] = row + i < rows ? load(from + (row + i) * from_stride + column) : Vec{};
      // Each round moves the lowest bit of (row, lane) to the top; after log2(kLanes) of them, rows
      // and lanes have changed places.
      PENMARK_UNROLL for (int round = 1; round < kLanes; round *= 2) {
        PENMARK_UNROLL for (int i = 0; i < kLanes / 2; ++i) {
          turned[i] = even_lanes(v[2 * i], v[2 * i + 1]);
          turned[i + kLanes / 2] = odd_lanes(v[2 * i], v[2 * i + 1]);
        }
        PENMARK_UNROLL for (int i = 0; i < kLanes; ++i) v[i] = turned[i];
      }
      PENMARK_UNROLL for (int i = 0; i < kLanes; ++i)
        store(to + (column + i) * to_stride + row, v[i]);
    }
  }
}

// Vectors overlap where a tile has fewer rows than a vector has lanes: each is put right by the next.
inline void pack_rows(const float* from, std::int64_t from_stride, float* to,
                      std::int64_t to_stride, int rows, int columns) {
  if (kRows <= kLanes) return transpose(from, from_stride, to, to_stride, rows, columns);
  for (int column = 0; column < columns; ++column)
    for (int row = 0; row < rows; ++row)
      to[column * to_stride + row] = from[row * from_stride + column];
}

inline void pack_columns(const float* from, std::int64_t from_stride, float* to,
                         std::int64_t to_stride, std::int64_t rows, int columns) {
  for (std::int64_t row = 0; row < rows; ++row, from += from_stride, to += to_stride)
    for (int i = 0; i < columns; i += kLanes) {
      const int count = columns - i < kLanes ? columns - i : kLanes;
      store_part(to + i, load_part(from + i, count), count);
    }
}
