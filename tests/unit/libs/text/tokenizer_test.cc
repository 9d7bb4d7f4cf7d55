#include "libs/text/tokenizer.h"

#include "absl/strings/str_cat.h"
#include "tests/unit/libs/text/byte_tokenizer.h"

namespace splitft::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TokenizerTest : public FolderTest {
 protected:
  // Why the folder's tokenizer cannot be loaded.
  absl::Status LoadError() const { return Tokenizer::Load(folder_).status(); }

  // GPT-2's two files with the letters a, b, c and one merge.
  void WriteGpt2(const std::string& more_tokens = "") const {
    Write("vocab.json", absl::StrCat(R"({"a": 0, "b": 1, "c": 2, "ab": 3, "Ġ": 4)", more_tokens, "}"));
    Write("merges.txt", "#version: 0.2\na b\n");
  }
};

TEST_F(TokenizerTest, EncodesAndDecodes) {
  const Tokenizer tokenizer = LoadBytes({});
  EXPECT_EQ(tokenizer.Encode("hé", false).value(), Bytes("hé"));
  EXPECT_THAT(tokenizer.Encode("a<|turn|>b", false).value(), ElementsAre('a', kTurn, 'b'));
  EXPECT_EQ(tokenizer.Decode(Bytes("hé"), false).value(), "hé");
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{'a', kEnd}, false).value(), "a</s>");
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{'a', kEnd}, true).value(), "a");
  EXPECT_TRUE(tokenizer.Encode("", true).value().empty());
  EXPECT_EQ(tokenizer.Decode({}, true).value(), "");
  EXPECT_EQ(tokenizer.vocabulary_size(), 260);
}

TEST_F(TokenizerTest, RefusesWhatIsNotUtf8AndIdsThatAreNotThere) {
  const Tokenizer tokenizer = LoadBytes({});
  EXPECT_EQ(tokenizer.Encode("ab\xff", false).status(),
            absl::InvalidArgumentError("the text is not valid UTF-8 at byte 2"));
  EXPECT_FALSE(tokenizer.Encode("\xed\xa0\x80", false).ok()) << "a surrogate";
  for (const int32_t id : {-1, 260, 2147483647}) {
    EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{id}, false).status(),
              absl::InvalidArgumentError(absl::StrCat("there is no token with id ", id)));
  }
}

TEST_F(TokenizerTest, SpecialTokensComeFromTheConfigurationOrElseTheMap) {
  EXPECT_EQ(LoadBytes({{"bos_token", "<s>"}}).begin_id(), kBegin);
  EXPECT_EQ(LoadBytes({{"eos_token", {{"content", "</s>"}}}}).end_id(), kEnd);
  EXPECT_EQ(LoadBytes({{"eos_token", nullptr}}).end_id(), std::nullopt);
  Write("special_tokens_map.json", R"({"eos_token": "<|end|>"})");
  EXPECT_EQ(LoadBytes({{"eos_token", "</s>"}}).end_id(), kTurnEnd);
  EXPECT_EQ(LoadBytes({{"eos_token", "</s>"}, {"added_tokens_decoder", nlohmann::json::object()}}).end_id(), kEnd);
}

TEST_F(TokenizerTest, SpecialTokensOutsideTheVocabularyAreAddedInOrder) {
  const Tokenizer tokenizer = LoadBytes({{"pad_token", "<pad>"},
                                         {"eos_token", "<eos>"},
                                         {"added_tokens_decoder", {{"260", {{"content", "<x>"}, {"special", false}}}}},
                                         {"extra_special_tokens", {"<y>"}}});
  EXPECT_THAT(tokenizer.Encode("<x><eos><pad><y>", false).value(), ElementsAre(260, 261, 262, 263));
  EXPECT_EQ(tokenizer.end_id(), 261);
  EXPECT_EQ(tokenizer.vocabulary_size(), 264);
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{260, 261}, /*skip_special_tokens=*/true).value(), "<x>");
}

TEST_F(TokenizerTest, ReadsGpt2sTwoFiles) {
  WriteGpt2(R"(, "<|endoftext|>": 5)");
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(folder_);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT(tokenizer->Encode("abc ab<|endoftext|>", true).value(), ElementsAre(3, 2, 4, 3, 5));
  EXPECT_EQ(tokenizer->begin_id(), 5);
  EXPECT_EQ(tokenizer->end_id(), 5);
  Write("tokenizer_config.json", R"({"add_bos_token": true, "add_prefix_space": true})");
  EXPECT_THAT(Tokenizer::Load(folder_)->Encode("c", true).value(), ElementsAre(5, 4, 2));
}

TEST_F(TokenizerTest, Gpt2WithoutItsSpecialTokenHasNone) {
  WriteGpt2();
  EXPECT_EQ(Tokenizer::Load(folder_)->end_id(), std::nullopt);
  EXPECT_EQ(Tokenizer::Load(folder_)->vocabulary_size(), 5);
}

TEST_F(TokenizerTest, MissingFilesAreNamed) {
  EXPECT_TRUE(absl::IsNotFound(LoadError()));
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr(folder_.string()));
  Write("vocab.json", "{}");
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("neither tokenizer.json, nor vocab.json and merges.txt"));
}

TEST_F(TokenizerTest, OtherClassesNeedTokenizerJson) {
  WriteGpt2();
  Write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer"})");
  EXPECT_TRUE(absl::IsUnimplemented(LoadError()));
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("Qwen2Tokenizer"));
}

