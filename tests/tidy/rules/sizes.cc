#include "tests/tidy/rules/sizes.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace splitft::tidy {
namespace {

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool ContainsWord(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool starts = at == 0 || !IsWord(text[at - 1]);
    const size_t end = at + word.size();
    if (starts && (end == text.size() || !IsWord(text[end]))) {
      return true;
    }
  }
  return false;
}

// The name before the first parenthesis: "splitft::Foo::Run" of "absl::Status splitft::Foo::Run(int a) const".
// Of the test macros, the arguments are the name: "TEST(Foo, Runs)".
std::string FunctionName(std::string_view head) {
  const size_t open = head.find('(');
  size_t begin = open;
  while (begin > 0 && (IsWord(head[begin - 1]) || head[begin - 1] == ':' || head[begin - 1] == '~')) {
    --begin;
  }
  const std::string_view name = head.substr(begin, open - begin);
  const bool is_test = name.starts_with("TEST");
  return std::string(is_test ? head.substr(begin, head.find(')', open) - begin + 1) : name);
}

// Follows the braces of one file. `head_` is the code since the last brace or semicolon: what a brace belongs to.
class FunctionFinder {
 public:
  explicit FunctionFinder(const SourceFile& file) : file_(file) {}

  std::vector<Measure> Run() {
    for (size_t i = 0; i < file_.code.size(); ++i) {
      line_ = static_cast<int>(i) + 1;
      const std::string& code = file_.code[i];
      if (IsDirective(code)) {
        continue;
      }
      for (const char c : code) {
        Take(c);
      }
      Take('\n');
    }
    return std::move(functions_);
  }

 private:
  bool IsDirective(const std::string& code) {
    const size_t first = code.find_first_not_of(" \t");
    const bool directive = in_directive_ || (first != std::string::npos && code[first] == '#');
    in_directive_ = directive && code.ends_with('\\');
    return directive;
  }

  void Take(char c) {
    switch (c) {
      case '{':
        return Open();
      case '}':
        return Close();
      case ';':
        head_.clear();
        return;
      case ':':
        if (head_ == "public" || head_ == "protected" || head_ == "private") {
          head_.clear();
          return;
        }
        [[fallthrough]];
      default:
        if (head_.empty() && std::isspace(static_cast<unsigned char>(c)) != 0) {
          return;
        }
        if (head_.empty()) {
          head_line_ = line_;
        }
        head_.push_back(c);
    }
  }

  void Open() {
    ++depth_;
    if (function_depth_ == 0 && IsFunctionHead()) {
      function_depth_ = depth_;
      functions_.push_back({absl::StrCat(file_.path, ":", FunctionName(head_)), file_.path, head_line_, 0});
    }
    head_.clear();
  }

  void Close() {
    if (depth_ == function_depth_) {
      functions_.back().lines = line_ - functions_.back().line + 1;
      function_depth_ = 0;
    }
    --depth_;
    head_.clear();
  }

  bool IsFunctionHead() const {
    const size_t open = head_.find('(');
    if (open == std::string::npos) {
      return false;
    }
    const std::string_view before(head_.data(), open);
    return std::none_of(std::begin(kNoFunction), std::end(kNoFunction),
                        [&](std::string_view word) { return ContainsWord(before, word); });
  }

  static constexpr std::string_view kNoFunction[] = {"namespace", "class", "struct", "union", "enum"};

  const SourceFile& file_;
  std::vector<Measure> functions_;
  std::string head_;
  int head_line_ = 0;
  int line_ = 0;
  int depth_ = 0;
  int function_depth_ = 0;
  bool in_directive_ = false;
};

// Checks one measure against its limit and its ratchet, and notes that the ratchet was needed.
void CheckMeasure(const Measure& measure, int limit, const Ratchet& ratchet, std::set<std::string>* used,
                  std::vector<Violation>* violations) {
  if (measure.lines <= limit) {
    return;
  }
  const auto entry = ratchet.find(measure.name);
  if (entry == ratchet.end()) {
    violations->push_back(
        {measure.path, measure.line,
         absl::StrCat(measure.name, " has ", measure.lines, " lines; at most ", limit, " are allowed")});
    return;
  }
  used->insert(measure.name);
  if (measure.lines > entry->second) {
    violations->push_back(
        {measure.path, measure.line,
         absl::StrCat(measure.name, " has ", measure.lines, " lines; it had ", entry->second, " and may only shrink")});
  } else if (measure.lines + kRatchetSlack < entry->second) {
    violations->push_back({measure.path, measure.line,
                           absl::StrCat(measure.name, " shrank to ", measure.lines,
                                        " lines: lower its entry in tests/tidy/ratchet.txt, now ", entry->second)});
  }
}

}  // namespace

absl::StatusOr<Ratchet> ParseRatchet(std::string_view text) {
  Ratchet ratchet;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    std::istringstream fields(line);
    int lines = 0;
    std::string name;
    if (!(fields >> lines) || !std::getline(fields >> std::ws, name) || !ratchet.emplace(name, lines).second) {
      return absl::InvalidArgumentError(absl::StrCat("ratchet: \"", line, "\" is not \"lines name\", or comes twice"));
    }
  }
  return ratchet;
}

Measure MeasureFile(const SourceFile& file) {
  return {.name = file.path, .path = file.path, .lines = static_cast<int>(file.lines.size())};
}

std::vector<Measure> MeasureFunctions(const SourceFile& file) { return FunctionFinder(file).Run(); }

std::vector<Violation> CheckSizes(const std::vector<SourceFile>& files, const Ratchet& ratchet) {
  std::vector<Violation> violations;
  std::set<std::string> used;
  for (const SourceFile& file : files) {
    const Measure whole = MeasureFile(file);
    if (whole.lines > kHardFileLines) {
      violations.push_back(
          {file.path, 0,
           absl::StrCat("has ", whole.lines, " lines; no file may have more than ", kHardFileLines, ": divide it")});
    } else {
      CheckMeasure(whole, kSoftFileLines, ratchet, &used, &violations);
    }
    for (const Measure& function : MeasureFunctions(file)) {
      CheckMeasure(function, kFunctionLines, ratchet, &used, &violations);
    }
  }
  for (const auto& [name, lines] : ratchet) {
    if (!used.contains(name)) {
      violations.push_back({"tests/tidy/ratchet.txt", 0, absl::StrCat("\"", name, "\" is not needed any more")});
    }
  }
  return violations;
}

}  // namespace splitft::tidy
