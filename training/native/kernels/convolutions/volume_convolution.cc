// Convolution and transposed convolution of volumes [N, D, H, W, C] with any stride and padding, forward and backward (direct.h). A filter is
// [...kernel, channels of the fine grid, channels of the coarse one], so one and the same op is a convolution and the gradient of a
// transposed one's input. Filters and their gradients are float32 whatever T is.
#include "direct.h"
#include "../kernel.h"

namespace scanline {

namespace {

// The sides of the output are told, for a stride leaves several to choose from.
constexpr const char *kSides = "sides", *kStride = "stride", *kPadding = "padding";

GridShape::Sides AxesAttribute(TF_OpKernelConstruction* construction, const char* name) {
  const KernelStatus status = NewKernelStatus();
  GridShape::Sides values{};
  int32_t length = 0, bytes = 0;
  TF_OpKernelConstruction_GetAttrSize(construction, name, &length, &bytes, status.get());
  if (TF_GetCode(status.get()) == TF_OK && length != static_cast<int32_t>(values.size()))
    TF_SetStatus(status.get(), TF_INVALID_ARGUMENT, (std::string(name) + " takes a number for each of 3 axes").c_str());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrInt64List(construction, name, values.data(), static_cast<int>(values.size()), status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return values;
}

GridShape::Sides SidesOf(const Tensor& tensor, int first) {
  return {TF_Dim(tensor.get(), first), TF_Dim(tensor.get(), first + 1), TF_Dim(tensor.get(), first + 2)};
}

// The shape of a convolution but for the sides of the grids; false where the tensors are not as they should be.
bool Describe(Call& call, const Tensor& volumes, const Tensor& filter, GridShape& shape) {
  if (TF_NumDims(volumes.get()) != 5 || TF_NumDims(filter.get()) != 5) {
    call.Fail("a convolution of volumes takes volumes [N, D, H, W, C] and a filter of 5 axes");
  } else {
    shape.volumes = TF_Dim(volumes.get(), 0);
    shape.kernel = SidesOf(filter, 0);
    shape.channels = TF_Dim(filter.get(), 3);
    shape.filters = TF_Dim(filter.get(), 4);
    if (shape.channels % 16 != 0 || shape.filters % 16 != 0) call.Fail("a convolution of volumes takes multiples of 16 channels and filters");
  }
  return !call.Failed();
}

template <typename T, bool transposed>
class VolumeConvolutionKernel {
 public:
  explicit VolumeConvolutionKernel(TF_OpKernelConstruction* construction)
      : sides_(AxesAttribute(construction, kSides)), stride_(AxesAttribute(construction, kStride)), padding_(AxesAttribute(construction, kPadding)) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), filter = call.Input(1);
    GridShape shape{};
    if (call.Failed() || !Describe(call, x, filter, shape)) return;
    shape.stride = stride_;
    shape.padding = padding_;
    (transposed ? shape.coarse : shape.fine) = SidesOf(x, 1);
    (transposed ? shape.fine : shape.coarse) = sides_;
    call.ExpectMatrix("x", x, Matrix(x).rows, transposed ? shape.filters : shape.channels);
    if (call.Failed()) return;
    const Tensor y = call.OutputOf(0, x, {shape.volumes, sides_[0], sides_[1], sides_[2], transposed ? shape.channels : shape.filters});
    if (call.Failed()) return;
    if constexpr (transposed) {
      CoarseToFine(shape, Data<T>(x), Data<float>(filter), Data<T>(y));
    } else {
      FineToCoarse(shape, Data<T>(x), Data<float>(filter), Data<T>(y));
    }
  }

 private:
  const GridShape::Sides sides_, stride_, padding_;
};

template <typename T>
class VolumeConvolutionGradFilter {
 public:
  explicit VolumeConvolutionGradFilter(TF_OpKernelConstruction* construction)
      : stride_(AxesAttribute(construction, kStride)), padding_(AxesAttribute(construction, kPadding)) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor fine = call.Input(0), coarse = call.Input(1), filter = call.Input(2);
    GridShape shape{};
    if (call.Failed() || !Describe(call, fine, filter, shape)) return;
    if (TF_NumDims(coarse.get()) != 5 || TF_Dim(coarse.get(), 0) != shape.volumes) call.Fail("fine and coarse differ in their numbers of volumes");
    call.ExpectMatrix("fine", fine, Matrix(fine).rows, shape.channels);
    call.ExpectMatrix("coarse", coarse, Matrix(coarse).rows, shape.filters);
    if (call.Failed()) return;
    shape.fine = SidesOf(fine, 1);
    shape.coarse = SidesOf(coarse, 1);
    shape.stride = stride_;
    shape.padding = padding_;
    const Tensor dfilter = call.OutputLike(0, filter);
    if (call.Failed()) return;
    GridGradFilter(shape, Data<T>(fine), Data<T>(coarse), Data<float>(dfilter));
  }

 private:
  const GridShape::Sides stride_, padding_;
};

template <typename T>
using VolumeConvolution = VolumeConvolutionKernel<T, false>;
template <typename T>
using VolumeConvolutionTransposed = VolumeConvolutionKernel<T, true>;

}  // namespace

void RegisterVolumeConvolution() {
  Register<VolumeConvolution>({"ScanlineVolumeConvolution",
                               {"x: T", "filter: float"},
                               {"y: T"},
                               {"sides: list(int)", "stride: list(int)", "padding: list(int)"},
                               UnknownShapes});
  Register<VolumeConvolutionTransposed>({"ScanlineVolumeConvolutionTransposed",
                                         {"x: T", "filter: float"},
                                         {"y: T"},
                                         {"sides: list(int)", "stride: list(int)", "padding: list(int)"},
                                         UnknownShapes});
  Register<VolumeConvolutionGradFilter>({"ScanlineVolumeConvolutionGradFilter",
                                         {"fine: T", "coarse: T", "filter: float"},
                                         {"dfilter: float"},
                                         {"stride: list(int)", "padding: list(int)"},
                                         Shapes<2>});
}

}  // namespace scanline
