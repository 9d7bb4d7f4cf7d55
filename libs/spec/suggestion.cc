#include "libs/spec/suggestion.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"

namespace splitft::spec {
namespace {

std::string Folded(std::string_view word) {
  std::string folded;
  for (const char c : word) {
    if (c != '_' && c != '-') {
      folded += absl::ascii_tolower(static_cast<unsigned char>(c));
    }
  }
  return folded;
}

}  // namespace

int EditDistance(std::string_view a, std::string_view b) {
  const std::string from = Folded(a);
  const std::string to = Folded(b);
  std::vector<int> before_last(to.size() + 1);
  std::vector<int> last(to.size() + 1);
  std::vector<int> row(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) {
    row[j] = static_cast<int>(j);
  }
  for (size_t i = 1; i <= from.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= to.size(); ++j) {
      const int replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[to.size()];
}

std::string_view Nearest(std::string_view word, std::span<const std::string_view> known) {
  // A word this long is no misspelling, and the distance would take long to compute.
  constexpr size_t kLongestWord = 64;
  if (word.size() > kLongestWord) {
    return {};
  }
  std::string_view nearest;
  int least = static_cast<int>(std::max<size_t>(3, word.size())) / 3 + 1;
  for (const std::string_view candidate : known) {
    const int distance = EditDistance(word, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace splitft::spec
