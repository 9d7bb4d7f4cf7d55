#include "api/crd/yaml.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/spec/scalars.h"

namespace splitft::crd {
namespace {

// YAML 1.1, which Python's readers know, wants a point: 2e-04 is a string there.
std::string Number(double value) {
  std::string text = spec::NumberText(value);
  const size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

std::string Scalar(const Json& value) {
  if (value.is_string()) {
    return spec::QuotedText(value.get<std::string>());
  }
  return value.is_number_float() ? Number(value.get<double>()) : value.dump();
}

// The value where it fits behind its key: a scalar, an empty container, a list of scalars. Else empty.
std::string Inline(const Json& value) {
  if (!value.is_structured()) {
    return Scalar(value);
  }
  if (value.empty()) {
    return value.is_object() ? "{}" : "[]";
  }
  std::vector<std::string> items;
  for (const Json& item : value) {
    if (value.is_object() || item.is_structured()) {
      return "";
    }
    items.push_back(Scalar(item));
  }
  return absl::StrCat("[", absl::StrJoin(items, ", "), "]");
}

std::string Block(const Json& value, size_t indent) {
  const std::string margin(indent, ' ');
  std::string text;
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      const std::string short_form = Inline(item);
      absl::StrAppend(
          &text, margin, spec::QuotedText(key),
          short_form.empty() ? absl::StrCat(":\n", Block(item, indent + 2)) : absl::StrCat(": ", short_form, "\n"));
    }
    return text;
  }
  for (const Json& item : value) {
    const std::string short_form = Inline(item);
    // The first line of a block follows the dash in place of its margin.
    absl::StrAppend(&text, margin, "- ",
                    short_form.empty() ? Block(item, indent + 2).substr(indent + 2) : absl::StrCat(short_form, "\n"));
  }
  return text;
}

}  // namespace

std::string FormatYaml(const Json& value) {
  const std::string short_form = Inline(value);
  return short_form.empty() ? Block(value, 0) : short_form + "\n";
}

}  // namespace splitft::crd
