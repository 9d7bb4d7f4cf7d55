#include "libs/text/partition_file.h"

#include "tests/unit/libs/text/byte_tokenizer.h"

namespace splitft::text {
namespace {

using spec::DataFormat;
using testing::ElementsAre;
using testing::HasSubstr;

class PartitionFileTest : public FolderTest {
 protected:
  // Writes the records of the file to clients 0, 1, 0, 1, ...; the contents of the two parts.
  std::vector<std::string> Alternate(const std::string& name, const std::string& contents) const {
    const absl::StatusOr<PartitionFile> file = PartitionFile::Open(Write(name, contents), DataFormat::kAuto);
    EXPECT_TRUE(file.ok()) << file.status();
    Partition partition;
    for (size_t i = 0; i < file->records().size(); ++i) {
      partition.client.push_back(static_cast<int>(i % 2));
    }
    const auto paths = file->WriteParts(partition, {"one", "two"}, folder_ / "parts");
    EXPECT_TRUE(paths.ok()) << paths.status();
    std::vector<std::string> parts;
    for (const std::filesystem::path& path : *paths) {
      EXPECT_EQ(path.extension(), std::filesystem::path(name).extension());
      parts.push_back(ReadFile(path, 1000).value());
    }
    return parts;
  }
};

TEST_F(PartitionFileTest, JsonlIsDividedByLines) {
  EXPECT_THAT(Alternate("a.jsonl", "{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}"),
              ElementsAre("{\"a\":1}\n{\"c\":3}\n", "{\"b\":2}\r\n"));
}

TEST_F(PartitionFileTest, CsvKeepsItsHeaderAndItsQuotes) {
  EXPECT_THAT(Alternate("a.csv", "x,y\n\"1\n2\",3\n4,5\n6,7"), ElementsAre("x,y\n\"1\n2\",3\n6,7\n", "x,y\n4,5\n"));
}

TEST_F(PartitionFileTest, TextIsDividedByParagraphs) {
  EXPECT_THAT(Alternate("a.txt", "\na\nb\n \n\nc\n\nd"), ElementsAre("\na\nb\n \n\nd\n", "c\n\n"));
}

TEST_F(PartitionFileTest, TextWithoutParagraphsIsDividedByLines) {
  EXPECT_THAT(Alternate("a.txt", "a\nb\nc"), ElementsAre("a\nc\n", "b\n"));
}

TEST_F(PartitionFileTest, CountsBytesAndWords) {
  const absl::StatusOr<PartitionFile> file =
      PartitionFile::Open(Write("a.txt", " one  two\nthree\n\n"), DataFormat::kAuto);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->ByteCounts(), ElementsAre(10, 6));
  EXPECT_THAT(file->WordCounts(), ElementsAre(2, 1));
}

TEST_F(PartitionFileTest, NothingIsOverwritten) {
  const absl::StatusOr<PartitionFile> file = PartitionFile::Open(Write("a.txt", "a\nb\n"), DataFormat::kAuto);
  ASSERT_TRUE(file.ok()) << file.status();
  Write("two.txt", "precious");
  const Partition partition{.client = {0, 1}, .length_class = {0, 0}};
  EXPECT_TRUE(absl::IsAlreadyExists(file->WriteParts(partition, {"one", "two"}, folder_).status()));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "one.txt"));
  EXPECT_EQ(ReadFile(folder_ / "two.txt", 100).value(), "precious");
  EXPECT_TRUE(absl::IsInvalidArgument(file->WriteParts(partition, {"x", "x"}, folder_).status()));
}

TEST_F(PartitionFileTest, FilesWithoutRecordsAreRefused) {
  const auto error = [&](const std::string& name, const std::string& contents) {
    return std::string(PartitionFile::Open(Write(name, contents), DataFormat::kAuto).status().message());
  };
  EXPECT_THAT(error("a.txt", "\n \n"), HasSubstr("a.txt\" has no records"));
  EXPECT_THAT(error("a.csv", "x,y\n"), HasSubstr("a.csv\" has no records"));
  EXPECT_THAT(error("a.csv", "x\nok\n\"open\n"), HasSubstr("a.csv\": record 2: a quoted field is not closed"));
}

}  // namespace
}  // namespace splitft::text
