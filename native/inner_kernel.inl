// Inner products of few rows of weights with the rows of a batch, for narrow_dense.cpp. Included as
// brgemm_kernel.inl is.

// Sums of each vector's lanes: lane i of the result is the sum of v[i].
inline Vec lane_sums(Vec (&v)[kLanes]) {
  PENMARK_UNROLL for (int left = kLanes / 2; left >= 1; left /= 2)
    PENMARK_UNROLL for (int i = 0; i < left; ++i)
      v[i] = even_lanes(v[2 * i], v[2 * i + 1]) + odd_lanes(v[2 * i], v[2 * i + 1]);
  return v[0];
}

// Rows `row` on, MR of them, times units `unit` on, NK of them; MR * NK sums in registers.
template <int MR, int NK>
void inner_block(const InnerProducts& g, std::int64_t row, int unit) {
  Vec acc[MR][NK];
  PENMARK_UNROLL for (int i = 0; i < MR; ++i)
    PENMARK_UNROLL for (int k = 0; k < NK; ++k) acc[i][k] = Vec{};
  const float* x = g.x + row * g.x_stride;
  const auto step = [&](std::int64_t column, const float* w, std::int64_t width) {
    Vec features[MR];
    PENMARK_UNROLL for (int i = 0; i < MR; ++i) features[i] = load(x + i * g.x_stride + column);
    PENMARK_UNROLL for (int k = 0; k < NK; ++k) {
      const Vec weights = load(w + k * width);
      PENMARK_UNROLL for (int i = 0; i < MR; ++i) acc[i][k] += features[i] * weights;
    }
  };
  // Panels as in pack.h: 32 features wide, and 16 a last one that needs no more.
  std::int64_t column = 0;
  const float* w = g.w + unit * kPanel;
  for (; column + kLastPanel < g.features; column += kPanel, w += g.units * kPanel)
    PENMARK_UNROLL for (int lane = 0; lane < kPanel; lane += kLanes)
      step(column + lane, w + lane, kPanel);
  w = g.w + column * g.units + unit * kLastPanel;
  if (column < g.features)
    PENMARK_UNROLL for (int lane = 0; lane < kLastPanel; lane += kLanes)
      step(column + lane, w + lane, kLastPanel);

  PENMARK_UNROLL for (int i = 0; i < MR; ++i) {
    Vec sums[kLanes] = {};
    PENMARK_UNROLL for (int k = 0; k < NK; ++k) sums[k] = acc[i][k];
    Vec y = lane_sums(sums);
    if (g.bias != nullptr) y += load(g.bias + unit);
    if (g.relu) y = y < Vec{} ? Vec{} : y;  // a NaN must stay one
    store_part(g.y + (row + i) * g.y_stride + unit, y, NK);
  }
}

using InnerBlock = void (*)(const InnerProducts&, std::int64_t row, int unit);

template <int MR, int... I>
inline InnerBlock choose_inner(int units, Rows<I...>) {
  static constexpr InnerBlock table[] = {inner_block<MR, I>...};
  return table[units - 1];
}

void inner_products(const InnerProducts& g) {
  using All = typename MakeRows<kInnerUnits>::type;
  const int blocks = (g.units + kInnerUnits - 1) / kInnerUnits;
  for (int row = 0; row < g.rows; row += 2) {
    for (int block = 0; block < blocks; ++block) {
      const int begin = g.units * block / blocks, end = g.units * (block + 1) / blocks;
      const InnerBlock run = row + 1 < g.rows ? choose_inner<2>(end - begin, All{})
                                              : choose_inner<1>(end - begin, All{});
      run(g, row, begin);
    }
  }
}
