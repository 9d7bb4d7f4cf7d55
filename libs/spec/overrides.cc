#include "libs/spec/overrides.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/spec/scalars.h"
#include "libs/spec/suggestion.h"

namespace splitft::spec {
namespace {

constexpr size_t kLongestOverride = 64 * 1024;
constexpr size_t kMostOverrides = 1'000;

// One part of a path: a key, or an index in brackets.
struct Step {
  std::string key;
  std::optional<size_t> index;
};

// Appends the steps of `part`, which is a key with any number of indices ("clients[0]"). False: it is none.
bool AppendSteps(std::string_view part, std::vector<Step>& steps) {
  const size_t bracket = part.find('[');
  const std::string key(part.substr(0, bracket));
  if (key.empty()) {
    return false;
  }
  steps.push_back({.key = key});
  std::string_view rest = bracket == std::string_view::npos ? std::string_view() : part.substr(bracket);
  while (!rest.empty()) {
    const size_t end = rest.find(']');
    uint32_t index = 0;
    if (rest[0] != '[' || end == std::string_view::npos ||
        !absl::SimpleAtoi(std::string(rest.substr(1, end - 1)), &index)) {
      return false;
    }
    steps.push_back({.index = index});
    rest.remove_prefix(end + 1);
  }
  return true;
}

// The steps of "training.steps" from the document's root; none: it is no path.
std::optional<std::vector<Step>> ParsePath(std::string_view path) {
  std::vector<Step> steps;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(std::string(path), '.'))) {
    if (!AppendSteps(part, steps)) {
      return std::nullopt;
    }
  }
  if (steps[0].key != "spec" || steps[0].index.has_value()) {
    steps.insert(steps.begin(), {.key = "spec"});
  }
  return steps.size() > 1 && steps.size() <= static_cast<size_t>(kDeepestNesting) ? std::optional(std::move(steps))
                                                                                  : std::nullopt;
}

// The element of `list` whose name field is `name`.
Node* ElementNamed(Node& list, std::string_view name) {
  for (Node& element : list.items) {
    const Node* its_name = element.Find("name");
    if (its_name != nullptr && its_name->kind == Node::Kind::kScalar && its_name->text == name) {
      return &element;
    }
  }
  return nullptr;
}

std::string NameAdvice(const Node& list, std::string_view name) {
  std::vector<std::string_view> names;
  for (const Node& element : list.items) {
    if (const Node* its_name = element.Find("name")) {
      names.push_back(its_name->text);
    }
  }
  const std::string_view nearest = Nearest(name, names);
  return nearest.empty() ? "" : absl::StrCat("; did you mean ", std::string(nearest), "?");
}

// Goes one step down from `node`. Null, and why in `error`, where there is nothing to go to.
Node* Descend(Node& node, const Step& step, std::string& error) {
  if (step.index.has_value()) {
    if (node.kind != Node::Kind::kList || *step.index >= node.items.size()) {
      error = node.kind == Node::Kind::kList
                  ? absl::StrCat("there is no element [", *step.index, "]; the list has ", node.items.size())
                  : absl::StrCat("[", *step.index, "] needs a list");
      return nullptr;
    }
    return &node.items[*step.index];
  }
  if (node.kind == Node::Kind::kList) {
    Node* element = ElementNamed(node, step.key);
    if (element == nullptr) {
      error = absl::StrCat("no element is named ", Shortened(step.key), NameAdvice(node, step.key));
    }
    return element;
  }
  if (node.kind == Node::Kind::kNull) {
    node.kind = Node::Kind::kMapping;
  }
  if (node.kind != Node::Kind::kMapping) {
    error = absl::StrCat(Shortened(step.key), " cannot be set in ", Show(node), ", which is not a mapping");
    return nullptr;
  }
  if (Node* found = node.Find(step.key)) {
    return found;
  }
  node.keys.push_back(step.key);
  return &node.items.emplace_back();
}

// Returns what is wrong, or nothing.
std::string Apply(std::string_view assignment, Node& document) {
  const size_t equals = assignment.find('=');
  std::optional<std::vector<Step>> steps;
  if (equals != std::string_view::npos && assignment.size() <= kLongestOverride) {
    steps = ParsePath(assignment.substr(0, equals));
  }
  if (!steps.has_value()) {
    return "expected PATH=VALUE, as in training.steps=50 or clients[0].cutLayer=3";
  }
  Problems in_value;
  Node value = ParseDocument(assignment.substr(equals + 1), kLongestOverride, in_value);
  if (!in_value.empty()) {
    return absl::StrCat("in the value, ", std::string(in_value.ToStatus().message()));
  }
  std::string error;
  Node* node = &document;
  for (const Step& step : *steps) {
    node = Descend(*node, step, error);
    if (node == nullptr) {
      return error;
    }
  }
  *node = std::move(value);
  return "";
}

}  // namespace

void ApplyOverrides(const std::vector<std::string>& overrides, Node& document, Problems& problems) {
  if (overrides.size() > kMostOverrides) {
    problems.Add("", absl::StrCat(overrides.size(), " overrides; at most ", kMostOverrides, " are allowed"));
    return;
  }
  for (const std::string& assignment : overrides) {
    if (const std::string error = Apply(assignment, document); !error.empty()) {
      problems.Add("", absl::StrCat("override ", Shortened(assignment), ": ", error));
    }
  }
}

}  // namespace splitft::spec
