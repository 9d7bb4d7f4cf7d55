#include "libs/spec/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"

namespace splitft::spec {
namespace {

// The row of docs/manifest.md that says what the parser knows of `field`.
std::string Row(const FieldInfo& field) {
  const std::string name = field.path.substr(field.path.rfind('.') + 1);
  const std::string unset = field.one_of                 ? (field.required ? "one is required" : "none")
                            : field.required             ? "required"
                            : field.default_text.empty() ? "none"
                                                         : field.default_text;
  return absl::StrCat("| `", name, "` | ", TypeText(field), " | ", unset, " | ", RangeText(field), " | ", field.meaning,
                      " |");
}

// The heading of the section for a group's own fields.
std::string Heading(const FieldInfo& group) {
  return absl::StrCat("## `", group.path, group.type == FieldType::kObjectList ? "[]" : "", "`");
}

bool IsGroup(const FieldInfo& field) {
  return field.type == FieldType::kObject || field.type == FieldType::kObjectList;
}

std::string ReadReference() {
  const absl::StatusOr<std::string> text = ReadFile(SPLITFT_SOURCE_DIR "/docs/manifest.md", 1 << 20);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

// Section by section: a group's fields stand in its own section, and nowhere else.
TEST(ManifestReference, SaysWhatTheParserKnowsAndNothingElse) {
  std::set<std::string> expected;
  for (const FieldInfo& field : KnownFields()) {
    const std::string parent =
        field.path.find('.') == std::string::npos ? "" : field.path.substr(0, field.path.rfind('.'));
    if (IsGroup(field)) {
      expected.insert(absl::StrCat("[", Heading(field), "] ", field.meaning));
    } else {
      expected.insert(absl::StrCat("[", parent.empty() ? "# The manifest" : "## `" + parent + "`", "] ", Row(field)));
    }
  }
  std::set<std::string> found;
  std::string heading;
  bool first_of_section = false;
  bool is_field_section = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(ReadReference(), '\n'))) {
    if (line.starts_with("#")) {
      heading = line;
      first_of_section = line.starts_with("## `");
      is_field_section = first_of_section || line.starts_with("# ");
    } else if ((is_field_section && line.starts_with("| `")) || (first_of_section && !line.empty())) {
      found.insert(absl::StrCat("[", heading, "] ", line));
      first_of_section = false;
    }
  }
  for (const std::string& line : expected) {
    EXPECT_TRUE(found.contains(line)) << "docs/manifest.md lacks\n" << line;
  }
  for (const std::string& line : found) {
    EXPECT_TRUE(expected.contains(line)) << "docs/manifest.md has, and the parser does not know\n" << line;
  }
}

TEST(KnownFields, HaveBoundsAndDefaults) {
  const auto find = [](std::string_view path) {
    for (const FieldInfo& field : KnownFields()) {
      if (field.path == path) {
        return field;
      }
    }
    return FieldInfo();
  };
  const FieldInfo rank = find("spec.lora.rank");
  EXPECT_EQ(rank.type, FieldType::kInteger);
  EXPECT_EQ(rank.default_text, "8");
  EXPECT_EQ(rank.integers.low, 1);
  EXPECT_EQ(rank.integers.high, 4096);
  const FieldInfo rate = find("spec.training.learningRate");
  EXPECT_EQ(rate.type, FieldType::kNumber);
  EXPECT_TRUE(rate.numbers.above_low);
  EXPECT_EQ(RangeText(rate), "above 0, at most 10");
  const FieldInfo labels = find("spec.split.labels");
  EXPECT_THAT(labels.words, ::testing::ElementsAre("Client", "Server"));
  EXPECT_EQ(labels.default_text, "Client");
  EXPECT_TRUE(find("spec.split.labels").default_is_value);
  EXPECT_EQ(find("spec.clients[].cutLayer").default_text, "spec.split.cutLayer");
  EXPECT_FALSE(find("spec.clients[].cutLayer").default_is_value) << "words, not a value";
  EXPECT_FALSE(find("spec.failureRules[].role").default_is_value) << "required";
  EXPECT_TRUE(find("spec.clients").required);
  EXPECT_TRUE(find("spec.output.path").one_of);
}

TEST(KnownFields, AreEachThereOnce) {
  std::set<std::string> paths;
  for (const FieldInfo& field : KnownFields()) {
    EXPECT_TRUE(paths.insert(field.path).second) << field.path;
    EXPECT_FALSE(field.meaning.empty()) << field.path;
    EXPECT_EQ(field.meaning.find('|'), std::string::npos) << field.path << " would break the reference's table";
  }
}

// Strings that one form or another takes, and some that none does.
std::vector<std::string> SampleTexts() {
  std::vector<std::string> samples = {"",
                                      "a",
                                      "-a",
                                      "a-",
                                      "a-b",
                                      "A",
                                      "hospital",
                                      "h0",
                                      "a_b",
                                      "a.b",
                                      "a b",
                                      "auto",
                                      "cpu",
                                      "cuda",
                                      "cuda:",
                                      "cuda:0",
                                      "cuda:07",
                                      "cuda:12",
                                      "cuda:123",
                                      "cuda:x",
                                      "q_proj",
                                      "h.*",
                                      "/",
                                      "/a",
                                      "a/b",
                                      "a/",
                                      "a//b",
                                      "~",
                                      "~/x",
                                      "./x",
                                      "x\ny",
                                      "\x7f",
                                      "org/name",
                                      "org/name@rev",
                                      "org/name@",
                                      "@rev",
                                      "-x/y",
                                      "a/b/c",
                                      "a@b@c",
                                      "gpt2",
                                      "Claim/x",
                                      "claim/sub dir",
                                      "layers.3.mlp",
                                      "example.org/x_y",
                                      "a.b-c/x.y_Z",
                                      std::string("a\0b", 3)};
  for (const size_t length : {63U, 64U, 253U, 254U, 256U, 257U, 317U, 318U, 1024U, 1025U, 4096U, 4097U}) {
    for (const std::string start : {"", "/", "c/", "example.org/"}) {
      samples.push_back(start);
      samples.back().resize(length, 'x');
    }
    samples.push_back(absl::StrCat(std::string(length, 'x'), "/x"));
  }
  return samples;
}

// Other tools (the CRD) know a string's form by its pattern and its length only.
TEST(TextForms, AcceptWhatTheirPatternsMatch) {
  const std::vector<std::string> samples = SampleTexts();
  std::set<std::string_view> patterns;
  for (const FieldInfo& field : KnownFields()) {
    if (field.form.accepts == nullptr || !patterns.insert(field.form.pattern).second) {
      continue;
    }
    const std::regex pattern{std::string(field.form.pattern)};
    for (const std::string& sample : samples) {
      const bool short_enough = sample.size() <= static_cast<size_t>(field.form.longest_bytes);
      EXPECT_EQ(field.form.accepts(sample), short_enough && std::regex_match(sample, pattern))
          << field.path << ", pattern " << field.form.pattern << ", string \"" << sample << "\"";
    }
  }
  EXPECT_GE(patterns.size(), 9U);
}

}  // namespace
}  // namespace splitft::spec
