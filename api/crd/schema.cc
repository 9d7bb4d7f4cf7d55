#include "api/crd/schema.h"

#include "absl/strings/str_cat.h"

namespace splitft::crd {
namespace {

Json Typed(std::string_view description, std::string_view type) {
  Json schema = Json::object();
  if (!description.empty()) {
    schema["description"] = std::string(description);
  }
  schema["type"] = std::string(type);
  return schema;
}

// Without its items, which come last, being long.
Json ArrayOf(std::string_view description, std::string_view list_type, int most) {
  Json schema = Typed(description, "array");
  schema["maxItems"] = most;
  schema["x-kubernetes-list-type"] = std::string(list_type);
  return schema;
}

// A regular expression that matches where the whole string does.
std::string Anchored(std::string_view pattern) {
  const bool alternatives = pattern.find('|') != std::string_view::npos;
  return absl::StrCat(alternatives ? "^(" : "^", std::string(pattern), alternatives ? ")$" : "$");
}

}  // namespace

Json Boolean(std::string_view description) { return Typed(description, "boolean"); }

Json Integer(std::string_view description, int64_t low, int64_t high) {
  Json schema = Typed(description, "integer");
  schema["format"] = "int64";
  schema["minimum"] = low;
  if (high <= kGreatestExactInteger) {
    schema["maximum"] = high;
  }
  return schema;
}

Json Text(std::string_view description, int longest) {
  Json schema = Typed(description, "string");
  schema["maxLength"] = longest;
  return schema;
}

Json Text(std::string_view description, int longest, std::string_view pattern) {
  Json schema = Text(description, longest);
  schema["pattern"] = Anchored(pattern);
  return schema;
}

Json Word(std::string_view description, const Names& words) {
  Json schema = Typed(description, "string");
  schema["enum"] = words;
  return schema;
}

Json Time(std::string_view description) {
  Json schema = Typed(description, "string");
  schema["format"] = "date-time";
  return schema;
}

Json Quantity(std::string_view description) {
  Json schema = Json::object();
  if (!description.empty()) {
    schema["description"] = std::string(description);
  }
  schema["anyOf"] = Json::array({{{"type", "integer"}}, {{"type", "string"}}});
  schema["maxLength"] = 64;
  schema["pattern"] = R"(^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$)";
  schema["x-kubernetes-int-or-string"] = true;
  return schema;
}

Json Object(std::string_view description, const Properties& properties, const Names& required) {
  Json schema = Typed(description, "object");
  if (!required.empty()) {
    schema["required"] = required;
  }
  for (const auto& [name, property] : properties) {
    schema["properties"][name] = property;
  }
  return schema;
}

Json AnyObject(std::string_view description) {
  Json schema = Typed(description, "object");
  schema["x-kubernetes-preserve-unknown-fields"] = true;
  return schema;
}

Json Map(std::string_view description, const Json& value, int most) {
  Json schema = Typed(description, "object");
  schema["maxProperties"] = most;
  schema["additionalProperties"] = value;
  return schema;
}

Json List(std::string_view description, const Json& item, int most) {
  Json schema = ArrayOf(description, "atomic", most);
  schema["items"] = item;
  return schema;
}

Json Set(std::string_view description, const Json& item, int most) {
  Json schema = ArrayOf(description, "set", most);
  schema["items"] = item;
  return schema;
}

Json ListBy(std::string_view key, std::string_view description, const Json& item, int most) {
  Json schema = ArrayOf(description, "map", most);
  schema["x-kubernetes-list-map-keys"] = Names{std::string(key)};
  schema["items"] = item;
  return schema;
}

}  // namespace splitft::crd
