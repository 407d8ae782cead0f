// The product of a matrix and the middle axis of a tensor, for matrices with few entries beside zeros: linear interpolation and its
// gradient, which is the product with the transposed matrix.
#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"

namespace scanline {

namespace {

constexpr int64_t kBlockValues = 1 << 14;
constexpr int64_t kChunk = 64;

struct Term {
  int64_t row;
  float weight;
};

// y = sum of weight * x[row] over the terms
template <typename T>
SCANLINE_INLINE void AddUpImpl(const T* x, const Term* terms, int64_t count, T* y, int64_t columns) {
  for (int64_t start = 0; start < columns; start += kChunk) {
    const int64_t length = std::min(kChunk, columns - start);
    float sum[kChunk] = {};
    for (int64_t t = 0; t < count; t++) {
      const T* values = x + terms[t].row * columns + start;
      const float weight = terms[t].weight;
      for (int64_t i = 0; i < length; i++) sum[i] += weight * Load(values + i);
    }
    for (int64_t i = 0; i < length; i++) Store(y + start + i, sum[i]);
  }
}

SCANLINE_VECTORIZED void AddUp(const float* x, const Term* terms, int64_t count, float* y, int64_t columns) {
  AddUpImpl(x, terms, count, y, columns);
}
SCANLINE_VECTORIZED void AddUp(const bfloat16* x, const Term* terms, int64_t count, bfloat16* y, int64_t columns) {
  AddUpImpl(x, terms, count, y, columns);
}

template <typename T>
class AxisProduct {
 public:
  explicit AxisProduct(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), matrix = call.Input(1);
    if (call.Failed()) return;
    if (TF_NumDims(x.get()) != 3 || TF_NumDims(matrix.get()) != 2) call.Fail("x has three axes and matrix two");
    if (call.Failed()) return;
    const int64_t outer = TF_Dim(x.get(), 0), length = TF_Dim(x.get(), 1), inner = TF_Dim(x.get(), 2);
    const int64_t rows = TF_Dim(matrix.get(), 0);
    call.ExpectMatrix("matrix", matrix, rows, length);
    if (call.Failed()) return;
    const Tensor y = call.OutputCube(0, x, outer, rows, inner);
    if (call.Failed()) return;

    std::vector<Term> terms;
    std::vector<int64_t> first{0};
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t i = 0; i < length; i++) {
        const float weight = Data<float>(matrix)[row * length + i];
        if (weight != 0) terms.push_back({i, weight});
      }
      first.push_back(static_cast<int64_t>(terms.size()));
    }
    const int64_t each = std::max<int64_t>(1, kBlockValues / std::max<int64_t>(1, inner)), total = outer * rows;
    ParallelFor((total + each - 1) / each, [&](int64_t block) {
      for (int64_t index = block * each; index < std::min(total, (block + 1) * each); index++) {
        const int64_t row = index % rows;
        AddUp(Data<T>(x) + index / rows * length * inner, terms.data() + first[row], first[row + 1] - first[row],
              Data<T>(y) + index * inner, inner);
      }
    });
  }
};

void AxisProductShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle *shape = TF_NewShapeHandle(), *part = TF_NewShapeHandle();
  const auto append = [&](int input, int64_t begin, int64_t end) {
    TF_ShapeInferenceContextGetInput(context, input, part, status);
    TF_ShapeInferenceContextSubshape(context, part, begin, end, part, status);
    TF_ShapeInferenceContextConcatenateShapes(context, shape, part, shape, status);
  };
  TF_ShapeInferenceContextGetInput(context, 0, shape, status);
  TF_ShapeInferenceContextSubshape(context, shape, 0, 1, shape, status);
  append(1, 0, 1);
  append(0, 2, 3);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  TF_DeleteShapeHandle(shape);
  TF_DeleteShapeHandle(part);
}

}  // namespace

void RegisterAxisProduct() {
  Register<AxisProduct>({"ScanlineAxisProduct", {"x: T", "matrix: float"}, {"y: T"}, {}, AxisProductShape});
}

}  // namespace scanline
