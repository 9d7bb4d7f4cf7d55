#include "libs/model/llama.h"

#include <ATen/ops/empty_like.h>

#include <optional>
#include <string>
#include <utility>

#include "libs/model/loss_head.h"
#include "libs/model/ops/attention.h"
#include "libs/model/ops/linear.h"
#include "libs/model/ops/rms_norm.h"
#include "libs/model/ops/rope.h"
#include "libs/model/ops/swiglu.h"
#include "libs/model/token_embedding.h"
#include "libs/model/weights.h"

// Shapes: N tokens, D model, H heads, J key/value heads, S head size.
namespace splitft::model {
namespace {

enum Module { kQuery, kKey, kValue, kAttentionOut, kGate, kUp, kDown };  // as LinearModules orders them

struct LlamaTape : BlockTape {
  at::Tensor hidden_ND;
  LinearTape query, key, value;
  at::Tensor raw_query, raw_key;  // before the heads' norm; undefined where there is none
  AttentionTape attention;
  LinearTape attention_out;
  at::Tensor middle_ND;
  LinearTape gate, up;
  at::Tensor gate_out, up_out;
  LinearTape down;
};

RmsNorm ReadNorm(const std::string& name, int64_t size, const ModelConfig& config, WeightReader& weights) {
  return {weights.Read(name + ".weight", {size}), config.norm_epsilon};
}

std::optional<int64_t> WindowOf(const ModelConfig& config, int block) {
  const bool slides = config.sliding_layers.empty() || config.sliding_layers[static_cast<size_t>(block)];
  return slides ? config.sliding_window : std::nullopt;
}

class LlamaBlock final : public Block {
 public:
  LlamaBlock(const ModelConfig& config, int block, WeightReader& weights)
      : head_size_(config.head_size),
        norm1_(ReadNorm("input_layernorm", config.hidden_size, config, weights)),
        query_(Read("self_attn.q_proj", block, kQuery, config, weights)),
        key_(Read("self_attn.k_proj", block, kKey, config, weights)),
        value_(Read("self_attn.v_proj", block, kValue, config, weights)),
        rope_(config.rope, config.head_size),
        attention_({config.head_count, config.key_value_head_count, config.head_size, WindowOf(config, block)}),
        attention_out_(Read("self_attn.o_proj", block, kAttentionOut, config, weights)),
        norm2_(ReadNorm("post_attention_layernorm", config.hidden_size, config, weights)),
        gate_(Read("mlp.gate_proj", block, kGate, config, weights)),
        up_(Read("mlp.up_proj", block, kUp, config, weights)),
        down_(Read("mlp.down_proj", block, kDown, config, weights)) {
    if (config.query_key_norm) {
      query_norm_ = ReadNorm("self_attn.q_norm", config.head_size, config, weights);
      key_norm_ = ReadNorm("self_attn.k_norm", config.head_size, config, weights);
    }
  }

  at::Tensor Forward(const at::Tensor& hidden_ND, const BlockContext& context,
                     std::unique_ptr<BlockTape>* tape) const override {
    auto saved = std::make_unique<LlamaTape>();
    saved->hidden_ND = hidden_ND;
    const at::Tensor normal_ND = norm1_.Forward(hidden_ND);
    QueryKeyValue heads = {query_.Forward(normal_ND, context, &saved->query),
                           key_.Forward(normal_ND, context, &saved->key),
                           value_.Forward(normal_ND, context, &saved->value)};
    heads.q = Position(heads.q, query_norm_, context.layout, &saved->raw_query);
    heads.k = Position(heads.k, key_norm_, context.layout, &saved->raw_key);
    const at::Tensor attended = attention_.Forward(heads, context.layout, tape ? &saved->attention : nullptr);
    saved->middle_ND = attention_out_.Forward(attended, context, &saved->attention_out, hidden_ND);
    const at::Tensor normal2_ND = norm2_.Forward(saved->middle_ND);
    saved->gate_out = gate_.Forward(normal2_ND, context, &saved->gate);
    saved->up_out = up_.Forward(normal2_ND, context, &saved->up);
    at::Tensor out_ND = down_.Forward(SwiGlu(saved->gate_out, saved->up_out), context, &saved->down, saved->middle_ND);
    if (tape != nullptr) {
      *tape = std::move(saved);
    }
    return out_ND;
  }

