// bfloat16 on AMX tiles: an instruction multiplies (16, 32) by (32, 16) and adds to (16, 16) sums.
//
// Tiles 0 to 3 are sums of two row tiles by two column tiles, 4 and 5 the rows of A, 6 and 7 the
// columns of B: four products for four loads, which the loads just keep up with.
#include <immintrin.h>

#include "bf16.h"
#include "kernels.h"
#if defined(PENMARK_SOFTWARE_TILES)
#include "software_tiles.h"
#endif

namespace penmark {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileColumns = 16;

// As the processor reads it: rows and bytes per row of each of eight tiles.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// Row tiles hold `rows` rows. A tile costs as many cycles as it has rows, so 24 rows are two tiles
// of 12 and not 16 and 8.
inline void configure(int rows) {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = 64;
    config.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? rows : kTileRows);
  }
  // The intrinsic names only the first bytes as its input: see to it that all are in memory.
  __asm__ volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

// Where row tiles begin: in A, and where their sums go, rows `bytes` apart.
struct Place {
  const std::uint16_t *a0, *a1;
  float *c0, *c1;
  std::int64_t bytes;
};

// MT row tiles by NT column tiles; the sums start at what is there if `adds`, else at zero.
template <int MT, int NT>
inline void multiply(const Bf16Product& g, const Place& at, bool adds) {
  const std::int64_t a_bytes = g.lda * 2, b_bytes = g.ldb * 4;
  if (adds) {
    _tile_loadd(0, at.c0, at.bytes);
    if (NT == 2) _tile_loadd(1, at.c0 + kTileColumns, at.bytes);
    if (MT == 2) _tile_loadd(2, at.c1, at.bytes);
    if (MT == 2 && NT == 2) _tile_loadd(3, at.c1 + kTileColumns, at.bytes);
  } else {
    _tile_zero(0);
    if (NT == 2) _tile_zero(1);
    if (MT == 2) _tile_zero(2);
    if (MT == 2 && NT == 2) _tile_zero(3);
  }
  for (int t = 0; t < g.batch; ++t) {
    const std::int64_t offset = g.a_offset[t];
    const std::uint32_t* b = g.b + g.b_offset[t];
    for (int l = 0; l < g.k; l += kBf16Depth, b += kBf16Depth / 2 * g.ldb) {
      _tile_loadd(6, b, b_bytes);
      _tile_loadd(4, at.a0 + offset + l, a_bytes);
      _tile_dpbf16ps(0, 4, 6);
      if (NT == 2) {
        _tile_loadd(7, b + kTileColumns, b_bytes);
        _tile_dpbf16ps(1, 4, 7);
      }
      if (MT == 2) {
        _tile_loadd(5, at.a1 + offset + l, a_bytes);
        _tile_dpbf16ps(2, 5, 6);
        if (NT == 2) _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  _tile_stored(0, at.c0, at.bytes);
  if (NT == 2) _tile_stored(1, at.c0 + kTileColumns, at.bytes);
  if (MT == 2) _tile_stored(2, at.c1, at.bytes);
  if (MT == 2 && NT == 2) _tile_stored(3, at.c1 + kTileColumns, at.bytes);
}

// Rows [first, rows) of a tile's sums to c, where row 0 of the tile belongs.
inline void finish(const Bf16Product& g, const float (*sums)[2 * kTileColumns], int first,
                   int rows, float* c) {
  for (int column = 0; column < g.n; column += kTileColumns) {
    const int left = g.n - column;
    const __mmask16 lanes = static_cast<__mmask16>(left >= 16 ? 0xffff : (1 << left) - 1);
    const __m512 bias =
        g.bias != nullptr ? _mm512_loadu_ps(g.bias + column) : _mm512_setzero_ps();
    float* to = c + first * g.ldc + column;
    for (int row = first; row < rows; ++row, to += g.ldc) {
      __m512 y = _mm512_load_ps(&sums[row][column]);
      if (g.accumulate) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(lanes, to));
      y = _mm512_add_ps(y, bias);
      if (g.relu)  // a NaN stays one
        y = _mm512_mask_mov_ps(
            y, _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LT_OQ), _mm512_setzero_ps());
      _mm512_mask_storeu_ps(to, lanes, y);
    }
  }
}

void amx_product(const Bf16Product& g) {
  const int tiles = (g.m + kTileRows - 1) / kTileRows;  // per block
  const int rows = (g.m + tiles - 1) / tiles;
  configure(rows);
  // The last tile of a block may begin inside the one before it; those rows are not written twice.
  struct Tile {
    const std::uint16_t* a;
    float* c;
    int first;
  };
  const auto tile = [&](int number) {
    const int block = number / tiles, wanted = number % tiles * rows;
    const int start = wanted + rows <= g.m ? wanted : g.m - rows;
    return Tile{g.a + block * g.a_step + start * g.lda, g.c + block * g.c_step + start * g.ldc,
                wanted - start};
  };
  const bool wide = g.n > kTileColumns;
  const int count = tiles * g.blocks;
  // Tiles that fit C, and need nothing more, are loaded and stored there.
  const bool direct =
      g.n % kTileColumns == 0 && tiles * rows == g.m && g.bias == nullptr && !g.relu;
  alignas(64) float sums[2 * kTileRows][2 * kTileColumns];
  for (int number = 0; number < count; number += 2) {
    const Tile one = tile(number), two = number + 1 < count ? tile(number + 1) : one;
    const bool pair = number + 1 < count;
    const Place at{one.a, two.a, direct ? one.c : sums[0], direct ? two.c : sums[kTileRows],
                   direct ? g.ldc * 4 : static_cast<std::int64_t>(sizeof sums[0])};
    const bool adds = direct && g.accumulate;
    if (pair && wide) multiply<2, 2>(g, at, adds);
    else if (pair) multiply<2, 1>(g, at, adds);
    else if (wide) multiply<1, 2>(g, at, adds);
    else multiply<1, 1>(g, at, adds);
    if (direct) continue;
    finish(g, sums, one.first, rows, one.c);
    if (pair) finish(g, sums + kTileRows, two.first, rows, two.c);
  }
  _tile_release();
}

Bf16Kernels with_tiles(Bf16Kernels kernels) {
  kernels.product = amx_product;
  return kernels;
}

}  // namespace

const Bf16Kernels& amx_bf16() {
  static const Bf16Kernels kernels = with_tiles(avx512_bf16());
  return kernels;
}

}  // namespace penmark
