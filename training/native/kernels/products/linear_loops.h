// The inner loops of linear.cc, for one family of processors (families.h).

#include "product_loops.h"

// The left factors of a product; adds each one's values up in sums, where that is given.
template <typename T, typename S>
void PackTiles(const Factors<S>& factors, const Group& tiles, uint32_t* packed, float* sums) {
  PackFactors<T, kTile>(factors, tiles.first, tiles.count, packed, sums);
}

template <typename T, typename S>
void PackPanels(const Factors<S>& factors, const Group& panels, uint32_t* packed) {
  PackFactors<T, kPanel>(factors, panels.first, panels.count, packed, nullptr);
}

// Makes a part of a result of the sums of a tile and a panel, [kTile][kPanel].
template <typename T>
SCANLINE_INLINE void FinishBlock(const Result<T>& result, int64_t row, int64_t column, const float* sums) {
  const int64_t rows = std::min(kTile, result.rows - row), columns = std::min(kPanel, result.columns - column);
  ForEachStrip(columns, [&](int64_t c, auto count) __attribute__((always_inline)) {
    Floats bias = {};
    if (result.bias) LoadStrip(result.bias + column + c, count, &bias);
    for (int64_t r = 0; r < rows; r++) {
      const int64_t place = (row + r) * result.columns + column + c;
      Floats y;
      ToFloats(sums + r * kPanel + c, &y);
      y += bias;
      if (result.add) {
        Floats before;
        LoadStrip(result.y + place, count, &before);
        y += before;
      }
      if (result.z) {
        Floats z;
        LoadStrip(result.z + place, count, &z);
        GeluGrad(z, &y);
      }
      StoreStrip(y, count, result.y + place);
    }
  });
}

// Fetches the part of a result that FinishBlock will look at, or write to.
template <typename T>
SCANLINE_INLINE void FetchBlock(const Result<T>& result, int64_t row, int64_t column) {
  const int64_t rows = std::min(kTile, result.rows - row), last = std::min(kPanel, result.columns - column) - 1;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t place = (row + r) * result.columns + column;
    __builtin_prefetch(result.y + place, 1);
    __builtin_prefetch(result.y + place + last, 1);
    if (result.z) {
      __builtin_prefetch(result.z + place);
      __builtin_prefetch(result.z + place + last);
    }
  }
}

// Fetches share i of `shares`.
SCANLINE_INLINE void FetchShare(const Ahead& ahead, int64_t i, int64_t shares) {
  constexpr int64_t kLine = 64;
  const int64_t of_row = CeilOf(ahead.bytes, kLine), lines = of_row * ahead.rows;
  if (lines == 0) return;
  const int64_t first = i * lines / shares, last = (i + 1) * lines / shares;
  const char* row = ahead.first + first / of_row * ahead.stride;
  for (int64_t line = first, at = first % of_row; line < last; line++, at++) {
    if (at == of_row) at = 0, row += ahead.stride;
    __builtin_prefetch(row + at * kLine, 0, 2);
  }
}

// The products of some tiles and some panels, of which those are the outer ones that do not stay in the second cache.
template <typename T, typename Y>
void MultiplyFactors(const Packed& tiles, const Packed& panels, bool tiles_outside, int64_t depth, const Ahead& ahead, const Result<Y>& result) {
  const int64_t cells = CellsOf<T>(depth), count = tiles.group.count * panels.group.count;
  for (int64_t i = 0; i < count; i++) {
    FetchShare(ahead, i, count);
    const int64_t t = tiles_outside ? i / panels.group.count : i % tiles.group.count;
    const int64_t p = tiles_outside ? i % panels.group.count : i / tiles.group.count;
    const int64_t row = (tiles.group.first + t) * kTile, column = (panels.group.first + p) * kPanel;
    const int64_t rows = std::min(kTile, result.rows - row), strips = result.columns - column > kStrip ? 2 : 1;
    alignas(64) float sums[kTile * kPanel];
    FetchBlock(result, row, column);
    const uint32_t* right = panels.cells + p * cells * kPanel;
    if (tiles.stride > 0) {
      SumsOfRows<kOfCell<T>, false>(tiles.cells + t * kTile * tiles.stride, tiles.stride, 1, right, kPanel, rows, strips, cells, sums, kPanel);
    } else {
      SumsOfRows<kOfCell<T>, false>(tiles.cells + t * kTile * cells, 1, kTile, right, kPanel, rows, strips, cells, sums, kPanel);
    }
    FinishBlock(result, row, column, sums);
  }
}

#include "strassen_loops.h"
