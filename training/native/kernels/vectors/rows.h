// What the normalisations over rows share: how rows are cut into blocks, tiles and strips, and how the sums of blocks are put together.
#pragma once
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "family.h"
#include "numeric.h"

namespace scanline {

// Rows are reduced in blocks of about this many values: first within a block, then over the blocks, in an order that does not depend
// on the threads.
inline constexpr int64_t kBlockValues = 1 << 16;

// Moments are taken of no more rows than this at once: so few float32 values may be added up one by one, and a strip of them stays in the
// first cache for a second pass.
inline constexpr int64_t kMomentsRows = 512;

struct Blocks {
  int64_t rows, rows_each, count;
  Blocks(int64_t rows, int64_t columns, int64_t most_rows = kBlockValues)
      : rows(rows),
        rows_each(std::clamp<int64_t>(kBlockValues / std::max<int64_t>(1, columns), 1, most_rows)),
        count((rows + rows_each - 1) / rows_each) {}
  int64_t begin(int64_t block) const { return block * rows_each; }
  int64_t length(int64_t block) const { return std::min(rows, (block + 1) * rows_each) - begin(block); }
};

// Rows are passed over in tiles that stay in the first cache, and within a tile in strips of channels, so that what is summed over the
// rows of a tile is summed in registers.
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kStrip = 16;

// The number of channels of a whole strip, as a constant; the functions of strips take it or a smaller number.
using WholeStrip = std::integral_constant<int64_t, kStrip>;

// The channels of one tensor of the list in a tile: x's rows follow each other, those of all channels together are `stride` apart.
template <typename T>
struct Tile {
  int64_t rows, columns, stride;
  const T* x;
};

// Adds up what the blocks found, in double precision: [blocks][2][columns] -> two columns of sums.
inline void Combine(const std::vector<float>& partial, int64_t blocks, int64_t columns, std::vector<double>& first, std::vector<double>& second) {
  first.assign(columns, 0);
  second.assign(columns, 0);
  for (int64_t block = 0; block < blocks; block++) {
    const float* values = partial.data() + block * 2 * columns;
    for (int64_t c = 0; c < columns; c++) {
      first[c] += values[c];
      second[c] += values[columns + c];
    }
  }
}

// Mean and biased variance from what the blocks found, [blocks][pivot, sum, square][columns], in double precision: the squares about
// the mean of all are those about a block's own mean, and for each of its rows the square between the two means (Chan et al.,
// https://doi.org/10.1080/00031305.1983.10483115).
inline void CombineMoments(const std::vector<float>& partial, const Blocks& blocks, int64_t columns, float* mean, float* variance) {
  std::vector<double> total(columns), squares(columns);
  const double rows = static_cast<double>(blocks.rows);
  for (int64_t block = 0; block < blocks.count; block++) {
    const float *pivot = partial.data() + block * 3 * columns, *sum = pivot + columns;
    const double length = static_cast<double>(blocks.length(block));
    for (int64_t c = 0; c < columns; c++) total[c] += pivot[c] * length + sum[c];
  }
  for (int64_t block = 0; block < blocks.count; block++) {
    const float *pivot = partial.data() + block * 3 * columns, *sum = pivot + columns, *square = sum + columns;
    const double length = static_cast<double>(blocks.length(block));
    for (int64_t c = 0; c < columns; c++) {
      // sum and square of x - mean, from those of x - pivot
      const double shift = pivot[c] - total[c] / rows;
      squares[c] += square[c] + shift * (2 * sum[c] + shift * length);
    }
  }
  for (int64_t c = 0; c < columns; c++) {
    mean[c] = static_cast<float>(total[c] / rows);
    variance[c] = static_cast<float>(squares[c] < 0 ? 0 : squares[c] / rows);  // a NaN stays one
  }
}

}  // namespace scanline
