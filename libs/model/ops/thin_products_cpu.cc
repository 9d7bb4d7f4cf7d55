#include "libs/model/ops/thin_products_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

constexpr int64_t kRanks = 8;      // of the thin factor at a time
constexpr int64_t kTileRows = 64;  // of the wide factor, which stay in cache while its columns are walked
constexpr int64_t kTileColumns = 2 * simd::kLanes;

// The dot products of kRanks rows of w with one row of x, or with two that share the loads of w: y[row, rank].
template <typename T, int64_t kRows>
SPLITFT_SIMD_CLONES void DotRows(const T* x, const float* w, int64_t size, float* y) {
  Lanes sums[kRows][kRanks] = {};
  SPLITFT_SIMD_FOR(i, size) {
    Lanes v[kRows];
    for (int64_t row = 0; row < kRows; ++row) {
      v[row] = simd::LoadAt(x + row * size, i, size);
    }
    for (int64_t r = 0; r < kRanks; ++r) {
      const Lanes factor = simd::LoadAt(w + r * size, i, size);
      for (int64_t row = 0; row < kRows; ++row) {
        sums[row][r] += v[row] * factor;
      }
    }
  }
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t r = 0; r < kRanks; ++r) {
      y[row * kRanks + r] = simd::Sum(sums[row][r]);
    }
  }
}

// y [rows, ranks] = x w^T, for w [ranks up to a multiple of kRanks, size].
template <typename T>
void MultiplyRows(const T* x, const float* w, int64_t rows, int64_t size, int64_t ranks, float* y) {
  for (int64_t row = 0; row < rows; row += 2) {
    const int64_t count = std::min<int64_t>(2, rows - row);
    for (int64_t rank = 0; rank < ranks; rank += kRanks) {
      float sums[2 * kRanks];
      (count == 2 ? DotRows<T, 2> : DotRows<T, 1>)(x + row * size, w + rank * size, size, sums);
      for (int64_t i = 0; i < count; ++i) {
        std::copy_n(sums + i * kRanks, std::min(kRanks, ranks - rank), y + (row + i) * ranks + rank);
      }
    }
  }
}

// Adds thin^T wide of `rows` rows to sums [kRanks, kTileColumns]: rows of `wide` are `stride` apart, of which the first
// `columns` of kTileColumns exist; `thin` is [rows, kRanks].
template <typename T>
SPLITFT_SIMD_CLONES void AddTile(const T* wide, int64_t stride, int64_t columns, const float* thin, int64_t rows,
                                 float* sums) {
  Lanes left[kRanks];
  Lanes right[kRanks];
  for (int64_t r = 0; r < kRanks; ++r) {
    left[r] = simd::Load(sums + r * kTileColumns);
    right[r] = simd::Load(sums + r * kTileColumns + simd::kLanes);
  }
  const int64_t right_columns = std::max<int64_t>(0, columns - simd::kLanes);
  for (int64_t n = 0; n < rows; ++n, wide += stride, thin += kRanks) {
    const Lanes a = simd::LoadAt(wide, 0, columns);
    const Lanes b = right_columns == 0 ? Lanes{} : simd::LoadAt(wide + simd::kLanes, 0, right_columns);
    for (int64_t r = 0; r < kRanks; ++r) {
      left[r] += a * thin[r];
      right[r] += b * thin[r];
    }
  }
  for (int64_t r = 0; r < kRanks; ++r) {
    simd::Store(sums + r * kTileColumns, left[r]);
    simd::Store(sums + r * kTileColumns + simd::kLanes, right[r]);
  }
}

// Some columns of thin^T wide, tile by tile; sums is [tiles, kRanks, kTileColumns].
template <typename T>
void AddTiles(const T* wide, int64_t size, const float* thin, int64_t rows, int64_t first_tile, int64_t tiles,
              float* sums) {
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t count = std::min(kTileRows, rows - row);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t column = (first_tile + tile) * kTileColumns;
      AddTile<T>(wide + row * size + column, size, std::min(kTileColumns, size - column), thin + row * kRanks, count,
                 sums + tile * kRanks * kTileColumns);
    }
  }
}

// `x` in fp32, with columns of zeros up to a multiple of kRanks.
at::Tensor Padded(const at::Tensor& x) {
  const int64_t count = (x.size(1) + kRanks - 1) / kRanks * kRanks;
  at::Tensor padded = at::zeros({x.size(0), count}, at::kFloat);
  padded.narrow(1, 0, x.size(1)).copy_(x);
  return padded;
}

}  // namespace

at::Tensor ThinMatMulCpu(const at::Tensor& x_NI, const at::Tensor& w_RI) {
  const int64_t rows = x_NI.size(0);
  const int64_t size = x_NI.size(1);
  const int64_t ranks = w_RI.size(0);
  const at::Tensor w = Padded(w_RI.t()).t().contiguous();
  at::Tensor y_NR = at::empty({rows, ranks}, at::kFloat);
  auto* y = y_NR.mutable_data_ptr<float>();
  DispatchCpuType(x_NI, [&]<typename T>(const T*) {
    const T* x = x_NI.const_data_ptr<T>();
    at::parallel_for(0, rows, RowGrain(size), [&](int64_t begin, int64_t end) {
      MultiplyRows<T>(x + begin * size, w.const_data_ptr<float>(), end - begin, size, ranks, y + begin * ranks);
    });
  });
  return y_NR;
}

void AddThinProductCpu(const at::Tensor& wide_NC, const at::Tensor& thin_NR, bool thin_first, at::Tensor* target) {
  const int64_t rows = wide_NC.size(0);
  const int64_t size = wide_NC.size(1);
  const int64_t ranks = thin_NR.size(1);
  const int64_t row_step = thin_first ? size : 1;
  const int64_t column_step = thin_first ? 1 : ranks;
  auto* result = target->mutable_data_ptr<float>();
  for (int64_t rank = 0; rank < ranks; rank += kRanks) {
    const int64_t count = std::min(kRanks, ranks - rank);
    const at::Tensor thin = Padded(thin_NR.narrow(1, rank, count));
    DispatchCpuType(wide_NC, [&]<typename T>(const T*) {
      const T* wide = wide_NC.const_data_ptr<T>();
      const int64_t tiles = (size + kTileColumns - 1) / kTileColumns;
      at::parallel_for(0, tiles, RowGrain(rows * kTileColumns), [&](int64_t begin, int64_t end) {
        std::vector<float> sums(static_cast<size_t>((end - begin) * kRanks * kTileColumns));
        AddTiles<T>(wide, size, thin.const_data_ptr<float>(), rows, begin, end - begin, sums.data());
        for (int64_t column = begin * kTileColumns; column < std::min(size, end * kTileColumns); ++column) {
          const int64_t at = column - begin * kTileColumns;
          const float* tile = sums.data() + at / kTileColumns * kRanks * kTileColumns + at % kTileColumns;
          for (int64_t r = 0; r < count; ++r) {
            result[(rank + r) * row_step + column * column_step] += tile[r * kTileColumns];
          }
        }
      });
    });
  }
}

}  // namespace splitft::model
