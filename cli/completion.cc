#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/help.h"

namespace splitft::cli {
namespace {

bool TakesPath(const std::string& value_name) { return value_name == "FILE" || value_name == "DIR"; }

std::string Names(std::span<const CommandSpec> specs) {
  std::vector<std::string> names;
  for (const CommandSpec& spec : specs) {
    names.push_back(spec.name);
  }
  return absl::StrJoin(names, " ");
}

std::string FlagNames(const CommandSpec& spec) {
  std::vector<std::string> names;
  for (const Flag& flag : spec.flags) {
    names.push_back(flag.name);
  }
  names.push_back("--help");
  return absl::StrJoin(names, " ");
}

// `text` between single quotes, for any of the three shells.
std::string Quote(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string Bash(std::span<const CommandSpec> specs) {
  std::string script = absl::StrCat(
      "# splitft completion for bash: source <(splitft completion bash)\n"
      "_splitft() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W ",
      Quote(Names(specs)),
      " -- \"$current\"))\n"
      "    return\n"
      "  fi\n"
      "  case \"$command:$previous\" in\n");
  for (const CommandSpec& spec : specs) {
    for (const Flag& flag : spec.flags) {
      if (!flag.choices.empty()) {
        absl::StrAppend(&script, "    ", spec.name, ":", flag.name, ") COMPREPLY=($(compgen -W ",
                        Quote(absl::StrJoin(flag.choices, " ")), " -- \"$current\")); return ;;\n");
      } else if (TakesPath(flag.value_name)) {
        absl::StrAppend(&script, "    ", spec.name, ":", flag.name, ") COMPREPLY=($(compgen ",
                        flag.value_name == "DIR" ? "-d" : "-f", " -- \"$current\")); return ;;\n");
      } else if (!flag.value_name.empty()) {
        absl::StrAppend(&script, "    ", spec.name, ":", flag.name, ") return ;;\n");
      }
    }
  }
  absl::StrAppend(&script, "  esac\n  case \"$command\" in\n");
  for (const CommandSpec& spec : specs) {
    absl::StrAppend(&script, "    ", spec.name, ")\n      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W ",
                    Quote(FlagNames(spec)), " -- \"$current\"))\n");
    if (!spec.positional_choices.empty()) {
      absl::StrAppend(&script, "      else COMPREPLY=($(compgen -W ",
                      Quote(absl::StrJoin(spec.positional_choices, " ")), " -- \"$current\"))\n");
    } else if (!spec.positional.empty()) {
      absl::StrAppend(&script, "      else COMPREPLY=($(compgen -f -- \"$current\"))\n");
    }
    absl::StrAppend(&script, "      fi ;;\n");
  }
  return absl::StrCat(script, "  esac\n}\ncomplete -o filenames -F _splitft splitft\n");
}

// A description inside _arguments' brackets: its own special characters are escaped.
std::string ZshText(const std::string& text) {
  return absl::StrReplaceAll(text, {{"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}

std::string ZshAction(const std::vector<std::string>& choices, const std::string& value_name) {
  if (!choices.empty()) {
    return absl::StrCat("(", absl::StrJoin(choices, " "), ")");
  }
  if (!TakesPath(value_name)) {
    return " ";
  }
  return value_name == "DIR" ? "_files -/" : "_files";
}

std::string Zsh(std::span<const CommandSpec> specs) {
  std::string script =
      "#compdef splitft\n# splitft completion for zsh: save as _splitft in a folder of $fpath\n_splitft() {\n"
      "  local -a commands\n  commands=(\n";
  for (const CommandSpec& spec : specs) {
    absl::StrAppend(&script, "    ", Quote(absl::StrCat(spec.name, ":", ZshText(spec.summary))), "\n");
  }
  absl::StrAppend(&script,
                  "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
                  "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n");
  for (const CommandSpec& spec : specs) {
    absl::StrAppend(&script, "    ", spec.name, ")\n      _arguments");
    for (const Flag& flag : spec.flags) {
      const std::string value = flag.value_name.empty()
                                    ? ""
                                    : absl::StrCat(":", flag.value_name, ":", ZshAction(flag.choices, flag.value_name));
      absl::StrAppend(&script, " \\\n        ",
                      Quote(absl::StrCat(flag.repeated ? "*" : "", flag.name, "[", ZshText(flag.help), "]", value)));
    }
    if (!spec.positional.empty()) {
      absl::StrAppend(&script, " \\\n        ",
                      Quote(absl::StrCat("1:", spec.positional, ":", ZshAction(spec.positional_choices, "FILE"))));
    }
    absl::StrAppend(&script, " \\\n        '--help[show help]' ;;\n");
  }
  return absl::StrCat(
      script,
      "  esac\n}\nif [ \"$funcstack[1]\" = _splitft ]; then _splitft \"$@\"; else compdef _splitft splitft; fi\n");
}

std::string Fish(std::span<const CommandSpec> specs) {
  std::string script =
      "# splitft completion for fish: splitft completion fish | source\n"
      "function __splitft_no_command\n  test (count (commandline -opc)) -eq 1\nend\n"
      "function __splitft_command\n  set -l words (commandline -opc)\n"
      "  test (count $words) -ge 2; and test $words[2] = $argv[1]\nend\n";
  for (const CommandSpec& spec : specs) {
    absl::StrAppend(&script, "complete -c splitft -f -n __splitft_no_command -a ", spec.name, " -d ",
                    Quote(spec.summary), "\n");
    const std::string condition = absl::StrCat("'__splitft_command ", spec.name, "'");
    if (!spec.positional_choices.empty()) {
      absl::StrAppend(&script, "complete -c splitft -f -n ", condition, " -a ",
                      Quote(absl::StrJoin(spec.positional_choices, " ")), "\n");
    } else if (!spec.positional.empty()) {
      absl::StrAppend(&script, "complete -c splitft -F -n ", condition, "\n");
    }
    for (const Flag& flag : spec.flags) {
      absl::StrAppend(&script, "complete -c splitft -n ", condition, " -l ", flag.name.substr(2), " -d ",
                      Quote(flag.help));
      if (!flag.choices.empty()) {
        absl::StrAppend(&script, " -x -a ", Quote(absl::StrJoin(flag.choices, " ")));
      } else if (TakesPath(flag.value_name)) {
        absl::StrAppend(&script, " -r -F");
      } else if (!flag.value_name.empty()) {
        absl::StrAppend(&script, " -x");
      }
      absl::StrAppend(&script, "\n");
    }
  }
  return script;
}

}  // namespace

absl::StatusOr<std::string> FormatCompletion(const std::string& shell, std::span<const CommandSpec> specs) {
  if (shell == "bash") {
    return Bash(specs);
  }
  if (shell == "zsh") {
    return Zsh(specs);
  }
  if (shell == "fish") {
    return Fish(specs);
  }
  return UsageError(absl::StrCat("shell \"", shell, "\" is not one of bash, zsh, fish"));
}

}  // namespace splitft::cli
