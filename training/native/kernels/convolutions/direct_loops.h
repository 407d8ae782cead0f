// The inner loops of direct.cc, for one family of processors (families.h).

#include "../vectors/strips.h"

// Adds to `rows` rows of c, each of `strips` strips, the products of as many rows of a [depth] with b [depth, b_row].
template <int64_t rows, int64_t strips>
SCANLINE_INLINE void AddRows(const float* const* a, const float* b, int64_t b_row, int64_t depth, float* const* c, int64_t column) {
  Floats sums[rows][strips];
  const float* left[rows];
#pragma GCC unroll 8
  for (int64_t r = 0; r < rows; r++) {
    left[r] = a[r];
#pragma GCC unroll 4
    for (int64_t s = 0; s < strips; s++) ToFloats(c[r] + column + s * kStrip, &sums[r][s]);
  }
  for (int64_t k = 0; k < depth; k++) {
    Floats right[strips];
#pragma GCC unroll 4
    for (int64_t s = 0; s < strips; s++) ToFloats(b + k * b_row + s * kStrip, &right[s]);
#pragma GCC unroll 8
    for (int64_t r = 0; r < rows; r++) {
      const float value = left[r][k];
#pragma GCC unroll 4
      for (int64_t s = 0; s < strips; s++) sums[r][s] += value * right[s];
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int64_t s = 0; s < strips; s++) FromFloats(sums[r][s], c[r] + column + s * kStrip);
  }
}

template <int64_t strips>
SCANLINE_INLINE void AddColumns(const float* const* a, const float* b, int64_t b_row, int64_t rows, int64_t depth, float* const* c,
                                int64_t column) {
  int64_t r = 0;
  for (; r + 6 <= rows; r += 6) AddRows<6, strips>(a + r, b, b_row, depth, c + r, column);
  for (; r + 2 <= rows; r += 2) AddRows<2, strips>(a + r, b, b_row, depth, c + r, column);
  if (r < rows) AddRows<1, strips>(a + r, b, b_row, depth, c + r, column);
}

// c[r] [columns] += a[r] [depth] b [depth, b_row], row by row
inline void AddProducts(const float* const* a, const float* b, int64_t b_row, int64_t rows, int64_t columns, int64_t depth, float* const* c) {
  int64_t n = 0;
  for (; n + 4 * kStrip <= columns; n += 4 * kStrip) AddColumns<4>(a, b + n, b_row, rows, depth, c, n);
  for (; n < columns; n += kStrip) AddColumns<1>(a, b + n, b_row, rows, depth, c, n);
}

template <int64_t strips>
SCANLINE_INLINE void AddOuterStrips(const float* a, int64_t a_row, const float* b, int64_t b_row, int64_t rows, int64_t channels, float* c,
                                    int64_t c_row) {
  constexpr int64_t kAtOnce = 4;
  for (int64_t i = 0; i < channels; i += kAtOnce) {
    Floats sums[kAtOnce][strips];
#pragma GCC unroll 4
    for (int64_t j = 0; j < kAtOnce; j++) {
#pragma GCC unroll 4
      for (int64_t s = 0; s < strips; s++) ToFloats(c + (i + j) * c_row + s * kStrip, &sums[j][s]);
    }
    for (int64_t r = 0; r < rows; r++) {
      Floats right[strips];
#pragma GCC unroll 4
      for (int64_t s = 0; s < strips; s++) ToFloats(b + r * b_row + s * kStrip, &right[s]);
#pragma GCC unroll 4
      for (int64_t j = 0; j < kAtOnce; j++) {
        const float left = a[r * a_row + i + j];
#pragma GCC unroll 4
        for (int64_t s = 0; s < strips; s++) sums[j][s] += left * right[s];
      }
    }
#pragma GCC unroll 4
    for (int64_t j = 0; j < kAtOnce; j++) {
#pragma GCC unroll 4
      for (int64_t s = 0; s < strips; s++) FromFloats(sums[j][s], c + (i + j) * c_row + s * kStrip);
    }
  }
}

// c [channels, columns] += a [rows, channels] transposed, times b [rows, columns]
inline void AddOuter(const float* a, int64_t a_row, const float* b, int64_t b_row, int64_t rows, int64_t channels, int64_t columns, float* c,
                     int64_t c_row) {
  int64_t n = 0;
  for (; n + 4 * kStrip <= columns; n += 4 * kStrip) AddOuterStrips<4>(a, a_row, b + n, b_row, rows, channels, c + n, c_row);
  for (; n < columns; n += kStrip) AddOuterStrips<1>(a, a_row, b + n, b_row, rows, channels, c + n, c_row);
}

// A square of kStrip x kStrip values transposed: in each of four rounds the rows of the two halves are interleaved value by value.
inline void TransposeSquare(const float* from, int64_t from_row, float* to, int64_t to_row) {
  Floats rows[kStrip], next[kStrip];
  const Words low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  const Words high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  for (int64_t i = 0; i < kStrip; i++) ToFloats(from + i * from_row, &rows[i]);
#pragma GCC unroll 4
  for (int64_t round = 0; round < 4; round++) {
#pragma GCC unroll 8
    for (int64_t i = 0; i < kStrip / 2; i++) {
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + kStrip / 2], low);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + kStrip / 2], high);
    }
#pragma GCC unroll 16
    for (int64_t i = 0; i < kStrip; i++) rows[i] = next[i];
  }
  for (int64_t i = 0; i < kStrip; i++) FromFloats(rows[i], to + i * to_row);
}

// to [columns, rows] = from [rows, columns] transposed; both are multiples of kStrip
inline void Transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  for (int64_t r = 0; r < rows; r += kStrip) {
    for (int64_t c = 0; c < columns; c += kStrip) TransposeSquare(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
  }
}

// `count` values, a multiple of kStrip, from one type to the other.
template <typename From, typename To>
void Convert(const From* from, int64_t count, To* to) {
  for (int64_t i = 0; i < count; i += kStrip) {
    Floats values;
    ToFloats(from + i, &values);
    FromFloats(values, to + i);
  }
}
