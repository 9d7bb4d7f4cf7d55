#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

// Shapes: R rank, I in, O out.
namespace splitft::train {

// One adapter and AdamW's moments of it, all of one dtype on one device. What is added to the module is scale * B A.
struct TrainedAdapter {
  at::Tensor a_RI;
  at::Tensor b_OR;
  at::Tensor first_a_RI;
  at::Tensor first_b_OR;
  at::Tensor second_a_RI;
  at::Tensor second_b_OR;

  int64_t rank() const { return a_RI.size(0); }
};

// More pairs: those of `fresh_a_RI` from `adapter`'s rank on, with B = 0, so that what is added stays as it is. A fresh
// pair has the mean of the others' second moments, so that its first updates are no larger than theirs.
TrainedAdapter RaiseRank(const TrainedAdapter& adapter, const at::Tensor& fresh_a_RI);

// The `rank` pairs whose product is nearest to B A (its truncated singular value decomposition: Eckart and Young 1936).
// A keeps the root mean square of its rows' norms, B takes the rest, so that both go on learning at the rates they had.
// Moments are carried into the new basis: with B' = B M and A' = N A the gradients are G_B' = G_B N^T and
// G_A' = M^T G_A, so are the first moments, and the second ones by the squares of N and M (entries uncorrelated). Where
// the product has less than `rank` directions, the pairs left are fresh, as RaiseRank makes them.
struct LoweredAdapter {
  TrainedAdapter adapter;
  double energy = 0;     // the squared Frobenius norm of B A
  double discarded = 0;  // and what of it is lost
};
LoweredAdapter LowerRank(const TrainedAdapter& adapter, int64_t rank, const at::Tensor& fresh_a_RI);

}  // namespace splitft::train
