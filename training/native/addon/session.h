// A TensorFlow session on a graph, run off the main thread.
#pragma once
#include <napi.h>
#include <tensorflow/c/c_api.h>

#include <memory>

#include "graph.h"

namespace scanline {

// The session itself, shared by its JavaScript object and the runs in progress: the last of them frees it.
struct SessionState {
  std::shared_ptr<GraphState> graph;
  TF_Session* session = nullptr;
  ~SessionState();
};

class Session : public Napi::ObjectWrap<Session> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit Session(const Napi::CallbackInfo& info);

 private:
  Napi::Value Run(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<SessionState> state_;
};

}  // namespace scanline
