#include "api/crd/spec_schema.h"

#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/crd/pod_template.h"
#include "libs/spec/range_text.h"
#include "libs/spec/scalars.h"

namespace splitft::crd {
namespace {

using spec::FieldInfo;
using spec::FieldType;

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('.')); }

std::string NameOf(const std::string& path) { return path.substr(path.rfind('.') + 1); }

// The fields that must be given, groups included: a group must where something in it must.
std::set<std::string> RequiredPaths() {
  std::set<std::string> required;
  for (const FieldInfo& field : spec::KnownFields()) {
    if (!field.required) {
      continue;
    }
    // Of fields that exclude each other none is required by itself: a rule says that one is.
    std::string path = field.one_of ? ParentOf(field.path) : field.path;
    while (!path.ends_with("[]") && required.insert(path).second && path.find('.') != std::string::npos) {
      path = ParentOf(path);
    }
  }
  return required;
}

// " 1 to 4096.": what values there are, as a sentence after others; or nothing.
std::string RangeSentence(const FieldInfo& field) {
  std::string range = spec::RangeText(field);
  switch (field.type) {
    case FieldType::kInteger:
    case FieldType::kNumber:
      range[0] = absl::ascii_toupper(static_cast<unsigned char>(range[0]));
      return absl::StrCat(" ", range, ".");
    case FieldType::kText:
      return absl::StrCat(" Must be ", range, ".");
    case FieldType::kTextList:
      return absl::StrCat(" Each must be ", range, ".");
    case FieldType::kWord:
      return absl::StrCat(" One of ", range, ".");
    default:
      return "";
  }
}

// With what kubectl explain does not show by itself, or not in full: bounds, words, the default.
std::string Description(const FieldInfo& field, bool required) {
  std::string text = absl::StrCat(Meaning(field), RangeSentence(field));
  if (!required && !field.default_text.empty()) {
    absl::StrAppend(&text, " Default: ", field.default_text, ".");
  }
  return text;
}

Json Number(std::string_view description, const spec::NumberRange& range) {
  Json schema = {{"description", std::string(description)}, {"type", "number"}};
  schema["minimum"] = range.low;
  if (range.above_low) {
    schema["exclusiveMinimum"] = true;
  }
  schema["maximum"] = range.high;
  if (range.below_high) {
    schema["exclusiveMaximum"] = true;
  }
  if (description.empty()) {
    schema.erase("description");
  }
  return schema;
}

bool HasNamedElements(const FieldInfo& list) {
  const std::vector<FieldInfo>& fields = spec::KnownFields();
  return std::any_of(fields.begin(), fields.end(), [&](const FieldInfo& field) {
    return field.required && field.path == absl::StrCat(list.path, "[].name");
  });
}

Json ObjectList(const std::string& description, const FieldInfo& field) {
  const int most = static_cast<int>(field.integers.high);
  const Json item = Object("", {});
  Json schema = HasNamedElements(field) ? ListBy("name", description, item, most) : List(description, item, most);
  if (field.integers.low > 0) {
    schema["minItems"] = field.integers.low;
  }
  return schema;
}

Json SchemaOf(const FieldInfo& field, bool required) {
  const std::string description = Description(field, required);
  switch (field.type) {
    case FieldType::kObject:
      return Object(description, {});
    case FieldType::kObjectList:
      return ObjectList(description, field);
    case FieldType::kBoolean:
      return Boolean(description);
    case FieldType::kInteger:
      return Integer(description, field.integers.low, field.integers.high);
    case FieldType::kNumber:
      return Number(description, field.numbers);
    case FieldType::kText:
      return Text(description, field.form.longest_bytes);
    case FieldType::kWord:
      return Word(description, field.words);
    case FieldType::kTextList:
      return Set(description, Text("", field.form.longest_bytes), spec::kMostEntries);
    case FieldType::kIntegerList:
      return Set(description, Integer("", field.integers.low, field.integers.high), spec::kMostEntries);
    case FieldType::kIntegerMap:
      return Map(description, Integer("", field.integers.low, field.integers.high), spec::kMostEntries);
    case FieldType::kNumberMap:
      return Map(description, Number("", field.numbers), spec::kMostEntries);
    case FieldType::kTextMap:
      return Map(description, Text("", 1024), spec::kMostEntries);
    case FieldType::kOpaque:
      return PodTemplate(description);
  }
  return {};
}

std::optional<Json> DefaultOf(const FieldInfo& field, bool required) {
  if (required) {
    return std::nullopt;
  }
  if (field.type == FieldType::kObject) {
    return Json::object();
  }
  if (field.type == FieldType::kObjectList) {
    return Json::array();
  }
  if (!field.default_is_value) {
    return std::nullopt;
  }
  switch (field.type) {
    case FieldType::kBoolean:
      return Json(field.default_text == "true");
    case FieldType::kInteger:
      return Json(spec::ReadInteger(field.default_text).value_or(0));
    case FieldType::kNumber:
      return Json(spec::ReadNumber(field.default_text).value_or(0));
    default:
      return Json(field.default_text);
  }
}

}  // namespace

bool IsLocal(const FieldInfo& field) { return field.one_of && NameOf(field.path) == "path"; }

std::string Meaning(const FieldInfo& field) {
  return absl::StrCat(field.meaning, IsLocal(field) ? " For splitft run only: in a cluster it is refused." : "");
}

Json& SchemaAt(Json& root, std::string_view path) {
  Json* schema = &root;
  if (path.empty()) {
    return root;
  }
  for (std::string name : std::vector<std::string>(absl::StrSplit(std::string(path), '.'))) {
    const bool element = name.ends_with("[]");
    if (element) {
      name.resize(name.size() - 2);
    }
    schema = &(*schema)["properties"][name];
    if (element) {
      schema = &(*schema)["items"];
    }
  }
  return *schema;
}

Json SpecSchema() {
  const std::set<std::string> required = RequiredPaths();
  Json root = Object("", {});
  for (const FieldInfo& field : spec::KnownFields()) {
    if (field.path != "spec" && !field.path.starts_with("spec.")) {
      continue;
    }
    const bool is_required = required.contains(field.path);
    Json schema = SchemaOf(field, is_required);
    if (const std::optional<Json> value = DefaultOf(field, is_required)) {
      schema["default"] = *value;
    }
    if (is_required && field.path != "spec") {
      SchemaAt(root, ParentOf(field.path))["required"].push_back(NameOf(field.path));
    }
    SchemaAt(root, field.path) = std::move(schema);
  }
  return root["properties"]["spec"];
}

}  // namespace splitft::crd
