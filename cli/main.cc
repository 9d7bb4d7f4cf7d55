// splitft: the command line. docs/cli.md has its manual.

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/help.h"
#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

constexpr char kProgram[] = "splitft";

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (command.spec.name == name) {
      return &command;
    }
  }
  return nullptr;
}

absl::Status UnknownCommand(const std::string& name) {
  std::vector<std::string> names = {"help"};
  for (const CommandSpec& spec : CommandSpecs()) {
    names.push_back(spec.name);
  }
  const std::string near = ClosestWord(name, names);
  return UsageError(absl::StrCat("unknown command \"", name, "\"",
                                 near.empty() ? std::string() : absl::StrCat(" (did you mean ", near, "?)"),
                                 "; see `splitft help`"));
}

absl::Status Help(const std::vector<std::string>& words, const CommandContext& context) {
  if (words.size() < 2) {
    context.out << FormatOverview(CommandSpecs());
    return absl::OkStatus();
  }
  const Command* command = FindCommand(words[1]);
  if (command == nullptr) {
    return UnknownCommand(words[1]);
  }
  context.out << FormatCommandHelp(command->spec);
  return absl::OkStatus();
}

absl::Status Dispatch(const std::vector<std::string>& words, const CommandContext& context) {
  if (words.empty()) {
    context.err << FormatOverview(CommandSpecs());
    return UsageError("no command was given");
  }
  if (words[0] == "help" || words[0] == "--help" || words[0] == "-h") {
    return Help(words, context);
  }
  const Command* command = FindCommand(words[0] == "--version" ? "version" : words[0]);
  if (command == nullptr) {
    return UnknownCommand(words[0]);
  }
  const absl::StatusOr<Arguments> arguments =
      Arguments::Parse(command->spec, std::span<const std::string>(words).subspan(1));
  if (!arguments.ok()) {
    return arguments.status();
  }
  if (arguments->help()) {
    context.out << FormatCommandHelp(command->spec);
    return absl::OkStatus();
  }
  return command->run(*arguments, context);
}

// An error that lists several problems is a list for people; the last line says how many they are.
int Report(absl::Status status, const CommandContext& context) {
  context.out << std::flush;
  if (status.ok() && !context.out) {
    status = telemetry::WithExitCode(absl::DataLossError("cannot write to standard output: is its disk full?"),
                                     telemetry::ExitCode::kJobFailed);
  }
  const std::vector<std::string> lines = absl::StrSplit(std::string(status.message()), '\n', absl::SkipWhitespace());
  for (size_t i = 1; i < lines.size(); ++i) {
    context.err << "  " << lines[i] << "\n";
  }
  if (!status.ok()) {
    context.err << telemetry::ErrorLine(kProgram, lines.empty() ? "unknown" : lines[0]) << "\n";
  }
  return static_cast<int>(telemetry::ExitCodeOf(status));
}

}  // namespace
}  // namespace splitft::cli

int main(int argc, char** argv) {
  namespace cli = splitft::cli;
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const cli::CommandContext context{
      .out = std::cout, .err = std::cerr, .clock = splitft::SystemClock(), .program = argc > 0 ? argv[0] : "splitft"};
  return cli::Report(cli::Dispatch(words, context), context);
}
