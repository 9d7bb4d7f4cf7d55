#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/model/config_families.h"

namespace splitft::model {
namespace {

using nlohmann::json;

// Where a family's config class differs from LlamaConfig when a field is not there at all.
struct Defaults {
  std::optional<int64_t> key_value_heads;  // none: as many as heads
  std::optional<int64_t> head_size;        // none: hidden_size / heads
};

Defaults DefaultsOf(Architecture architecture) {
  switch (architecture) {
    case Architecture::kMistral:
      return {.key_value_heads = 8};
    case Architecture::kQwen2:
      return {.key_value_heads = 32};
    case Architecture::kQwen3:
      return {.key_value_heads = 32, .head_size = 128};
    default:
      return {};
  }
}

void ReadHeads(const Defaults& defaults, ConfigFields* fields, ModelConfig* config) {
  config->head_count = fields->Size("num_attention_heads");
  const bool absent = !fields->Mentions("num_key_value_heads");
  config->key_value_head_count = absent && defaults.key_value_heads
                                     ? *defaults.key_value_heads
                                     : fields->SizeOr("num_key_value_heads", config->head_count);
  if (config->head_count % config->key_value_head_count != 0) {
    fields->Refuse("num_key_value_heads",
                   absl::StrCat("a divisor of num_attention_heads, which is ", config->head_count));
  }
  if (fields->Has("head_dim") || (!fields->Mentions("head_dim") && defaults.head_size)) {
    config->head_size = fields->SizeOr("head_dim", defaults.head_size.value_or(1));
  } else {
    config->head_size = config->hidden_size / config->head_count;
    if (config->hidden_size % config->head_count != 0) {
      fields->Refuse("num_attention_heads",
                     absl::StrCat("a divisor of hidden_size, which is ", config->hidden_size, ", or a head_dim"));
    }
  }
  if (config->head_count * config->head_size > std::numeric_limits<int32_t>::max()) {
    fields->Refuse("num_attention_heads", absl::StrCat("less, at ", config->head_size, " elements a head"));
  }
  if (config->head_size % 2 != 0) {
    fields->Fail(absl::InvalidArgumentError(absl::StrCat(fields->source(), ": heads have ", config->head_size,
                                                         " elements; rotary embeddings need an even number")));
  }
}

// `layer_types`: per block, whether it is "sliding_attention". Nothing where the field is not there.
std::optional<std::vector<bool>> ReadLayerTypes(int block_count, ConfigFields* fields) {
  if (!fields->Has("layer_types")) {
    return std::nullopt;
  }
  const json& types = fields->Raw("layer_types");
  if (!types.is_array() || types.size() != static_cast<size_t>(block_count)) {
    fields->Refuse("layer_types", absl::StrCat("a list of num_hidden_layers = ", block_count, " names"));
    return std::nullopt;
  }
  std::vector<bool> sliding;
  for (const json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      fields->Unknown("layer_types", "full_attention and sliding_attention");
      return std::nullopt;
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

// A window of which no block makes use is none.
void SetWindow(std::optional<int64_t> window, std::vector<bool> sliding, ConfigFields* fields, ModelConfig* config) {
  if (std::ranges::none_of(sliding, std::identity())) {
    return;
  }
  if (!window) {
    fields->Refuse("layer_types", "no sliding_attention, as no sliding_window is in use");
    return;
  }
  config->sliding_window = window;
  if (!std::ranges::all_of(sliding, std::identity())) {
    config->sliding_layers = std::move(sliding);
  }
}

void ReadMistralWindow(ConfigFields* fields, ModelConfig* config) {
  const auto blocks = static_cast<size_t>(config->block_count);
  std::optional<int64_t> window;
  if (!fields->Mentions("sliding_window")) {
    window = 4096;
  } else if (fields->Has("sliding_window")) {
    window = fields->Size("sliding_window");
  }
  // MistralConfig has no layer_types, so transformers would not heed a mixture.
  const std::vector<bool> all(blocks, window.has_value());
  if (ReadLayerTypes(config->block_count, fields).value_or(all) != all) {
    fields->Refuse("layer_types", "every layer alike, as sliding_window says");
  }
  SetWindow(window, all, fields, config);
}

void ReadQwenWindow(ConfigFields* fields, ModelConfig* config) {
  std::optional<int64_t> window;
  if (fields->BoolOr("use_sliding_window", false)) {
    if (!fields->Mentions("sliding_window")) {
      window = 4096;
    } else if (fields->Has("sliding_window")) {
      window = fields->Size("sliding_window");
    }
  }
  std::optional<std::vector<bool>> sliding = ReadLayerTypes(config->block_count, fields);
  if (!sliding) {
    const double first = fields->NumberOr("max_window_layers", 28);
    sliding.emplace();
    for (int block = 0; block < config->block_count; ++block) {
      sliding->push_back(window.has_value() && block >= first);
    }
  }
  SetWindow(window, *std::move(sliding), fields, config);
}

}  // namespace

ModelConfig ReadLlamaConfig(Architecture architecture, ConfigFields* fields) {
  ModelConfig config;
  config.architecture = architecture;
  config.hidden_size = fields->Size("hidden_size");
  config.intermediate_size = fields->Size("intermediate_size");
  config.vocabulary_size = fields->Size("vocab_size");
  config.max_positions = fields->Size("max_position_embeddings");
  config.block_count = ReadBlockCount("num_hidden_layers", fields);
  ReadHeads(DefaultsOf(architecture), fields, &config);
  config.norm_epsilon = fields->PositiveOr("rms_norm_eps", 1e-6);
  config.activation = Activation::kSilu;
  const std::string activation = fields->TextOr("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    fields->Unknown("hidden_act", "silu (also called swish)");
  }
  config.rope = ReadRopeConfig(config.max_positions, fields);
  config.tied_embeddings = fields->BoolOr("tie_word_embeddings", false);
  if (architecture == Architecture::kLlama || architecture == Architecture::kQwen3) {
    config.attention_bias = fields->BoolOr("attention_bias", false);
    config.output_bias = config.attention_bias;
  }
  if (architecture == Architecture::kLlama) {
    config.mlp_bias = fields->BoolOr("mlp_bias", false);
  }
  if (architecture == Architecture::kQwen2) {
    config.attention_bias = true;  // on q, k and v, whatever the file says
  }
  config.query_key_norm = architecture == Architecture::kQwen3;
  if (!fields->status().ok()) {
    return config;  // block_count may be anything
  }
  if (architecture == Architecture::kMistral) {
    ReadMistralWindow(fields, &config);
  } else if (architecture != Architecture::kLlama) {
    ReadQwenWindow(fields, &config);
  }
  return config;
}

}  // namespace splitft::model
