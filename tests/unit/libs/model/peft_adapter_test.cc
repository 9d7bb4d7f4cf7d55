#include "libs/model/peft_adapter.h"

#include <unistd.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "libs/model/safetensors.h"
#include "nlohmann/json.hpp"

namespace splitft::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelConfig Gpt2() {
  return {.hidden_size = 4,
          .intermediate_size = 16,
          .vocabulary_size = 9,
          .max_positions = 8,
          .block_count = 2,
          .head_count = 1,
          .key_value_head_count = 1,
          .head_size = 4};
}

class PeftAdapterTest : public ::testing::Test {
 protected:
  PeftAdapterTest()
      : folder_(fs::temp_directory_path() / ("splitft_peft_adapter_test_" + std::to_string(::getpid()))) {}
  ~PeftAdapterTest() override { fs::remove_all(folder_); }

  static AdapterLayout Layout(const spec::Lora& lora) { return AdapterLayout::Create(Gpt2(), lora).value(); }
  // Every element different.
  static std::vector<float> Flat(const AdapterLayout& layout) {
    std::vector<float> flat(static_cast<size_t>(layout.size()));
    for (size_t i = 0; i < flat.size(); ++i) {
      flat[i] = static_cast<float>(i) - 10.5F;
    }
    return flat;
  }
  void Write(const spec::Lora& lora) {
    const AdapterLayout layout = Layout(lora);
    const absl::Status status = WritePeftAdapter(folder_, Gpt2(), lora, layout, Flat(layout), "base/gpt2");
    ASSERT_TRUE(status.ok()) << status;
  }
  json Config() const { return json::parse(ReadFile(folder_ / "adapter_config.json", 1 << 20).value()); }
  void Change(const json& changes) {
    json config = Config();
    config.update(changes);
    ASSERT_TRUE(WriteFileAtomically(folder_ / "adapter_config.json", config.dump()).ok());
  }
  // Writes an adapter of c_attn, rank 1, whose tensors a test may spoil.
  void WriteTensors(const std::string& last_name, int64_t last_rank, float last_value) {
    Write({.rank = 1, .alpha = 2});
    const std::vector<float> a(4, 1.0F);
    const std::vector<float> b(static_cast<size_t>(12 * last_rank), last_value);
    std::vector<TensorView> tensors;
    for (const char* block : {"0", "1"}) {
      const std::string prefix = std::string("base_model.model.transformer.h.") + block + ".attn.c_attn.lora_";
      tensors.push_back({prefix + "A.weight", TensorType::kFloat32, {1, 4}, std::as_bytes(std::span(a))});
      const bool last = *block == '1';
      tensors.push_back({last ? last_name : prefix + "B.weight",
                         TensorType::kFloat32,
                         {12, last ? last_rank : 1},
                         std::as_bytes(std::span(b)).first(static_cast<size_t>(last ? 48 * last_rank : 48))});
    }
    ASSERT_TRUE(WriteSafetensors(folder_ / "adapter_model.safetensors", tensors).ok());
  }
  std::string ReadError(const spec::Lora& lora) const {
    const absl::StatusOr<std::vector<float>> flat = ReadPeftAdapter(folder_, Gpt2(), Layout(lora));
    EXPECT_FALSE(flat.ok());
    return std::string(flat.status().message());
  }

  static constexpr char kLastB[] = "base_model.model.transformer.h.1.attn.c_attn.lora_B.weight";
  const fs::path folder_;
};

TEST_F(PeftAdapterTest, WritesWhatPeftExpects) {
  Write({.rank = 2, .alpha = 16, .dropout = 0.25, .target_modules = {"c_attn", "mlp.c_proj"}});
  const json config = Config();
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["task_type"], "CAUSAL_LM");
  EXPECT_EQ(config["base_model_name_or_path"], "base/gpt2");
  EXPECT_EQ(config["r"], 2);
  EXPECT_EQ(config["lora_alpha"].dump(), "16");  // a whole number, as in PEFT
  EXPECT_EQ(config["lora_dropout"], 0.25);
  EXPECT_EQ(config["bias"], "none");
  EXPECT_EQ(config["fan_in_fan_out"], true);
  EXPECT_EQ(config["inference_mode"], true);
  EXPECT_EQ(config["target_modules"], json({"c_attn", "mlp.c_proj"}));
  EXPECT_TRUE(config["rank_pattern"].empty());
  EXPECT_TRUE(config["alpha_pattern"].empty());

  const MappedFile file = MappedFile::Open(folder_ / "adapter_model.safetensors").value();
  const TensorTable table = ParseSafetensors(file.bytes(), "f").value();
  EXPECT_EQ(table.size(), 8U);
  ASSERT_TRUE(table.contains(kLastB));
  EXPECT_THAT(table.at(kLastB).shape, ElementsAre(12, 2));
  const auto a = table.find("base_model.model.transformer.h.0.mlp.c_proj.lora_A.weight");
  ASSERT_NE(a, table.end());
  EXPECT_THAT(a->second.shape, ElementsAre(2, 16));
}

