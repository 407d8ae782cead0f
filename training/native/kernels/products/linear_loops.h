// The inner loops of linear.cc, for one family of processors (families.h).

#include "product_loops.h"

// The left factors of a product; adds each one's values up in sums, where that is given.
template <typename T, typename S>
void PackTiles(const Factors<S>& factors, int64_t first, int64_t count, uint32_t* packed, float* sums) {
  PackFactors<T, kTile>(factors, first, count, packed, sums);
}

template <typename T, typename S>
void PackPanels(const Factors<S>& factors, int64_t first, int64_t count, uint32_t* packed) {
  PackFactors<T, kPanel>(factors, first, count, packed, nullptr);
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

// The products of some tiles and some panels, of which those are the outer ones that do not stay in the second cache.
template <typename T, typename Y>
void MultiplyFactors(const Packed& tiles, const Packed& panels, bool tiles_outside, int64_t depth, const Result<Y>& result) {
  const int64_t cells = CellsOf<T>(depth);
  for (int64_t i = 0; i < tiles.count * panels.count; i++) {
    const int64_t t = tiles_outside ? i / panels.count : i % tiles.count, p = tiles_outside ? i % panels.count : i / tiles.count;
    const int64_t row = (tiles.first + t) * kTile, column = (panels.first + p) * kPanel;
    const int64_t rows = std::min(kTile, result.rows - row), strips = result.columns - column > kStrip ? 2 : 1;
    alignas(64) float sums[kTile * kPanel];
    SumsOfRows<kOfCell<T>, false>(tiles.cells + t * cells * kTile, 1, kTile, panels.cells + p * cells * kPanel, kPanel, rows, strips, cells, sums,
                                  kPanel);
    FinishBlock(result, row, column, sums);
  }
}
