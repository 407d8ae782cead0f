// The inner loops of layer_norm.cc, for one family of processors (families.h).

#include "../vectors/strip_loops.h"
#include "../vectors/vector_math.h"

// Calls strip(first column, number of columns) for each strip of a row; what it gives is added up, but for lanes beyond the row's end.
template <typename Strip>
SCANLINE_INLINE float SumOfRow(int64_t columns, const Strip& strip) {
  Floats sum = {};
  ForEachStrip(columns, [&](int64_t c, auto count) __attribute__((always_inline)) {
    Floats term;
    strip(c, count, &term);
    for (int64_t i = count; i < kStrip; i++) term[i] = 0;
    sum += term;
  });
  return SumOfLanes(sum);
}

// Each row less its mean, over its deviation, then scaled and shifted.
template <typename T>
void NormalizeRows(const Tile<T>& tile, T* y, const float* scale, const float* offset, float epsilon, float* means, float* inverses) {
  const int64_t columns = tile.columns;
  for (int64_t row = 0; row < tile.rows; row++) {
    const T* x = tile.x + row * columns;
    const float mean = SumOfRow(columns, [&](int64_t c, auto count, Floats* term) __attribute__((always_inline)) {
      LoadStrip(x + c, count, term);
    }) / columns;
    const float variance = SumOfRow(columns, [&](int64_t c, auto count, Floats* term) __attribute__((always_inline)) {
      LoadStrip(x + c, count, term);
      *term -= mean;
      *term *= *term;
    }) / columns;
    const float inverse = 1 / std::sqrt(variance + epsilon);
    means[row] = mean;
    inverses[row] = inverse;
    ForEachStrip(columns, [&](int64_t c, auto count) __attribute__((always_inline)) {
      Floats value, factor, shift;
      LoadStrip(x + c, count, &value);
      LoadStrip(scale + c, count, &factor);
      LoadStrip(offset + c, count, &shift);
      StoreStrip((value - mean) * inverse * factor + shift, count, y + row * columns + c);
    });
  }
}

// dx of each row; adds the rows' share to dscale and doffset. dx may be dy.
template <typename T>
void LayerNormGradOfRows(const Tile<T>& tile, const T* dy, T* dx, const float* scale, const float* means, const float* inverses, float* dscale,
                         float* doffset) {
  // so many rows stay in the first cache, and what is summed over them in registers
  constexpr int64_t kRows = 8;
  const int64_t columns = tile.columns;
  for (int64_t begin = 0; begin < tile.rows; begin += kRows) {
    const int64_t rows = std::min(kRows, tile.rows - begin);
    const T *x = tile.x + begin * columns, *g = dy + begin * columns;
    // of dy * scale, and of that times the normalised x, the means over a row
    float sums[kRows], products[kRows];
    for (int64_t row = 0; row < rows; row++) {
      const float mean = means[begin + row];
      Floats sum = {}, product = {};
      ForEachStrip(columns, [&](int64_t c, auto count) __attribute__((always_inline)) {
        Floats gradient, value, factor;
        LoadStrip(g + row * columns + c, count, &gradient);
        LoadStrip(x + row * columns + c, count, &value);
        LoadStrip(scale + c, count, &factor);
        gradient *= factor;
        sum += gradient;
        product += gradient * (value - mean);
      });
      sums[row] = SumOfLanes(sum) / columns;
      products[row] = SumOfLanes(product) * inverses[begin + row] / columns;
    }
    ForEachStrip(columns, [&](int64_t c, auto count) __attribute__((always_inline)) {
      Floats factor, of_scale, of_offset;
      LoadStrip(scale + c, count, &factor);
      LoadStrip(dscale + c, count, &of_scale);
      LoadStrip(doffset + c, count, &of_offset);
      for (int64_t row = 0; row < rows; row++) {
        const float mean = means[begin + row], inverse = inverses[begin + row];
        Floats gradient, value;
        LoadStrip(g + row * columns + c, count, &gradient);
        LoadStrip(x + row * columns + c, count, &value);
        const Floats normalized = (value - mean) * inverse;
        of_scale += gradient * normalized;
        of_offset += gradient;
        StoreStrip((gradient * factor - sums[row] - normalized * products[row]) * inverse, count, dx + (begin + row) * columns + c);
      }
      StoreStrip(of_scale, count, dscale + c);
      StoreStrip(of_offset, count, doffset + c);
    });
  }
}
