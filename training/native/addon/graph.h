// A TensorFlow graph that JavaScript builds operation by operation. Shapes are inferred; nothing is executed.
#pragma once
#include <napi.h>
#include <tensorflow/c/c_api.h>

#include <memory>
#include <vector>

namespace scanline {

// The graph itself, shared by its JavaScript object, its sessions and the runs in progress.
struct GraphState {
  TF_Graph* graph = TF_NewGraph();
  std::vector<TF_Operation*> operations;
  std::vector<TF_Output> outputs;
  ~GraphState() { TF_DeleteGraph(graph); }

  TF_Output Output(Napi::Env env, const Napi::Value& id) const;
  TF_Operation* Operation(Napi::Env env, const Napi::Value& id) const;
};

class Graph : public Napi::ObjectWrap<Graph> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit Graph(const Napi::CallbackInfo& info);
  std::shared_ptr<GraphState> state() const { return state_; }

 private:
  Napi::Value AddOperation(const Napi::CallbackInfo& info);
  Napi::Value ToGraphDef(const Napi::CallbackInfo& info);
  Napi::Value OperationName(const Napi::CallbackInfo& info);
  Napi::Object DescribeOutput(Napi::Env env, TF_Output output);

  std::shared_ptr<GraphState> state_;
};

}  // namespace scanline
