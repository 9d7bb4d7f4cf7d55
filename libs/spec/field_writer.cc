#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/spec/fields.h"
#include "libs/spec/parse.h"
#include "libs/spec/scalars.h"

namespace splitft::spec {
namespace {

// Writes every field as block YAML, two spaces a level.
class FieldWriter : public FieldVisitor {
 public:
  std::string Take() { return std::move(yaml_); }

  void Fixed(const Field& field, std::string_view value) override { Write(field, std::string(value)); }
  void Boolean(const Field& field, bool& value) override { Write(field, value ? "true" : "false"); }
  void Number(const Field& field, const NumberRange& /*range*/, double& value) override {
    Write(field, NumberText(value));
  }
  void Text(const Field& field, const TextForm& /*form*/, std::string& value) override {
    Write(field, QuotedText(value));
  }
  void Texts(const Field& field, const TextForm& /*form*/, std::vector<std::string>& values) override {
    std::vector<std::string> quoted;
    for (const std::string& value : values) {
      quoted.push_back(QuotedText(value));
    }
    Write(field, absl::StrCat("[", absl::StrJoin(quoted, ", "), "]"));
  }
  void IntegerList(const Field& field, const IntegerRange& /*range*/, std::vector<int>& values) override {
    Write(field, absl::StrCat("[", absl::StrJoin(values, ", "), "]"));
  }
  void Integers(const Field& field, const TextForm& /*key*/, const IntegerRange& /*range*/,
                std::map<std::string, int>& values) override {
    WriteMap(field, values, [](int value) { return absl::StrCat(value); });
  }
  void Numbers(const Field& field, const TextForm& /*key*/, const NumberRange& /*range*/,
               std::map<std::string, double>& values) override {
    WriteMap(field, values, NumberText);
  }
  void TextsByKey(const Field& field, const TextForm& /*key*/, std::map<std::string, std::string>& values) override {
    WriteMap(field, values, QuotedText);
  }
  // JSON is YAML.
  void Opaque(const Field& field, std::string& json) override {
    if (!json.empty()) {
      Write(field, json);
    }
  }
  void OneSource(std::span<const SourceField> fields, bool /*required*/, Source& value) override {
    for (const SourceField& source : fields) {
      if (source.kind == value.kind && !value.value.empty()) {
        Write(source.field, QuotedText(value.value));
      }
    }
  }

 protected:
  void Enter(const Field& field) override { headers_.push_back(absl::StrCat(std::string(field.name), ":")); }
  size_t EnterList(const Field& field, const IntegerRange& /*size*/, size_t count) override {
    Enter(field);
    return count;
  }
  void EnterElement(size_t /*index*/) override { headers_.push_back(kDash); }
  void Leave() override {
    headers_.pop_back();
    written_ = std::min(written_, headers_.size());
  }
  void VisitInteger(const Field& field, const IntegerRange& /*range*/, int64_t& value) override {
    Write(field, absl::StrCat(value));
  }
  void VisitOptionalInteger(const Field& field, const IntegerRange& /*range*/, std::optional<int64_t>& value) override {
    if (value.has_value()) {
      Write(field, absl::StrCat(*value));
    }
  }
  void VisitWord(const Field& field, std::span<const std::string_view> words, size_t& index) override {
    Write(field, std::string(words[index]));
  }

 private:
  static constexpr char kDash[] = "- ";

  void Write(const Field& field, const std::string& value) {
    WriteLine(absl::StrCat(std::string(field.name), ": ", value));
  }

  template <typename T, typename Format>
  void WriteMap(const Field& field, const std::map<std::string, T>& values, Format format) {
    std::vector<std::string> entries;
    for (const auto& [key, value] : values) {
      entries.push_back(absl::StrCat(QuotedText(key), ": ", format(value)));
    }
    Write(field, absl::StrCat("{", absl::StrJoin(entries, ", "), "}"));
  }

  // Headers are written with the first line below them: a group without any is left out.
  void WriteLine(const std::string& line) {
    for (; written_ < headers_.size(); ++written_) {
      if (headers_[written_] == kDash) {
        absl::StrAppend(&yaml_, std::string(2 * written_, ' '), kDash);
        at_dash_ = true;
      } else {
        Indent(written_);
        absl::StrAppend(&yaml_, headers_[written_], "\n");
      }
    }
    Indent(headers_.size());
    absl::StrAppend(&yaml_, line, "\n");
  }

  // What follows a dash stands on its line.
  void Indent(size_t level) {
    if (!std::exchange(at_dash_, false)) {
      yaml_.append(2 * level, ' ');
    }
  }

  std::vector<std::string> headers_;  // of the groups, lists and elements that are open
  size_t written_ = 0;                // how many of them are in yaml_
  bool at_dash_ = false;
  std::string yaml_;
};

}  // namespace

std::string FormatJob(const FineTuneJob& job) {
  FieldWriter writer;
  FineTuneJob copy = job;
  VisitFields(writer, copy);
  return writer.Take();
}

}  // namespace splitft::spec
