#include "tensors.h"

#include <cstring>

namespace scanline {

std::vector<int64_t> ToInts(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<int64_t> ints(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) ints[i] = array.Get(i).As<Napi::Number>().Int64Value();
  return ints;
}

TF_Tensor* NewTensor(Napi::Env env, TF_DataType dtype, const std::vector<int64_t>& shape, const Napi::Value& value) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(env, "tensor data must be a typed array");
  Napi::TypedArray data = value.As<Napi::TypedArray>();
  size_t bytes = TF_DataTypeSize(dtype);
  for (int64_t dimension : shape) bytes *= dimension;
  if (bytes != data.ByteLength()) {
    throw Napi::RangeError::New(env, "tensor data has " + std::to_string(data.ByteLength()) + " bytes; its shape and type take " +
                                         std::to_string(bytes));
  }
  TF_Tensor* tensor = TF_AllocateTensor(dtype, shape.data(), static_cast<int>(shape.size()), bytes);
  const char* source = static_cast<const char*>(data.ArrayBuffer().Data()) + data.ByteOffset();
  if (bytes > 0) std::memcpy(TF_TensorData(tensor), source, bytes);
  return tensor;
}

static Napi::Value TypedArrayFor(Napi::Env env, TF_DataType dtype, size_t length, Napi::ArrayBuffer buffer) {
  switch (dtype) {
    case TF_FLOAT:
      return Napi::Float32Array::New(env, length, buffer, 0);
    case TF_DOUBLE:
      return Napi::Float64Array::New(env, length, buffer, 0);
    case TF_INT32:
      return Napi::Int32Array::New(env, length, buffer, 0);
    case TF_INT64:
      return Napi::BigInt64Array::New(env, length, buffer, 0);
    case TF_HALF:
    case TF_BFLOAT16:
      return Napi::Uint16Array::New(env, length, buffer, 0);
    case TF_UINT8:
    case TF_BOOL:
      return Napi::Uint8Array::New(env, length, buffer, 0);
    default:
      throw Napi::TypeError::New(env, "tensors of TensorFlow's data type " + std::to_string(dtype) + " cannot be read");
  }
}

Napi::Object FromTensor(Napi::Env env, const TF_Tensor* tensor) {
  Napi::Array shape = Napi::Array::New(env, TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); i++) shape.Set(i, Napi::Number::New(env, static_cast<double>(TF_Dim(tensor, i))));
  const size_t bytes = TF_TensorByteSize(tensor);
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, bytes);
  if (bytes > 0) std::memcpy(buffer.Data(), TF_TensorData(tensor), bytes);
  const TF_DataType dtype = TF_TensorType(tensor);
  Napi::Object result = Napi::Object::New(env);
  result.Set("shape", shape);
  result.Set("data", TypedArrayFor(env, dtype, bytes / TF_DataTypeSize(dtype), buffer));
  return result;
}

}  // namespace scanline
