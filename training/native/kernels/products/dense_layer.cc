// What a layer of DenseNet does with all features so far (Huang et al., https://arxiv.org/abs/1608.06993): batch normalisation, ReLU and a
// 1 x 1 convolution of their concatenation, which is never made, nor is what is normalised. Backward, the gradients of the features are added
// to where they lie.
//
// The gradient of a normalised x is a * g + k * x + l, of which a is known before the sums over all rows that k and l are made of. So
// a * g is added at once, and k and l are summed over the layers: a feature is read and written once for each layer that reads it, and
// once more at the end (ScanlineAddMultiple).
#include <immintrin.h>

#include <algorithm>

#include "../kernel.h"
#include "../norms/batch_norm.h"
#include "../parallel.h"
#include "../scratch.h"
#include "product.h"

namespace scanline {

namespace {

// One panel of channels of some rows: what is read, written and added to for it.
template <typename T>
struct Panel {
  int64_t rows, channels, filters;
  // of the channels
  const float *a, *b, *mean;
  float *sum, *product;
  // x and d [rows, channels], whose rows are so far apart
  int64_t stride;
  const T *x, *d;
  T* dx;
  // weight: the right factors of this panel; dweight [channels, filters]
  const uint32_t* weight;
  float* dweight;
};

#define SCANLINE_LOOPS "../products/dense_layer_loops.h"
#include "../vectors/families.h"

// Rows that a thread takes at once, so that their factors and the weight stay in its second cache.
constexpr int64_t kRows = 128, kRowsOfMany = 64, kMany = 512;
// Backward, each range of rows and chunk of channels has sums of its own, whatever the number of threads.
constexpr int64_t kRanges = 16, kRowsOfRange = 4096, kChunk = 256;

// The number of filters of a weight [1, 1, C, F].
template <typename T>
int64_t FiltersOf(Call& call, const Tensor& weight, const Pieces<T>& x) {
  if (!call.ok()) return 0;
  const Matrix shape(weight);
  call.ExpectMatrix("weight", weight, x.columns(), shape.columns);
  bool strips = shape.columns % kStrip == 0;
  for (const Piece<T>& piece : x.list()) strips &= piece.columns % kStrip == 0;
  if (call.ok() && !strips) call.Fail("a dense layer of own kernels takes multiples of 16 channels and filters");
  return shape.columns;
}

template <typename T>
class NormalizedProduct {
 public:
  explicit NormalizedProduct(TF_OpKernelConstruction* construction)
      : epsilon_(FloatAttribute(construction, "epsilon")), momentum_(FloatAttribute(construction, "momentum")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor weight = call.Input(4);
    const Batch<T> batch(call, 5);
    if (call.Failed()) return;
    const Pieces<T>& x = batch.x();
    const int64_t depth = x.columns(), filters = FiltersOf(call, weight, x);
    if (call.Failed()) return;
    const Tensor y = call.OutputWithLastAxis(0, x.list()[0].tensor, filters);
    const Tensor new_mean = call.OutputVector(1, depth), new_variance = call.OutputVector(2, depth);
    const Tensor mean = call.OutputVector(3, filters), variance = call.OutputVector(4, filters);
    if (call.Failed()) return;

    std::vector<float> a(depth), b(depth);
    batch.ToCoefficients(epsilon_, a.data(), b.data());
    batch.UpdateRunning(momentum_, new_mean, new_variance);
    std::vector<uint32_t> packed(depth * filters);
    const auto width_of = [&](int64_t panel) { return std::min(kPanel, filters - panel * kPanel); };
    const int64_t panels = CeilOf(filters, kPanel);
    ParallelFor(panels, [&](int64_t panel) {
      const int64_t first = panel * kPanel;
      SCANLINE_CALL(PackRows<T>, Data<float>(weight) + first, filters, depth, width_of(panel), packed.data() + first * depth);
    });
    const Blocks blocks(x.rows(), 1, depth > kMany ? kRowsOfMany : kRows);
    std::vector<float> partial(blocks.count * 3 * filters);
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t first = blocks.begin(block), rows = blocks.length(block);
      uint32_t* factors = Scratch<uint32_t>(rows * depth);
      for (const Piece<T>& piece : x.list()) {
        const Tile<T> tile{rows, piece.columns, depth, Data<T>(piece.tensor) + first * piece.columns};
        SCANLINE_CALL(ActivatedRows, tile, a.data() + piece.offset, b.data() + piece.offset, factors, piece.offset);
      }
      T* results = Data<T>(y) + first * filters;
      for (int64_t panel = 0; panel < panels; panel++) {
        SCANLINE_CALL(RowsTimesPanel, factors, rows, depth, packed.data() + panel * kPanel * depth, width_of(panel),
                      results + panel * kPanel, filters);
      }
      float* found = partial.data() + block * 3 * filters;
      const Tile<T> tile{rows, filters, filters, results};
      SCANLINE_CALL(Moments, tile, found, found + filters, found + 2 * filters);
    });
    CombineMoments(partial, blocks, filters, Data<float>(mean), Data<float>(variance));
  }

