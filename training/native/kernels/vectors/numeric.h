// float32 and bfloat16 values, and elementary functions that compilers turn into vector code.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

// Compiles a function once for each family of processors; the loader of the library picks the one for this machine, whatever
// SCANLINE_CPU_FAMILY asks for (family.h): for plain loops only, which are the same source for all and which the compiler vectorises.
#define SCANLINE_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#define SCANLINE_INLINE inline __attribute__((always_inline))

namespace scanline {

// The upper half of a float32 (https://en.wikipedia.org/wiki/Bfloat16_floating-point_format).
struct bfloat16 {
  uint16_t bits;
};

SCANLINE_INLINE uint32_t Bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

SCANLINE_INLINE float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

SCANLINE_INLINE float Load(const float* address) { return *address; }
SCANLINE_INLINE float Load(const bfloat16* address) { return FromBits(static_cast<uint32_t>(address->bits) << 16); }
SCANLINE_INLINE void Store(float* address, float value) { *address = value; }
SCANLINE_INLINE void Store(bfloat16* address, float value) {
  const uint32_t bits = Bits(value);
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);  // to nearest, ties to even
  const uint32_t quiet = bits | 0x400000;                       // rounding could turn a NaN into an infinity
  address->bits = static_cast<uint16_t>(((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded) >> 16);
}

// e^-x for x >= 0, to 2 ulp: 2^n * e^r with |r| <= ln(2) / 2, e^r by its Taylor polynomial of degree 7.
SCANLINE_INLINE float ExpOfMinus(float x) {
  const float clamped = x < 87.0f ? x : 87.0f;
  const float shifted = clamped * -1.44269504f + 12582912.0f;  // adding 1.5 * 2^23 rounds to a whole number
  const float n = shifted - 12582912.0f;
  const float r = (-clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln(2) in two parts
  float y = 1.0f / 5040;
  y = y * r + 1.0f / 720;
  y = y * r + 1.0f / 120;
  y = y * r + 1.0f / 24;
  y = y * r + 1.0f / 6;
  y = y * r + 0.5f;
  y = y * r + 1.0f;
  y = y * r + 1.0f;
  return y * FromBits(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

}  // namespace scanline
