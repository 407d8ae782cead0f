#include "winograd.h"

#include <immintrin.h>

#include <algorithm>
#include <vector>

#include "../parallel.h"
#include "../scratch.h"
#include "../vectors/rows.h"

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

// What a product adds up comes in runs of the same length: how many, and how far from one to the next in each factor.
struct ProductRuns {
  int64_t count, a_step, b_step;
};

#define SCANLINE_LOOPS "../convolutions/winograd_loops.h"
#include "../vectors/families.h"

// The outputs cut into tiles of 4 x 4 pixels: those at the same place of a volume's slices follow each other.
struct Tiles {
  int64_t depth, height, width, across, each, count;
  explicit Tiles(const ConvolutionShape& shape)
      : depth(shape.depth),
        height(shape.height),
        width(shape.width),
        across((width + kTile - 1) / kTile),
        each(across * ((height + kTile - 1) / kTile)),
        count(each * shape.depth * shape.images) {}

  // The pixels of a tile, or with the `margin` around it that its filter sees.
  template <typename T>
  Patch<T> Of(int64_t tile, T* images, int64_t channels, int64_t margin) const {
    const int64_t place = tile / depth % each, slice = tile / (depth * each) * depth + tile % depth;
    const int64_t top = place / across * kTile - margin, left = place % across * kTile - margin, size = kTile + 2 * margin;
    const bool inside = top >= 0 && left >= 0 && top + size <= height && left + size <= width;
    return {images + slice * height * width * channels, height, width, channels, top, left, inside};
  }
};

// Tiles are filtered in runs of neighbours. In a volume these are slices at the same place, so that what is read of a slice serves all that
// see it: a run lies within one column of slices, and sees a `margin` of slices before and after it. All images together are one column.
struct Runs {
  int64_t column, margin, each, length, count;
  Runs(const ConvolutionShape& shape, const Tiles& tiles, int64_t longest)
      : column(std::max<int64_t>(1, shape.volumes ? tiles.depth : tiles.count)),
        margin(shape.margin()),
        each((column + longest - 1) / longest),
        length(std::min(column, ((column + each - 1) / each + 3) / 4 * 4)),
        count(tiles.count / column * each) {}

  int64_t begin(int64_t run) const { return run / each * column + run % each * length; }
  int64_t size(int64_t run) const { return std::clamp<int64_t>(column - run % each * length, 0, length); }
  // Whether a run's column has a tile that is so far from the run's first.
  bool Holds(int64_t run, int64_t offset) const {
    const int64_t place = run % each * length + offset;
    return place >= 0 && place < column;
  }
};

// An odd number of cache lines from one point's values to the next's: they are written together, and would fall into the same set.
int64_t Plane(int64_t values) { return (values / kStrip | 1) * kStrip; }

// A filter at the points: [kPoints, taps, channels, filters].
std::vector<float> AtPoints(const ConvolutionShape& shape, const float* filter) {
  const int64_t pairs = shape.channels * shape.filters, taps = shape.taps(), strips = shape.channels / kStrip;
  std::vector<float> u(kPoints * taps * pairs);
  ParallelFor(taps * strips, [&](int64_t block) {
    const int64_t tap = block / strips, first = block % strips * kStrip * shape.filters;
    SCANLINE_CALL(FilterToPoints, filter + 9 * tap * pairs + first, pairs, kStrip * shape.filters, u.data() + tap * pairs + first, taps * pairs);
  });
  return u;
}

