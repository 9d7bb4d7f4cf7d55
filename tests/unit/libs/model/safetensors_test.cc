#include "libs/model/safetensors.h"

#include <cstdint>
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

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

// A file with this header and as many data bytes.
std::string File(const std::string& header, size_t data_bytes) {
  std::string file;
  for (int i = 0; i < 8; ++i) {
    file.push_back(static_cast<char>(header.size() >> (8 * i)));
  }
  return file + header + std::string(data_bytes, '\7');
}

std::string Entry(const std::string& dtype, const std::string& shape, int begin, int end) {
  return absl::StrCat(R"({"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":[)", begin, ",", end, "]}");
}

std::string ErrorOf(const std::string& file) {
  const absl::StatusOr<TensorTable> table = ParseSafetensors(BytesOf(file), "model.safetensors");
  EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(table.status().message()), HasSubstr("\"model.safetensors\""));
  return std::string(table.status().message());
}

TEST(Safetensors, ReadsTypesShapesAndOffsets) {
  const std::string header =
      absl::StrCat(R"({"__metadata__":{"format":"pt"},"b":)", Entry("BF16", "[2,3]", 4, 16), R"(,"a":)",
                   Entry("F32", "[]", 0, 4), R"(,"none":)", Entry("I64", "[0,5]", 16, 16), "}  ");
  const absl::StatusOr<TensorTable> table = ParseSafetensors(BytesOf(File(header, 16)), "f");
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->size(), 3U);
  const uint64_t data = 8 + header.size();
  const TensorEntry& b = table->at("b");
  EXPECT_EQ(b.type, TensorType::kBfloat16);
  EXPECT_THAT(b.shape, ElementsAre(2, 3));
  EXPECT_EQ(b.begin, data + 4);
  EXPECT_EQ(b.end, data + 16);
  EXPECT_TRUE(table->at("a").shape.empty());
  EXPECT_EQ(table->at("none").begin, table->at("none").end);
}

TEST(Safetensors, RefusesTruncatedAndOverlongFilesWithBothSizes) {
  const std::string whole = File(absl::StrCat(R"({"a":)", Entry("F32", "[4]", 0, 16), "}"), 16);
  const std::string header_end = absl::StrCat(whole.size() - 16);
  for (const size_t missing : {1, 16}) {
    EXPECT_THAT(ErrorOf(whole.substr(0, whole.size() - missing)),
                AllOf(HasSubstr(absl::StrCat("has ", whole.size() - missing, " bytes")),
                      HasSubstr(absl::StrCat("describes ", whole.size())), HasSubstr("truncated")));
  }
  EXPECT_THAT(ErrorOf(whole + "x"), AllOf(HasSubstr(absl::StrCat("has ", whole.size() + 1, " bytes")),
                                          HasSubstr(absl::StrCat("describes ", whole.size()))));
  EXPECT_THAT(ErrorOf(whole.substr(0, 20)), AllOf(HasSubstr("it has 20 bytes"), HasSubstr("ends at " + header_end)));
  EXPECT_THAT(ErrorOf("seven.."), HasSubstr("it has 7 bytes"));
}

TEST(Safetensors, RefusesHeadersOver16MebibytesBeforeReadingThem) {
  EXPECT_THAT(ErrorOf(std::string("\x01\x00\x00\x01\x00\x00\x00\x00{}", 10)),
              HasSubstr("header would have 16777217 bytes"));
  EXPECT_THAT(ErrorOf(std::string(8, '\xFF') + "{}"), HasSubstr("header would have 18446744073709551615 bytes"));
}