TEST_F(PeftAdapterTest, ReadsWhatItWrote) {
  for (const spec::Lora& lora :
       {spec::Lora{.rank = 3}, spec::Lora{.rank = 3, .alpha = 1.5, .target_modules = {"all-linear"}},
        spec::Lora{.rank = 3,
        .target_modules = {"c_proj", "h.1.attn.c_attn"},
        .rank_pattern = {{"mlp.c_proj", 1}, {"h.0.attn.c_proj", 2}},
        .alpha_pattern = {{"h.1.attn.c_attn", 0.5}}}}) {
    Write(lora);
    const AdapterLayout layout = Layout(lora);
    const absl::StatusOr<std::vector<float>> flat = ReadPeftAdapter(folder_, Gpt2(), layout);
    ASSERT_TRUE(flat.ok()) << flat.status();
    EXPECT_EQ(*flat, Flat(layout));
    const absl::StatusOr<spec::Lora> read = ReadPeftConfig(folder_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->rank, lora.rank);
    EXPECT_EQ(read->alpha, lora.alpha);
    EXPECT_EQ(Layout(*read).size(), layout.size());
  }
}

TEST_F(PeftAdapterTest, NamesModulesAsShortlyAsItCan) {
  Write({.target_modules = {"transformer.h.0.attn.c_attn", "h.1.attn.c_attn"}});
  EXPECT_EQ(Config()["target_modules"], json({"c_attn"}));
  Write({.target_modules = {"attn.c_proj"}});
  EXPECT_EQ(Config()["target_modules"], json({"attn.c_proj"}));
  Write({.target_modules = {"h.1.attn.c_attn"}});
  EXPECT_EQ(Config()["target_modules"], json({"transformer.h.1.attn.c_attn"}));
  Write({.target_modules = {"all-linear"}});
  EXPECT_EQ(Config()["target_modules"], json({"c_attn", "c_fc", "c_proj"}));
}

TEST_F(PeftAdapterTest, WritesPatternsWhereSlotsDiffer) {
  Write({.rank = 4, .alpha = 8, .rank_pattern = {{"h.1.attn.c_attn", 2}}, .alpha_pattern = {{"h.0.attn.c_attn", 2.5}}});
  EXPECT_EQ(Config()["rank_pattern"], json({{"transformer.h.1.attn.c_attn", 2}}));
  EXPECT_EQ(Config()["alpha_pattern"], json({{"transformer.h.0.attn.c_attn", 2.5}}));
}

TEST_F(PeftAdapterTest, RefusesToWriteAVectorOfTheWrongSize) {
  const absl::Status status = WritePeftAdapter(folder_, Gpt2(), {}, Layout({}), std::vector<float>(3), "base");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("have 3 elements"));
  EXPECT_FALSE(fs::exists(folder_ / "adapter_config.json"));
}

TEST_F(PeftAdapterTest, NamesTheFirstDifferenceFromTheLayout) {
  Write({.rank = 2, .alpha = 4, .target_modules = {"c_attn", "c_fc"}});
  EXPECT_THAT(ReadError({.rank = 2, .alpha = 4}),
              HasSubstr("has an adapter for \"transformer.h.0.mlp.c_fc\", which the job"));
  EXPECT_THAT(ReadError({.rank = 2, .alpha = 4, .target_modules = {"all-linear"}}),
              HasSubstr("has no adapter for \"transformer.h.0.attn.c_proj\""));
  EXPECT_THAT(ReadError({.rank = 2, .alpha = 4, .target_modules = {"c_attn", "h.0.mlp.c_fc"}}),
              HasSubstr("has an adapter for \"transformer.h.1.mlp.c_fc\""));
  EXPECT_THAT(ReadError({.rank = 3, .alpha = 6, .target_modules = {"c_attn", "c_fc"}}),
              AllOf(HasSubstr("has rank 2 for \"transformer.h.0.attn.c_attn\""), HasSubstr("the job has 3")));
  EXPECT_THAT(ReadError({.rank = 2, .alpha = 8, .target_modules = {"c_attn", "c_fc"}}),
              AllOf(HasSubstr("has scale 2 (alpha 4 / rank 2)"), HasSubstr("the job has 4")));
}

