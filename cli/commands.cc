#include <array>
#include <vector>

#include "cli/command.h"

namespace splitft::cli {

std::span<const Command> Commands() {
  static const std::array commands = {RunCommand(),       ValidateCommand(), PartitionCommand(), GenerateCommand(),
                                      DecisionsCommand(), SimulateCommand(), VersionCommand(),   CompletionCommand()};
  return commands;
}

std::span<const CommandSpec> CommandSpecs() {
  static const std::vector<CommandSpec> specs = [] {
    std::vector<CommandSpec> collected;
    for (const Command& command : Commands()) {
      collected.push_back(command.spec);
    }
    return collected;
  }();
  return specs;
}

}  // namespace splitft::cli
