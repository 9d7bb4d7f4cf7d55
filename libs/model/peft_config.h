#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/config.h"
#include "libs/spec/job.h"

namespace splitft::model {

// The text of adapter_config.json (PEFT's LoraConfig) for adapters laid out as `layout`: target_modules as short as
// they can be, and a pattern, by full name, for every slot whose rank or alpha is not `lora`'s own.
std::string SerializePeftConfig(const ModelConfig& config, const spec::Lora& lora, const AdapterLayout& layout,
                                const std::string& base_model);

// The `lora` section that an adapter_config.json describes. `source` begins every message. InvalidArgument: text that
// is not such a file. Unimplemented: what is not plain LoRA, by field and value.
absl::StatusOr<spec::Lora> ParsePeftConfig(std::string_view text, const std::string& source);

}  // namespace splitft::model
