// What the kernels that multiply matrices share: the sizes of their blocks in registers, and their factors.
#pragma once
#include "../vectors/rows.h"

namespace scanline {

// Rows of left factors, and columns of right ones, whose products are summed in registers at once: 24 of AVX-512's 32 hold sums.
inline constexpr int64_t kTile = 12, kPanel = 2 * kStrip;

// One factor of a product: `count` rows of the left one, or columns of the right one, with `depth` values along the sum. Value k of number
// i is values[i * stride + k], or values[k * stride + i] where they do not lie along the sum. With `gelu`, it is the GELU of that.
// `room`: how many values can be read of a line that goes across the sum, from its first on.
template <typename S>
struct Factors {
  const S* values;
  int64_t count, depth, stride, room;
  bool along, gelu;
};

// `depth` values along the sum, from `first` on.
template <typename S>
Factors<S> PartOf(const Factors<S>& factors, int64_t first, int64_t depth) {
  Factors<S> part = factors;
  part.values += first * (factors.along ? 1 : factors.stride);
  part.depth = depth;
  return part;
}

inline int64_t CeilOf(int64_t count, int64_t each) { return (count + each - 1) / each; }

// How many cells (cells.h) hold so many values along a sum.
template <typename T>
int64_t Cells(int64_t depth) {
  return kFamily == Family::kAvx512Bf16 && std::is_same_v<T, bfloat16> ? CeilOf(depth, 2) : depth;
}

}  // namespace scanline
