// Training batch normalisation with an optional ReLU, forward and backward, each in two passes over memory.
//
// The backward pass recomputes which values the ReLU let through, so its input is never stored, and may write its result over the
// gradient that it takes.
#include <algorithm>

#include "kernel.h"
#include "parallel.h"

namespace scanline {

namespace {

// Rows are reduced in blocks of about this many values: first within a block, then over the blocks, in an order that does not depend
// on the threads.
constexpr int64_t kBlockValues = 1 << 16;

struct Blocks {
  int64_t rows_each, count;
  explicit Blocks(const Matrix& x) {
    rows_each = std::max<int64_t>(1, kBlockValues / std::max<int64_t>(1, x.columns));
    count = (x.rows + rows_each - 1) / rows_each;
  }
  int64_t begin(int64_t block) const { return block * rows_each; }
  int64_t end(int64_t block, int64_t rows) const { return std::min(rows, (block + 1) * rows_each); }
};

// Sums of (x - pivot) and its square for each column; the pivot keeps the two from cancelling.
template <typename T>
SCANLINE_INLINE void MomentsImpl(const T* x, int64_t rows, int64_t columns, const float* pivot, float* sum, float* square) {
  std::fill(sum, sum + columns, 0.0f);
  std::fill(square, square + columns, 0.0f);
  for (int64_t row = 0; row < rows; row++, x += columns) {
    for (int64_t c = 0; c < columns; c++) {
      const float centred = Load(x + c) - pivot[c];
      sum[c] += centred;
      square[c] += centred * centred;
    }
  }
}

// y = a * x + b, zero where it is negative if relu
template <typename T>
SCANLINE_INLINE void ApplyImpl(const T* x, T* y, int64_t rows, int64_t columns, const float* a, const float* b, bool relu) {
  for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
    if (relu) {
      for (int64_t c = 0; c < columns; c++) {
        const float value = a[c] * Load(x + c) + b[c];
        Store(y + c, value < 0 ? 0 : value);
      }
    } else {
      for (int64_t c = 0; c < columns; c++) Store(y + c, a[c] * Load(x + c) + b[c]);
    }
  }
}

// Sums over rows of the gradient g behind the ReLU, and of g * (x - mean).
template <typename T>
SCANLINE_INLINE void GradSumsImpl(const T* dy, const T* x, int64_t rows, int64_t columns, const float* a, const float* b,
                                  const float* mean, bool relu, float* sum, float* product) {
  std::fill(sum, sum + columns, 0.0f);
  std::fill(product, product + columns, 0.0f);
  for (int64_t row = 0; row < rows; row++, dy += columns, x += columns) {
    for (int64_t c = 0; c < columns; c++) {
      const float value = Load(x + c);
      const float gradient = Load(dy + c);
      const float g = relu && !(a[c] * value + b[c] > 0) ? 0 : gradient;
      sum[c] += g;
      product[c] += g * (value - mean[c]);
    }
  }
}

// dx = a * g + k * x + l
template <typename T>
SCANLINE_INLINE void GradApplyImpl(const T* dy, const T* x, T* dx, int64_t rows, int64_t columns, const float* a, const float* b,
                                   const float* k, const float* l, bool relu) {
  for (int64_t row = 0; row < rows; row++, dy += columns, x += columns, dx += columns) {
    for (int64_t c = 0; c < columns; c++) {
      const float value = Load(x + c);
      const float gradient = Load(dy + c);
      const float g = relu && !(a[c] * value + b[c] > 0) ? 0 : gradient;
      Store(dx + c, a[c] * g + k[c] * value + l[c]);
    }
  }
}

#define SCANLINE_BATCH_NORM(T)                                                                                                     \
  SCANLINE_VECTORIZED void Moments(const T* x, int64_t rows, int64_t columns, const float* pivot, float* sum, float* square) {    \
    MomentsImpl(x, rows, columns, pivot, sum, square);                                                                            \
  }                                                                                                                                \
  SCANLINE_VECTORIZED void Apply(const T* x, T* y, int64_t rows, int64_t columns, const float* a, const float* b, bool relu) {    \
    ApplyImpl(x, y, rows, columns, a, b, relu);                                                                                   \
  }                                                                                                                                \
  SCANLINE_VECTORIZED void GradSums(const T* dy, const T* x, int64_t rows, int64_t columns, const float* a, const float* b,       \
                                    const float* mean, bool relu, float* sum, float* product) {                                   \
    GradSumsImpl(dy, x, rows, columns, a, b, mean, relu, sum, product);                                                           \
  }                                                                                                                                \
  SCANLINE_VECTORIZED void GradApply(const T* dy, const T* x, T* dx, int64_t rows, int64_t columns, const float* a,               \
                                     const float* b, const float* k, const float* l, bool relu) {                                 \
    GradApplyImpl(dy, x, dx, rows, columns, a, b, k, l, relu);                                                                    \
  }
SCANLINE_BATCH_NORM(float)
SCANLINE_BATCH_NORM(bfloat16)
#undef SCANLINE_BATCH_NORM

// Adds up what the blocks found, in double precision: [blocks][2][columns] -> two columns of sums.
void Combine(const std::vector<float>& partial, int64_t blocks, int64_t columns, std::vector<double>& first, std::vector<double>& second) {
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

template <typename T>
class BatchNorm {
 public:
  explicit BatchNorm(TF_OpKernelConstruction* construction)
      : epsilon_(FloatAttribute(construction, "epsilon")),
        momentum_(FloatAttribute(construction, "momentum")),
        relu_(BoolAttribute(construction, "relu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), scale = call.Input(1), offset = call.Input(2), mean = call.Input(3), variance = call.Input(4);
    if (call.Failed()) return;
    const Matrix shape(x);
    const Tensor y = call.OutputLike(0, x);
    Tensor outputs[4];
    for (int i = 0; i < 4; i++) outputs[i] = call.OutputVector(i + 1, shape.columns);
    if (shape.rows == 0) call.Fail("batch normalisation of no values");
    if (call.Failed()) return;

    const int64_t columns = shape.columns;
    const Blocks blocks(shape);
    const T* values = Data<T>(x);
    std::vector<float> pivot(columns), partial(blocks.count * 2 * columns);
    for (int64_t c = 0; c < columns; c++) pivot[c] = Load(values + c);
    ParallelFor(blocks.count, [&](int64_t block) {
      float* sums = partial.data() + block * 2 * columns;
      const int64_t begin = blocks.begin(block);
      Moments(values + begin * columns, blocks.end(block, shape.rows) - begin, columns, pivot.data(), sums, sums + columns);
    });

    std::vector<double> sum, square;
    Combine(partial, blocks.count, columns, sum, square);
    std::vector<float> a(columns), b(columns);
    const double rows = static_cast<double>(shape.rows);
    for (int64_t c = 0; c < columns; c++) {
      const double centre = sum[c] / rows;
      const double spread = std::max(0.0, square[c] / rows - centre * centre);
      const double batch_mean = pivot[c] + centre;
      const double unbiased = spread * rows / std::max(1.0, rows - 1);
      const double inverse = 1 / std::sqrt(spread + epsilon_);
      Data<float>(outputs[0])[c] = static_cast<float>((1 - momentum_) * Data<float>(mean)[c] + momentum_ * batch_mean);
      Data<float>(outputs[1])[c] = static_cast<float>((1 - momentum_) * Data<float>(variance)[c] + momentum_ * unbiased);
      Data<float>(outputs[2])[c] = static_cast<float>(batch_mean);
      Data<float>(outputs[3])[c] = static_cast<float>(inverse);
      a[c] = static_cast<float>(Data<float>(scale)[c] * inverse);
      b[c] = static_cast<float>(Data<float>(offset)[c] - batch_mean * Data<float>(scale)[c] * inverse);
    }
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t begin = blocks.begin(block);
      Apply(values + begin * columns, Data<T>(y) + begin * columns, blocks.end(block, shape.rows) - begin, columns, a.data(), b.data(),
            relu_);
    });
  }

 private:
  const double epsilon_, momentum_;
  const bool relu_;
};

template <typename T>
class BatchNormGrad {
 public:
  explicit BatchNormGrad(TF_OpKernelConstruction* construction) : relu_(BoolAttribute(construction, "relu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor x = call.Input(1), scale = call.Input(2), offset = call.Input(3), mean = call.Input(4), inverse = call.Input(5);
    if (call.Failed()) return;
    const Matrix shape(x);
    const int64_t columns = shape.columns;
    const Tensor dscale = call.OutputVector(1, columns), doffset = call.OutputVector(2, columns);
    if (call.Failed()) return;

    std::vector<float> a(columns), b(columns);
    for (int64_t c = 0; c < columns; c++) {
      const double factor = static_cast<double>(Data<float>(scale)[c]) * Data<float>(inverse)[c];
      a[c] = static_cast<float>(factor);
      b[c] = static_cast<float>(Data<float>(offset)[c] - Data<float>(mean)[c] * factor);
    }
    const Blocks blocks(shape);
    std::vector<float> partial(blocks.count * 2 * columns);
    const T* gradients = Data<T>(dy);
    const T* values = Data<T>(x);
    ParallelFor(blocks.count, [&](int64_t block) {
      float* sums = partial.data() + block * 2 * columns;
      const int64_t begin = blocks.begin(block);
      GradSums(gradients + begin * columns, values + begin * columns, blocks.end(block, shape.rows) - begin, columns, a.data(), b.data(),
               Data<float>(mean), relu_, sums, sums + columns);
    });

    std::vector<double> sum, product;
    Combine(partial, blocks.count, columns, sum, product);
    std::vector<float> k(columns), l(columns);
    for (int64_t c = 0; c < columns; c++) {
      const double inv = Data<float>(inverse)[c];
      const double projection = product[c] * inv;  // sum of g * normalised x
      Data<float>(dscale)[c] = static_cast<float>(projection);
      Data<float>(doffset)[c] = static_cast<float>(sum[c]);
      const double rows = static_cast<double>(shape.rows);
      const double slope = -static_cast<double>(a[c]) * inv * projection / rows;
      k[c] = static_cast<float>(slope);
      l[c] = static_cast<float>(-a[c] * sum[c] / rows - slope * Data<float>(mean)[c]);
    }
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input.
    dy.reset();
    const Tensor dx = call.OutputLike(0, x, 0);
    if (call.Failed()) return;
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t begin = blocks.begin(block) * columns;
      GradApply(gradients + begin, values + begin, Data<T>(dx) + begin, blocks.end(block, shape.rows) - blocks.begin(block), columns,
                a.data(), b.data(), k.data(), l.data(), relu_);
    });
  }

 private:
  const bool relu_;
};

}  // namespace

void RegisterBatchNorm() {
  Register<BatchNorm>({"ScanlineBatchNorm",
                       {"x: T", "scale: float", "offset: float", "mean: float", "variance: float"},
                       {"y: T", "new_mean: float", "new_variance: float", "batch_mean: float", "batch_inverse: float"},
                       {"epsilon: float", "momentum: float", "relu: bool"},
                       {0, kLastAxis, kLastAxis, kLastAxis, kLastAxis}});
  Register<BatchNormGrad>({"ScanlineBatchNormGrad",
                           {"dy: T", "x: T", "scale: float", "offset: float", "batch_mean: float", "batch_inverse: float"},
                           {"dx: T", "dscale: float", "doffset: float"},
                           {"relu: bool"},
                           {0, kLastAxis, kLastAxis}});
}

}  // namespace scanline
