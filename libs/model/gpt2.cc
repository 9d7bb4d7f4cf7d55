#include "libs/model/gpt2.h"

#include <ATen/ops/empty.h>

#include <utility>

#include "libs/model/loss_head.h"
#include "libs/model/ops/attention.h"
#include "libs/model/ops/gelu.h"
#include "libs/model/ops/layer_norm.h"
#include "libs/model/ops/linear.h"
#include "libs/model/token_embedding.h"
#include "libs/model/weights.h"

// Shapes: N tokens, D model.
namespace splitft::model {
namespace {

enum Module { kAttention, kAttentionOut, kUp, kDown };  // as LinearModules orders them

struct Gpt2Tape : BlockTape {
  at::Tensor hidden_ND;
  LinearTape qkv;
  AttentionTape attention;
  LinearTape attention_out;
  at::Tensor middle_ND;
  LinearTape up;
  at::Tensor up_out;
  LinearTape down;
};

class Gpt2Block final : public Block {
 public:
  Gpt2Block(const ModelConfig& config, int block, WeightReader& weights)
      : norm1_(ReadNorm("ln_1", config, weights)),
        qkv_(ReadConv("attn.c_attn", block, kAttention, config.hidden_size, 3 * config.hidden_size, weights)),
        attention_({config.head_count, config.head_count, config.head_size, std::nullopt}),
        attention_out_(ReadConv("attn.c_proj", block, kAttentionOut, config.hidden_size, config.hidden_size, weights)),
        norm2_(ReadNorm("ln_2", config, weights)),
        up_(ReadConv("mlp.c_fc", block, kUp, config.hidden_size, config.intermediate_size, weights)),
        down_(ReadConv("mlp.c_proj", block, kDown, config.intermediate_size, config.hidden_size, weights)) {}

  at::Tensor Forward(const at::Tensor& hidden_ND, const BlockContext& context,
                     std::unique_ptr<BlockTape>* tape) const override {
    auto saved = std::make_unique<Gpt2Tape>();
    saved->hidden_ND = hidden_ND;
    const at::Tensor qkv = qkv_.Forward(norm1_.Forward(hidden_ND), context, &saved->qkv);
    const at::Tensor attended_ND = attention_.Forward(Split(qkv), context.layout, tape ? &saved->attention : nullptr);
    saved->middle_ND = attention_out_.Forward(attended_ND, context, &saved->attention_out, hidden_ND);
    saved->up_out = up_.Forward(norm2_.Forward(saved->middle_ND), context, &saved->up);
    at::Tensor out_ND = down_.Forward(Gelu(saved->up_out), context, &saved->down, saved->middle_ND);
    if (tape != nullptr) {
      *tape = std::move(saved);
    }
    return out_ND;
  }

  at::Tensor Backward(const at::Tensor& grad_ND, const BlockContext& context, std::unique_ptr<BlockTape> tape,
                      at::Tensor* flat_grad, bool need_input_gradient) const override {
    const auto& saved = static_cast<const Gpt2Tape&>(*tape);
    const at::Tensor grad_up = GeluBackward(down_.Backward(grad_ND, context, saved.down, flat_grad), saved.up_out);
    const at::Tensor grad_middle_ND =
        norm2_.Backward(up_.Backward(grad_up, context, saved.up, flat_grad), saved.middle_ND, grad_ND);
    const at::Tensor grad_attended_ND =
        attention_out_.Backward(grad_middle_ND, context, saved.attention_out, flat_grad);
    if (!need_input_gradient && !qkv_.HasAdapter(context)) {
      return {};
    }
    const at::Tensor grad_qkv = at::empty({grad_ND.size(0), 3 * grad_ND.size(1)}, grad_ND.options());
    attention_.Backward(grad_attended_ND, saved.attention, context.layout, Split(grad_qkv));
    if (!need_input_gradient) {
      qkv_.BackwardAdapter(grad_qkv, context, saved.qkv, flat_grad);
      return {};
    }
    return norm1_.Backward(qkv_.Backward(grad_qkv, context, saved.qkv, flat_grad), saved.hidden_ND, grad_middle_ND);
  }

 private:
  static LayerNorm ReadNorm(const std::string& name, const ModelConfig& config, WeightReader& weights) {
    at::Tensor weight = weights.Read(name + ".weight", {config.hidden_size});
    at::Tensor bias = weights.Read(name + ".bias", {config.hidden_size});
    return {std::move(weight), std::move(bias), config.norm_epsilon};
  }
  // GPT-2 stores its linear weights transposed ("Conv1D", [in, out]): a view turns them.
  static Linear ReadConv(const std::string& name, int block, Module module, int64_t in, int64_t out,
                         WeightReader& weights) {
    const at::Tensor weight_IO = weights.Read(name + ".weight", {in, out});
    return {block, module, weight_IO.defined() ? weight_IO.t() : weight_IO, weights.Read(name + ".bias", {out})};
  }
  static QueryKeyValue Split(const at::Tensor& qkv) {
    const int64_t size = qkv.size(1) / 3;
    return {qkv.narrow(1, 0, size), qkv.narrow(1, size, size), qkv.narrow(1, 2 * size, size)};
  }

  LayerNorm norm1_;
  Linear qkv_;
  Attention attention_;
  Linear attention_out_;
  LayerNorm norm2_;
  Linear up_;
  Linear down_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Embedding>> LoadGpt2Embedding(const ModelDirectory& directory,
                                                             const Placement& placement) {
  const ModelConfig& config = directory.config();
  WeightReader weights(directory, "transformer", placement);
  const at::Tensor tokens = weights.ReadAsStored("wte.weight", {config.vocabulary_size, config.hidden_size});
  const at::Tensor positions = weights.ReadAsStored("wpe.weight", {config.max_positions, config.hidden_size});
  return FinishLoading<Embedding>(weights, std::make_unique<TokenEmbedding>(tokens, positions, placement.dtype));
}

absl::StatusOr<std::unique_ptr<Block>> LoadGpt2Block(const ModelDirectory& directory, int block,
                                                     const Placement& placement) {
  WeightReader weights(directory, BlockPrefix(directory.config(), block), placement);
  auto loaded = std::make_unique<Gpt2Block>(directory.config(), block, weights);
  return FinishLoading<Block>(weights, std::move(loaded));
}

absl::StatusOr<std::unique_ptr<LossHead>> LoadGpt2LossHead(const ModelDirectory& directory,
                                                           const Placement& placement) {
  const ModelConfig& config = directory.config();
  WeightReader weights(directory, "", placement);
  const at::Tensor norm = weights.Read("transformer.ln_f.weight", {config.hidden_size});
  const at::Tensor bias = weights.Read("transformer.ln_f.bias", {config.hidden_size});
  const at::Tensor head_VD = weights.Read("lm_head.weight", {config.vocabulary_size, config.hidden_size});
  return FinishLoading<LossHead>(weights,
                                 std::make_unique<LinearLossHead>(LayerNorm(norm, bias, config.norm_epsilon), head_VD));
}

}  // namespace splitft::model
