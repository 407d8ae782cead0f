// The gradient of a softmax over the last axis: y * (dy - sum(dy * y)).
#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"

namespace scanline {

namespace {

constexpr int64_t kBlockRows = 64;

template <typename T>
SCANLINE_INLINE void BackwardImpl(const T* dy, const T* y, T* dx, int64_t rows, int64_t columns) {
  constexpr int kLanes = 16;
  for (int64_t row = 0; row < rows; row++, dy += columns, y += columns, dx += columns) {
    float lanes[kLanes] = {};
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) {
      for (int i = 0; i < kLanes; i++) lanes[i] += Load(dy + c + i) * Load(y + c + i);
    }
    float sum = 0;
    for (int i = 0; i < kLanes; i++) sum += lanes[i];
    for (; c < columns; c++) sum += Load(dy + c) * Load(y + c);
    for (c = 0; c < columns; c++) Store(dx + c, Load(y + c) * (Load(dy + c) - sum));
  }
}

SCANLINE_VECTORIZED void Backward(const float* dy, const float* y, float* dx, int64_t rows, int64_t columns) {
  BackwardImpl(dy, y, dx, rows, columns);
}
SCANLINE_VECTORIZED void Backward(const bfloat16* dy, const bfloat16* y, bfloat16* dx, int64_t rows, int64_t columns) {
  BackwardImpl(dy, y, dx, rows, columns);
}

template <typename T>
class SoftmaxGrad {
 public:
  explicit SoftmaxGrad(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor y = call.Input(1);
    if (call.Failed()) return;
    const Matrix shape(y);
    call.ExpectMatrix("dy", dy, shape.rows, shape.columns);
    if (call.Failed()) return;
    const T* gradients = Data<T>(dy);
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input.
    dy.reset();
    const Tensor dx = call.OutputLike(0, y, 0);
    if (call.Failed()) return;
    ParallelFor((shape.rows + kBlockRows - 1) / kBlockRows, [&](int64_t block) {
      const int64_t begin = block * kBlockRows, start = begin * shape.columns;
      Backward(gradients + start, Data<T>(y) + start, Data<T>(dx) + start, std::min(kBlockRows, shape.rows - begin), shape.columns);
    });
  }
};

}  // namespace

void RegisterSoftmaxGrad() { Register<SoftmaxGrad>({"ScanlineSoftmaxGrad", {"dy: T", "y: T"}, {"dx: T"}, {}, Shapes<0>}); }

}  // namespace scanline
