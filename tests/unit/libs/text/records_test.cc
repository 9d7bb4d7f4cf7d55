#include "libs/text/records.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// What each record is, or "place: error".
std::vector<std::string> ReadAll(std::string_view contents, spec::DataFormat format, const spec::Data& data = {}) {
  absl::StatusOr<std::unique_ptr<RecordReader>> reader = RecordReader::Open(contents, format, data);
  if (!reader.ok()) {
    return {std::string(reader.status().message())};
  }
  std::vector<std::string> all;
  while (true) {
    const absl::StatusOr<std::optional<Record>> record = (*reader)->Next();
    if (!record.ok()) {
      all.push_back((*reader)->place() + ": " + std::string(record.status().message()));
      if (!absl::IsInvalidArgument(record.status())) {
        return all;
      }
    } else if (!record->has_value()) {
      return all;
    } else if (const auto* text = std::get_if<TextRecord>(&**record)) {
      all.push_back("text " + text->text);
    } else if (const auto* prompt = std::get_if<PromptRecord>(&**record)) {
      all.push_back("prompt " + prompt->prompt + " -> " + prompt->completion);
    } else {
      std::string chat = "chat";
      for (const ChatMessage& message : std::get<ChatRecord>(**record).messages) {
        chat += " " + message.role + "=" + message.content;
      }
      all.push_back(chat);
    }
  }
}

std::vector<std::string> Jsonl(std::string_view contents) { return ReadAll(contents, spec::DataFormat::kJsonl); }
std::vector<std::string> Csv(std::string_view contents, const spec::Data& data = {}) {
  return ReadAll(contents, spec::DataFormat::kCsv, data);
}

TEST(Records, JsonlHasThreeKinds) {
  EXPECT_THAT(Jsonl("\xEF\xBB\xBF{\"text\": \"a\"}\r\n\n"
                    "{\"prompt\": \"p\", \"completion\": \"c\"}\n"
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": "
                    "\"yo\", \"name\": \"n\"}]}"),
              ElementsAre("text a", "prompt p -> c", "chat user=hi assistant=yo"));
}

TEST(Records, MessagesGoBeforePromptAndPromptBeforeText) {
  EXPECT_THAT(Jsonl(R"({"text": "t", "prompt": "p", "completion": "c"})"), ElementsAre("prompt p -> c"));
  EXPECT_THAT(Jsonl(R"({"text": "t", "messages": [{"role": "r", "content": "c"}]})"), ElementsAre("chat r=c"));
  EXPECT_THAT(Jsonl(R"({"text": "t", "prompt": "p"})"), ElementsAre("text t"));
}

TEST(Records, BadLinesAreNamedByLineAndReadingGoesOn) {
  EXPECT_THAT(
      Jsonl("{\"text\": 1}\n\n[]\n{\"text\": \"ok\"}\n{\"messages\": []}\n{\"messages\": [{\"role\": \"x\"}]}\nx\n"),
      ElementsAre("line 1: \"text\" is not a string", "line 3: it is not a JSON object", "text ok",
                  "line 5: \"messages\" is not a list of messages", "line 6: \"content\" is not a string",
                  "line 7: invalid JSON at byte 1"));
}

TEST(Records, MissingMembersAreNamedAsTheManifestNamesThem) {
  spec::Data data;
  data.text_column = "body";
  const std::vector<std::string> all = ReadAll("{\"text\": \"hunter2\"}", spec::DataFormat::kJsonl, data);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0], HasSubstr("\"body\""));
  EXPECT_THAT(all[0], Not(HasSubstr("hunter2")));
}

TEST(Records, LongLinesAndLongChatsAreBad) {
  EXPECT_THAT(Jsonl("{\"text\": \"" + std::string(kRecordLimit, 'x') + "\"}\n{\"text\": \"a\"}"),
              ElementsAre(HasSubstr("bytes; at most 16777216"), "text a"));
  std::string chat = "{\"messages\": [";
  for (size_t i = 0; i <= kMessagesLimit; ++i) {
    chat += std::string(i == 0 ? "" : ", ") + "{\"role\": \"user\", \"content\": \"\"}";
  }
  EXPECT_THAT(Jsonl(chat + "]}"), ElementsAre(HasSubstr("1025 messages; at most 1024")));
}

TEST(Records, CsvColumnsAreFoundByName) {
  EXPECT_THAT(Csv("\xEF\xBB\xBFid,text\n1,\"a\nb\"\n2,c\n"), ElementsAre("text a\nb", "text c"));
  spec::Data data;
  data.prompt_column = "mr";
  data.completion_column = "ref";
  EXPECT_THAT(Csv("ref,mr\nc,p\n", data), ElementsAre("prompt p -> c"));
}

TEST(Records, CsvRecordWithAnotherNumberOfFieldsIsBad) {
  EXPECT_THAT(Csv("text,b\n1\n2,3\n"), ElementsAre("record 1: it has 1 fields, the header has 2", "text 2"));
}

TEST(Records, CsvHeaderIsCheckedWithoutQuotingIt) {
  // The header may be the first record of a file without one.
  EXPECT_THAT(Csv("hunter2,x\n"), ElementsAre(testing::AllOf(HasSubstr("the header (2 columns) has neither \"text\""),
                                                             Not(HasSubstr("hunter2")))));
  EXPECT_THAT(Csv("text,text\n"), ElementsAre("the header has two columns \"text\""));
  EXPECT_THAT(Csv(""), ElementsAre("there is no header"));
}

TEST(Records, CsvStopsAtAQuoteThatNeverCloses) {
  EXPECT_THAT(Csv("text\nok\n\"open\nmore\nand more\n"),
              ElementsAre("text ok", "record 2: a quoted field is not closed"));
}

}  // namespace
}  // namespace splitft::text
