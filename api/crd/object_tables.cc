#include "api/crd/object_tables.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "api/crd/schema_words.h"
#include "api/crd/spec_schema.h"
#include "libs/spec/schema.h"

namespace splitft::crd {
namespace {

constexpr char kRules[] = "x-kubernetes-validations";

// A field of an object, and what its schema leaves out: the parser's own words.
struct Field {
  std::string name;
  std::string path;
  const Json& schema;
  const spec::FieldInfo* known;  // null: not a field of libs/spec
};

const spec::FieldInfo* Known(const std::string& path) {
  const std::vector<spec::FieldInfo>& fields = spec::KnownFields();
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.path == path; });
  return found == fields.end() ? nullptr : &*found;
}

const Json& ElementOf(const Json& schema) { return schema.contains("items") ? schema["items"] : schema; }

std::string ElementPath(const std::string& path, const Json& schema) {
  return schema.contains("items") ? path + "[]" : path;
}

std::string LastName(const std::string& path) { return path.substr(path.rfind('.') + 1); }

bool IsTemplate(const std::string& path) { return path.ends_with(".template"); }

std::string Description(const Field& field) {
  return field.known != nullptr ? Meaning(*field.known) : field.schema.value("description", "");
}

std::vector<Field> FieldsOf(const ObjectSection& section) {
  std::vector<Field> fields;
  const std::string before = section.path.empty() ? "" : section.path + ".";
  for (const auto& [name, schema] : section.schema["properties"].items()) {
    fields.push_back({name, before + name, schema, Known(before + name)});
  }
  return fields;
}

bool HasSection(const std::vector<ObjectSection>& sections, const std::string& path) {
  return std::any_of(sections.begin(), sections.end(), [&](const auto& section) { return section.path == path; });
}

std::string TypeCell(const Field& field, const std::vector<ObjectSection>& sections) {
  const std::string type = absl::StrCat("`", TypeWords(field.schema), "`");
  const std::string path = ElementPath(field.path, field.schema);
  if (IsTemplate(path)) {
    return absl::StrCat("[", type, "](#pod-templates)");
  }
  return HasSection(sections, path) ? absl::StrCat("[", type, "](#", Anchor(path), ")") : type;
}

std::string DefaultCell(const Field& field, const Json& parent) {
  const std::string value = DefaultWords(field.schema);
  if (!value.empty()) {
    return value;
  }
  const Json required = parent.value("required", Json::array());
  if (std::find(required.begin(), required.end(), field.name) != required.end()) {
    return "required";
  }
  if (field.known == nullptr || IsLocal(*field.known)) {
    return "";
  }
  return field.known->one_of && field.known->required ? "one is required" : field.known->default_text;
}

std::string LimitCell(const Field& field) {
  if (field.known == nullptr) {
    return LimitWords(field.schema, "");
  }
  const bool is_constant = field.known->words.size() == 1;
  return is_constant ? absl::StrCat("`", field.known->words.front(), "`")
                     : LimitWords(field.schema, std::string(field.known->form.expected));
}

// Without a column in which nothing stands.
std::string FieldTable(const ObjectSection& section, const std::vector<ObjectSection>& sections) {
  const Names header = {"field", "type", "default", "limits", "description"};
  std::vector<Names> rows;
  for (const Field& field : FieldsOf(section)) {
    rows.push_back({absl::StrCat("`", field.name, "`"), TypeCell(field, sections), DefaultCell(field, section.schema),
                    LimitCell(field), Description(field)});
  }
  std::vector<Names> kept(rows.size());
  Names kept_header;
  for (size_t column = 0; column < header.size(); ++column) {
    if (std::any_of(rows.begin(), rows.end(), [&](const Names& row) { return !row[column].empty(); })) {
      kept_header.push_back(header[column]);
      for (size_t row = 0; row < rows.size(); ++row) {
        kept[row].push_back(rows[row][column]);
      }
    }
  }
  return Table(kept_header, kept);
}

