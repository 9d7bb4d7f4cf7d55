#include "libs/spec/range_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/spec/scalars.h"

namespace splitft::spec {

bool Contains(const IntegerRange& range, int64_t value) { return value >= range.low && value <= range.high; }

bool Contains(const NumberRange& range, double value) {
  return (range.above_low ? value > range.low : value >= range.low) &&
         (range.below_high ? value < range.high : value <= range.high);
}

std::string BoundsText(const IntegerRange& range) { return absl::StrCat(range.low, " to ", range.high); }

std::string BoundsText(const NumberRange& range) {
  const std::string high = NumberText(range.high);
  if (range.above_low) {
    return absl::StrCat("above ", NumberText(range.low), range.below_high ? ", below " : ", at most ", high);
  }
  return absl::StrCat(NumberText(range.low), range.below_high ? " to below " : " to ", high);
}

std::string Expected(const IntegerRange& range) { return absl::StrCat("an integer from ", BoundsText(range)); }

std::string Expected(const NumberRange& range) {
  return absl::StrCat(range.above_low ? "a number " : "a number from ", BoundsText(range));
}

std::string Expected(std::span<const std::string_view> words) {
  const std::vector<std::string> copies(words.begin(), words.end());
  return absl::StrCat("one of ", absl::StrJoin(copies, ", "));
}

}  // namespace splitft::spec
