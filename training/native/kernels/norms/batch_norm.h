// What the kernels of batch normalisation share: the list of tensors that they normalise, and the coefficients of each channel.
#pragma once
#include <algorithm>

#include "../kernel.h"
#include "../vectors/rows.h"

namespace scanline {

// One tensor of the list that is normalised, and where its channels begin among all.
template <typename T>
struct Piece {
  Tensor tensor, mean, variance;
  int64_t columns, offset;
};

// The list "x: N * T, mean: N * float, variance: N * float", which begins at input `first` and is the last of the inputs, but for as many
// more lists of that length as are told.
template <typename T>
class Pieces {
 public:
  explicit Pieces(Call& call, int first, int more_lists = 0) {
    const int count = (call.inputs() - first) / (3 + more_lists);
    for (int i = 0; i < count && call.ok(); i++) {
      pieces_.push_back({call.Input(first + i), call.Input(first + count + i), call.Input(first + 2 * count + i), 0, columns_});
      if (!call.ok()) return;
      const Matrix shape(pieces_.back().tensor);
      pieces_.back().columns = shape.columns;
      columns_ += shape.columns;
      call.ExpectLength("mean", pieces_.back().mean, shape.columns, "channels");
      call.ExpectLength("variance", pieces_.back().variance, shape.columns, "channels");
      if (i > 0) call.ExpectMatrix("x", pieces_.back().tensor, rows_, shape.columns);
      rows_ = shape.rows;
    }
    if (call.ok() && rows_ == 0) call.Fail("batch normalisation of no values");
  }

  // Calls visit(first row, number in the list, tile) for all tensors of each tile of a block, tile by tile.
  template <typename Visit>
  void ForEachTile(const Blocks& blocks, int64_t block, const Visit& visit) const {
    const int64_t end = blocks.begin(block) + blocks.length(block);
    for (int64_t row = blocks.begin(block); row < end; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, end - row);
      for (size_t i = 0; i < pieces_.size(); i++) {
        const Piece<T>& piece = pieces_[i];
        visit(row, i, Tile<T>{rows, piece.columns, columns_, Data<T>(piece.tensor) + row * piece.columns});
      }
    }
  }

  const std::vector<Piece<T>>& list() const { return pieces_; }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }

  // Calls visit(channel, mean, variance) for all channels.
  template <typename Visit>
  void ForEachChannel(const Visit& visit) const {
    for (const Piece<T>& piece : pieces_) {
      const float *mean = Data<float>(piece.mean), *variance = Data<float>(piece.variance);
      for (int64_t c = 0; c < piece.columns; c++) visit(piece.offset + c, mean[c], variance[c]);
    }
  }

 private:
  std::vector<Piece<T>> pieces_;
  int64_t rows_ = 0, columns_ = 0;
};

// What normalising does to each channel, y = a * x + b, from the scale and offset and the batch's own mean and variance.
template <typename T>
void Coefficients(const Pieces<T>& x, const Tensor& scale, const Tensor& offset, double epsilon, float* a, float* b) {
  const float *scales = Data<float>(scale), *offsets = Data<float>(offset);
  x.ForEachChannel([&](int64_t c, double mean, double variance) {
    const double factor = scales[c] / std::sqrt(variance + epsilon);
    a[c] = static_cast<float>(factor);
    b[c] = static_cast<float>(offsets[c] - mean * factor);
  });
}

// The inputs scale, offset, running_mean and running_variance, and the list x, mean, variance from input `first` on; and the running
// statistics after this batch.
template <typename T>
class Batch {
 public:
  explicit Batch(Call& call, int first = 4)
      : scale_(call.Input(0)), offset_(call.Input(1)), running_mean_(call.Input(2)), running_variance_(call.Input(3)), x_(call, first) {
    const int64_t columns = x_.columns();
    call.ExpectLength("scale", scale_, columns, "channels");
    call.ExpectLength("offset", offset_, columns, "channels");
    call.ExpectLength("running_mean", running_mean_, columns, "channels");
    call.ExpectLength("running_variance", running_variance_, columns, "channels");
  }

  const Pieces<T>& x() const { return x_; }

  void ToCoefficients(double epsilon, float* a, float* b) const { Coefficients(x_, scale_, offset_, epsilon, a, b); }

  void UpdateRunning(double momentum, const Tensor& new_mean, const Tensor& new_variance) const {
    const float *old_means = Data<float>(running_mean_), *old_variances = Data<float>(running_variance_);
    float *new_means = Data<float>(new_mean), *new_variances = Data<float>(new_variance);
    const double unbiased = static_cast<double>(x_.rows()) / std::max(1.0, static_cast<double>(x_.rows()) - 1);
    x_.ForEachChannel([&](int64_t c, double mean, double variance) {
      new_means[c] = static_cast<float>((1 - momentum) * old_means[c] + momentum * mean);
      new_variances[c] = static_cast<float>((1 - momentum) * old_variances[c] + momentum * variance * unbiased);
    });
  }

 private:
  const Tensor scale_, offset_, running_mean_, running_variance_;
  const Pieces<T> x_;
};

// The gradients of normalising, from the gradient g of y = a * x + b and for each channel the sums of g and of g * (x - mean).
struct GradCoefficients {
  // dx = a * g + k * x + l
  std::vector<float> a, b, k, l;

  template <typename T>
  GradCoefficients(const Pieces<T>& x, const Tensor& scale, const Tensor& offset, double epsilon)
      : a(x.columns()), b(x.columns()), k(x.columns()), l(x.columns()) {
    Coefficients(x, scale, offset, epsilon, a.data(), b.data());
  }

  template <typename T, typename Sums>
  void Finish(const Pieces<T>& x, const Sums& sum, const Sums& product, double epsilon, const Tensor& dscale, const Tensor& doffset) {
    float *dscales = Data<float>(dscale), *doffsets = Data<float>(doffset);
    const double rows = static_cast<double>(x.rows());
    x.ForEachChannel([&](int64_t c, double mean, double variance) {
      const double inverse = 1 / std::sqrt(variance + epsilon);
      const double projection = product[c] * inverse;  // sum of g * normalised x
      dscales[c] = static_cast<float>(projection);
      doffsets[c] = static_cast<float>(sum[c]);
      const double slope = -static_cast<double>(a[c]) * inverse * projection / rows;
      k[c] = static_cast<float>(slope);
      l[c] = static_cast<float>(-a[c] * sum[c] / rows - slope * mean);
    });
  }
};

}  // namespace scanline
