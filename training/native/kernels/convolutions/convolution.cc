// 3 x 3 convolution of stride 1 and padding 1 over [N, H, W, C], and 3 x 3 x 3 over [N, D, H, W, C], forward and backward (winograd.h). Filters and their gradients are float32
// whatever T is: they need no rounding here, and so no cast.
//
// Each of the ops has a twin for a convolution of max(0, a * x + b), by channel: a batch normalisation that is done as x is read, and never
// stored (Jung et al., https://arxiv.org/abs/1807.01702).
#include "../kernel.h"
#include "winograd.h"

namespace scanline {

namespace {

// The shape of a convolution by its filter [3, 3, C, F] or [3, 3, 3, C, F] and its input, or one of that shape but for the channels.
ConvolutionShape ShapeOf(Call& call, const Tensor& images, const Tensor& filter) {
  const int rank = TF_NumDims(filter.get());
  bool kernel = (rank == 4 || rank == 5) && TF_NumDims(images.get()) == rank;
  for (int axis = 0; kernel && axis < rank - 2; axis++) kernel = TF_Dim(filter.get(), axis) == 3;
  if (!kernel) {
    call.Fail("a convolution of own kernels takes images [N, H, W, C] and a filter [3, 3, C, F], or volumes and one of [3, 3, 3, C, F]");
    return {};
  }
  const auto length = [&](int axis) { return TF_Dim(images.get(), axis); };
  const ConvolutionShape shape{rank == 5,        length(0),        rank == 5 ? length(1) : 1, length(rank - 3), length(rank - 2),
                               TF_Dim(filter.get(), rank - 2), TF_Dim(filter.get(), rank - 1)};
  if (shape.channels % 16 != 0 || shape.filters % 16 != 0) call.Fail("a convolution of own kernels takes multiples of 16 channels and filters");
  return shape;
}

// The inputs a and b, from number `first` on, of an op with an activation.
class Coefficients {
 public:
  Coefficients(Call& call, int first, int64_t channels) : a_(call.Input(first)), b_(call.Input(first + 1)) {
    if (!call.ok()) return;
    call.ExpectLength("a", a_, channels, "channels");
    call.ExpectLength("b", b_, channels, "channels");
    activation_ = {Data<float>(a_), Data<float>(b_)};
  }
  const Activation& activation() const { return activation_; }

