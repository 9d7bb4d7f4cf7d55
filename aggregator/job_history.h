#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/proto/control.pb.h"

namespace splitft::aggregator {

// What report.html shows of a job, in bounded memory whatever the job's length: a curve of at most Options::max_points
// points, each the summary of the same number of consecutive steps (which doubles as the job grows), and totals per
// client.
class JobHistory {
 public:
  struct Options {
    int max_points = 1000;
  };

  struct ClientPoint {
    double loss_sum = 0;  // over the steps the client took part in
    int64_t steps = 0;
    int cut_layer = 0;  // after the last of the steps
  };
  // Steps first_step .. last_step.
  struct Point {
    int64_t first_step = 0;
    int64_t last_step = 0;
    int64_t steps = 0;  // events; fewer than the steps where a resumed job's history starts late
    double loss_sum = 0;
    double loss_min = 0;
    double loss_max = 0;
    double seconds = 0;
    int64_t tokens = 0;
    double learning_rate = 0;          // of the last step
    std::vector<ClientPoint> clients;  // as in clients()
  };
  struct Evaluation {
    int64_t step = 0;
    double loss = 0;
  };
  struct ClientTotals {
    std::string name;
    std::string codec;
    int64_t steps = 0;
    int64_t tokens = 0;
    double head_forward_seconds = 0;
    double tail_seconds = 0;
    double head_backward_seconds = 0;
    double wait_seconds = 0;
    int64_t bytes_up = 0;
    int64_t bytes_down = 0;
    int64_t peak_memory_bytes = 0;
    std::map<std::string, int64_t> bytes_by_kind;
  };
  struct Totals {
    int64_t steps = 0;
    int64_t tokens = 0;
    double seconds = 0;
    double server_forward_seconds = 0;
    double server_backward_seconds = 0;
    double server_wait_seconds = 0;
    double first_loss = 0;  // mean of the first (at most) ten steps
    double last_loss = 0;   // mean of the last (at most) ten steps
  };

  JobHistory() = default;
  explicit JobHistory(Options options) : options_(options) {}

  // Takes note of one step. Events without figures, or of a step already noted, change nothing.
  void Add(const control::JobEvent& event);

  const std::vector<Point>& points() const { return points_; }
  const std::vector<Evaluation>& evaluations() const { return evaluations_; }
  // In the order of their first appearance.
  const std::vector<ClientTotals>& clients() const { return clients_; }
  Totals totals() const;

 private:
  size_t ClientIndex(const std::string& name);
  void AddToCurve(const control::JobEvent& event);
  void AddToTotals(const control::JobEvent& event);
  void HalveCurve();
  void HalveEvaluations();

  Options options_;
  int64_t steps_per_point_ = 1;
  std::vector<Point> points_;
  std::vector<Evaluation> evaluations_;
  std::vector<ClientTotals> clients_;
  std::map<std::string, size_t> client_index_;
  Totals totals_;
  std::vector<double> first_losses_;  // at most ten
  std::vector<double> last_losses_;   // at most ten, oldest first
  int64_t last_step_ = 0;
};

}  // namespace splitft::aggregator
