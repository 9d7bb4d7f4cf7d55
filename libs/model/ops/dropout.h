#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>

#include "libs/base/random.h"
#include "libs/model/block.h"

namespace splitft::model {

// Inverted dropout with a mask that is drawn anew whenever it is needed: element (row, column) of a client's whole
// batch is kept where Uniform((first_token + row) * columns + column) >= p, and then scaled by 1 / (1 - p). The stream
// is keyed by (seed, client, step, block, module), so the mask is the same whoever computes the block and however the
// batch is cut.
class Dropout {
 public:
  Dropout(const BlockContext& context, int block, int module) : context_(context), block_(block), module_(module) {}

  bool active() const { return context_.dropout > 0; }
  // x_NI with the mask applied: a new tensor, or x itself where there is no dropout. Its own adjoint.
  at::Tensor Apply(const at::Tensor& x_NI) const;

 private:
  RandomStream StreamOf(const BatchPart& part) const;
  // Keep an element where its 24 random bits, as an integer, are at least this: Uniform is exactly bits / 2^24.
  uint32_t Threshold() const {
    return static_cast<uint32_t>(std::ceil(static_cast<float>(context_.dropout) * 0x1.0p24F));
  }
  float Scale() const { return 1.0F / (1.0F - static_cast<float>(context_.dropout)); }
  // Write the masked rows of one part.
  void ApplyCpu(const RandomStream& stream, int64_t first_element, const at::Tensor& x, const at::Tensor& y) const;
  void ApplyGpu(const RandomStream& stream, int64_t first_element, const at::Tensor& x, const at::Tensor& y) const;
  void ApplyAten(const RandomStream& stream, int64_t first_element, const at::Tensor& x, const at::Tensor& y) const;

  const BlockContext& context_;
  int block_;
  int module_;
};

}  // namespace splitft::model
