// 3 x 3 convolutions of stride 1 and padding 1 by Winograd's minimal filtering, F(4 x 4, 3 x 3) (Lavin & Gray,
// https://arxiv.org/abs/1509.09308): a quarter of the multiplications. Everything is computed in float32, whatever the values' type.
#pragma once
#include <cstdint>

#include "numeric.h"

namespace scanline {

// Images [images, height, width, channels], NHWC. Channels and filters are multiples of 16.
struct ConvolutionShape {
  int64_t images, height, width, channels, filters;
};

// y [.., filters] = x [.., channels] * filter [3, 3, channels, filters]
template <typename T>
void Convolve(const ConvolutionShape& shape, const T* x, const float* filter, T* y);

// dx [.., channels] from dy [.., filters]
template <typename T>
void ConvolveGradInput(const ConvolutionShape& shape, const T* dy, const float* filter, T* dx);

// dfilter [3, 3, channels, filters] from x and dy
template <typename T>
void ConvolveGradFilter(const ConvolutionShape& shape, const T* x, const T* dy, float* dfilter);

}  // namespace scanline
