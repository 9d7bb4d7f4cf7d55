#pragma once

#include <ostream>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "cli/arguments.h"
#include "libs/base/clock.h"

namespace splitft::cli {

// What a command has of the world around it.
struct CommandContext {
  std::ostream& out;
  std::ostream& err;
  const Clock& clock;
  std::string program;  // as the user called it
};

// A subcommand of splitft. Run prints its results to context.out; its error ends the program with the ExitCode it is
// marked with.
struct Command {
  CommandSpec spec;
  absl::Status (*run)(const Arguments& arguments, const CommandContext& context);
};

Command RunCommand();
Command ValidateCommand();
Command PartitionCommand();
Command GenerateCommand();
Command DecisionsCommand();
Command SimulateCommand();
Command VersionCommand();
Command CompletionCommand();

// All of them, in the order of help.
std::span<const Command> Commands();
std::span<const CommandSpec> CommandSpecs();

}  // namespace splitft::cli
