#include "libs/telemetry/log.h"

#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cmath>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace splitft::telemetry {
namespace {

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

std::string FormatTime(std::chrono::milliseconds wall_time) {
  const auto seconds = static_cast<std::time_t>(wall_time.count() / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                         parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>(wall_time.count() % 1000));
}

// JSON text of a string. Bytes that are no UTF-8 become U+FFFD, so that a log line is always valid.
std::string Quoted(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Number(double value, LogFormat format) {
  if (!std::isfinite(value) && format == LogFormat::kJson) {
    return "null";
  }
  return absl::StrFormat("%.6g", value);
}

std::string FormatValue(const LogField::Value& value, LogFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    bool plain = !text->empty() && format == LogFormat::kText;
    for (const char c : *text) {
      plain = plain && c > ' ' && c != '"' && c != '\\' && c != '=' && c != 0x7F;
    }
    return plain ? std::string(*text) : Quoted(*text);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return Number(*number, format);
  }
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return absl::StrCat(*integer);
  }
  return std::get<bool>(value) ? "true" : "false";
}

// A message is words of our own and may carry names from outside: control characters must not forge lines.
std::string OneLine(std::string_view message) {
  std::string line(message);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      c = ' ';
    }
  }
  return line;
}

}  // namespace

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view name) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (name == LevelName(level)) {
      return level;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log level \"", std::string(name), "\" is not one of debug, info, warning, error"));
}

absl::StatusOr<LogFormat> ParseLogFormat(std::string_view name) {
  if (name == "text") {
    return LogFormat::kText;
  }
  if (name == "json") {
    return LogFormat::kJson;
  }
  return absl::InvalidArgumentError(absl::StrCat("log format \"", std::string(name), "\" is not one of text, json"));
}

std::string FormatLogLine(const LogLine& line, LogFields fields, LogFormat format) {
  if (format == LogFormat::kText) {
    std::string text = absl::StrCat(FormatTime(line.wall_time), " ", LevelName(line.level), " ",
                                    std::string(line.program), " ", OneLine(line.message));
    for (const LogField& field : fields) {
      absl::StrAppend(&text, " ", std::string(field.key), "=", FormatValue(field.value, format));
    }
    return text;
  }
  std::string json = absl::StrCat("{\"time\":\"", FormatTime(line.wall_time), "\",\"level\":\"", LevelName(line.level),
                                  "\",\"program\":", Quoted(line.program), ",\"message\":", Quoted(line.message));
  for (const LogField& field : fields) {
    absl::StrAppend(&json, ",", Quoted(field.key), ":", FormatValue(field.value, format));
  }
  return absl::StrCat(json, "}");
}

void Log::Write(LogLevel level, std::string_view message, LogFields fields) const {
  if (level < options_.level) {
    return;
  }
  std::string text =
      FormatLogLine({.wall_time = clock_.WallTime(), .level = level, .program = options_.program, .message = message},
                    fields, options_.format);
  text.resize(std::min<size_t>(text.size(), PIPE_BUF - 1));
  text.push_back('\n');
  // A log that cannot be written must not stop training: there is nobody left to tell.
  while (::write(options_.fd, text.data(), text.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace splitft::telemetry
