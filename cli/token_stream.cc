#include "cli/token_stream.h"

#include "libs/base/status_macros.h"

namespace splitft::cli {
namespace {

// What decoders write for bytes that are no character (yet).
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

absl::StatusOr<std::string> TokenStream::Push(int32_t token) {
  tokens_.push_back(token);
  return Advance(false);
}

absl::StatusOr<std::string> TokenStream::Finish() { return Advance(true); }

absl::StatusOr<std::string> TokenStream::Advance(bool last) {
  const std::span<const int32_t> window = tokens_;
  SPLITFT_ASSIGN_OR_RETURN(const std::string before, decode_(window.first(read_)));
  SPLITFT_ASSIGN_OR_RETURN(const std::string now, decode_(window));
  if (now.size() <= before.size() || (!last && now.ends_with(kReplacement))) {
    return std::string();
  }
  std::string text = now.substr(before.size());
  // The tokens just read stay as context of the next ones; those before them are done.
  tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(read_));
  read_ = tokens_.size();
  return text;
}

}  // namespace splitft::cli
