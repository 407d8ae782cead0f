// Cells, which products multiply: a float32, or two neighbouring bfloat16 along the sum, which one instruction multiplies and adds up where
// there is one. For the loops of one family of processors (families.h), after strips.h.

template <typename T>
constexpr int64_t kOfCell = SCANLINE_AVX512_BF16 && std::is_same_v<T, bfloat16> ? 2 : 1;

// How many cells hold so many values along a sum.
template <typename T>
SCANLINE_INLINE int64_t CellsOf(int64_t values) {
  return (values + kOfCell<T> - 1) / kOfCell<T>;
}

// Two strips of values, the second after the first -> their bfloat16 in this order.
SCANLINE_INLINE void ToHalves(const Floats& first, const Floats& second, Words* halves) {
#if SCANLINE_AVX512_BF16
  *halves = reinterpret_cast<Words>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second), reinterpret_cast<__m512>(first)));
#else
  FromFloats(first, reinterpret_cast<bfloat16*>(halves));
  FromFloats(second, reinterpret_cast<bfloat16*>(halves) + kStrip);
#endif
}

// Two strips of values that follow each other along the sum -> one strip of cells, or two strips `next` apart.
template <typename T>
SCANLINE_INLINE void StoreCells(const Floats& first, const Floats& second, uint32_t* cells, int64_t next) {
#if SCANLINE_AVX512_BF16
  if constexpr (kOfCell<T> == 2) {
    using Picks = int16_t __attribute__((vector_size(kStrip * 4)));
    const Picks neighbours = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                              8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    Words halves;
    ToHalves(first, second, &halves);
    const Picks paired = __builtin_shuffle(reinterpret_cast<const Picks&>(halves), neighbours);
    std::memcpy(cells, &paired, sizeof paired);
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
