#include "libs/text/dataset.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/unit/libs/text/byte_tokenizer.h"

namespace splitft::text {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class DatasetTest : public FolderTest {
 protected:
  absl::StatusOr<Dataset> Load(const std::string& name, const DatasetOptions& options) const {
    spec::Data data;
    data.source.value = (folder_ / name).string();
    return LoadDataset(data, tokenizer_, options);
  }
  absl::Status LoadError(const std::string& name) const { return Load(name, {}).status(); }

  // Lines {"text": "aa"}, of which the first `bad` are not JSON.
  static std::string Lines(int count, int bad) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      lines += i < bad ? "hunter2\n" : "{\"text\": \"aa\"}\n";
    }
    return lines;
  }

  const Tokenizer tokenizer_ = LoadBytes({{"eos_token", "</s>"}});
};

// Every sample's text, in order.
std::vector<std::string> Texts(const std::vector<Row>& rows) {
  std::vector<std::string> texts;
  for (const Row& row : rows) {
    for (const Sample& sample : row.samples) {
      texts.emplace_back(sample.tokens.begin(), sample.tokens.end());
    }
  }
  return texts;
}

TEST_F(DatasetTest, TextIsOneStreamCutIntoSamples) {
  Write("a.txt", "\xEF\xBB\xBFone two three");
  const absl::StatusOr<Dataset> dataset = Load("a.txt", {.sequence_length = 4});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  // The last one's single token predicts nothing and is predicted by nothing.
  EXPECT_THAT(Texts(dataset->train), ElementsAre("one ", "two ", "thre"));
  EXPECT_EQ(dataset->stats.records, 4);
  EXPECT_EQ(dataset->stats.empty, 1);
  EXPECT_EQ(dataset->stats.truncated, 0);
  EXPECT_EQ(dataset->stats.tokens, 12);
  EXPECT_EQ(dataset->stats.loss_tokens, 9);
}

TEST_F(DatasetTest, RecordsAreCutAndCounted) {
  Write("a.jsonl",
        "{\"text\": \"aa\"}\n{\"text\": \"\"}\n{\"text\": \"bbbbbbbb\"}\n{\"prompt\": \"cccc\", \"completion\": "
        "\"d\"}\n");
  const absl::StatusOr<Dataset> dataset = Load("a.jsonl", {.sequence_length = 4});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.size(), 2U);
  EXPECT_THAT(dataset->train[0].samples[0].tokens, ElementsAre('a', 'a', kEnd));
  EXPECT_THAT(dataset->train[1].samples[0].tokens, ElementsAre('b', 'b', 'b', 'b'));
  EXPECT_EQ(dataset->stats.records, 4);
  EXPECT_EQ(dataset->stats.truncated, 2) << "the b's, and the prompt that leaves no room for its completion";
  EXPECT_EQ(dataset->stats.empty, 2) << "the empty text, and that prompt";
  EXPECT_EQ(dataset->stats.tokens, 7);
  EXPECT_EQ(dataset->stats.loss_tokens, 5);
}

TEST_F(DatasetTest, SkipsOneBadRecordInAHundred) {
  Write("a.jsonl", Lines(100, 1));
  EXPECT_EQ(Load("a.jsonl", {})->stats.skipped, 1);
  EXPECT_EQ(Load("a.jsonl", {})->train.size(), 99U);
  Write("b.jsonl", Lines(99, 1));
  EXPECT_THAT(std::string(LoadError("b.jsonl").message()),
              AllOf(HasSubstr("b.jsonl"), HasSubstr("1 of 99 records are bad"), HasSubstr("line 1: invalid JSON"),
                    Not(HasSubstr("hunter2"))));
  Write("c.jsonl", Lines(1, 1));
  EXPECT_TRUE(absl::IsInvalidArgument(LoadError("c.jsonl")));
}

TEST_F(DatasetTest, InvalidUtf8IsABadRecordAndABadText) {
  Write("a.csv", "text\n\xff\n");
  EXPECT_THAT(std::string(LoadError("a.csv").message()), HasSubstr("record 1: the text is not valid UTF-8"));
  Write("a.txt", "ab\xff");
  EXPECT_THAT(std::string(LoadError("a.txt").message()), AllOf(HasSubstr("a.txt"), HasSubstr("UTF-8 at byte 2")));
}

