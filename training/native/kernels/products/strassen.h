// Strassen's algorithm (Gaussian elimination is not optimal, https://doi.org/10.1007/BF02165411), one level of it: both factors and the result
// of a product are cut into quarters, and seven products of sums of quarters do the work of eight. The sums are made while factors are packed,
// and of the products while they are in the first cache (Huang et al., https://doi.org/10.1109/SC.2016.58), so no quarter is ever stored.
#pragma once
#include <cstdint>

namespace scanline {

// How often each quarter goes into the two factors of a term, and how often the term goes into each quarter of the result. Quarters are
// numbered by rows.
struct Term {
  int8_t left[4], right[4], result[4];
};

inline constexpr int64_t kTerms = 7;
inline constexpr Term kStrassen[kTerms] = {
    {{1, 0, 0, 1}, {1, 0, 0, 1}, {1, 0, 0, 1}},   //
    {{0, 0, 1, 1}, {1, 0, 0, 0}, {0, 0, 1, -1}},  //
    {{1, 0, 0, 0}, {0, 1, 0, -1}, {0, 1, 0, 1}},  //
    {{0, 0, 0, 1}, {-1, 0, 1, 0}, {1, 0, 1, 0}},  //
    {{1, 1, 0, 0}, {0, 0, 0, 1}, {-1, 1, 0, 0}},  //
    {{-1, 0, 1, 0}, {1, 1, 0, 0}, {0, 0, 0, 1}},  //
    {{0, 1, 0, -1}, {0, 0, 1, 1}, {1, 0, 0, 0}},
};

}  // namespace scanline
