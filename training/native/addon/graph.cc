#include "graph.h"

#include <cstring>

#include "tensors.h"

namespace scanline {

TF_Output GraphState::Output(Napi::Env env, const Napi::Value& id) const {
  const int64_t index = id.As<Napi::Number>().Int64Value();
  if (index < 0 || index >= static_cast<int64_t>(outputs.size())) {
    throw Napi::RangeError::New(env, "the graph has no output " + std::to_string(index));
  }
  return outputs[index];
}

TF_Operation* GraphState::Operation(Napi::Env env, const Napi::Value& id) const {
  const int64_t index = id.As<Napi::Number>().Int64Value();
  if (index < 0 || index >= static_cast<int64_t>(operations.size())) {
    throw Napi::RangeError::New(env, "the graph has no operation " + std::to_string(index));
  }
  return operations[index];
}

namespace {

void SetTensor(Napi::Env env, TF_OperationDescription* description, const char* name, const Napi::Object& value) {
  const auto dtype = static_cast<TF_DataType>(value.Get("dtype").As<Napi::Number>().Int32Value());
  TF_Tensor* tensor = NewTensor(env, dtype, ToInts(value.Get("shape")), value.Get("data"));
  Status status;
  TF_SetAttrTensor(description, name, tensor, status.get());
  TF_DeleteTensor(tensor);
  status.ThrowUnlessOk(env);
}

void SetAttribute(Napi::Env env, TF_OperationDescription* description, const Napi::Object& attribute) {
  const std::string key = attribute.Get("name").As<Napi::String>();
  const char* name = key.c_str();
  const Napi::Value value = attribute.Get("value");
  const int type = attribute.Get("type").As<Napi::Number>().Int32Value();
  switch (type) {
    case TF_ATTR_STRING: {
      const std::string text = value.As<Napi::String>();
      return TF_SetAttrString(description, name, text.data(), text.size());
    }
    case TF_ATTR_INT: {
      if (!value.IsArray()) return TF_SetAttrInt(description, name, value.As<Napi::Number>().Int64Value());
      const std::vector<int64_t> list = ToInts(value);
      return TF_SetAttrIntList(description, name, list.data(), static_cast<int>(list.size()));
    }
    case TF_ATTR_FLOAT:
      return TF_SetAttrFloat(description, name, value.As<Napi::Number>().FloatValue());
    case TF_ATTR_BOOL:
      return TF_SetAttrBool(description, name, value.As<Napi::Boolean>());
    case TF_ATTR_TYPE: {
      if (!value.IsArray()) return TF_SetAttrType(description, name, static_cast<TF_DataType>(value.As<Napi::Number>().Int32Value()));
      std::vector<TF_DataType> list;
      for (const int64_t dtype : ToInts(value)) list.push_back(static_cast<TF_DataType>(dtype));
      return TF_SetAttrTypeList(description, name, list.data(), static_cast<int>(list.size()));
    }
    case TF_ATTR_SHAPE: {
      const std::vector<int64_t> shape = ToInts(value);
      return TF_SetAttrShape(description, name, shape.data(), static_cast<int>(shape.size()));
    }
    case TF_ATTR_TENSOR:
      return SetTensor(env, description, name, value.As<Napi::Object>());
    default:
      throw Napi::TypeError::New(env, "attribute " + key + " has the unknown type " + std::to_string(type));
  }
}

void AddInput(Napi::Env env, const GraphState& state, TF_OperationDescription* description, const Napi::Value& input) {
  if (!input.IsArray()) return TF_AddInput(description, state.Output(env, input));
  const Napi::Array ids = input.As<Napi::Array>();
  std::vector<TF_Output> list;
  for (uint32_t i = 0; i < ids.Length(); i++) list.push_back(state.Output(env, ids.Get(i)));
  TF_AddInputList(description, list.data(), static_cast<int>(list.size()));
}

}  // namespace

Graph::Graph(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Graph>(info), state_(std::make_shared<GraphState>()) {}

Napi::Function Graph::Define(Napi::Env env) {
  return DefineClass(env, "Graph",
                     {InstanceMethod<&Graph::AddOperation>("addOperation"), InstanceMethod<&Graph::ToGraphDef>("toGraphDef"),
                      InstanceMethod<&Graph::OperationName>("operationName")});
}

Napi::Object Graph::DescribeOutput(Napi::Env env, TF_Output output) {
  Status status;
  Napi::Object described = Napi::Object::New(env);
  described.Set("id", Napi::Number::New(env, static_cast<double>(state_->outputs.size())));
  described.Set("dtype", Napi::Number::New(env, TF_OperationOutputType(output)));
  const int rank = TF_GraphGetTensorNumDims(state_->graph, output, status.get());
  status.ThrowUnlessOk(env);
  if (rank < 0) {
    described.Set("shape", env.Null());
  } else {
    std::vector<int64_t> dimensions(rank);
    if (rank > 0) TF_GraphGetTensorShape(state_->graph, output, dimensions.data(), rank, status.get());
    status.ThrowUnlessOk(env);
    Napi::Array shape = Napi::Array::New(env, rank);
    for (int i = 0; i < rank; i++) shape.Set(i, Napi::Number::New(env, static_cast<double>(dimensions[i])));
    described.Set("shape", shape);
  }
  state_->outputs.push_back(output);
  return described;
}

// addOperation(type, name, inputs, attributes, controls): {operation, outputs}
Napi::Value Graph::AddOperation(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string type = info[0].As<Napi::String>();
  const std::string name = info[1].As<Napi::String>();
  const Napi::Array inputs = info[2].As<Napi::Array>();
  const Napi::Array attributes = info[3].As<Napi::Array>();
  const Napi::Array controls = info[4].As<Napi::Array>();
  // Once begun a description can only be finished, so what JavaScript passed is checked by the finishing itself: an error in
  // between still finishes it, and the operation that remains has no consumer.
  TF_OperationDescription* description = TF_NewOperation(state_->graph, type.c_str(), name.c_str());
  Status status;
  try {
    for (uint32_t i = 0; i < attributes.Length(); i++) SetAttribute(env, description, attributes.Get(i).As<Napi::Object>());
    for (uint32_t i = 0; i < inputs.Length(); i++) AddInput(env, *state_, description, inputs.Get(i));
    for (uint32_t i = 0; i < controls.Length(); i++) TF_AddControlInput(description, state_->Operation(env, controls.Get(i)));
  } catch (...) {
    TF_FinishOperation(description, status.get());
    throw;
  }
  TF_Operation* operation = TF_FinishOperation(description, status.get());
  status.ThrowUnlessOk(env);

  Napi::Object result = Napi::Object::New(env);
  result.Set("operation", Napi::Number::New(env, static_cast<double>(state_->operations.size())));
  state_->operations.push_back(operation);
  Napi::Array outputs = Napi::Array::New(env, TF_OperationNumOutputs(operation));
  for (int i = 0; i < TF_OperationNumOutputs(operation); i++) outputs.Set(i, DescribeOutput(env, {operation, i}));
  result.Set("outputs", outputs);
  return result;
}

Napi::Value Graph::ToGraphDef(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Status status;
  TF_Buffer* buffer = TF_NewBuffer();
  TF_GraphToGraphDef(state_->graph, buffer, status.get());
  if (!status.ok()) {
    TF_DeleteBuffer(buffer);
    status.ThrowUnlessOk(env);
  }
  Napi::ArrayBuffer bytes = Napi::ArrayBuffer::New(env, buffer->length);
  std::memcpy(bytes.Data(), buffer->data, buffer->length);
  TF_DeleteBuffer(buffer);
  return Napi::Uint8Array::New(env, bytes.ByteLength(), bytes, 0);
}

Napi::Value Graph::OperationName(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), TF_OperationName(state_->Operation(info.Env(), info[0])));
}

}  // namespace scanline
