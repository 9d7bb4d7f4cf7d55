#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libs/spec/document.h"

namespace splitft::spec {

// Whether `c` is an ASCII control character (tab and newlines included).
bool IsControl(char c);

// What a plain (unquoted) scalar is taken for by one or another reader of YAML: kubectl's and Python's know YAML 1.1's
// yes and no, 0x10 and 1_000. Only kText is a string to all of them.
enum class PlainKind { kText, kNumber, kBoolean, kNull };
PlainKind KindOfPlain(std::string_view text);

// The number that `text` writes in decimal ("7", "-1.5", "2e-4", ".5"), finite, without leading zeros; else none.
std::optional<double> ReadNumber(std::string_view text);

// The same where it is an integer: "7", "1e3" and "2.0", not "1.5". Of what has a point or an exponent, only what a
// double holds exactly (up to 2^53).
std::optional<int64_t> ReadInteger(std::string_view text);

// `text` for a message: control characters escaped, cut to 60 bytes.
std::string Shortened(std::string_view text);

// `node` for a message: a scalar as it was written (quotes included), else "a list", "a mapping", "nothing".
std::string Show(const Node& node);

// The shortest decimal that reads back as `value`.
std::string NumberText(double value);

// `text` as YAML: plain where every reader takes it for this string, else in double quotes.
std::string QuotedText(std::string_view text);

}  // namespace splitft::spec
