// Products with a matrix that is mostly zeros, for sparse_input.cpp. Included as brgemm_kernel.inl is.

inline IndexVec nonzero(Vec v) { return v != Vec{}; }  // -1 or 0 by lane; a NaN is no zero
inline IndexVec pairs(IndexVec a, IndexVec b) {
  return (IndexVec)even_lanes((Vec)a, (Vec)b) | (IndexVec)odd_lanes((Vec)a, (Vec)b);
}
inline std::int64_t count_lanes(IndexVec counts) {
  std::int64_t sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += counts[i];
  return sum;
}

void count_limits(const float* x, std::int64_t x_stride, std::int64_t rows, std::int64_t columns,
                  float lower, float upper, std::int32_t* balance) {
  for (std::int64_t column = 0; column < columns; column += kLanes) {
    IndexVec sum{};
    for (std::int64_t row = 0; row < rows; ++row) {
      const Vec v = load(x + row * x_stride + column);
      sum += (v == splat(lower)) - (v == splat(upper));  // each -1 where it holds
    }
    for (int i = 0; i < kLanes; ++i) balance[column + i] += sum[i];
  }
}

NonzeroCounts count_nonzeros(const float* x, std::int64_t x_stride, const float* usual,
                             std::int64_t rows, std::int64_t columns) {
  NonzeroCounts counts{0, 0};
  for (std::int64_t row = 0; row < rows; row += kSparseRows) {
    const std::int64_t left = rows - row;
    IndexVec by_rows{}, by_columns{};
    for (std::int64_t column = 0; column < columns; column += kLanes) {
      const Vec expected = load(usual + column);
      IndexVec set[kSparseRows];
      for (int i = 0; i < kSparseRows; ++i)
        set[i] = i < left ? nonzero(load(x + (row + i) * x_stride + column) - expected)
                          : IndexVec{};
      by_rows -= set[0] | set[1] | set[2] | set[3];
      by_columns -= pairs(pairs(set[0], set[1]), pairs(set[2], set[3]));
    }
    counts.groups_of_rows += count_lanes(by_rows);
    counts.groups_of_columns += count_lanes(by_columns);
  }
  return counts;
}

#ifdef __AVX512F__
// The numbers of the lanes that are set, counted from `first`; returns how many. Writes all 16.
inline int list_lanes(__mmask16 set, int first, std::int32_t* listed) {
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(first));
  _mm512_storeu_si512(listed, _mm512_maskz_compress_epi32(set, numbers));
  return __builtin_popcount(set);
}
#endif

int list_nonzeros(const float* x, std::int64_t x_stride, const float* usual, int rows,
                  std::int64_t columns, int first_column, float* to, std::int64_t to_stride,
                  std::int32_t* listed) {
  int count = 0;
  for (std::int64_t column = 0; column < columns; column += kLanes) {
    const Vec expected = load(usual + column);
    Vec v[kSparseRows];
    for (int i = 0; i < kSparseRows; ++i)
      v[i] = i < rows ? load(x + i * x_stride + column) - expected : Vec{};
    const int at = first_column + static_cast<int>(column);
#ifdef __AVX512F__
    __mmask16 set = 0;
    for (const Vec& row : v) set |= _mm512_cmp_ps_mask((__m512)row, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    for (int i = 0; i < kSparseRows; ++i)
      _mm512_storeu_ps(to + i * to_stride + count, _mm512_maskz_compress_ps(set, (__m512)v[i]));
    count += list_lanes(set, at, listed + count);
#else
    const IndexVec set = nonzero(v[0]) | nonzero(v[1]) | nonzero(v[2]) | nonzero(v[3]);
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int i = 0; i < kSparseRows; ++i) to[i * to_stride + count] = v[i][lane];
      listed[count] = at + lane;
      count -= set[lane];
    }
#endif
  }
  return count;
}

// C tile of kSparseRows by NV vectors.
template <int NV>
void sparse_tile(const SparseProduct& g, int column, int columns) {
  constexpr int kPanelVecs = kPanel / kLanes;
  Vec acc[kSparseRows][NV];
  PENMARK_UNROLL for (int i = 0; i < kSparseRows; ++i)
    PENMARK_UNROLL for (int j = 0; j < NV; ++j) acc[i][j] = Vec{};

  const float* b = g.b + column / kPanel * g.b_panel + column % kPanel;
  Ahead ahead(g.ahead, column == 0 ? g.ahead_lines : 0, 0);
  for (int k = 0; k < g.count; ++k) {
    ahead.fetch();
    const float* row = b + g.listed[k] * g.ldb;
    Vec bv[NV];
    PENMARK_UNROLL for (int j = 0; j < NV; ++j)
      bv[j] = load(row + j / kPanelVecs * g.b_panel + j % kPanelVecs * kLanes);
    PENMARK_UNROLL for (int i = 0; i < kSparseRows; ++i) {
      const Vec av = splat(g.a[i * g.lda + k]);
      PENMARK_UNROLL for (int j = 0; j < NV; ++j) acc[i][j] += av * bv[j];
    }
  }

  if (g.bias != nullptr) add_bias(acc, g.bias + column);
  if (g.relu) relu(acc);
  float* c = g.c + column / kPanel * g.c_panel + column % kPanel;
  PENMARK_UNROLL for (int i = 0; i < kSparseRows; ++i)
    PENMARK_UNROLL for (int j = 0; j < NV; ++j) {
      float* to = c + i * g.ldc + j / kPanelVecs * g.c_panel + j % kPanelVecs * kLanes;
      const int left = i < g.m ? columns - j * kLanes : 0;
      if (left >= kLanes) store(to, acc[i][j]);
      else if (left > 0) store_part(to, acc[i][j], left);
    }
}

void sparse_product(const SparseProduct& g) {
  for (int column = 0; column < g.n;) {
    const int columns = g.n - column;
    if (kSparseVecs > 2 && columns > (kSparseVecs - 1) * kLanes) {
      sparse_tile<kSparseVecs>(g, column, columns);
      column += kSparseVecs * kLanes;
    } else if (kSparseVecs > 2 && columns > 3 * kLanes) {
      sparse_tile<4>(g, column, columns);
      column += 4 * kLanes;
    } else if (columns > kLanes) {
      sparse_tile<2>(g, column, columns);
      column += 2 * kLanes;
    } else {
      sparse_tile<1>(g, column, columns);
      column += kLanes;
    }
  }
}
