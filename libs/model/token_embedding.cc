#include "libs/model/token_embedding.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <utility>
#include <vector>

namespace splitft::model {

TokenEmbedding::TokenEmbedding(at::Tensor tokens_VD, at::Tensor positions_PD, at::ScalarType dtype)
    : tokens_VD_(std::move(tokens_VD)), positions_PD_(std::move(positions_PD)), dtype_(dtype) {}

at::Tensor TokenEmbedding::Forward(const at::Tensor& ids_N, const BatchLayout& layout) const {
  at::Tensor hidden_ND = at::index_select(tokens_VD_, 0, ids_N.to(tokens_VD_.device())).to(dtype_);
  if (positions_PD_.defined()) {
    const std::vector<int64_t> positions = Positions(layout);
    const at::Tensor index = at::tensor(positions, at::kLong).to(positions_PD_.device());
    hidden_ND.add_(at::index_select(positions_PD_, 0, index).to(dtype_));
  }
  return hidden_ND;
}

}  // namespace splitft::model
