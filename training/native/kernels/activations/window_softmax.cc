// The weights of attention within windows, forward and backward: a softmax of scores, to which a bias for each pair of tokens is added, and
// which is masked where two tokens of a shifted window come from different regions. Neither the sum nor the mask is ever stored.
#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"

namespace scanline {

namespace {

constexpr int kLanes = 16;

// What is added to the score of tokens of different regions, as in MONAI's compute_mask.
constexpr float kApart = -100.0f;

// Combines what `value(i)` gives for all columns, kLanes at a time.
template <typename Value, typename Combine>
SCANLINE_INLINE float Reduce(int64_t columns, float start, const Value& value, const Combine& combine) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; i++) lanes[i] = start;
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    for (int i = 0; i < kLanes; i++) lanes[i] = combine(lanes[i], value(c + i));
  }
  float result = start;
  for (int i = 0; i < kLanes; i++) result = combine(result, lanes[i]);
  for (; c < columns; c++) result = combine(result, value(c));
  return result;
}

SCANLINE_INLINE float Larger(float a, float b) { return a > b ? a : b; }
SCANLINE_INLINE float Plus(float a, float b) { return a + b; }

// One row of scores; `row` is room for as many values.
template <typename T>
SCANLINE_INLINE void ForwardImpl(const T* x, const float* bias, const int32_t* regions, int32_t region, T* y, int64_t columns, float* row) {
  for (int64_t c = 0; c < columns; c++) row[c] = Load(x + c) + bias[c] + (regions[c] == region ? 0.0f : kApart);
  const float most = Reduce(columns, row[0], [&](int64_t c) { return row[c]; }, Larger);
  for (int64_t c = 0; c < columns; c++) row[c] = ExpOfMinus(most - row[c]);
  const float share = 1 / Reduce(columns, 0, [&](int64_t c) { return row[c]; }, Plus);
  for (int64_t c = 0; c < columns; c++) Store(y + c, row[c] * share);
}

// One row; adds the gradient also to `sum`.
template <typename T>
SCANLINE_INLINE void BackwardImpl(const T* dy, const T* y, T* dx, int64_t columns, float* sum) {
  const float mean = Reduce(columns, 0, [&](int64_t c) { return Load(dy + c) * Load(y + c); }, Plus);
  for (int64_t c = 0; c < columns; c++) {
    const float gradient = Load(y + c) * (Load(dy + c) - mean);
    sum[c] += gradient;
    Store(dx + c, gradient);
  }
}

#define SCANLINE_WINDOW_SOFTMAX(T)                                                                                              \
  SCANLINE_VECTORIZED void Forward(const T* x, const float* bias, const int32_t* regions, int32_t region, T* y, int64_t columns, \
                                   float* row) {                                                                                \
    ForwardImpl(x, bias, regions, region, y, columns, row);                                                                     \
  }                                                                                                                             \
  SCANLINE_VECTORIZED void Backward(const T* dy, const T* y, T* dx, int64_t columns, float* sum) {                              \
    BackwardImpl(dy, y, dx, columns, sum);                                                                                      \
  }
SCANLINE_WINDOW_SOFTMAX(float)
SCANLINE_WINDOW_SOFTMAX(bfloat16)
#undef SCANLINE_WINDOW_SOFTMAX

// The axes of scores [N * windows, heads, rows, columns].
struct Scores {
  int64_t count = 0, heads = 0, rows = 0, columns = 0;
  explicit Scores(const Tensor& x) {
    if (TF_NumDims(x.get()) != 4) return;
    count = TF_Dim(x.get(), 0), heads = TF_Dim(x.get(), 1), rows = TF_Dim(x.get(), 2), columns = TF_Dim(x.get(), 3);
  }
  // Of the first value of a row.
  int64_t offset(int64_t n, int64_t line) const { return (n * heads * rows + line) * columns; }
  int64_t lines() const { return heads * rows; }
};

template <typename T>
class WindowSoftmax {
 public:
  explicit WindowSoftmax(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor x = call.Input(0);
    const Tensor bias = call.Input(1), regions = call.Input(2);
    if (call.Failed()) return;
    const Scores scores(x);
    const int64_t windows = Matrix(regions).rows;
    if (scores.columns == 0) call.Fail("x is to be scores of windows, heads, tokens and tokens");
    call.ExpectMatrix("bias", bias, scores.lines(), scores.columns);
    call.ExpectMatrix("regions", regions, windows, scores.columns);
    if (call.ok() && (windows == 0 || scores.count % windows != 0)) {
      call.Fail(std::to_string(scores.count) + " windows of scores are not a multiple of the " + std::to_string(windows) + " of regions");
    }
    if (call.Failed()) return;
    const T* values = Data<T>(x);
    const Tensor y = call.OutputInPlaceOf(0, x, 0);
    if (call.Failed()) return;
    ParallelFor(scores.count * scores.heads, [&](int64_t block) {
      const int64_t n = block / scores.heads, head = block % scores.heads;
      const int32_t* region = Data<int32_t>(regions) + n % windows * scores.columns;
      std::vector<float> row(scores.columns);
      for (int64_t i = 0; i < scores.rows; i++) {
        const int64_t line = head * scores.rows + i, offset = scores.offset(n, line);
        Forward(values + offset, Data<float>(bias) + line * scores.columns, region, region[i], Data<T>(y) + offset, scores.columns,
                row.data());
      }
    });
  }
};

template <typename T>
class WindowSoftmaxGrad {
 public:
  explicit WindowSoftmaxGrad(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor y = call.Input(1);
    if (call.Failed()) return;
    const Scores scores(y);
    if (scores.columns == 0) call.Fail("y is to be weights of windows, heads, tokens and tokens");
    call.ExpectMatrix("dy", dy, Matrix(y).rows, scores.columns);
    if (call.Failed()) return;
    const T* gradients = Data<T>(dy);
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input
    dy.reset();
    const Tensor dx = call.OutputLike(0, y, 0), dbias = call.OutputWithoutFirstAxis(1, y);
    if (call.Failed()) return;
    std::fill_n(Data<float>(dbias), scores.lines() * scores.columns, 0.0f);
    ParallelFor(scores.lines(), [&](int64_t line) {
      for (int64_t n = 0; n < scores.count; n++) {
        const int64_t offset = scores.offset(n, line);
        Backward(gradients + offset, Data<T>(y) + offset, Data<T>(dx) + offset, scores.columns, Data<float>(dbias) + line * scores.columns);
      }
    });
  }
};

}  // namespace

void RegisterWindowSoftmax() {
  Register<WindowSoftmax>({"ScanlineWindowSoftmax", {"x: T", "bias: float", "regions: int32"}, {"y: T"}, {}, Shapes<0>});
  Register<WindowSoftmaxGrad>(
      {"ScanlineWindowSoftmaxGrad", {"dy: T", "y: T"}, {"dx: T", "dbias: float"}, {}, Shapes<0, kAllButFirstAxis>});
}

}  // namespace scanline