// A rule and the fields that have it.
struct RuleRow {
  Names fields;
  std::string condition;
  std::string message;
};

void AddRule(const std::string& field, const Json& rule, std::vector<RuleRow>* rows) {
  const std::string condition = rule.value("rule", "");
  const std::string message = rule.value("message", "");
  for (RuleRow& row : *rows) {
    if (row.condition == condition && row.message == message) {
      row.fields.push_back(field);
      return;
    }
  }
  rows->push_back({{field}, condition, message});
}

bool IsAboutChange(const Json& rule) { return absl::StrContains(rule.value("rule", ""), "oldSelf"); }

// What a string looks like: the column of limits says it already.
bool IsAboutForm(const Json& rule) {
  const std::string condition = rule.value("rule", "");
  return condition.starts_with("self.matches(") || condition.starts_with("self.all(key, key.matches(");
}

// The object's own rules; those of its fields that have no section; and of all its fields what may not change, which is
// better read in one place.
std::vector<RuleRow> RulesOf(const ObjectSection& section, const std::vector<ObjectSection>& sections) {
  std::vector<RuleRow> rows;
  for (const Json& rule : section.schema.value(kRules, Json::array())) {
    if (!IsAboutChange(rule)) {
      const std::string field = rule.value("fieldPath", "");
      AddRule(field.empty() ? LastName(section.path) : field.substr(1), rule, &rows);
    }
  }
  for (const Field& field : FieldsOf(section)) {
    const bool elsewhere = HasSection(sections, ElementPath(field.path, field.schema));
    for (const Json& rule : field.schema.value(kRules, Json::array())) {
      if (IsAboutChange(rule) || (!elsewhere && !IsAboutForm(rule))) {
        AddRule(field.name, rule, &rows);
      }
    }
  }
  return rows;
}

std::string RuleTable(const std::vector<RuleRow>& rules) {
  std::vector<Names> rows;
  for (const RuleRow& rule : rules) {
    rows.push_back({absl::StrCat("`", absl::StrJoin(rule.fields, "`, `"), "`"), absl::StrCat("`", rule.condition, "`"),
                    rule.message});
  }
  return rows.empty() ? "" : absl::StrCat("\n", Table({"about", "rule", "message"}, rows));
}

std::string Row(const Names& cells) {
  const auto append = [](std::string* out, const std::string& cell) {
    absl::StrAppend(out, absl::StrReplaceAll(cell, {{"|", "\\|"}}));
  };
  return absl::StrCat("| ", absl::StrJoin(cells, " | ", append), " |\n");
}

}  // namespace

std::string Table(const Names& header, const std::vector<Names>& rows) {
  std::string text = absl::StrCat(Row(header), Row(Names(header.size(), "---")));
  for (const Names& row : rows) {
    absl::StrAppend(&text, Row(row));
  }
  return text;
}

std::string Anchor(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_') {
      anchor.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    } else if (c == ' ') {
      anchor.push_back('-');
    }
  }
  return anchor;
}

std::vector<ObjectSection> ObjectSections(const std::string& path, const std::string& description, const Json& schema) {
  const ObjectSection whole{path, description, schema};
  std::vector<ObjectSection> sections = {whole};
  for (const Field& field : FieldsOf(whole)) {
    const Json& element = ElementOf(field.schema);
    if (element.contains("properties") && !IsTemplate(field.path) && field.path != "metadata") {
      const std::vector<ObjectSection> inside =
          ObjectSections(ElementPath(field.path, field.schema), Description(field), element);
      sections.insert(sections.end(), inside.begin(), inside.end());
    }
  }
  return sections;
}

std::string FormatSection(const ObjectSection& section, const std::vector<ObjectSection>& all) {
  return absl::StrCat("\n### `", section.path.empty() ? "FineTuneJob" : section.path, "`\n\n", section.description,
                      section.description.empty() ? "" : "\n\n", FieldTable(section, all),
                      RuleTable(RulesOf(section, all)));
}

}  // namespace splitft::crd
