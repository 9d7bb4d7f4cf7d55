#include "libs/spec/field_reader.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/spec/fields.h"
#include "libs/spec/node_json.h"
#include "libs/spec/node_values.h"
#include "libs/spec/range_text.h"
#include "libs/spec/scalars.h"
#include "libs/spec/schema.h"
#include "libs/spec/suggestion.h"
#include "libs/spec/text_forms.h"

namespace splitft::spec {
namespace {

class FieldReader : public FieldVisitor {
 public:
  FieldReader(const Node& document, const std::filesystem::path& base_directory, Problems& problems)
      : base_directory_(base_directory), problems_(problems) {
    frames_.push_back({.node = &document});
  }

  // After the last field: what the document's outermost mapping holds beside the fields that were visited.
  void Finish() { Leave(); }

  void Fixed(const Field& field, std::string_view value) override {
    const std::string_view words[] = {value};
    if (const Node* node = Find(field, value)) {
      ReadWordAt({PathOf(field), *node}, words, problems_);
    }
  }
  void Boolean(const Field& field, bool& value) override {
    if (const Node* node = Find(field, "true or false")) {
      value = ReadBooleanAt({PathOf(field), *node}, problems_).value_or(value);
    }
  }
  void Number(const Field& field, const NumberRange& range, double& value) override {
    if (const Node* node = Find(field, Expected(range))) {
      value = ReadNumberAt({PathOf(field), *node}, range, problems_).value_or(value);
    }
  }
  void Text(const Field& field, const TextForm& form, std::string& value) override {
    if (const Node* node = Find(field, form.expected)) {
      value = ReadTextAt({PathOf(field), *node}, form, problems_).value_or(value);
    }
  }
  void Texts(const Field& field, const TextForm& form, std::vector<std::string>& values) override {
    ReadItems(field, values, [&](const Place& item) { return ReadTextAt(item, form, problems_); });
  }
  void IntegerList(const Field& field, const IntegerRange& range, std::vector<int>& values) override {
    ReadItems(field, values, [&](const Place& item) { return ReadIntegerAt(item, range, problems_); });
  }
  void Integers(const Field& field, const TextForm& key, const IntegerRange& range,
                std::map<std::string, int>& values) override {
    ReadEntries(field, key, [&](const std::string& name, const Place& place) {
      if (const std::optional<int64_t> value = ReadIntegerAt(place, range, problems_)) {
        values[name] = static_cast<int>(*value);
      }
    });
  }
  void Numbers(const Field& field, const TextForm& key, const NumberRange& range,
               std::map<std::string, double>& values) override {
    ReadEntries(field, key, [&](const std::string& name, const Place& place) {
      if (const std::optional<double> value = ReadNumberAt(place, range, problems_)) {
        values[name] = *value;
      }
    });
  }
  void TextsByKey(const Field& field, const TextForm& key, std::map<std::string, std::string>& values) override {
    constexpr TextForm kAnyText = {.expected = "a string", .accepts = [](std::string_view) { return true; }};
    ReadEntries(field, key, [&](const std::string& name, const Place& place) {
      if (std::optional<std::string> text = ReadTextAt(place, kAnyText, problems_)) {
        values[name] = *std::move(text);
      }
    });
  }
  void Opaque(const Field& field, std::string& json) override {
    const Node* node = Find(field, "a mapping");
    if (node != nullptr && IsA(Node::Kind::kMapping, {PathOf(field), *node}, problems_)) {
      json = ReadJsonAt({PathOf(field), *node}, problems_).value_or(json);
    }
  }
  void OneSource(std::span<const SourceField> fields, bool required, Source& value) override;

 protected:
  void Enter(const Field& field) override {
    const std::string path = PathOf(field);
    OpenMapping(path, Find(field, "a mapping"));
  }
  size_t EnterList(const Field& field, const IntegerRange& size, size_t count) override;
  void EnterElement(size_t index) override;
  void Leave() override;
  void VisitInteger(const Field& field, const IntegerRange& range, int64_t& value) override {
    if (const Node* node = Find(field, Expected(range))) {
      value = ReadIntegerAt({PathOf(field), *node}, range, problems_).value_or(value);
    }
  }
  void VisitOptionalInteger(const Field& field, const IntegerRange& range, std::optional<int64_t>& value) override {
    if (const Node* node = Find(field, Expected(range))) {
      value = ReadIntegerAt({PathOf(field), *node}, range, problems_);
    }
  }
  void VisitWord(const Field& field, std::span<const std::string_view> words, size_t& index) override {
    if (const Node* node = Find(field, Expected(words))) {
      index = ReadWordAt({PathOf(field), *node}, words, problems_).value_or(index);
    }
  }

