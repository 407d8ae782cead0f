// What all kernels share: registration of an op with TensorFlow, and access to its inputs, outputs and attributes.
#pragma once
#include <tensorflow/c/kernels.h>
#include <tensorflow/c/ops.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "vectors/numeric.h"

namespace scanline {

struct TensorDeleter {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, TensorDeleter>;

struct StatusDeleter {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
};
using KernelStatus = std::unique_ptr<TF_Status, StatusDeleter>;

inline KernelStatus NewKernelStatus() { return KernelStatus(TF_NewStatus()); }

template <typename T>
T* Data(const Tensor& tensor) {
  return static_cast<T*>(TF_TensorData(tensor.get()));
}

// A tensor seen as a matrix: all axes but the last are rows.
struct Matrix {
  int64_t rows, columns;
  explicit Matrix(const Tensor& tensor) {
    const int rank = TF_NumDims(tensor.get());
    columns = rank > 0 ? TF_Dim(tensor.get(), rank - 1) : 1;
    rows = columns > 0 ? TF_TensorElementCount(tensor.get()) / columns : 0;
  }
};

// One execution of a kernel.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(NewKernelStatus()) {}

  Tensor Input(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_.get());
    return Tensor(tensor);
  }

  // An output of the same shape as `like`; it takes over the memory of input `reuse` where nobody else needs that.
  Tensor OutputLike(int index, const Tensor& like, int reuse = -1) {
    const std::vector<int64_t> shape = Shape(like);
    return reuse < 0 ? Allocate(index, TF_TensorType(like.get()), shape) : Forward(index, shape, reuse);
  }

  // An output of the same shape as input `reuse`, of which `input` is the kernel's hold: that is given up, so that the memory can be taken
  // over. Pointers to it stay valid, for TensorFlow still holds the input.
  Tensor OutputInPlaceOf(int index, Tensor& input, int reuse) {
    const std::vector<int64_t> shape = Shape(input);
    input.reset();
    return Forward(index, shape, reuse);
  }

  // A float32 for each row of `like`.
  Tensor OutputRows(int index, const Tensor& like) {
    std::vector<int64_t> shape = Shape(like);
    shape.pop_back();
    return Allocate(index, TF_FLOAT, shape);
  }

  // A float32 of the shape of `like` without its first axis.
  Tensor OutputWithoutFirstAxis(int index, const Tensor& like) {
    std::vector<int64_t> shape = Shape(like);
    shape.erase(shape.begin());
    return Allocate(index, TF_FLOAT, shape);
  }

  // A float32 vector.
  Tensor OutputVector(int index, int64_t length) { return Allocate(index, TF_FLOAT, {length}); }

  // A float32 matrix.
  Tensor OutputMatrix(int index, int64_t rows, int64_t columns) { return Allocate(index, TF_FLOAT, {rows, columns}); }

  // Memory for so many values of 4 bytes each while the kernel runs.
  Tensor Temporary(int64_t values) {
    return Tensor(TF_AllocateTemp(context_, TF_FLOAT, &values, 1, nullptr, status_.get()));
  }

  // An output of float32.
  Tensor OutputFloats(int index, const std::vector<int64_t>& shape) { return Allocate(index, TF_FLOAT, shape); }

  // An output of the type of `like`.
  Tensor OutputOf(int index, const Tensor& like, const std::vector<int64_t>& shape) { return Allocate(index, TF_TensorType(like.get()), shape); }

  // An output of the type of `like` with three axes.
  Tensor OutputCube(int index, const Tensor& like, int64_t depth, int64_t rows, int64_t columns) {
    return Allocate(index, TF_TensorType(like.get()), {depth, rows, columns});
  }

  // An output of the shape of `like`, but for its last axis.
  Tensor OutputWithLastAxis(int index, const Tensor& like, int64_t length) {
    std::vector<int64_t> shape = Shape(like);
    shape.back() = length;
    return Allocate(index, TF_TensorType(like.get()), shape);
  }

  int inputs() const { return TF_NumInputs(context_); }

  bool ok() const { return TF_GetCode(status_.get()) == TF_OK; }

  // Reports a failure to TensorFlow; false if there was none.
  bool Failed() {
    if (ok()) return false;
    TF_OpKernelContext_Failure(context_, status_.get());
    return true;
  }

  void Fail(const std::string& message) { TF_SetStatus(status_.get(), TF_INVALID_ARGUMENT, message.c_str()); }

  // Fails unless a tensor has as many values as the kernel will read; `each` says what there is one for.
  void ExpectLength(const char* name, const Tensor& tensor, int64_t length, const char* each) {
    const int64_t actual = TF_TensorElementCount(tensor.get());
    if (!ok() || actual == length) return;
    Fail(std::string(name) + " has " + std::to_string(actual) + " values; it takes one for each of " + std::to_string(length) + " " + each);
  }

