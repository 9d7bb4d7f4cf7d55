#include <string>

#include "absl/strings/str_cat.h"
#include "libs/text/json.h"
#include "libs/text/tokenizer.h"
#include "libs/text/tokenizer_state.h"

namespace splitft::text {
namespace {

// The variables Transformers gives a template, in its order.
absl::StatusOr<std::string> Context(const std::map<std::string, std::string>& special_tokens,
                                    std::span<const ChatMessage> messages, bool add_generation_prompt) {
  nlohmann::ordered_json context = nlohmann::ordered_json::object();
  context["messages"] = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) {
    context["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  context["tools"] = nullptr;
  context["documents"] = nullptr;
  context["add_generation_prompt"] = add_generation_prompt;
  for (const auto& [name, token] : special_tokens) {
    context[name] = token;
  }
  try {
    return context.dump();
  } catch (const nlohmann::json::type_error&) {
    return absl::InvalidArgumentError("a message is not valid UTF-8");
  }
}

}  // namespace

absl::StatusOr<std::string> Tokenizer::Render(std::span<const ChatMessage> messages, const ChatOptions& options) const {
  if (!state_->compiled_template.ok()) {
    return state_->compiled_template.status();
  }
  absl::StatusOr<std::string> context = Context(state_->special_tokens, messages, options.add_generation_prompt);
  if (!context.ok()) {
    return context.status();
  }
  int raised = 0;
  SplitftText text{};
  const absl::Status status = TakeStatus(splitft_template_render(
      state_->compiled_template->get(), Borrow(*context), options.now.time_since_epoch().count(), &raised, &text));
  if (raised != 0) {
    return absl::FailedPreconditionError(absl::StrCat(kChatRefused, std::string(status.message())));
  }
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("the chat template fails: ", std::string(status.message())));
  }
  return TakeText(text);
}

absl::StatusOr<std::string> RenderChat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                       bool add_generation_prompt) {
  return tokenizer.Render(messages, {.add_generation_prompt = add_generation_prompt});
}

}  // namespace splitft::text
