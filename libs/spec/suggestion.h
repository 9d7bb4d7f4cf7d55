#pragma once

#include <span>
#include <string_view>

namespace splitft::spec {

// The least number of letters to insert, delete, replace or swap with their neighbour (each letter once: optimal string
// alignment) that makes `a` out of `b`; upper and lower case, '_' and '-' make no difference.
int EditDistance(std::string_view a, std::string_view b);

// The word of `known` that `word` is most likely a misspelling of, or an empty view when none is near: at most one edit
// for every three letters. The first of equals.
std::string_view Nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace splitft::spec