  at::Tensor Backward(const at::Tensor& grad_ND, const BlockContext& context, std::unique_ptr<BlockTape> tape,
                      at::Tensor* flat_grad, bool need_input_gradient) const override {
    const auto& saved = static_cast<const LlamaTape&>(*tape);
    const SwiGluGrad grad_mlp =
        SwiGluBackward(down_.Backward(grad_ND, context, saved.down, flat_grad), saved.gate_out, saved.up_out);
    const at::Tensor grad_up_ND = up_.Backward(grad_mlp.up, context, saved.up, flat_grad);
    const at::Tensor grad_mlp_ND = gate_.Backward(grad_mlp.gate, context, saved.gate, flat_grad, grad_up_ND);
    const at::Tensor grad_middle_ND = norm2_.Backward(grad_mlp_ND, saved.middle_ND, grad_ND);
    const at::Tensor grad_attended = attention_out_.Backward(grad_middle_ND, context, saved.attention_out, flat_grad);
    const bool adapted = query_.HasAdapter(context) || key_.HasAdapter(context) || value_.HasAdapter(context);
    if (!need_input_gradient && !adapted) {
      return {};
    }
    const QueryKeyValue& inputs = saved.attention.inputs;
    QueryKeyValue grads = {at::empty_like(inputs.q), at::empty_like(inputs.k), at::empty_like(inputs.v)};
    attention_.Backward(grad_attended, saved.attention, context.layout, grads);
    grads.q = PositionBackward(grads.q, query_norm_, context.layout, saved.raw_query);
    grads.k = PositionBackward(grads.k, key_norm_, context.layout, saved.raw_key);
    if (!need_input_gradient) {
      query_.BackwardAdapter(grads.q, context, saved.query, flat_grad);
      key_.BackwardAdapter(grads.k, context, saved.key, flat_grad);
      value_.BackwardAdapter(grads.v, context, saved.value, flat_grad);
      return {};
    }
    at::Tensor grad_normal_ND = value_.Backward(grads.v, context, saved.value, flat_grad);
    grad_normal_ND = key_.Backward(grads.k, context, saved.key, flat_grad, grad_normal_ND);
    grad_normal_ND = query_.Backward(grads.q, context, saved.query, flat_grad, grad_normal_ND);
    return norm1_.Backward(grad_normal_ND, saved.hidden_ND, grad_middle_ND);
  }

 private:
  static Linear Read(const std::string& name, int block, Module module, const ModelConfig& config,
                     WeightReader& weights) {
    const LinearModule shape = LinearModules(config)[module];
    const bool has_bias = module <= kValue          ? config.attention_bias
                          : module == kAttentionOut ? config.output_bias
                                                    : config.mlp_bias;
    at::Tensor weight_OI = weights.Read(name + ".weight", {shape.out_features, shape.in_features});
    return {block, module, std::move(weight_OI), weights.ReadIf(has_bias, name + ".bias", {shape.out_features})};
  }

  // The heads' norm, where there is one, and their rotation. `raw` receives what the norm's backward needs.
  at::Tensor Position(const at::Tensor& x, const std::optional<RmsNorm>& norm, const BatchLayout& layout,
                      at::Tensor* raw) const {
    at::Tensor heads = x.unflatten(1, {-1, head_size_});
    if (norm.has_value()) {
      *raw = heads;
      heads = norm->Forward(heads);
    }
    rope_.Rotate(layout, &heads);
    return heads.flatten(1, 2);
  }
  at::Tensor PositionBackward(const at::Tensor& grad, const std::optional<RmsNorm>& norm, const BatchLayout& layout,
                              const at::Tensor& raw) const {
    at::Tensor heads = grad.unflatten(1, {-1, head_size_});
    rope_.RotateBack(layout, &heads);
    return (norm.has_value() ? norm->Backward(heads, raw) : heads).flatten(1, 2);
  }

  int64_t head_size_;
  RmsNorm norm1_;
  Linear query_, key_, value_;
  std::optional<RmsNorm> query_norm_, key_norm_;
  Rope rope_;
  Attention attention_;
  Linear attention_out_;
  RmsNorm norm2_;
  Linear gate_, up_, down_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Embedding>> LoadLlamaEmbedding(const ModelDirectory& directory,
                                                              const Placement& placement) {
  const ModelConfig& config = directory.config();
  WeightReader weights(directory, "model", placement);
  const at::Tensor tokens_VD =
      weights.ReadAsStored("embed_tokens.weight", {config.vocabulary_size, config.hidden_size});
  return FinishLoading<Embedding>(weights, std::make_unique<TokenEmbedding>(tokens_VD, at::Tensor(), placement.dtype));
}

absl::StatusOr<std::unique_ptr<Block>> LoadLlamaBlock(const ModelDirectory& directory, int block,
                                                      const Placement& placement) {
  WeightReader weights(directory, BlockPrefix(directory.config(), block), placement);
  auto loaded = std::make_unique<LlamaBlock>(directory.config(), block, weights);
  return FinishLoading<Block>(weights, std::move(loaded));
}

absl::StatusOr<std::unique_ptr<LossHead>> LoadLlamaLossHead(const ModelDirectory& directory,
                                                            const Placement& placement) {
  const ModelConfig& config = directory.config();
  WeightReader weights(directory, "", placement);
  RmsNorm norm = ReadNorm("model.norm", config.hidden_size, config, weights);
  const at::Tensor head_VD = weights.Read("lm_head.weight", {config.vocabulary_size, config.hidden_size});
  return FinishLoading<LossHead>(weights, std::make_unique<LinearLossHead>(std::move(norm), head_VD));
}

}  // namespace splitft::model