 private:
  struct Missing {
    std::vector<std::string> names;  // fields of the frame, any of which would do
    std::string path;
    std::string text;
  };

  // A mapping or list whose fields are being visited.
  struct Frame {
    const Node* node = nullptr;  // null: absent
    std::string path;
    bool muted = false;  // of a wrong type: said once, and nothing about what should be in it
    std::vector<std::string_view> known;
    std::vector<Missing> missing;
  };

  std::string PathOf(const Field& field) const { return PathBelow(frames_.back().path, field.name); }

  // The field's node, or null when it is absent or null. Notes the field as known and, if need be, as missing.
  const Node* Find(const Field& field, std::string_view expected);
  void OpenMapping(const std::string& path, const Node* node);
  // Whether a list or mapping has at most kMostEntries; a line in `problems_` where not.
  bool IsShort(const Place& place);
  template <typename T, typename ReadItem>
  void ReadItems(const Field& field, std::vector<T>& values, ReadItem read_item);
  template <typename ReadEntry>
  void ReadEntries(const Field& field, const TextForm& key, ReadEntry read_entry);
  void MakeAbsolute(const Place& place, Source& source);
  // Reports the keys that are no fields; returns the fields that were suggested instead.
  std::set<std::string, std::less<>> ReportUnknownFields(const Frame& frame);
  static std::string Advice(const Frame& frame, const std::string& key, std::string_view nearest);

