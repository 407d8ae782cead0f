// The inner loops of winograd.cc, included once for each family of processors, as strips.h is.
//
// One dimension of F(4, 3) by Cook and Toom: polynomials are multiplied by their values at 0, +-a, +-b and infinity.

#include "../vectors/strips.h"

// These points round less than +-1 and +-2 do, and all that follows from them but the divisions is exact in float32.
constexpr float kA = 0.625f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB, kA3 = kA2 * kA, kB3 = kB2 * kB;
// what the values at a point are divided by: the product of its distances from the others
constexpr float kAt0 = 1 / (kA2 * kB2), kAtA = 1 / (2 * kA2 * (kA2 - kB2)), kAtB = 1 / (2 * kB2 * (kB2 - kA2));

// Six neighbouring inputs -> their values at the points.
SCANLINE_INLINE void ToInputPoints(const Floats* x, int64_t step, Floats* y) {
  const Floats even_a = x[4 * step] - kB2 * x[2 * step], odd_a = x[3 * step] - kB2 * x[step];
  const Floats even_b = x[4 * step] - kA2 * x[2 * step], odd_b = x[3 * step] - kA2 * x[step];
  y[0] = kA2 * kB2 * x[0] + (x[4 * step] - (kA2 + kB2) * x[2 * step]);
  y[1] = even_a + kA * odd_a;
  y[2] = even_a - kA * odd_a;
  y[3] = even_b + kB * odd_b;
  y[4] = even_b - kB * odd_b;
  y[5] = kA2 * kB2 * x[step] + (x[5 * step] - (kA2 + kB2) * x[3 * step]);
}

// Values of the products at the points -> four neighbouring outputs.
SCANLINE_INLINE void FromPoints(const Floats* m, int64_t step, Floats* y) {
  const Floats sum_a = m[step] + m[2 * step], difference_a = m[step] - m[2 * step];
  const Floats sum_b = m[3 * step] + m[4 * step], difference_b = m[3 * step] - m[4 * step];
  y[0] = m[0] + sum_a + sum_b;
  y[1] = kA * difference_a + kB * difference_b;
  y[2] = kA2 * sum_a + kB2 * sum_b;
  y[3] = kA3 * difference_a + kB3 * difference_b + m[5 * step];
}

// The transpose of FromPoints: four gradients of outputs -> those of the products.
SCANLINE_INLINE void ToOutputPoints(const Floats* y, int64_t step, Floats* m) {
  const Floats even_a = y[0] + kA2 * y[2 * step], odd_a = y[step] + kA2 * y[3 * step];
  const Floats even_b = y[0] + kB2 * y[2 * step], odd_b = y[step] + kB2 * y[3 * step];
  m[0] = y[0];
  m[1] = even_a + kA * odd_a;
  m[2] = even_a - kA * odd_a;
  m[3] = even_b + kB * odd_b;
  m[4] = even_b - kB * odd_b;
  m[5] = y[3 * step];
}

// The three values of a filter -> its values at the points.
SCANLINE_INLINE void ToFilterPoints(const Floats* w, int64_t step, Floats* u) {
  const Floats even_a = kAtA * (w[0] + kA2 * w[2 * step]), odd_a = kAtA * kA * w[step];
  const Floats even_b = kAtB * (w[0] + kB2 * w[2 * step]), odd_b = kAtB * kB * w[step];
  u[0] = kAt0 * w[0];
  u[1] = even_a + odd_a;
  u[2] = even_a - odd_a;
  u[3] = even_b + odd_b;
  u[4] = even_b - odd_b;
  u[5] = w[2 * step];
}

// The transpose of ToFilterPoints.
SCANLINE_INLINE void FromFilterPoints(const Floats* u, int64_t step, Floats* w) {
  const Floats sum_a = kAtA * (u[step] + u[2 * step]), difference_a = kAtA * (u[step] - u[2 * step]);
  const Floats sum_b = kAtB * (u[3 * step] + u[4 * step]), difference_b = kAtB * (u[3 * step] - u[4 * step]);
  w[0] = kAt0 * u[0] + sum_a + sum_b;
  w[1] = kA * difference_a + kB * difference_b;
  w[2] = kA2 * sum_a + kB2 * sum_b + u[5 * step];
}

// A strip of 6 x 6 inputs, rows and pixels so far apart -> their values at the points, `plane` apart.
template <bool activated, typename T>
__attribute__((noinline)) void InputStrip(const T* inputs, int64_t row, int64_t pixel, const Activation& activation, int64_t channel,
                                          float* v, int64_t plane) {
  Floats columns[36], scale, shift;
  if (activated) {
    ToFloats(activation.scale + channel, &scale);
    ToFloats(activation.shift + channel, &shift);
  }
#pragma GCC unroll 6
  for (int64_t j = 0; j < 6; j++) {
    Floats x[6], y[6];
#pragma GCC unroll 6
    for (int64_t i = 0; i < 6; i++) {
      ToFloats(inputs + i * row + j * pixel, &x[i]);
      if (!activated) continue;
      x[i] = scale * x[i] + shift;
      Relu(&x[i]);
    }
    ToInputPoints(x, 1, y);
#pragma GCC unroll 6
    for (int64_t i = 0; i < 6; i++) columns[6 * i + j] = y[i];
  }
#pragma GCC unroll 6
  for (int64_t i = 0; i < 6; i++) {
    Floats y[6];
    ToInputPoints(columns + 6 * i, 1, y);
#pragma GCC unroll 6
    for (int64_t j = 0; j < 6; j++) FromFloats(y[j], v + (6 * i + j) * plane);
  }
}

