#include "libs/model/config.h"

#include <array>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "libs/model/config_families.h"
#include "libs/model/config_fields.h"
#include "libs/model/strict_json.h"

namespace splitft::model {
namespace {

using nlohmann::json;

constexpr int64_t kMaxBlocks = 4096;

struct Family {
  const char* model_type;
  Architecture architecture;
};
constexpr std::array<Family, 5> kFamilies = {{
    {"gpt2", Architecture::kGpt2},
    {"llama", Architecture::kLlama},
    {"mistral", Architecture::kMistral},
    {"qwen2", Architecture::kQwen2},
    {"qwen3", Architecture::kQwen3},
}};

std::string KnownFamilies() {
  return absl::StrJoin(kFamilies, ", ", [](std::string* out, const Family& family) { out->append(family.model_type); });
}

void RefuseQuantized(const json& root, ConfigFields* fields) {
  if (!fields->Has("quantization_config")) {
    return;
  }
  ConfigFields quantization(root["quantization_config"], "config.json: quantization_config");
  fields->Fail(absl::UnimplementedError(absl::StrCat(
      "config.json: the weights are quantized (quantization_config.quant_method is ",
      JsonExcerpt(quantization.Raw("quant_method")), "); this build knows float32, float16 and bfloat16 weights")));
}

}  // namespace

int ReadBlockCount(const char* key, ConfigFields* fields) {
  const int64_t count = fields->Size(key);
  if (count > kMaxBlocks) {
    fields->Refuse(key, absl::StrCat("at most ", kMaxBlocks));
    return 1;
  }
  return static_cast<int>(count);
}

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text) {
  SPLITFT_ASSIGN_OR_RETURN(const json root, ParseStrictJson(text, "config.json"));
  ConfigFields fields(root, "config.json");
  const std::string model_type = fields.Text("model_type");
  SPLITFT_RETURN_IF_ERROR(fields.status());
  for (const Family& family : kFamilies) {
    if (model_type != family.model_type) {
      continue;
    }
    RefuseQuantized(root, &fields);
    ModelConfig config = family.architecture == Architecture::kGpt2 ? ReadGpt2Config(&fields)
                                                                    : ReadLlamaConfig(family.architecture, &fields);
    SPLITFT_RETURN_IF_ERROR(fields.status());
    return config;
  }
  fields.Unknown("model_type", KnownFamilies());
  return fields.status();
}

std::vector<LinearModule> LinearModules(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  if (config.architecture == Architecture::kGpt2) {
    return {{"attn.c_attn", hidden, 3 * hidden},
            {"attn.c_proj", hidden, hidden},
            {"mlp.c_fc", hidden, inner},
            {"mlp.c_proj", inner, hidden}};
  }
  const int64_t query = config.head_count * config.head_size;
  const int64_t key_value = config.key_value_head_count * config.head_size;
  return {{"self_attn.q_proj", hidden, query},     {"self_attn.k_proj", hidden, key_value},
          {"self_attn.v_proj", hidden, key_value}, {"self_attn.o_proj", query, hidden},
          {"mlp.gate_proj", hidden, inner},        {"mlp.up_proj", hidden, inner},
          {"mlp.down_proj", inner, hidden}};
}

std::vector<std::string> DefaultTargetModules(Architecture architecture) {
  if (architecture == Architecture::kGpt2) {
    return {"c_attn"};
  }
  return {"q_proj", "v_proj"};
}

std::string BlockPrefix(const ModelConfig& config, int block) {
  return absl::StrCat(config.architecture == Architecture::kGpt2 ? "transformer.h." : "model.layers.", block);
}

}  // namespace splitft::model
