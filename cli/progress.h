#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/proto/control.pb.h"
#include "libs/base/clock.h"

namespace splitft::cli {

// Where a client's step goes, as shares that add up to 1 (or all 0 before the first step).
struct TimeShares {
  double head_forward = 0;
  double tail = 0;
  double head_backward = 0;
  double wait = 0;
};

struct ClientView {
  std::string name;
  bool connected = false;
  int cut_layer = 0;
  std::optional<double> loss;  // of its last batch
  double tokens_per_second = 0;
  int64_t bytes_up = 0;  // since the start
  int64_t bytes_down = 0;
  TimeShares time;
};

// A job in progress, as people see it.
struct JobView {
  std::string job;
  control::Phase phase = control::PHASE_UNSPECIFIED;
  int64_t step = 0;
  int64_t total_steps = 0;
  std::optional<double> loss;
  std::optional<double> eval_loss;
  double tokens_per_second = 0;
  Duration elapsed{};
  std::optional<Duration> left;  // known after a few steps
  std::vector<ClientView> clients;
};

// Turns the aggregator's events into a view: smooths rates, adds up bytes, estimates the end. Pure but for what it
// remembers.
class Progress {
 public:
  struct ClientStart {
    std::string name;
    int cut_layer = 0;
  };
  // `clients`: as the manifest has them, shown before they connect.
  Progress(std::string job, const std::vector<ClientStart>& clients, TimePoint start);

  void Add(const control::JobEvent& event, TimePoint now);
  JobView View(TimePoint now) const;

 private:
  void AddClient(const control::ClientState& state, double step_seconds, int64_t new_steps);

  JobView view_;
  TimePoint start_;
  std::map<std::string, size_t> client_index_;
  std::optional<TimePoint> last_step_time_;
  double seconds_per_step_ = 0;  // wall time, smoothed; 0: unknown
};

}  // namespace splitft::cli
