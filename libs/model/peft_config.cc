#include "libs/model/peft_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/config_fields.h"
#include "libs/model/module_match.h"
#include "libs/model/strict_json.h"
#include "nlohmann/json.hpp"

namespace splitft::model {
namespace {

using nlohmann::json;

// Fields of LoraConfig that turn plain LoRA into something else unless they are null, false or empty.
constexpr std::array<const char*, 21> kNotPlainLora = {"use_dora",
                                                       "use_rslora",
                                                       "use_qalora",
                                                       "use_bdlora",
                                                       "lora_bias",
                                                       "modules_to_save",
                                                       "exclude_modules",
                                                       "layers_to_transform",
                                                       "layers_pattern",
                                                       "layer_replication",
                                                       "target_parameters",
                                                       "trainable_token_indices",
                                                       "alora_invocation_tokens",
                                                       "megatron_config",
                                                       "arrow_config",
                                                       "kasa_config",
                                                       "velora_config",
                                                       "monteclora_config",
                                                       "corda_config",
                                                       "lora_ga_config",
                                                       "loftq_config"};

// Ways to draw A and B that leave the base model as it is. (PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA do not.)
constexpr std::array<const char*, 3> kPlainInitializations = {"gaussian", "eva", "orthogonal"};

bool IsNothing(const json& value) {
  return value.is_null() || value == false || ((value.is_object() || value.is_array()) && value.empty());
}

// 16 rather than 16.0, as PEFT's lora_alpha is an int.
json Number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::trunc(value) == value && std::abs(value) < kExact) {
    return static_cast<int64_t>(value);
  }
  return value;
}

std::string FullName(const ModelConfig& config, const AdapterSlot& slot) {
  return absl::StrCat(BlockPrefix(config, slot.block), ".", slot.name);
}

// Names that together match exactly the layout's modules: last components ("q_proj") where that is enough, else names
// below the block ("attn.c_proj"), else, where blocks differ, full names.
std::vector<std::string> TargetModules(const ModelConfig& config, const AdapterLayout& layout) {
  std::set<std::string> all;
  for (int block = 0; block < config.block_count; ++block) {
    for (const LinearModule& module : LinearModules(config)) {
      all.insert(absl::StrCat(BlockPrefix(config, block), ".", module.name));
    }
  }
  std::set<std::string> wanted;
  for (const AdapterSlot& slot : layout.slots()) {
    wanted.insert(FullName(config, slot));
  }
  std::set<std::string> targets;
  for (const AdapterSlot& slot : layout.slots()) {
    const std::string full = FullName(config, slot);
    for (const std::string& candidate : {slot.name.substr(slot.name.rfind('.') + 1), slot.name, full}) {
      if (targets.contains(candidate)) {
        break;
      }
      const bool exact = std::ranges::all_of(
          all, [&](const std::string& module) { return !TargetMatches(candidate, module) || wanted.contains(module); });
      if (exact) {
        targets.insert(candidate);
        break;
      }
    }
  }
  return {targets.begin(), targets.end()};
}

void RefuseNotPlain(ConfigFields* fields) {
  if (fields->Text("peft_type") != "LORA") {
    fields->Unknown("peft_type", "LORA");
  }
  if (fields->TextOr("bias", "none") != "none") {
    fields->Unknown("bias", "none");
  }
  for (const char* key : kNotPlainLora) {
    if (!IsNothing(fields->Raw(key))) {
      fields->Unknown(key, "plain LoRA, which has none of it");
    }
  }
  const json& initialization = fields->Raw("init_lora_weights");
  if (!initialization.is_null() && !initialization.is_boolean() &&
      std::ranges::find(kPlainInitializations, initialization) == kPlainInitializations.end()) {
    fields->Unknown("init_lora_weights",
                    "those that leave the base model as it is (true, false, gaussian, eva, orthogonal)");
  }
}

