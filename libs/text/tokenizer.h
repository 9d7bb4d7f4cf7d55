#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace splitft::text {

// A Hugging Face tokenizer, read from a model directory: tokenizer.json, or GPT-2's vocab.json and merges.txt, with
// tokenizer_config.json and special_tokens_map.json where they are there. Immutable; safe to use from several threads.
class Tokenizer {
 public:
  static absl::StatusOr<Tokenizer> Load(const std::filesystem::path& model_directory);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Token ids of `text` (UTF-8). With `add_special_tokens`, what the tokenizer's post-processor adds (a Llama's <s>).
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text, bool add_special_tokens) const;
  // Text of `ids`; special tokens are left out if asked. An id outside the vocabulary is InvalidArgument.
  absl::StatusOr<std::string> Decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  int64_t vocabulary_size() const;  // with added tokens
  std::optional<int32_t> begin_id() const;  // bos, from tokenizer_config.json / special_tokens_map.json
  std::optional<int32_t> end_id() const;    // eos
  const std::string& chat_template() const;  // Jinja source; empty where the model has none

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct ChatMessage {
  std::string role;
  std::string content;
};

// The tokenizer's chat template rendered as Transformers' apply_chat_template(tokenize=False) does. Bounded in time and
// output; a template that fails or has none is an error.
absl::StatusOr<std::string> RenderChat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                       bool add_generation_prompt);

}  // namespace splitft::text
