#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "libs/text/tokenizer/tokenizer_ffi.h"

// Owners and conversions for the crate's C interface. Private to libs/text.
namespace splitft::text {

struct CrateDelete {
  void operator()(SplitftTokenizer* tokenizer) const { splitft_tokenizer_free(tokenizer); }
  void operator()(SplitftTemplate* compiled) const { splitft_template_free(compiled); }
  void operator()(char* error) const { splitft_error_free(error); }
};
using TokenizerHandle = std::unique_ptr<SplitftTokenizer, CrateDelete>;
using TemplateHandle = std::unique_ptr<SplitftTemplate, CrateDelete>;

inline SplitftBytes Borrow(std::string_view text) { return {text.data(), text.size()}; }

// Takes what a call returned: OK for null, else InvalidArgument with its message.
inline absl::Status TakeStatus(char* error) {
  const std::unique_ptr<char, CrateDelete> owned(error);
  return owned == nullptr ? absl::OkStatus() : absl::InvalidArgumentError(owned.get());
}

inline std::string TakeText(SplitftText text) {
  std::string copy(text.data, text.size);
  splitft_text_free(text);
  return copy;
}

}  // namespace splitft::text
