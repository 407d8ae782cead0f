// Products of cells in registers, and how their factors are packed, for the loops of one family of processors (families.h).
//
// A tile of left factors is kTile rows of the result, a panel of right factors kPanel columns (product.h). Packed, both lie along the sum:
// for each cell of it the cells of all rows of a tile or of all columns of a panel, anything where there is none.

#include "../vectors/strip_loops.h"

#include "cells.h"
#include "../vectors/vector_math.h"

// How far ahead left factors are fetched, in cells along the sum.
inline constexpr int64_t kAhead = 24;

// Registers hold the sums of so many rows and strips at once.
inline constexpr int64_t kRowsAtOnce = SCANLINE_AVX512 ? kTile : 4, kStripsAtOnce = SCANLINE_AVX512 ? 2 : 1;

// c [rows, strips * kStrip] (+)= a b; a(r, k) at a[r * a_row + k * a_depth], rows of b so many cells apart
template <int64_t each, int64_t rows, int64_t strips, bool add>
SCANLINE_INLINE void SumsOfBlock(const uint32_t* a, int64_t a_row, int64_t a_depth, const uint32_t* b, int64_t b_depth, int64_t depth, float* c,
                                 int64_t c_row) {
  Floats sums[rows][strips];
#pragma GCC unroll 12
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int64_t s = 0; s < strips; s++) {
      sums[r][s] = Floats{};
      if (add) ToFloats(c + r * c_row + s * kStrip, &sums[r][s]);
    }
  }
  for (int64_t k = 0; k < depth; k++) {
    Words right[strips];
#pragma GCC unroll 2
    for (int64_t s = 0; s < strips; s++) std::memcpy(&right[s], b + k * b_depth + s * kStrip, sizeof right[s]);
    // loads of single cells do not make the processor fetch ahead
    if (a_depth == 1) {
      __builtin_prefetch(a + std::min<int64_t>(k % kStrip, rows - 1) * a_row + k + 2 * kStrip);
    } else {
      __builtin_prefetch(a + (k + kAhead) * a_depth);
    }
#pragma GCC unroll 12
    for (int64_t r = 0; r < rows; r++) {
      const uint32_t left = a[r * a_row + k * a_depth];
#pragma GCC unroll 2
      for (int64_t s = 0; s < strips; s++) MultiplyAdd<each>(left, right[s], &sums[r][s]);
    }
  }
#pragma GCC unroll 12
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int64_t s = 0; s < strips; s++) FromFloats(sums[r][s], c + r * c_row + s * kStrip);
  }
}

// The same for a panel of one or two strips, and any number of rows of which there is room for the next multiple of four: in c, and in a.
template <int64_t each, bool add>
SCANLINE_INLINE void SumsOfRows(const uint32_t* a, int64_t a_row, int64_t a_depth, const uint32_t* b, int64_t b_depth, int64_t rows,
                                int64_t strips, int64_t depth, float* c, int64_t c_row) {
  const auto go = [&](auto rows_at_once, auto strips_at_once) __attribute__((always_inline)) {
    for (int64_t s = 0; s < strips; s += strips_at_once) {
      for (int64_t r = 0; r < rows; r += rows_at_once) {
        SumsOfBlock<each, rows_at_once, strips_at_once, add>(a + r * a_row, a_row, a_depth, b + s * kStrip, b_depth, depth,
                                                            c + r * c_row + s * kStrip, c_row);
      }
    }
  };
  const auto some_rows = [&](auto strips_at_once) __attribute__((always_inline)) {
    if (rows > 8 && kRowsAtOnce > 8) {
      go(std::integral_constant<int64_t, kRowsAtOnce>(), strips_at_once);
    } else if (rows > 4 && kRowsAtOnce > 4) {
      go(std::integral_constant<int64_t, std::min<int64_t>(8, kRowsAtOnce)>(), strips_at_once);
    } else {
      go(std::integral_constant<int64_t, 4>(), strips_at_once);
    }
  };
  if (strips > 1 && kStripsAtOnce > 1) {
    some_rows(std::integral_constant<int64_t, kStripsAtOnce>());
  } else {
    some_rows(std::integral_constant<int64_t, 1>());
  }
}

// Turns kStrip rows of words into kStrip columns: four times, the first half of the rows is shuffled into the second.
SCANLINE_INLINE void TransposeWords(Words* rows) {
  using Picks = int32_t __attribute__((vector_size(kStrip * 4)));
  const Picks low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}, high = low + 8;
  Words next[kStrip];
#pragma GCC unroll 2
  for (int64_t round = 0; round < 2; round++) {
#pragma GCC unroll 8
    for (int64_t i = 0; i < kStrip / 2; i++) {
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + kStrip / 2], low);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + kStrip / 2], high);
    }
#pragma GCC unroll 8
    for (int64_t i = 0; i < kStrip / 2; i++) {
      rows[2 * i] = __builtin_shuffle(next[i], next[i + kStrip / 2], low);
      rows[2 * i + 1] = __builtin_shuffle(next[i], next[i + kStrip / 2], high);
    }
  }
}

// What becomes of a factor before it is multiplied.
struct AsItIs {
  SCANLINE_INLINE void operator()(Floats*) const {}
};
struct ThroughGelu {
  SCANLINE_INLINE void operator()(Floats* x) const { Gelu(x); }
};

