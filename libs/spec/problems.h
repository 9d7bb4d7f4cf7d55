#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace splitft::spec {

// Most lines a status carries; what is beyond is counted in a last line.
inline constexpr int kMostProblems = 100;

// What is wrong with a manifest: one line per problem, in the order found.
class Problems {
 public:
  // "<path>: <text>". An empty path: the line is `text` alone.
  void Add(std::string_view path, std::string_view text);
  // Marks `path` as wrong without a line of its own: another line already speaks of it (a misspelt key, say).
  void Touch(std::string_view path);

  // Whether a problem was found at `path`, below it or above it: then what its field holds is not what the user meant,
  // and nothing can be said about it.
  bool Touches(std::string_view path) const;
  bool empty() const { return lines_.empty(); }
  // Whether further problems are only counted: what they say is no longer worth working out.
  bool full() const { return lines_.size() >= static_cast<size_t>(kMostProblems); }

  // OK when empty, else InvalidArgument with one line per problem.
  absl::Status ToStatus() const;

 private:
  std::vector<std::string> lines_;
  std::vector<std::string> touched_;
  int dropped_ = 0;
};

}  // namespace splitft::spec