TEST(Safetensors, SaysWhatAGitLfsPointerIs) {
  EXPECT_THAT(ErrorOf("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), HasSubstr("git lfs pull"));
}

TEST(Safetensors, RefusesHeadersThatAreNotStrictJson) {
  EXPECT_THAT(ErrorOf(File("[]", 0)), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf(File(R"({"a":)", 0)), HasSubstr("not JSON at byte"));
  const std::string entry = Entry("U8", "[1]", 0, 1);
  EXPECT_THAT(ErrorOf(File(absl::StrCat(R"({"a":)", entry, R"(,"a":)", entry, "}"), 1)),
              HasSubstr("key \"a\" is there twice"));
  EXPECT_THAT(ErrorOf(File(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}", 0)),
              HasSubstr("nested deeper than 64"));
  EXPECT_THAT(ErrorOf(File(R"({"__metadata__":{"n":1}})", 0)), HasSubstr("__metadata__ is not a map of strings"));
}

TEST(Safetensors, RefusesUnknownTypesByName) {
  EXPECT_THAT(ErrorOf(File(absl::StrCat(R"({"w":)", Entry("Q4_K", "[2]", 0, 1), "}"), 1)),
              AllOf(HasSubstr("tensor \"w\""), HasSubstr("dtype is \"Q4_K\""), HasSubstr("BF16")));
}

TEST(Safetensors, RefusesBytesThatDoNotFitTypeAndShape) {
  EXPECT_THAT(ErrorOf(File(absl::StrCat(R"({"w":)", Entry("F32", "[2,3]", 0, 20), "}"), 20)),
              AllOf(HasSubstr("give 20 bytes"), HasSubstr("F32 [2, 3] takes 24")));
  // 2^62 * 4 * 4 bytes is 0 modulo 2^64.
  EXPECT_THAT(ErrorOf(File(absl::StrCat(R"({"w":)", Entry("F32", "[4611686018427387904,4]", 0, 0), "}"), 0)),
              HasSubstr("impossibly large"));
}

TEST(Safetensors, RefusesSizesThatAreNotWholeNumbers) {
  for (const char* shape : {"[-1]", "[1.0]", "[18446744073709551615]", "3", "[\"3\"]"}) {
    EXPECT_THAT(ErrorOf(File(absl::StrCat(R"({"w":)", Entry("F32", shape, 0, 4), "}"), 4)), HasSubstr("its shape is"))
        << shape;
  }
  EXPECT_THAT(ErrorOf(File(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4)),
              HasSubstr("data_offsets are [4,0]"));
  EXPECT_THAT(ErrorOf(File(R"({"w":{"dtype":"F32","shape":[1]}})", 4)), HasSubstr("no \"data_offsets\""));
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  const auto two = [](int begin, int end, size_t bytes) {
    return File(absl::StrCat(R"({"a":)", Entry("U8", "[4]", 0, 4), R"(,"b":)", Entry("U8", "[4]", begin, end), "}"),
                bytes);
  };
  EXPECT_TRUE(ParseSafetensors(BytesOf(two(4, 8, 8)), "f").ok());
  EXPECT_THAT(ErrorOf(two(3, 7, 7)), AllOf(HasSubstr("tensor \"b\" begins at byte 3"), HasSubstr("inside")));
  EXPECT_THAT(ErrorOf(two(5, 9, 9)), AllOf(HasSubstr("tensor \"b\" begins at byte 5"), HasSubstr("hole")));
  EXPECT_THAT(ErrorOf(two(0, 4, 4)), HasSubstr("inside"));
}

class SafetensorsWriter : public ::testing::Test {
 protected:
  const std::vector<float> values_ = {1, 2, 3, 4, 5, 6};
  const std::vector<uint8_t> small_ = {9, 8, 7};

  TensorView Floats(const std::string& name) const {
    return {name, TensorType::kFloat32, {2, 3}, std::as_bytes(std::span(values_))};
  }
  TensorView Small(const std::string& name) const {
    return {name, TensorType::kUint8, {3}, std::as_bytes(std::span(small_))};
  }
};

TEST_F(SafetensorsWriter, WritesWhatTheParserReadsInTheSameOrderEveryTime) {
  const absl::StatusOr<std::string> file = SerializeSafetensors({Small("a"), Floats("z"), Floats("m")});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file, SerializeSafetensors({Floats("m"), Floats("z"), Small("a")}).value());
  EXPECT_THAT(*file, HasSubstr(R"("__metadata__":{"format":"pt"})"));
  const absl::StatusOr<TensorTable> table = ParseSafetensors(BytesOf(*file), "f");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->at("m").begin % 8, 0U);
  EXPECT_EQ(table->at("z").begin, table->at("m").end);  // floats first, by name
  EXPECT_EQ(table->at("a").begin, table->at("z").end);
  EXPECT_EQ(file->substr(table->at("z").begin, 24), std::string(reinterpret_cast<const char*>(values_.data()), 24));
  EXPECT_EQ(file->substr(table->at("a").begin), "\x09\x08\x07");
}

TEST_F(SafetensorsWriter, RefusesTwoTensorsOfOneNameAndWrongSizes) {
  EXPECT_THAT(std::string(SerializeSafetensors({Small("a"), Floats("a")}).status().message()),
              HasSubstr("named \"a\""));
  TensorView wrong = Floats("w");
  wrong.shape = {2, 2};
  EXPECT_THAT(std::string(SerializeSafetensors({wrong}).status().message()),
              AllOf(HasSubstr("\"w\" has 24 bytes"), HasSubstr("F32 [2, 2]")));
}

TEST_F(SafetensorsWriter, WritesAFileWithoutTensors) {
  const absl::StatusOr<std::string> file = SerializeSafetensors({});
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(ParseSafetensors(BytesOf(*file), "f").value().empty());
}

}  // namespace
}  // namespace splitft::model
