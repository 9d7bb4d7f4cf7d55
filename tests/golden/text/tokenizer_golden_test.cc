#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "tests/golden/text/reference.h"

namespace splitft::text {
namespace {

std::vector<int32_t> ReadIds(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, size_t{1} << 30);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  std::vector<int32_t> ids(bytes.ok() ? bytes->size() / sizeof(int32_t) : 0);
  if (!ids.empty()) {
    std::memcpy(ids.data(), bytes->data(), ids.size() * sizeof(int32_t));
  }
  return ids;
}

std::optional<int32_t> IdOf(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<int32_t>());
}

TEST_P(GoldenText, HasTheVocabularyAndSpecialTokensOfTransformers) {
  EXPECT_EQ(tokenizer().vocabulary_size(), Case()["vocabulary_size"].get<int64_t>());
  EXPECT_EQ(tokenizer().begin_id(), IdOf(Case()["begin_id"]));
  EXPECT_EQ(tokenizer().end_id(), IdOf(Case()["end_id"]));
}

TEST_P(GoldenText, EncodesAndDecodesSamplesAsTransformers) {
  ASSERT_GE(Case()["samples"].size(), 100U);
  for (const Json& sample : Case()["samples"]) {
    SCOPED_TRACE(sample["text"].dump());
    const absl::StatusOr<std::vector<int32_t>> ids =
        tokenizer().Encode(sample["text"].get<std::string>(), sample["add_special_tokens"].get<bool>());
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, sample["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(*tokenizer().Decode(*ids, /*skip_special_tokens=*/false), sample["decoded"].get<std::string>());
    EXPECT_EQ(*tokenizer().Decode(*ids, /*skip_special_tokens=*/true),
              sample["decoded_without_special"].get<std::string>());
  }
}

// Whole files: over 64 KiB, so in pieces where the tokenizer allows it.
TEST_P(GoldenText, EncodesFilesAsTransformers) {
  ASSERT_GE(Case()["files"].size(), 2U);
  for (const Json& file : Case()["files"]) {
    SCOPED_TRACE(file["file"].get<std::string>());
    const absl::StatusOr<std::string> text = ReadFile(file["file"].get<std::string>(), size_t{1} << 30);
    ASSERT_TRUE(text.ok()) << text.status();
    const absl::StatusOr<std::vector<int32_t>> ids = tokenizer().Encode(*text, /*add_special_tokens=*/true);
    ASSERT_TRUE(ids.ok()) << ids.status();
    const std::vector<int32_t> expected = ReadIds(file["ids_file"].get<std::string>());
    ASSERT_FALSE(expected.empty());
    const auto [ours, theirs] = std::mismatch(ids->begin(), ids->end(), expected.begin(), expected.end());
    EXPECT_TRUE(ours == ids->end() && theirs == expected.end())
        << "token " << ours - ids->begin() << " of " << ids->size() << " and " << expected.size() << " differs";
  }
}

class GoldenByteLevel : public GoldenText {};

TEST_P(GoldenByteLevel, DecodesWhatItEncodes) {
  for (const Json& file : Case()["files"]) {
    SCOPED_TRACE(file["file"].get<std::string>());
    const absl::StatusOr<std::string> text = ReadFile(file["file"].get<std::string>(), size_t{1} << 30);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_TRUE(*tokenizer().Decode(*tokenizer().Encode(*text, false), false) == *text);
  }
}

// With GPT-2's own vocabulary where it lies beside the checkout (../shared/data/gpt2-tokenizer).
std::vector<std::string> WithGpt2(std::vector<std::string> names) {
  if (LoadCases().contains("gpt2")) {
    names.push_back("gpt2");
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, GoldenText,
                         testing::ValuesIn(WithGpt2({"gpt2_small", "llama2", "llama3", "mistral", "qwen",
                                                     "stripping"})),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(Tokenizers, GoldenByteLevel, testing::ValuesIn(WithGpt2({"gpt2_small", "llama3"})),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace splitft::text