 private:
  const double epsilon_, momentum_;
};

// Some channels of one tensor of the list.
struct Group {
  size_t piece;
  // the first of them within their tensor, and among all
  int64_t first, channel, channels;
};

// All channels of the list in groups of a panel at most, and these in chunks.
template <typename T>
std::vector<std::vector<Group>> ChunksOf(const Pieces<T>& x) {
  std::vector<std::vector<Group>> chunks;
  int64_t channels = kChunk;
  for (size_t i = 0; i < x.list().size(); i++) {
    const Piece<T>& piece = x.list()[i];
    for (int64_t first = 0; first < piece.columns; first += kPanel) {
      if (channels >= kChunk) {
        chunks.emplace_back();
        channels = 0;
      }
      chunks.back().push_back({i, first, piece.offset + first, std::min(kPanel, piece.columns - first)});
      channels += chunks.back().back().channels;
    }
  }
  return chunks;
}

// dx = d + a * g for each tensor of a list, where g is the gradient of its normalised values; and the sums that the rest is made of.
template <typename T>
class NormalizedProductGrad {
 public:
  explicit NormalizedProductGrad(TF_OpKernelConstruction* construction) : epsilon_(FloatAttribute(construction, "epsilon")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor g = call.Input(0), z = call.Input(1), ga = call.Input(2), gk = call.Input(3), gl = call.Input(4);
    const Tensor weight = call.Input(5), scale = call.Input(6), offset = call.Input(7), old_k = call.Input(8), old_l = call.Input(9);
    const Pieces<T> x(call, 10, 1);
    const int64_t rows = x.rows(), columns = x.columns(), filters = FiltersOf(call, weight, x);
    for (const auto& [name, tensor] : {std::pair("g", &g), std::pair("z", &z)}) call.ExpectMatrix(name, *tensor, rows, filters);
    for (const Tensor* tensor : {&ga, &gk, &gl}) call.ExpectLength("a, k or l", *tensor, filters, "filters");
    for (const Tensor* tensor : {&scale, &offset}) call.ExpectLength("scale or offset", *tensor, columns, "channels");
    ExpectAtLeast(call, old_k, columns);
    ExpectAtLeast(call, old_l, columns);
    if (call.Failed()) return;
    const Tensor dweight = call.OutputLike(0, weight), dscale = call.OutputVector(1, columns), doffset = call.OutputVector(2, columns);
    const Tensor k = call.OutputVector(3, columns), l = call.OutputVector(4, columns);
    std::vector<Tensor> outputs;
    std::vector<const T*> d;
    for (size_t i = 0; i < x.list().size() && call.ok(); i++) {
      const int input = 10 + static_cast<int>(3 * x.list().size() + i), output = 5 + static_cast<int>(i);
      Tensor before = call.Input(input);
      call.ExpectMatrix("d", before, rows, x.list()[i].columns);
      if (!call.ok()) break;
      d.push_back(Data<T>(before));
      outputs.push_back(call.OutputInPlaceOf(output, before, input));
    }
    if (call.Failed()) return;

    GradCoefficients coefficients(x, scale, offset, epsilon_);
    const auto chunks = ChunksOf(x);
    std::vector<uint32_t> packed(columns * filters);
    ParallelFor(static_cast<int64_t>(chunks.size()), [&](int64_t chunk) {
      for (const Group& group : chunks[chunk]) {
        const int64_t first = group.channel * filters;
        SCANLINE_CALL(PackColumns<T>, Data<float>(weight) + first, filters, group.channels, packed.data() + first);
      }
    });
    const int64_t most = std::max<int64_t>(1, kRanges / static_cast<int64_t>(chunks.size()));
    const int64_t each = std::clamp<int64_t>(((rows + most - 1) / most + kRows - 1) / kRows * kRows, kRows, kRowsOfRange);
    const int64_t ranges = (rows + each - 1) / each;
    std::vector<float> sums(ranges * 2 * columns), dweights(ranges * columns * filters);
    ParallelFor(ranges * static_cast<int64_t>(chunks.size()), [&](int64_t task) {
      const int64_t range = task / static_cast<int64_t>(chunks.size());
      uint32_t* by_row = Scratch<uint32_t>(2 * kRows * (filters + kPanel) + 2 * kPanel);
      uint32_t *by_column = by_row + kRows * filters, *scratch = by_column + kRows * filters;
      for (int64_t first = range * each; first < std::min(rows, (range + 1) * each); first += kRows) {
        const int64_t count = std::min(kRows, std::min(rows, (range + 1) * each) - first);
        const Tile<T> tile{count, filters, filters, Data<T>(g) + first * filters};
        SCANLINE_CALL(GradientFactors, tile, Data<T>(z) + first * filters, Data<float>(ga), Data<float>(gk), Data<float>(gl), by_row,
                      by_column);
        for (const Group& group : chunks[task % static_cast<int64_t>(chunks.size())]) {
          const Piece<T>& piece = x.list()[group.piece];
          const int64_t place = first * piece.columns + group.first, channel = group.channel;
          float* sum = sums.data() + range * 2 * columns + channel;
          const Panel<T> panel{count,
                               group.channels,
                               filters,
                               coefficients.a.data() + channel,
                               coefficients.b.data() + channel,
                               Data<float>(piece.mean) + group.first,
                               sum,
                               sum + columns,
                               piece.columns,
                               Data<T>(piece.tensor) + place,
                               d[group.piece] + place,
                               Data<T>(outputs[group.piece]) + place,
                               packed.data() + channel * filters,
                               dweights.data() + (range * columns + channel) * filters};
          SCANLINE_CALL(PanelGradient, panel, by_row, by_column, scratch);
        }
      }
    });
    AddRanges(dweights, ranges, columns, filters, Data<float>(dweight));
    std::vector<double> sum, product;
    Combine(sums, ranges, columns, sum, product);
    coefficients.Finish(x, sum, product, epsilon_, dscale, doffset);
    for (int64_t c = 0; c < columns; c++) {
      Data<float>(k)[c] = Data<float>(old_k)[c] + coefficients.k[c];
      Data<float>(l)[c] = Data<float>(old_l)[c] + coefficients.l[c];
    }
  }

