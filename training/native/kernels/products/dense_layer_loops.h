// The inner loops of dense_layer.cc, for one family of processors (families.h).
//
// Products multiply cells. Left factors lie row by row or in pairs of rows, right factors in panels of two strips of columns.

#include "../vectors/strip_loops.h"

#include "cells.h"

// c [rows, strips * kStrip] (+)= a b; a(r, k) at a[r * a_row + k * a_depth]
template <int64_t each, int64_t rows, int64_t strips, bool add, typename C>
SCANLINE_INLINE void CellBlock(const uint32_t* a, int64_t a_row, int64_t a_depth, const uint32_t* b, int64_t depth, C* c, int64_t c_row) {
  Floats sums[rows][strips];
#pragma GCC unroll 8
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int64_t s = 0; s < strips; s++) {
      sums[r][s] = Floats{};
      if (add) ToFloats(c + r * c_row + s * kStrip, &sums[r][s]);
    }
  }
  for (int64_t k = 0; k < depth; k++) {
    Words right[strips];
#pragma GCC unroll 2
    for (int64_t s = 0; s < strips; s++) std::memcpy(&right[s], b + (k * strips + s) * kStrip, sizeof right[s]);
#pragma GCC unroll 8
    for (int64_t r = 0; r < rows; r++) {
      const uint32_t left = a[r * a_row + k * a_depth];
#pragma GCC unroll 2
      for (int64_t s = 0; s < strips; s++) MultiplyAdd<each>(left, right[s], &sums[r][s]);
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int64_t s = 0; s < strips; s++) FromFloats(sums[r][s], c + r * c_row + s * kStrip);
  }
}

// c [rows, columns] (+)= a b, of b one panel of `strips` strips
template <int64_t each, int64_t strips, bool add, typename C>
SCANLINE_INLINE void CellPanel(const uint32_t* a, int64_t a_row, int64_t a_depth, const uint32_t* b, int64_t rows, int64_t depth, C* c,
                               int64_t c_row) {
  int64_t r = 0;
  const auto go = [&](auto count) __attribute__((always_inline)) {
    for (; r + count <= rows; r += count) CellBlock<each, count, strips, add>(a + r * a_row, a_row, a_depth, b, depth, c + r * c_row, c_row);
  };
  go(std::integral_constant<int64_t, 8>());
  go(std::integral_constant<int64_t, 1>());
}

// c [rows, columns] (+)= a b, of b all panels, one after the other
template <int64_t each, bool add, typename C>
SCANLINE_INLINE void CellProduct(const uint32_t* a, int64_t a_row, int64_t a_depth, const uint32_t* b, int64_t rows, int64_t depth,
                                 int64_t columns, C* c, int64_t c_row) {
  int64_t n = 0;
  for (; n + kPanel <= columns; n += kPanel) CellPanel<each, 2, add>(a, a_row, a_depth, b + n * depth, rows, depth, c + n, c_row);
  if (n < columns) CellPanel<each, 1, add>(a, a_row, a_depth, b + n * depth, rows, depth, c + n, c_row);
}

// `width` columns of weight [depth, columns], as a panel of right factors
template <typename T>
void PackRows(const float* weight, int64_t columns, int64_t depth, int64_t width, uint32_t* panel) {
  for (int64_t k = 0; k < depth; k += 2) {
    for (int64_t s = 0; s < width; s += kStrip) {
      Floats first, second;
      ToFloats(weight + k * columns + s, &first);
      ToFloats(weight + (k + 1) * columns + s, &second);
      StoreCells<T>(first, second, panel + k / kOfCell<T> * width + s, width);
    }
  }
}

// The same of weight [width, depth], transposed.
template <typename T>
void PackColumns(const float* weight, int64_t depth, int64_t width, uint32_t* panel) {
  for (int64_t k = 0; k < depth; k += 2) {
    for (int64_t s = 0; s < width; s += kStrip) {
      Floats first, second;
      for (int64_t i = 0; i < kStrip; i++) {
        first[i] = weight[(s + i) * depth + k];
        second[i] = weight[(s + i) * depth + k + 1];
      }
      StoreCells<T>(first, second, panel + k / kOfCell<T> * width + s, width);
    }
  }
}

// max(0, a * x + b) of some of the channels of rows, as left factors of which a row is `stride` values long
template <typename T>
void ActivatedRows(const Tile<T>& tile, const float* a, const float* b, uint32_t* factors, int64_t first_column) {
  for (int64_t c = 0; c < tile.columns; c += kStrip) {
    Floats scale, shift;
    ToFloats(a + c, &scale);
    ToFloats(b + c, &shift);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x;
      ToFloats(tile.x + row * tile.columns + c, &x);
      x = scale * x + shift;
      Relu(&x);
      StoreFactors<T>(x, factors + row * CellsOf<T>(tile.stride), first_column + c);
    }
  }
}

