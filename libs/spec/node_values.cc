#include "libs/spec/node_values.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/spec/range_text.h"
#include "libs/spec/scalars.h"
#include "libs/spec/suggestion.h"

namespace splitft::spec {
namespace {

// "<path>: <value> is not <expected>".
void AddWrong(const Place& place, const std::string& expected, Problems& problems) {
  problems.Add(place.path, absl::StrCat(Show(place.node), " is not ", expected));
}

// Why something that looks like a number is none.
std::string HintAtNumber(const Node& node) {
  if (node.kind != Node::Kind::kScalar || KindOfPlain(node.text) != PlainKind::kNumber) {
    return "";
  }
  if (!node.plain) {
    return "; remove the quotes";
  }
  return ReadNumber(node.text).has_value() ? "" : "; write a finite decimal number without leading zeros";
}

}  // namespace

std::string PathBelow(const std::string& path, std::string_view key) {
  const bool simple = !key.empty() && key.size() <= 60 && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
  if (!simple) {
    return absl::StrCat(path, "[\"", Shortened(key), "\"]");
  }
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", std::string(key));
}

std::optional<bool> ReadBooleanAt(const Place& place, Problems& problems) {
  const Node& node = place.node;
  if (node.kind == Node::Kind::kScalar && node.plain && (node.text == "true" || node.text == "false")) {
    return node.text == "true";
  }
  AddWrong(place, "true or false", problems);
  return std::nullopt;
}

std::optional<int64_t> ReadIntegerAt(const Place& place, const IntegerRange& range, Problems& problems) {
  const Node& node = place.node;
  if (node.kind == Node::Kind::kScalar && node.plain) {
    const std::optional<int64_t> value = ReadInteger(node.text);
    if (value.has_value() && Contains(range, *value)) {
      return value;
    }
  }
  AddWrong(place, Expected(range) + HintAtNumber(node), problems);
  return std::nullopt;
}

std::optional<double> ReadNumberAt(const Place& place, const NumberRange& range, Problems& problems) {
  const Node& node = place.node;
  if (node.kind == Node::Kind::kScalar && node.plain) {
    const std::optional<double> value = ReadNumber(node.text);
    if (value.has_value() && Contains(range, *value)) {
      return value;
    }
  }
  AddWrong(place, Expected(range) + HintAtNumber(node), problems);
  return std::nullopt;
}

std::optional<std::string> ReadTextAt(const Place& place, const TextForm& form, Problems& problems) {
  const Node& node = place.node;
  if (node.kind == Node::Kind::kScalar && node.plain && KindOfPlain(node.text) != PlainKind::kText) {
    const bool number = KindOfPlain(node.text) == PlainKind::kNumber;
    problems.Add(place.path, absl::StrCat(Show(node), " is ", number ? "a number" : "a boolean",
                                          " in YAML; put it in quotes to make it a string"));
    return std::nullopt;
  }
  if (node.kind == Node::Kind::kScalar && form.accepts(node.text)) {
    return node.text;
  }
  AddWrong(place, std::string(form.expected), problems);
  return std::nullopt;
}

std::optional<size_t> ReadWordAt(const Place& place, std::span<const std::string_view> words, Problems& problems) {
  const Node& node = place.node;
  const auto found = std::find(words.begin(), words.end(), node.text);
  if (node.kind == Node::Kind::kScalar && found != words.end()) {
    return static_cast<size_t>(found - words.begin());
  }
  const std::string_view nearest = words.size() > 1 ? Nearest(node.text, words) : "";
  AddWrong(
      place,
      nearest.empty() ? Expected(words) : absl::StrCat(Expected(words), "; did you mean ", std::string(nearest), "?"),
      problems);
  return std::nullopt;
}

bool IsA(Node::Kind kind, const Place& place, Problems& problems) {
  if (place.node.kind != kind && place.node.kind != Node::Kind::kNull) {
    AddWrong(place, kind == Node::Kind::kList ? "a list" : "a mapping", problems);
  }
  return place.node.kind == kind;
}

}  // namespace splitft::spec
