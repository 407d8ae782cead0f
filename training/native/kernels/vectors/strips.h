// Strips of neighbouring values as vectors. Included once for each family of processors (families.h), in a namespace and with the
// compiler's target of its own: vectors are cut into registers where they are written, so the compiler must know the target here.

// A strip as a vector of float32; the compiler cuts it into the registers that the processor has.
using Floats = float __attribute__((vector_size(kStrip * 4)));
using Words = uint32_t __attribute__((vector_size(kStrip * 4)));
using Halves = uint16_t __attribute__((vector_size(kStrip * 2)));

SCANLINE_INLINE void ToFloats(const float* values, Floats* result) { std::memcpy(result, values, sizeof *result); }
SCANLINE_INLINE void ToFloats(const bfloat16* values, Floats* result) {
  Halves halves;
  std::memcpy(&halves, values, sizeof halves);
#if SCANLINE_AVX512  // which g++ 12 would do in two parts
  const Words words = reinterpret_cast<Words>(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(halves))) << 16;
#else
  const Words words = __builtin_convertvector(halves, Words) << 16;
#endif
  std::memcpy(result, &words, sizeof words);
}
SCANLINE_INLINE void FromFloats(const Floats& values, float* result) { std::memcpy(result, &values, sizeof values); }
SCANLINE_INLINE void FromFloats(const Floats& values, bfloat16* result) {
#if SCANLINE_AVX512_BF16
  const __m256bh halves = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(values));
#else
  Words bits;
  std::memcpy(&bits, &values, sizeof bits);
  const Words rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const Halves halves = __builtin_convertvector((values == values ? rounded : bits | 0x400000) >> 16, Halves);
#endif
  std::memcpy(result, &halves, sizeof halves);
}

SCANLINE_INLINE void Relu(Floats* values) { *values = *values < 0 ? Floats{} : *values; }  // a NaN stays one
