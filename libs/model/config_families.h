#pragma once

#include "libs/model/config.h"
#include "libs/model/config_fields.h"

// The fields of config.json, family by family. Each reads all that its family has; the caller checks fields->status().
namespace splitft::model {

// GPT-2 (transformers' GPT2Config).
ModelConfig ReadGpt2Config(ConfigFields* fields);

// Llama, Mistral, Qwen2 and Qwen3 (transformers' LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config).
ModelConfig ReadLlamaConfig(Architecture architecture, ConfigFields* fields);

// The number of blocks, which is bounded.
int ReadBlockCount(const char* key, ConfigFields* fields);

// rope_parameters, or rope_scaling and rope_theta.
RopeConfig ReadRopeConfig(int64_t max_positions, ConfigFields* fields);

}  // namespace splitft::model
