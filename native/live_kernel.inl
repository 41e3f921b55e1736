// The gradient to a dense layer's input where it is of use, for live_gradient.cpp. Included as
// brgemm_kernel.inl is, after elementwise_kernel.inl.

constexpr int kLiveFeatures = kLanes / kLiveRows;  // of a tile: its sums are one vector

template <Activation kind>
int list_live_as(const float* y, std::int64_t stride, int rows, std::int64_t columns,
                 int first_column, std::int32_t* listed) {
  int count = 0;
  for (std::int64_t column = 0; column < columns; column += kLanes) {
    const int left = columns - column < kLanes ? static_cast<int>(columns - column) : kLanes;
    IndexVec live{};
    for (int i = 0; i < rows; ++i)
      live |= nonzero(derived<kind>(load_part(y + i * stride + column, left), splat(1.0f)));
    const int at = first_column + static_cast<int>(column);
#ifdef __AVX512F__
    const __mmask16 set = static_cast<__mmask16>(
        _mm512_test_epi32_mask((__m512i)live, (__m512i)live) & ((1u << left) - 1));
    count += list_lanes(set, at, listed + count);
#else
    for (int lane = 0; lane < left; ++lane) {
      listed[count] = at + lane;
      count -= live[lane];
    }
#endif
  }
  for (int i = count; i % kLiveFeatures != 0; ++i) listed[i] = listed[count - 1];
  return count;
}

int list_live(Activation kind, const float* y, std::int64_t stride, int rows, std::int64_t columns,
              int first_column, std::int32_t* listed) {
  const auto run = kind == Activation::relu      ? list_live_as<Activation::relu>
                   : kind == Activation::sigmoid ? list_live_as<Activation::sigmoid>
                   : kind == Activation::tanh    ? list_live_as<Activation::tanh>
                                                 : list_live_as<Activation::linear>;
  return run(y, stride, rows, columns, first_column, listed);
}

// A vector of kLiveRows rows of dz times the same vector of each feature's weights.
inline void live_step(const LiveProducts& g, const float* dz, const float* const (&w)[kLiveFeatures],
                      std::int64_t at, Vec (&acc)[kLanes]) {
  Vec rows[kLiveRows];
  PENMARK_UNROLL for (int i = 0; i < kLiveRows; ++i) rows[i] = load(dz + i * g.dz_row);
  PENMARK_UNROLL for (int f = 0; f < kLiveFeatures; ++f) {
    const Vec weights = load(w[f] + at);
    PENMARK_UNROLL for (int i = 0; i < kLiveRows; ++i)
      acc[i * kLiveFeatures + f] += rows[i] * weights;
  }
}

void live_products(const LiveProducts& g) {
  for (int tile = 0; tile < g.count; tile += kLiveFeatures) {
    Vec acc[kLanes];  // sums of image i with feature f at i * kLiveFeatures + f
    PENMARK_UNROLL for (int i = 0; i < kLanes; ++i) acc[i] = Vec{};
    const float* w[kLiveFeatures];
    const auto begin = [&](const float* panel, std::int64_t width) {
      PENMARK_UNROLL for (int f = 0; f < kLiveFeatures; ++f)
        w[f] = panel + g.listed[tile + f] * width;
    };
    // Panels as in pack.h: 32 units wide, and 16 a last one that needs no more.
    begin(g.w, kPanel);
    std::int64_t column = 0, at = 0;
    const float* dz = g.dz;
    for (; column + kLastPanel < g.columns; column += kPanel, dz += g.dz_panel, at += g.w_panel)
      PENMARK_UNROLL for (int lane = 0; lane < kPanel; lane += kLanes)
        live_step(g, dz + lane, w, at + lane, acc);
    if (column < g.columns) {
      begin(g.w + at, kLastPanel);
      PENMARK_UNROLL for (int lane = 0; lane < kLastPanel; lane += kLanes)
        live_step(g, dz + lane, w, lane, acc);
    }
    store(g.sums + tile * kLiveRows, lane_sums(acc));
  }
}
