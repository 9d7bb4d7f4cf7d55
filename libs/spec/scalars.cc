#include "libs/spec/scalars.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace splitft::spec {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The length of the run of digits at the start of `text`.
size_t DigitCount(std::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsDigit) - text.begin());
}

std::string_view WithoutSign(std::string_view text) {
  return text.starts_with('-') || text.starts_with('+') ? text.substr(1) : text;
}

// [-+]? ( digits [ . digits? ] | . digits ) ( [eE] [-+]? digits )?
bool IsDecimal(std::string_view text) {
  std::string_view rest = WithoutSign(text);
  const size_t whole = DigitCount(rest);
  rest.remove_prefix(whole);
  size_t fraction = 0;
  if (rest.starts_with('.')) {
    fraction = DigitCount(rest.substr(1));
    rest.remove_prefix(1 + fraction);
  }
  if (whole + fraction == 0) {
    return false;
  }
  if (rest.starts_with('e') || rest.starts_with('E')) {
    rest = WithoutSign(rest.substr(1));
    return !rest.empty() && DigitCount(rest) == rest.size();
  }
  return rest.empty();
}

bool HasLeadingZero(std::string_view text) {
  const std::string_view digits = WithoutSign(text);
  return digits.size() > 1 && digits[0] == '0' && IsDigit(digits[1]);
}

// Numbers of YAML 1.1 that are not decimal: 0x1F, 0b1, 0o17, 1_000, .inf, .nan.
bool IsOtherNumber(std::string_view text) {
  std::string lower = absl::AsciiStrToLower(std::string(WithoutSign(text)));
  if (lower == ".inf" || lower == ".nan") {
    return true;
  }
  lower.erase(std::remove(lower.begin(), lower.end(), '_'), lower.end());
  const auto all_of = [&lower](std::string_view prefix, std::string_view digits) {
    return lower.size() > prefix.size() && lower.starts_with(prefix) &&
           lower.find_first_not_of(digits, prefix.size()) == std::string::npos;
  };
  return all_of("0x", "0123456789abcdef") || all_of("0b", "01") || all_of("0o", "01234567") ||
         (text.find('_') != 0 && IsDecimal(lower));
}

bool IsWordBoolean(std::string_view text) {
  constexpr std::array<std::string_view, 8> kWords = {"y", "yes", "n", "no", "on", "off", "true", "false"};
  const std::string lower = absl::AsciiStrToLower(std::string(text));
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

// Whether a plain scalar of these characters cannot be taken for YAML's own punctuation.
bool IsHarmless(std::string_view text) {
  constexpr std::string_view kInside = "_-./";
  return !text.empty() && text[0] != '-' && std::all_of(text.begin(), text.end(), [kInside](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || kInside.find(c) != std::string_view::npos;
  });
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      escaped += '\\';
      escaped += c;
    } else if (IsControl(c)) {
      absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

bool IsControl(char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }

PlainKind KindOfPlain(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return PlainKind::kNull;
  }
  if (IsWordBoolean(text)) {
    return PlainKind::kBoolean;
  }
  return IsDecimal(text) || IsOtherNumber(text) ? PlainKind::kNumber : PlainKind::kText;
}

std::optional<double> ReadNumber(std::string_view text) {
  if (!IsDecimal(text) || HasLeadingZero(text)) {
    return std::nullopt;
  }
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> ReadInteger(std::string_view text) {
  if (!IsDecimal(text) || HasLeadingZero(text)) {
    return std::nullopt;
  }
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) {
    return value;
  }
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const std::optional<double> number = ReadNumber(text);
  const bool written_as_integer = text.find_first_of(".eE") == std::string_view::npos;
  if (!number.has_value() || written_as_integer || std::abs(*number) > kExact || std::trunc(*number) != *number) {
    return std::nullopt;
  }
  return static_cast<int64_t>(*number);
}

std::string Shortened(std::string_view text) {
  constexpr size_t kLongest = 60;
  if (text.size() <= kLongest) {
    return Escaped(text);
  }
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;  // not in the midst of a character
  }
  return Escaped(text.substr(0, end)) + "...";
}

std::string Show(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kScalar:
      return node.plain ? Shortened(node.text) : absl::StrCat("\"", Shortened(node.text), "\"");
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMapping:
      return "a mapping";
    case Node::Kind::kNull:
      break;
  }
  return "nothing";
}

std::string NumberText(double value) {
  constexpr double kPlainBelow = 1e15;  // 1000000, not 1e+06
  std::array<char, 32> buffer;
  char* const end = buffer.data() + buffer.size();
  const bool plain = std::trunc(value) == value && std::abs(value) < kPlainBelow;
  const auto result =
      plain ? std::to_chars(buffer.data(), end, static_cast<int64_t>(value)) : std::to_chars(buffer.data(), end, value);
  return std::string(buffer.data(), result.ptr);
}

std::string QuotedText(std::string_view text) {
  if (IsHarmless(text) && KindOfPlain(text) == PlainKind::kText) {
    return std::string(text);
  }
  return absl::StrCat("\"", Escaped(text), "\"");
}

}  // namespace splitft::spec
