// The fully connected layer, y = x w^T + bias, and its gradients; x may go through a GELU first, which is never stored.
//
// One factor of a product is packed for all threads; each thread packs some of the other into its own second cache, and multiplies it with all
// of that, while the next of it come from memory. What a value of the result is summed up from, and in which order, does not depend on the
// threads.
#include <immintrin.h>

#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"
#include "../scratch.h"
#include "product.h"

namespace scanline {

namespace {

// Tiles or panels: `count`, from number `first` on.
struct Group {
  int64_t first, count;
};
struct Packed {
  const uint32_t* cells;
  Group group;
};

// Lines of memory that will be read soon: `bytes` of each of some rows.
struct Ahead {
  const char* first;
  int64_t rows, bytes, stride;
};

// y [rows, columns] = sums + bias, added to what is there, times the GELU's gradient for z; each where it is asked for.
template <typename Y>
struct Result {
  Y* y;
  int64_t rows, columns;
  const float* bias;
  const Y* z;
  bool add;
};

#define SCANLINE_LOOPS "../products/linear_loops.h"
#include "../vectors/families.h"

// Bytes of packed factors that a thread keeps in its second cache, beside what passes through it.
constexpr int64_t kKept = 512 << 10;
// A product is cut into so many tasks for each thread at least.
constexpr int64_t kTasksOfThread = 4;
// What is summed over more than that is summed in parts, each added to those before, for a float32 result.
constexpr int64_t kDepthOfSum = 1536;

// Shares `count` tiles or panels evenly among tasks: some for each thread, and each with no more of them than stay in the second cache. Calls
// body(group, the group that the same thread will most likely be given next).
template <typename Body>
void ForEachGroup(int64_t count, int64_t cells, const Body& body) {
  if (count == 0) return;
  const int64_t most = std::max<int64_t>(1, kKept / static_cast<int64_t>((cells + 1) * sizeof(uint32_t))), threads = KernelThreads();
  const int64_t group = std::min(most, CeilOf(count, kTasksOfThread * threads));
  const int64_t tasks = std::min(count, CeilOf(count, group * threads) * threads);
  const auto group_of = [&](int64_t task) {
    const int64_t first = std::min(task, tasks) * count / tasks;
    return Group{first, std::min(task + 1, tasks) * count / tasks - first};
  };
  ParallelFor(tasks, [&](int64_t task) { body(group_of(task), group_of(task + threads)); });
}

// The parts that a sum is made of. Half of a bfloat16's digits would be lost between two parts.
template <typename Y>
int64_t PartsOf(int64_t depth) {
  return std::is_same_v<Y, float> ? std::max<int64_t>(1, CeilOf(depth, kDepthOfSum)) : 1;
}

// Left factors are activations, most of them still in a cache: rather than weights, which come from memory and can do so while others are
// multiplied, they are packed for all, if they are not too many.
bool SharesTiles(int64_t rows, int64_t columns) { return rows < 2 * columns; }

// The cells that are packed for all threads.
template <typename T, typename Y>
int64_t SharedCells(int64_t rows, int64_t columns, int64_t depth) {
  const int64_t shared = SharesTiles(rows, columns) ? CeilOf(rows, kTile) * kTile : CeilOf(columns, kPanel) * kPanel;
  return shared * Cells<T>(CeilOf(depth, PartsOf<Y>(depth)));
}

// `depth` values along the sum, from `first` on.
template <typename S>
Factors<S> PartOf(const Factors<S>& factors, int64_t first, int64_t depth) {
  Factors<S> part = factors;
  part.values += first * (factors.along ? 1 : factors.stride);
  part.depth = depth;
  return part;
}

// Where the factors of some tiles or panels of so many each lie.
template <typename S>
Ahead LinesOf(const Factors<S>& factors, const Group& group, int64_t of_each) {
  const int64_t begin = group.first * of_each, there = std::clamp<int64_t>(factors.count - begin, 0, group.count * of_each);
  const int64_t rows = factors.along ? there : factors.depth, values = factors.along ? factors.depth : there;
  const S* first = factors.values + begin * (factors.along ? factors.stride : 1);
  constexpr int64_t bytes = sizeof(S);
  return {reinterpret_cast<const char*>(first), there == 0 ? 0 : rows, values * bytes, factors.stride * bytes};
}

// One part of Multiply.
template <typename T, typename L, typename R, typename Y>
void MultiplyPart(const Factors<L>& left, const Factors<R>& right, uint32_t* shared, const Result<Y>& result, float* sums) {
  const int64_t cells = Cells<T>(left.depth);
  const int64_t tiles = CeilOf(left.count, kTile), panels = CeilOf(right.count, kPanel);
  const auto pack_tiles = [&](const Group& group, uint32_t* packed) {
    SCANLINE_CALL(PackTiles<T>, left, group, packed, sums);
    return Packed{packed, group};
  };
  const auto pack_panels = [&](const Group& group, uint32_t* packed) {
    SCANLINE_CALL(PackPanels<T>, right, group, packed);
    return Packed{packed, group};
  };
  const int64_t tile = cells * kTile, panel = cells * kPanel;
  if (SharesTiles(left.count, right.count)) {
    ForEachGroup(tiles, tile, [&](const Group& group, const Group&) { pack_tiles(group, shared + group.first * tile); });
    ForEachGroup(panels, panel, [&](const Group& group, const Group& next) {
      const Packed packed = pack_panels(group, Scratch<uint32_t>(group.count * panel));
      const Ahead ahead = LinesOf(right, next, kPanel);
      SCANLINE_CALL(MultiplyFactors<T>, Packed{shared, {0, tiles}}, packed, true, left.depth, ahead, result);
    });
  } else {
    ForEachGroup(panels, panel, [&](const Group& group, const Group&) { pack_panels(group, shared + group.first * panel); });
    ForEachGroup(tiles, tile, [&](const Group& group, const Group& next) {
      const Packed packed = pack_tiles(group, Scratch<uint32_t>(group.count * tile));
      const Ahead ahead = LinesOf(left, next, kTile);
      SCANLINE_CALL(MultiplyFactors<T>, packed, Packed{shared, {0, panels}}, false, left.depth, ahead, result);
    });
  }
}

// The result of left times right. `shared` has room for SharedCells. `sums`: where given, each left factor's values along the sum are added
// up there.
template <typename T, typename L, typename R, typename Y>
void Multiply(const Factors<L>& left, const Factors<R>& right, uint32_t* shared, const Result<Y>& result, float* sums = nullptr) {
  const int64_t depth = left.depth, parts = PartsOf<Y>(depth);
  for (int64_t part = 0; part < parts; part++) {
    const int64_t first = part * depth / parts, count = (part + 1) * depth / parts - first;
    Result<Y> now = result;
    now.add = part > 0;
    if (part > 0) now.bias = nullptr;
    if (part + 1 < parts) now.z = nullptr;
    MultiplyPart<T>(PartOf(left, first, count), PartOf(right, first, count), shared, now, sums);
  }
}

// What the kernels of this file know of a layer: x [..., inputs], weight [outputs, inputs].
struct Sizes {
  int64_t rows, inputs, outputs;
  Sizes(const Tensor& x, int64_t outputs) : rows(Matrix(x).rows), inputs(Matrix(x).columns), outputs(outputs) {}
};

template <typename T>
class Linear {
 public:
  explicit Linear(TF_OpKernelConstruction* construction) : gelu_(BoolAttribute(construction, "gelu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), weight = call.Input(1), bias = call.Input(2);
    if (call.Failed()) return;
    const Sizes sizes(x, Matrix(weight).rows);
    call.ExpectMatrix("weight", weight, sizes.outputs, sizes.inputs);
    call.ExpectLength("bias", bias, sizes.outputs, "outputs");
    if (call.Failed()) return;
    const Tensor y = call.OutputWithLastAxis(0, x, sizes.outputs);
    const Tensor shared = call.Temporary(SharedCells<T, T>(sizes.rows, sizes.outputs, sizes.inputs));
    if (call.Failed()) return;
    const Factors<T> left{Data<T>(x), sizes.rows, sizes.inputs, sizes.inputs, 0, true, gelu_};
    const Factors<float> right{Data<float>(weight), sizes.outputs, sizes.inputs, sizes.inputs, 0, true, false};
    Multiply<T>(left, right, Data<uint32_t>(shared), Result<T>{Data<T>(y), sizes.rows, sizes.outputs, Data<float>(bias), nullptr, false});
  }

 private:
  const bool gelu_;
};

// dx = dy w, times the gradient of the GELU
template <typename T>
class LinearGradInput {
 public:
  explicit LinearGradInput(TF_OpKernelConstruction* construction) : gelu_(BoolAttribute(construction, "gelu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor dy = call.Input(0), weight = call.Input(1), x = call.Input(2);
    if (call.Failed()) return;
    const Sizes sizes(x, Matrix(weight).rows);
    call.ExpectMatrix("weight", weight, sizes.outputs, sizes.inputs);
    call.ExpectMatrix("dy", dy, sizes.rows, sizes.outputs);
    if (call.Failed()) return;
    const Tensor dx = call.OutputLike(0, x);
    const Tensor shared = call.Temporary(SharedCells<T, T>(sizes.rows, sizes.inputs, sizes.outputs));
    if (call.Failed()) return;
    const Factors<T> left{Data<T>(dy), sizes.rows, sizes.outputs, sizes.outputs, 0, true, false};
    const Factors<float> right{Data<float>(weight), sizes.inputs, sizes.outputs, sizes.inputs, sizes.inputs, false, false};
    const Result<T> result{Data<T>(dx), sizes.rows, sizes.inputs, nullptr, gelu_ ? Data<T>(x) : nullptr, false};
    Multiply<T>(left, right, Data<uint32_t>(shared), result);
  }

 private:
  const bool gelu_;
};

// dw = dy^T x, where x may go through the GELU, and the sums of dy
template <typename T>
class LinearGradWeight {
 public:
  explicit LinearGradWeight(TF_OpKernelConstruction* construction) : gelu_(BoolAttribute(construction, "gelu")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor dy = call.Input(0), x = call.Input(1);
    if (call.Failed()) return;
    const Sizes sizes(x, Matrix(dy).columns);
    call.ExpectMatrix("dy", dy, sizes.rows, sizes.outputs);
    if (call.Failed()) return;
    const Tensor dweight = call.OutputMatrix(0, sizes.outputs, sizes.inputs), dbias = call.OutputVector(1, sizes.outputs);
    const Tensor shared = call.Temporary(SharedCells<T, float>(sizes.outputs, sizes.inputs, sizes.rows));
    if (call.Failed()) return;
    std::fill_n(Data<float>(dbias), sizes.outputs, 0.0f);
    const Factors<T> left{Data<T>(dy), sizes.outputs, sizes.rows, sizes.outputs, sizes.outputs, false, false};
    const Factors<T> right{Data<T>(x), sizes.inputs, sizes.rows, sizes.inputs, sizes.inputs, false, gelu_};
    const Result<float> result{Data<float>(dweight), sizes.outputs, sizes.inputs, nullptr, nullptr, false};
    Multiply<T>(left, right, Data<uint32_t>(shared), result, Data<float>(dbias));
  }

 private:
  const bool gelu_;
};

void LinearShape(TF_ShapeInferenceContext* context, TF_Status* status) { SetAxes(context, 0, {{0, 0, -1}, {1, 0, 1}}, status); }

void LinearGradWeightShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  SetAxes(context, 0, {{0, -1, INT64_MAX}, {1, -1, INT64_MAX}}, status);
  SetAxes(context, 1, {{0, -1, INT64_MAX}}, status);
}

}  // namespace

void RegisterLinear() {
  Register<Linear>({"ScanlineLinear", {"x: T", "weight: float", "bias: float"}, {"y: T"}, {"gelu: bool"}, LinearShape});
  Register<LinearGradInput>({"ScanlineLinearGradInput", {"dy: T", "weight: float", "x: T"}, {"dx: T"}, {"gelu: bool"}, Shapes<2>});
  Register<LinearGradWeight>(
      {"ScanlineLinearGradWeight", {"dy: T", "x: T"}, {"dweight: float", "dbias: float"}, {"gelu: bool"}, LinearGradWeightShape});
}

}  // namespace scanline
