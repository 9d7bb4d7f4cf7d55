#include "cli/command.h"
#include "cli/help.h"
#include "libs/base/status_macros.h"

namespace splitft::cli {
namespace {

absl::Status Complete(const Arguments& arguments, const CommandContext& context) {
  SPLITFT_ASSIGN_OR_RETURN(const std::string script, FormatCompletion(*arguments.positional(), CommandSpecs()));
  context.out << script;
  return absl::OkStatus();
}

}  // namespace

Command CompletionCommand() {
  return {.spec = {.name = "completion",
                   .summary = "Print a completion script for a shell",
                   .positional = "SHELL",
                   .positional_choices = {"bash", "zsh", "fish"},
                   .examples = {{.command = "source <(splitft completion bash)", .what = "in this bash"},
                                {.command = "splitft completion zsh > ~/.zfunc/_splitft", .what = "for every zsh"},
                                {.command = "splitft completion fish | source", .what = "in this fish"}}},
          .run = &Complete};
}

}  // namespace splitft::cli
