// links: text
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "libs/text/tokenizer.h"

// The first byte says which file the rest is. What loads must encode, decode and render without crashing.
namespace {

using namespace splitft;

std::filesystem::path Folder() {
  static const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("splitft_tokenizer_fuzz_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  return folder;
}

// Without the sync of WriteFileAtomically, which is nearly all of a run.
void Write(const char* name, std::string_view contents) {
  std::ofstream(Folder() / name, std::ios::binary | std::ios::trunc) << contents;
}

void Use(const text::Tokenizer& tokenizer) {
  const auto ids = tokenizer.Encode("Hello, wörld! 12\n  <s> \t", true);
  if (ids.ok()) {
    (void)tokenizer.Decode(*ids, false).status();
    for (const int32_t id : *ids) {
      if (id < 0 || id >= tokenizer.vocabulary_size()) {
        std::abort();
      }
    }
  }
  (void)text::RenderChat(tokenizer, std::vector<text::ChatMessage>{{"user", "a"}, {"assistant", "b"}}, true).status();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  constexpr const char* kNames[] = {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"};
  std::filesystem::remove(Folder() / "tokenizer.json");
  Write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})");
  Write("merges.txt", "a b\n");
  Write("tokenizer_config.json", R"({"chat_template": "{{ messages[0].content }}"})");
  Write(kNames[data[0] % 4], {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (const auto tokenizer = text::Tokenizer::Load(Folder()); tokenizer.ok()) {
    Use(*tokenizer);
  }
  return 0;
}
