#include "libs/spec/schema.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/spec/range_text.h"
#include "libs/spec/scalars.h"

namespace splitft::spec {
namespace {

// Writes down what the declarations say, with the values of a new job as defaults.
class FieldCollector : public FieldVisitor {
 public:
  std::vector<FieldInfo> Take() { return std::move(fields_); }

  void Fixed(const Field& field, std::string_view value) override {
    FieldInfo& info = Add(field, FieldType::kWord, field.required ? "" : std::string(value));
    info.words = {std::string(value)};
  }
  void Boolean(const Field& field, bool& value) override { Add(field, FieldType::kBoolean, value ? "true" : "false"); }
  void Number(const Field& field, const NumberRange& range, double& value) override {
    Add(field, FieldType::kNumber, NumberText(value)).numbers = range;
  }
  void Text(const Field& field, const TextForm& form, std::string& value) override {
    Add(field, FieldType::kText, value).form = form;
  }
  void Texts(const Field& field, const TextForm& form, std::vector<std::string>& /*values*/) override {
    Add(field, FieldType::kTextList, "").form = form;
  }
  void IntegerList(const Field& field, const IntegerRange& range, std::vector<int>& /*values*/) override {
    Add(field, FieldType::kIntegerList, "").integers = range;
  }
  void Integers(const Field& field, const TextForm& key, const IntegerRange& range,
                std::map<std::string, int>& /*values*/) override {
    FieldInfo& info = Add(field, FieldType::kIntegerMap, "");
    info.form = key;
    info.integers = range;
  }
  void Numbers(const Field& field, const TextForm& key, const NumberRange& range,
               std::map<std::string, double>& /*values*/) override {
    FieldInfo& info = Add(field, FieldType::kNumberMap, "");
    info.form = key;
    info.numbers = range;
  }
  void TextsByKey(const Field& field, const TextForm& key, std::map<std::string, std::string>& /*values*/) override {
    Add(field, FieldType::kTextMap, "").form = key;
  }
  void Opaque(const Field& field, std::string& /*json*/) override { Add(field, FieldType::kOpaque, ""); }
  void OneSource(std::span<const SourceField> fields, bool required, Source& /*value*/) override {
    for (const SourceField& source : fields) {
      FieldInfo& info = Add(source.field, FieldType::kText, "");
      info.form = source.form;
      info.one_of = true;
      info.required = required;
    }
  }

 protected:
  void Enter(const Field& field) override {
    Add(field, FieldType::kObject, "");
    paths_.push_back(PathOf(field));
  }
  size_t EnterList(const Field& field, const IntegerRange& size, size_t /*count*/) override {
    Add(field, FieldType::kObjectList, "").integers = size;
    paths_.push_back(PathOf(field) + "[]");
    return 1;
  }
  void EnterElement(size_t /*index*/) override {
    std::string list = paths_.back();
    paths_.push_back(std::move(list));
  }
  void Leave() override { paths_.pop_back(); }
  void VisitInteger(const Field& field, const IntegerRange& range, int64_t& value) override {
    Add(field, FieldType::kInteger, absl::StrCat(value)).integers = range;
  }
  void VisitOptionalInteger(const Field& field, const IntegerRange& range, std::optional<int64_t>& /*value*/) override {
    Add(field, FieldType::kInteger, "").integers = range;
  }
  void VisitWord(const Field& field, std::span<const std::string_view> words, size_t& index) override {
    Add(field, FieldType::kWord, std::string(words[index])).words.assign(words.begin(), words.end());
  }

 private:
  std::string PathOf(const Field& field) const {
    const std::string name(field.name);
    return paths_.empty() ? name : absl::StrCat(paths_.back(), ".", name);
  }

  FieldInfo& Add(const Field& field, FieldType type, const std::string& default_text) {
    return fields_.emplace_back(FieldInfo{
        .path = PathOf(field),
        .type = type,
        .meaning = std::string(field.meaning),
        .required = field.required,
        .default_text = field.default_text.empty() ? default_text : std::string(field.default_text),
        .default_is_value = field.default_text.empty() && !field.required && !default_text.empty(),
    });
  }

  std::vector<std::string> paths_;
  std::vector<FieldInfo> fields_;
};

}  // namespace

const std::vector<FieldInfo>& KnownFields() {
  static const std::vector<FieldInfo> fields = [] {
    FieldCollector collector;
    FineTuneJob job;
    VisitFields(collector, job);
    return collector.Take();
  }();
  return fields;
}

std::string TypeText(const FieldInfo& field) {
  switch (field.type) {
    case FieldType::kObject:
      return "mapping";
    case FieldType::kObjectList:
      return "list of mappings";
    case FieldType::kBoolean:
      return "boolean";
    case FieldType::kInteger:
      return "integer";
    case FieldType::kNumber:
      return "number";
    case FieldType::kText:
      return "string";
    case FieldType::kWord:
      return "word";
    case FieldType::kTextList:
      return "list of strings";
    case FieldType::kIntegerList:
      return "list of integers";
    case FieldType::kIntegerMap:
      return "map to integers";
    case FieldType::kNumberMap:
      return "map to numbers";
    case FieldType::kTextMap:
      return "map to strings";
    case FieldType::kOpaque:
      return "mapping";
  }
  return "";
}

std::string RangeText(const FieldInfo& field) {
  switch (field.type) {
    case FieldType::kBoolean:
      return "true, false";
    case FieldType::kInteger:
    case FieldType::kIntegerList:
    case FieldType::kIntegerMap:
    case FieldType::kObjectList:
      return BoundsText(field.integers);
    case FieldType::kNumber:
    case FieldType::kNumberMap:
      return BoundsText(field.numbers);
    case FieldType::kText:
    case FieldType::kTextList:
      return std::string(field.form.expected);
    case FieldType::kWord:
      return absl::StrJoin(field.words, ", ");
    case FieldType::kObject:
    case FieldType::kTextMap:
    case FieldType::kOpaque:
      break;
  }
  return "";
}

std::vector<std::string> PathsOfFieldsNamed(std::string_view name) {
  std::vector<std::string> paths;
  for (const FieldInfo& field : KnownFields()) {
    const std::string_view path = field.path;
    const size_t dot = path.rfind('.');
    if (dot != std::string_view::npos && path.substr(dot + 1) == name) {
      paths.push_back(field.path);
    }
  }
  return paths;
}

}  // namespace splitft::spec
