#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft::tidy {

// One file of the tree, as the rules see it.
struct SourceFile {
  std::string path;                // from the root, with '/'
  std::vector<std::string> lines;  // as written
  std::vector<std::string> code;   // the same lines and columns; comments and the contents of literals are blanks
};

// Where a rule is broken, and what to do about it.
struct Violation {
  std::string path;
  int line = 0;  // 0: the whole file
  std::string message;

  bool operator==(const Violation&) const = default;
};

// "path:line: message" per violation; empty when there is none. What a failing test prints.
std::string Format(const std::vector<Violation>& violations);

// Splits `text` into lines and blanks its comments and literals (raw strings and digit separators included).
SourceFile ParseSource(std::string path, std::string_view text);

// Every .h, .cc, .cu and .cuh below `root`'s source folders, by path. NotFound when `root` has no libs folder.
absl::StatusOr<std::vector<SourceFile>> ReadTree(const std::filesystem::path& root);

// Whether `path` lies in `folder` (no slash at its end) or is it.
bool IsUnder(std::string_view path, std::string_view folder);

}  // namespace splitft::tidy