TEST_F(PeftAdapterTest, ChecksEveryTensor) {
  const spec::Lora lora = {.rank = 1, .alpha = 2};
  WriteTensors(kLastB, 1, 3.0F);
  EXPECT_TRUE(ReadPeftAdapter(folder_, Gpt2(), Layout(lora)).ok());
  WriteTensors(kLastB, 2, 3.0F);
  EXPECT_THAT(ReadError(lora), AllOf(HasSubstr(kLastB), HasSubstr("has shape [12, 2]; expected [12, 1]")));
  WriteTensors("elsewhere", 1, 3.0F);
  EXPECT_THAT(ReadError(lora), AllOf(HasSubstr("has no tensor"), HasSubstr(kLastB)));
  WriteTensors(kLastB, 1, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(ReadError(lora), AllOf(HasSubstr("lora_B.weight\" has the value nan at element 0")));
}

TEST_F(PeftAdapterTest, RefusesTensorsThatBelongToNoTarget) {
  Write({.rank = 1, .target_modules = {"c_attn", "c_fc"}});
  Change({{"target_modules", {"c_attn"}}});
  EXPECT_THAT(ReadError({.rank = 1}),
              AllOf(HasSubstr("h.0.mlp.c_fc.lora_A.weight"), HasSubstr("belongs to no target module")));
}

TEST_F(PeftAdapterTest, ReadsHalfPrecision) {
  Write({.rank = 1, .target_modules = {"h.0.attn.c_attn"}});
  const std::vector<uint16_t> bf16(4, 0x3FC0);   // 1.5
  const std::vector<uint16_t> fp16(12, 0xC100);  // -2.5
  const std::string prefix = "base_model.model.transformer.h.0.attn.c_attn.lora_";
  ASSERT_TRUE(WriteSafetensors(folder_ / "adapter_model.safetensors",
                               {{prefix + "A.weight", TensorType::kBfloat16, {1, 4}, std::as_bytes(std::span(bf16))},
                                {prefix + "B.weight", TensorType::kFloat16, {12, 1}, std::as_bytes(std::span(fp16))}})
                  .ok());
  const absl::StatusOr<std::vector<float>> flat =
      ReadPeftAdapter(folder_, Gpt2(), Layout({.rank = 1, .target_modules = {"h.0.attn.c_attn"}}));
  ASSERT_TRUE(flat.ok()) << flat.status();
  std::vector<float> expected(16, -2.5F);
  std::fill_n(expected.begin(), 4, 1.5F);
  EXPECT_EQ(*flat, expected);
}

TEST_F(PeftAdapterTest, RefusesWhatIsNotPlainLora) {
  Write({});
  const std::string untouched = ReadFile(folder_ / "adapter_config.json", 1 << 20).value();
  for (const json& change :
       {json{{"use_dora", true}}, json{{"use_rslora", true}}, json{{"bias", "all"}},
        json{{"modules_to_save", {"lm_head"}}}, json{{"lora_bias", true}}, json{{"layers_to_transform", {0}}},
        json{{"layers_to_transform", 0}}, json{{"peft_type", "IA3"}}, json{{"init_lora_weights", "pissa_niter_16"}},
        json{{"target_modules", ".*c_attn"}}, json{{"exclude_modules", "c_attn"}}}) {
    Change(change);
    const absl::StatusOr<spec::Lora> lora = ReadPeftConfig(folder_);
    EXPECT_EQ(lora.status().code(), absl::StatusCode::kUnimplemented) << change;
    const std::string field = change.begin().key();
    EXPECT_THAT(std::string(lora.status().message()), AllOf(HasSubstr("adapter_config.json"), HasSubstr(field + " is "),
                                                            HasSubstr(change.begin().value().dump())));
    ASSERT_TRUE(WriteFileAtomically(folder_ / "adapter_config.json", untouched).ok());
  }
  Change({{"init_lora_weights", "gaussian"},
          {"use_dora", nullptr},
          {"modules_to_save", json::array()},
          {"loftq_config", json::object()}});
  EXPECT_TRUE(ReadPeftConfig(folder_).ok());
}

TEST_F(PeftAdapterTest, RefusesIllTypedConfigs) {
  Write({});
  for (const json& change : {json{{"r", 0}}, json{{"r", "8"}}, json{{"lora_alpha", -1}}, json{{"lora_dropout", 1}},
                             json{{"target_modules", {1}}}, json{{"target_modules", json::array()}},
                             json{{"rank_pattern", {{"c_attn", 0}}}}, json{{"alpha_pattern", {3}}}}) {
    const json before = Config();
    Change(change);
    EXPECT_EQ(ReadPeftConfig(folder_).status().code(), absl::StatusCode::kInvalidArgument) << change;
    Change(before);
  }
  EXPECT_TRUE(ReadPeftConfig(folder_).ok());
}

TEST_F(PeftAdapterTest, SaysWhatIsMissing) {
  EXPECT_EQ(ReadPeftConfig(folder_).status().code(), absl::StatusCode::kNotFound);
  Write({});
  fs::rename(folder_ / "adapter_model.safetensors", folder_ / "adapter_model.bin");
  EXPECT_THAT(ReadError({}), HasSubstr("only as adapter_model.bin"));
  fs::remove(folder_ / "adapter_model.bin");
  EXPECT_THAT(ReadError({}), HasSubstr("adapter_model.safetensors"));
}

}  // namespace
}  // namespace splitft::model
