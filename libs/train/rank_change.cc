#include "libs/train/rank_change.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <span>

namespace splitft::train {
namespace {

// Singular values below this share of the largest are rounding.
constexpr double kRounding = 1e-7;

}  // namespace

TrainedAdapter RaiseRank(const TrainedAdapter& adapter, const at::Tensor& fresh_a_RI) {
  const int64_t old = adapter.rank();
  const int64_t more = fresh_a_RI.size(0) - old;
  const at::Tensor fresh_a = fresh_a_RI.narrow(0, old, more).to(adapter.a_RI.options());
  const auto extended = [](const at::Tensor& tensor, const at::Tensor& by, int64_t dimension) {
    return at::cat({tensor, by}, dimension);
  };
  const at::Tensor zero_b = at::zeros({adapter.b_OR.size(0), more}, adapter.b_OR.options());
  // Of no pairs there is no mean; then it is the job's beginning, and zero is right.
  const auto means = [&](const at::Tensor& moments, int64_t dimension) {
    const at::Tensor mean =
        old > 0 ? moments.mean(dimension, /*keepdim=*/true)
                : at::zeros({dimension == 0 ? 1 : moments.size(0), dimension == 0 ? moments.size(1) : 1},
                            moments.options());
    return dimension == 0 ? mean.expand({more, moments.size(1)}) : mean.expand({moments.size(0), more});
  };
  return {.a_RI = extended(adapter.a_RI, fresh_a, 0),
          .b_OR = extended(adapter.b_OR, zero_b, 1),
          .first_a_RI = extended(adapter.first_a_RI, at::zeros_like(fresh_a), 0),
          .first_b_OR = extended(adapter.first_b_OR, zero_b, 1),
          .second_a_RI = extended(adapter.second_a_RI, means(adapter.second_a_RI, 0), 0),
          .second_b_OR = extended(adapter.second_b_OR, means(adapter.second_b_OR, 1), 1)};
}

LoweredAdapter LowerRank(const TrainedAdapter& adapter, int64_t rank, const at::Tensor& fresh_a_RI) {
  // B A = Qb (Rb Ra^T) Qa^T: the decomposition is of a small matrix. In doubles, since pseudo-inverses follow, and on
  // the CPU, whatever the device has no solver for.
  const auto doubles = [](const at::Tensor& value) { return value.to(at::kCPU, at::kDouble); };
  const at::Tensor a_RI = doubles(adapter.a_RI);
  const at::Tensor b_OR = doubles(adapter.b_OR);
  const auto [basis_b, factor_b] = at::linalg_qr(b_OR);
  const auto [basis_a, factor_a] = at::linalg_qr(a_RI.t());
  const auto [left, singular, right] = at::linalg_svd(factor_b.matmul(factor_a.t()), /*full_matrices=*/false);
  const std::span<const double> values(singular.const_data_ptr<double>(), static_cast<size_t>(singular.size(0)));
  LoweredAdapter lowered;
  int64_t kept = 0;
  for (const double value : values) {
    lowered.energy += value * value;
    if (kept < rank && value > kRounding * values.front()) {
      ++kept;
    } else {
      lowered.discarded += value * value;
    }
  }
  const at::Tensor norm = a_RI.square().sum(1).mean().sqrt();  // of a row of A
  const at::Tensor new_a = right.narrow(0, 0, kept).matmul(basis_a.t()).mul(norm);
  const at::Tensor new_b = basis_b.matmul(left.narrow(1, 0, kept)).mul(singular.narrow(0, 0, kept).div(norm));
  const at::Tensor by_n = new_a.matmul(at::linalg_pinv(a_RI));  // N: new_a = N a
  const at::Tensor by_m = at::linalg_pinv(b_OR).matmul(new_b);  // M: new_b = b M
  const auto like = [](const at::Tensor& value, const at::Tensor& model) { return value.to(model.options()); };
  const TrainedAdapter truncated{
      .a_RI = like(new_a, adapter.a_RI),
      .b_OR = like(new_b, adapter.b_OR),
      .first_a_RI = like(by_m.t().matmul(doubles(adapter.first_a_RI)), adapter.first_a_RI),
      .first_b_OR = like(doubles(adapter.first_b_OR).matmul(by_n.t()), adapter.first_b_OR),
      .second_a_RI = like(by_m.square().t().matmul(doubles(adapter.second_a_RI)), adapter.second_a_RI),
      .second_b_OR = like(doubles(adapter.second_b_OR).matmul(by_n.square().t()), adapter.second_b_OR)};
  lowered.adapter = kept < rank ? RaiseRank(truncated, fresh_a_RI.narrow(0, 0, rank)) : truncated;
  return lowered;
}

}  // namespace splitft::train
