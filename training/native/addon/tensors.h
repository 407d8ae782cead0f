// Conversions between JavaScript's typed arrays and TensorFlow's tensors.
#pragma once
#include <napi.h>
#include <tensorflow/c/c_api.h>

#include <string>
#include <vector>

namespace scanline {

// A TF_Status that throws TensorFlow's own message as a JavaScript error.
class Status {
 public:
  Status() : status_(TF_NewStatus()) {}
  ~Status() { TF_DeleteStatus(status_); }
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;
  TF_Status* get() { return status_; }
  bool ok() const { return TF_GetCode(status_) == TF_OK; }
  std::string message() const { return TF_Message(status_); }
  void ThrowUnlessOk(Napi::Env env) const {
    if (!ok()) throw Napi::Error::New(env, message());
  }

 private:
  TF_Status* status_;
};

std::vector<int64_t> ToInts(const Napi::Value& array);

// Copies a typed array into a new tensor, which the caller owns. Throws a JavaScript error unless it is of the kind that FromTensor
// gives for dtype, and the byte lengths agree.
TF_Tensor* NewTensor(Napi::Env env, TF_DataType dtype, const std::vector<int64_t>& shape, const Napi::Value& data);

// Copies a tensor into {shape, data}.
Napi::Object FromTensor(Napi::Env env, const TF_Tensor* tensor);

}  // namespace scanline
