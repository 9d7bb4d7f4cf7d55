#include "cli/arguments.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/spec/suggestion.h"
#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

const Flag* FindFlag(const CommandSpec& spec, const std::string& name) {
  for (const Flag& flag : spec.flags) {
    if (flag.name == name) {
      return &flag;
    }
  }
  return nullptr;
}

absl::Status UnknownFlag(const CommandSpec& spec, const std::string& name) {
  std::vector<std::string> names;
  for (const Flag& flag : spec.flags) {
    names.push_back(flag.name);
  }
  const std::string near = ClosestWord(name, names);
  return UsageError(absl::StrCat("unknown flag \"", name, "\" of `splitft ", spec.name, "`",
                                 near.empty() ? std::string() : absl::StrCat(" (did you mean ", near, "?)"),
                                 "; see `splitft ", spec.name, " --help`"));
}

struct Assignment {
  std::string name;
  std::optional<std::string> value;
};

Assignment SplitAssignment(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) {
    return {.name = word};
  }
  return {.name = word.substr(0, equals), .value = word.substr(equals + 1)};
}

}  // namespace

absl::StatusOr<Arguments> Arguments::Parse(const CommandSpec& spec, std::span<const std::string> words) {
  Arguments parsed;
  const auto flags_end = std::find(words.begin(), words.end(), "--");
  if (std::any_of(words.begin(), flags_end, [](const std::string& w) { return w == "--help" || w == "-h"; })) {
    parsed.help_ = true;
    return parsed;
  }
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!flags_ended && word == "--") {
      flags_ended = true;
      continue;
    }
    if (flags_ended || word.size() < 2 || word[0] != '-') {
      if (spec.positional.empty() || parsed.positional_.has_value()) {
        return UsageError(absl::StrCat("`splitft ", spec.name, "` takes ",
                                       spec.positional.empty() ? std::string("no argument") : "one " + spec.positional,
                                       "; \"", word, "\" is one too many"));
      }
      parsed.positional_ = word;
      continue;
    }
    Assignment given = SplitAssignment(word);
    const Flag* flag = FindFlag(spec, given.name);
    if (flag == nullptr) {
      return UnknownFlag(spec, given.name);
    }
    if (flag->value_name.empty() && given.value.has_value()) {
      return UsageError(absl::StrCat(flag->name, " takes no value"));
    }
    if (!flag->value_name.empty() && !given.value.has_value()) {
      if (i + 1 == words.size()) {
        return UsageError(absl::StrCat(flag->name, " needs a value: ", flag->name, " ", flag->value_name));
      }
      given.value = words[++i];
    }
    std::vector<std::string>& values = parsed.values_[flag->name];
    if (!values.empty() && !flag->repeated) {
      return UsageError(absl::StrCat(flag->name, " is given twice"));
    }
    values.push_back(given.value.value_or(""));
  }
  if (!spec.positional.empty() && spec.positional_required && !parsed.positional_.has_value()) {
    return UsageError(
        absl::StrCat("`splitft ", spec.name, "` needs a ", spec.positional, "; see `splitft ", spec.name, " --help`"));
  }
  return parsed;
}

std::string Arguments::Text(const std::string& flag, const std::string& fallback) const {
  const auto found = values_.find(flag);
  return found == values_.end() ? fallback : found->second.back();
}

std::vector<std::string> Arguments::All(const std::string& flag) const {
  const auto found = values_.find(flag);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

absl::StatusOr<int64_t> Arguments::Integer(const std::string& flag, int64_t fallback, int64_t least,
                                           int64_t most) const {
  if (!Has(flag)) {
    return fallback;
  }
  int64_t value = 0;
  const std::string text = Text(flag, "");
  if (!absl::SimpleAtoi(text, &value) || value < least || value > most) {
    return UsageError(absl::StrCat(flag, ": \"", text, "\" is not an integer from ", least, " to ", most));
  }
  return value;
}

absl::StatusOr<double> Arguments::Number(const std::string& flag, double fallback, double least, double most) const {
  if (!Has(flag)) {
    return fallback;
  }
  double value = 0;
  const std::string text = Text(flag, "");
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value) || value < least || value > most) {
    return UsageError(absl::StrCat(flag, ": \"", text, "\" is not a number from ", least, " to ", most));
  }
  return value;
}

std::string ClosestWord(const std::string& word, std::span<const std::string> candidates) {
  const std::vector<std::string_view> known(candidates.begin(), candidates.end());
  return std::string(spec::Nearest(word, known));
}

absl::Status UsageError(const std::string& message) {
  return telemetry::WithExitCode(absl::InvalidArgumentError(message), telemetry::ExitCode::kUsage);
}

}  // namespace splitft::cli
