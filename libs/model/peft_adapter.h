#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/config.h"
#include "libs/spec/job.h"

namespace splitft::model {

// The weights of an adapter in its folder.
inline constexpr char kAdapterFile[] = "adapter_model.safetensors";

// Writes adapter_config.json and adapter_model.safetensors as PEFT does (rank_pattern and alpha_pattern where slots
// differ). `flat`: the layout's vector. `base_model`: what PEFT records as base_model_name_or_path. Each file is
// written atomically.
absl::Status WritePeftAdapter(const std::filesystem::path& directory, const ModelConfig& config, const spec::Lora& lora,
                              const AdapterLayout& layout, std::span<const float> flat, const std::string& base_model);

// Reads a PEFT LoRA adapter into the layout's vector. The adapter must have exactly the layout's modules, ranks and
// scales; the error names the first that differs. Refuses what is not plain LoRA (DoRA, rsLoRA, bias, modules_to_save).
absl::StatusOr<std::vector<float>> ReadPeftAdapter(const std::filesystem::path& directory, const ModelConfig& config,
                                                   const AdapterLayout& layout);

// The `lora` section that reproduces an adapter's own layout (rank, alpha, target modules, patterns): for `generate`.
absl::StatusOr<spec::Lora> ReadPeftConfig(const std::filesystem::path& directory);

}  // namespace splitft::model