TEST_F(DatasetTest, NothingToLearnFromIsAnError) {
  Write("a.txt", "");
  EXPECT_THAT(std::string(LoadError("a.txt").message()), HasSubstr("a.txt\" is empty"));
  Write("b.txt", "x");
  EXPECT_THAT(std::string(LoadError("b.txt").message()), HasSubstr("nothing to learn from: 1 records"));
  Write("c.jsonl", "\n\n");
  EXPECT_THAT(std::string(LoadError("c.jsonl").message()), HasSubstr("nothing to learn from: 0 records"));
  Write("d.csv", "prompt,completion\nab,\n");
  EXPECT_THAT(std::string(LoadError("d.csv").message()), HasSubstr("1 records, of which 1"));
}

TEST_F(DatasetTest, ErrorsThatAreNotTheRecordsAreNotSkipped) {
  Write("a.jsonl", Lines(1000, 0) + "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n");
  EXPECT_TRUE(absl::IsNotFound(LoadError("a.jsonl")));
  EXPECT_THAT(std::string(LoadError("a.jsonl").message()), HasSubstr("line 1001: the model has no chat template"));
  Write("b.csv", "text\nok\n\"open\n");
  EXPECT_THAT(std::string(LoadError("b.csv").message()), HasSubstr("record 2: a quoted field is not closed"));
}

TEST_F(DatasetTest, OnlyPathsOnThisMachineAreRead) {
  spec::Data data;
  data.source = {spec::SourceKind::kPersistentVolumeClaim, "claim/a.txt"};
  const absl::Status status = LoadDataset(data, tokenizer_, {}).status();
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("claim/a.txt"));
  EXPECT_TRUE(absl::IsNotFound(LoadError("missing.txt")));
}

TEST_F(DatasetTest, FormatFollowsTheExtension) {
  using spec::DataFormat;
  for (const auto& [name, format] : {std::pair("a.JSONL", DataFormat::kJsonl),
                                     std::pair("a.ndjson", DataFormat::kJsonl), std::pair("a.csv", DataFormat::kCsv),
                                     std::pair("a.txt", DataFormat::kText), std::pair("a", DataFormat::kText)}) {
    EXPECT_EQ(ResolveFormat(DataFormat::kAuto, name).value(), format) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ResolveFormat(DataFormat::kAuto, "a.json").status()));
  EXPECT_EQ(ResolveFormat(DataFormat::kText, "a.json").value(), DataFormat::kText);
}

TEST_F(DatasetTest, EvalSplitIsDisjointCompleteAndKeyedByClient) {
  std::string lines;
  for (int i = 0; i < 50; ++i) {
    absl::StrAppend(&lines, "{\"text\": \"", i, "\"}\n");
  }
  Write("a.jsonl", lines);
  const DatasetOptions options{.eval_fraction = 0.2, .seed = 5, .client = "one"};
  const Dataset dataset = *Load("a.jsonl", options);
  EXPECT_EQ(dataset.eval.size(), 10U);
  EXPECT_EQ(dataset.train.size(), 40U);
  std::vector<std::string> all = Texts(dataset.train);
  for (const std::string& text : Texts(dataset.eval)) {
    all.push_back(text);
  }
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 50U);

  EXPECT_EQ(Texts(Load("a.jsonl", options)->eval), Texts(dataset.eval));
  EXPECT_NE(Texts(Load("a.jsonl", {.eval_fraction = 0.2, .seed = 6, .client = "one"})->eval), Texts(dataset.eval));
  EXPECT_NE(Texts(Load("a.jsonl", {.eval_fraction = 0.2, .seed = 5, .client = "two"})->eval), Texts(dataset.eval));
}

TEST_F(DatasetTest, EvalSplitLeavesBothSidesASample) {
  Write("two.jsonl", Lines(2, 0));
  EXPECT_EQ(Load("two.jsonl", {.eval_fraction = 0.01})->eval.size(), 1U);
  EXPECT_EQ(Load("two.jsonl", {.eval_fraction = 0})->eval.size(), 0U);
  Write("one.jsonl", Lines(1, 0));
  EXPECT_EQ(Load("one.jsonl", {.eval_fraction = 0.5})->train.size(), 1U);
}

TEST_F(DatasetTest, PackingKeepsSamplesApart) {
  Write("a.jsonl", Lines(10, 0));  // 3 tokens each
  const Dataset dataset = *Load("a.jsonl", {.sequence_length = 8, .packing = true});
  ASSERT_EQ(dataset.train.size(), 5U);
  EXPECT_EQ(dataset.train[0].samples.size(), 2U);
  EXPECT_EQ(dataset.stats.tokens, 30);
}

TEST_F(DatasetTest, SequenceLengthMustHoldAPrediction) {
  Write("a.txt", "abc");
  EXPECT_THAT(std::string(Load("a.txt", {.sequence_length = 1}).status().message()), HasSubstr("sequence_length is 1"));
}

}  // namespace
}  // namespace splitft::text
