#include "libs/text/samples.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::text {
namespace {

using Ids = std::vector<int32_t>;

size_t CommonPrefix(const Ids& a, const Ids& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// Tokens of a text that stands for itself: special tokens around it, end-of-sequence at its end.
absl::StatusOr<Ids> EncodeDocument(const Tokenizer& tokenizer, const std::string& text) {
  if (text.empty()) {
    return Ids();
  }
  SPLITFT_ASSIGN_OR_RETURN(Ids ids, tokenizer.Encode(text, /*add_special_tokens=*/true));
  if (const std::optional<int32_t> end = tokenizer.end_id(); end && (ids.empty() || ids.back() != *end)) {
    ids.push_back(*end);
  }
  return ids;
}

absl::StatusOr<Sample> FromText(const TextRecord& record, const Tokenizer& tokenizer) {
  SPLITFT_ASSIGN_OR_RETURN(Ids ids, EncodeDocument(tokenizer, record.text));
  const size_t count = ids.size();
  return Sample{std::move(ids), std::vector<uint8_t>(count, 1)};
}

absl::StatusOr<Sample> FromPrompt(const PromptRecord& record, const Tokenizer& tokenizer, bool mask_prompt) {
  SPLITFT_ASSIGN_OR_RETURN(Sample sample, FromText({record.prompt + record.completion}, tokenizer));
  if (mask_prompt) {
    SPLITFT_ASSIGN_OR_RETURN(const Ids prompt, tokenizer.Encode(record.prompt, /*add_special_tokens=*/true));
    std::fill_n(sample.loss_mask.begin(), CommonPrefix(prompt, sample.tokens), 0);
    if (record.completion.empty()) {
      std::fill(sample.loss_mask.begin(), sample.loss_mask.end(), 0);
    }
  }
  return sample;
}

// A template's error says what a message holds only where the template was written to say so: its reason is passed on
// where it stands in the template itself.
absl::Status WithoutContent(const absl::Status& error, const Tokenizer& tokenizer) {
  if (error.code() == absl::StatusCode::kNotFound || error.code() == absl::StatusCode::kUnimplemented) {
    return error;
  }
  const std::string message(error.message());
  const std::string reason = absl::StartsWith(message, kChatRefused) ? message.substr(sizeof(kChatRefused) - 1) : "";
  if (!reason.empty() && absl::StrContains(tokenizer.chat_template(), reason)) {
    return absl::InvalidArgumentError(message);
  }
  return absl::InvalidArgumentError("the chat template fails on it");
}

absl::StatusOr<std::string> RenderBeginning(std::span<const ChatMessage> messages, size_t count, bool reply,
                                            const Tokenizer& tokenizer) {
  absl::StatusOr<std::string> text = tokenizer.Render(messages.first(count), {.add_generation_prompt = reply});
  if (!text.ok()) {
    return WithoutContent(text.status(), tokenizer);
  }
  return text;
}

// What the chat has before the assistant's words at `turn`. Most templates cannot render no message at all: where the
// assistant speaks first, it is what two chats have in common that differ in the assistant's words only.
absl::StatusOr<std::string> BeforeTurn(std::span<const ChatMessage> messages, size_t turn, const Tokenizer& tokenizer) {
  if (turn > 0) {
    return RenderBeginning(messages, turn, /*reply=*/true, tokenizer);
  }
  const ChatMessage one{messages[0].role, "A"};
  const ChatMessage other{messages[0].role, "B"};
  SPLITFT_ASSIGN_OR_RETURN(std::string text, RenderBeginning({&one, 1}, 1, /*reply=*/false, tokenizer));
  SPLITFT_ASSIGN_OR_RETURN(const std::string variant, RenderBeginning({&other, 1}, 1, /*reply=*/false, tokenizer));
  text.erase(std::mismatch(text.begin(), text.end(), variant.begin(), variant.end()).first, text.end());
  return text;
}

// How many of the whole chat's tokens its beginning `part` has.
absl::StatusOr<size_t> TokensOf(const std::string& part, const std::string& whole, const Ids& whole_ids,
                                const Tokenizer& tokenizer) {
  if (!absl::StartsWith(whole, part)) {
    return absl::FailedPreconditionError(
        "the chat template does not write a conversation as a continuation of its beginning, so that the assistant's "
        "turns "
        "cannot be told apart; set maskPrompt: false, or use another template");
  }
  SPLITFT_ASSIGN_OR_RETURN(const Ids ids, tokenizer.Encode(part, /*add_special_tokens=*/false));
  return CommonPrefix(ids, whole_ids);
}

absl::StatusOr<Sample> FromChat(const ChatRecord& record, const Tokenizer& tokenizer, bool mask_prompt) {
  const std::vector<ChatMessage>& messages = record.messages;
  SPLITFT_ASSIGN_OR_RETURN(const std::string whole, RenderBeginning(messages, messages.size(), false, tokenizer));
  SPLITFT_ASSIGN_OR_RETURN(Ids ids, tokenizer.Encode(whole, /*add_special_tokens=*/false));
  std::vector<uint8_t> loss_mask(ids.size(), mask_prompt ? 0 : 1);
  for (size_t i = 0; mask_prompt && i < messages.size(); ++i) {
    if (messages[i].role != "assistant") {
      continue;
    }
    SPLITFT_ASSIGN_OR_RETURN(const std::string before, BeforeTurn(messages, i, tokenizer));
    SPLITFT_ASSIGN_OR_RETURN(const size_t begin, TokensOf(before, whole, ids, tokenizer));
    size_t end = ids.size();
    if (i + 1 < messages.size()) {
      SPLITFT_ASSIGN_OR_RETURN(const std::string after, RenderBeginning(messages, i + 1, /*reply=*/false, tokenizer));
      SPLITFT_ASSIGN_OR_RETURN(end, TokensOf(after, whole, ids, tokenizer));
    }
    for (size_t t = begin; t < end; ++t) {
      loss_mask[t] = 1;
    }
  }
  return Sample{std::move(ids), std::move(loss_mask)};
}

}  // namespace

absl::StatusOr<Sample> MakeSample(const Record& record, const Tokenizer& tokenizer, bool mask_prompt) {
  if (const auto* text = std::get_if<TextRecord>(&record)) {
    return FromText(*text, tokenizer);
  }
  if (const auto* prompt = std::get_if<PromptRecord>(&record)) {
    return FromPrompt(*prompt, tokenizer, mask_prompt);
  }
  return FromChat(std::get<ChatRecord>(record), tokenizer, mask_prompt);
}

}  // namespace splitft::text
