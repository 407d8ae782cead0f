// The inner loops of linear.cc where Strassen's algorithm multiplies (strassen.h), for one family of processors (families.h). A tile or panel
// of it is two of a factor, one of each half, as the factors of all terms, one after the other.

// Sums up quarters of a factor, a strip of each, for each term.
template <bool is_left>
SCANLINE_INLINE void SumQuarters(const Floats (&quarters)[4], Floats (&sums)[kTerms]) {
#pragma GCC unroll 7
  for (int64_t term = 0; term < kTerms; term++) {
    sums[term] = Floats{};
#pragma GCC unroll 4
    for (int64_t q = 0; q < 4; q++) {
      const int times = is_left ? kStrassen[term].left[q] : kStrassen[term].right[q];
      if (times > 0) sums[term] += quarters[q];
      if (times < 0) sums[term] -= quarters[q];
    }
  }
}

// Packs some of the `half` tiles or panels. Adds each number's values up in sums, where that is given.
template <int64_t width, bool is_left, typename S>
SCANLINE_INLINE void PackTerms(const Factors<S>& factors, const Group& group, int64_t half, uint32_t* packed, float* sums) {
  // So much of all is packed before more of the first: lines of memory that two of them share are still in a cache.
  constexpr int64_t kDepth = 32;
  const int64_t depth = CeilOf(factors.depth, 2);
  for (int64_t k = 0; k < depth; k += kDepth) {
    const int64_t deep = std::min(kDepth, depth - k);
    for (int64_t n = 0; n < group.count; n++) {
      alignas(64) uint32_t cells[4][kDepth * width];
      for (int64_t q = 0; q < 4; q++) {
        const int64_t first = (is_left ? q % 2 : q / 2) * depth + k, number = group.first + n + (is_left ? q / 2 : q % 2) * half;
        const Factors<S> part = PartOf(factors, first, std::clamp<int64_t>(factors.depth - first, 0, deep));
        const bool there = number * width < part.count;
        // what is not there would be added to what is
        if (!there || part.depth < deep) std::fill_n(cells[q], kDepth * width, 0);
        if (there) PackFactors<float, width>(part, number, 1, cells[q], sums);
      }
      float* to = reinterpret_cast<float*>(packed) + (n * kTerms * depth + k) * width;
      ForEachStrip(deep * width, [&](int64_t c, auto count) __attribute__((always_inline)) {
        Floats quarters[4], terms[kTerms];
#pragma GCC unroll 4
        for (int64_t q = 0; q < 4; q++) std::memcpy(&quarters[q], cells[q] + c, sizeof quarters[q]);
        SumQuarters<is_left>(quarters, terms);
#pragma GCC unroll 7
        for (int64_t term = 0; term < kTerms; term++) StoreStrip(terms[term], count, to + term * depth * width + c);
      });
    }
  }
}

template <typename S>
void PackTileTerms(const Factors<S>& factors, const Group& tiles, int64_t half, uint32_t* packed, float* sums) {
  PackTerms<kTile, true>(factors, tiles, half, packed, sums);
}

template <typename S>
void PackPanelTerms(const Factors<S>& factors, const Group& panels, int64_t half, uint32_t* packed) {
  PackTerms<kPanel, false>(factors, panels, half, packed, nullptr);
}

// The products of some of the `half_tiles` and the `half_panels`; as MultiplyFactors.
template <typename Y>
void MultiplyTerms(const Packed& tiles, int64_t half_tiles, const Packed& panels, int64_t half_panels, bool tiles_outside, int64_t depth,
                   const Ahead (&ahead)[2], const Result<Y>& result) {
  const int64_t count = tiles.group.count * panels.group.count;
  for (int64_t i = 0; i < count; i++) {
    for (const Ahead& lines : ahead) FetchShare(lines, i, count);
    const int64_t t = tiles_outside ? i / panels.group.count : i % tiles.group.count;
    const int64_t p = tiles_outside ? i % panels.group.count : i / tiles.group.count;
    const auto row = [&](int64_t q) { return (tiles.group.first + t + q / 2 * half_tiles) * kTile; };
    const auto column = [&](int64_t q) { return (panels.group.first + p + q % 2 * half_panels) * kPanel; };
    alignas(64) float quarters[4][kTile * kPanel] = {}, product[kTile * kPanel];
    for (int64_t term = 0; term < kTerms; term++) {
      // the last ones, for what is fetched too early is gone when it is asked for
      if (const int64_t q = term - (kTerms - 4); q >= 0) FetchBlock(result, row(q), column(q));
      SumsOfRows<1, false>(tiles.cells + (t * kTerms + term) * depth * kTile, 1, kTile, panels.cells + (p * kTerms + term) * depth * kPanel, kPanel,
                           kTile, 2, depth, product, kPanel);
      for (int64_t q = 0; q < 4; q++) {
        if (kStrassen[term].result[q] == 0) continue;
        const float times = kStrassen[term].result[q];
        for (int64_t c = 0; c < kTile * kPanel; c += kStrip) {
          Floats value, sum;
          ToFloats(product + c, &value);
          ToFloats(quarters[q] + c, &sum);
          FromFloats(sum + times * value, quarters[q] + c);
        }
      }
    }
    for (int64_t q = 0; q < 4; q++) FinishBlock(result, row(q), column(q), quarters[q]);
  }
}
