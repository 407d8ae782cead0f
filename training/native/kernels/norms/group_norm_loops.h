// The inner loops of group_norm.cc, for one family of processors (families.h).

#include "../vectors/strip_loops.h"

// y = v, or slope * v where v is negative, of v = a * x + b
template <typename T>
void LeakyApply(const Tile<T>& tile, T* y, const float* a, const float* b, float slope) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats scale, shift;
    LoadStrip(a + first, count, &scale);
    LoadStrip(b + first, count, &shift);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      const Floats value = scale * x + shift;
      StoreStrip(value < 0 ? slope * value : value, count, y + row * tile.columns + first);
    }
  });
}

// Adds to `sum` the gradient g behind the activation, to `product` g * (x - mean), and to `below` the gradient of the slope, all summed over
// rows.
template <typename T>
void LeakyGradSums(const Tile<T>& tile, const T* dy, const float* a, const float* b, const float* mean, float slope, float* sum,
                   float* product, float* below) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats scale, shift, centre, s, p, n;
    LoadStrip(a + first, count, &scale);
    LoadStrip(b + first, count, &shift);
    LoadStrip(mean + first, count, &centre);
    LoadStrip(sum + first, count, &s);
    LoadStrip(product + first, count, &p);
    LoadStrip(below + first, count, &n);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x, g;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      LoadStrip(dy + row * tile.columns + first, count, &g);
      const Floats value = scale * x + shift;
      n += value < 0 ? g * value : Floats{};
      g = value > 0 ? g : slope * g;
      s += g;
      p += g * (x - centre);
    }
    StoreStrip(s, count, sum + first);
    StoreStrip(p, count, product + first);
    StoreStrip(n, count, below + first);
  });
}

// dx = a * g + k * x + l; dx may be dy
template <typename T>
void LeakyGradApply(const Tile<T>& tile, const T* dy, T* dx, const float* a, const float* b, const float* k, const float* l, float slope) {
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    Floats scale, shift, steepness, level;
    LoadStrip(a + first, count, &scale);
    LoadStrip(b + first, count, &shift);
    LoadStrip(k + first, count, &steepness);
    LoadStrip(l + first, count, &level);
    for (int64_t row = 0; row < tile.rows; row++) {
      Floats x, g;
      LoadStrip(tile.x + row * tile.columns + first, count, &x);
      LoadStrip(dy + row * tile.columns + first, count, &g);
      g = scale * x + shift > 0 ? g : slope * g;
      StoreStrip(scale * g + steepness * x + level, count, dx + row * tile.columns + first);
    }
  });
}
