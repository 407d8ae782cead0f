// Strips loaded and stored, whole or in part, and the moments of channels, for the loops of one family of processors (families.h).

#include "strips.h"

template <typename T, typename Count>
SCANLINE_INLINE void LoadStrip(const T* values, Count count, Floats* result) {
  if constexpr (std::is_same_v<Count, WholeStrip>) {
    ToFloats(values, result);
  } else {
    T padded[kStrip] = {};
    std::memcpy(padded, values, count * sizeof(T));
    ToFloats(padded, result);
  }
}

template <typename T, typename Count>
SCANLINE_INLINE void StoreStrip(const Floats& values, Count count, T* result) {
  if constexpr (std::is_same_v<Count, WholeStrip>) {
    FromFloats(values, result);
  } else {
    T padded[kStrip];
    FromFloats(values, padded);
    std::memcpy(result, padded, count * sizeof(T));
  }
}

// Calls strip(first channel, number of channels) for each strip.
template <typename Body>
SCANLINE_INLINE void ForEachStrip(int64_t columns, const Body& strip) {
  int64_t c = 0;
  for (; c + kStrip <= columns; c += kStrip) strip(c, WholeStrip());
  if (c < columns) strip(c, columns - c);
}

// For each channel a pivot, and the sums over the rows of x - pivot and of its square, from which the mean and the variance follow. The
// pivot is the first row; where that lies so far from the mean that the two sums would cancel, an outlier say, it is the mean, and they
// are taken once more.
template <typename T>
void Moments(const Tile<T>& tile, float* pivot, float* sum, float* square) {
  // the share of the squares that is due to the distance of the pivot from the mean, if that is four standard deviations
  constexpr float kFar = 16.0f / 17;
  ForEachStrip(tile.columns, [&](int64_t first, auto count) __attribute__((always_inline)) {
    const float rows = static_cast<float>(tile.rows);
    Floats centre, s, q;
    LoadStrip(tile.x + first, count, &centre);
    const auto add = [&]() __attribute__((always_inline)) {
      s = q = Floats{};
      for (int64_t row = 0; row < tile.rows; row++) {
        Floats x;
        LoadStrip(tile.x + row * tile.stride + first, count, &x);
        x -= centre;
        s += x;
        q += x * x;
      }
    };
    add();
    const auto far = s * s > kFar * rows * q;
    bool any = false;
    for (int64_t i = 0; i < kStrip; i++) any |= far[i] != 0;
    if (any) {
      centre += s / rows;
      add();
    }
    StoreStrip(centre, count, pivot + first);
    StoreStrip(s, count, sum + first);
    StoreStrip(q, count, square + first);
  });
}
