// The fully connected layer, y = x w^T + bias, and its gradients; x may go through a GELU first, which is never stored.
//
// One factor of a product is packed for all threads, or read where it is if its cells are there; each thread packs some of the other into its
// own second cache, and multiplies it with all of that, while the next of it come from memory. What a value of the result is summed up from,
// and in which order, does not depend on the threads.
//
// Large products in float32 are Strassen's (strassen.h) in training. A row of their result depends, by rounding, on the other rows too: so it
// is not theirs where a model predicts, whose answer for one image must not change with those that share its batch.
#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "../kernel.h"
#include "../parallel.h"
#include "../scratch.h"
#include "product.h"
#include "strassen.h"

namespace scanline {

namespace {

// Tiles or panels: `count`, from number `first` on.
struct Group {
  int64_t first, count;
};
struct Packed {
  const uint32_t* cells;
  Group group;
  // of tiles that are left as they are: cells from one row to the next, which follow each other in a row
  int64_t stride = 0;
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
const int64_t kKept = std::max<int64_t>(256 << 10, sysconf(_SC_LEVEL2_CACHE_SIZE) / 16 * 11);
// A thread takes so much of what is left at a time: one of so many parts for each thread.
constexpr int64_t kPartsOfThread = 2;
// What is summed over more than that is summed in parts, each added to those before, for a float32 result.
constexpr int64_t kDepthOfSum = 1536;
// Below that in any direction, Strassen's algorithm spends more on sums than it saves.
constexpr int64_t kStrassenLeast = 640;

// The tiles or panels of a factor, and the cells of each. One of Strassen's algorithm is two of them, as factors of all terms.
struct Cut {
  int64_t count, cells;
};

template <typename T>
Cut CutOf(int64_t numbers, int64_t width, int64_t depth, bool strassen) {
  return strassen ? Cut{CeilOf(numbers, 2 * width), kTerms * CeilOf(depth, 2) * width} : Cut{CeilOf(numbers, width), Cells<T>(depth) * width};
}

// Shares tiles or panels among threads: groups of no more than stay in the second cache, and smaller ones the less is left (guided
// self-scheduling, https://doi.org/10.1109/TC.1987.5009495), so that no thread waits long for another that gets less of its core. Calls
// body(group, the group that the same thread will most likely be given next).
template <typename Body>
void ForEachGroup(const Cut& cut, const Body& body) {
  const int64_t count = cut.count, threads = KernelThreads();
  const int64_t most = std::max<int64_t>(1, kKept / static_cast<int64_t>((cut.cells + 1) * sizeof(uint32_t)));
  std::vector<int64_t> begins{0};
  while (begins.back() < count) {
    const int64_t left = count - begins.back();
    begins.push_back(begins.back() + std::clamp<int64_t>(left / (kPartsOfThread * threads), 1, most));
  }
  const int64_t tasks = static_cast<int64_t>(begins.size()) - 1;
  const auto group_of = [&](int64_t task) {
    return task < tasks ? Group{begins[task], begins[task + 1] - begins[task]} : Group{count, 0};
  };
  ParallelFor(tasks, [&](int64_t task) { body(group_of(task), group_of(task + threads)); });
}

// How the product of so many left factors of T, the rows of its result, and right ones becomes a result of Y.
template <typename T, typename Y>
struct Plan {
  // Left factors are activations, most of them still in a cache: rather than weights, which come from memory and can do so while others are
  // multiplied, they are packed for all, if they are not too many.
  const bool shares_tiles;
  const bool strassen;
  // of the sum; half of a bfloat16's digits would be lost between two
  const int64_t parts;
  // what is packed for all
  const Cut shared;