// A strip of cells for values that follow each other along the sum; what lies beyond `count` of them is 0.
template <typename T, typename S, typename Change>
SCANLINE_INLINE void LoadCells(const S* values, int64_t count, const Change& change, Words* cells) {
  const auto load = [&](int64_t first, Floats* strip) __attribute__((always_inline)) {
    if (count >= first + kStrip) {
      ToFloats(values + first, strip);
    } else {
      LoadStrip(values + first, std::max<int64_t>(0, count - first), strip);
    }
    change(strip);
  };
  if constexpr (kOfCell<T> == 2 && std::is_same_v<S, bfloat16> && std::is_same_v<Change, AsItIs>) {
    *cells = Words{};
    std::memcpy(cells, values, count >= 2 * kStrip ? sizeof *cells : count * sizeof(S));
  } else if constexpr (kOfCell<T> == 2) {
    Floats first, second;
    load(0, &first);
    load(kStrip, &second);
    ToHalves(first, second, cells);
  } else {
    Floats strip;
    load(0, &strip);
    std::memcpy(cells, &strip, sizeof strip);
  }
}

// `width` rows or columns of a factor, of which `count` are there, as a tile or a panel. Value k of number i: values[i * stride + k]
template <typename T, int64_t width, typename S, typename Change>
SCANLINE_INLINE void PackAlong(const S* values, int64_t stride, int64_t count, int64_t depth, const Change& change, uint32_t* packed) {
  constexpr int64_t each = kOfCell<T>;
  const int64_t cells = CellsOf<T>(depth);
  for (int64_t i = 0; i < width; i += kStrip) {
    constexpr int64_t lanes = std::min(kStrip, width);
    for (int64_t k = 0; k < cells; k += kStrip) {
      Words rows[kStrip];
      for (int64_t r = 0; r < kStrip; r++) {
        rows[r] = Words{};
        if (r < lanes && i + r < count) {
          const S* from = values + (i + r) * stride + k * each;
          // more lines than the processor follows by itself
          __builtin_prefetch(from + 4 * kStrip * each);
          LoadCells<T>(from, depth - k * each, change, &rows[r]);
        }
      }
      TransposeWords(rows);
      if (k + kStrip <= cells) {
#pragma GCC unroll 16
        for (int64_t r = 0; r < kStrip; r++) std::memcpy(packed + (k + r) * width + i, &rows[r], lanes * sizeof(uint32_t));
      } else {
        for (int64_t r = 0; k + r < cells; r++) std::memcpy(packed + (k + r) * width + i, &rows[r], lanes * sizeof(uint32_t));
      }
    }
  }
}

// The same where value k of number i is values[k * stride + i], of which there are `room` from the first on, those of others included. Adds
// each number's values up in sums, where that is given.
template <typename T, int64_t width, typename S, typename Change>
SCANLINE_INLINE void PackAcross(const S* values, int64_t stride, int64_t count, int64_t room, int64_t depth, const Change& change,
                                uint32_t* packed, float* sums = nullptr) {
  constexpr int64_t each = kOfCell<T>, lanes = std::min(kStrip, width);
  for (int64_t i = 0; i < width; i += kStrip) {
    const int64_t there = std::clamp<int64_t>(count - i, 0, lanes);
    Floats sum = {};
    const auto pack = [&](auto readable) __attribute__((always_inline)) {
      const auto load = [&](int64_t k, Floats* strip) __attribute__((always_inline)) {
        LoadStrip(values + k * stride + i, readable, strip);
        __builtin_prefetch(values + (k + kAhead) * stride + i);
        change(strip);
        sum += *strip;
      };
      int64_t k = 0;
      // what is stored beyond a tile's rows is written over by the next ones
      for (; k + 2 < depth; k += 2) {
        Floats first, second;
        load(k, &first);
        load(k + 1, &second);
        StoreCells<T>(first, second, packed + k / each * width + i, width);
      }
      for (; k < depth; k += each) {
        Floats first, second = {};
        load(k, &first);
        if (each == 2 && k + 1 < depth) load(k + 1, &second);
        uint32_t both[2 * kStrip];
        StoreCells<T>(first, second, both, kStrip);
        std::memcpy(packed + k / each * width + i, both, lanes * sizeof(uint32_t));
      }
    };
    if (room - i >= kStrip) {
      pack(WholeStrip());
    } else {
      pack(there);
    }
    if (sums) {
      for (int64_t lane = 0; lane < there; lane++) sums[i + lane] += sum[lane];
    }
  }
}

// Packs some tiles (width kTile) or panels (width kPanel). Adds each number's values up in sums, where that is given and they do not lie
// along the sum.
template <typename T, int64_t width, typename S>
SCANLINE_INLINE void PackFactors(const Factors<S>& factors, int64_t first, int64_t count, uint32_t* packed,
                                 float* sums = nullptr) {
  const int64_t cells = CellsOf<T>(factors.depth) * width;
  for (int64_t n = first; n < first + count; n++, packed += cells) {
    const int64_t begin = n * width, there = std::min(width, factors.count - begin);
    const auto pack = [&](const auto& change) __attribute__((always_inline)) {
      if (factors.along) {
        PackAlong<T, width>(factors.values + begin * factors.stride, factors.stride, there, factors.depth, change, packed);
      } else {
        PackAcross<T, width>(factors.values + begin, factors.stride, there, factors.room - begin, factors.depth, change,
                             packed, sums ? sums + begin : nullptr);
      }
    };
    if (factors.gelu) {
      pack(ThroughGelu());
    } else {
      pack(AsItIs());
    }
  }
}
