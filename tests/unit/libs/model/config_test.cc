#include "libs/model/config.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace splitft::model {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json Gpt2() {
  return {{"model_type", "gpt2"}, {"n_embd", 32},      {"n_layer", 3},
          {"n_head", 4},          {"n_positions", 64}, {"vocab_size", 96}};
}

json Llama(const std::string& model_type = "llama") {
  return {{"model_type", model_type},      {"hidden_size", 32},        {"intermediate_size", 80},
          {"num_hidden_layers", 4},        {"num_attention_heads", 4}, {"num_key_value_heads", 2},
          {"max_position_embeddings", 64}, {"vocab_size", 96},         {"head_dim", 8}};
}

json With(json config, const json& changes) {
  config.update(changes);
  return config;
}

json Without(json config, const std::string& key) {
  config.erase(key);
  return config;
}

ModelConfig Parse(const json& config) {
  const absl::StatusOr<ModelConfig> parsed = ParseModelConfig(config.dump());
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed : ModelConfig();
}

std::string Error(const json& config, absl::StatusCode code) {
  const absl::StatusOr<ModelConfig> parsed = ParseModelConfig(config.dump());
  EXPECT_EQ(parsed.status().code(), code) << config;
  return std::string(parsed.status().message());
}
std::string Invalid(const json& config) { return Error(config, absl::StatusCode::kInvalidArgument); }
std::string Unimplemented(const json& config) { return Error(config, absl::StatusCode::kUnimplemented); }

TEST(ModelConfig, ReadsGpt2) {
  const ModelConfig config =
      Parse(With(Gpt2(), {{"n_inner", nullptr}, {"layer_norm_epsilon", 1e-4}, {"attn_pdrop", 0.1}}));
  EXPECT_EQ(config.architecture, Architecture::kGpt2);
  EXPECT_EQ(config.hidden_size, 32);
  EXPECT_EQ(config.intermediate_size, 128);
  EXPECT_EQ(config.vocabulary_size, 96);
  EXPECT_EQ(config.max_positions, 64);
  EXPECT_EQ(config.block_count, 3);
  EXPECT_EQ(config.head_count, 4);
  EXPECT_EQ(config.key_value_head_count, 4);
  EXPECT_EQ(config.head_size, 8);
  EXPECT_EQ(config.norm_epsilon, 1e-4);
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  EXPECT_TRUE(config.attention_bias && config.output_bias && config.mlp_bias);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(Parse(With(Gpt2(), {{"n_inner", 100}})).intermediate_size, 100);
  EXPECT_FALSE(Parse(With(Gpt2(), {{"tie_word_embeddings", false}})).tied_embeddings);
}

TEST(ModelConfig, RefusesGpt2SwitchesThatChangeTheMaths) {
  EXPECT_THAT(Unimplemented(With(Gpt2(), {{"scale_attn_by_inverse_layer_idx", true}})), HasSubstr("is true"));
  EXPECT_THAT(Unimplemented(With(Gpt2(), {{"scale_attn_weights", false}})), HasSubstr("scale_attn_weights is false"));
  EXPECT_THAT(Unimplemented(With(Gpt2(), {{"add_cross_attention", true}})), HasSubstr("add_cross_attention"));
  EXPECT_THAT(Unimplemented(With(Gpt2(), {{"activation_function", "relu"}})),
              AllOf(HasSubstr("\"relu\""), HasSubstr("gelu_new")));
  EXPECT_THAT(Unimplemented(With(Gpt2(), {{"activation_function", "gelu"}})), HasSubstr("\"gelu\""));
  Parse(With(Gpt2(), {{"reorder_and_upcast_attn", true}, {"activation_function", "gelu_pytorch_tanh"}}));
}

TEST(ModelConfig, ReadsLlama) {
  const ModelConfig config = Parse(With(Llama(), {{"rms_norm_eps", 1e-5}, {"rope_theta", 500000}}));
  EXPECT_EQ(config.architecture, Architecture::kLlama);
  EXPECT_EQ(config.intermediate_size, 80);
  EXPECT_EQ(config.key_value_head_count, 2);
  EXPECT_EQ(config.head_size, 8);
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.activation, Activation::kSilu);
  EXPECT_EQ(config.rope.theta, 500000.0);
  EXPECT_EQ(config.rope.scaling, RopeConfig::Scaling::kNone);
  EXPECT_FALSE(config.sliding_window.has_value());
  EXPECT_FALSE(config.attention_bias || config.output_bias || config.mlp_bias || config.query_key_norm);
  EXPECT_FALSE(config.tied_embeddings);
}

TEST(ModelConfig, BiasesAndNormsDependOnTheFamily) {
  const json biases = {{"attention_bias", true}, {"mlp_bias", true}};
  const ModelConfig llama = Parse(With(Llama(), biases));
  EXPECT_TRUE(llama.attention_bias && llama.output_bias && llama.mlp_bias);
  const ModelConfig mistral = Parse(With(Llama("mistral"), biases));
  EXPECT_FALSE(mistral.attention_bias || mistral.output_bias || mistral.mlp_bias);
  const ModelConfig qwen2 = Parse(With(Llama("qwen2"), {{"attention_bias", false}}));
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.output_bias || qwen2.query_key_norm);
  const ModelConfig qwen3 = Parse(With(Llama("qwen3"), {{"attention_bias", true}}));
  EXPECT_TRUE(qwen3.attention_bias && qwen3.output_bias && qwen3.query_key_norm);
}

