#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/text/crate.h"
#include "libs/text/tokenizer.h"

namespace splitft::text {

// What a Tokenizer owns. Private to libs/text.
struct Tokenizer::State {
  TokenizerHandle handle;
  int64_t vocabulary_size = 0;
  std::optional<int32_t> begin_id;
  std::optional<int32_t> end_id;
  std::map<std::string, std::string> special_tokens;  // what chat templates see
  std::string chat_template;
  // Compiled at loading, so that rendering shares it between threads. Its error waits until a chat is rendered: a model
  // with a template that cannot be compiled still trains on text.
  absl::StatusOr<TemplateHandle> compiled_template = absl::NotFoundError("the model has no chat template");
};

}  // namespace splitft::text
