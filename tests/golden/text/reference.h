#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "libs/text/tokenizer.h"
#include "nlohmann/json.hpp"

namespace splitft::text {

using Json = nlohmann::ordered_json;

// What reference.py wrote before this program started.
inline Json LoadCases() {
  const absl::StatusOr<std::string> contents =
      ReadFile(std::filesystem::path(SPLITFT_GOLDEN_TEXT) / "cases.json", size_t{1} << 30);
  return contents.ok() ? Json::parse(*contents) : Json();
}

// One run for each tokenizer that reference.py makes, named by its folder.
class GoldenText : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Cases().contains(GetParam())) << "the fixture golden.text.reference wrote nothing for it";
    absl::StatusOr<Tokenizer> loaded = Tokenizer::Load(Case()["directory"].get<std::string>());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    tokenizer_ = std::make_unique<Tokenizer>(*std::move(loaded));
  }
  static const Json& Cases() {
    static const Json cases = LoadCases();
    return cases;
  }
  // Of the tokenizer under test.
  const Json& Case() const { return Cases()[GetParam()]; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::unique_ptr<Tokenizer> tokenizer_;
};

inline std::vector<ChatMessage> MessagesOf(const Json& json) {
  std::vector<ChatMessage> messages;
  for (const Json& message : json) {
    messages.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  }
  return messages;
}

}  // namespace splitft::text
