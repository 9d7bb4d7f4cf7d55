#include "libs/model/ops/attention.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "libs/model/ops/causal_softmax.h"

namespace splitft::model {
namespace {

// Queries per block: the score matrix is computed only below the diagonal, in steps of this size.
constexpr int64_t kQueryBlock = 128;

// One sequence's tensors, by key/value head, as views [J, T, S]; q and what has its shape is [T, J, G, S].
struct Sequence {
  at::Tensor q_TJGS;
  at::Tensor k_JTS;
  at::Tensor v_JTS;
};

class SequenceAttention {
 public:
  SequenceAttention(const Attention::Shape& shape, int64_t first_row, int64_t length)
      : shape_(shape), first_row_(first_row), length_(length), groups_(shape.heads / shape.key_value_heads) {}

  void Forward(const QueryKeyValue& inputs, const at::Tensor& out_NE) const {
    const Sequence in = View(inputs);
    const at::Tensor out_TJGS = Queries(out_NE);
    ForEachBlock([&](const ScoreBlock& block) {
      const at::Tensor p_JRK = Probabilities(in, block);
      Scatter(at::bmm(p_JRK, Keys(in.v_JTS, block)), block, out_TJGS);
    });
  }

  void Backward(const at::Tensor& grad_NE, const QueryKeyValue& inputs, const QueryKeyValue& grads) const {
    const Sequence in = View(inputs);
    const Sequence out = View(grads);
    const at::Tensor grad_TJGS = Queries(grad_NE);
    const bool one_block = length_ <= kQueryBlock;
    // Several blocks add to the same keys: in fp32, and rounded once at the end.
    const auto wide = in.k_JTS.scalar_type() == at::kBFloat16 ? at::kFloat : in.k_JTS.scalar_type();
    const at::Tensor grad_k = one_block ? out.k_JTS : at::zeros_like(in.k_JTS, in.k_JTS.options().dtype(wide));
    const at::Tensor grad_v = one_block ? out.v_JTS : at::zeros_like(in.v_JTS, in.v_JTS.options().dtype(wide));
    ForEachBlock([&](const ScoreBlock& block) {
      const at::Tensor p_JRK = Probabilities(in, block);
      const at::Tensor grad_JRS = Gather(grad_TJGS, block);
      at::Tensor grad_s_JRK = at::bmm(grad_JRS, Keys(in.v_JTS, block).transpose(1, 2));
      CausalSoftmaxBackward(p_JRK, Scale(), &grad_s_JRK);
      Scatter(at::bmm(grad_s_JRK, Keys(in.k_JTS, block)), block, out.q_TJGS);
      Accumulate(at::bmm(p_JRK.transpose(1, 2), grad_JRS), one_block, Keys(grad_v, block));
      Accumulate(at::bmm(grad_s_JRK.transpose(1, 2), Gather(in.q_TJGS, block)), one_block, Keys(grad_k, block));
    });
    if (!one_block) {
      out.k_JTS.copy_(grad_k);
      out.v_JTS.copy_(grad_v);
    }
  }

 private:
  double Scale() const { return 1.0 / std::sqrt(static_cast<double>(shape_.head_size)); }

  at::Tensor Queries(const at::Tensor& x_NE) const {
    return x_NE.narrow(0, first_row_, length_).unflatten(1, {shape_.key_value_heads, groups_, shape_.head_size});
  }
  at::Tensor KeysOf(const at::Tensor& x_NF) const {
    return x_NF.narrow(0, first_row_, length_).unflatten(1, {shape_.key_value_heads, shape_.head_size}).transpose(0, 1);
  }
  Sequence View(const QueryKeyValue& x) const { return {Queries(x.q), KeysOf(x.k), KeysOf(x.v)}; }

  template <typename Body>
  void ForEachBlock(const Body& body) const {
    for (int64_t first = 0; first < length_; first += kQueryBlock) {
      ScoreBlock block;
      block.first_query = first;
      block.queries = std::min(kQueryBlock, length_ - first);
      block.window = shape_.window;
      block.first_key = shape_.window.has_value() ? std::max<int64_t>(0, first + 1 - *shape_.window) : 0;
      block.keys = first + block.queries - block.first_key;
      body(block);
    }
  }

  static at::Tensor Keys(const at::Tensor& x_JTS, const ScoreBlock& block) {
    return x_JTS.narrow(1, block.first_key, block.keys);
  }
  // The block's queries as [J, R, S], R by group, then query: a view where each key/value head has one query head.
  at::Tensor Gather(const at::Tensor& x_TJGS, const ScoreBlock& block) const {
    return x_TJGS.narrow(0, block.first_query, block.queries).permute({1, 2, 0, 3}).flatten(1, 2);
  }
  void Scatter(const at::Tensor& x_JRS, const ScoreBlock& block, const at::Tensor& out_TJGS) const {
    out_TJGS.narrow(0, block.first_query, block.queries)
        .permute({1, 2, 0, 3})
        .copy_(x_JRS.unflatten(1, {groups_, block.queries}));
  }
  static void Accumulate(const at::Tensor& x_JKS, bool only, const at::Tensor& sum_JKS) {
    if (only) {
      sum_JKS.copy_(x_JKS);
    } else {
      sum_JKS.add_(x_JKS);
    }
  }
  at::Tensor Probabilities(const Sequence& in, const ScoreBlock& block) const {
    at::Tensor scores_JRK = at::bmm(Gather(in.q_TJGS, block), Keys(in.k_JTS, block).transpose(1, 2));
    CausalSoftmax(block, Scale(), &scores_JRK);
    return scores_JRK;
  }

  const Attention::Shape& shape_;
  int64_t first_row_;
  int64_t length_;
  int64_t groups_;
};

template <typename Body>
void ForEachSequence(const BatchLayout& layout, const Body& body) {
  int64_t row = 0;
  for (const BatchPart& part : layout.parts) {
    for (const SequenceRun& run : part.runs) {
      for (int64_t i = 0; i < run.count; ++i, row += run.length) {
        body(row, run.length);
      }
    }
  }
}

}  // namespace

at::Tensor Attention::Forward(const QueryKeyValue& inputs, const BatchLayout& layout, AttentionTape* tape) const {
  if (!inputs.q.is_cpu()) {
    return ForwardFused(inputs, layout, tape);
  }
  at::Tensor out_NE = at::empty(inputs.q.sizes(), inputs.q.options());
  ForEachSequence(layout,
                  [&](int64_t row, int64_t length) { SequenceAttention(shape_, row, length).Forward(inputs, out_NE); });
  if (tape != nullptr) {
    tape->inputs = inputs;
  }
  return out_NE;
}

void Attention::Backward(const at::Tensor& grad_NE, const AttentionTape& tape, const BatchLayout& layout,
                         const QueryKeyValue& grads) const {
  if (!grad_NE.is_cpu()) {
    BackwardFused(grad_NE, tape, layout, grads);
    return;
  }
  ForEachSequence(layout, [&](int64_t row, int64_t length) {
    SequenceAttention(shape_, row, length).Backward(grad_NE, tape.inputs, grads);
  });
}

}  // namespace splitft::model
