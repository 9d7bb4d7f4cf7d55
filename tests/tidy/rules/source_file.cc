#include "tests/tidy/rules/source_file.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"

namespace splitft::tidy {
namespace {

constexpr size_t kLimitBytes = 1 << 20;

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Walks the text once and copies only what is code; everything else becomes a blank of the same width.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : text_(text) {}

  std::string Run() {
    while (at_ < text_.size()) {
      if (Starts("//")) {
        BlankUntil("\n", 0);
      } else if (Starts("/*")) {
        BlankUntil("*/", 2);
      } else if (Starts("R\"") && (at_ == 0 || !IsWord(text_[at_ - 1]))) {
        BlankRawString();
      } else if (text_[at_] == '"' || IsCharacterQuote()) {
        BlankLiteral(text_[at_]);
      } else {
        code_.push_back(text_[at_++]);
      }
    }
    return std::move(code_);
  }

 private:
  bool Starts(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  // An apostrophe after a letter or digit separates digits: 1'000.
  bool IsCharacterQuote() const { return text_[at_] == '\'' && (at_ == 0 || !IsWord(text_[at_ - 1])); }

  void Blank(size_t count) {
    for (; count > 0 && at_ < text_.size(); --count, ++at_) {
      code_.push_back(text_[at_] == '\n' ? '\n' : ' ');
    }
  }

  void BlankUntil(std::string_view end, size_t beyond) {
    const size_t found = text_.find(end, at_);
    Blank(found == std::string_view::npos ? text_.size() - at_ : found + beyond - at_);
  }

  void BlankRawString() {
    const size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) {
      return BlankUntil("\n", 0);
    }
    const std::string delimiter(text_.substr(at_ + 2, open - at_ - 2));
    BlankUntil(absl::StrCat(")", delimiter, "\""), delimiter.size() + 2);
  }

  void BlankLiteral(char quote) {
    code_.push_back(text_[at_++]);
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      Blank(text_[at_] == '\\' ? 2 : 1);
    }
    if (at_ < text_.size() && text_[at_] == quote) {
      code_.push_back(text_[at_++]);
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string code_;
};

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool IsSource(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cc" || extension == ".cu" || extension == ".cuh";
}

}  // namespace

std::string Format(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& violation : violations) {
    absl::StrAppend(&text, violation.path, ":", violation.line, ": ", violation.message, "\n");
  }
  return text;
}

SourceFile ParseSource(std::string path, std::string_view text) {
  SourceFile file{.path = std::move(path), .lines = SplitLines(text), .code = SplitLines(Blanker(text).Run())};
  file.code.resize(file.lines.size());
  return file;
}

absl::StatusOr<std::vector<SourceFile>> ReadTree(const std::filesystem::path& root) {
  if (!std::filesystem::is_directory(root / "libs")) {
    return absl::NotFoundError(absl::StrCat("\"", root.string(), "\" has no libs folder: not the tree's root"));
  }
  std::vector<SourceFile> files;
  for (const char* folder : {"aggregator", "api", "cli", "libs", "operator", "tests", "worker"}) {
    if (!std::filesystem::is_directory(root / folder)) {
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !IsSource(entry.path())) {
        continue;
      }
      SPLITFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(entry.path(), kLimitBytes));
      files.push_back(ParseSource(entry.path().lexically_relative(root).generic_string(), text));
    }
  }
  std::sort(files.begin(), files.end(), [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

bool IsUnder(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace splitft::tidy
