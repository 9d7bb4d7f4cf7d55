#include "libs/kube/transport.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::kube {

namespace {

absl::Status TooLong() {
  return absl::DataLossError(absl::StrCat("a line of a watch is longer than ", LineSplitter::kLineLimit, " bytes"));
}

}  // namespace

absl::Status LineSplitter::Append(std::string_view bytes, const std::function<absl::Status(std::string_view)>& line) {
  for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    const std::string_view piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > kLineLimit) {
      return TooLong();
    }
    bytes.remove_prefix(end + 1);
    if (partial_.empty()) {
      if (!piece.empty()) {
        SPLITFT_RETURN_IF_ERROR(line(piece));
      }
      continue;
    }
    partial_ += piece;
    const absl::Status taken = line(partial_);
    partial_.clear();  // and keeps its memory for the next
    SPLITFT_RETURN_IF_ERROR(taken);
  }
  if (partial_.size() + bytes.size() > kLineLimit) {
    return TooLong();
  }
  partial_ += bytes;
  return absl::OkStatus();
}

}  // namespace splitft::kube
