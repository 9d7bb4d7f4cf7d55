#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace splitft::cli {

// A flag of a command: "--out DIR", or a switch ("--json") where value_name is empty.
struct Flag {
  std::string name;        // with its dashes
  std::string value_name;  // empty: a switch
  std::string help;
  bool repeated = false;             // may be given several times
  std::vector<std::string> choices;  // for completion; empty: anything (files, where value_name is FILE or DIR)
};

struct Example {
  std::string command;
  std::string what;
};

// What a command takes, for parsing, help and completion alike.
struct CommandSpec {
  std::string name;
  std::string summary;     // one line
  std::string details;     // a paragraph, may be empty
  std::string positional;  // name of the one positional argument; empty: takes none
  bool positional_required = true;
  std::vector<std::string> positional_choices;  // empty: a file
  std::vector<Flag> flags;
  std::vector<Example> examples;
};

// A parsed command line of one command. Every flag also understands "--name=value"; "--" ends the flags.
class Arguments {
 public:
  // InvalidArgument, marked kUsage: an unknown flag (with a suggestion), a missing or superfluous value or argument, a
  // flag given twice.
  static absl::StatusOr<Arguments> Parse(const CommandSpec& spec, std::span<const std::string> words);

  // Whether --help or -h was given; then nothing else was checked.
  bool help() const { return help_; }
  const std::optional<std::string>& positional() const { return positional_; }
  bool Has(const std::string& flag) const { return values_.contains(flag); }
  // The flag's value, or `fallback` where it was not given.
  std::string Text(const std::string& flag, const std::string& fallback) const;
  std::vector<std::string> All(const std::string& flag) const;
  // InvalidArgument, marked kUsage, where the value is no number in [least, most].
  absl::StatusOr<int64_t> Integer(const std::string& flag, int64_t fallback, int64_t least, int64_t most) const;
  absl::StatusOr<double> Number(const std::string& flag, double fallback, double least, double most) const;

 private:
  bool help_ = false;
  std::optional<std::string> positional_;
  std::map<std::string, std::vector<std::string>> values_;
};

// The candidate that `word` is most likely a misspelling of; empty where none is near.
// meant.
std::string ClosestWord(const std::string& word, std::span<const std::string> candidates);

// An InvalidArgument that ends the program as wrong usage.
absl::Status UsageError(const std::string& message);

}  // namespace splitft::cli
