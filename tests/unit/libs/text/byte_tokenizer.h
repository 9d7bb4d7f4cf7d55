#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "libs/text/tokenizer.h"
#include "nlohmann/json.hpp"

namespace splitft::text {

inline constexpr int32_t kBegin = 256;
inline constexpr int32_t kEnd = 257;
inline constexpr int32_t kTurn = 258;     // <|turn|>
inline constexpr int32_t kTurnEnd = 259;  // <|end|>

// A tokenizer.json in which the id of every byte is the byte: Encode("ab") is {97, 98}.
inline nlohmann::json ByteTokenizerJson() {
  nlohmann::json vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[absl::StrFormat("<0x%02X>", byte)] = byte;
  }
  nlohmann::json added = nlohmann::json::array();
  int id = kBegin;
  for (const char* token : {"<s>", "</s>", "<|turn|>", "<|end|>"}) {
    added.push_back({{"id", id++},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"decoder", {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}}},
          {"model",
           {{"type", "BPE"}, {"byte_fallback", true}, {"vocab", vocabulary}, {"merges", nlohmann::json::array()}}}};
}

// Puts <s> before every text that is encoded with special tokens.
inline nlohmann::json BeginningPostProcessor() {
  return {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {kBegin}}, {"tokens", {"<s>"}}}}}}};
}

// A folder of its own for each test, gone at its end.
class FolderTest : public testing::Test {
 protected:
  FolderTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("splitft_text_" + std::to_string(::getpid()) + "_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder_);
  }
  ~FolderTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path Write(const std::string& name, const std::string& contents) const {
    EXPECT_TRUE(WriteFileAtomically(folder_ / name, contents).ok());
    return folder_ / name;
  }

  // A byte tokenizer with this tokenizer_config.json, read from the folder.
  Tokenizer LoadBytes(const nlohmann::json& config, bool with_begin = false) const {
    nlohmann::json tokenizer = ByteTokenizerJson();
    if (with_begin) {
      tokenizer["post_processor"] = BeginningPostProcessor();
    }
    Write("tokenizer.json", tokenizer.dump());
    Write("tokenizer_config.json", config.is_null() ? "{}" : config.dump());
    absl::StatusOr<Tokenizer> loaded = Tokenizer::Load(folder_);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return *std::move(loaded);
  }

  const std::filesystem::path folder_;
};

inline std::vector<int32_t> Bytes(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) {
    ids.push_back(static_cast<unsigned char>(c));
  }
  return ids;
}

}  // namespace splitft::text
