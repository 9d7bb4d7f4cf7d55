#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft {

// The flags of a program that people seldom start by hand: each is `--name VALUE` or `--name=VALUE`, once.
using Flags = std::map<std::string, std::string, std::less<>>;

// Parses `arguments` (without the program's name). InvalidArgument, naming the argument, for what is no flag, for a
// name not in `required` or `optional`, one given twice or without a value, and for a required one that is missing.
absl::StatusOr<Flags> ParseFlags(std::span<const char* const> arguments, const std::vector<std::string>& required,
                                 const std::vector<std::string>& optional);

// flags[name] as an integer in [low, high], or `fallback` where it is not given. InvalidArgument with name and value.
struct IntegerFlag {
  std::string_view name;
  int low;
  int high;
  int fallback;
};
absl::StatusOr<int> IntegerOf(const Flags& flags, const IntegerFlag& flag);

}  // namespace splitft
