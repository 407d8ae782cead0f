// Group normalisation with an optional leaky ReLU behind it, forward and backward: each sample is normalised by the moments of its groups
// of channels. With one group for each channel it is instance normalisation.
//
// Moments are taken of each channel first, in the order of memory, and groups are put together from them. The backward pass recomputes
// which values were negative, so the activation's input is never stored.
#include <immintrin.h>

#include <algorithm>

#include "../kernel.h"
#include "../parallel.h"
#include "../vectors/rows.h"

namespace scanline {

namespace {

#define SCANLINE_LOOPS "../norms/group_norm_loops.h"
#include "../vectors/families.h"

// [N, ..., C], each sample of it as a matrix. Where channels are few, neighbouring rows are seen as one of several times the channels, so
// that a strip is full; `channels` is still their true number.
struct Samples {
  int64_t count = 0, rows = 0, columns = 0, channels = 0;
  Samples(Call& call, const Tensor& x, int64_t groups) {
    const int rank = TF_NumDims(x.get());
    if (rank < 2) {
      call.Fail("x has " + std::to_string(rank) + " axes; it takes at least 2");
      return;
    }
    count = TF_Dim(x.get(), 0);
    channels = columns = TF_Dim(x.get(), rank - 1);
    if (channels % groups != 0) call.Fail(std::to_string(channels) + " channels do not make " + std::to_string(groups) + " groups");
    if (TF_TensorElementCount(x.get()) == 0) call.Fail("group normalisation of no values");
    if (!call.ok()) return;
    rows = TF_TensorElementCount(x.get()) / count / channels;
    while (columns < kStrip && rows % 2 == 0) {
      columns *= 2;
      rows /= 2;
    }
  }
  int64_t values() const { return rows * columns; }
};

// Calls visit(offset, rows) for each tile of a block: where its values begin in the sample, and how many rows it has.
template <typename Visit>
void ForEachTile(const Blocks& blocks, int64_t block, int64_t columns, const Visit& visit) {
  const int64_t rows_each = std::max(kTileRows, 1024 / columns), end = blocks.begin(block) + blocks.length(block);
  for (int64_t row = blocks.begin(block); row < end; row += rows_each) visit(row * columns, std::min(rows_each, end - row));
}

// Moments of groups, from those of as many columns as stand for all of a sample; given for each channel.
void GroupMoments(const Samples& x, int64_t groups, const float* means, const float* variances, float epsilon, float* mean, float* inverse) {
  const int64_t size = x.channels / groups, repeats = x.columns / x.channels;
  for (int64_t group = 0; group < groups; group++) {
    const auto average = [&](const auto& term) {
      double total = 0;
      for (int64_t r = 0; r < repeats; r++) {
        for (int64_t c = 0; c < size; c++) total += term(r * x.channels + group * size + c);
      }
      return total / static_cast<double>(repeats * size);
    };
    const double centre = average([&](int64_t c) { return static_cast<double>(means[c]); });
    const double variance = average([&](int64_t c) { return variances[c] + (means[c] - centre) * (means[c] - centre); });
    std::fill_n(mean + group * size, size, static_cast<float>(centre));
    std::fill_n(inverse + group * size, size, static_cast<float>(1 / std::sqrt(variance + epsilon)));
  }
}

// What a sample's values are multiplied by and what is added to them, for each of its columns.
void Coefficients(const Samples& x, const float* scale, const float* offset, const float* mean, const float* inverse, float* a, float* b) {
  for (int64_t i = 0; i < x.columns; i++) {
    const int64_t c = i % x.channels;
    const double factor = static_cast<double>(scale[c]) * inverse[c];
    a[i] = static_cast<float>(factor);
    b[i] = static_cast<float>(offset[c] - mean[c] * factor);
  }
}

template <typename T>
class GroupNorm {
 public:
  explicit GroupNorm(TF_OpKernelConstruction* construction)
      : epsilon_(FloatAttribute(construction, "epsilon")), groups_(IntAttribute(construction, "groups")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    const Tensor x = call.Input(0), scale = call.Input(1), offset = call.Input(2), slope = call.Input(3);
    if (call.Failed()) return;
    const Samples samples(call, x, groups_);
    call.ExpectLength("scale", scale, samples.channels, "channels");
    call.ExpectLength("offset", offset, samples.channels, "channels");
    call.ExpectLength("slope", slope, 1, "op");
    if (call.Failed()) return;
    const Tensor y = call.OutputLike(0, x), mean = call.OutputMatrix(1, samples.count, samples.channels);
    const Tensor inverse = call.OutputMatrix(2, samples.count, samples.channels);
    if (call.Failed()) return;

    const int64_t columns = samples.columns;
    const Blocks moments(samples.rows, columns, kMomentsRows);
    std::vector<float> partial(moments.count * 3 * columns);
    std::vector<float> a(samples.count * columns), b(samples.count * columns), means(columns), variances(columns);
    for (int64_t n = 0; n < samples.count; n++) {
      const T* values = Data<T>(x) + n * samples.values();
      ParallelFor(moments.count, [&](int64_t block) {
        float* found = partial.data() + block * 3 * columns;
        const Tile<T> tile{moments.length(block), columns, columns, values + moments.begin(block) * columns};
        SCANLINE_CALL(Moments, tile, found, found + columns, found + 2 * columns);
      });
      CombineMoments(partial, moments, columns, means.data(), variances.data());
      float *centre = Data<float>(mean) + n * samples.channels, *factor = Data<float>(inverse) + n * samples.channels;
      GroupMoments(samples, groups_, means.data(), variances.data(), epsilon_, centre, factor);
      Coefficients(samples, Data<float>(scale), Data<float>(offset), centre, factor, a.data() + n * columns, b.data() + n * columns);
    }
    const Blocks blocks(samples.rows, columns);
    ParallelFor(samples.count * blocks.count, [&](int64_t index) {
      const int64_t n = index / blocks.count, sample = n * samples.values();
      ForEachTile(blocks, index % blocks.count, columns, [&](int64_t start, int64_t rows) {
        const Tile<T> tile{rows, columns, columns, Data<T>(x) + sample + start};
        SCANLINE_CALL(LeakyApply, tile, Data<T>(y) + sample + start, a.data() + n * columns, b.data() + n * columns, *Data<float>(slope));
      });
    });
  }

