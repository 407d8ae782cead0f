// Layer normalisation over the last axis, forward and backward.
#include <immintrin.h>

#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"
#include "../vectors/rows.h"

namespace scanline {

namespace {

constexpr int64_t kBlockRows = 64;

int64_t BlockCount(int64_t rows) { return (rows + kBlockRows - 1) / kBlockRows; }

#define SCANLINE_LOOPS "../norms/layer_norm_loops.h"
#include "../vectors/families.h"

template <typename T>
class LayerNorm {
 public:
  explicit LayerNorm(TF_OpKernelConstruction* construction) : epsilon_(FloatAttribute(construction, "epsilon")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), scale = call.Input(1), offset = call.Input(2);
    if (call.Failed()) return;
    const Matrix shape(x);
    call.ExpectLength("scale", scale, shape.columns, "columns");
    call.ExpectLength("offset", offset, shape.columns, "columns");
    if (call.Failed()) return;
    const Tensor y = call.OutputLike(0, x), mean = call.OutputRows(1, x), inverse = call.OutputRows(2, x);
    if (call.Failed()) return;
    ParallelFor(BlockCount(shape.rows), [&](int64_t block) {
      const int64_t begin = block * kBlockRows, rows = std::min(kBlockRows, shape.rows - begin);
      const int64_t start = begin * shape.columns;
      const Tile<T> tile{rows, shape.columns, shape.columns, Data<T>(x) + start};
      SCANLINE_CALL(NormalizeRows, tile, Data<T>(y) + start, Data<float>(scale), Data<float>(offset), epsilon_, Data<float>(mean) + begin,
                    Data<float>(inverse) + begin);
    });
  }

 private:
  const float epsilon_;
};

template <typename T>
class LayerNormGrad {
 public:
  explicit LayerNormGrad(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor x = call.Input(1), scale = call.Input(2), mean = call.Input(3), inverse = call.Input(4);
    if (call.Failed()) return;
    const Matrix shape(x);
    const int64_t columns = shape.columns;
    call.ExpectMatrix("dy", dy, shape.rows, columns);
    call.ExpectLength("scale", scale, columns, "columns");
    call.ExpectLength("mean", mean, shape.rows, "rows");
    call.ExpectLength("inverse", inverse, shape.rows, "rows");
    if (call.Failed()) return;
    const T* gradients = Data<T>(dy);
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input.
    dy.reset();
    const Tensor dx = call.OutputLike(0, x, 0), dscale = call.OutputVector(1, columns), doffset = call.OutputVector(2, columns);
    if (call.Failed()) return;
    const int64_t blocks = BlockCount(shape.rows);
    std::vector<float> partial(blocks * 2 * columns);
    ParallelFor(blocks, [&](int64_t block) {
      float* sums = partial.data() + block * 2 * columns;
      const int64_t begin = block * kBlockRows, rows = std::min(kBlockRows, shape.rows - begin);
      const int64_t start = begin * columns;
      const Tile<T> tile{rows, columns, columns, Data<T>(x) + start};
      SCANLINE_CALL(LayerNormGradOfRows, tile, gradients + start, Data<T>(dx) + start, Data<float>(scale), Data<float>(mean) + begin,
                    Data<float>(inverse) + begin, sums, sums + columns);
    });
    std::fill_n(Data<float>(dscale), columns, 0.0f);
    std::fill_n(Data<float>(doffset), columns, 0.0f);
    for (int64_t block = 0; block < blocks; block++) {
      const float* sums = partial.data() + block * 2 * columns;
      for (int64_t c = 0; c < columns; c++) {
        Data<float>(dscale)[c] += sums[c];
        Data<float>(doffset)[c] += sums[columns + c];
      }
    }
  }
};

}  // namespace

void RegisterLayerNorm() {
  Register<LayerNorm>({"ScanlineLayerNorm",
                       {"x: T", "scale: float", "offset: float"},
                       {"y: T", "mean: float", "inverse: float"},
                       {"epsilon: float"},
                       Shapes<0, kAllButLastAxis, kAllButLastAxis>});
  Register<LayerNormGrad>({"ScanlineLayerNormGrad",
                           {"dy: T", "x: T", "scale: float", "mean: float", "inverse: float"},
                           {"dx: T", "dscale: float", "doffset: float"},
                           {},
                           Shapes<0, kLastAxis, kLastAxis>});
}

}  // namespace scanline
