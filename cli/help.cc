#include "cli/help.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace splitft::cli {
namespace {

constexpr size_t kWidth = 100;

// `text` broken at spaces into lines of at most kWidth columns, each after `indent` spaces, but the first.
std::string Wrap(const std::string& text, size_t indent) {
  std::string out;
  size_t column = indent;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(text, ' '))) {
    if (column > indent && column + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, "\n", std::string(indent, ' '));
      column = indent;
    } else if (column > indent) {
      out.push_back(' ');
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string FlagColumn(const Flag& flag) {
  return flag.value_name.empty() ? flag.name : absl::StrCat(flag.name, " ", flag.value_name);
}

std::string Pad(std::string text, size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

}  // namespace

std::string FormatCommandHelp(const CommandSpec& spec) {
  std::string usage = absl::StrCat("Usage: splitft ", spec.name);
  if (!spec.positional.empty()) {
    absl::StrAppend(&usage, spec.positional_required ? " " : " [", spec.positional,
                    spec.positional_required ? "" : "]");
  }
  if (!spec.flags.empty()) {
    absl::StrAppend(&usage, " [flags]");
  }
  std::string help = absl::StrCat(spec.summary, "\n\n", usage, "\n");
  if (!spec.details.empty()) {
    absl::StrAppend(&help, "\n", Wrap(spec.details, 0), "\n");
  }
  size_t width = std::string("--help").size();
  for (const Flag& flag : spec.flags) {
    width = std::max(width, FlagColumn(flag).size());
  }
  absl::StrAppend(&help, "\nFlags:\n");
  for (const Flag& flag : spec.flags) {
    absl::StrAppend(&help, "  ", Pad(FlagColumn(flag), width), "  ", Wrap(flag.help, width + 4), "\n");
  }
  absl::StrAppend(&help, "  ", Pad("--help", width), "  show this text\n");
  if (!spec.examples.empty()) {
    absl::StrAppend(&help, "\nExamples:\n");
    for (const Example& example : spec.examples) {
      absl::StrAppend(&help, "  # ", example.what, "\n  ", example.command, "\n");
    }
  }
  return help;
}

std::string FormatOverview(std::span<const CommandSpec> specs) {
  std::string help =
      "splitft fine-tunes a language model on text that stays with its owners.\n\nUsage: splitft COMMAND [flags]\n\n"
      "Commands:\n";
  size_t width = 0;
  for (const CommandSpec& spec : specs) {
    width = std::max(width, spec.name.size());
  }
  for (const CommandSpec& spec : specs) {
    absl::StrAppend(&help, "  ", Pad(spec.name, width), "  ", spec.summary, "\n");
  }
  absl::StrAppend(
      &help,
      "\n`splitft COMMAND --help` has a command's flags and examples.\n"
      "Exit codes: 0 done, 1 the job failed, 2 usage or manifest, 3 unusable model, data, adapter or output "
      "folder,\n            4 a peer was lost, 130 or 143 interrupted.\n");
  return help;
}

}  // namespace splitft::cli
