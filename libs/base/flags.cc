#include "libs/base/flags.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace splitft {
namespace {

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

absl::StatusOr<Flags> ParseFlags(std::span<const char* const> arguments, const std::vector<std::string>& required,
                                 const std::vector<std::string>& optional) {
  Flags flags;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string argument = arguments[i];
    if (!argument.starts_with("--")) {
      return absl::InvalidArgumentError(absl::StrCat("\"", argument, "\" is no flag; flags are --name VALUE"));
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (!Contains(required, name) && !Contains(optional, name)) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag --", name, "; known are --",
                                                     absl::StrJoin(required, ", --"), optional.empty() ? "" : ", --",
                                                     absl::StrJoin(optional, ", --")));
    }
    if (equals == std::string::npos && i + 1 == arguments.size()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " needs a value"));
    }
    const std::string value = equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1);
    if (!flags.emplace(name, value).second) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is given twice"));
    }
  }
  for (const std::string& name : required) {
    if (!flags.contains(name)) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " is missing"));
    }
  }
  return flags;
}

absl::StatusOr<int> IntegerOf(const Flags& flags, const IntegerFlag& flag) {
  const auto found = flags.find(flag.name);
  if (found == flags.end()) {
    return flag.fallback;
  }
  int value = 0;
  if (!absl::SimpleAtoi(found->second, &value) || value < flag.low || value > flag.high) {
    return absl::InvalidArgumentError(absl::StrCat("--", std::string(flag.name), ": \"", found->second,
                                                   "\" is no integer from ", flag.low, " to ", flag.high));
  }
  return value;
}

}  // namespace splitft
