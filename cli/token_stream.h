#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft::cli {

// Turns tokens into text as they come, never a part of a character: a token may end within one, and how a token reads
// may depend on the one before. Decodes a short window each time, so the cost does not grow with the text.
class TokenStream {
 public:
  using Decode = std::function<absl::StatusOr<std::string>(std::span<const int32_t>)>;
  explicit TokenStream(Decode decode) : decode_(std::move(decode)) {}

  // The text that `token` completes; empty while a character is unfinished. Errors are Decode's.
  absl::StatusOr<std::string> Push(int32_t token);
  // What is left at the end, a broken character included.
  absl::StatusOr<std::string> Finish();

 private:
  absl::StatusOr<std::string> Advance(bool last);

  const Decode decode_;
  std::vector<int32_t> tokens_;  // the window
  size_t read_ = 0;              // tokens of the window whose text was given out
};

}  // namespace splitft::cli
