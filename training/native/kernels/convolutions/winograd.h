// 3 x 3 and 3 x 3 x 3 convolutions of stride 1 and padding 1 by Winograd's minimal filtering, F(4 x 4, 3 x 3) (Lavin & Gray,
// https://arxiv.org/abs/1509.09308): a quarter of the multiplications. Volumes are filtered slice by slice: what the three slices that a
// filter sees give is added up at the points. Everything is computed in float32, whatever the values' type.
#pragma once
#include <cstdint>

#include "../vectors/numeric.h"

namespace scanline {

// Images [images, height, width, channels], of which depth is 1, and filters [3, 3, channels, filters]; or volumes [images, depth, height,
// width, channels] and filters [3, 3, 3, channels, filters]. Channels and filters are multiples of 16.
struct ConvolutionShape {
  bool volumes;
  int64_t images, depth, height, width, channels, filters;

  int64_t pixels() const { return images * depth * height * width; }
  // How many slices a filter sees, and how many of them on each side of its own.
  int64_t taps() const { return volumes ? 3 : 1; }
  int64_t margin() const { return volumes ? 1 : 0; }
};

// What is done to each channel of an input as it is read, so that it need not be stored: max(0, scale * x + shift), padded with zeros.
struct Activation {
  const float *scale, *shift;
};

// y [.., filters] = x [.., channels], activated where that is asked for, * filter [.., channels, filters]
template <typename T>
void Convolve(const ConvolutionShape& shape, const T* x, const float* filter, T* y, const Activation* activation = nullptr);

// dx [.., channels] from dy [.., filters]
template <typename T>
void ConvolveGradInput(const ConvolutionShape& shape, const T* dy, const float* filter, T* dx);

// g [.., channels], the gradient of scale * x + shift, from dy [.., filters] for a convolution of the activated x; and of each channel
// the sum of g and that of g * (x - mean)
template <typename T>
void ConvolveGradActivated(const ConvolutionShape& shape, const T* dy, const float* filter, const T* x, const Activation& activation,
                           const float* mean, T* g, float* sum, float* product);

// dfilter [.., channels, filters] from x, activated where that is asked for, and dy
template <typename T>
void ConvolveGradFilter(const ConvolutionShape& shape, const T* x, const T* dy, float* dfilter, const Activation* activation = nullptr);

}  // namespace scanline
