#include "direct.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "../parallel.h"
#include "../scratch.h"
#include "../vectors/rows.h"

namespace scanline {

namespace {

#define SCANLINE_LOOPS "../convolutions/direct_loops.h"
#include "../vectors/families.h"

// How many columns of a product are computed at once: those of a factor stay in a core's second cache for all rows.
constexpr int64_t kPanel = 4 * kStrip;

// Which pixels of the two grids a place of the filter joins.
struct Pairs {
  std::vector<int64_t> fine, coarse;
};

struct Grid {
  const GridShape& shape;
  const int64_t fine, coarse, places;
  explicit Grid(const GridShape& shape)
      : shape(shape),
        fine(GridShape::Count(shape.fine)),
        coarse(GridShape::Count(shape.coarse)),
        places(GridShape::Count(shape.kernel)) {}

  // Where on an axis a place joins a pixel of the one grid to one of the other; -1 where it does not.
  int64_t ToFine(int axis, int64_t pixel, int64_t place) const {
    const int64_t found = pixel * shape.stride[axis] + place - shape.padding[axis];
    return found >= 0 && found < shape.fine[axis] ? found : -1;
  }
  int64_t ToCoarse(int axis, int64_t pixel, int64_t place) const {
    const int64_t away = pixel + shape.padding[axis] - place;
    if (away < 0 || away % shape.stride[axis] != 0) return -1;
    const int64_t found = away / shape.stride[axis];
    return found < shape.coarse[axis] ? found : -1;
  }

  // Calls join(coarse, fine) for the pairs of a place with coarse pixels from `begin` to `end`, of all volumes one after the other.
  template <typename Join>
  void OfCoarse(int64_t place, int64_t begin, int64_t end, const Join& join) const {
    const auto other = [this](int axis, int64_t pixel, int64_t at) { return ToFine(axis, pixel, at); };
    Find(place, begin, end, shape.coarse, shape.fine, other, join);
  }

  // Calls join(fine, coarse) for those with fine pixels from `begin` to `end`.
  template <typename Join>
  void OfFine(int64_t place, int64_t begin, int64_t end, const Join& join) const {
    const auto other = [this](int axis, int64_t pixel, int64_t at) { return ToCoarse(axis, pixel, at); };
    Find(place, begin, end, shape.fine, shape.coarse, other, join);
  }

 private:
  template <typename Other, typename Join>
  void Find(int64_t place, int64_t begin, int64_t end, const GridShape::Sides& sides, const GridShape::Sides& others, const Other& other,
            const Join& join) const {
    const int64_t at[3] = {place / (shape.kernel[1] * shape.kernel[2]), place / shape.kernel[2] % shape.kernel[1], place % shape.kernel[2]};
    for (int64_t line = begin / sides[2]; line * sides[2] < end; line++) {
      const int64_t slice = line / sides[1];
      const int64_t d = other(0, slice % sides[0], at[0]), h = other(1, line % sides[1], at[1]);
      if (d < 0 || h < 0) continue;
      const int64_t first = ((slice / sides[0] * others[0] + d) * others[1] + h) * others[2];
      const int64_t from = std::max<int64_t>(begin - line * sides[2], 0), to = std::min(end - line * sides[2], sides[2]);
      for (int64_t w = from; w < to; w++) {
        const int64_t there = other(2, w, at[2]);
        if (there >= 0) join(line * sides[2] + w, first + there);
      }
    }
  }
};

// Values as float32: those themselves, or a copy of others.
class Floating {
 public:
  Floating(const float* values, int64_t) : values_(values) {}
  Floating(const bfloat16* values, int64_t count) : copy_(count), values_(copy_.data()) {
    constexpr int64_t kEach = 1 << 14;
    ParallelFor((count + kEach - 1) / kEach, [&](int64_t block) {
      const int64_t first = block * kEach;
      SCANLINE_CALL(Convert, values + first, std::min(kEach, count - first), copy_.data() + first);
    });
  }
  const float* get() const { return values_; }