// A strip of the 6 x 6 inputs of a patch, which reaches beyond the image: zeros there, whatever the activation makes of a zero.
template <bool activated, typename T>
void CopyStrip(const Patch<const T>& patch, const Activation& activation, int64_t channel, float* copy) {
  for (int64_t i = 0; i < 6; i++) {
    for (int64_t j = 0; j < 6; j++) {
      Floats x = {};
      if (patch.Holds(i, j)) {
        ToFloats(patch.At(i, j) + channel, &x);
        if (activated) {
          Floats scale, shift;
          ToFloats(activation.scale + channel, &scale);
          ToFloats(activation.shift + channel, &shift);
          x = scale * x + shift;
          Relu(&x);
        }
      }
      FromFloats(x, copy + (6 * i + j) * kStrip);
    }
  }
}

// The 6 x 6 inputs of a patch -> their values at the points, `plane` apart.
template <bool activated, typename T>
void InputToPoints(const Patch<const T>& patch, const Activation& activation, int64_t channels, float* v, int64_t plane) {
  for (int64_t c = 0; c < channels; c += kStrip) {
    if (patch.inside) {
      InputStrip<activated>(patch.At(0, 0) + c, patch.width * patch.channels, patch.channels, activation, c, v + c, plane);
    } else {
      float copy[36 * kStrip];
      CopyStrip<activated>(patch, activation, c, copy);
      InputStrip<false>(copy, 6 * kStrip, kStrip, activation, c, v + c, plane);
    }
  }
}

// Calls take(i, j, output) for the 4 x 4 outputs of which `m` are the products at the points, `plane` apart.
template <typename Take>
SCANLINE_INLINE void OutputStrip(const float* m, int64_t plane, const Take& take) {
  Floats columns[24];
#pragma GCC unroll 6
  for (int64_t j = 0; j < 6; j++) {
    Floats x[6], y[4];
#pragma GCC unroll 6
    for (int64_t i = 0; i < 6; i++) ToFloats(m + (6 * i + j) * plane, &x[i]);
    FromPoints(x, 1, y);
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; i++) columns[6 * i + j] = y[i];
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < 4; i++) {
    Floats y[4];
    FromPoints(columns + 6 * i, 1, y);
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; j++) take(i, j, y[j]);
  }
}

template <typename T>
void PointsToOutput(const float* m, int64_t plane, int64_t channels, const Patch<T>& patch) {
  for (int64_t c = 0; c < channels; c += kStrip) {
    OutputStrip(m + c, plane, [&](int64_t i, int64_t j, const Floats& y) __attribute__((always_inline)) {
      if (patch.inside || patch.Holds(i, j)) FromFloats(y, patch.At(i, j) + c);
    });
  }
}

// The same for gradients that an activation lets through where its input x is large enough; adds to `sum` and `product` (winograd.h).
template <typename T>
void PointsToActivated(const float* m, int64_t plane, int64_t channels, const Patch<const T>& x, const Activation& activation,
                       const float* mean, const Patch<T>& g, float* sum, float* product) {
  for (int64_t c = 0; c < channels; c += kStrip) {
    Floats scale, shift, centre, s, p;
    ToFloats(activation.scale + c, &scale);
    ToFloats(activation.shift + c, &shift);
    ToFloats(mean + c, &centre);
    ToFloats(sum + c, &s);
    ToFloats(product + c, &p);
    OutputStrip(m + c, plane, [&](int64_t i, int64_t j, const Floats& y) __attribute__((always_inline)) {
      if (!g.inside && !g.Holds(i, j)) return;
      Floats input;
      ToFloats(x.At(i, j) + c, &input);
      const Floats passed = scale * input + shift > 0 ? y : Floats{};
      s += passed;
      p += passed * (input - centre);
      FromFloats(passed, g.At(i, j) + c);
    });
    FromFloats(s, sum + c);
    FromFloats(p, product + c);
  }
}

// The 4 x 4 gradients of a patch of the output -> those of the products at the points.
template <typename T>
void OutputToPoints(const Patch<const T>& patch, int64_t channels, float* m, int64_t plane) {
  for (int64_t c = 0; c < channels; c += kStrip) {
    Floats columns[24];
#pragma GCC unroll 4
    for (int64_t j = 0; j < 4; j++) {
      Floats x[4], y[6];
#pragma GCC unroll 4
      for (int64_t i = 0; i < 4; i++) {
        x[i] = Floats{};
        if (patch.inside || patch.Holds(i, j)) ToFloats(patch.At(i, j) + c, &x[i]);
      }
      ToOutputPoints(x, 1, y);
#pragma GCC unroll 6
      for (int64_t i = 0; i < 6; i++) columns[4 * i + j] = y[i];
    }
#pragma GCC unroll 6
    for (int64_t i = 0; i < 6; i++) {
      Floats y[6];
      ToOutputPoints(columns + 4 * i, 1, y);
#pragma GCC unroll 6
      for (int64_t j = 0; j < 6; j++) FromFloats(y[j], m + (6 * i + j) * plane + c);
    }
  }
}

