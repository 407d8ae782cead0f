// The exact GELU, x * Phi(x), and its gradient, with one exponential for both Phi and its density.
#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"

namespace scanline {

namespace {

constexpr int64_t kBlockValues = 1 << 15;

// Phi(x) by formula 7.1.26 of Abramowitz & Stegun, Handbook of Mathematical Functions (error below 1e-7), and e^(-x^2 / 2).
SCANLINE_INLINE float Cumulative(float x, float& exponential) {
  const float magnitude = std::fabs(x);
  exponential = ExpOfMinus(0.5f * x * x);
  const float t = 1 / (1 + 0.3275911f * 0.70710678f * magnitude);
  float polynomial = 1.061405429f;
  polynomial = polynomial * t - 1.453152027f;
  polynomial = polynomial * t + 1.421413741f;
  polynomial = polynomial * t - 0.284496736f;
  polynomial = polynomial * t + 0.254829592f;
  const float tail = 0.5f * polynomial * t * exponential;
  return x < 0 ? tail : 1 - tail;
}

template <typename T>
SCANLINE_INLINE void GeluImpl(const T* x, T* y, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float value = Load(x + i);
    float exponential;
    Store(y + i, value * Cumulative(value, exponential));
  }
}

template <typename T>
SCANLINE_INLINE void GeluGradImpl(const T* dy, const T* x, T* dx, int64_t count) {
  constexpr float kInverseRootOfTwoPi = 0.39894228f;
  for (int64_t i = 0; i < count; i++) {
    const float value = Load(x + i);
    float exponential;
    const float cumulative = Cumulative(value, exponential);
    Store(dx + i, Load(dy + i) * (cumulative + value * kInverseRootOfTwoPi * exponential));
  }
}

SCANLINE_VECTORIZED void Forward(const float* x, float* y, int64_t count) { GeluImpl(x, y, count); }
SCANLINE_VECTORIZED void Forward(const bfloat16* x, bfloat16* y, int64_t count) { GeluImpl(x, y, count); }
SCANLINE_VECTORIZED void Backward(const float* dy, const float* x, float* dx, int64_t count) { GeluGradImpl(dy, x, dx, count); }
SCANLINE_VECTORIZED void Backward(const bfloat16* dy, const bfloat16* x, bfloat16* dx, int64_t count) {
  GeluGradImpl(dy, x, dx, count);
}

int64_t BlockCount(int64_t values) { return (values + kBlockValues - 1) / kBlockValues; }

template <typename T>
class Gelu {
 public:
  explicit Gelu(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0);
    if (call.Failed()) return;
    const Tensor y = call.OutputLike(0, x);
    if (call.Failed()) return;
    const int64_t count = TF_TensorElementCount(x.get());
    ParallelFor(BlockCount(count), [&](int64_t block) {
      const int64_t begin = block * kBlockValues;
      Forward(Data<T>(x) + begin, Data<T>(y) + begin, std::min(kBlockValues, count - begin));
    });
  }
};

template <typename T>
class GeluGrad {
 public:
  explicit GeluGrad(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor x = call.Input(1);
    if (call.Failed()) return;
    const Matrix shape(x);
    call.ExpectMatrix("dy", dy, shape.rows, shape.columns);
    if (call.Failed()) return;
    const T* gradients = Data<T>(dy);
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input.
    dy.reset();
    const Tensor dx = call.OutputLike(0, x, 0);
    if (call.Failed()) return;
    const int64_t count = TF_TensorElementCount(x.get());
    ParallelFor(BlockCount(count), [&](int64_t block) {
      const int64_t begin = block * kBlockValues;
      Backward(gradients + begin, Data<T>(x) + begin, Data<T>(dx) + begin, std::min(kBlockValues, count - begin));
    });
  }
};

}  // namespace

void RegisterGelu() {
  Register<Gelu>({"ScanlineGelu", {"x: T"}, {"y: T"}, {}, Shapes<0>});
  Register<GeluGrad>({"ScanlineGeluGrad", {"dy: T", "x: T"}, {"dx: T"}, {}, Shapes<0>});
}

}  // namespace scanline
