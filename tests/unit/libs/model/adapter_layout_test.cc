#include "libs/model/adapter_layout.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelConfig Gpt2() {
  return {.hidden_size = 8,
          .intermediate_size = 32,
          .vocabulary_size = 50,
          .max_positions = 16,
          .block_count = 12,
          .head_count = 2,
          .key_value_head_count = 2,
          .head_size = 4};
}

ModelConfig Llama() {
  ModelConfig config = Gpt2();
  config.architecture = Architecture::kLlama;
  config.key_value_head_count = 1;
  return config;
}

AdapterLayout Create(const ModelConfig& config, const spec::Lora& lora) {
  absl::StatusOr<AdapterLayout> layout = AdapterLayout::Create(config, lora);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return layout.ok() ? *layout : AdapterLayout::Create(config, {}).value();
}

std::string Error(const ModelConfig& config, const spec::Lora& lora) {
  const absl::StatusOr<AdapterLayout> layout = AdapterLayout::Create(config, lora);
  EXPECT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(layout.status().message());
}

// "block.name:rank" of every slot.
std::vector<std::string> Slots(const AdapterLayout& layout) {
  std::vector<std::string> slots;
  for (const AdapterSlot& slot : layout.slots()) {
    slots.push_back(absl::StrCat(slot.block, ".", slot.name, ":", slot.rank));
  }
  return slots;
}

TEST(AdapterLayout, LiesBlockByBlockModuleByModuleABeforeB) {
  const AdapterLayout layout = Create(Llama(), {.rank = 2, .alpha = 8, .target_modules = {"v_proj", "q_proj"}});
  ASSERT_EQ(layout.slots().size(), 24U);
  int64_t offset = 0;
  for (size_t i = 0; i < layout.slots().size(); ++i) {
    const AdapterSlot& slot = layout.slots()[i];
    EXPECT_EQ(slot.block, static_cast<int>(i / 2));
    EXPECT_EQ(slot.name, i % 2 == 0 ? "self_attn.q_proj" : "self_attn.v_proj");
    EXPECT_EQ(slot.module, i % 2 == 0 ? 0 : 2);
    EXPECT_EQ(slot.in_features, 8);
    EXPECT_EQ(slot.out_features, i % 2 == 0 ? 8 : 4);
    EXPECT_EQ(slot.scale, 4.0);
    EXPECT_EQ(slot.offset_a, offset);
    EXPECT_EQ(slot.offset_b, offset + 2 * 8);
    offset = slot.offset_b + 2 * slot.out_features;
  }
  EXPECT_EQ(layout.size(), offset);
  EXPECT_EQ(layout.block_count(), 12);
}

TEST(AdapterLayout, RangesOfBlocksTileTheVector) {
  const AdapterLayout layout =
      Create(Gpt2(), {.rank = 1, .target_modules = {"h.1.attn.c_attn", "h.3.mlp.c_fc", "transformer.h.3.attn.c_proj"}});
  EXPECT_THAT(Slots(layout), ElementsAre("1.attn.c_attn:1", "3.attn.c_proj:1", "3.mlp.c_fc:1"));
  EXPECT_EQ(layout.BlockRange(0, 1).size, 0);
  EXPECT_EQ(layout.BlockRange(1, 2).size, 8 + 24);
  EXPECT_EQ(layout.BlockRange(1, 2).begin, 0);
  EXPECT_EQ(layout.BlockRange(2, 3).size, 0);
  EXPECT_EQ(layout.BlockRange(3, 12).begin, 32);
  EXPECT_EQ(layout.BlockRange(3, 12).size, layout.size() - 32);
  EXPECT_EQ(layout.BlockRange(11, 12).begin, layout.size());
  EXPECT_EQ(layout.BlockSlots(3).first, 1);
  EXPECT_EQ(layout.BlockSlots(3).last, 3);
  EXPECT_EQ(layout.BlockSlots(11).first, layout.BlockSlots(11).last);
}

