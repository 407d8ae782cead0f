// The inner loops of attention.cc, for one family of processors (families.h).

#include "product_loops.h"

// Rows that lie kPanel apart -> `depth` rows of cells of a panel; each row is what `change` makes of it.
template <typename T, typename Change>
SCANLINE_INLINE void RowsToCells(const float* rows, int64_t depth, int64_t strips, const Change& change, uint32_t* cells) {
  constexpr int64_t each = kOfCell<T>;
  for (int64_t s = 0; s < strips * kStrip; s += kStrip) {
    for (int64_t k = 0; k < depth; k += each) {
      Floats first, second = {};
      ToFloats(rows + k * kPanel + s, &first);
      change(k, s, &first);
      if constexpr (each == 2) {
        if (k + 1 < depth) {
          ToFloats(rows + (k + 1) * kPanel + s, &second);
          change(k + 1, s, &second);
        }
        StoreCells<T>(first, second, cells + k / each * kPanel + s, 0);
      } else {
        std::memcpy(cells + k * kPanel + s, &first, sizeof first);
      }
    }
  }
}

// All tiles of a left factor times one panel: [rows, kPanel]
template <typename T>
SCANLINE_INLINE void TimesPanel(const uint32_t* tiles, int64_t rows, const uint32_t* panel, int64_t depth, int64_t strips, float* result) {
  const int64_t cells = CellsOf<T>(depth);
  for (int64_t r = 0; r < rows; r += kTile) {
    SumsOfRows<kOfCell<T>, false>(tiles + r * cells, 1, kTile, panel, kPanel, std::min(kTile, rows - r), strips, cells, result + r * kPanel, kPanel);
  }
}

// Columns [depth, kPanel] -> rows of T, `count` of `depth` values each
template <typename T>
SCANLINE_INLINE void StoreTransposed(const float* columns, int64_t depth, int64_t count, T* rows, int64_t stride) {
  for (int64_t c = 0; c < count; c += kStrip) {
    for (int64_t i = 0; i < depth; i += kStrip) {
      Words block[kStrip];
      for (int64_t k = 0; k < kStrip; k++) std::memcpy(&block[k], columns + (i + k) * kPanel + c, sizeof block[k]);
      TransposeWords(block);
      for (int64_t q = 0; q < std::min(kStrip, count - c); q++) {
        const Floats& values = reinterpret_cast<const Floats&>(block[q]);
        T* row = rows + (c + q) * stride + i;
        if (i + kStrip <= depth) {
          FromFloats(values, row);
        } else {
          StoreStrip(values, depth - i, row);
        }
      }
    }
  }
}

// Attention of one head of one sample.
template <typename T>
void Attend(const Head<T>& head, const Room& memory) {
  const int64_t length = head.length, size = head.size;
  const T *keys = head.qkv + head.part, *values = keys + head.part;
  PackFactors<T, kTile>(Factors<T>{keys, length, size, head.stride, 0, true, false}, 0, CeilOf(length, kTile), memory.keys);
  PackFactors<T, kTile>(Factors<T>{values, size, length, head.stride, head.part - head.first, false, false}, 0, CeilOf(size, kTile), memory.values);
  for (int64_t first = 0; first < head.queries; first += kPanel) {
    const int64_t count = std::min(kPanel, head.queries - first), strips = count > kStrip ? 2 : 1;
    PackAlong<T, kPanel>(head.qkv + first * head.stride, head.stride, count, size, AsItIs(), memory.panel);
    TimesPanel<T>(memory.keys, length, memory.panel, size, strips, memory.scores);
    Floats most[2], sum[2] = {};
    for (int64_t s = 0; s < strips; s++) {
      ToFloats(memory.scores + s * kStrip, &most[s]);
      for (int64_t k = 1; k < length; k++) {
        Floats score;
        ToFloats(memory.scores + k * kPanel + s * kStrip, &score);
        most[s] = most[s] < score ? score : most[s];
      }
    }
    const auto weigh = [&](int64_t, int64_t s, Floats* score) __attribute__((always_inline)) {
      ExpOfMinus(head.scale * (most[s / kStrip] - *score), score);
      sum[s / kStrip] += *score;
    };
    RowsToCells<T>(memory.scores, length, strips, weigh, memory.weights);
    TimesPanel<T>(memory.values, size, memory.weights, length, strips, memory.scores);
    for (int64_t s = 0; s < strips; s++) {
      const Floats share = 1.0f / sum[s];
      for (int64_t i = 0; i < size; i++) {
        Floats y;
        ToFloats(memory.scores + i * kPanel + s * kStrip, &y);
        FromFloats(y * share, memory.scores + i * kPanel + s * kStrip);
      }
      for (int64_t q = 0; q < std::min(kStrip, count - s * kStrip); q++) {
        head.level[(first + s * kStrip + q) * head.heads] = head.scale * most[s][q] + std::log(sum[s][q]);
      }
    }
    StoreTransposed(memory.scores, size, count, head.y + first * head.y_stride, head.y_stride);
  }
}