 private:
  const Tensor a_, b_;
  Activation activation_{};
};

template <typename T, bool activated>
class ConvolutionKernel {
 public:
  explicit ConvolutionKernel(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), filter = call.Input(1);
    if (call.Failed()) return;
    const ConvolutionShape shape = ShapeOf(call, x, filter);
    call.ExpectMatrix("x", x, shape.pixels(), shape.channels);
    if (call.Failed()) return;
    const Tensor y = call.OutputWithLastAxis(0, x, shape.filters);
    if (call.Failed()) return;
    if constexpr (activated) {
      const Coefficients coefficients(call, 2, shape.channels);
      if (call.Failed()) return;
      Convolve(shape, Data<T>(x), Data<float>(filter), Data<T>(y), &coefficients.activation());
    } else {
      Convolve(shape, Data<T>(x), Data<float>(filter), Data<T>(y));
    }
  }
};

template <typename T>
class ConvolutionGradInput {
 public:
  explicit ConvolutionGradInput(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor dy = call.Input(0), filter = call.Input(1);
    if (call.Failed()) return;
    const ConvolutionShape shape = ShapeOf(call, dy, filter);
    call.ExpectMatrix("dy", dy, shape.pixels(), shape.filters);
    if (call.Failed()) return;
    const Tensor dx = call.OutputWithLastAxis(0, dy, shape.channels);
    if (call.Failed()) return;
    ConvolveGradInput(shape, Data<T>(dy), Data<float>(filter), Data<T>(dx));
  }
};

template <typename T>
class ActivatedConvolutionGradInput {
 public:
  explicit ActivatedConvolutionGradInput(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor dy = call.Input(0), filter = call.Input(1), x = call.Input(4), mean = call.Input(5);
    if (call.Failed()) return;
    const ConvolutionShape shape = ShapeOf(call, x, filter);
    call.ExpectMatrix("dy", dy, shape.pixels(), shape.filters);
    call.ExpectMatrix("x", x, shape.pixels(), shape.channels);
    call.ExpectLength("mean", mean, shape.channels, "channels");
    if (call.Failed()) return;
    const Coefficients coefficients(call, 2, shape.channels);
    if (call.Failed()) return;
    const Tensor g = call.OutputLike(0, x), sum = call.OutputVector(1, shape.channels), product = call.OutputVector(2, shape.channels);
    if (call.Failed()) return;
    ConvolveGradActivated(shape, Data<T>(dy), Data<float>(filter), Data<T>(x), coefficients.activation(), Data<float>(mean), Data<T>(g),
                          Data<float>(sum), Data<float>(product));
  }
};

template <typename T, bool activated>
class ConvolutionGradFilterKernel {
 public:
  explicit ConvolutionGradFilterKernel(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor dy = call.Input(0), x = call.Input(1), filter = call.Input(2);
    if (call.Failed()) return;
    const ConvolutionShape shape = ShapeOf(call, x, filter);
    call.ExpectMatrix("x", x, shape.pixels(), shape.channels);
    call.ExpectMatrix("dy", dy, shape.pixels(), shape.filters);
    if (call.Failed()) return;
    const Tensor dfilter = call.OutputLike(0, filter);
    if (call.Failed()) return;
    if constexpr (activated) {
      const Coefficients coefficients(call, 3, shape.channels);
      if (call.Failed()) return;
      ConvolveGradFilter(shape, Data<T>(x), Data<T>(dy), Data<float>(dfilter), &coefficients.activation());
    } else {
      ConvolveGradFilter(shape, Data<T>(x), Data<T>(dy), Data<float>(dfilter));
    }
  }
};

template <typename T>
using Convolution = ConvolutionKernel<T, false>;
template <typename T>
using ActivatedConvolution = ConvolutionKernel<T, true>;
template <typename T>
using ConvolutionGradFilter = ConvolutionGradFilterKernel<T, false>;
template <typename T>
using ActivatedConvolutionGradFilter = ConvolutionGradFilterKernel<T, true>;

// The images of input 0 with as many channels as an axis of the filter, input 1, has; it is counted from the end.
template <int axis>
void ImagesShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle *shape = TF_NewShapeHandle(), *channels = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 0, shape, status);
  TF_ShapeInferenceContextGetInput(context, 1, channels, status);
  TF_ShapeInferenceContextSubshape(context, shape, 0, -1, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSubshape(context, channels, axis, axis == -1 ? INT64_MAX : axis + 1, channels, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextConcatenateShapes(context, shape, channels, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  TF_DeleteShapeHandle(shape);
  TF_DeleteShapeHandle(channels);
}

}  // namespace

void RegisterConvolution() {
  Register<Convolution>({"ScanlineConvolution", {"x: T", "filter: float"}, {"y: T"}, {}, ImagesShape<-1>});
  Register<ConvolutionGradInput>({"ScanlineConvolutionGradInput", {"dy: T", "filter: float"}, {"dx: T"}, {}, ImagesShape<-2>});
  Register<ConvolutionGradFilter>(
      {"ScanlineConvolutionGradFilter", {"dy: T", "x: T", "filter: float"}, {"dfilter: float"}, {}, Shapes<2>});
  Register<ActivatedConvolution>(
      {"ScanlineActivatedConvolution", {"x: T", "filter: float", "a: float", "b: float"}, {"y: T"}, {}, ImagesShape<-1>});
  Register<ActivatedConvolutionGradInput>({"ScanlineActivatedConvolutionGradInput",
                                           {"dy: T", "filter: float", "a: float", "b: float", "x: T", "mean: float"},
                                           {"g: T", "sum: float", "product: float"},
                                           {},
                                           Shapes<4, 5, 5>});
  Register<ActivatedConvolutionGradFilter>({"ScanlineActivatedConvolutionGradFilter",
                                            {"dy: T", "x: T", "filter: float", "a: float", "b: float"},
                                            {"dfilter: float"},
                                            {},
                                            Shapes<2>});
}

}  // namespace scanline
