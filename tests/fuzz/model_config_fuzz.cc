// links: model_files
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libs/model/adapter_layout.h"
#include "libs/model/config.h"
#include "libs/model/peft_config.h"

// The first byte chooses config.json or adapter_config.json. A config that is accepted is one that blocks can be built
// from.
namespace {

using namespace splitft;

void Check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void CheckConfig(std::string_view text) {
  const absl::StatusOr<model::ModelConfig> config = model::ParseModelConfig(text);
  if (!config.ok()) {
    return;
  }
  Check(config->head_count > 0 && config->key_value_head_count > 0 && config->head_size > 0);
  Check(config->head_count % config->key_value_head_count == 0);
  Check(config->architecture == model::Architecture::kGpt2 || config->head_size % 2 == 0);
  Check(config->sliding_layers.empty() || config->sliding_layers.size() == static_cast<size_t>(config->block_count));
  Check(config->norm_epsilon > 0 && config->rope.theta > 0 && config->rope.factor > 0);
  for (const model::LinearModule& module : model::LinearModules(*config)) {
    Check(module.in_features > 0 && module.out_features > 0);
  }
  const absl::StatusOr<model::AdapterLayout> layout = model::AdapterLayout::Create(*config, {.rank = 1});
  Check(layout.ok() || config->hidden_size > 1 << 20 || config->head_count * config->head_size > 1 << 20);
  Check(!layout.ok() || layout->BlockRange(0, config->block_count).size == layout->size());
}

void CheckAdapterConfig(std::string_view text) {
  const absl::StatusOr<spec::Lora> lora = model::ParsePeftConfig(text, "input");
  if (!lora.ok()) {
    return;
  }
  const model::ModelConfig config = {.hidden_size = 8,
                                     .intermediate_size = 32,
                                     .block_count = 2,
                                     .head_count = 2,
                                     .key_value_head_count = 2,
                                     .head_size = 4};
  const absl::StatusOr<model::AdapterLayout> layout = model::AdapterLayout::Create(config, *lora);
  if (!layout.ok()) {
    return;
  }
  // What is written for a layout describes that layout.
  const absl::StatusOr<spec::Lora> again =
      model::ParsePeftConfig(model::SerializePeftConfig(config, *lora, *layout, "base"), "again");
  Check(again.ok());
  const absl::StatusOr<model::AdapterLayout> same = model::AdapterLayout::Create(config, *again);
  Check(same.ok() && same->size() == layout->size());
  for (size_t i = 0; i < layout->slots().size(); ++i) {
    Check(same->slots()[i].scale == layout->slots()[i].scale &&
          same->slots()[i].offset_b == layout->slots()[i].offset_b);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    CheckConfig(text);
  } else {
    CheckAdapterConfig(text);
  }
  return 0;
}
