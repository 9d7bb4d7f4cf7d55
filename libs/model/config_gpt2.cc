#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/model/config_families.h"

namespace splitft::model {
namespace {

// All are 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), written differently.
constexpr std::array<const char*, 5> kGeluTanhNames = {"gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast",
                                                       "gelu_accurate"};

// Switches of GPT2Attention that change what is computed. reorder_and_upcast_attn only changes the order of rounding.
void RefuseOtherMaths(ConfigFields* fields) {
  if (!fields->BoolOr("scale_attn_weights", true)) {
    fields->Unknown("scale_attn_weights", "true");
  }
  if (fields->BoolOr("scale_attn_by_inverse_layer_idx", false)) {
    fields->Unknown("scale_attn_by_inverse_layer_idx", "false");
  }
  if (fields->BoolOr("add_cross_attention", false)) {
    fields->Unknown("add_cross_attention", "false");
  }
}

}  // namespace

ModelConfig ReadGpt2Config(ConfigFields* fields) {
  ModelConfig config;
  config.architecture = Architecture::kGpt2;
  config.hidden_size = fields->Size("n_embd");
  config.intermediate_size = fields->SizeOr("n_inner", 4 * config.hidden_size);
  config.vocabulary_size = fields->Size("vocab_size");
  config.max_positions = fields->Size("n_positions");
  config.block_count = ReadBlockCount("n_layer", fields);
  config.head_count = fields->Size("n_head");
  config.key_value_head_count = config.head_count;
  config.head_size = config.hidden_size / config.head_count;
  config.norm_epsilon = fields->PositiveOr("layer_norm_epsilon", 1e-5);
  config.activation = Activation::kGeluTanh;
  config.attention_bias = true;
  config.output_bias = true;
  config.mlp_bias = true;
  config.tied_embeddings = fields->BoolOr("tie_word_embeddings", true);
  if (config.hidden_size % config.head_count != 0) {
    fields->Refuse("n_head", absl::StrCat("a divisor of n_embd, which is ", config.hidden_size));
  }
  const std::string activation = fields->TextOr("activation_function", "gelu_new");
  if (std::ranges::find(kGeluTanhNames, activation) == kGeluTanhNames.end()) {
    fields->Unknown("activation_function", "gelu_new and its spellings (gelu_pytorch_tanh, gelu_fast)");
  }
  RefuseOtherMaths(fields);
  return config;
}

}  // namespace splitft::model