TEST(AdapterLayout, TargetsMatchFromADotOnAsInPeft) {
  // A name's end from a dot on, so both projections of GPT-2; never a part of a component; block 1 is not block 11.
  EXPECT_EQ(Create(Gpt2(), {.target_modules = {"c_proj"}}).slots().size(), 24U);
  EXPECT_EQ(Create(Gpt2(), {.target_modules = {"attn.c_proj"}}).slots().size(), 12U);
  EXPECT_THAT(Slots(Create(Gpt2(), {.rank = 4, .target_modules = {"1.attn.c_attn"}})), ElementsAre("1.attn.c_attn:4"));
  EXPECT_THAT(Error(Gpt2(), {.target_modules = {"proj"}}), HasSubstr("\"proj\""));
  EXPECT_EQ(Create(Gpt2(), {}).slots().size(), 12U);  // the default: c_attn
  EXPECT_EQ(Create(Llama(), {}).slots().size(), 24U);
  EXPECT_EQ(Create(Llama(), {.target_modules = {"all-linear"}}).slots().size(), 84U);
}

TEST(AdapterLayout, NamesATargetThatMatchesNothingAndWhatThereIs) {
  EXPECT_THAT(
      Error(Gpt2(), {.target_modules = {"c_attn", "q_proj"}}),
      AllOf(HasSubstr("target module \"q_proj\""), HasSubstr("attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj")));
  EXPECT_THAT(Error(Gpt2(), {.target_modules = {"lm_head"}}), HasSubstr("\"lm_head\""));
  EXPECT_THAT(Error(Gpt2(), {.target_modules = {"h.12.attn.c_attn"}}), HasSubstr("blocks 0 to 11"));
}

TEST(AdapterLayout, PatternsSetRankAndAlpha) {
  const AdapterLayout layout = Create(Llama(), {.rank = 8,
                                                .alpha = 16,
                                                .target_modules = {"q_proj", "k_proj"},
                                                .rank_pattern = {{"k_proj", 2}, {"layers.1.self_attn.q_proj", 4}},
                                                .alpha_pattern = {{"^model.layers.11.self_attn.q_proj", 1}}});
  for (const AdapterSlot& slot : layout.slots()) {
    const bool key = slot.name == "self_attn.k_proj";
    EXPECT_EQ(slot.rank, key ? 2 : slot.block == 1 ? 4 : 8) << slot.block << slot.name;
    EXPECT_EQ(slot.alpha, !key && slot.block == 11 ? 1 : 16) << slot.block << slot.name;
    EXPECT_EQ(slot.scale, slot.alpha / static_cast<double>(slot.rank));
  }
}

TEST(AdapterLayout, TheFirstPatternInTheAlphabetWinsAsInPeft) {
  const spec::Lora specific_first = {.rank = 8, .rank_pattern = {{"c_attn", 2}, {"^transformer.h.3.attn.c_attn", 4}}};
  EXPECT_THAT(Slots(Create(Gpt2(), specific_first)), ::testing::Contains("3.attn.c_attn:4"));
  EXPECT_THAT(Error(Gpt2(), {.rank_pattern = {{"c_attn", 2}, {"h.3.attn.c_attn", 4}}}),
              AllOf(HasSubstr("\"h.3.attn.c_attn\" never applies"), HasSubstr("\"c_attn\" comes before"),
                    HasSubstr("\"^transformer.h.3.attn.c_attn\"")));
}

TEST(AdapterLayout, RefusesPatternsThatMatchNothingOrAreNotNames) {
  EXPECT_THAT(Error(Gpt2(), {.rank_pattern = {{"c_fc", 2}}}),
              AllOf(HasSubstr("rank pattern \"c_fc\""), HasSubstr("transformer.h.0")));
  EXPECT_THAT(Error(Gpt2(), {.alpha_pattern = {{"h.12.attn.c_attn", 2}}}),
              HasSubstr("alpha pattern \"h.12.attn.c_attn\""));
  for (const char* expression : {"c_.*", "h\\.3\\.attn\\.c_attn", "(c_attn|c_proj)", "c_attn$", "", "^"}) {
    EXPECT_THAT(Error(Gpt2(), {.rank_pattern = {{expression, 2}}}), HasSubstr("not a plain module name")) << expression;
  }
}