// The filter of the gradient of the input at the points, turned round along each axis: [kPoints, taps, filters, channels].
std::vector<float> TurnedAtPoints(const ConvolutionShape& shape, const float* filter) {
  const int64_t channels = shape.channels, filters = shape.filters, pairs = channels * filters, taps = shape.taps(), places = 9 * taps;
  std::vector<float> turned(places * pairs), u(kPoints * taps * pairs);
  ParallelFor(filters / kStrip, [&](int64_t strip) {
    for (int64_t place = 0; place < places; place++) {
      for (int64_t c = 0; c < channels; c++) {
        for (int64_t f = strip * kStrip; f < (strip + 1) * kStrip; f++) {
          turned[(places - 1 - place) * pairs + f * channels + c] = filter[place * pairs + c * filters + f];
        }
      }
    }
    const int64_t first = strip * kStrip * channels;
    for (int64_t tap = 0; tap < taps; tap++) {
      SCANLINE_CALL(FilterToPoints, turned.data() + 9 * tap * pairs + first, pairs, kStrip * channels, u.data() + tap * pairs + first,
                    taps * pairs);
    }
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

// The inputs that a run sees at the points; zeros beyond its column.
template <typename T>
void RunToPoints(const Tiles& tiles, const Runs& runs, int64_t run, int64_t size, const T* x, int64_t stride, const Activation* activation,
                 int64_t channels, float* v, int64_t plane) {
  for (int64_t i = -runs.margin; i < size + runs.margin; i++, v += channels) {
    if (runs.Holds(run, i)) {
      ToPoints(tiles.Of(runs.begin(run) + i, x, stride, 1), activation, channels, v, plane);
    } else {
      for (int64_t point = 0; point < kPoints; point++) std::fill_n(v + point * plane, channels, 0.0f);
    }
  }
}

// How the work of filtering is cut: into blocks of few tiles, so that a thread's values at the points stay in its second cache.
struct Work {
  const Tiles tiles;
  const Runs runs;
  int64_t together, blocks;
  explicit Work(const ConvolutionShape& shape)
      : tiles(shape), runs(shape, tiles, shape.volumes ? 16 : tiles.count >= 256 ? 12 : 8), together(1) {
    constexpr int64_t kCached = 160 * 1024, kMostTogether = 4;
    const int64_t values = kPoints * runs.length * (shape.channels + shape.filters);
    if (shape.volumes) together = std::clamp<int64_t>(kCached / values, 1, kMostTogether);
    blocks = (runs.count + together - 1) / together;
  }
};

// x * u, for a filter at the points [kPoints, taps, channels, filters]. Calls finish(block, tile, products) for each tile, whose products at
// the points are `plane` apart.
template <typename T, typename Finish>
void Filter(const ConvolutionShape& shape, const T* x, const Activation* activation, const std::vector<float>& u, const Finish& finish) {
  const Work work(shape);
  const Runs& runs = work.runs;
  const int64_t channels = shape.channels, filters = shape.filters, depth = shape.taps() * channels;
  const int64_t v_run = (runs.length + 2 * runs.margin) * channels, m_run = runs.length * filters;
  ParallelFor(work.blocks, [&](int64_t block) {
    const int64_t first = block * work.together, count = std::min(work.together, runs.count - first);
    const int64_t v_plane = Plane(work.together * v_run), m_plane = Plane(work.together * m_run);
    float* v = Scratch<float>(kPoints * (v_plane + m_plane));
    float* m = v + kPoints * v_plane;
    for (int64_t run = 0; run < count; run++)
      RunToPoints(work.tiles, runs, first + run, runs.size(first + run), x, channels, activation, channels, v + run * v_run, v_plane);
    for (int64_t point = 0; point < kPoints; point++) {
      const float* filter = u.data() + point * depth * filters;
      for (int64_t run = 0; run < count; run++) {
        SCANLINE_CALL(Product<false>, v + point * v_plane + run * v_run, channels, 1, filter, runs.size(first + run), filters, depth,
                      ProductRuns{1, 0, 0}, m + point * m_plane + run * m_run);
      }
    }
    for (int64_t run = 0; run < count; run++) {
      const int64_t begin = runs.begin(first + run), size = runs.size(first + run);
      for (int64_t t = 0; t < size; t++) finish(block, begin + t, m + run * m_run + t * filters, m_plane);
    }
  });
}

ConvolutionShape Turned(ConvolutionShape shape) {
  std::swap(shape.channels, shape.filters);
  return shape;
}

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
  const int64_t channels = shape.channels, blocks = Work(Turned(shape)).blocks;
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
  constexpr int64_t kChannels = 64, kTilesAtOnce = 48, kTilesOfRange = 384, kMostRanges = 32;
  const Tiles tiles(shape);
  const Runs runs(shape, tiles, shape.volumes ? 16 : kTilesAtOnce);
  const int64_t channels = shape.channels, filters = shape.filters, taps = shape.taps(), pairs = channels * filters;
  const int64_t groups = (channels + kChannels - 1) / kChannels, group = (channels / kStrip + groups - 1) / groups * kStrip;
  const int64_t together = std::max<int64_t>(1, kTilesAtOnce / runs.length);
  const int64_t each = std::max(kTilesOfRange / runs.length, (runs.count + kMostRanges - 1) / kMostRanges);
  const int64_t ranges = (runs.count + each - 1) / each;
  std::vector<float> partial(ranges * 9 * taps * pairs);
  ParallelFor(groups * ranges, [&](int64_t block) {
    const int64_t first = block % groups * group, width = std::min(group, channels - first);
    const Activation own = activation == nullptr ? Activation{} : Activation{activation->scale + first, activation->shift + first};
    const int64_t begin = block / groups * each, end = std::min(runs.count, begin + each);
    const int64_t v_run = (runs.length + 2 * runs.margin) * width, m_run = runs.length * filters;
    const int64_t v_plane = Plane(together * v_run), m_plane = Plane(together * m_run), u_plane = Plane(taps * width * filters);
    float* v = Scratch<float>(kPoints * (v_plane + m_plane + u_plane));
    float *m = v + kPoints * v_plane, *u = m + kPoints * m_plane;
    std::fill(u, u + kPoints * u_plane, 0.0f);
    for (int64_t at = begin; at < end; at += together) {
      const int64_t count = std::min(together, end - at);
      for (int64_t run = 0; run < count; run++) {
        // a run that is shorter than the others is filled up with zeros
        RunToPoints(tiles, runs, at + run, runs.length, x + first, channels, activation == nullptr ? nullptr : &own, width, v + run * v_run,
                    v_plane);
        for (int64_t t = 0; t < runs.length; t++) {
          float* gradients = m + run * m_run + t * filters;
          if (t < runs.size(at + run)) {
            SCANLINE_CALL(OutputToPoints, tiles.Of(runs.begin(at + run) + t, dy, filters, 0), filters, gradients, m_plane);
          } else {
            for (int64_t point = 0; point < kPoints; point++) std::fill_n(gradients + point * m_plane, filters, 0.0f);
          }
        }
      }
      for (int64_t point = 0; point < kPoints; point++) {
        SCANLINE_CALL(Product<true>, v + point * v_plane, 1, width, m + point * m_plane, taps * width, filters, runs.length,
                      ProductRuns{count, v_run, m_run}, u + point * u_plane);
      }
    }
    float* found = partial.data() + block / groups * 9 * taps * pairs + first * filters;
    for (int64_t tap = 0; tap < taps; tap++) {
      SCANLINE_CALL(PointsToFilter, u + tap * width * filters, u_plane, width * filters, found + 9 * tap * pairs, pairs);
    }
  });
  ParallelFor(9 * taps, [&](int64_t place) {
    for (int64_t i = place * pairs; i < (place + 1) * pairs; i++) {
      float sum = 0;
      for (int64_t range = 0; range < ranges; range++) sum += partial[range * 9 * taps * pairs + i];
      dfilter[i] = sum;
    }
  });
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
