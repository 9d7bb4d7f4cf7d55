#include "api/crd/schema_words.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/crd/yaml.h"
#include "libs/spec/scalars.h"

namespace splitft::crd {
namespace {

// Longer ones tell people nothing.
constexpr size_t kLongestPattern = 40;

std::string Code(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : FormatYaml(value);
  return absl::StrCat("`", std::string(absl::StripTrailingAsciiWhitespace(text)), "`");
}

std::string Joined(const Names& parts) {
  Names there;
  for (const std::string& part : parts) {
    if (!part.empty()) {
      there.push_back(part);
    }
  }
  return absl::StrJoin(there, "; ");
}

std::string NumberWords(const Json& schema) {
  const std::string low = spec::NumberText(schema.value("minimum", 0.0));
  if (!schema.contains("maximum") || schema["maximum"] == kGreatestExactInteger) {
    return absl::StrCat("at least ", low);
  }
  const std::string high = spec::NumberText(schema["maximum"].get<double>());
  const bool below = schema.value("exclusiveMaximum", false);
  return schema.value("exclusiveMinimum", false) ? absl::StrCat("above ", low, below ? ", below " : ", at most ", high)
                                                 : absl::StrCat(low, below ? " to below " : " to ", high);
}

std::string StringWords(const Json& schema, const std::string& form) {
  const std::string length =
      schema.contains("maxLength") ? absl::StrCat("at most ", schema["maxLength"].get<int>(), " characters") : "";
  if (!form.empty()) {
    return form.find("at most") != std::string::npos ? form : Joined({form, length});
  }
  const std::string pattern = schema.value("pattern", "");
  return pattern.empty() || pattern.size() > kLongestPattern ? length : absl::StrCat("`", pattern, "`");
}

std::string Entries(int most) { return absl::StrCat(most, most == 1 ? " entry" : " entries"); }

std::string ListWords(const Json& schema, const std::string& form) {
  const std::string least =
      schema.contains("minItems") ? absl::StrCat(schema["minItems"].get<int>(), " to ") : "at most ";
  std::string size = absl::StrCat(least, Entries(schema["maxItems"].get<int>()));
  const std::string list_type = schema.value("x-kubernetes-list-type", "");
  if (list_type == "set") {
    absl::StrAppend(&size, ", no two alike");
  } else if (list_type == "map" && schema["maxItems"] != 1) {
    absl::StrAppend(&size, ", no two of the same ", Code(schema["x-kubernetes-list-map-keys"][0]));
  }
  const std::string each = LimitWords(schema["items"], form);
  return Joined({size, each.empty() ? "" : absl::StrCat("each ", each)});
}

std::string MapWords(const Json& schema, const std::string& form) {
  const std::string each = LimitWords(schema["additionalProperties"], "");
  return Joined({absl::StrCat("at most ", Entries(schema["maxProperties"].get<int>())),
                 form.empty() ? "" : absl::StrCat("each key ", form),
                 each.empty() ? "" : absl::StrCat("each value ", each)});
}

}  // namespace

std::string TypeWords(const Json& schema) {
  if (schema.contains("x-kubernetes-int-or-string")) {
    return "quantity";
  }
  const std::string type = schema.value("type", "");
  if (type == "array") {
    return absl::StrCat("[]", TypeWords(schema["items"]));
  }
  if (schema.contains("additionalProperties")) {
    return absl::StrCat("map[string]", TypeWords(schema["additionalProperties"]));
  }
  return schema.value("format", "") == "date-time" ? "time" : type;
}

std::string LimitWords(const Json& schema, const std::string& form) {
  if (schema.contains("enum")) {
    return absl::StrJoin(schema["enum"], ", ",
                         [](std::string* out, const Json& word) { absl::StrAppend(out, Code(word)); });
  }
  if (schema.contains("x-kubernetes-int-or-string")) {
    return "";
  }
  const std::string type = schema.value("type", "");
  if (type == "array") {
    return ListWords(schema, form);
  }
  if (schema.contains("additionalProperties")) {
    return MapWords(schema, form);
  }
  if (type == "integer" || type == "number") {
    return NumberWords(schema);
  }
  return type == "string" ? StringWords(schema, form) : "";
}

std::string DefaultWords(const Json& schema) { return schema.contains("default") ? Code(schema["default"]) : ""; }

}  // namespace splitft::crd
