#pragma once

#include <span>
#include <string>
#include <string_view>

#include "libs/spec/fields.h"

namespace splitft::spec {

bool Contains(const IntegerRange& range, int64_t value);
bool Contains(const NumberRange& range, double value);

// The bounds in words: "1 to 4096", "above 0, at most 10", "0 to below 1".
std::string BoundsText(const IntegerRange& range);
std::string BoundsText(const NumberRange& range);

// What a message says was expected: "an integer from 1 to 4096", "a number above 0, at most 10", "one of Client,
// Server".
std::string Expected(const IntegerRange& range);
std::string Expected(const NumberRange& range);
std::string Expected(std::span<const std::string_view> words);

}  // namespace splitft::spec