 private:
  std::vector<float> copy_;
  const float* values_;
};

// How the rows of a product are shared: in few enough parts that what is done for each place of the filter pays, in enough for all threads.
// No sum depends on it.
struct Parts {
  int64_t panels, rows, each, count;
  Parts(int64_t rows, int64_t columns) : panels((columns + kPanel - 1) / kPanel), rows(rows) {
    constexpr int64_t kMostRows = 1024, kLeastRows = 128, kWanted = 16;
    each = std::clamp(rows * panels / kWanted, kLeastRows, kMostRows);
    count = (rows + each - 1) / each;
  }
};

// target [rows, columns] = the sum over the places of the filter of the source's rows [depth] times the filter at the place: find(place,
// begin, end, join) calls join(row, source's row), and filter(place, first column, columns, panel) gives [depth, columns] of it.
template <typename T, typename FindPairs, typename FilterAt>
void Gather(const Parts& parts, int64_t places, const float* source, int64_t depth, T* target, int64_t columns, const FindPairs& find,
            const FilterAt& filter) {
  ParallelFor(parts.count * parts.panels, [&](int64_t part) {
    const int64_t first = part % parts.panels * kPanel, width = std::min(kPanel, columns - first);
    const int64_t begin = part / parts.panels * parts.each, rows = std::min(parts.each, parts.rows - begin);
    float* sums = Scratch<float>((rows + depth) * kPanel);
    std::fill_n(sums, rows * width, 0.0f);
    for (int64_t place = 0; place < places; place++) {
      std::vector<const float*> from;
      std::vector<float*> to;
      find(place, begin, begin + rows, [&](int64_t own, int64_t other) {
        from.push_back(source + other * depth);
        to.push_back(sums + (own - begin) * width);
      });
      if (from.empty()) continue;
      const auto [b, b_row] = filter(place, first, width, sums + rows * kPanel);
      SCANLINE_CALL(AddProducts, from.data(), b, b_row, static_cast<int64_t>(from.size()), width, depth, to.data());
    }
    for (int64_t row = 0; row < rows; row++) SCANLINE_CALL(Convert, sums + row * width, width, target + (begin + row) * columns + first);
  });
}

struct FilterRows {
  const float* values;
  int64_t row;
};

}  // namespace

template <typename T>
void FineToCoarse(const GridShape& shape, const T* fine, const float* filter, T* coarse) {
  const Grid grid(shape);
  const int64_t channels = shape.channels, filters = shape.filters;
  const Floating source(fine, shape.volumes * grid.fine * channels);
  const auto find = [&](int64_t place, int64_t begin, int64_t end, const auto& join) { grid.OfCoarse(place, begin, end, join); };
  const auto at = [&](int64_t place, int64_t first, int64_t width, float* panel) -> FilterRows {
    const float* own = filter + place * channels * filters + first;
    if (width == filters) return {own, filters};
    for (int64_t c = 0; c < channels; c++) std::memcpy(panel + c * width, own + c * filters, width * sizeof(float));
    return {panel, width};
  };
  Gather(Parts(shape.volumes * grid.coarse, filters), grid.places, source.get(), channels, coarse, filters, find, at);
}

template <typename T>
void CoarseToFine(const GridShape& shape, const T* coarse, const float* filter, T* fine) {
  const Grid grid(shape);
  const int64_t channels = shape.channels, filters = shape.filters;
  const Floating source(coarse, shape.volumes * grid.coarse * filters);
  const auto find = [&](int64_t place, int64_t begin, int64_t end, const auto& join) { grid.OfFine(place, begin, end, join); };
  const auto at = [&](int64_t place, int64_t first, int64_t width, float* panel) -> FilterRows {
    SCANLINE_CALL(Transpose, filter + (place * channels + first) * filters, filters, width, filters, panel, width);
    return {panel, width};
  };
  Gather(Parts(shape.volumes * grid.fine, channels), grid.places, source.get(), filters, fine, channels, find, at);
}

template <typename T>
void GridGradFilter(const GridShape& shape, const T* fine, const T* coarse, float* dfilter) {
  // pairs are added up few at a time, so that they and the part of the filter stay in the first cache
  constexpr int64_t kRows = 64;
  const Grid grid(shape);
  const int64_t channels = shape.channels, filters = shape.filters;
  const int64_t down = (channels + kPanel - 1) / kPanel, across = (filters + kPanel - 1) / kPanel;
  std::vector<Pairs> pairs(grid.places);
  ParallelFor(grid.places, [&](int64_t place) {
    grid.OfCoarse(place, 0, shape.volumes * grid.coarse, [&](int64_t coarse, int64_t fine) {
      pairs[place].coarse.push_back(coarse);
      pairs[place].fine.push_back(fine);
    });
  });
  ParallelFor(grid.places * down * across, [&](int64_t part) {
    const int64_t place = part / (down * across), c = part / across % down * kPanel, f = part % across * kPanel;
    const int64_t height = std::min(kPanel, channels - c), width = std::min(kPanel, filters - f);
    const auto& [fines, coarses] = pairs[place];
    const int64_t count = static_cast<int64_t>(fines.size());
    float *a = Scratch<float>((2 * kRows + kPanel) * kPanel), *b = a + kRows * kPanel, *sums = b + kRows * kPanel;
    std::fill_n(sums, height * width, 0.0f);
    for (int64_t begin = 0; begin < count; begin += kRows) {
      const int64_t rows = std::min(kRows, count - begin);
      for (int64_t r = 0; r < rows; r++) {
        SCANLINE_CALL(Convert, fine + fines[begin + r] * channels + c, height, a + r * height);
        SCANLINE_CALL(Convert, coarse + coarses[begin + r] * filters + f, width, b + r * width);
      }
      SCANLINE_CALL(AddOuter, a, height, b, width, rows, height, width, sums, width);
    }
    for (int64_t i = 0; i < height; i++)
      std::memcpy(dfilter + (place * channels + c + i) * filters + f, sums + i * width, width * sizeof(float));
  });
}

#define SCANLINE_INSTANTIATE(T)                                                           \
  template void FineToCoarse(const GridShape&, const T*, const float*, T*);               \
  template void CoarseToFine(const GridShape&, const T*, const float*, T*);               \
  template void GridGradFilter(const GridShape&, const T*, const T*, float*);
SCANLINE_INSTANTIATE(float)
SCANLINE_INSTANTIATE(bfloat16)

}  // namespace scanline
