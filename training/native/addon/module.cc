// Scanline's Node.js addon: TensorFlow graphs and sessions, and a few kernels of our own, on TensorFlow's C API.
#include <malloc.h>
#include <napi.h>

#include <climits>

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

// A step takes the same large tensors as the step before. By glibc's defaults each would be mapped anew, page after page as it is written to
// (24,000 page faults in a step of the UNet in bfloat16, a quarter of its time once the machine has put the pages to another use), for what is
// larger than 32 MB goes back to the system when it is freed (https://man7.org/linux/man-pages/man3/mallopt.3.html).
static void KeepMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
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
  KeepMemory();
  RegisterKernels();
  exports.Set("setKernelThreads", Napi::Function::New<SetKernelThreads>(env, "setKernelThreads"));
  exports.Set("families", Families(env));
  exports.Set("Graph", scanline::Graph::Define(env));
  exports.Set("Session", scanline::Session::Define(env));
  return exports;
}

NODE_API_MODULE(scanline, Init)
