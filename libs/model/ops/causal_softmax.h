#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

// Shapes: H key/value heads, G query heads of each, Q queries, K keys.
namespace splitft::model {

// A rectangle of one sequence's score matrix: queries [first_query, first_query + queries) by keys [first_key, ...).
struct ScoreBlock {
  int64_t first_query = 0;
  int64_t queries = 0;
  int64_t first_key = 0;
  int64_t keys = 0;
  std::optional<int64_t> window;  // keys a query sees, its own included; none: all up to its own
};

// scores_HRK, contiguous, R = G * Q rows by group, then query: replaced by softmax(scale * score) over the keys each
// query sees, and 0 elsewhere. The sum is fp32 whatever the type.
void CausalSoftmax(const ScoreBlock& block, double scale, at::Tensor* scores_HRK);

// grad_HRK, the gradient by the probabilities, is replaced by the one by the scores: scale * p * (g - sum(p * g)).
void CausalSoftmaxBackward(const at::Tensor& probabilities_HRK, double scale, at::Tensor* grad_HRK);

}  // namespace splitft::model
