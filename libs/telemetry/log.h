#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"

namespace splitft::telemetry {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// "debug", "info", "warning" or "error"; "text" or "json". InvalidArgument for anything else.
absl::StatusOr<LogLevel> ParseLogLevel(std::string_view name);
absl::StatusOr<LogFormat> ParseLogFormat(std::string_view name);

// A named value of a log line. Borrows: build it in the call. Never a text, token or label of a client's data.
struct LogField {
  using Value = std::variant<std::string_view, int64_t, double, bool>;

  LogField(std::string_view key, std::string_view value) : key(key), value(value) {}
  LogField(std::string_view key, const std::string& value) : key(key), value(std::string_view(value)) {}
  LogField(std::string_view key, const char* value) : key(key), value(std::string_view(value)) {}
  LogField(std::string_view key, double value) : key(key), value(value) {}
  LogField(std::string_view key, bool value) : key(key), value(value) {}
  LogField(std::string_view key, std::integral auto value) : key(key), value(static_cast<int64_t>(value)) {}

  std::string_view key;
  Value value;
};
using LogFields = std::initializer_list<LogField>;

// One line, without its line break. Text: "2026-01-31T12:00:00.000Z info splitft-worker connected client=bank cut=2",
// values quoted where they hold spaces, quotes or control characters. JSON: an object with time, level, program,
// message and the fields.
struct LogLine {
  std::chrono::milliseconds wall_time;
  LogLevel level;
  std::string_view program;
  std::string_view message;
};
std::string FormatLogLine(const LogLine& line, LogFields fields, LogFormat format);

// Writes lines to a file descriptor, each in one write, so that lines of several threads and processes do not mix.
// Lines are cut at 4,096 bytes (PIPE_BUF). Immutable and thread-safe; passed as a const reference, never a global.
class Log {
 public:
  struct Options {
    std::string program;
    LogLevel level = LogLevel::kInfo;  // lines below it are dropped
    LogFormat format = LogFormat::kText;
    int fd = 2;  // borrowed
  };
  // `clock` must outlive the log.
  Log(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

  void Debug(std::string_view message, LogFields fields = {}) const { Write(LogLevel::kDebug, message, fields); }
  void Info(std::string_view message, LogFields fields = {}) const { Write(LogLevel::kInfo, message, fields); }
  void Warning(std::string_view message, LogFields fields = {}) const { Write(LogLevel::kWarning, message, fields); }
  void Error(std::string_view message, LogFields fields = {}) const { Write(LogLevel::kError, message, fields); }

 private:
  void Write(LogLevel level, std::string_view message, LogFields fields) const;

  const Options options_;
  const Clock& clock_;
};

}  // namespace splitft::telemetry
