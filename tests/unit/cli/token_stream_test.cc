#include "cli/token_stream.h"

#include <gtest/gtest.h>

namespace splitft::cli {
namespace {

// A byte-level tokenizer: a token is a byte; what is no UTF-8 reads as U+FFFD, as decoders have it.
absl::StatusOr<std::string> DecodeBytes(std::span<const int32_t> ids) {
  std::string text;
  for (size_t i = 0; i < ids.size();) {
    const auto lead = static_cast<unsigned>(ids[i]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
    if (length == 0 || i + length > ids.size()) {
      text += "\xEF\xBF\xBD";
      ++i;
      continue;
    }
    for (size_t j = 0; j < length; ++j) {
      text.push_back(static_cast<char>(ids[i + j]));
    }
    i += length;
  }
  return text;
}

// Words; like SentencePiece, the first of a text has no blank before it.
absl::StatusOr<std::string> DecodeWords(std::span<const int32_t> ids) {
  std::string text;
  for (const int32_t id : ids) {
    text += (text.empty() ? "w" : " w") + std::to_string(id);
  }
  return text;
}

TEST(TokenStream, HoldsACharacterUntilItIsWhole) {
  TokenStream stream(&DecodeBytes);
  EXPECT_EQ(*stream.Push('a'), "a");
  EXPECT_EQ(*stream.Push(0xC3), "");
  EXPECT_EQ(*stream.Push(0xA9), "é");
  EXPECT_EQ(*stream.Push(0xF0), "");
  EXPECT_EQ(*stream.Push(0x9F), "");
  EXPECT_EQ(*stream.Push(0x98), "");
  EXPECT_EQ(*stream.Push(0x80), "😀");
  EXPECT_EQ(*stream.Push('!'), "!");
  EXPECT_EQ(*stream.Finish(), "");
}

TEST(TokenStream, GivesOutABrokenCharacterAtTheEnd) {
  TokenStream stream(&DecodeBytes);
  EXPECT_EQ(*stream.Push('a'), "a");
  EXPECT_EQ(*stream.Push(0xC3), "");
  EXPECT_EQ(*stream.Finish(), "\xEF\xBF\xBD");
}

TEST(TokenStream, KeepsTheBlanksBetweenWords) {
  TokenStream stream(&DecodeWords);
  EXPECT_EQ(*stream.Push(1), "w1");
  EXPECT_EQ(*stream.Push(2), " w2");
  EXPECT_EQ(*stream.Push(3), " w3");
}

TEST(TokenStream, DecodesAWindowNotTheWholeText) {
  size_t longest = 0;
  TokenStream stream([&longest](std::span<const int32_t> ids) {
    longest = std::max(longest, ids.size());
    return DecodeBytes(ids);
  });
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(stream.Push('x').ok());
  }
  EXPECT_LE(longest, 3u);
}

TEST(TokenStream, PassesOnTheDecodersError) {
  TokenStream stream(
      [](std::span<const int32_t>) -> absl::StatusOr<std::string> { return absl::NotFoundError("id 7"); });
  EXPECT_EQ(stream.Push(7).status().message(), "id 7");
}

}  // namespace
}  // namespace splitft::cli
