#pragma once

#include <span>
#include <string>

#include "cli/arguments.h"

namespace splitft::cli {

// What `splitft COMMAND --help` prints.
std::string FormatCommandHelp(const CommandSpec& spec);

// What `splitft help` prints: the commands, one line each.
std::string FormatOverview(std::span<const CommandSpec> specs);

// A script that completes commands, flags and their values in `shell` ("bash", "zsh" or "fish"). InvalidArgument for
// another.
absl::StatusOr<std::string> FormatCompletion(const std::string& shell, std::span<const CommandSpec> specs);

}  // namespace splitft::cli
