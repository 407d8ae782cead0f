// Scaled dot-product self-attention (Vaswani et al., https://arxiv.org/abs/1706.03762) whose weights are never stored: of each query only the
// logarithm of the sum of its weights is kept, from which the gradient computes them again (Dao et al., https://arxiv.org/abs/2205.14135).
//
// A thread takes a head of a sample, and of it a panel of queries at once. Scores lie with a row for each key, so that what is worked out
// for a query is worked out for all queries of a strip, and the weights are there as the next product's right factors.
#include <immintrin.h>

#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"
#include "../scratch.h"
#include "product.h"

namespace scanline {

namespace {

// One head of one sample. Queries, keys and values of a token lie `part` values apart. The first `queries` of the `length` tokens ask.
template <typename T>
struct Head {
  int64_t length, queries, size, heads, part;
  // of all queries of a token, number of the head's first
  int64_t first;
  float scale;
  // from one token to the next, in qkv and in y
  int64_t stride, y_stride;
  const T* qkv;
  T* y;
  // of each token and head
  float* level;
};

template <typename T>
struct HeadGrad {
  Head<T> head;
  const T* dy;
  T* dqkv;
};

// A thread's memory.
struct Room {
  uint32_t *keys, *values, *key_columns, *panel, *weights, *weight_rows, *dscore_rows;
  float *scores, *dweights, *dkeys, *dvalues;
};

#define SCANLINE_LOOPS "../products/attention_loops.h"
#include "../vectors/families.h"

Room MakeRoom(int64_t length, int64_t size, bool grad) {
  const int64_t tokens = CeilOf(length, kPanel) * kPanel + kTile, values = CeilOf(size, kPanel) * kPanel + kTile;
  const int64_t both = tokens * values, scores = std::max(tokens, values) * kPanel;
  uint32_t* next = Scratch<uint32_t>((grad ? 5 : 2) * both + (grad ? 5 : 2) * scores + kPanel * std::max(tokens, values));
  const auto take = [&](int64_t cells) {
    uint32_t* taken = next;
    next += cells;
    return taken;
  };
  const auto take_floats = [&](int64_t count) { return reinterpret_cast<float*>(take(count)); };
  Room room{};
  room.keys = take(both);
  room.values = take(both);
  room.panel = take(kPanel * std::max(tokens, values));
  room.weights = take(scores);
  room.scores = take_floats(scores);
  if (!grad) return room;
  room.key_columns = take(both);
  room.weight_rows = take(scores);
  room.dscore_rows = take(scores);
  room.dweights = take_floats(scores);
  room.dkeys = take_floats(both);
  room.dvalues = take_floats(both);
  return room;
}

// The axes of qkv [N, length, 3, heads, size].
struct Sizes {
  int64_t count = 0, length = 0, heads = 0, size = 0, queries = 0;
  // `asked`: how many of the tokens ask, told as a number or as an axis of dy
  template <typename Asked>
  Sizes(Call& call, const Tensor& qkv, const Asked& asked) {
    if (!call.ok()) return;
    if (TF_NumDims(qkv.get()) != 5 || TF_Dim(qkv.get(), 2) != 3) {
      call.Fail("qkv is to be queries, keys and values, [N, tokens, 3, heads, size]");
      return;
    }
    count = TF_Dim(qkv.get(), 0), length = TF_Dim(qkv.get(), 1), heads = TF_Dim(qkv.get(), 3), size = TF_Dim(qkv.get(), 4);
    queries = asked();
    if (queries < 1 || queries > length)
      call.Fail(std::to_string(queries) + " tokens are to ask; of " + std::to_string(length) + " it can be 1 to " + std::to_string(length));
  }
  int64_t width() const { return heads * size; }

  template <typename T>
  Head<T> At(int64_t block, const T* qkv, T* y, float* level) const {
    const int64_t n = block / heads, head = block % heads;
    return {length,
            queries,
            size,
            heads,
            width(),
            head * size,
            1 / std::sqrt(static_cast<float>(size)),
            3 * width(),
            width(),
            qkv + n * length * 3 * width() + head * size,
            y + n * queries * width() + head * size,
            level + n * queries * heads + head};
  }
};

template <typename T>
class Attention {
 public:
  explicit Attention(TF_OpKernelConstruction* construction) : queries_(IntAttribute(construction, "queries")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor qkv = call.Input(0);
    const Sizes sizes(call, qkv, [&] { return queries_; });
    if (call.Failed()) return;
    const Tensor y = call.OutputOf(0, qkv, {sizes.count, sizes.queries, sizes.heads, sizes.size});
    const Tensor level = call.OutputFloats(1, {sizes.count, sizes.queries, sizes.heads});
    if (call.Failed()) return;
    ParallelFor(sizes.count * sizes.heads, [&](int64_t block) {
      const Room room = MakeRoom(sizes.length, sizes.size, false);
      SCANLINE_CALL(Attend, sizes.At(block, Data<T>(qkv), Data<T>(y), Data<float>(level)), room);
    });
  }

 private:
  const int64_t queries_;
};

template <typename T>
class AttentionGrad {
 public:
  explicit AttentionGrad(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor dy = call.Input(0), qkv = call.Input(1), y = call.Input(2), level = call.Input(3);
    const Sizes sizes(call, qkv, [&] { return TF_NumDims(dy.get()) == 4 ? TF_Dim(dy.get(), 1) : 0; });
    call.ExpectMatrix("dy", dy, sizes.count * sizes.queries * sizes.heads, sizes.size);
    call.ExpectMatrix("y", y, sizes.count * sizes.queries * sizes.heads, sizes.size);
    call.ExpectMatrix("level", level, sizes.count * sizes.queries, sizes.heads);
    if (call.Failed()) return;
    const Tensor dqkv = call.OutputLike(0, qkv);
    if (call.Failed()) return;
    ParallelFor(sizes.count * sizes.heads, [&](int64_t block) {
      const Room room = MakeRoom(sizes.length, sizes.size, true);
      const Head<T> head = sizes.At(block, Data<T>(qkv), Data<T>(y), Data<float>(level));
      const HeadGrad<T> grad{head, Data<T>(dy) + (head.y - Data<T>(y)), Data<T>(dqkv) + (head.qkv - Data<T>(qkv))};
      SCANLINE_CALL(AttendGrad, grad, room);
    });
  }
};

}  // namespace

void RegisterAttention() {
  Register<Attention>({"ScanlineAttention", {"qkv: T"}, {"y: T", "level: float"}, {"queries: int"}, UnknownShapes});
  Register<AttentionGrad>({"ScanlineAttentionGrad", {"dy: T", "qkv: T", "y: T", "level: float"}, {"dqkv: T"}, {}, Shapes<1>});
}

}  // namespace scanline