TEST(ModelConfig, HeadsThatAreNotThereAreTheFamilysOwn) {
  EXPECT_EQ(Parse(Without(Llama(), "num_key_value_heads")).key_value_head_count, 4);
  EXPECT_EQ(Parse(With(Llama("mistral"), {{"num_key_value_heads", nullptr}})).key_value_head_count, 4);
  const json eight = With(Llama("mistral"), {{"num_attention_heads", 16}});
  EXPECT_EQ(Parse(Without(eight, "num_key_value_heads")).key_value_head_count, 8);
  EXPECT_EQ(Parse(With(Llama(), {{"head_dim", nullptr}})).head_size, 8);
  EXPECT_EQ(Parse(Without(Llama("qwen3"), "head_dim")).head_size, 128);
  EXPECT_EQ(Parse(Without(Llama("qwen2"), "head_dim")).head_size, 8);
}

TEST(ModelConfig, ReadsRopeOldAndNew) {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 32},
                       {"low_freq_factor", 1},
                       {"high_freq_factor", 4},
                       {"original_max_position_embeddings", 8192}};
  for (const json& changes : {json{{"rope_theta", 5e5}, {"rope_scaling", llama3}},
                              json{{"rope_parameters", With(llama3, {{"rope_theta", 5e5}})}}}) {
    const RopeConfig rope = Parse(With(Llama(), changes)).rope;
    EXPECT_EQ(rope.theta, 5e5);
    EXPECT_EQ(rope.scaling, RopeConfig::Scaling::kLlama3);
    EXPECT_EQ(rope.factor, 32);
    EXPECT_EQ(rope.low_frequency_factor, 1);
    EXPECT_EQ(rope.high_frequency_factor, 4);
    EXPECT_EQ(rope.original_max_positions, 8192);
  }
  const json old_linear = {{"rope_scaling", {{"type", "linear"}, {"factor", 2.5}}}};
  EXPECT_EQ(Parse(With(Llama(), old_linear)).rope.scaling, RopeConfig::Scaling::kLinear);
  EXPECT_EQ(Parse(With(Llama(), old_linear)).rope.factor, 2.5);
  EXPECT_EQ(Parse(With(Llama(), {{"rope_scaling", nullptr}, {"rope_theta", 7}})).rope.theta, 7);
  EXPECT_EQ(Parse(With(Llama(), {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 9}}}})).rope.theta, 9);
}

TEST(ModelConfig, RefusesOtherRopeByName) {
  EXPECT_THAT(Unimplemented(With(Llama(), {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}}}})),
              AllOf(HasSubstr("\"yarn\""), HasSubstr("default, linear and llama3")));
  EXPECT_THAT(Unimplemented(With(Llama(), {{"partial_rotary_factor", 0.5}})),
              HasSubstr("partial_rotary_factor is 0.5"));
  EXPECT_THAT(
      Unimplemented(With(Llama("qwen3"), {{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}})),
      HasSubstr("rope_parameters"));
  EXPECT_THAT(Invalid(With(Llama(), {{"rope_scaling", {{"type", "linear"}}}})), HasSubstr("factor is missing"));
  EXPECT_THAT(Invalid(With(Llama(), {{"rope_scaling", {{"type", "linear"}, {"factor", -1}}}})),
              HasSubstr("factor is -1"));
}

TEST(ModelConfig, MistralSlidesItsWindowOverAllLayers) {
  const ModelConfig config = Parse(With(Llama("mistral"), {{"sliding_window", 16}}));
  EXPECT_EQ(config.sliding_window, 16);
  EXPECT_TRUE(config.sliding_layers.empty());
  EXPECT_EQ(Parse(Llama("mistral")).sliding_window, 4096);
  EXPECT_FALSE(Parse(With(Llama("mistral"), {{"sliding_window", nullptr}})).sliding_window.has_value());
  const json mixed = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  EXPECT_THAT(Invalid(With(Llama("mistral"), {{"sliding_window", 16}, {"layer_types", mixed}})),
              HasSubstr("layer_types"));
}

