#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "cli/display.h"
#include "cli/progress.h"
#include "cli/screen.h"
#include "libs/base/clock.h"

namespace splitft::cli {

// Shows a job in progress.
class RunReporter {
 public:
  virtual ~RunReporter() = default;
  // The job moved on to `view`.
  virtual void OnProgress(const JobView& view) = 0;
  // A line for people: of splitft itself, or, with --verbose, of one of its processes.
  virtual void OnLine(const std::string& line) = 0;
  // Time has passed; returns when to call again, or nullopt when only progress matters.
  virtual std::optional<Duration> OnTick(const JobView& view, TimePoint now) = 0;
};

// Redraws a live area in place, at most ten times a second.
class LiveReporter final : public RunReporter {
 public:
  explicit LiveReporter(int terminal_fd) : screen_(terminal_fd) {}
  void OnProgress(const JobView& view) override;
  void OnLine(const std::string& line) override;
  std::optional<Duration> OnTick(const JobView& view, TimePoint now) override;

 private:
  Screen screen_;
  bool changed_ = true;
  std::optional<TimePoint> drawn_at_;
  control::Phase phase_ = control::PHASE_UNSPECIFIED;
};

// A line now and then, for logs.
class PlainReporter final : public RunReporter {
 public:
  explicit PlainReporter(std::ostream& out) : out_(out) {}
  void OnProgress(const JobView& view) override;
  void OnLine(const std::string& line) override;
  std::optional<Duration> OnTick(const JobView& view, TimePoint now) override;

 private:
  std::ostream& out_;
  PlainProgress progress_;
};

// One JSON object per event and line, for machines (docs/cli.md).
class JsonReporter final : public RunReporter {
 public:
  explicit JsonReporter(std::ostream& out) : out_(out) {}
  void OnProgress(const JobView& view) override;
  void OnLine(const std::string& line) override;
  std::optional<Duration> OnTick(const JobView& view, TimePoint now) override;

 private:
  std::ostream& out_;
};

// What JsonReporter writes for a view: {"event":"progress",...}, without a line break.
std::string ProgressJson(const JobView& view);

}  // namespace splitft::cli
