#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "libs/model/batch_layout.h"
#include "libs/model/config.h"

// Shapes: N tokens, H heads, S head size.
namespace splitft::model {

// Inverse frequencies [S / 2] of the rotary embedding, with the scaling that `config` names, in fp32 as Hugging Face
// has them.
std::vector<float> RopeFrequencies(const RopeConfig& config, int64_t head_size);

// Rotary position embedding (Su et al. 2021), Hugging Face's half-split layout: columns s and s + S/2 of a head rotate
// by position * frequency[s]. Positions start at 0 in each sequence. Cosine and sine are computed in fp32 and rounded
// to the tensor's type, as Hugging Face does; the rotation itself is fp32.
class Rope {
 public:
  Rope(const RopeConfig& config, int64_t head_size);

  // Rotates x_NHS (contiguous) in place. The adjoint of a rotation is its inverse.
  void Rotate(const BatchLayout& layout, at::Tensor* x_NHS) const { Apply(layout, 1.0, x_NHS); }
  void RotateBack(const BatchLayout& layout, at::Tensor* x_NHS) const { Apply(layout, -1.0, x_NHS); }

 private:
  // [positions, S]: S/2 cosines, then S/2 sines, in fp32.
  at::Tensor Table(int64_t positions) const;
  void Apply(const BatchLayout& layout, double direction, at::Tensor* x_NHS) const;
  void ApplyCpu(const BatchLayout& layout, const at::Tensor& table_TS, float direction, at::Tensor* x_NHS) const;

  std::vector<float> frequencies_;
  at::Tensor common_table_TS_;  // of the first positions, which most batches do not exceed
};

}  // namespace splitft::model
