#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "libs/spec/job.h"

// How the manifest's fields are declared: job_fields.cc calls a visitor once per field with its name, meaning, bounds
// and the member it stands for. What is done with a field (read, write, document it) is up to the visitor, so that each
// is said once.
namespace splitft::spec {

struct Field {
  std::string_view name;
  std::string_view meaning;  // a sentence or two, for the reference
  bool required = false;
  std::string_view default_text = {};  // for the reference, where the default is not the member's own first value
};

struct IntegerRange {
  int64_t low = 0;
  int64_t high = 0;
};

struct NumberRange {
  double low = 0;
  double high = 0;
  bool above_low = false;   // `low` itself is outside
  bool below_high = false;  // `high` itself is outside
};

// What a string must look like. `pattern` and `longest_bytes` say together what `accepts` says, for other tools:
// `pattern` is a regular expression (RE2, so no repetition is counted beyond 1000) for the whole string.
struct TextForm {
  std::string_view expected;  // "a name of ...", the end of "... is not"
  std::string_view pattern;
  int longest_bytes = 0;
  bool (*accepts)(std::string_view) = nullptr;
};

// Most entries of a list of strings or integers, and of a map. Kubernetes wants a bound on everything.
inline constexpr int kMostEntries = 1'000;

// The fields that name where something lies.
struct SourceField {
  SourceKind kind = SourceKind::kPath;
  Field field;
  TextForm form;
};

// Sees every field of the manifest, outermost first, in the order of the reference.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  // A mapping of fields; `members` visits them.
  template <typename Members>
  void Group(const Field& field, Members members) {
    Enter(field);
    members();
    Leave();
  }
  // A list of mappings. `blank` is what a new element is before its fields are read; `members` visits one element.
  template <typename T, typename Members>
  void List(const Field& field, const IntegerRange& size, std::vector<T>& list, const T& blank, Members members) {
    list.resize(EnterList(field, size, list.size()), blank);
    for (size_t i = 0; i < list.size(); ++i) {
      EnterElement(i);
      members(list[i]);
      Leave();
    }
    Leave();
  }
  template <std::integral T>
  void Integer(const Field& field, const IntegerRange& range, T& value) {
    int64_t wide = static_cast<int64_t>(value);
    VisitInteger(field, range, wide);
    value = static_cast<T>(wide);
  }
  // Whole seconds.
  void Seconds(const Field& field, const IntegerRange& range, std::chrono::seconds& value) {
    int64_t count = value.count();
    VisitInteger(field, range, count);
    value = std::chrono::seconds(count);
  }
  void Seconds(const Field& field, const IntegerRange& range, std::optional<std::chrono::seconds>& value) {
    std::optional<int64_t> count;
    if (value.has_value()) {
      count = value->count();
    }
    VisitOptionalInteger(field, range, count);
    value.reset();
    if (count.has_value()) {
      value = std::chrono::seconds(*count);
    }
  }
  // One of `words`, which are in the order of the enumeration's values.
  template <typename E>
  requires std::is_enum_v<E>
  void Word(const Field& field, std::span<const std::string_view> words, E& value) {
    size_t index = static_cast<size_t>(value);
    VisitWord(field, words, index);
    value = static_cast<E>(index);
  }
  // A field that has one value only.
  virtual void Fixed(const Field& field, std::string_view value) = 0;
  virtual void Boolean(const Field& field, bool& value) = 0;
  virtual void Number(const Field& field, const NumberRange& range, double& value) = 0;
  virtual void Text(const Field& field, const TextForm& form, std::string& value) = 0;
  // A list of different strings.
  virtual void Texts(const Field& field, const TextForm& form, std::vector<std::string>& values) = 0;
  // A list of different integers.
  virtual void IntegerList(const Field& field, const IntegerRange& range, std::vector<int>& values) = 0;
  virtual void Integers(const Field& field, const TextForm& key, const IntegerRange& range,
                        std::map<std::string, int>& values) = 0;
  virtual void Numbers(const Field& field, const TextForm& key, const NumberRange& range,
                       std::map<std::string, double>& values) = 0;
  virtual void TextsByKey(const Field& field, const TextForm& key, std::map<std::string, std::string>& values) = 0;
  // A mapping that is kept as JSON, whatever is in it: only a cluster knows its fields. Empty: absent.
  virtual void Opaque(const Field& field, std::string& json) = 0;
  // Exactly one of `fields`, which stand side by side in the group that is open. A source with an empty value is none:
  // allowed where `required` is false.
  virtual void OneSource(std::span<const SourceField> fields, bool required, Source& value) = 0;

 protected:
  virtual void Enter(const Field& field) = 0;
  // Returns how many elements the list has; `size` is how many it may have, `count` how many there are so far.
  virtual size_t EnterList(const Field& field, const IntegerRange& size, size_t count) = 0;
  virtual void EnterElement(size_t index) = 0;
  virtual void Leave() = 0;
  virtual void VisitInteger(const Field& field, const IntegerRange& range, int64_t& value) = 0;
  virtual void VisitOptionalInteger(const Field& field, const IntegerRange& range, std::optional<int64_t>& value) = 0;
  virtual void VisitWord(const Field& field, std::span<const std::string_view> words, size_t& index) = 0;
};

// Visits the manifest's fields with the members of `job` behind them.
void VisitFields(FieldVisitor& visitor, FineTuneJob& job);

}  // namespace splitft::spec
