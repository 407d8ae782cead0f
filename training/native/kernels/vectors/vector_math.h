// Elementary functions of strips, for the loops of one family of processors (families.h), after strips.h. They are those of numeric.h and
// gelu.cc, for values that are in registers.

using Integers = int32_t __attribute__((vector_size(kStrip * 4)));

// All values of a strip added up, half by half.
SCANLINE_INLINE float SumOfLanes(const Floats& values) {
  Floats sum = values;
#pragma GCC unroll 4
  for (int32_t half = kStrip / 2; half > 0; half /= 2) {
    Integers other;
    for (int32_t i = 0; i < kStrip; i++) other[i] = i ^ half;
    sum += __builtin_shuffle(sum, other);
  }
  return sum[0];
}

// e^-x for x >= 0, as in numeric.h; a NaN stays one.
SCANLINE_INLINE void ExpOfMinus(const Floats& x, Floats* result) {
  const Floats clamped = x > 87.0f ? Floats{} + 87.0f : x;
  const Floats n = (clamped * -1.44269504f + 12582912.0f) - 12582912.0f;
  const Floats r = (-clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats y = r * (1.0f / 5040) + 1.0f / 720;
  y = y * r + 1.0f / 120;
  y = y * r + 1.0f / 24;
  y = y * r + 1.0f / 6;
  y = y * r + 0.5f;
  y = y * r + 1.0f;
  y = y * r + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  *result = y * reinterpret_cast<const Floats&>(power);
}

// Phi(x) by formula 7.1.26 of Abramowitz & Stegun, Handbook of Mathematical Functions (error below 1e-7), and e^(-x^2 / 2).
SCANLINE_INLINE void Cumulative(const Floats& x, Floats* phi, Floats* exponential) {
  const Floats magnitude = x < 0 ? -x : x;
  ExpOfMinus(0.5f * x * x, exponential);
  const Floats t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * magnitude);
  Floats polynomial = 1.061405429f * t - 1.453152027f;
  polynomial = polynomial * t + 1.421413741f;
  polynomial = polynomial * t - 0.284496736f;
  polynomial = polynomial * t + 0.254829592f;
  const Floats tail = 0.5f * polynomial * t * *exponential;
  *phi = x < 0 ? tail : 1.0f - tail;
}

// x * Phi(x), the exact GELU
SCANLINE_INLINE void Gelu(Floats* x) {
  Floats phi, exponential;
  Cumulative(*x, &phi, &exponential);
  *x *= phi;
}

// Its gradient, times dy.
SCANLINE_INLINE void GeluGrad(const Floats& x, Floats* dy) {
  constexpr float kInverseRootOfTwoPi = 0.39894228f;
  Floats phi, exponential;
  Cumulative(x, &phi, &exponential);
  *dy *= phi + x * kInverseRootOfTwoPi * exponential;
}