  Plan(int64_t rows, int64_t columns, int64_t depth, bool may_be_strassen)
      : shares_tiles(rows < 2 * columns),
        strassen(may_be_strassen && std::is_same_v<T, float> && std::min({rows, columns, depth}) >= kStrassenLeast),
        parts(std::is_same_v<Y, float> ? std::max<int64_t>(1, CeilOf(depth, kDepthOfSum)) : 1),
        shared(CutOf<T>(shares_tiles ? rows : columns, shares_tiles ? kTile : kPanel, CeilOf(depth, parts), strassen)) {}
  int64_t SharedCells() const { return shared.count * shared.cells; }
};

// Where the factors of some tiles or panels of so many each lie.
template <typename S>
Ahead LinesOf(const Factors<S>& factors, const Group& group, int64_t of_each) {
  const int64_t begin = group.first * of_each, there = std::clamp<int64_t>(factors.count - begin, 0, group.count * of_each);
  const int64_t rows = factors.along ? there : factors.depth, values = factors.along ? factors.depth : there;
  const S* first = factors.values + begin * (factors.along ? factors.stride : 1);
  constexpr int64_t bytes = sizeof(S);
  return {reinterpret_cast<const char*>(first), there == 0 ? 0 : rows, values * bytes, factors.stride * bytes};
}

// Whether left factors can be read as cells where they are. Rows that are not there must not be read, not even for the next multiple of four.
template <typename T, typename L>
bool AreCells(const Factors<L>& left) {
  if (!left.along || left.gelu || left.count % 4 != 0) return false;
  if (std::is_same_v<T, float>) return std::is_same_v<L, float>;
  // two in a cell
  return kFamily == Family::kAvx512Bf16 && left.depth % 2 == 0 && left.stride % 2 == 0;
}

// One part of Multiply.
template <bool strassen, typename T, typename L, typename R, typename Y>
void MultiplyPart(const Plan<T, Y>& plan, const Factors<L>& left, const Factors<R>& right, uint32_t* shared, const Result<Y>& result, float* sums) {
  const Cut tiles = CutOf<T>(left.count, kTile, left.depth, strassen), panels = CutOf<T>(right.count, kPanel, right.depth, strassen);
  const auto pack_tiles = [&](const Group& group, uint32_t* packed) {
    if constexpr (strassen) {
      SCANLINE_CALL(PackTileTerms, left, group, tiles.count, packed, sums);
    } else {
      SCANLINE_CALL(PackTiles<T>, left, group, packed, sums);
    }
  };
  const auto pack_panels = [&](const Group& group, uint32_t* packed) {
    if constexpr (strassen) {
      SCANLINE_CALL(PackPanelTerms, right, group, panels.count, packed);
    } else {
      SCANLINE_CALL(PackPanels<T>, right, group, packed);
    }
  };
  // `next`: what will be packed then, whose lines are fetched meanwhile; of all factors of that side
  const auto multiply = [&](const Packed& some_tiles, const Packed& some_panels, const auto& factors, const Cut& cut, const Group& next) {
    const int64_t width = plan.shares_tiles ? kPanel : kTile;
    if constexpr (strassen) {
      const Ahead ahead[2] = {LinesOf(factors, next, width), LinesOf(factors, {next.first + cut.count, next.count}, width)};
      SCANLINE_CALL(MultiplyTerms, some_tiles, tiles.count, some_panels, panels.count, plan.shares_tiles, CeilOf(left.depth, 2), ahead, result);
    } else {
      SCANLINE_CALL(MultiplyFactors<T>, some_tiles, some_panels, plan.shares_tiles, left.depth, LinesOf(factors, next, width), result);
    }
  };
  if (plan.shares_tiles) {
    Packed all{shared, {0, tiles.count}};
    if (!strassen && AreCells<T>(left)) {
      all.cells = reinterpret_cast<const uint32_t*>(left.values);
      all.stride = left.stride * sizeof(L) / sizeof(uint32_t);
    } else {
      ForEachGroup(tiles, [&](const Group& group, const Group&) { pack_tiles(group, shared + group.first * tiles.cells); });
    }
    ForEachGroup(panels, [&](const Group& group, const Group& next) {
      uint32_t* packed = Scratch<uint32_t>(group.count * panels.cells);
      pack_panels(group, packed);
      multiply(all, {packed, group}, right, panels, next);
    });
  } else {
    ForEachGroup(panels, [&](const Group& group, const Group&) { pack_panels(group, shared + group.first * panels.cells); });
    ForEachGroup(tiles, [&](const Group& group, const Group& next) {
      uint32_t* packed = Scratch<uint32_t>(group.count * tiles.cells);
      pack_tiles(group, packed);
      multiply({packed, group}, {shared, {0, panels.count}}, left, tiles, next);
    });
  }
}

// The result of left times right. `shared` has room for the plan's SharedCells. `sums`: where given, each left factor's values along the sum
// are added up there.
template <typename T, typename L, typename R, typename Y>
void Multiply(const Plan<T, Y>& plan, const Factors<L>& left, const Factors<R>& right, uint32_t* shared, const Result<Y>& result,
              float* sums = nullptr) {
  for (int64_t part = 0; part < plan.parts; part++) {
    const int64_t first = part * left.depth / plan.parts, count = (part + 1) * left.depth / plan.parts - first;
    Result<Y> now = result;
    now.add = part > 0;
    if (part > 0) now.bias = nullptr;
    if (part + 1 < plan.parts) now.z = nullptr;
    const auto go = [&](auto strassen) {
      MultiplyPart<strassen>(plan, PartOf(left, first, count), PartOf(right, first, count), shared, now, sums);
    };
    if constexpr (std::is_same_v<T, float>) {
      if (plan.strassen) {
        go(std::true_type());
        continue;
      }
    }
    go(std::false_type());
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
  explicit Linear(TF_OpKernelConstruction* construction)
      : gelu_(BoolAttribute(construction, "gelu")), training_(BoolAttribute(construction, "training")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), weight = call.Input(1), bias = call.Input(2);
    if (call.Failed()) return;
    const Sizes sizes(x, Matrix(weight).rows);
    call.ExpectMatrix("weight", weight, sizes.outputs, sizes.inputs);
    call.ExpectLength("bias", bias, sizes.outputs, "outputs");
    if (call.Failed()) return;
    const Tensor y = call.OutputWithLastAxis(0, x, sizes.outputs);
    const Plan<T, T> plan(sizes.rows, sizes.outputs, sizes.inputs, training_);
    const Tensor shared = call.Temporary(plan.SharedCells());
    if (call.Failed()) return;
    const Factors<T> left{Data<T>(x), sizes.rows, sizes.inputs, sizes.inputs, 0, true, gelu_};
    const Factors<float> right{Data<float>(weight), sizes.outputs, sizes.inputs, sizes.inputs, 0, true, false};
    const Result<T> result{Data<T>(y), sizes.rows, sizes.outputs, Data<float>(bias), nullptr, false};
    Multiply(plan, left, right, Data<uint32_t>(shared), result);
  }

 private:
  const bool gelu_, training_;
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
    const Plan<T, T> plan(sizes.rows, sizes.inputs, sizes.outputs, true);
    const Tensor shared = call.Temporary(plan.SharedCells());
    if (call.Failed()) return;
    const Factors<T> left{Data<T>(dy), sizes.rows, sizes.outputs, sizes.outputs, 0, true, false};
    const Factors<float> right{Data<float>(weight), sizes.inputs, sizes.outputs, sizes.inputs, sizes.inputs, false, false};
    const Result<T> result{Data<T>(dx), sizes.rows, sizes.inputs, nullptr, gelu_ ? Data<T>(x) : nullptr, false};
    Multiply(plan, left, right, Data<uint32_t>(shared), result);
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
    const Plan<T, float> plan(sizes.outputs, sizes.inputs, sizes.rows, true);
    const Tensor shared = call.Temporary(plan.SharedCells());
    if (call.Failed()) return;
    std::fill_n(Data<float>(dbias), sizes.outputs, 0.0f);
    const Factors<T> left{Data<T>(dy), sizes.outputs, sizes.rows, sizes.outputs, sizes.outputs, false, false};
    const Factors<T> right{Data<T>(x), sizes.inputs, sizes.rows, sizes.inputs, sizes.inputs, false, gelu_};
    const Result<float> result{Data<float>(dweight), sizes.outputs, sizes.inputs, nullptr, nullptr, false};
    Multiply(plan, left, right, Data<uint32_t>(shared), result, Data<float>(dbias));
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
  Register<Linear>({"ScanlineLinear", {"x: T", "weight: float", "bias: float"}, {"y: T"}, {"gelu: bool", "training: bool"}, LinearShape});
  Register<LinearGradInput>({"ScanlineLinearGradInput", {"dy: T", "weight: float", "x: T"}, {"dx: T"}, {"gelu: bool"}, Shapes<2>});
  Register<LinearGradWeight>(
      {"ScanlineLinearGradWeight", {"dy: T", "x: T"}, {"dweight: float", "dbias: float"}, {"gelu: bool"}, LinearGradWeightShape});
}

}  // namespace scanline
