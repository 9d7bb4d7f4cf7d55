#pragma once

#include <chrono>
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

struct ChatMessage {
  std::string role;
  std::string content;
};

// The date that templates which ask for one get unless a caller gives it: 26 July 2024, Llama 3.1's own fallback. It
// never moves, so that a run resumed tomorrow trains on the same tokens.
inline constexpr std::chrono::sys_seconds kUndatedChat{std::chrono::sys_days(std::chrono::July / 26 / 2024)};

struct ChatOptions {
  bool add_generation_prompt = false;
  std::chrono::sys_seconds now = kUndatedChat;  // what strftime_now formats, as UTC
};

// What the message of an error starts with where the template itself refuses the chat (raise_exception); its own words
// follow.
inline constexpr char kChatRefused[] = "the chat template refuses this chat: ";

// A Hugging Face tokenizer, read from a model directory: tokenizer.json, or GPT-2's vocab.json and merges.txt, with
// tokenizer_config.json and special_tokens_map.json where they are there. Immutable; safe to use from several threads.
class Tokenizer {
 public:
  // NotFound where the directory has no tokenizer, OutOfRange for a file over 64 MiB, InvalidArgument for a damaged
  // one, Unimplemented for a kind that only tokenizer.json can describe; each names the path.
  static absl::StatusOr<Tokenizer> Load(const std::filesystem::path& model_directory);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Token ids of `text`. With `add_special_tokens`, also what the tokenizer's post-processor adds (a Llama's <s>).
  // InvalidArgument for text that is not UTF-8, or that is over 32 MiB where it cannot be encoded piece by piece with
  // the same result (a SentencePiece-like tokenizer).
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text, bool add_special_tokens) const;
  // Text of `ids`; special tokens are left out if asked. An id outside the vocabulary is InvalidArgument.
  absl::StatusOr<std::string> Decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  // The tokenizer's chat template rendered as Transformers' apply_chat_template(tokenize=False) does. NotFound where
  // the model has none, Unimplemented where it does not compile, FailedPrecondition (kChatRefused) where it raises,
  // InvalidArgument where it fails or runs over its bounds of time and output.
  absl::StatusOr<std::string> Render(std::span<const ChatMessage> messages, const ChatOptions& options) const;

  // One more than the largest id, added tokens included: a model's embedding must have that many rows.
  int64_t vocabulary_size() const;
  std::optional<int32_t> begin_id() const;   // bos, from tokenizer_config.json / special_tokens_map.json
  std::optional<int32_t> end_id() const;     // eos
  const std::string& chat_template() const;  // Jinja source; empty where the model has none

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// tokenizer.Render without a date.
absl::StatusOr<std::string> RenderChat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                       bool add_generation_prompt);

}  // namespace splitft::text
