#include "libs/model/module_match.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace splitft::model {

bool TargetMatches(std::string_view target, std::string_view module) {
  if (!module.ends_with(target)) {
    return false;
  }
  return module.size() == target.size() || module[module.size() - target.size() - 1] == '.';
}

bool IsPlainPattern(std::string_view pattern) {
  if (pattern.starts_with('^')) {
    pattern.remove_prefix(1);
  }
  return !pattern.empty() && std::ranges::all_of(pattern, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
  });
}

bool PatternMatches(std::string_view pattern, std::string_view module) {
  if (pattern.starts_with('^')) {
    return pattern.substr(1) == module;
  }
  return TargetMatches(pattern, module);
}

}  // namespace splitft::model