void ReadTargets(ConfigFields* fields, spec::Lora* lora) {
  const json& targets = fields->Raw("target_modules");
  if (targets.is_null() || targets == "all-linear") {
    lora->target_modules = targets.is_null() ? std::vector<std::string>{} : std::vector<std::string>{"all-linear"};
    return;
  }
  if (targets.is_string()) {
    fields->Unknown("target_modules", "lists of module names, not regular expressions");
    return;
  }
  if (!targets.is_array() || targets.empty() ||
      !std::ranges::all_of(targets, [](const json& target) { return target.is_string(); })) {
    fields->Refuse("target_modules", "a list of module names");
    return;
  }
  lora->target_modules = targets.get<std::vector<std::string>>();
  std::ranges::sort(lora->target_modules);  // PEFT writes a set, in any order
}

int ReadRank(const char* key, ConfigFields* fields) {
  const int64_t rank = fields->Size(key);
  return static_cast<int>(rank);  // Size is below 2^31
}

// A pattern is an object of its own, whose keys are module names.
template <typename Value, typename Read>
void ReadPattern(const char* key, ConfigFields* fields, Read read, std::map<std::string, Value>* pattern) {
  if (!fields->Has(key)) {
    return;
  }
  ConfigFields entries(fields->Raw(key), absl::StrCat(fields->source(), ": ", key));
  if (entries.status().ok()) {
    for (const auto& [name, value] : fields->Raw(key).items()) {
      (*pattern)[name] = read(name.c_str(), &entries);
    }
  }
  fields->Fail(entries.status());
}

}  // namespace

std::string SerializePeftConfig(const ModelConfig& config, const spec::Lora& lora, const AdapterLayout& layout,
                                const std::string& base_model) {
  json ranks = json::object();
  json alphas = json::object();
  for (const AdapterSlot& slot : layout.slots()) {
    if (slot.rank != lora.rank) {
      ranks[FullName(config, slot)] = slot.rank;
    }
    if (slot.alpha != lora.alpha) {
      alphas[FullName(config, slot)] = Number(slot.alpha);
    }
  }
  const json root = {{"alpha_pattern", alphas},
                     {"auto_mapping", nullptr},
                     {"base_model_name_or_path", base_model},
                     {"bias", "none"},
                     // GPT-2's Conv1D keeps its weight transposed; PEFT must know when it merges.
                     {"fan_in_fan_out", config.architecture == Architecture::kGpt2},
                     {"inference_mode", true},
                     {"init_lora_weights", true},
                     {"layers_pattern", nullptr},
                     {"layers_to_transform", nullptr},
                     {"lora_alpha", Number(lora.alpha)},
                     {"lora_bias", false},
                     {"lora_dropout", lora.dropout},
                     {"modules_to_save", nullptr},
                     {"peft_type", "LORA"},
                     {"r", lora.rank},
                     {"rank_pattern", ranks},
                     {"revision", nullptr},
                     {"target_modules", TargetModules(config, layout)},
                     {"task_type", "CAUSAL_LM"},
                     {"use_dora", false},
                     {"use_rslora", false}};
  return root.dump(2) + "\n";
}

absl::StatusOr<spec::Lora> ParsePeftConfig(std::string_view text, const std::string& source) {
  SPLITFT_ASSIGN_OR_RETURN(const json root, ParseStrictJson(text, source));
  ConfigFields fields(root, source);
  RefuseNotPlain(&fields);
  spec::Lora lora;
  lora.rank = ReadRank("r", &fields);
  lora.alpha = fields.Positive("lora_alpha");
  lora.dropout = fields.NumberOr("lora_dropout", 0.0);
  if (lora.dropout < 0 || lora.dropout >= 1) {
    fields.Refuse("lora_dropout", "a number from 0 to below 1");
  }
  ReadTargets(&fields, &lora);
  ReadPattern("rank_pattern", &fields, ReadRank, &lora.rank_pattern);
  ReadPattern(
      "alpha_pattern", &fields, [](const char* key, ConfigFields* entries) { return entries->Positive(key); },
      &lora.alpha_pattern);
  SPLITFT_RETURN_IF_ERROR(fields.status());
  return lora;
}

}  // namespace splitft::model
