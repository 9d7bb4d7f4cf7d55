#include "libs/text/csv.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::text {

size_t CsvReader::LineEnd(size_t at) const {
  if (rest_.substr(at, 2) == "\r\n") {
    return 2;
  }
  return at < rest_.size() && rest_[at] == '\n' ? 1 : 0;
}

absl::Status CsvReader::ReadQuoted(size_t& at, std::string& field) const {
  ++at;  // the opening quote
  while (true) {
    const size_t quote = rest_.find('"', at);
    if (quote == std::string_view::npos) {
      return absl::DataLossError("a quoted field is not closed");
    }
    field.append(rest_.substr(at, quote - at));
    at = quote + 1;
    if (at >= rest_.size() || rest_[at] != '"') {
      break;
    }
    field.push_back('"');
    ++at;
  }
  if (at < rest_.size() && rest_[at] != ',' && LineEnd(at) == 0) {
    return absl::DataLossError("a quoted field goes on after its closing quote");
  }
  return absl::OkStatus();
}

void CsvReader::ReadPlain(size_t& at, std::string& field) const {
  const size_t begin = at;
  while (at < rest_.size() && rest_[at] != ',' && LineEnd(at) == 0) {
    ++at;
  }
  field.assign(rest_.substr(begin, at - begin));
}

absl::StatusOr<bool> CsvReader::Next(std::vector<std::string>& fields) {
  while (size_t blank = LineEnd(0)) {
    rest_.remove_prefix(blank);
  }
  fields.clear();
  if (rest_.empty()) {
    return false;
  }
  size_t at = 0;
  while (true) {
    std::string& field = fields.emplace_back();
    if (at < rest_.size() && rest_[at] == '"') {
      SPLITFT_RETURN_IF_ERROR(ReadQuoted(at, field));
    } else {
      ReadPlain(at, field);
    }
    if (at > limit_bytes_) {
      return absl::OutOfRangeError(absl::StrCat("it has over ", limit_bytes_, " bytes"));
    }
    if (at >= rest_.size() || rest_[at] != ',') {
      break;
    }
    ++at;
  }
  at += LineEnd(at);
  raw_ = rest_.substr(0, at);
  rest_.remove_prefix(at);
  return true;
}

}  // namespace splitft::text
