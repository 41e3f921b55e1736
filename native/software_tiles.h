// AMX's tiles in plain C++, in place of the intrinsics: for builds with a sanitizer.
//
// There the AMX path runs on every machine with AVX-512-BF16, and the memory that tiles are loaded
// from and stored to is checked, which goes unseen in the processor's instructions. Include it
// after <immintrin.h>, in bf16_amx.cpp only.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace penmark {
namespace software_tiles {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct Tile {
  int rows = 0, row_bytes = 0;  // none before a configuration
  unsigned char data[kRows][kRowBytes] = {};
};

inline thread_local Tile tiles[kTiles];

// The processor answers with an invalid-opcode fault.
inline void require(bool valid, const char* mistake) {
  if (valid) return;
  std::fprintf(stderr, "AMX: %s\n", mistake);
  std::abort();
}

inline void configure(const void* memory) {
  unsigned char bytes[64];
  std::memcpy(bytes, memory, sizeof bytes);
  require(bytes[0] == 1, "the palette is not 1");
  for (int tile = 0; tile < kTiles; ++tile) {
    tiles[tile] = Tile{};
    tiles[tile].rows = bytes[48 + tile];
    tiles[tile].row_bytes = bytes[16 + 2 * tile] | bytes[17 + 2 * tile] << 8;
    require(tiles[tile].rows <= kRows && tiles[tile].row_bytes <= kRowBytes,
            "a tile is configured too large");
  }
}

inline void release() {
  for (Tile& tile : tiles) tile = Tile{};
}

inline Tile& configured(int number) {
  require(tiles[number].rows > 0, "a tile is used that is not configured");
  return tiles[number];
}

inline void zero(int number) {
  Tile& tile = configured(number);
  std::memset(tile.data, 0, sizeof tile.data);
}

inline void load(int number, const void* from, std::int64_t stride) {
  zero(number);
  Tile& tile = tiles[number];
  for (int row = 0; row < tile.rows; ++row)
    std::memcpy(tile.data[row], static_cast<const char*>(from) + row * stride,
                static_cast<std::size_t>(tile.row_bytes));
}

inline void store(int number, void* to, std::int64_t stride) {
  const Tile& tile = configured(number);
  for (int row = 0; row < tile.rows; ++row)
    std::memcpy(static_cast<char*>(to) + row * stride, tile.data[row],
                static_cast<std::size_t>(tile.row_bytes));
}

inline float from_upper_half(std::uint32_t word) {
  const std::uint32_t bits = word & 0xffff0000u;
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

// C += A B, A's rows and B's columns in pairs of bfloat16. The instruction, TDPBF16PS of Intel's
// "Architecture Instruction Set Extensions Programming Reference", also takes denormals as zero.
inline void multiply(int c_number, int a_number, int b_number) {
  Tile& c = configured(c_number);
  const Tile &a = configured(a_number), &b = configured(b_number);
  const int pairs = a.row_bytes / 4, columns = c.row_bytes / 4;
  require(a.rows == c.rows && b.rows == pairs && b.row_bytes == c.row_bytes,
          "the tiles of a product do not fit each other");
  for (int m = 0; m < c.rows; ++m) {
    float sums[kRowBytes / 4];
    std::uint32_t left[kRowBytes / 4], right[kRowBytes / 4];
    std::memcpy(sums, c.data[m], sizeof sums);
    std::memcpy(left, a.data[m], sizeof left);
    for (int k = 0; k < pairs; ++k) {
      std::memcpy(right, b.data[k], sizeof right);
      for (int n = 0; n < columns; ++n) {
        sums[n] += from_upper_half(left[k] << 16) * from_upper_half(right[n] << 16);
        sums[n] += from_upper_half(left[k]) * from_upper_half(right[n]);
      }
    }
    std::memcpy(c.data[m], sums, sizeof sums);
  }
}

}  // namespace software_tiles
}  // namespace penmark

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig penmark::software_tiles::configure
#define _tile_release penmark::software_tiles::release
#define _tile_zero penmark::software_tiles::zero
#define _tile_loadd penmark::software_tiles::load
#define _tile_stored penmark::software_tiles::store
#define _tile_dpbf16ps penmark::software_tiles::multiply