 private:
  static void ExpectAtLeast(Call& call, const Tensor& vector, int64_t columns) {
    if (call.ok() && TF_TensorElementCount(vector.get()) < columns) call.Fail("k or l has fewer values than there are channels");
  }

  static void AddRanges(const std::vector<float>& partial, int64_t ranges, int64_t columns, int64_t filters, float* result) {
    constexpr int64_t kColumns = 32;
    ParallelFor((columns + kColumns - 1) / kColumns, [&](int64_t block) {
      const int64_t end = std::min(columns, (block + 1) * kColumns) * filters;
      for (int64_t i = block * kColumns * filters; i < end; i++) {
        float sum = 0;
        for (int64_t range = 0; range < ranges; range++) sum += partial[range * columns * filters + i];
        result[i] = sum;
      }
    });
  }

  const double epsilon_;
};

// k and l of the gradient a * g + k * x + l of a batch normalisation, from the sums of g.
template <typename T>
class BatchNormGradCoefficients {
 public:
  explicit BatchNormGradCoefficients(TF_OpKernelConstruction* construction) : epsilon_(FloatAttribute(construction, "epsilon")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor sum = call.Input(0), product = call.Input(1), scale = call.Input(2), offset = call.Input(3);
    const Pieces<T> x(call, 4);
    const int64_t columns = x.columns();
    for (const Tensor* tensor : {&sum, &product, &scale, &offset}) call.ExpectLength("sum, product, scale or offset", *tensor, columns, "channels");
    if (call.Failed()) return;
    const Tensor dscale = call.OutputVector(0, columns), doffset = call.OutputVector(1, columns);
    const Tensor k = call.OutputVector(2, columns), l = call.OutputVector(3, columns);
    if (call.Failed()) return;
    GradCoefficients coefficients(x, scale, offset, epsilon_);
    coefficients.Finish(x, Data<float>(sum), Data<float>(product), epsilon_, dscale, doffset);
    std::copy_n(coefficients.k.data(), columns, Data<float>(k));
    std::copy_n(coefficients.l.data(), columns, Data<float>(l));
  }

 private:
  const double epsilon_;
};

