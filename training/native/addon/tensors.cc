#include "tensors.h"

#include <cstring>
#include <iterator>

namespace scanline {

std::vector<int64_t> ToInts(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  std::vector<int64_t> ints(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) ints[i] = array.Get(i).As<Napi::Number>().Int64Value();
  return ints;
}

// The typed array that holds a tensor's values in JavaScript.
static napi_typedarray_type ArrayTypeFor(Napi::Env env, TF_DataType dtype) {
  switch (dtype) {
    case TF_FLOAT:
      return napi_float32_array;
    case TF_DOUBLE:
      return napi_float64_array;
    case TF_INT32:
      return napi_int32_array;
    case TF_INT64:
      return napi_bigint64_array;
    case TF_HALF:
    case TF_BFLOAT16:
      return napi_uint16_array;
    case TF_UINT8:
    case TF_BOOL:
      return napi_uint8_array;
    default:
      throw Napi::TypeError::New(env, "there is no typed array for TensorFlow's data type " + std::to_string(dtype));
  }
}

static const char* NameOf(napi_typedarray_type type) {
  // in the order of napi_typedarray_type
  static constexpr const char* kNames[] = {"Int8Array",   "Uint8Array",   "Uint8ClampedArray", "Int16Array",    "Uint16Array",   "Int32Array",
                                           "Uint32Array", "Float32Array", "Float64Array",      "BigInt64Array", "BigUint64Array"};
  return type < std::size(kNames) ? kNames[type] : "typed array of another kind";
}

TF_Tensor* NewTensor(Napi::Env env, TF_DataType dtype, const std::vector<int64_t>& shape, const Napi::Value& value) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(env, "tensor data must be a typed array");
  Napi::TypedArray data = value.As<Napi::TypedArray>();
  const napi_typedarray_type expected = ArrayTypeFor(env, dtype);
  if (data.TypedArrayType() != expected) {
    throw Napi::TypeError::New(env, std::string("tensor data is of type ") + NameOf(data.TypedArrayType()) + ", not " + NameOf(expected));
  }
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
  napi_value array;
  const napi_status status = napi_create_typedarray(env, ArrayTypeFor(env, dtype), length, buffer, 0, &array);
  if (status != napi_ok) throw Napi::Error::New(env);
  return Napi::Value(env, array);
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
