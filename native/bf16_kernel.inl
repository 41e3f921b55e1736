// Products of bfloat16 matrices on vectors of words, two neighbors along the reduction in each.
// Included, after brgemm_kernel.inl, where `Words` (a GNU vector of kLanes 32-bit integers),
// `LooseWords` (the same, unaligned), kBf16Rows and multiply_pairs(sums, a, b) are defined.

inline Words load_words(const std::uint32_t* p) { return *reinterpret_cast<const LooseWords*>(p); }
inline Words splat_word(std::uint32_t x) { return x - Words{}; }

template <int MR, int NV>
void bf16_tile(const Bf16Product& g, const std::uint16_t* from, float* c, int column,
               int columns) {
  Vec acc[MR][NV];
  PENMARK_UNROLL for (int i = 0; i < MR; ++i)
    PENMARK_UNROLL for (int j = 0; j < NV; ++j) acc[i][j] = Vec{};
  const std::int64_t lda = g.lda, ldb = g.ldb;
  const int pairs = (g.k + 1) / 2;
  for (int t = 0; t < g.batch; ++t) {
    const std::uint16_t* a = from + g.a_offset[t];
    const std::uint32_t* b = g.b + g.b_offset[t] + column;
    for (int l = 0; l < pairs; ++l) {
      Words bv[NV];
      PENMARK_UNROLL for (int j = 0; j < NV; ++j) bv[j] = load_words(b + j * kLanes);
      PENMARK_UNROLL for (int i = 0; i < MR; ++i) {
        std::uint32_t pair;
        __builtin_memcpy(&pair, a + i * lda, sizeof pair);
        const Words av = splat_word(pair);
        PENMARK_UNROLL for (int j = 0; j < NV; ++j)
          acc[i][j] = multiply_pairs(acc[i][j], av, bv[j]);
      }
      a += 2;
      b += ldb;
    }
  }
  c += column;
  const int last = columns - (NV - 1) * kLanes;  // columns in the last vector
  PENMARK_UNROLL for (int j = 0; j < NV; ++j) {
    const bool whole = j + 1 < NV || last == kLanes;
    const Vec bias = g.bias != nullptr ? load(g.bias + column + j * kLanes) : Vec{};
    PENMARK_UNROLL for (int i = 0; i < MR; ++i) {
      float* to = c + i * g.ldc + j * kLanes;
      Vec y = acc[i][j];
      if (g.accumulate) y += whole ? load(to) : load_part(to, last);
      y += bias;
      if (g.relu) y = y < Vec{} ? Vec{} : y;  // a NaN stays one
      if (whole) store(to, y);
      else store_part(to, y, last);
    }
  }
}

using Bf16Tile = void (*)(const Bf16Product&, const std::uint16_t*, float*, int, int);

template <int NV, int... I>
inline Bf16Tile choose_bf16(int rows, Rows<I...>) {
  static const Bf16Tile table[] = {bf16_tile<I, NV>...};
  return table[rows - 1];
}

void bf16_product(const Bf16Product& g) {
  using All = typename MakeRows<kBf16Rows>::type;
  const int tiles = (g.m + kBf16Rows - 1) / kBf16Rows;
  const int base = g.m / tiles, longer = g.m % tiles;
  for (int column = 0; column < g.n; column += kColumnVecs * kLanes) {
    const int left = g.n - column;
    const int columns = left < kColumnVecs * kLanes ? left : kColumnVecs * kLanes;
    const bool wide = columns > kLanes;
    for (int block = 0; block < g.blocks; ++block) {
      const std::uint16_t* a = g.a + block * g.a_step;
      float* c = g.c + block * g.c_step;
      for (int t = 0; t < tiles; ++t) {
        const int rows = base + (t < longer ? 1 : 0);
        const Bf16Tile run = wide ? choose_bf16<kColumnVecs>(rows, All{})
                                  : choose_bf16<1>(rows, All{});
        run(g, a, c, column, columns);
        a += rows * g.lda;
        c += rows * g.ldc;
      }
    }
  }
}