 private:
  const float epsilon_;
  const int64_t groups_;
};

template <typename T>
class GroupNormGrad {
 public:
  explicit GroupNormGrad(TF_OpKernelConstruction* construction) : groups_(IntAttribute(construction, "groups")) {}

  void Compute(TF_OpKernelContext* context) {
    Call call(context);
    Tensor dy = call.Input(0);
    const Tensor x = call.Input(1), scale = call.Input(2), offset = call.Input(3), slope = call.Input(4);
    const Tensor mean = call.Input(5), inverse = call.Input(6);
    if (call.Failed()) return;
    const Samples samples(call, x, groups_);
    call.ExpectMatrix("dy", dy, Matrix(x).rows, samples.channels);
    call.ExpectLength("scale", scale, samples.channels, "channels");
    call.ExpectLength("offset", offset, samples.channels, "channels");
    call.ExpectLength("slope", slope, 1, "op");
    call.ExpectMatrix("mean", mean, samples.count, samples.channels);
    call.ExpectMatrix("inverse", inverse, samples.count, samples.channels);
    if (call.Failed()) return;
    const Tensor dscale = call.OutputVector(1, samples.channels), doffset = call.OutputVector(2, samples.channels);
    const Tensor dslope = call.OutputLike(3, slope);
    if (call.Failed()) return;

    const int64_t columns = samples.columns;
    const T* gradients = Data<T>(dy);
    Terms terms(samples, Data<float>(scale), Data<float>(offset), Data<float>(mean), Data<float>(inverse));
    const Blocks blocks(samples.rows, columns);
    std::vector<float> partial(samples.count * blocks.count * 3 * columns);
    ParallelFor(samples.count * blocks.count, [&](int64_t index) {
      const int64_t n = index / blocks.count, sample = n * samples.values(), first = n * columns;
      float* sums = partial.data() + index * 3 * columns;
      ForEachTile(blocks, index % blocks.count, columns, [&](int64_t start, int64_t rows) {
        const Tile<T> tile{rows, columns, columns, Data<T>(x) + sample + start};
        SCANLINE_CALL(LeakyGradSums, tile, gradients + sample + start, terms.a.data() + first, terms.b.data() + first,
                      terms.centre.data() + first, *Data<float>(slope), sums, sums + columns, sums + 2 * columns);
      });
    });
    terms.Combine(partial, blocks.count, groups_, Data<float>(scale), Data<float>(mean), Data<float>(inverse), Data<float>(dscale),
                  Data<float>(doffset), Data<float>(dslope));
    // dy is released so that its memory can become dx's; the pointer stays valid, for TensorFlow still holds the input
    dy.reset();
    const Tensor dx = call.OutputLike(0, x, 0);
    if (call.Failed()) return;
    ParallelFor(samples.count * blocks.count, [&](int64_t index) {
      const int64_t n = index / blocks.count, sample = n * samples.values(), first = n * columns;
      ForEachTile(blocks, index % blocks.count, columns, [&](int64_t start, int64_t rows) {
        const Tile<T> tile{rows, columns, columns, Data<T>(x) + sample + start};
        SCANLINE_CALL(LeakyGradApply, tile, gradients + sample + start, Data<T>(dx) + sample + start, terms.a.data() + first,
                      terms.b.data() + first, terms.k.data() + first, terms.l.data() + first, *Data<float>(slope));
      });
    });
  }