TEST(ModelConfig, QwenSlidesItsWindowWhereToldTo) {
  const json on = {{"use_sliding_window", true}, {"sliding_window", 16}, {"max_window_layers", 3}};
  for (const char* family : {"qwen2", "qwen3"}) {
    const json qwen = Llama(family);
    EXPECT_FALSE(Parse(With(qwen, {{"sliding_window", 16}, {"max_window_layers", 0}})).sliding_window.has_value());
    const ModelConfig last = Parse(With(qwen, on));
    EXPECT_EQ(last.sliding_window, 16);
    EXPECT_THAT(last.sliding_layers, ElementsAre(false, false, false, true));
    const json types = {"sliding_attention", "full_attention", "full_attention", "full_attention"};
    EXPECT_THAT(Parse(With(With(qwen, on), {{"layer_types", types}})).sliding_layers,
                ElementsAre(true, false, false, false));
    const ModelConfig all = Parse(With(With(qwen, on), {{"max_window_layers", 0}}));
    EXPECT_EQ(all.sliding_window, 16);
    EXPECT_TRUE(all.sliding_layers.empty());
    EXPECT_FALSE(Parse(With(With(qwen, on), {{"max_window_layers", 4}})).sliding_window.has_value());
    EXPECT_THAT(Invalid(With(qwen, {{"layer_types", types}})), HasSubstr("no sliding_window is in use"));
    EXPECT_THAT(Invalid(With(qwen, {{"layer_types", {"full_attention"}}})), HasSubstr("num_hidden_layers = 4"));
    EXPECT_THAT(Unimplemented(With(qwen, {{"layer_types", {"full_attention", "mamba", "mamba", "mamba"}}})),
                HasSubstr("mamba"));
  }
}

TEST(ModelConfig, NamesWhatIsMissingIllTypedOrImpossible) {
  for (const char* key : {"model_type", "n_embd", "n_layer", "n_head", "n_positions", "vocab_size"}) {
    EXPECT_THAT(Invalid(Without(Gpt2(), key)), HasSubstr(std::string("config.json: ") + key + " is missing"));
  }
  EXPECT_THAT(Invalid(With(Gpt2(), {{"n_layer", "three"}})),
              HasSubstr("n_layer is \"three\"; expected a whole number"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"n_layer", 0}})), HasSubstr("n_layer is 0"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"n_layer", -3}})), HasSubstr("n_layer is -3"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"n_layer", 2.5}})), HasSubstr("n_layer is 2.5"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"n_layer", 1000000}})), HasSubstr("at most 4096"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"vocab_size", 1ULL << 40}})), HasSubstr("vocab_size is 1099511627776"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"n_head", 5}})),
              AllOf(HasSubstr("n_head is 5"), HasSubstr("n_embd, which is 32")));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"layer_norm_epsilon", -1}})), HasSubstr("layer_norm_epsilon is -1"));
  EXPECT_THAT(Invalid(With(Gpt2(), {{"tie_word_embeddings", 1}})), HasSubstr("expected true or false"));
  EXPECT_THAT(Invalid(With(Llama(), {{"num_key_value_heads", 3}})), HasSubstr("num_key_value_heads is 3"));
  EXPECT_THAT(Invalid(With(Llama(), {{"head_dim", 7}})), HasSubstr("an even number"));
  EXPECT_THAT(Invalid(With(Llama(), {{"head_dim", 1 << 30}})), HasSubstr("num_attention_heads is 4; expected less"));
  EXPECT_THAT(Invalid(json::array()), HasSubstr("expected a JSON object"));
  EXPECT_EQ(ParseModelConfig("{\"model_type\": ").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ModelConfig, NamesModelsItDoesNotKnowAndThoseItDoes) {
  EXPECT_THAT(Unimplemented({{"model_type", "mamba"}}),
              AllOf(HasSubstr("\"mamba\""), HasSubstr("gpt2, llama, mistral, qwen2, qwen3")));
  EXPECT_THAT(Unimplemented(With(Llama(), {{"hidden_act", "gelu"}})), AllOf(HasSubstr("\"gelu\""), HasSubstr("silu")));
  EXPECT_THAT(Unimplemented(With(Llama(), {{"quantization_config", {{"quant_method", "gptq"}}}})),
              HasSubstr("\"gptq\""));
}

TEST(LinearModules, HaveHuggingFacesNamesAndSizes) {
  std::vector<std::string> names;
  for (const LinearModule& module : LinearModules(Parse(Gpt2()))) {
    names.push_back(module.name);
  }
  EXPECT_THAT(names, ElementsAre("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"));
  const std::vector<LinearModule> llama = LinearModules(Parse(With(Llama(), {{"head_dim", 16}})));
  ASSERT_EQ(llama.size(), 7U);
  EXPECT_EQ(llama[0].name, "self_attn.q_proj");
  EXPECT_EQ(llama[0].out_features, 64);
  EXPECT_EQ(llama[1].out_features, 32);
  EXPECT_EQ(llama[3].in_features, 64);
  EXPECT_EQ(llama[3].out_features, 32);
  EXPECT_EQ(llama[6].name, "mlp.down_proj");
  EXPECT_EQ(llama[6].in_features, 80);
  EXPECT_EQ(BlockPrefix(Parse(Gpt2()), 11), "transformer.h.11");
  EXPECT_EQ(BlockPrefix(Parse(Llama()), 0), "model.layers.0");
  EXPECT_THAT(DefaultTargetModules(Architecture::kGpt2), ElementsAre("c_attn"));
  EXPECT_THAT(DefaultTargetModules(Architecture::kQwen3), ElementsAre("q_proj", "v_proj"));
}

}  // namespace
}  // namespace splitft::model
