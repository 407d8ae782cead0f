// Convolutions of volumes between a fine and a coarse grid, place by place of the filter: place k takes the pixel stride * o + k - padding of
// the fine grid to the pixel o of the coarse one. Places that lie outside of the volume are skipped, not multiplied by zeros: of a volume of
// 4 x 4 x 4 pixels and a filter of 3 x 3 x 3 they are 42 %. Everything is computed in float32, whatever the values' type.
#pragma once
#include <array>
#include <cstdint>

#include "../vectors/numeric.h"

namespace scanline {

// Volumes [volumes, ...fine, channels] and [volumes, ...coarse, filters], and a filter [...kernel, channels, filters] between them. Channels
// and filters are multiples of 16.
struct GridShape {
  using Sides = std::array<int64_t, 3>;
  int64_t volumes, channels, filters;
  Sides fine, coarse, kernel, stride, padding;

  static int64_t Count(const Sides& sides) { return sides[0] * sides[1] * sides[2]; }
};

// coarse = fine * filter: a convolution, or the gradient of a transposed one's input
template <typename T>
void FineToCoarse(const GridShape& shape, const T* fine, const float* filter, T* coarse);

// fine = coarse * the filter's transpose: the gradient of a convolution's input, or a transposed convolution
template <typename T>
void CoarseToFine(const GridShape& shape, const T* coarse, const float* filter, T* fine);

// the filter's gradient, of either
template <typename T>
void GridGradFilter(const GridShape& shape, const T* fine, const T* coarse, float* dfilter);

}  // namespace scanline