  // Fails unless a tensor, seen as a matrix, has this shape.
  void ExpectMatrix(const char* name, const Tensor& tensor, int64_t rows, int64_t columns) {
    const Matrix actual(tensor);
    if (!ok() || (actual.rows == rows && actual.columns == columns)) return;
    const auto text = [](int64_t rows, int64_t columns) { return std::to_string(rows) + " x " + std::to_string(columns); };
    Fail(std::string(name) + " has " + text(actual.rows, actual.columns) + " values; it takes " + text(rows, columns));
  }

 private:
  static std::vector<int64_t> Shape(const Tensor& tensor) {
    std::vector<int64_t> shape(TF_NumDims(tensor.get()));
    for (size_t i = 0; i < shape.size(); i++) shape[i] = TF_Dim(tensor.get(), static_cast<int>(i));
    return shape;
  }

  Tensor Forward(int index, const std::vector<int64_t>& shape, int reuse) {
    int forwarded;
    return Tensor(TF_ForwardInputOrAllocateOutput(context_, &reuse, 1, index, shape.data(), static_cast<int>(shape.size()), &forwarded,
                                                  status_.get()));
  }

  Tensor Allocate(int index, TF_DataType dtype, const std::vector<int64_t>& shape) {
    size_t bytes = TF_DataTypeSize(dtype);
    for (const int64_t length : shape) bytes *= length;
    return Tensor(
        TF_AllocateOutput(context_, index, dtype, shape.data(), static_cast<int>(shape.size()), bytes, status_.get()));
  }

  TF_OpKernelContext* context_;
  KernelStatus status_;
};

using ShapeFunction = void (*)(TF_ShapeInferenceContext*, TF_Status*);

struct OpSpec {
  const char* name;
  std::initializer_list<const char*> inputs, outputs, attributes;
  ShapeFunction shapes;
};

// Rules for the shape of an output: the number of the input whose shape it has, or one of these, of input 0.
constexpr int kLastAxis = -1;
constexpr int kAllButLastAxis = -2;
constexpr int kAllButFirstAxis = -3;

void SetShape(TF_ShapeInferenceContext* context, int output, int rule, TF_Status* status);

// The shape function of an op, by a rule for each of its outputs.
template <int... rules>
void Shapes(TF_ShapeInferenceContext* context, TF_Status* status) {
  int output = 0;
  (SetShape(context, output++, rules, status), ...);
}

// Some axes of an input: from `begin` to before `end`.
struct Axes {
  int input;
  int64_t begin, end;
};

// Sets an output's shape to those axes, one after the other.
void SetAxes(TF_ShapeInferenceContext* context, int output, std::initializer_list<Axes> list, TF_Status* status);

// The shape function of an op whose outputs' shapes follow from attributes: TensorFlow's C API shows it none.
void UnknownShapes(TF_ShapeInferenceContext* context, TF_Status* status);

// Registers an op whose attribute T is float or bfloat16, with a kernel for each on the CPU.
//
// Kernel<T> has a constructor from TF_OpKernelConstruction* and a method Compute(TF_OpKernelContext*).
void RegisterOp(const OpSpec& spec);

template <typename Kernel>
void RegisterKernel(const char* op, TF_DataType dtype) {
  auto create = [](TF_OpKernelConstruction* construction) -> void* { return new Kernel(construction); };
  auto compute = [](void* kernel, TF_OpKernelContext* context) { static_cast<Kernel*>(kernel)->Compute(context); };
  auto destroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  TF_KernelBuilder* builder = TF_NewKernelBuilder(op, "CPU", create, compute, destroy);
  const KernelStatus status = NewKernelStatus();
  TF_KernelBuilder_TypeConstraint(builder, "T", dtype, status.get());
  TF_RegisterKernelBuilder(op, builder, status.get());
}

template <template <typename> class Kernel>
void Register(const OpSpec& spec) {
  RegisterOp(spec);
  RegisterKernel<Kernel<float>>(spec.name, TF_FLOAT);
  RegisterKernel<Kernel<bfloat16>>(spec.name, TF_BFLOAT16);
}

float FloatAttribute(TF_OpKernelConstruction* construction, const char* name);
bool BoolAttribute(TF_OpKernelConstruction* construction, const char* name);
int32_t IntAttribute(TF_OpKernelConstruction* construction, const char* name);

// Registers the ops of one file each; all must have been before a graph uses any.
void RegisterBatchNorm();
void RegisterConvolution();
void RegisterDenseLayer();
void RegisterLayerNorm();
void RegisterGelu();
void RegisterSoftmaxGrad();
void RegisterGroupNorm();
void RegisterAxisProduct();
void RegisterWindowSoftmax();
void RegisterVolumeConvolution();
void RegisterLinear();
void RegisterAttention();

}  // namespace scanline
