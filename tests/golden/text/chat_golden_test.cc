#include <algorithm>

#include "libs/text/samples.h"
#include "tests/golden/text/reference.h"

namespace splitft::text {
namespace {

class GoldenChat : public GoldenText {};

TEST_P(GoldenChat, RendersAsTransformers) {
  int rendered = 0;
  for (const Json& chat : Case()["chats"]) {
    SCOPED_TRACE(chat.dump());
    const absl::StatusOr<std::string> text =
        RenderChat(tokenizer(), MessagesOf(chat["messages"]), chat["add_generation_prompt"].get<bool>());
    if (chat.contains("text")) {
      ++rendered;
      ASSERT_TRUE(text.ok()) << text.status();
      EXPECT_EQ(*text, chat["text"].get<std::string>());
    } else if (chat["error"] == "TemplateError") {  // raise_exception
      EXPECT_EQ(text.status(), absl::FailedPreconditionError(kChatRefused + chat["message"].get<std::string>()));
    } else {
      EXPECT_FALSE(text.ok());
    }
  }
  EXPECT_GE(rendered, 10);
}

// Our masks come from rendering beginnings of the chat, Transformers' from {% generation %} blocks in the template.
TEST(GoldenMask, IsWhereTheTemplateSaysThatTheAssistantSpeaks) {
  const Json cases = LoadCases();
  ASSERT_TRUE(cases.contains("qwen")) << "the fixture golden.text.reference wrote nothing";
  const Json& qwen = cases["qwen"];
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(qwen["directory"].get<std::string>());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  int masked = 0;
  for (const Json& chat : qwen["masks"]) {
    SCOPED_TRACE(chat["messages"].dump());
    const absl::StatusOr<Sample> sample =
        MakeSample(ChatRecord{MessagesOf(chat["messages"])}, *tokenizer, /*mask_prompt=*/true);
    ASSERT_TRUE(sample.ok()) << sample.status();
    EXPECT_EQ(sample->tokens, chat["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(sample->loss_mask, chat["mask"].get<std::vector<uint8_t>>());
    masked += static_cast<int>(std::count(sample->loss_mask.begin(), sample->loss_mask.end(), 1));
  }
  EXPECT_GT(masked, 50);
}

INSTANTIATE_TEST_SUITE_P(Templates, GoldenChat, testing::Values("llama2", "llama3", "mistral", "qwen", "stripping"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace splitft::text
