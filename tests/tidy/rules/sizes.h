#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/tidy/rules/source_file.h"

namespace splitft::tidy {

inline constexpr int kSoftFileLines = 400;
inline constexpr int kHardFileLines = 600;
inline constexpr int kFunctionLines = 70;
// How far below its ratchet something may fall before the ratchet must follow.
inline constexpr int kRatchetSlack = 20;

// Something with a length: a file ("path") or a function ("path:name").
struct Measure {
  std::string name;
  std::string path;
  int line = 0;  // 0: the whole file
  int lines = 0;
};

// What was too long when the rule came, and may only shrink: name -> lines.
using Ratchet = std::map<std::string, int>;

// Parses "lines name" a line; '#' starts a comment. InvalidArgument names the line that is neither.
absl::StatusOr<Ratchet> ParseRatchet(std::string_view text);

// The file's own length.
Measure MeasureFile(const SourceFile& file);

// Every function that has a body, from the first line of its head to its closing brace. Found by braces alone: what
// is inside a function counts as part of it, a type's members are functions of their own.
std::vector<Measure> MeasureFunctions(const SourceFile& file);

// Files over the soft limit and functions over theirs must be in the ratchet and no longer than it says; files over the
// hard limit are always wrong. Entries that are too generous, or no longer needed, are wrong too.
std::vector<Violation> CheckSizes(const std::vector<SourceFile>& files, const Ratchet& ratchet);

}  // namespace splitft::tidy
