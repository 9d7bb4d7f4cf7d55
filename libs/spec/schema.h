#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/spec/fields.h"

namespace splitft::spec {

enum class FieldType {
  kObject,
  kObjectList,
  kBoolean,
  kInteger,
  kNumber,
  kText,
  kWord,
  kTextList,     // form: of each
  kIntegerList,  // integers: of each
  kIntegerMap,   // form: of the keys, integers: of the values
  kNumberMap,    // likewise, numbers
  kTextMap,
  kOpaque,
};

// One field of the manifest, as the parser knows it.
struct FieldInfo {
  std::string path;  // "spec.clients[].cutLayer"
  FieldType type = FieldType::kObject;
  std::string meaning;
  bool required = false;
  std::string default_text;        // as YAML, or a few words; empty: none
  bool default_is_value = false;   // default_text is YAML, and stands for every job alike
  IntegerRange integers;           // kInteger, kIntegerList, kIntegerMap; kObjectList: its size
  NumberRange numbers;             // kNumber, kNumberMap
  TextForm form;                   // kText, kTextList, keys of maps; without a pattern: any
  std::vector<std::string> words;  // kWord
  bool one_of = false;             // excludes the fields beside it that have this mark; if required, one of them is
};

// Every field, groups before what is in them, in the order of the reference. The parser reads by the same declarations.
const std::vector<FieldInfo>& KnownFields();

// "integer", "list of strings", "map to numbers": the type in words.
std::string TypeText(const FieldInfo& field);

// "1 to 4096", "Client, Server", "a name of ...": what values there are; empty: any.
std::string RangeText(const FieldInfo& field);

// The paths of the fields called `name`, wherever they are.
std::vector<std::string> PathsOfFieldsNamed(std::string_view name);

}  // namespace splitft::spec
