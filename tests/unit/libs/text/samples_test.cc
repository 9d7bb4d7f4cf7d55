#include "libs/text/samples.h"

#include "tests/unit/libs/text/byte_tokenizer.h"

namespace splitft::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kTurns[] =
    "{% for m in messages %}<|turn|>{{ m.role[0] + m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>a{% endif %}";

class SamplesTest : public FolderTest {
 protected:
  static std::vector<int> Mask(const absl::StatusOr<Sample>& sample) {
    EXPECT_TRUE(sample.ok()) << sample.status();
    return sample.ok() ? std::vector<int>(sample->loss_mask.begin(), sample->loss_mask.end()) : std::vector<int>();
  }
};

TEST_F(SamplesTest, TextHasBeginAndEndAndLossEverywhere) {
  const Tokenizer tokenizer = LoadBytes({{"eos_token", "</s>"}}, /*with_begin=*/true);
  const absl::StatusOr<Sample> sample = MakeSample(TextRecord{"ab"}, tokenizer, true);
  EXPECT_THAT(sample->tokens, ElementsAre(kBegin, 'a', 'b', kEnd));
  EXPECT_THAT(Mask(sample), ElementsAre(1, 1, 1, 1));
  EXPECT_TRUE(MakeSample(TextRecord{""}, tokenizer, true)->tokens.empty());
}

TEST_F(SamplesTest, WithoutEndOfSequenceNothingIsAppended) {
  EXPECT_THAT(MakeSample(TextRecord{"ab"}, LoadBytes({}), true)->tokens, ElementsAre('a', 'b'));
}

TEST_F(SamplesTest, EndOfSequenceIsNotDoubled) {
  EXPECT_THAT(MakeSample(TextRecord{"a</s>"}, LoadBytes({{"eos_token", "</s>"}}), true)->tokens,
              ElementsAre('a', kEnd));
}

TEST_F(SamplesTest, PromptIsMaskedCompletionAndEndAreNot) {
  const Tokenizer tokenizer = LoadBytes({{"eos_token", "</s>"}}, /*with_begin=*/true);
  const absl::StatusOr<Sample> sample = MakeSample(PromptRecord{"ab", "c"}, tokenizer, /*mask_prompt=*/true);
  EXPECT_THAT(sample->tokens, ElementsAre(kBegin, 'a', 'b', 'c', kEnd));
  EXPECT_THAT(Mask(sample), ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(Mask(MakeSample(PromptRecord{"ab", "c"}, tokenizer, false)), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(Mask(MakeSample(PromptRecord{"ab", ""}, tokenizer, true)), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(Mask(MakeSample(PromptRecord{"", "c"}, tokenizer, true)), ElementsAre(0, 1, 1));
}

TEST_F(SamplesTest, TokenOverTheBorderBelongsToTheCompletion) {
  nlohmann::json json = ByteTokenizerJson();
  json["model"]["vocab"].update({{"b", 260}, {"c", 261}, {"bc", 262}});
  json["model"]["merges"] = {"b c"};
  Write("tokenizer.json", json.dump());
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(folder_);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const absl::StatusOr<Sample> sample = MakeSample(PromptRecord{"ab", "cd"}, *tokenizer, true);
  EXPECT_THAT(sample->tokens, ElementsAre('a', 262, 'd'));
  EXPECT_THAT(Mask(sample), ElementsAre(0, 1, 1));
}

TEST_F(SamplesTest, ChatHasLossOnTheAssistantsTurnsOnly) {
  const Tokenizer tokenizer = LoadBytes({{"chat_template", kTurns}, {"eos_token", "</s>"}});
  const ChatRecord chat{{{"user", "x"}, {"assistant", "y"}, {"user", ""}, {"assistant", "z"}}};
  const absl::StatusOr<Sample> sample = MakeSample(chat, tokenizer, true);
  EXPECT_THAT(sample->tokens, ElementsAre(kTurn, 'u', 'x', kTurnEnd, kTurn, 'a', 'y', kTurnEnd, kTurn, 'u', kTurnEnd,
                                          kTurn, 'a', 'z', kTurnEnd));
  EXPECT_THAT(Mask(sample), ElementsAre(0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(Mask(MakeSample(ChatRecord{{{"user", "x"}}}, tokenizer, true)), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(Mask(MakeSample(ChatRecord{{{"user", "x"}}}, tokenizer, false)), ElementsAre(1, 1, 1, 1));
}

TEST_F(SamplesTest, AssistantMaySpeakFirst) {
  const Tokenizer tokenizer = LoadBytes({{"chat_template", "{{ messages[0].role[99:] }}" + std::string(kTurns)}});
  EXPECT_THAT(Mask(MakeSample(ChatRecord{{{"assistant", "y"}, {"user", "x"}}}, tokenizer, true)),
              ElementsAre(0, 0, 1, 1, 0, 0, 0, 0));
}

TEST_F(SamplesTest, TemplateThatRewritesEarlierTurnsIsAnError) {
  const Tokenizer tokenizer = LoadBytes({{"chat_template", "{{ messages | length }}" + std::string(kTurns)}});
  const absl::Status status = MakeSample(ChatRecord{{{"user", "x"}, {"assistant", "y"}}}, tokenizer, true).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("continuation of its beginning"));
  EXPECT_TRUE(MakeSample(ChatRecord{{{"user", "x"}, {"assistant", "y"}}}, tokenizer, false).ok());
}

TEST_F(SamplesTest, TemplatesReasonIsPassedOnOnlyWhereItIsTheTemplatesOwn) {
  const ChatRecord chat{{{"user", "hunter2"}}};
  EXPECT_EQ(
      MakeSample(chat, LoadBytes({{"chat_template", "{{ raise_exception('roles must alternate') }}"}}), true).status(),
      absl::InvalidArgumentError("the chat template refuses this chat: roles must alternate"));
  EXPECT_EQ(
      MakeSample(chat, LoadBytes({{"chat_template", "{{ raise_exception(messages[0].content) }}"}}), true).status(),
      absl::InvalidArgumentError("the chat template fails on it"));
}

TEST_F(SamplesTest, ModelWithoutTemplateIsNotABadRecord) {
  EXPECT_TRUE(absl::IsNotFound(MakeSample(ChatRecord{{{"user", "x"}}}, LoadBytes({}), true).status()));
  EXPECT_TRUE(absl::IsUnimplemented(
      MakeSample(ChatRecord{{{"user", "x"}}}, LoadBytes({{"chat_template", "{% x %}"}}), true).status()));
}

}  // namespace
}  // namespace splitft::text
