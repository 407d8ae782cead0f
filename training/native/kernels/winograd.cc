#include "winograd.h"

#include <immintrin.h>

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "rows.h"

namespace scanline {

namespace {

constexpr int64_t kPoints = 36;
constexpr int64_t kTile = 4;

// A square of an image's pixels, which may reach beyond its borders.
template <typename T>
struct Patch {
  T* image;
  int64_t height, width, channels, top, left;
  bool inside;

  bool Holds(int64_t i, int64_t j) const {
    return top + i >= 0 && top + i < height && left + j >= 0 && left + j < width;
  }
  T* At(int64_t i, int64_t j) const { return image + ((top + i) * width + left + j) * channels; }
};

#define SCANLINE_LOOPS "winograd_loops.h"
#include "families.h"

// The outputs of the images cut into tiles of 4 x 4.
struct Tiles {
  int64_t height, width, across, each, count;
  explicit Tiles(const ConvolutionShape& shape)
      : height(shape.height),
        width(shape.width),
        across((width + kTile - 1) / kTile),
        each(across * ((height + kTile - 1) / kTile)),
        count(each * shape.images) {}

  // The pixels of a tile, or with the `margin` around it that its filter sees.
  template <typename T>
  Patch<T> Of(int64_t tile, T* images, int64_t channels, int64_t margin) const {
    const int64_t top = tile % each / across * kTile - margin, left = tile % across * kTile - margin, size = kTile + 2 * margin;
    const bool inside = top >= 0 && left >= 0 && top + size <= height && left + size <= width;
    return {images + tile / each * height * width * channels, height, width, channels, top, left, inside};
  }
};

// Memory of this thread's own, which it keeps; from the beginning of a cache line.
float* Scratch(int64_t values) {
  static thread_local std::vector<float> memory;
  constexpr int64_t kLine = 16;
  if (static_cast<int64_t>(memory.size()) < values + kLine) memory.resize(values + kLine);
  return memory.data() + (kLine - reinterpret_cast<uintptr_t>(memory.data()) / sizeof(float) % kLine);
}

// An odd number of cache lines from one point's values to the next's: they are written together, and would fall into the same set.
int64_t Plane(int64_t values) { return (values / kStrip | 1) * kStrip; }

// A filter at the points: [kPoints, channels, filters].
std::vector<float> AtPoints(const ConvolutionShape& shape, const float* filter) {
  const int64_t pairs = shape.channels * shape.filters;
  std::vector<float> u(kPoints * pairs);
  ParallelFor(shape.channels / kStrip, [&](int64_t strip) {
    const int64_t first = strip * kStrip * shape.filters;
    SCANLINE_CALL(FilterToPoints, filter + first, pairs, kStrip * shape.filters, u.data() + first, pairs);
  });
  return u;
}

// The filter of the gradient of the input at the points, turned by half a circle: [kPoints, filters, channels].
std::vector<float> TurnedAtPoints(const ConvolutionShape& shape, const float* filter) {
  const int64_t channels = shape.channels, filters = shape.filters, pairs = channels * filters;
  std::vector<float> turned(9 * pairs), u(kPoints * pairs);
  ParallelFor(filters / kStrip, [&](int64_t strip) {
    for (int64_t place = 0; place < 9; place++) {
      for (int64_t f = strip * kStrip; f < (strip + 1) * kStrip; f++) {
        for (int64_t c = 0; c < channels; c++) turned[(8 - place) * pairs + f * channels + c] = filter[place * pairs + c * filters + f];
      }
    }
    const int64_t first = strip * kStrip * channels;
    SCANLINE_CALL(FilterToPoints, turned.data() + first, pairs, kStrip * channels, u.data() + first, pairs);
  });
  return u;
}

template <typename T>
void ToPoints(const Patch<const T>& patch, const Activation* activation, int64_t channels, float* v, int64_t plane) {
  if (activation == nullptr) {
    SCANLINE_CALL(InputToPoints<false>, patch, Activation{}, channels, v, plane);
  } else {
    SCANLINE_CALL(InputToPoints<true>, patch, *activation, channels, v, plane);
  }
}

// Few tiles at a time, so that a thread's values at the points and the filter stay in its second cache.
int64_t TilesAtOnce(const Tiles& tiles) { return tiles.count >= 256 ? 12 : 8; }

int64_t BlocksOf(const Tiles& tiles) { return (tiles.count + TilesAtOnce(tiles) - 1) / TilesAtOnce(tiles); }

// x * u, for a filter at the points [kPoints, channels, filters]. Calls finish(block, tile, products) for each tile, whose products at the
// points are `plane` apart.
template <typename T, typename Finish>
void Filter(const ConvolutionShape& shape, const T* x, const Activation* activation, const std::vector<float>& u, const Finish& finish) {
  const Tiles tiles(shape);
  const int64_t channels = shape.channels, filters = shape.filters, each = TilesAtOnce(tiles);
  ParallelFor(BlocksOf(tiles), [&](int64_t block) {
    const int64_t first = block * each, count = std::min(each, tiles.count - first);
    const int64_t v_plane = Plane(each * channels), m_plane = Plane(each * filters);
    float* v = Scratch(kPoints * (v_plane + m_plane));
    float* m = v + kPoints * v_plane;
    for (int64_t t = 0; t < count; t++) ToPoints(tiles.Of(first + t, x, channels, 1), activation, channels, v + t * channels, v_plane);
    for (int64_t point = 0; point < kPoints; point++) {
      const float* filter = u.data() + point * channels * filters;
      SCANLINE_CALL(Product<false>, v + point * v_plane, channels, 1, filter, count, filters, channels, m + point * m_plane);
    }
    for (int64_t t = 0; t < count; t++) finish(block, first + t, m + t * filters, m_plane);
  });
}

ConvolutionShape Turned(const ConvolutionShape& shape) { return {shape.images, shape.height, shape.width, shape.filters, shape.channels}; }

}  // namespace

template <typename T>
void Convolve(const ConvolutionShape& shape, const T* x, const float* filter, T* y, const Activation* activation) {
  const Tiles tiles(shape);
  Filter(shape, x, activation, AtPoints(shape, filter), [&](int64_t, int64_t tile, const float* m, int64_t plane) {
    SCANLINE_CALL(PointsToOutput, m, plane, shape.filters, tiles.Of(tile, y, shape.filters, 0));
  });
}

template <typename T>
void ConvolveGradInput(const ConvolutionShape& shape, const T* dy, const float* filter, T* dx) {
  const Tiles tiles(shape);
  Filter(Turned(shape), dy, nullptr, TurnedAtPoints(shape, filter), [&](int64_t, int64_t tile, const float* m, int64_t plane) {
    SCANLINE_CALL(PointsToOutput, m, plane, shape.channels, tiles.Of(tile, dx, shape.channels, 0));
  });
}

template <typename T>
void ConvolveGradActivated(const ConvolutionShape& shape, const T* dy, const float* filter, const T* x, const Activation& activation,
                           const float* mean, T* g, float* sum, float* product) {
  const Tiles tiles(shape);
  const int64_t channels = shape.channels, blocks = BlocksOf(tiles);
  std::vector<float> partial(blocks * 2 * channels);
  Filter(Turned(shape), dy, nullptr, TurnedAtPoints(shape, filter), [&](int64_t block, int64_t tile, const float* m, int64_t plane) {
    float* sums = partial.data() + block * 2 * channels;
    SCANLINE_CALL(PointsToActivated, m, plane, channels, tiles.Of(tile, x, channels, 0), activation, mean, tiles.Of(tile, g, channels, 0),
                  sums, sums + channels);
  });
  for (int64_t c = 0; c < channels; c++) {
    double s = 0, p = 0;
    for (int64_t block = 0; block < blocks; block++) {
      s += partial[block * 2 * channels + c];
      p += partial[(block * 2 + 1) * channels + c];
    }
    sum[c] = static_cast<float>(s);
    product[c] = static_cast<float>(p);
  }
}

template <typename T>
void ConvolveGradFilter(const ConvolutionShape& shape, const T* x, const T* dy, float* dfilter, const Activation* activation) {
  // groups of channels by ranges of tiles are shared among the threads, whatever their number: so sums are taken in the same order
  constexpr int64_t kChannels = 64, kTilesAtOnce = 48, kTilesOfRange = 512;
  const Tiles tiles(shape);
  const int64_t channels = shape.channels, filters = shape.filters;
  const int64_t groups = (channels + kChannels - 1) / kChannels, ranges = (tiles.count + kTilesOfRange - 1) / kTilesOfRange;
  std::vector<float> partial(ranges * 9 * channels * filters);
  ParallelFor(groups * ranges, [&](int64_t block) {
    const int64_t first = block % groups * kChannels, width = std::min(kChannels, channels - first);
    const Activation group = activation == nullptr ? Activation{} : Activation{activation->scale + first, activation->shift + first};
    const int64_t begin = block / groups * kTilesOfRange, end = std::min(tiles.count, begin + kTilesOfRange);
    const int64_t v_plane = Plane(kTilesAtOnce * width), m_plane = Plane(kTilesAtOnce * filters), u_plane = Plane(width * filters);
    float* v = Scratch(kPoints * (v_plane + m_plane + u_plane));
    float *m = v + kPoints * v_plane, *u = m + kPoints * m_plane;
    std::fill(u, u + kPoints * u_plane, 0.0f);
    for (int64_t at = begin; at < end; at += kTilesAtOnce) {
      const int64_t count = std::min(kTilesAtOnce, end - at);
      for (int64_t t = 0; t < count; t++) {
        ToPoints(tiles.Of(at + t, x + first, channels, 1), activation == nullptr ? nullptr : &group, width, v + t * width, v_plane);
        SCANLINE_CALL(OutputToPoints, tiles.Of(at + t, dy, filters, 0), filters, m + t * filters, m_plane);
      }
      for (int64_t point = 0; point < kPoints; point++) {
        float* sums = u + point * u_plane;
        SCANLINE_CALL(Product<true>, v + point * v_plane, 1, width, m + point * m_plane, width, filters, count, sums);
      }
    }
    float* found = partial.data() + block / groups * 9 * channels * filters + first * filters;
    SCANLINE_CALL(PointsToFilter, u, u_plane, width * filters, found, channels * filters);
  });
  const int64_t values = 9 * channels * filters;
  for (int64_t i = 0; i < values; i++) {
    float sum = 0;
    for (int64_t range = 0; range < ranges; range++) sum += partial[range * values + i];
    dfilter[i] = sum;
  }
}

#define SCANLINE_INSTANTIATE(T)                                                                                                      \
  template void Convolve(const ConvolutionShape&, const T*, const float*, T*, const Activation*);                                    \
  template void ConvolveGradInput(const ConvolutionShape&, const T*, const float*, T*);                                              \
  template void ConvolveGradActivated(const ConvolutionShape&, const T*, const float*, const T*, const Activation&, const float*, T*, \
                                      float*, float*);                                                                               \
  template void ConvolveGradFilter(const ConvolutionShape&, const T*, const T*, float*, const Activation*);
SCANLINE_INSTANTIATE(float)
SCANLINE_INSTANTIATE(bfloat16)

}  // namespace scanline