TEST(AdapterLayout, RefusesImpossibleRanksAndAlphas) {
  EXPECT_THAT(Error(Gpt2(), {.rank = 0}), HasSubstr("the rank of \"transformer.h.0.attn.c_attn\" is 0"));
  EXPECT_THAT(Error(Gpt2(), {.rank_pattern = {{"h.5.attn.c_attn", -1}}}), HasSubstr("h.5.attn.c_attn\" is -1"));
  EXPECT_THAT(Error(Gpt2(), {.rank = 1 << 20}), HasSubstr("is 1048576; expected 1 to 65536"));
  EXPECT_THAT(Error(Gpt2(), {.alpha = 0}), HasSubstr("the alpha of"));
  ModelConfig giant = Gpt2();
  giant.hidden_size = 2147483647;
  giant.block_count = 4096;
  EXPECT_THAT(Error(giant, {.rank = 65536}), HasSubstr("elements; at most"));
}

TEST(AdapterLayout, InitializesAUniformlyAndBWithZeros) {
  ModelConfig config = Gpt2();
  config.hidden_size = 256;
  config.block_count = 3;
  const AdapterLayout layout = Create(config, {.rank = 16});
  const std::vector<float> flat = layout.Initialize(7);
  ASSERT_EQ(flat.size(), static_cast<size_t>(layout.size()));
  const float bound = 1.0F / 16.0F;
  for (const AdapterSlot& slot : layout.slots()) {
    double sum = 0;
    double squares = 0;
    float largest = 0;
    for (int64_t i = slot.offset_a; i < slot.offset_b; ++i) {
      const float value = flat[static_cast<size_t>(i)];
      sum += value;
      squares += static_cast<double>(value) * value;
      largest = std::max(largest, std::abs(value));
    }
    const double count = 16 * 256;
    EXPECT_LE(largest, bound);
    EXPECT_GT(largest, 0.99F * bound);
    EXPECT_NEAR(sum / count, 0, 5 * bound / std::sqrt(3 * count));
    EXPECT_NEAR(squares / count, bound * bound / 3, 0.05 * bound * bound);
    EXPECT_TRUE(std::all_of(flat.begin() + slot.offset_b, flat.begin() + slot.offset_b + 16 * 768,
                            [](float value) { return value == 0; }));
  }
}

TEST(AdapterLayout, InitialValuesAreKeyedBySeedBlockAndModule) {
  const spec::Lora all = {.rank = 2, .target_modules = {"all-linear"}};
  const AdapterLayout layout = Create(Llama(), all);
  const std::vector<float> flat = layout.Initialize(7);
  EXPECT_EQ(flat, layout.Initialize(7));
  EXPECT_NE(flat, layout.Initialize(8));
  std::set<float> first_values;
  for (const AdapterSlot& slot : layout.slots()) {
    first_values.insert(flat[static_cast<size_t>(slot.offset_a)]);
  }
  EXPECT_EQ(first_values.size(), layout.slots().size());
  // What else is targeted makes no difference to a module.
  const AdapterLayout fewer = Create(Llama(), {.rank = 2, .target_modules = {"up_proj"}});
  const std::vector<float> fewer_flat = fewer.Initialize(7);
  const AdapterSlot& up = *std::ranges::find(layout.slots(), "mlp.up_proj", &AdapterSlot::name);
  EXPECT_TRUE(std::equal(fewer_flat.begin(), fewer_flat.begin() + 16, flat.begin() + up.offset_a));
}

}  // namespace
}  // namespace splitft::model
