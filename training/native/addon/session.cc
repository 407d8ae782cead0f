#include "session.h"

#include <vector>

#include "tensors.h"

namespace scanline {

// RunOptions { trace_level: FULL_TRACE } (tensorflow/core/protobuf/config.proto)
static const char kFullTrace[] = {0x08, 0x03};

SessionState::~SessionState() {
  if (session == nullptr) return;
  Status status;
  TF_CloseSession(session, status.get());
  TF_DeleteSession(session, status.get());
}

namespace {

// One TF_SessionRun: the inputs are copied on the main thread, the run happens on libuv's pool, the outputs are copied back.
class RunWorker : public Napi::AsyncWorker {
 public:
  RunWorker(Napi::Env env, std::shared_ptr<SessionState> state)
      : Napi::AsyncWorker(env, "scanline:run"), deferred_(env), state_(std::move(state)) {}

  ~RunWorker() override {
    for (TF_Tensor* tensor : feed_values_) TF_DeleteTensor(tensor);
    for (TF_Tensor* tensor : fetched_) {
      if (tensor != nullptr) TF_DeleteTensor(tensor);
    }
    if (metadata_ != nullptr) TF_DeleteBuffer(metadata_);
  }

  void Feed(Napi::Env env, const Napi::Object& feed) {
    const TF_Output output = state_->graph->Output(env, feed.Get("output"));
    const auto dtype = static_cast<TF_DataType>(feed.Get("dtype").As<Napi::Number>().Int32Value());
    feed_values_.push_back(NewTensor(env, dtype, ToInts(feed.Get("shape")), feed.Get("data")));
    feeds_.push_back(output);
  }
  void Fetch(Napi::Env env, const Napi::Value& id) { fetches_.push_back(state_->graph->Output(env, id)); }
  void Target(Napi::Env env, const Napi::Value& id) { targets_.push_back(state_->graph->Operation(env, id)); }
  void Trace() { metadata_ = TF_NewBuffer(); }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    Status status;
    fetched_.resize(fetches_.size(), nullptr);
    TF_Buffer* options = metadata_ == nullptr ? nullptr : TF_NewBufferFromString(kFullTrace, sizeof kFullTrace);
    TF_SessionRun(state_->session, options, feeds_.data(), feed_values_.data(), static_cast<int>(feeds_.size()), fetches_.data(),
                  fetched_.data(), static_cast<int>(fetches_.size()), targets_.data(), static_cast<int>(targets_.size()), metadata_,
                  status.get());
    if (options != nullptr) TF_DeleteBuffer(options);
    if (!status.ok()) SetError(status.message());
  }

  void OnOK() override {
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    try {
      Napi::Array results = Napi::Array::New(env, fetched_.size() + (metadata_ == nullptr ? 0 : 1));
      for (uint32_t i = 0; i < fetched_.size(); i++) results.Set(i, FromTensor(env, fetched_[i]));
      if (metadata_ != nullptr) results.Set(fetched_.size(), TraceResult(env));
      deferred_.Resolve(results);
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Object TraceResult(Napi::Env env) const {
    Napi::Object result = Napi::Object::New(env);
    Napi::Array shape = Napi::Array::New(env, 1);
    shape.Set(0u, Napi::Number::New(env, static_cast<double>(metadata_->length)));
    result.Set("shape", shape);
    result.Set("data", Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t*>(metadata_->data), metadata_->length));
    return result;
  }

  Napi::Promise::Deferred deferred_;
  std::shared_ptr<SessionState> state_;
  std::vector<TF_Output> feeds_, fetches_;
  std::vector<TF_Tensor*> feed_values_, fetched_;
  std::vector<const TF_Operation*> targets_;
  TF_Buffer* metadata_ = nullptr;
};

}  // namespace

Napi::Function Session::Define(Napi::Env env) {
  return DefineClass(env, "Session", {InstanceMethod<&Session::Run>("run"), InstanceMethod<&Session::Close>("close")});
}

// new Session(graph, config)
Session::Session(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Session>(info), state_(std::make_shared<SessionState>()) {
  Napi::Env env = info.Env();
  state_->graph = Graph::Unwrap(info[0].As<Napi::Object>())->state();
  const auto config = info[1].As<Napi::Uint8Array>();
  Status status;
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_SetConfig(options, config.Data(), config.ByteLength(), status.get());
  if (status.ok()) state_->session = TF_NewSession(state_->graph->graph, options, status.get());
  TF_DeleteSessionOptions(options);
  status.ThrowUnlessOk(env);
}

// run(feeds, fetches, targets, trace): Promise<{shape, data}[]>
Napi::Value Session::Run(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (state_ == nullptr) throw Napi::Error::New(env, "the session is closed");
  const Napi::Array feeds = info[0].As<Napi::Array>();
  const Napi::Array fetches = info[1].As<Napi::Array>();
  const Napi::Array targets = info[2].As<Napi::Array>();
  auto worker = std::make_unique<RunWorker>(env, state_);
  for (uint32_t i = 0; i < feeds.Length(); i++) worker->Feed(env, feeds.Get(i).As<Napi::Object>());
  for (uint32_t i = 0; i < fetches.Length(); i++) worker->Fetch(env, fetches.Get(i));
  for (uint32_t i = 0; i < targets.Length(); i++) worker->Target(env, targets.Get(i));
  if (info[3].IsBoolean() && info[3].As<Napi::Boolean>()) worker->Trace();
  worker->Queue();
  // Queued, the worker deletes itself once it has settled its promise.
  return worker.release()->Promise();
}

void Session::Close(const Napi::CallbackInfo&) { state_.reset(); }

}  // namespace scanline
