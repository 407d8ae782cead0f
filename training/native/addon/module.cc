// Scanline's Node.js addon: TensorFlow graphs and sessions, and a few kernels of our own, on TensorFlow's C API.
#include <napi.h>

#include "../kernels/kernel.h"
#include "../kernels/parallel.h"
#include "../kernels/vectors/family.h"
#include "graph.h"
#include "session.h"

// Ops are registered with the process, not with this module: a worker thread that loads the addon again finds them there.
static void RegisterKernels() {
  static const bool registered = [] {
    scanline::RegisterBatchNorm();
    scanline::RegisterConvolution();
    scanline::RegisterDenseLayer();
    scanline::RegisterLayerNorm();
    scanline::RegisterGelu();
    scanline::RegisterSoftmaxGrad();
    scanline::RegisterGroupNorm();
    scanline::RegisterAxisProduct();
    scanline::RegisterWindowSoftmax();
    scanline::RegisterVolumeConvolution();
    scanline::RegisterLinear();
    scanline::RegisterAttention();
    return true;
  }();
  (void)registered;
}

static void SetKernelThreads(const Napi::CallbackInfo& info) {
  scanline::SetKernelThreads(info[0].As<Napi::Number>().Int32Value());
}

static Napi::Array Families(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env);
  for (const std::string& name : scanline::Families()) names.Set(names.Length(), name);
  return names;
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  RegisterKernels();
  exports.Set("setKernelThreads", Napi::Function::New<SetKernelThreads>(env, "setKernelThreads"));
  exports.Set("families", Families(env));
  exports.Set("Graph", scanline::Graph::Define(env));
  exports.Set("Session", scanline::Session::Define(env));
  return exports;
}

NODE_API_MODULE(scanline, Init)
