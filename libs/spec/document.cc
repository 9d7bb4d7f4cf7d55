#include "libs/spec/document.h"

#include <algorithm>
#include <numeric>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/spec/scalars.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"
#include "yaml-cpp/parser.h"

namespace splitft::spec {
namespace {

void AddAtLine(Problems& problems, int line, const std::string& text) {
  problems.Add("", absl::StrCat("line ", line, ": ", text));
}

// Builds nodes out of yaml-cpp's events and notes what it refuses. The events of one document arrive in order, so the
// containers that are open form a stack.
class NodeBuilder : public YAML::EventHandler {
 public:
  explicit NodeBuilder(Problems& problems) : problems_(problems) {}

  Node TakeRoot() { return std::move(root_); }
  bool too_deep() const { return too_deep_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) {
      Refuse(mark, "more after the end of the document; a manifest is one document");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    CheckPlainData(mark, "?", anchor);
    Place(Node{.line = LineOf(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Refuse(mark, "an alias (*); write the value out");
    Place(Node{.line = LineOf(mark)});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // yaml-cpp marks a scalar without a tag "?" when it is plain and "!" when it is quoted or a block.
    const bool quoted = tag == "!";
    CheckPlainData(mark, quoted ? "?" : tag, anchor);
    Place(Node{.kind = Node::Kind::kScalar, .text = value, .plain = !quoted, .line = LineOf(mark)});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, Node::Kind::kMapping);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct OpenNode {
    Node node;
    bool has_key = false;        // a mapping whose last key waits for its value
    std::vector<int> key_lines;  // one per key
  };

  static int LineOf(const YAML::Mark& mark) { return mark.line + 1; }

  void Refuse(const YAML::Mark& mark, const std::string& text) { AddAtLine(problems_, LineOf(mark), text); }

  void CheckPlainData(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      Refuse(mark, "an anchor (&); write the value out where it is used");
    }
    if (tag != "?" && !tag.empty()) {
      Refuse(mark, absl::StrCat("the tag ", Shortened(tag), "; tags are not allowed"));
    }
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    CheckPlainData(mark, tag, anchor);
    if (open_.size() == static_cast<size_t>(kDeepestNesting) && !too_deep_) {
      // Once: what lies deeper is still parsed, by yaml-cpp's own limit, but only its shape.
      too_deep_ = true;
      Refuse(mark, absl::StrCat("nested more than ", kDeepestNesting, " deep"));
    }
    open_.push_back({.node = {.kind = kind, .line = LineOf(mark)}});
  }

  void Close() {
    OpenNode closed = std::move(open_.back());
    open_.pop_back();
    RefuseRepeatedKeys(closed);
    Place(std::move(closed.node));
  }

  // Puts a finished node where the innermost open container waits for one.
  void Place(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == Node::Kind::kMapping && !parent.has_key) {
      PlaceKey(parent, node);
      return;
    }
    parent.has_key = false;
    parent.node.items.push_back(std::move(node));
  }

  void PlaceKey(OpenNode& parent, const Node& key) {
    if (key.kind != Node::Kind::kScalar) {
      AddAtLine(problems_, key.line, "a key that is not a string");
    } else if (key.plain && key.text == "<<") {
      AddAtLine(problems_, key.line, "a merge key (<<); write the fields out");
    }
    parent.node.keys.push_back(key.text);
    parent.key_lines.push_back(key.line);
    parent.has_key = true;
  }

  void RefuseRepeatedKeys(const OpenNode& closed) {
    const std::vector<std::string>& keys = closed.node.keys;
    std::vector<size_t> order(keys.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&keys](size_t a, size_t b) { return keys[a] < keys[b]; });
    for (size_t i = 1; i < order.size(); ++i) {
      if (keys[order[i]] == keys[order[i - 1]]) {
        AddAtLine(problems_, closed.key_lines[order[i]],
                  absl::StrCat("the key ", Shortened(keys[order[i]]), " for the second time; the first is on line ",
                               closed.key_lines[order[i - 1]]));
      }
    }
  }

  Problems& problems_;
  std::vector<OpenNode> open_;
  Node root_;
  int documents_ = 0;
  bool too_deep_ = false;
};

// Bytes of the UTF-8 sequence that starts `text` (RFC 3629: shortest form, no surrogates, up to U+10FFFF); 0: none
// does.
size_t SequenceLength(std::string_view text) {
  const auto byte = [text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto continues = [&byte](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return continues(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const bool shortest = first != 0xE0 || byte(1) >= 0xA0;
    const bool surrogate = first == 0xED && byte(1) >= 0xA0;
    return shortest && !surrogate && continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool in_range = (first != 0xF0 || byte(1) >= 0x90) && (first != 0xF4 || byte(1) <= 0x8F);
    return in_range && continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

int LineCount(std::string_view text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n')) + (text.ends_with('\n') ? 0 : 1);
}

// Notes the first byte that no manifest may have.
void CheckBytes(std::string_view yaml, Problems& problems) {
  int line = 1;
  for (size_t i = 0; i < yaml.size();) {
    const auto byte = static_cast<unsigned char>(yaml[i]);
    const size_t length = SequenceLength(yaml.substr(i, 4));
    if (length == 0) {
      AddAtLine(problems, line, absl::StrFormat("the byte 0x%02x is not UTF-8", byte));
      return;
    }
    if (byte != '\n' && byte != '\t' && byte != '\r' && IsControl(yaml[i])) {
      AddAtLine(problems, line, absl::StrFormat("the control character 0x%02x", byte));
      return;
    }
    line += byte == '\n' ? 1 : 0;
    i += length;
  }
}

}  // namespace

const Node* Node::Find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

Node* Node::Find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).Find(key)); }

Node ParseDocument(std::string_view yaml, size_t limit_bytes, Problems& problems) {
  if (yaml.size() > limit_bytes) {
    problems.Add("",
                 absl::StrCat("the manifest is ", yaml.size(), " bytes long; at most ", limit_bytes, " are allowed"));
    return {};
  }
  CheckBytes(yaml, problems);
  if (!problems.empty()) {
    return {};
  }
  NodeBuilder builder(problems);
  // An end that is marked: without it yaml-cpp closes a quote that the document leaves open.
  std::istringstream stream(absl::StrCat(std::string(yaml), yaml.ends_with('\n') ? "" : "\n", "...\n"));
  try {
    YAML::Parser parser(stream);
    while (problems.empty() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (builder.too_deep()) {
      return {};  // yaml-cpp's own limit, a little later
    }
    AddAtLine(problems, std::min(error.mark.line + 1, LineCount(yaml)),
              error.msg == YAML::ErrorMsg::DOC_IN_SCALAR ? "a quote that is not closed"
                                                         : absl::StrCat("not YAML: ", error.msg));
  }
  return builder.TakeRoot();
}

}  // namespace splitft::spec
