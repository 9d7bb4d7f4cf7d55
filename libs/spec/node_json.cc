#include "libs/spec/node_json.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/spec/scalars.h"
#include "libs/spec/text_forms.h"

namespace splitft::spec {
namespace {

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (IsControl(c)) {
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

class JsonWriter {
 public:
  explicit JsonWriter(Problems& problems) : problems_(problems) {}

  std::string Take() { return std::move(json_); }
  bool too_long() const { return json_.size() > static_cast<size_t>(kLongestJsonBytes); }

  // Recursion ends: a document nests at most kDeepestNesting deep. Stops where it gets too long.
  void Write(const Place& place) {
    if (too_long()) {
      return;
    }
    switch (place.node.kind) {
      case Node::Kind::kNull:
        json_ += "null";
        break;
      case Node::Kind::kScalar:
        WriteScalar(place);
        break;
      case Node::Kind::kList:
        WriteList(place);
        break;
      case Node::Kind::kMapping:
        WriteMapping(place);
        break;
    }
  }

 private:
  void WriteScalar(const Place& place) {
    const Node& node = place.node;
    const PlainKind kind = node.plain ? KindOfPlain(node.text) : PlainKind::kText;
    if (kind == PlainKind::kText) {
      json_ += JsonString(node.text);
    } else if (kind == PlainKind::kNumber) {
      WriteNumber(place);
    } else if (node.text == "true" || node.text == "false") {
      json_ += node.text;
    } else {
      problems_.Add(place.path, absl::StrCat(Show(node),
                                             " is a boolean to some readers of YAML; write true or false, "
                                             "or put it in quotes"));
    }
  }

  void WriteNumber(const Place& place) {
    const std::string& text = place.node.text;
    if (const std::optional<int64_t> integer = ReadInteger(text)) {
      absl::StrAppend(&json_, *integer);
    } else if (const std::optional<double> number = ReadNumber(text)) {
      json_ += NumberText(*number);
    } else {
      problems_.Add(place.path, absl::StrCat(Show(place.node),
                                             " is not a finite decimal number without leading "
                                             "zeros; put it in quotes to make it a string"));
    }
  }

  void WriteList(const Place& place) {
    json_ += '[';
    for (size_t i = 0; i < place.node.items.size(); ++i) {
      json_ += i == 0 ? "" : ", ";
      Write({absl::StrCat(place.path, "[", i, "]"), place.node.items[i]});
    }
    json_ += ']';
  }

  void WriteMapping(const Place& place) {
    json_ += '{';
    for (size_t i = 0; i < place.node.items.size(); ++i) {
      const std::string& key = place.node.keys[i];
      const std::string path = PathBelow(place.path, key);
      if (!kKeyForm.accepts(key)) {
        problems_.Add(path, absl::StrCat("the key is not ", std::string(kKeyForm.expected)));
      }
      absl::StrAppend(&json_, i == 0 ? "" : ", ", JsonString(key), ": ");
      Write({path, place.node.items[i]});
    }
    json_ += '}';
  }

  Problems& problems_;
  std::string json_;
};

}  // namespace

std::optional<std::string> ReadJsonAt(const Place& place, Problems& problems) {
  JsonWriter writer(problems);
  writer.Write(place);
  if (writer.too_long()) {
    problems.Add(place.path, absl::StrCat("longer than ", kLongestJsonBytes, " bytes as JSON"));
  }
  // A problem inside is one of the whole: no half of it is kept.
  return problems.Touches(place.path) ? std::nullopt : std::optional(writer.Take());
}

}  // namespace splitft::spec