// Some columns of y [rows, columns] = factors [rows, depth] times a panel of the weight
template <typename T>
void RowsTimesPanel(const uint32_t* factors, int64_t rows, int64_t depth, const uint32_t* panel, int64_t width, T* y, int64_t columns) {
  const int64_t cells = CellsOf<T>(depth);
  CellProduct<kOfCell<T>, false>(factors, cells, 1, panel, rows, cells, width, y, columns);
}

// The gradient a * g + k * z + l of rows: as left factors row by row, and as right factors along the rows, which end with zeros.
template <typename T>
void GradientFactors(const Tile<T>& g, const T* z, const float* a, const float* k, const float* l, uint32_t* by_row, uint32_t* by_column) {
  const int64_t depth = CellsOf<T>(g.rows + g.rows % 2), row_cells = CellsOf<T>(g.columns);
  for (int64_t c = 0; c < g.columns; c += kStrip) {
    Floats scale, slope, level;
    ToFloats(a + c, &scale);
    ToFloats(k + c, &slope);
    ToFloats(l + c, &level);
    const int64_t panel = c / kPanel * kPanel, width = std::min(kPanel, g.columns - panel);
    uint32_t* cells = by_column + panel * depth + (c - panel);
    const auto gradient = [&](int64_t row, Floats* values) __attribute__((always_inline)) {
      Floats inputs;
      ToFloats(g.x + row * g.columns + c, values);
      ToFloats(z + row * g.columns + c, &inputs);
      *values = scale * *values + slope * inputs + level;
      StoreFactors<T>(*values, by_row + row * row_cells, c);
    };
    for (int64_t row = 0; row < g.rows; row += 2) {
      Floats first, second = {};
      gradient(row, &first);
      if (row + 1 < g.rows) gradient(row + 1, &second);
      StoreCells<T>(first, second, cells + row / kOfCell<T> * width, width);
    }
  }
}

// Through max(0, a * x + b) times the weight, from a gradient as GradientFactors gives it: dx = d + a * g, g the gradient of a * x + b; adds
// to dweight, to sum the g of each channel and to product g * (x - mean). `scratch` has room for two panels of the rows.
template <typename T>
void PanelGradient(const Panel<T>& panel, const uint32_t* by_row, const uint32_t* by_column, uint32_t* scratch) {
  const int64_t rows = panel.rows, width = panel.channels, filters = panel.filters;
  float* gradients = reinterpret_cast<float*>(scratch);
  uint32_t* activated = scratch + (rows + 1) * kPanel;
  CellProduct<kOfCell<T>, false>(by_row, CellsOf<T>(filters), 1, panel.weight, rows, CellsOf<T>(filters), width, gradients, width);
  for (int64_t c = 0; c < width; c += kStrip) {
    Floats scale, shift, centre, s, p;
    ToFloats(panel.a + c, &scale);
    ToFloats(panel.b + c, &shift);
    ToFloats(panel.mean + c, &centre);
    ToFloats(panel.sum + c, &s);
    ToFloats(panel.product + c, &p);
    const auto activate = [&](int64_t row, Floats* y) __attribute__((always_inline)) {
      Floats x, g, d;
      ToFloats(panel.x + row * panel.stride + c, &x);
      ToFloats(panel.d + row * panel.stride + c, &d);
      ToFloats(gradients + row * width + c, &g);
      *y = scale * x + shift;
      g = *y > 0 ? g : Floats{};
      s += g;
      p += g * (x - centre);
      FromFloats(d + scale * g, panel.dx + row * panel.stride + c);
      Relu(y);
    };
    for (int64_t row = 0; row < rows; row += 2) {
      Floats first, second = {};
      activate(row, &first);
      if (row + 1 < rows) activate(row + 1, &second);
      StoreCells<T>(first, second, activated + row / kOfCell<T> * width + c, width);
    }
    FromFloats(s, panel.sum + c);
    FromFloats(p, panel.product + c);
  }
  CellProduct<kOfCell<T>, true>(activated, 1, width, by_column, width, CellsOf<T>(rows + rows % 2), filters, panel.dweight, filters);
}

// dx = d + k * x + l; dx may be d
template <typename T>
void AddMultiple(const Tile<T>& tile, const T* d, const float* k, const float* l, T* dx) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats slope, level;
    LoadStrip(k + first, count, &slope);
    LoadStrip(l + first, count, &level);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x, values;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      LoadStrip(d + row * tile.columns + first, count, &values);
      StoreStrip(values + slope * x + level, count, dx + row * tile.columns + first);
    }
  });
}
