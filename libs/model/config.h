#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft::model {

enum class Architecture { kGpt2, kLlama, kMistral, kQwen2, kQwen3 };
enum class Activation { kGeluTanh, kSilu };

// Rotary position embedding (Su et al. 2021) with the scalings that Hugging Face's `rope_scaling` / `rope_parameters`
// name.
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kLlama3 };
  double theta = 10000.0;
  Scaling scaling = Scaling::kNone;
  double factor = 1.0;
  double low_frequency_factor = 1.0;   // kLlama3
  double high_frequency_factor = 4.0;  // kLlama3
  int64_t original_max_positions = 0;  // kLlama3
};

// A decoder-only model's shape, as its config.json says. The base model's own dropout (GPT-2's attn_pdrop and the like)
// is not in here: the base is frozen, and splitft trains it without; LoRA's dropout is the job's.
struct ModelConfig {
  Architecture architecture = Architecture::kGpt2;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t vocabulary_size = 0;
  int64_t max_positions = 0;
  int block_count = 0;
  int64_t head_count = 0;
  int64_t key_value_head_count = 0;
  int64_t head_size = 0;
  double norm_epsilon = 1e-5;
  Activation activation = Activation::kGeluTanh;
  RopeConfig rope;
  std::optional<int64_t> sliding_window;  // tokens a query sees, itself included; none: all
  std::vector<bool> sliding_layers;       // per block: whether sliding_window applies; empty: to all
  bool attention_bias = false;            // q, k, v biases
  bool output_bias = false;               // attention output projection's bias
  bool mlp_bias = false;
  bool query_key_norm = false;   // Qwen3
  bool tied_embeddings = false;  // lm_head is the embedding
};

// Parses a Hugging Face config.json, old (rope_theta, rope_scaling) or new (rope_parameters). Fields it does not have
// mean what they mean to transformers 5. Unimplemented: a model_type, activation, scaling or quantization this build
// does not know (the message names it and lists what is known). InvalidArgument: a missing, ill-typed or impossible
// field, by name and value. Pure; any thread.
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text);

// The linear modules of one block that LoRA may target, by Hugging Face name below the block ("attn.c_attn",
// "self_attn.q_proj"), in order of use, with their sizes.
struct LinearModule {
  std::string name;
  int64_t in_features = 0;
  int64_t out_features = 0;
};
std::vector<LinearModule> LinearModules(const ModelConfig& config);

// PEFT's default target modules of the architecture (c_attn; q_proj, v_proj).
std::vector<std::string> DefaultTargetModules(Architecture architecture);

// The name of block `b` in a checkpoint: "transformer.h.3" or "model.layers.3".
std::string BlockPrefix(const ModelConfig& config, int block);

}  // namespace splitft::model
