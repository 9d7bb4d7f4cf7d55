#include "libs/telemetry/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "nlohmann/json.hpp"

namespace splitft::telemetry {
namespace {

using std::chrono::milliseconds;

// 2026-01-31T12:34:56.789Z for ever.
class StoppedClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(); }
  milliseconds WallTime() const override { return milliseconds(1769862896789); }
  void SleepFor(Duration) const override {}
};

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe(fds), 0);
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
  }
  // All that was written; closes the write end.
  std::string Drain() {
    write.Reset();
    std::string all;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(read.get(), buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<size_t>(got));
    }
    return all;
  }
  UniqueFd read;
  UniqueFd write;
};

LogLine Line(std::string_view message) {
  return {.wall_time = milliseconds(1769862896789),
          .level = LogLevel::kInfo,
          .program = "splitft-worker",
          .message = message};
}

TEST(LogLine, TextHasTimeLevelProgramMessageFields) {
  EXPECT_EQ(FormatLogLine(Line("client connected"),
                          {{"client", "bank"}, {"cut", 2}, {"share", 0.5}, {"resumed", false}}, LogFormat::kText),
            "2026-01-31T12:34:56.789Z info splitft-worker client connected client=bank cut=2 share=0.5 resumed=false");
}

TEST(LogLine, TextQuotesValuesThatWouldBreakTheLine) {
  EXPECT_EQ(FormatLogLine(Line("m"), {{"a", "two words"}, {"b", "line\nbreak"}, {"c", ""}, {"d", "x=\"y\""}},
                          LogFormat::kText),
            R"(2026-01-31T12:34:56.789Z info splitft-worker m a="two words" b="line\nbreak" c="" d="x=\"y\"")");
}

TEST(LogLine, MessageCannotForgeALine) {
  EXPECT_FALSE(absl::StrContains(FormatLogLine(Line("a\n2026 error x"), {}, LogFormat::kText), "\n"));
}

TEST(LogLine, JsonIsAnObjectWithTypedFields) {
  const auto json = nlohmann::json::parse(FormatLogLine(
      Line("said \"no\""), {{"client", "b\xff"}, {"cut", 2}, {"nan", std::numeric_limits<double>::quiet_NaN()}},
      LogFormat::kJson));
  EXPECT_EQ(json["time"], "2026-01-31T12:34:56.789Z");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["program"], "splitft-worker");
  EXPECT_EQ(json["message"], "said \"no\"");
  EXPECT_EQ(json["client"], "b\xEF\xBF\xBD");
  EXPECT_EQ(json["cut"], 2);
  EXPECT_TRUE(json["nan"].is_null());
}

TEST(Log, DropsLinesBelowItsLevel) {
  Pipe pipe;
  StoppedClock clock;
  const Log log({.program = "p", .level = LogLevel::kWarning, .fd = pipe.write.get()}, clock);
  log.Debug("one");
  log.Info("two");
  log.Warning("three");
  log.Error("four");
  EXPECT_EQ(pipe.Drain(), "2026-01-31T12:34:56.789Z warning p three\n2026-01-31T12:34:56.789Z error p four\n");
}

TEST(Log, CutsALineAtTheSizeThatIsWrittenAtOnce) {
  Pipe pipe;
  StoppedClock clock;
  const Log log({.program = "p", .fd = pipe.write.get()}, clock);
  log.Info(std::string(10000, 'x'));
  const std::string written = pipe.Drain();
  EXPECT_EQ(written.size(), 4096u);
  EXPECT_EQ(written.back(), '\n');
}

TEST(Log, LinesOfSeveralThreadsDoNotMix) {
  Pipe pipe;
  StoppedClock clock;
  const Log log({.program = "p", .fd = pipe.write.get()}, clock);
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i) {
      writers.emplace_back([&log, i] {
        for (int j = 0; j < 50; ++j) {
          log.Info(std::string(60, static_cast<char>('a' + i)));
        }
      });
    }
  }
  const std::string written = pipe.Drain();
  const std::vector<std::string> lines = absl::StrSplit(written, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), 200u);
  for (const std::string& line : lines) {
    EXPECT_EQ(line.size(), std::string_view("2026-01-31T12:34:56.789Z info p ").size() + 60);
    EXPECT_EQ(line.find_first_not_of(line.back(), line.size() - 60), std::string_view::npos);
  }
}

TEST(LogLevel, NamesRoundTripAndOthersAreRefused) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogLevel("error"), LogLevel::kError);
  EXPECT_THAT(std::string(ParseLogLevel("Loud").status().message()), testing::HasSubstr("\"Loud\""));
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_FALSE(ParseLogFormat("xml").ok());
}

}  // namespace
}  // namespace splitft::telemetry
