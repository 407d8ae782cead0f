// Training batch normalisation with an optional ReLU, forward and backward.
//
// What is normalised may be a list of tensors that stand for their concatenation along the channels, which is never made: DenseNet
// normalises growing lists of the same features. The moments of a tensor are an op of their own, so that they are computed once
// however many normalisations read it. The backward pass recomputes which values the ReLU let through, so its input is never stored.
#include <immintrin.h>

#include <algorithm>

#include "batch_norm.h"
#include "../kernel.h"
#include "../parallel.h"
#include "../vectors/rows.h"

namespace scanline {

namespace {

#define SCANLINE_LOOPS "../norms/batch_norm_loops.h"
#include "../vectors/families.h"

template <typename T>
void Apply(const Tile<T>& tile, T* y, const float* a, const float* b, bool relu) {
  relu ? SCANLINE_CALL(Apply<true>, tile, y, a, b) : SCANLINE_CALL(Apply<false>, tile, y, a, b);
}

template <typename T>
void GradSums(const Tile<T>& tile, const T* dy, const float* a, const float* b, const float* mean, bool relu, float* sum, float* product) {
  relu ? SCANLINE_CALL(GradSums<true>, tile, dy, a, b, mean, sum, product)
       : SCANLINE_CALL(GradSums<false>, tile, dy, a, b, mean, sum, product);
}

template <typename T>
void GradApply(const Tile<T>& tile, const T* dy, T* dx, const float* a, const float* b, const float* k, const float* l, bool relu) {
  relu ? SCANLINE_CALL(GradApply<true>, tile, dy, dx, a, b, k, l) : SCANLINE_CALL(GradApply<false>, tile, dy, dx, a, b, k, l);
}

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

    const Blocks blocks(shape.rows, columns, kMomentsRows);
    const T* values = Data<T>(x);
    std::vector<float> partial(blocks.count * 3 * columns);
    ParallelFor(blocks.count, [&](int64_t block) {
      float* found = partial.data() + block * 3 * columns;
      const Tile<T> tile{blocks.length(block), columns, columns, values + blocks.begin(block) * columns};
      SCANLINE_CALL(Moments, tile, found, found + columns, found + 2 * columns);
    });
    CombineMoments(partial, blocks, columns, Data<float>(mean), Data<float>(variance));
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
    const Batch<T> batch(call);
    if (call.Failed()) return;
    const Pieces<T>& x = batch.x();
    const int64_t columns = x.columns();
    const Tensor y = call.OutputWithLastAxis(0, x.list()[0].tensor, columns);
    const Tensor new_mean = call.OutputVector(1, columns), new_variance = call.OutputVector(2, columns);
    if (call.Failed()) return;

    std::vector<float> a(columns), b(columns);
    batch.ToCoefficients(epsilon_, a.data(), b.data());
    batch.UpdateRunning(momentum_, new_mean, new_variance);
    const Blocks blocks(x.rows(), columns);
    T* values = Data<T>(y);
    ParallelFor(blocks.count, [&](int64_t block) {
      x.ForEachTile(blocks, block, [&](int64_t row, size_t i, const Tile<T>& tile) {
        const int64_t offset = x.list()[i].offset;
        Apply(tile, values + row * columns + offset, a.data() + offset, b.data() + offset, relu_);
      });
    });
  }

 private:
  const double epsilon_, momentum_;
  const bool relu_;
};

// Batch normalisation for an op that applies it as it reads its input: y = a * x + b.
template <typename T>
class BatchNormCoefficients {
 public:
  explicit BatchNormCoefficients(TF_OpKernelConstruction* construction)
      : epsilon_(FloatAttribute(construction, "epsilon")), momentum_(FloatAttribute(construction, "momentum")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Batch<T> batch(call);
    if (call.Failed()) return;
    const int64_t columns = batch.x().columns();
    const Tensor a = call.OutputVector(0, columns), b = call.OutputVector(1, columns);
    const Tensor new_mean = call.OutputVector(2, columns), new_variance = call.OutputVector(3, columns);
    if (call.Failed()) return;
    batch.ToCoefficients(epsilon_, Data<float>(a), Data<float>(b));
    batch.UpdateRunning(momentum_, new_mean, new_variance);
  }

 private:
  const double epsilon_, momentum_;
};