  const std::filesystem::path& base_directory_;
  Problems& problems_;
  std::vector<Frame> frames_;
};

// Reads the items of a list of different values.
template <typename T, typename ReadItem>
void FieldReader::ReadItems(const Field& field, std::vector<T>& values, ReadItem read_item) {
  const std::string path = PathOf(field);
  const Node* node = Find(field, "a list");
  if (node == nullptr || !IsA(Node::Kind::kList, {path, *node}, problems_) || !IsShort({path, *node})) {
    return;
  }
  std::set<T> seen;
  for (size_t i = 0; i < node->items.size(); ++i) {
    const Place item = {absl::StrCat(path, "[", i, "]"), node->items[i]};
    auto value = read_item(item);
    if (!value.has_value()) {
      continue;
    }
    if (!seen.insert(static_cast<T>(*value)).second) {
      problems_.Add(item.path, absl::StrCat(Show(item.node), " is in the list twice"));
    }
    values.push_back(static_cast<T>(*std::move(value)));
  }
}

void FieldReader::OneSource(std::span<const SourceField> fields, bool required, Source& value) {
  std::vector<std::string> names;
  std::vector<std::string> given;
  for (const SourceField& source : fields) {
    names.emplace_back(source.field.name);
    const Node* node = Find(source.field, source.form.expected);
    if (node == nullptr) {
      continue;
    }
    given.emplace_back(source.field.name);
    const Place place = {PathOf(source.field), *node};
    if (std::optional<std::string> text = ReadTextAt(place, source.form, problems_)) {
      value = {.kind = source.kind, .value = *std::move(text)};
      MakeAbsolute(place, value);
    }
  }
  Frame& frame = frames_.back();
  if (given.size() > 1) {
    problems_.Add(frame.path, absl::StrCat(absl::StrJoin(given, " and "), " are given; expected only one of them"));
  } else if (given.empty() && required) {
    const std::string list = absl::StrJoin(names, ", ");
    frame.missing.push_back({std::move(names), frame.path, absl::StrCat("missing; expected one of ", list)});
  }
}

size_t FieldReader::EnterList(const Field& field, const IntegerRange& size, size_t /*count*/) {
  const std::string expected = absl::StrCat("a list of ", BoundsText(size));
  const std::string path = PathOf(field);
  const Node* node = Find(field, expected);
  if (node == nullptr || !IsA(Node::Kind::kList, {path, *node}, problems_)) {
    frames_.push_back({.path = path});
    return 0;
  }
  const size_t count = node->items.size();
  if (!Contains(size, static_cast<int64_t>(count))) {
    problems_.Add(path, absl::StrCat("a list of ", count, " is not ", expected));
    frames_.push_back({.path = path});
    return 0;
  }
  frames_.push_back({.node = node, .path = path});
  return count;
}

void FieldReader::EnterElement(size_t index) {
  const Frame& list = frames_.back();
  const std::string path = absl::StrCat(list.path, "[", index, "]");
  const Node& node = list.node->items[index];
  if (node.kind == Node::Kind::kNull) {
    problems_.Add(path, "nothing is not a mapping");
  }
  OpenMapping(path, &node);
}

void FieldReader::Leave() {
  const Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (frame.muted) {
    return;
  }
  const std::set<std::string, std::less<>> suggested = ReportUnknownFields(frame);
  for (const Missing& missing : frame.missing) {
    const bool misspelt = std::any_of(missing.names.begin(), missing.names.end(),
                                      [&](const std::string& name) { return suggested.contains(name); });
    if (!misspelt) {
      problems_.Add(missing.path, missing.text);
    }
  }
}

const Node* FieldReader::Find(const Field& field, std::string_view expected) {
  Frame& frame = frames_.back();
  frame.known.push_back(field.name);
  const Node* node = frame.node == nullptr ? nullptr : frame.node->Find(field.name);
  if (node != nullptr && node->kind != Node::Kind::kNull) {
    return node;
  }
  if (field.required) {
    frame.missing.push_back(
        {{std::string(field.name)}, PathOf(field), absl::StrCat("missing; expected ", std::string(expected))});
  }
  return nullptr;
}

void FieldReader::OpenMapping(const std::string& path, const Node* node) {
  const bool wrong = node != nullptr && !IsA(Node::Kind::kMapping, {path, *node}, problems_);
  const bool muted = wrong || frames_.back().muted;
  frames_.push_back({.node = muted ? nullptr : node, .path = path, .muted = muted});
}

bool FieldReader::IsShort(const Place& place) {
  const size_t count = place.node.items.size();
  if (count > static_cast<size_t>(kMostEntries)) {
    problems_.Add(place.path, absl::StrCat(count, " entries; at most ", kMostEntries, " are allowed"));
  }
  return count <= static_cast<size_t>(kMostEntries);
}

// Reads the entries of a mapping whose keys the user chooses.
template <typename ReadEntry>
void FieldReader::ReadEntries(const Field& field, const TextForm& key, ReadEntry read_entry) {
  const std::string path = PathOf(field);
  const Node* node = Find(field, "a mapping");
  if (node == nullptr || !IsA(Node::Kind::kMapping, {path, *node}, problems_) || !IsShort({path, *node})) {
    return;
  }
  for (size_t i = 0; i < node->keys.size(); ++i) {
    const std::string& name = node->keys[i];
    const Place entry = {PathBelow(path, name), node->items[i]};
    if (key.accepts(name)) {
      read_entry(name, entry);
    } else {
      problems_.Add(entry.path, absl::StrCat("the key is not ", std::string(key.expected)));
    }
  }
}

void FieldReader::MakeAbsolute(const Place& place, Source& source) {
  if (source.kind != SourceKind::kPath && source.kind != SourceKind::kHostPath) {
    return;
  }
  std::filesystem::path absolute = (base_directory_ / source.value).lexically_normal();
  if (!absolute.has_filename()) {
    absolute = absolute.parent_path();  // "out/" is "out"
  }
  source.value = absolute.string();
  if (source.value.size() > static_cast<size_t>(kLongestPath)) {
    problems_.Add(place.path, absl::StrCat(Show(place.node), " is ", source.value.size(),
                                           " bytes long as an absolute path; at most ", kLongestPath, " are allowed"));
  }
}

std::set<std::string, std::less<>> FieldReader::ReportUnknownFields(const Frame& frame) {
  std::set<std::string, std::less<>> suggested;
  if (frame.node == nullptr) {
    return suggested;
  }
  for (const std::string& key : frame.node->keys) {
    if (std::find(frame.known.begin(), frame.known.end(), key) != frame.known.end()) {
      continue;
    }
    const std::string_view nearest = problems_.full() ? std::string_view() : Nearest(key, frame.known);
    problems_.Add(PathBelow(frame.path, key),
                  absl::StrCat("unknown field", problems_.full() ? "" : Advice(frame, key, nearest)));
    if (!nearest.empty()) {
      suggested.emplace(nearest);
      problems_.Touch(PathBelow(frame.path, nearest));
    }
  }
  return suggested;
}

std::string FieldReader::Advice(const Frame& frame, const std::string& key, std::string_view nearest) {
  if (!nearest.empty()) {
    return absl::StrCat("; did you mean ", std::string(nearest), "?");
  }
  // A field that stands in the wrong place, unless there are too many of its name.
  const std::vector<std::string> elsewhere = PathsOfFieldsNamed(key);
  if (!elsewhere.empty() && elsewhere.size() <= 2) {
    return absl::StrCat("; did you mean ", absl::StrJoin(elsewhere, " or "), "?");
  }
  const std::vector<std::string> known(frame.known.begin(), frame.known.end());
  return absl::StrCat("; known here: ", absl::StrJoin(known, ", "));
}

}  // namespace

FineTuneJob ReadFields(const Node& document, const std::filesystem::path& base_directory, Problems& problems) {
  FineTuneJob job;
  FieldReader reader(document, base_directory, problems);
  VisitFields(reader, job);
  reader.Finish();
  return job;
}

}  // namespace splitft::spec
