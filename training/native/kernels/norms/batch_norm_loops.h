// The inner loops of batch_norm.cc, for one family of processors (families.h).

#include "../vectors/strip_loops.h"

// y = a * x + b, zero where it is negative if relu
template <bool relu, typename T>
void Apply(Tile<T> tile, T* y, const float* a, const float* b) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats scale, shift;
    LoadStrip(a + first, count, &scale);
    LoadStrip(b + first, count, &shift);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      Floats value = scale * x + shift;
      if (relu) Relu(&value);
      StoreStrip(value, count, y + row * tile.stride + first);
    }
  });
}

// Adds to `sum` the gradient g behind the ReLU, and to `product` g * (x - mean), both summed over rows.
template <bool relu, typename T>
void GradSums(Tile<T> tile, const T* dy, const float* a, const float* b, const float* mean, float* sum,
                                  float* product) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats scale, shift, centre, s, p;
    LoadStrip(a + first, count, &scale);
    LoadStrip(b + first, count, &shift);
    LoadStrip(mean + first, count, &centre);
    LoadStrip(sum + first, count, &s);
    LoadStrip(product + first, count, &p);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x, g;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      LoadStrip(dy + row * tile.stride + first, count, &g);
      if (relu) g = scale * x + shift > 0 ? g : Floats{};
      s += g;
      p += g * (x - centre);
    }
    StoreStrip(s, count, sum + first);
    StoreStrip(p, count, product + first);
  });
}

// dx = a * g + k * x + l; dx may be dy
template <bool relu, typename T>
void GradApply(Tile<T> tile, const T* dy, T* dx, const float* a, const float* b, const float* k,
                                   const float* l) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats scale, shift, slope, level;
    LoadStrip(a + first, count, &scale);
    LoadStrip(b + first, count, &shift);
    LoadStrip(k + first, count, &slope);
    LoadStrip(l + first, count, &level);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x, g;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      LoadStrip(dy + row * tile.stride + first, count, &g);
      if (relu) g = scale * x + shift > 0 ? g : Floats{};
      StoreStrip(scale * g + slope * x + level, count, dx + row * tile.columns + first);
    }
  });
}
