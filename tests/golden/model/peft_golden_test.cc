#include <ATen/core/Tensor.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/model_directory.h"
#include "libs/model/peft_adapter.h"
#include "nlohmann/json.hpp"

// What peft_reference.py wrote, and what its check reads: see there.
namespace splitft::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path& Folder() {
  static const fs::path folder = fs::path(SPLITFT_GOLDEN_MODEL) / "peft";
  return folder;
}

const json& Cases() {
  static const json cases = [] {
    const absl::StatusOr<std::string> text = ReadFile(Folder() / "cases.json", size_t{1} << 24);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? json::parse(*text) : json({{"models", json::object()}, {"adapters", json::object()}});
  }();
  return cases;
}

// Element i of a test adapter's flat vector.
std::vector<float> Pattern(int64_t size) {
  std::vector<float> flat(static_cast<size_t>(size));
  for (size_t i = 0; i < flat.size(); ++i) {
    flat[i] = static_cast<float>(static_cast<int>(i % 251) - 125) / 64.0F;
  }
  return flat;
}

class GoldenModelFiles : public ::testing::TestWithParam<std::string> {
 protected:
  static const json& Case() { return Cases()["models"][GetParam()]; }

  // Each tensor of `folder`, against the numbers that Transformers had in memory, through `same`.
  template <typename Same>
  static void ExpectTensors(const fs::path& folder, Same same) {
    const absl::StatusOr<ModelDirectory> directory = ModelDirectory::Open(folder);
    ASSERT_TRUE(directory.ok()) << directory.status();
    const absl::StatusOr<MappedFile> weights = MappedFile::Open(Folder() / (GetParam() + ".weights"));
    ASSERT_TRUE(weights.ok()) << weights.status();
    const auto* expected = reinterpret_cast<const float*>(weights->bytes().data());
    for (const json& entry : Case()["tensors"]) {
      std::string name = entry["name"];
      if (GetParam() == "gpt2_bare") {
        name = "transformer." + name;
      }
      const absl::StatusOr<at::Tensor> tensor = directory->Tensor(name, entry["shape"]);
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      EXPECT_TRUE(same(*tensor, expected)) << folder << ": " << name;
      expected += tensor->numel();
    }
    EXPECT_EQ(reinterpret_cast<const std::byte*>(expected), weights->bytes().data() + weights->bytes().size());
  }
};

bool SameFloats(const at::Tensor& tensor, const float* expected) {
  return tensor.scalar_type() == at::kFloat &&
         std::equal(expected, expected + tensor.numel(), tensor.const_data_ptr<float>());
}

bool SameRounded(const at::Tensor& tensor, const float* expected) {
  return tensor.scalar_type() == at::kBFloat16 &&
         std::equal(expected, expected + tensor.numel(), tensor.const_data_ptr<at::BFloat16>(),
                    [](float value, at::BFloat16 rounded) { return at::BFloat16(value) == rounded; });
}

TEST_P(GoldenModelFiles, EveryTensorIsThereFromOneFileAndFromShards) {
  ExpectTensors(Folder() / GetParam(), SameFloats);
  ExpectTensors(Folder() / (GetParam() + "_shards"), SameFloats);
  ExpectTensors(Folder() / (GetParam() + "_bf16"), SameRounded);
}

TEST_P(GoldenModelFiles, ConfigMeansWhatItMeansToTransformers) {
  const absl::StatusOr<ModelDirectory> directory = ModelDirectory::Open(Folder() / GetParam());
  ASSERT_TRUE(directory.ok()) << directory.status();
  const ModelConfig& config = directory->config();
  json windows = json::array();
  for (int block = 0; block < config.block_count; ++block) {
    const bool slides = config.sliding_layers.empty() || config.sliding_layers[static_cast<size_t>(block)];
    windows.push_back(slides ? config.sliding_window.value_or(0) : 0);
  }
  const json found = {{"hidden_size", config.hidden_size},
                      {"intermediate_size", config.intermediate_size},
                      {"vocabulary_size", config.vocabulary_size},
                      {"max_positions", config.max_positions},
                      {"block_count", config.block_count},
                      {"head_count", config.head_count},
                      {"key_value_head_count", config.key_value_head_count},
                      {"head_size", config.head_size},
                      {"norm_epsilon", config.norm_epsilon},
                      {"rope_theta", config.rope.theta},
                      {"windows", windows},
                      {"attention_bias", config.attention_bias},
                      {"output_bias", config.output_bias},
                      {"mlp_bias", config.mlp_bias},
                      {"query_key_norm", config.query_key_norm},
                      {"tied_embeddings", config.tied_embeddings}};
  for (const auto& [key, value] : Case()["config"].items()) {
    EXPECT_EQ(found.at(key), value) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenModelFiles,
                         ::testing::Values("gpt2", "gpt2_bare", "llama", "mistral", "qwen2", "qwen3"),
                         [](const auto& info) { return info.param; });

class GoldenPeftAdapter : public ::testing::TestWithParam<std::string> {
 protected:
  static const json& Case() { return Cases()["adapters"][GetParam()]; }
  static fs::path Written() { return Folder() / ("adapter_" + GetParam()); }
};

TEST_P(GoldenPeftAdapter, LayoutIsPeftsAndNumbersAreRead) {
  const absl::StatusOr<ModelDirectory> base = ModelDirectory::Open(Folder() / Case()["model"]);
  ASSERT_TRUE(base.ok()) << base.status();
  const absl::StatusOr<spec::Lora> lora = ReadPeftConfig(Written());
  ASSERT_TRUE(lora.ok()) << lora.status();
  const absl::StatusOr<AdapterLayout> layout = AdapterLayout::Create(base->config(), *lora);
  ASSERT_TRUE(layout.ok()) << layout.status();
  json modules = json::array();
  for (const AdapterSlot& slot : layout->slots()) {
    modules.push_back({{"name", absl::StrCat(BlockPrefix(base->config(), slot.block), ".", slot.name)},
                       {"rank", slot.rank},
                       {"scale", slot.scale}});
  }
  EXPECT_EQ(modules, Case()["modules"]);
  const absl::StatusOr<std::vector<float>> flat = ReadPeftAdapter(Written(), base->config(), *layout);
  ASSERT_TRUE(flat.ok()) << flat.status();
  EXPECT_EQ(*flat, Pattern(layout->size()));
}

// golden.model.peft_loads goes on from here.
TEST_P(GoldenPeftAdapter, IsWrittenForPeftToLoad) {
  const absl::StatusOr<ModelDirectory> base = ModelDirectory::Open(Folder() / Case()["model"]);
  ASSERT_TRUE(base.ok()) << base.status();
  const absl::StatusOr<spec::Lora> lora = ReadPeftConfig(Written());
  ASSERT_TRUE(lora.ok()) << lora.status();
  const absl::StatusOr<AdapterLayout> layout = AdapterLayout::Create(base->config(), *lora);
  ASSERT_TRUE(layout.ok()) << layout.status();
  const absl::Status status = WritePeftAdapter(Folder() / "written" / GetParam(), base->config(), *lora, *layout,
                                               Pattern(layout->size()), base->path().string());
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(Adapters, GoldenPeftAdapter,
                         ::testing::Values("gpt2_default", "gpt2_suffix", "gpt2_all", "gpt2_some_blocks",
                                           "llama_patterns", "mistral_default", "qwen2_all", "qwen3_rank"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace splitft::model