// dx = d + k * x + l, where k and l end with the channels of x.
template <typename T>
class AddMultiple {
 public:
  explicit AddMultiple(TF_OpKernelConstruction*) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor d = call.Input(0);
    const Tensor x = call.Input(1), k = call.Input(2), l = call.Input(3);
    if (call.Failed()) return;
    const Matrix shape(x);
    call.ExpectMatrix("d", d, shape.rows, shape.columns);
    const int64_t all = TF_TensorElementCount(k.get()), skipped = all - shape.columns;
    if (call.ok() && skipped < 0) call.Fail("k has fewer values than there are channels");
    call.ExpectLength("l", l, all, "values of k");
    if (call.Failed()) return;
    const T* before = Data<T>(d);
    const Tensor dx = call.OutputInPlaceOf(0, d, 0);
    if (call.Failed()) return;
    const Blocks blocks(shape.rows, shape.columns);
    ParallelFor(blocks.count, [&](int64_t block) {
      const int64_t first = blocks.begin(block) * shape.columns;
      const Tile<T> tile{blocks.length(block), shape.columns, shape.columns, Data<T>(x) + first};
      SCANLINE_CALL(AddMultiple, tile, before + first, Data<float>(k) + skipped, Data<float>(l) + skipped, Data<T>(dx) + first);
    });
  }
};

void SetVectors(TF_ShapeInferenceContext* context, int first, int count, TF_ShapeHandle* shape, TF_Status* status) {
  for (int i = first; i < first + count; i++) TF_ShapeInferenceContextSetOutput(context, i, shape, status);
}

// y has the shape of the first of the list, with as many channels as the weight, input 4, has filters.
void NormalizedProductShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle *shape = TF_NewShapeHandle(), *channels = TF_NewShapeHandle(), *filters = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 0, channels, status);
  TF_ShapeInferenceContextGetInput(context, 4, filters, status);
  TF_ShapeInferenceContextGetInput(context, 5, shape, status);
  TF_ShapeInferenceContextSubshape(context, filters, -1, INT64_MAX, filters, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSubshape(context, shape, 0, -1, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextConcatenateShapes(context, shape, filters, shape, status);
  if (TF_GetCode(status) == TF_OK) TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  SetVectors(context, 1, 2, channels, status);
  SetVectors(context, 3, 2, filters, status);
  for (TF_ShapeHandle* handle : {shape, channels, filters}) TF_DeleteShapeHandle(handle);
}

// The weight's, four of the channels, and those of the list that begins at input 10.
void NormalizedProductGradShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 5, shape, status);
  TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  TF_ShapeInferenceContextGetInput(context, 6, shape, status);
  SetVectors(context, 1, 4, shape, status);
  const int count = (static_cast<int>(TF_ShapeInferenceContextNumInputs(context)) - 10) / 4;
  for (int i = 0; i < count; i++) {
    TF_ShapeInferenceContextGetInput(context, 10 + i, shape, status);
    TF_ShapeInferenceContextSetOutput(context, 5 + i, shape, status);
  }
  TF_DeleteShapeHandle(shape);
}

}  // namespace

void RegisterDenseLayer() {
  Register<NormalizedProduct>({"ScanlineNormalizedProduct",
                               {"scale: float", "offset: float", "running_mean: float", "running_variance: float", "weight: float",
                                "x: N * T", "mean: N * float", "variance: N * float"},
                               {"y: T", "new_mean: float", "new_variance: float", "y_mean: float", "y_variance: float"},
                               {"N: int >= 1", "epsilon: float", "momentum: float"},
                               NormalizedProductShape});
  Register<NormalizedProductGrad>({"ScanlineNormalizedProductGrad",
                                   {"g: T", "z: T", "ga: float", "gk: float", "gl: float", "weight: float", "scale: float", "offset: float",
                                    "old_k: float", "old_l: float", "x: N * T", "mean: N * float", "variance: N * float", "d: N * T"},
                                   {"dweight: float", "dscale: float", "doffset: float", "k: float", "l: float", "dx: N * T"},
                                   {"N: int >= 1", "epsilon: float"},
                                   NormalizedProductGradShape});
  Register<BatchNormGradCoefficients>({"ScanlineBatchNormGradCoefficients",
                                       {"sum: float", "product: float", "scale: float", "offset: float", "x: N * T", "mean: N * float",
                                        "variance: N * float"},
                                       {"dscale: float", "doffset: float", "k: float", "l: float"},
                                       {"N: int >= 1", "epsilon: float"},
                                       Shapes<0, 0, 0, 0>});
  Register<AddMultiple>({"ScanlineAddMultiple", {"d: T", "x: T", "k: float", "l: float"}, {"dx: T"}, {}, Shapes<0>});
}

}  // namespace scanline
