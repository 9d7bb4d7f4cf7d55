#include "libs/spec/problems.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace splitft::spec {
namespace {

// Whether `outer` is `inner` or one of the fields around it.
bool Encloses(std::string_view outer, std::string_view inner) {
  return inner.starts_with(outer) &&
         (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

}  // namespace

void Problems::Add(std::string_view path, std::string_view text) {
  if (!path.empty()) {
    Touch(path);
  }
  if (full()) {
    ++dropped_;
    return;
  }
  lines_.push_back(path.empty() ? std::string(text) : absl::StrCat(std::string(path), ": ", std::string(text)));
}

void Problems::Touch(std::string_view path) {
  // Beyond the lines that are shown, nobody needs to know what else would be wrong.
  if (touched_.size() < 2 * static_cast<size_t>(kMostProblems)) {
    touched_.emplace_back(path);
  }
}

bool Problems::Touches(std::string_view path) const {
  return std::any_of(touched_.begin(), touched_.end(),
                     [path](const std::string& touched) { return Encloses(touched, path) || Encloses(path, touched); });
}

absl::Status Problems::ToStatus() const {
  if (lines_.empty()) {
    return absl::OkStatus();
  }
  std::string message = absl::StrJoin(lines_, "\n");
  if (dropped_ > 0) {
    absl::StrAppend(&message, "\nand ", dropped_, " more");
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace splitft::spec