// w: nine values, `step` apart, for `count` pairs of channels -> u: their values at the points, `plane` apart.
inline void FilterToPoints(const float* w, int64_t step, int64_t count, float* u, int64_t plane) {
  for (int64_t c = 0; c < count; c += kStrip) {
    Floats columns[18];
    for (int64_t j = 0; j < 3; j++) {
      Floats x[3], y[6];
      for (int64_t i = 0; i < 3; i++) ToFloats(w + (3 * i + j) * step + c, &x[i]);
      ToFilterPoints(x, 1, y);
      for (int64_t i = 0; i < 6; i++) columns[3 * i + j] = y[i];
    }
    for (int64_t i = 0; i < 6; i++) {
      Floats y[6];
      ToFilterPoints(columns + 3 * i, 1, y);
      for (int64_t j = 0; j < 6; j++) FromFloats(y[j], u + (6 * i + j) * plane + c);
    }
  }
}

// The gradients of a filter at the points, `plane` apart -> its own, `step` apart.
inline void PointsToFilter(const float* u, int64_t plane, int64_t count, float* w, int64_t step) {
  for (int64_t c = 0; c < count; c += kStrip) {
    Floats columns[18];
    for (int64_t j = 0; j < 6; j++) {
      Floats x[6], y[3];
      for (int64_t i = 0; i < 6; i++) ToFloats(u + (6 * i + j) * plane + c, &x[i]);
      FromFilterPoints(x, 1, y);
      for (int64_t i = 0; i < 3; i++) columns[6 * i + j] = y[i];
    }
    for (int64_t i = 0; i < 3; i++) {
      Floats y[3];
      FromFilterPoints(columns + 6 * i, 1, y);
      for (int64_t j = 0; j < 3; j++) FromFloats(y[j], w + (3 * i + j) * step + c);
    }
  }
}

// c [rows, strips * kStrip] (+)= the sum over the runs of a [rows, depth] b [depth, strips * kStrip]; a(r, k) at a[r * a_row + k * a_depth]
template <int64_t rows, int64_t strips, bool add>
SCANLINE_INLINE void ProductBlock(const float* a, int64_t a_row, int64_t a_depth, const float* b, int64_t b_row, int64_t depth,
                                  const ProductRuns& runs, float* c, int64_t c_row) {
  Floats sums[rows][strips];
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int64_t s = 0; s < strips; s++) {
      sums[r][s] = Floats{};
      if (add) ToFloats(c + r * c_row + s * kStrip, &sums[r][s]);
    }
  }
  for (int64_t run = 0; run < runs.count; run++) {
    const float *a_run = a + run * runs.a_step, *b_run = b + run * runs.b_step;
    for (int64_t k = 0; k < depth; k++) {
      Floats right[strips];
#pragma GCC unroll 4
      for (int64_t s = 0; s < strips; s++) ToFloats(b_run + k * b_row + s * kStrip, &right[s]);
#pragma GCC unroll 16
      for (int64_t r = 0; r < rows; r++) {
        const float left = a_run[r * a_row + k * a_depth];
#pragma GCC unroll 4
        for (int64_t s = 0; s < strips; s++) sums[r][s] += left * right[s];
      }
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int64_t s = 0; s < strips; s++) FromFloats(sums[r][s], c + r * c_row + s * kStrip);
  }
}

template <int64_t rows, bool add>
SCANLINE_INLINE void ProductRows(const float* a, int64_t a_row, int64_t a_depth, const float* b, int64_t columns, int64_t depth,
                                 const ProductRuns& runs, float* c) {
  int64_t n = 0;
  for (; n + 2 * kStrip <= columns; n += 2 * kStrip)
    ProductBlock<rows, 2, add>(a, a_row, a_depth, b + n, columns, depth, runs, c + n, columns);
  if (n < columns) ProductBlock<rows, 1, add>(a, a_row, a_depth, b + n, columns, depth, runs, c + n, columns);
}

template <bool add>
void Product(const float* a, int64_t a_row, int64_t a_depth, const float* b, int64_t rows, int64_t columns, int64_t depth,
             const ProductRuns& runs, float* c) {
  int64_t r = 0;
  const auto go = [&](auto count) __attribute__((always_inline)) {
    for (; r + count <= rows; r += count) ProductRows<count, add>(a + r * a_row, a_row, a_depth, b, columns, depth, runs, c + r * columns);
  };
  go(std::integral_constant<int64_t, 12>());
  go(std::integral_constant<int64_t, 8>());
  go(std::integral_constant<int64_t, 4>());
  go(std::integral_constant<int64_t, 1>());
}
