// Training batch normalisation with an optional ReLU, forward and backward.
//
// What is normalised may be a list of tensors that stand for their concatenation along the channels, which is never made: DenseNet
// normalises growing lists of the same features. The moments of a tensor are an op of their own, so that they are computed once
// however many normalisations read it. The backward pass recomputes which values the ReLU let through, so its input is never stored.
#include <algorithm>

#include "kernel.h"
#include "parallel.h"

namespace scanline {

namespace {

// Rows are reduced in blocks of about this many values: first within a block, then over the blocks, in an order that does not depend
// on the threads.
constexpr int64_t kBlockValues = 1 << 16;

struct Blocks {
  int64_t rows, rows_each, count;
  Blocks(int64_t rows, int64_t columns)
      : rows(rows),
        rows_each(std::max<int64_t>(1, kBlockValues / std::max<int64_t>(1, columns))),
        count((rows + rows_each - 1) / rows_each) {}
  int64_t begin(int64_t block) const { return block * rows_each; }
  int64_t length(int64_t block) const { return std::min(rows, (block + 1) * rows_each) - begin(block); }
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

// y = a * x + b, zero where it is negative if relu; y's rows are `stride` values apart
template <typename T>
SCANLINE_INLINE void ApplyImpl(const T* x, T* y, int64_t rows, int64_t columns, int64_t stride, const float* a, const float* b,
                               bool relu) {
  for (int64_t row = 0; row < rows; row++, x += columns, y += stride) {
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

// Sums over rows of the gradient g behind the ReLU, and of g * (x - mean); dy's rows are `stride` values apart.
template <typename T>
SCANLINE_INLINE void GradSumsImpl(const T* dy, const T* x, int64_t rows, int64_t columns, int64_t stride, const float* a,
                                  const float* b, const float* mean, bool relu, float* sum, float* product) {
  std::fill(sum, sum + columns, 0.0f);
  std::fill(product, product + columns, 0.0f);
  for (int64_t row = 0; row < rows; row++, dy += stride, x += columns) {
    for (int64_t c = 0; c < columns; c++) {
      const float value = Load(x + c);
      const float gradient = Load(dy + c);
      const float g = relu && !(a[c] * value + b[c] > 0) ? 0 : gradient;
      sum[c] += g;
      product[c] += g * (value - mean[c]);
    }
  }
}

// dx = a * g + k * x + l; dy's rows are `stride` values apart
template <typename T>
SCANLINE_INLINE void GradApplyImpl(const T* dy, const T* x, T* dx, int64_t rows, int64_t columns, int64_t stride, const float* a,
                                   const float* b, const float* k, const float* l, bool relu) {
  for (int64_t row = 0; row < rows; row++, dy += stride, x += columns, dx += columns) {
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
  SCANLINE_VECTORIZED void Apply(const T* x, T* y, int64_t rows, int64_t columns, int64_t stride, const float* a, const float* b, \
                                 bool relu) {                                                                                      \
    ApplyImpl(x, y, rows, columns, stride, a, b, relu);                                                                            \
  }                                                                                                                                \
  SCANLINE_VECTORIZED void GradSums(const T* dy, const T* x, int64_t rows, int64_t columns, int64_t stride, const float* a,       \
                                    const float* b, const float* mean, bool relu, float* sum, float* product) {                   \
    GradSumsImpl(dy, x, rows, columns, stride, a, b, mean, relu, sum, product);                                                    \
  }                                                                                                                                \
  SCANLINE_VECTORIZED void GradApply(const T* dy, const T* x, T* dx, int64_t rows, int64_t columns, int64_t stride,               \
                                     const float* a, const float* b, const float* k, const float* l, bool relu) {                 \
    GradApplyImpl(dy, x, dx, rows, columns, stride, a, b, k, l, relu);                                                             \
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

// One tensor of the list that is normalised, and where its channels begin among all.
template <typename T>
struct Piece {
  Tensor tensor, mean, variance;
  int64_t columns, offset;
  const T* row(int64_t index) const { return Data<T>(tensor) + index * columns; }
};

// The list "x: N * T, mean: N * float, variance: N * float", which begins at input `first` and is the last of the inputs.
template <typename T>
class Pieces {
 public:
  Pieces(Call& call, int first) {
    const int count = (call.inputs() - first) / 3;
    for (int i = 0; i < count && call.ok(); i++) {
      pieces_.push_back({call.Input(first + i), call.Input(first + count + i), call.Input(first + 2 * count + i), 0, columns_});
      if (!call.ok()) return;
      const Matrix shape(pieces_.back().tensor);
      pieces_.back().columns = shape.columns;
      columns_ += shape.columns;
      if (i > 0 && shape.rows != rows_) call.Fail("batch normalisation of tensors of different sizes");
      rows_ = shape.rows;
    }
    if (call.ok() && rows_ == 0) call.Fail("batch normalisation of no values");
  }

  const std::vector<Piece<T>>& list() const { return pieces_; }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }

  // Calls visit(channel, mean, variance) for all channels.
  template <typename Visit>
  void ForEachChannel(const Visit& visit) const {
    for (const Piece<T>& piece : pieces_) {
      for (int64_t c = 0; c < piece.columns; c++) visit(piece.offset + c, Data<float>(piece.mean)[c], Data<float>(piece.variance)[c]);
    }
  }

 private:
  std::vector<Piece<T>> pieces_;
  int64_t rows_ = 0, columns_ = 0;
};

template <typename T>
class BatchMoments {
 public:
  explicit BatchMoments(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0);
    if (call.Failed()) return;
    const Matrix shape(x);
    const int64_t columns = shape.columns;
    const Tensor mean = call.OutputVector(0, columns), variance = call.OutputVector(1, columns);
    if (shape.rows == 0) call.Fail("moments of no values");
    if (call.Failed()) return;

    const Blocks blocks(shape.rows, columns);
    const T* values = Data<T>(x);
    std::vector<float> pivot(columns), partial(blocks.count * 2 * columns);
    for (int64_t c = 0; c < columns; c++) pivot[c] = Load(values + c);
    ParallelFor(blocks.count, [&](int64_t block) {
      float* sums = partial.data() + block * 2 * columns;
      Moments(values + blocks.begin(block) * columns, blocks.length(block), columns, pivot.data(), sums, sums + columns);
    });
    std::vector<double> sum, square;
    Combine(partial, blocks.count, columns, sum, square);
    for (int64_t c = 0; c < columns; c++) {
      const double centre = sum[c] / static_cast<double>(shape.rows);
      Data<float>(mean)[c] = static_cast<float>(pivot[c] + centre);
      Data<float>(variance)[c] = static_cast<float>(std::max(0.0, square[c] / static_cast<double>(shape.rows) - centre * centre));
    }
  }
};

template <typename T>
class BatchNorm {
 public:
  explicit BatchNorm(TF_OpKernelConstruction* construction)
      : epsilon_(FloatAttribute(construction, "epsilon")),
        momentum_(FloatAttribute(construction, "momentum")),
        relu_(BoolAttribute(construction, "relu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor scale = call.Input(0), offset = call.Input(1), running_mean = call.Input(2), running_variance = call.Input(3);
    const Pieces<T> x(call, 4);
    if (call.Failed()) return;
    const int64_t columns = x.columns();
    const Tensor y = call.OutputWithLastAxis(0, x.list()[0].tensor, columns);
    const Tensor new_mean = call.OutputVector(1, columns), new_variance = call.OutputVector(2, columns);
    if (call.Failed()) return;

    std::vector<float> a(columns), b(columns);
    const double unbiased = static_cast<double>(x.rows()) / std::max(1.0, static_cast<double>(x.rows()) - 1);
    x.ForEachChannel([&](int64_t c, double mean, double variance) {
      const double factor = Data<float>(scale)[c] / std::sqrt(variance + epsilon_);
      a[c] = static_cast<float>(factor);
      b[c] = static_cast<float>(Data<float>(offset)[c] - mean * factor);
      Data<float>(new_mean)[c] = static_cast<float>((1 - momentum_) * Data<float>(running_mean)[c] + momentum_ * mean);
      Data<float>(new_variance)[c] =
          static_cast<float>((1 - momentum_) * Data<float>(running_variance)[c] + momentum_ * variance * unbiased);
    });
    const Blocks blocks(x.rows(), columns);
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t begin = blocks.begin(block);
      for (const Piece<T>& piece : x.list()) {
        Apply(piece.row(begin), Data<T>(y) + begin * columns + piece.offset, blocks.length(block), piece.columns, columns,
              a.data() + piece.offset, b.data() + piece.offset, relu_);
      }
    });
  }

 private:
  const double epsilon_, momentum_;
  const bool relu_;
};

template <typename T>
class BatchNormGrad {
 public:
  explicit BatchNormGrad(TF_OpKernelConstruction* construction)
      : epsilon_(FloatAttribute(construction, "epsilon")), relu_(BoolAttribute(construction, "relu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor scale = call.Input(1), offset = call.Input(2);
    const Pieces<T> x(call, 3);
    if (call.Failed()) return;
    const int64_t columns = x.columns();
    const Tensor dscale = call.OutputVector(0, columns), doffset = call.OutputVector(1, columns);
    if (call.Failed()) return;

    std::vector<float> a(columns), b(columns);
    x.ForEachChannel([&](int64_t c, double mean, double variance) {
      const double factor = Data<float>(scale)[c] / std::sqrt(variance + epsilon_);
      a[c] = static_cast<float>(factor);
      b[c] = static_cast<float>(Data<float>(offset)[c] - mean * factor);
    });
    const Blocks blocks(x.rows(), columns);
    std::vector<float> partial(blocks.count * 2 * columns);
    const T* gradients = Data<T>(dy);
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t begin = blocks.begin(block);
      for (const Piece<T>& piece : x.list()) {
        float* sums = partial.data() + block * 2 * columns + piece.offset;
        GradSums(gradients + begin * columns + piece.offset, piece.row(begin), blocks.length(block), piece.columns, columns,
                 a.data() + piece.offset, b.data() + piece.offset, Data<float>(piece.mean), relu_, sums, sums + columns);
      }
    });

    std::vector<double> sum, product;
    Combine(partial, blocks.count, columns, sum, product);
    std::vector<float> k(columns), l(columns);
    const double rows = static_cast<double>(x.rows());
    x.ForEachChannel([&](int64_t c, double mean, double variance) {
      const double inverse = 1 / std::sqrt(variance + epsilon_);
      const double projection = product[c] * inverse;  // sum of g * normalised x
      Data<float>(dscale)[c] = static_cast<float>(projection);
      Data<float>(doffset)[c] = static_cast<float>(sum[c]);
      const double slope = -static_cast<double>(a[c]) * inverse * projection / rows;
      k[c] = static_cast<float>(slope);
      l[c] = static_cast<float>(-a[c] * sum[c] / rows - slope * mean);
    });
    // dy is released so that its memory can become dx's, where that is one tensor; the pointer stays valid, for TensorFlow still
    // holds the input
    dy.reset();
    std::vector<Tensor> dx;
    const int reuse = x.list().size() == 1 ? 0 : -1;
    for (const Piece<T>& piece : x.list()) dx.push_back(call.OutputLike(2 + static_cast<int>(dx.size()), piece.tensor, reuse));
    if (call.Failed()) return;
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t begin = blocks.begin(block);
      for (size_t i = 0; i < dx.size(); i++) {
        const Piece<T>& piece = x.list()[i];
        GradApply(gradients + begin * columns + piece.offset, piece.row(begin), Data<T>(dx[i]) + begin * piece.columns,
                  blocks.length(block), piece.columns, columns, a.data() + piece.offset, b.data() + piece.offset,
                  k.data() + piece.offset, l.data() + piece.offset, relu_);
      }
    });
  }