// dx = a * g + k * x + l for each tensor of the list, from output `first` on; that of a list of one may take over the memory of input 0,
// which holds the gradients.
template <typename T>
void ApplyGradient(Call& call, const GradCoefficients& coefficients, const Pieces<T>& x, const T* gradients, bool relu, int first) {
  const std::vector<float>&a = coefficients.a, &b = coefficients.b, &k = coefficients.k, &l = coefficients.l;
  std::vector<T*> dx;
  std::vector<Tensor> outputs;
  const int reuse = x.list().size() == 1 ? 0 : -1;
  for (const Piece<T>& piece : x.list()) {
    outputs.push_back(call.OutputLike(first + static_cast<int>(outputs.size()), piece.tensor, reuse));
    if (call.Failed()) return;
    dx.push_back(Data<T>(outputs.back()));
  }
  const Blocks blocks(x.rows(), x.columns());
  // backwards: what the sums were taken of last is still in a cache
  ParallelFor(blocks.count, [&](int64_t block) {
    x.ForEachTile(blocks, blocks.count - 1 - block, [&](int64_t row, size_t i, const Tile<T>& tile) {
      const int64_t offset = x.list()[i].offset;
      GradApply(tile, gradients + row * x.columns() + offset, dx[i] + row * tile.columns, a.data() + offset, b.data() + offset,
                k.data() + offset, l.data() + offset, relu);
    });
  });
}

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
    const int64_t columns = x.columns();
    call.ExpectMatrix("dy", dy, x.rows(), columns);
    call.ExpectLength("scale", scale, columns, "channels");
    call.ExpectLength("offset", offset, columns, "channels");
    if (call.Failed()) return;
    const Tensor dscale = call.OutputVector(0, columns), doffset = call.OutputVector(1, columns);
    if (call.Failed()) return;

    GradCoefficients coefficients(x, scale, offset, epsilon_);
    const std::vector<float>&a = coefficients.a, &b = coefficients.b;
    const Blocks blocks(x.rows(), columns);
    std::vector<float> partial(blocks.count * 2 * columns);
    const T* gradients = Data<T>(dy);
    ParallelFor(blocks.count, [&](int64_t block) {
      float* sums = partial.data() + block * 2 * columns;
      x.ForEachTile(blocks, block, [&](int64_t row, size_t i, const Tile<T>& tile) {
        const int64_t offset = x.list()[i].offset;
        GradSums(tile, gradients + row * columns + offset, a.data() + offset, b.data() + offset, Data<float>(x.list()[i].mean), relu_,
                 sums + offset, sums + columns + offset);
      });
    });
    std::vector<double> sum, product;
    Combine(partial, blocks.count, columns, sum, product);
    coefficients.Finish(x, sum, product, epsilon_, dscale, doffset);
    // dy is released so that its memory can become dx's, where that is one tensor; the pointer stays valid, for TensorFlow still
    // holds the input
    dy.reset();
    ApplyGradient(call, coefficients, x, gradients, relu_, 2);
  }

 private:
  const double epsilon_;
  const bool relu_;
};

// The rest of BatchNormGrad for an op that gives g and its sums itself.
template <typename T>
class BatchNormGradFromSums {
 public:
  explicit BatchNormGradFromSums(TF_OpKernelConstruction* construction) : epsilon_(FloatAttribute(construction, "epsilon")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor g = call.Input(0);
    const Tensor sum = call.Input(1), product = call.Input(2), scale = call.Input(3), offset = call.Input(4);
    const Pieces<T> x(call, 5);
    const int64_t columns = x.columns();
    call.ExpectMatrix("g", g, x.rows(), columns);
    call.ExpectLength("sum", sum, columns, "channels");
    call.ExpectLength("product", product, columns, "channels");
    call.ExpectLength("scale", scale, columns, "channels");
    call.ExpectLength("offset", offset, columns, "channels");
    if (call.Failed()) return;
    const Tensor dscale = call.OutputVector(0, columns), doffset = call.OutputVector(1, columns);
    if (call.Failed()) return;
    GradCoefficients coefficients(x, scale, offset, epsilon_);
    coefficients.Finish(x, Data<float>(sum), Data<float>(product), epsilon_, dscale, doffset);
    const T* gradients = Data<T>(g);
    g.reset();  // as in BatchNormGrad
    ApplyGradient(call, coefficients, x, gradients, false, 2);
  }

 private:
  const double epsilon_;
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

// As many of each output as there are scales.
void CoefficientsShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle* channels = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 0, channels, status);
  for (int i = 0; i < 4; i++) TF_ShapeInferenceContextSetOutput(context, i, channels, status);
  TF_DeleteShapeHandle(channels);
}

// dscale and doffset, then dx for each of the list of x, mean and variance that begins at input `first`.
template <int first>
void BatchNormGradShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 1, shape, status);
  for (int i = 0; i < 2; i++) TF_ShapeInferenceContextSetOutput(context, i, shape, status);
  const int count = (static_cast<int>(TF_ShapeInferenceContextNumInputs(context)) - first) / 3;
  for (int i = 0; i < count; i++) {
    TF_ShapeInferenceContextGetInput(context, first + i, shape, status);
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
                           BatchNormGradShape<3>});
  Register<BatchNormCoefficients>({"ScanlineBatchNormCoefficients",
                                   {"scale: float", "offset: float", "running_mean: float", "running_variance: float", "x: N * T",
                                    "mean: N * float", "variance: N * float"},
                                   {"a: float", "b: float", "new_mean: float", "new_variance: float"},
                                   {"N: int >= 1", "epsilon: float", "momentum: float"},
                                   CoefficientsShape});
  Register<BatchNormGradFromSums>({"ScanlineBatchNormGradFromSums",
                                   {"g: T", "sum: float", "product: float", "scale: float", "offset: float", "x: N * T",
                                    "mean: N * float", "variance: N * float"},
                                   {"dscale: float", "doffset: float", "dx: N * T"},
                                   {"N: int >= 1", "epsilon: float"},
                                   BatchNormGradShape<5>});
}

}  // namespace scanline