TEST_F(TokenizerTest, DamagedFilesAreNamed) {
  WriteGpt2();
  Write("merges.txt", "a b c\n");
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("merges.txt: line 1"));
  Write("merges.txt", "a x\n");
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("merges.txt does not fit vocab.json"));
  Write("vocab.json", "{\"a\": ");
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("vocab.json"));
  Write("tokenizer_config.json", "{");
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("tokenizer_config.json\": invalid JSON at byte 2"));
  Write("tokenizer_config.json", "{}");
  for (const char* damaged : {"", "{", "{}", "[]", "\xff", R"({"model": {"type": "Nothing"}})"}) {
    Write("tokenizer.json", damaged);
    EXPECT_THAT(std::string(LoadError().message()), HasSubstr("cannot be loaded")) << damaged;
  }
}

TEST_F(TokenizerTest, FilesOverTheLimitAreNotRead) {
  Write("tokenizer.json", "");
  std::filesystem::resize_file(folder_ / "tokenizer.json", (64 << 20) + 1);
  EXPECT_TRUE(absl::IsOutOfRange(LoadError()));
}

TEST_F(TokenizerTest, DropoutIsRefused) {
  nlohmann::json json = ByteTokenizerJson();
  json["model"]["dropout"] = 0.1;
  Write("tokenizer.json", json.dump());
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("dropout"));
}

TEST_F(TokenizerTest, IdsThatDoNotFitAreRefused) {
  nlohmann::json json = ByteTokenizerJson();
  json["model"]["vocab"]["z"] = 3000000000U;
  Write("tokenizer.json", json.dump());
  EXPECT_THAT(std::string(LoadError().message()), HasSubstr("token id 3000000000"));
}

TEST_F(TokenizerTest, TruncationAndPaddingOfTheFileAreSwitchedOff) {
  nlohmann::json json = ByteTokenizerJson();
  json["truncation"] = {{"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}};
  json["padding"] = {
      {"strategy", {{"Fixed", 8}}}, {"direction", "Right"}, {"pad_to_multiple_of", nullptr}, {"pad_id", 0},
      {"pad_type_id", 0},           {"pad_token", "<s>"}};
  Write("tokenizer.json", json.dump());
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(folder_);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(tokenizer->Encode("abcd", true).value(), Bytes("abcd"));
}

// Chat templates; what they render is compared with Transformers in tests/golden/text.

const std::vector<ChatMessage> kChat{{"user", "hunter2"}};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST_F(TokenizerTest, ChatTemplateOfTheFileGoesBeforeTheConfiguration) {
  EXPECT_TRUE(absl::IsNotFound(RenderChat(LoadBytes({}), kChat, false).status()));
  EXPECT_EQ(RenderChat(LoadBytes({{"chat_template", "C {{ messages[0].role }}"}}), kChat, false).value(), "C user");
  EXPECT_EQ(LoadBytes({{"chat_template", {{{"name", "default"}, {"template", "D"}}}}}).chat_template(), "D");
  Write("chat_template.jinja", "F{{ eos_token }}");
  EXPECT_EQ(RenderChat(LoadBytes({{"chat_template", "C"}, {"eos_token", "</s>"}}), kChat, false).value(), "F</s>");
}

TEST_F(TokenizerTest, ChatTemplateErrorsAreOfTheirKinds) {
  EXPECT_EQ(RenderChat(LoadBytes({{"chat_template", "{{ raise_exception('no') }}"}}), kChat, false).status(),
            absl::FailedPreconditionError("the chat template refuses this chat: no"));
  EXPECT_TRUE(absl::IsUnimplemented(RenderChat(LoadBytes({{"chat_template", "{% if %}"}}), kChat, false).status()));
  const absl::Status failed = RenderChat(LoadBytes({{"chat_template", "\n{{ 1 + 'a' }}"}}), kChat, false).status();
  EXPECT_TRUE(absl::IsInvalidArgument(failed));
  EXPECT_THAT(Message(failed), HasSubstr("line 2"));
  EXPECT_FALSE(RenderChat(LoadBytes({{"chat_template", "{% include 'x' %}"}}), kChat, false).ok());
  EXPECT_EQ(RenderChat(LoadBytes({{"chat_template", "x"}}), std::vector<ChatMessage>{{"user", "\xff"}}, false).status(),
            absl::InvalidArgumentError("a message is not valid UTF-8"));
}

TEST_F(TokenizerTest, ChatTemplatesAreBoundedInTimeOutputAndDepth) {
  const std::string loops = "{% for a in range(9999) %}{% for b in range(9999) %}{{ '' }}{% endfor %}{% endfor %}";
  EXPECT_THAT(Message(RenderChat(LoadBytes({{"chat_template", loops}}), kChat, false).status()), HasSubstr("fuel"));
  const std::string output = "{% set s = 'x' * 1000000 %}{% for a in range(100) %}{{ s }}{% endfor %}";
  EXPECT_THAT(Message(RenderChat(LoadBytes({{"chat_template", output}}), kChat, false).status()),
              HasSubstr("bytes of output"));
  const std::string recursion = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
  EXPECT_THAT(Message(RenderChat(LoadBytes({{"chat_template", recursion}}), kChat, false).status()),
              HasSubstr("recursion"));
  const std::string deep = "{{ " + std::string(10000, '(') + "1" + std::string(10000, ')') + " }}";
  EXPECT_FALSE(RenderChat(LoadBytes({{"chat_template", deep}}), kChat, false).ok());
}

TEST_F(TokenizerTest, ChatTemplatesGetTheirDateFromTheCaller) {
  const Tokenizer tokenizer = LoadBytes({{"chat_template", "{{ strftime_now('%d %b %Y') }}"}});
  EXPECT_EQ(tokenizer.Render(kChat, {}).value(), "26 Jul 2024");
  const std::chrono::sys_days day{std::chrono::November / 24 / 2026};
  EXPECT_EQ(tokenizer.Render(kChat, {.now = day}).value(), "24 Nov 2026");
}

}  // namespace
}  // namespace splitft::text