 private:
  const double epsilon_;
  const bool relu_;
};

// y has the shape of the first of the list, with the channels of all: as many as there are scales.
void BatchNormShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle *shape = TF_NewShapeHandle(), *channels = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 4, shape, status);
  TF_ShapeInferenceContextGetInput(context, 0, channels, status);
  TF_ShapeInferenceContextSubshape(context, shape, 0, -1, shape, status);
  TF_ShapeInferenceContextConcatenateShapes(context, shape, channels, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  for (int i = 1; i <= 2; i++) TF_ShapeInferenceContextSetOutput(context, i, channels, status);
  TF_DeleteShapeHandle(shape);
  TF_DeleteShapeHandle(channels);
}

void BatchNormGradShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 1, shape, status);
  for (int i = 0; i < 2; i++) TF_ShapeInferenceContextSetOutput(context, i, shape, status);
  const int count = (static_cast<int>(TF_ShapeInferenceContextNumInputs(context)) - 3) / 3;
  for (int i = 0; i < count; i++) {
    TF_ShapeInferenceContextGetInput(context, 3 + i, shape, status);
    TF_ShapeInferenceContextSetOutput(context, 2 + i, shape, status);
  }
  TF_DeleteShapeHandle(shape);
}

}  // namespace

void RegisterBatchNorm() {
  Register<BatchMoments>({"ScanlineMoments", {"x: T"}, {"mean: float", "variance: float"}, {}, Shapes<kLastAxis, kLastAxis>});
  Register<BatchNorm>({"ScanlineBatchNorm",
                       {"scale: float", "offset: float", "running_mean: float", "running_variance: float", "x: N * T",
                        "mean: N * float", "variance: N * float"},
                       {"y: T", "new_mean: float", "new_variance: float"},
                       {"N: int >= 1", "epsilon: float", "momentum: float", "relu: bool"},
                       BatchNormShape});
  Register<BatchNormGrad>({"ScanlineBatchNormGrad",
                           {"dy: T", "scale: float", "offset: float", "x: N * T", "mean: N * float", "variance: N * float"},
                           {"dscale: float", "doffset: float", "dx: N * T"},
                           {"N: int >= 1", "epsilon: float", "relu: bool"},
                           BatchNormGradShape});
}

}  // namespace scanline
