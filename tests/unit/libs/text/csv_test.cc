#include "libs/text/csv.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::text {
namespace {

using Fields = std::vector<std::string>;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Fields> ReadAll(std::string_view contents) {
  CsvReader csv(contents, 1000);
  std::vector<Fields> records;
  Fields fields;
  while (true) {
    const absl::StatusOr<bool> is_there = csv.Next(fields);
    EXPECT_TRUE(is_there.ok()) << is_there.status();
    if (!is_there.ok() || !*is_there) {
      return records;
    }
    records.push_back(fields);
  }
}

absl::Status FirstError(std::string_view contents) {
  CsvReader csv(contents, 20);
  Fields fields;
  absl::StatusOr<bool> is_there = true;
  while (is_there.ok() && *is_there) {
    is_there = csv.Next(fields);
  }
  return is_there.status();
}

TEST(Csv, ReadsPlainFieldsAndEmptyOnes) {
  EXPECT_THAT(ReadAll("a,b,c\n1,,3\n,,\n"),
              ElementsAre(Fields{"a", "b", "c"}, Fields{"1", "", "3"}, Fields{"", "", ""}));
}

TEST(Csv, QuotedFieldsHoldCommasQuotesAndLineEnds) {
  EXPECT_THAT(ReadAll("\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\n\"\nx,\"\",y\n"),
              ElementsAre(Fields{"a,b", "say \"hi\"", "two\r\nlines\n"}, Fields{"x", "", "y"}));
}

TEST(Csv, LinesEndInCrLfOrLfAndTheLastInNothing) {
  EXPECT_THAT(ReadAll("a,b\r\nc,d\ne,f"), ElementsAre(Fields{"a", "b"}, Fields{"c", "d"}, Fields{"e", "f"}));
  EXPECT_THAT(ReadAll("a\n\"b\""), ElementsAre(Fields{"a"}, Fields{"b"}));
}

TEST(Csv, BlankLinesAreNoRecords) { EXPECT_THAT(ReadAll("\n\r\na\n\n\nb\n\n"), ElementsAre(Fields{"a"}, Fields{"b"})); }

TEST(Csv, CommaAtTheEndMeansOneMoreField) {
  EXPECT_THAT(ReadAll("a,\nb,"), ElementsAre(Fields{"a", ""}, Fields{"b", ""}));
}

TEST(Csv, QuoteInsideAnUnquotedFieldIsOrdinary) {
  EXPECT_THAT(ReadAll("5\" pipe,b\rc\n"), ElementsAre(Fields{"5\" pipe", "b\rc"}));
}

TEST(Csv, SaysWhyItCannotGoOn) {
  EXPECT_TRUE(absl::IsDataLoss(FirstError("a\n\"b\nc\n")));
  EXPECT_THAT(std::string(FirstError("a\n\"b\nc\n").message()), HasSubstr("not closed"));
  EXPECT_THAT(std::string(FirstError("\"b\"c\n").message()), HasSubstr("after its closing quote"));
  EXPECT_TRUE(absl::IsOutOfRange(FirstError(std::string(21, 'x'))));
  EXPECT_TRUE(FirstError(std::string(20, 'x')).ok());
}

TEST(Csv, RawRecordsAreTheFileInPieces) {
  const std::string contents = "a,b\r\n\"x\ny\",2\nlast,3";
  CsvReader csv(contents, 1000);
  Fields fields;
  std::string together;
  while (*csv.Next(fields)) {
    together += csv.raw();
  }
  EXPECT_EQ(together, contents);
}

}  // namespace
}  // namespace splitft::text
