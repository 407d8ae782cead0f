// Cells, which products multiply: a float32, or two neighbouring bfloat16 along the sum, which one instruction multiplies and adds up where
// there is one. For the loops of one family of processors (families.h), after strips.h.

template <typename T>
constexpr int64_t kOfCell = SCANLINE_AVX512_BF16 && std::is_same_v<T, bfloat16> ? 2 : 1;

// How many cells hold so many values along a sum.
template <typename T>
SCANLINE_INLINE int64_t CellsOf(int64_t values) {
  return (values + kOfCell<T> - 1) / kOfCell<T>;
}

// Two strips of values that follow each other along the sum -> one strip of cells, or two strips `next` apart.
template <typename T>
SCANLINE_INLINE void StoreCells(const Floats& first, const Floats& second, uint32_t* cells, int64_t next) {
#if SCANLINE_AVX512_BF16
  if constexpr (kOfCell<T> == 2) {
    const __m256bh low = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(first)), high = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(second));
    const __m512i upper = _mm512_slli_epi32(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(high)), 16);
    _mm512_storeu_si512(cells, _mm512_or_si512(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(low)), upper));
    return;
  }
#endif
  std::memcpy(cells, &first, sizeof first);
  std::memcpy(cells + next, &second, sizeof second);
}

// A strip of values of a row of left factors, whose cells follow each other along the sum.
template <typename T>
SCANLINE_INLINE void StoreFactors(const Floats& values, uint32_t* row, int64_t column) {
  if constexpr (kOfCell<T> == 2) {
    FromFloats(values, reinterpret_cast<bfloat16*>(row) + column);
  } else {
    FromFloats(values, reinterpret_cast<float*>(row) + column);
  }
}

template <int64_t each>
SCANLINE_INLINE void MultiplyAdd(uint32_t left, const Words& right, Floats* sum) {
#if SCANLINE_AVX512_BF16
  if constexpr (each == 2) {
    *sum = reinterpret_cast<Floats>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(*sum), reinterpret_cast<__m512bh>(_mm512_set1_epi32(left)),
                                                     reinterpret_cast<__m512bh>(right)));
    return;
  }
#endif
  *sum += FromBits(left) * reinterpret_cast<const Floats&>(right);
}