 private:
  // For each sample and column: y = activation(a * x + b), and dx = a * g + k * x + l.
  struct Terms {
    const Samples& samples;
    std::vector<float> a, b, centre, k, l;

    Terms(const Samples& samples, const float* scale, const float* offset, const float* mean, const float* inverse) : samples(samples) {
      for (std::vector<float>* values : {&a, &b, &centre, &k, &l}) values->resize(samples.count * samples.columns);
      for (int64_t n = 0; n < samples.count; n++) {
        const int64_t first = n * samples.columns, channel = n * samples.channels;
        Coefficients(samples, scale, offset, mean + channel, inverse + channel, a.data() + first, b.data() + first);
        for (int64_t i = 0; i < samples.columns; i++) centre[first + i] = mean[channel + i % samples.channels];
      }
    }

    // From the sums that the blocks of each sample found, [N][blocks][g, g * (x - mean), below][columns], in double precision.
    void Combine(const std::vector<float>& partial, int64_t blocks, int64_t groups, const float* scale, const float* mean,
                 const float* inverse, float* dscale, float* doffset, float* dslope) {
      const int64_t channels = samples.channels, columns = samples.columns, size = channels / groups;
      const double count = static_cast<double>(samples.values() / groups);
      std::vector<double> scales(channels), offsets(channels);
      double below = 0;
      for (int64_t n = 0; n < samples.count; n++) {
        std::vector<double> sum(channels), product(channels);
        for (int64_t block = 0; block < blocks; block++) {
          const float* sums = partial.data() + (n * blocks + block) * 3 * columns;
          for (int64_t i = 0; i < columns; i++) {
            sum[i % channels] += sums[i];
            product[i % channels] += sums[columns + i];
            below += sums[2 * columns + i];
          }
        }
        for (int64_t group = 0; group < groups; group++) {
          double level = 0, projection = 0;
          for (int64_t c = group * size; c < (group + 1) * size; c++) {
            level += scale[c] * sum[c];
            projection += scale[c] * product[c];
          }
          for (int64_t c = group * size; c < (group + 1) * size; c++) {
            const double factor = inverse[n * channels + c];
            scales[c] += product[c] * factor;
            offsets[c] += sum[c];
            const double steepness = -factor * factor * factor * projection / count;
            for (int64_t i = n * columns + c; i < (n + 1) * columns; i += channels) {
              k[i] = static_cast<float>(steepness);
              l[i] = static_cast<float>(-factor * level / count - steepness * mean[n * channels + c]);
            }
          }
        }
      }
      std::copy(scales.begin(), scales.end(), dscale);
      std::copy(offsets.begin(), offsets.end(), doffset);
      *dslope = static_cast<float>(below);
    }
  };

  const int64_t groups_;
};

// mean and inverse have one value for each sample and channel.
void GroupNormShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle *shape = TF_NewShapeHandle(), *channels = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 0, shape, status);
  TF_ShapeInferenceContextGetInput(context, 1, channels, status);
  TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  TF_ShapeInferenceContextSubshape(context, shape, 0, 1, shape, status);
  TF_ShapeInferenceContextConcatenateShapes(context, shape, channels, shape, status);
  for (int i = 1; i <= 2 && TF_GetCode(status) == TF_OK; i++) TF_ShapeInferenceContextSetOutput(context, i, shape, status);
  TF_DeleteShapeHandle(shape);
  TF_DeleteShapeHandle(channels);
}

void GroupNormGradShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  SetShape(context, 0, 1, status);
  SetShape(context, 1, 2, status);
  SetShape(context, 2, 2, status);
  SetShape(context, 3, 4, status);
}

}  // namespace

void RegisterGroupNorm() {
  Register<GroupNorm>({"ScanlineGroupNorm",
                       {"x: T", "scale: float", "offset: float", "slope: float"},
                       {"y: T", "mean: float", "inverse: float"},
                       {"groups: int >= 1", "epsilon: float"},
                       GroupNormShape});
  Register<GroupNormGrad>({"ScanlineGroupNormGrad",
                           {"dy: T", "x: T", "scale: float", "offset: float", "slope: float", "mean: float", "inverse: float"},
                           {"dx: T", "dscale: float", "doffset: float", "dslope: float"},
                           {"groups: int >= 1"},
                           GroupNormGradShape});
}

}  // namespace scanline
