#pragma once

#include <ATen/core/Tensor.h>

#include "libs/model/model.h"

// Shapes: V vocabulary, D model, P positions.
namespace splitft::model {

// Rows of an embedding table, plus a learned embedding of the position where there is one. Frozen.
class TokenEmbedding final : public Embedding {
 public:
  // The tables may have another type than `dtype`, the result's: rows are cast when they are looked up, so that a table
  // can stay as it lies in its file. `positions_PD` may be undefined.
  TokenEmbedding(at::Tensor tokens_VD, at::Tensor positions_PD, at::ScalarType dtype);
  at::Tensor Forward(const at::Tensor& ids_N, const BatchLayout& layout) const override;

 private:
  at::Tensor tokens_VD_;
  at::Tensor positions_PD_;
  at::ScalarType dtype_;
};

}  // namespace splitft::model