// The gradients of one head's queries, keys and values; the weights of attention are computed again.
template <typename T>
void AttendGrad(const HeadGrad<T>& grad, const Room& memory) {
  const Head<T>& head = grad.head;
  const int64_t length = head.length, size = head.size, columns = CeilOf(size, kStrip) * kStrip;
  const T *keys = head.qkv + head.part, *values = keys + head.part;
  PackFactors<T, kTile>(Factors<T>{keys, length, size, head.stride, 0, true, false}, 0, CeilOf(length, kTile), memory.keys);
  PackFactors<T, kTile>(Factors<T>{values, length, size, head.stride, 0, true, false}, 0, CeilOf(length, kTile), memory.values);
  PackFactors<T, kTile>(Factors<T>{keys, size, length, head.stride, head.part + size, false, false}, 0, CeilOf(size, kTile), memory.key_columns);
  const int64_t rows = CeilOf(length, kTile) * kTile;
  std::fill_n(memory.dkeys, rows * columns, 0.0f);
  std::fill_n(memory.dvalues, rows * columns, 0.0f);
  for (int64_t first = 0; first < head.queries; first += kPanel) {
    const int64_t count = std::min(kPanel, head.queries - first), strips = count > kStrip ? 2 : 1;
    const T *queries = head.qkv + first * head.stride, *dy = grad.dy + first * head.y_stride, *y = head.y + first * head.y_stride;
    // of each query the level of its weights, and the mean of their gradients
    alignas(64) float level[kPanel] = {}, mean[kPanel] = {};
    for (int64_t q = 0; q < count; q++) {
      level[q] = head.level[(first + q) * head.heads];
      Floats product = {};
      ForEachStrip(size, [&](int64_t c, auto there) __attribute__((always_inline)) {
        Floats a, b;
        LoadStrip(dy + q * head.y_stride + c, there, &a);
        LoadStrip(y + q * head.y_stride + c, there, &b);
        product += a * b;
      });
      mean[q] = SumOfLanes(product);
    }
    PackAlong<T, kPanel>(queries, head.stride, count, size, AsItIs(), memory.panel);
    TimesPanel<T>(memory.keys, length, memory.panel, size, strips, memory.scores);
    PackAlong<T, kPanel>(dy, head.y_stride, count, size, AsItIs(), memory.panel);
    TimesPanel<T>(memory.values, length, memory.panel, size, strips, memory.dweights);
    const auto grade = [&](int64_t k, int64_t s, Floats* dscore) __attribute__((always_inline)) {
      Floats score, bias, centre;
      ToFloats(memory.scores + k * kPanel + s, &score);
      ToFloats(level + s, &bias);
      ToFloats(mean + s, &centre);
      // rounding may put a score that is as good as all of its row's above their level
      const Floats below = bias - head.scale * score;
      ExpOfMinus(below < 0 ? Floats{} : below, &score);
      StoreFactors<T>(score, memory.weight_rows + k * kPanel / kOfCell<T>, s);
      *dscore = head.scale * score * (*dscore - centre);
      StoreFactors<T>(*dscore, memory.dscore_rows + k * kPanel / kOfCell<T>, s);
    };
    RowsToCells<T>(memory.dweights, length, strips, grade, memory.weights);
    // of the queries
    TimesPanel<T>(memory.key_columns, size, memory.weights, length, strips, memory.scores);
    StoreTransposed(memory.scores, size, count, grad.dqkv + first * head.stride, head.stride);
    // of the keys and the values, to which all queries add
    const auto add = [&](const T* right, int64_t stride, int64_t room, const uint32_t* left, float* sums) __attribute__((always_inline)) {
      for (int64_t c = 0; c < columns; c += kPanel) {
        const int64_t there = std::min(kPanel, size - c);
        PackAcross<T, kPanel>(right + c, stride, there, room - c, count, AsItIs(), memory.panel);
        for (int64_t r = 0; r < length; r += kTile) {
          constexpr int64_t row = kPanel / kOfCell<T>;
          SumsOfRows<kOfCell<T>, true>(left + r * row, row, 1, memory.panel, kPanel, std::min(kTile, length - r), columns - c > kStrip ? 2 : 1,
                                       CellsOf<T>(count), sums + r * columns + c, columns);
        }
      }
    };
    add(queries, head.stride, head.part + size, memory.dscore_rows, memory.dkeys);
    add(dy, head.y_stride, head.part - head.first, memory.weight_rows, memory.dvalues);
  }
  for (int64_t q = head.queries; q < length; q++) std::fill_n(grad.dqkv + q * head.stride, size, T{});
  for (const auto& [sums, part] : {std::pair(memory.dkeys, head.part), std::pair(memory.dvalues, 2 * head.part)}) {
    for (int64_t k = 0; k < length; k++) {
      T* row = grad.dqkv + part + k * head.stride;
      const float* values = sums + k * columns;
      ForEachStrip(size, [&](int64_t c, auto there) __attribute__((always_inline)) {
        Floats strip;
        ToFloats(values + c, &strip);
        StoreStrip(strip, there, row + c);
      });
    }
  }
}
