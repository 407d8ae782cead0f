// Layer normalisation over the last axis, forward and backward.
#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"

namespace scanline {

namespace {

constexpr int64_t kBlockRows = 64;

// A sum in this many lanes is what one vector register holds; more would only wait for memory.
constexpr int kLanes = 16;

int64_t BlockCount(int64_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

SCANLINE_INLINE float AddLanes(const float* lanes) {
  float sum = 0;
  for (int i = 0; i < kLanes; i++) sum += lanes[i];
  return sum;
}

// Calls term(c) for every column and adds up what it gives, kLanes columns at a time.
template <typename Term>
SCANLINE_INLINE float SumOver(int64_t columns, Term term) {
  float lanes[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    for (int i = 0; i < kLanes; i++) lanes[i] += term(c + i);
  }
  float sum = AddLanes(lanes);
  for (; c < columns; c++) sum += term(c);
  return sum;
}

template <typename T>
SCANLINE_INLINE void NormalizeImpl(const T* x, T* y, int64_t rows, int64_t columns, const float* scale, const float* offset,
                                   float epsilon, float* means, float* inverses) {
  for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
    const float mean = SumOver(columns, [&](int64_t c) { return Load(x + c); }) / columns;
    const float variance = SumOver(columns, [&](int64_t c) { return (Load(x + c) - mean) * (Load(x + c) - mean); }) / columns;
    const float inverse = 1 / std::sqrt(variance + epsilon);
    means[row] = mean;
    inverses[row] = inverse;
    for (int64_t c = 0; c < columns; c++) Store(y + c, (Load(x + c) - mean) * inverse * scale[c] + offset[c]);
  }
}

// dx for each row; adds the rows' share to dscale and doffset.
template <typename T>
SCANLINE_INLINE void BackwardImpl(const T* dy, const T* x, T* dx, int64_t rows, int64_t columns, const float* scale,
                                  const float* means, const float* inverses, float* dscale, float* doffset) {
  for (int64_t row = 0; row < rows; row++, dy += columns, x += columns, dx += columns) {
    const float mean = means[row], inverse = inverses[row];
    const float sum = SumOver(columns, [&](int64_t c) { return Load(dy + c) * scale[c]; }) / columns;
    const float product =
        SumOver(columns, [&](int64_t c) { return Load(dy + c) * scale[c] * (Load(x + c) - mean) * inverse; }) / columns;
    for (int64_t c = 0; c < columns; c++) {
      const float normalized = (Load(x + c) - mean) * inverse;
      const float gradient = Load(dy + c);
      dscale[c] += gradient * normalized;
      doffset[c] += gradient;
      Store(dx + c, (gradient * scale[c] - sum - normalized * product) * inverse);
    }
  }
}

#define SCANLINE_LAYER_NORM(T)                                                                                                    \
  SCANLINE_VECTORIZED void Normalize(const T* x, T* y, int64_t rows, int64_t columns, const float* scale, const float* offset,   \
                                     float epsilon, float* means, float* inverses) {                                              \
    NormalizeImpl(x, y, rows, columns, scale, offset, epsilon, means, inverses);                                                  \
  }                                                                                                                               \
  SCANLINE_VECTORIZED void Backward(const T* dy, const T* x, T* dx, int64_t rows, int64_t columns, const float* scale,           \
                                    const float* means, const float* inverses, float* dscale, float* doffset) {                   \
    BackwardImpl(dy, x, dx, rows, columns, scale, means, inverses, dscale, doffset);                                              \
  }
SCANLINE_LAYER_NORM(float)
SCANLINE_LAYER_NORM(bfloat16)
#undef SCANLINE_LAYER_NORM

template <typename T>
class LayerNorm {
 public:
  explicit LayerNorm(TF_OpKernelConstruction* construction) : epsilon_(FloatAttribute(construction, "epsilon")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), scale = call.Input(1), offset = call.Input(2);
    if (call.Failed()) return;
    const Matrix shape(x);
    call.ExpectLength("scale", scale, shape.columns, "columns");
    call.ExpectLength("offset", offset, shape.columns, "columns");
    if (call.Failed()) return;
    const Tensor y = call.OutputLike(0, x), mean = call.OutputRows(1, x), inverse = call.OutputRows(2, x);
    if (call.Failed()) return;
    ParallelFor(BlockCount(shape.rows), [&](int64_t block) {
      const int64_t begin = block * kBlockRows, rows = std::min(kBlockRows, shape.rows - begin);
      const int64_t start = begin * shape.columns;
      Normalize(Data<T>(x) + start, Data<T>(y) + start, rows, shape.columns, Data<float>(scale), Data<float>(offset), epsilon_,
                Data<float>(mean) + begin, Data<float>(inverse) + begin);
    });
  }

 private:
  const float epsilon_;
};

template <typename T>
class LayerNormGrad {
 public:
  explicit LayerNormGrad(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor x = call.Input(1), scale = call.Input(2), mean = call.Input(3), inverse = call.Input(4);
    if (call.Failed()) return;
    const Matrix shape(x);
    const int64_t columns = shape.columns;
    call.ExpectMatrix("dy", dy, shape.rows, columns);
    call.ExpectLength("scale", scale, columns, "columns");
    call.ExpectLength("mean", mean, shape.rows, "rows");
    call.ExpectLength("inverse", inverse, shape.rows, "rows");
    if (call.Failed()) return;
    const T* gradients = Data<T>(dy);
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input.
    dy.reset();
    const Tensor dx = call.OutputLike(0, x, 0), dscale = call.OutputVector(1, columns), doffset = call.OutputVector(2, columns);
    if (call.Failed()) return;
    const int64_t blocks = BlockCount(shape.rows);
    std::vector<float> partial(blocks * 2 * columns);
    ParallelFor(blocks, [&](int64_t block) {
      float* sums = partial.data() + block * 2 * columns;
      const int64_t begin = block * kBlockRows, rows = std::min(kBlockRows, shape.rows - begin);
      const int64_t start = begin * columns;
      Backward(gradients + start, Data<T>(x) + start, Data<T>(dx) + start, rows, columns, Data<float>(scale), Data<float>(mean) + begin,
               Data<float>(inverse) + begin, sums, sums + columns);
    });
    std::fill_n(Data<float>(dscale), columns, 0.0f);
    std::fill_n(Data<float>(doffset), columns, 0.0f);
    for (int64_t block = 0; block < blocks; block++) {
      const float* sums = partial.data() + block * 2 * columns;
      for (int64_t c = 0; c < columns; c++) {
        Data<float>(dscale)[c] += sums[c];
        Data<float>(doffset)[c] += sums[columns + c];
      }
    }
  }
};

}  // namespace

void RegisterLayerNorm() {
  Register<LayerNorm>({"ScanlineLayerNorm",
                       {"x: T", "scale: float", "offset: float"},
                       {"y: T", "mean: float", "inverse: float"},
                       {"epsilon: float"},
                       Shapes<0, kAllButLastAxis, kAllButLastAxis>});
  Register<LayerNormGrad>({"ScanlineLayerNormGrad",
                           {"dy: T", "x: T", "scale: float", "mean: float", "inverse: float"},
                           {"dx: T", "dscale: float", "doffset: float"},
                           {},
                           Shapes<0, kLastAxis, kLastAxis>});
}

}  // namespace scanline
