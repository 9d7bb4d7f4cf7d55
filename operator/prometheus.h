#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/kube/object.h"
#include "libs/kube/transport.h"
#include "libs/scheduler/figures.h"
#include "libs/spec/job.h"

namespace splitft::controller {

// The samples of one job's series, under `metric`, `metric client`, `metric value-of-the-other-label` or `metric client
// value-of-the-other-label`.
using JobSamples = std::map<std::string, double>;
using MeasuredJobs = std::map<kube::ObjectKey, JobSamples>;

// Reads an answer of Prometheus' /api/v1/query (https://prometheus.io/docs/prometheus/latest/querying/api/): the
// splitft_ series of an instant vector, by their labels `namespace` and `job`. What is not to be trusted is an error
// that says why: another HTTP status, no JSON, an error, warnings, no vector, an answer as of another time than `now`,
// by more than kMostClockSkew. How old the samples are Prometheus does not say.
inline constexpr Duration kMostClockSkew = std::chrono::minutes(2);
absl::StatusOr<MeasuredJobs> ParseAnswer(const kube::Response& response, Duration now);

// The figures of the last step that was scraped. NotFound names the series that is missing, InvalidArgument the one
// whose value is none.
absl::StatusOr<scheduler::StepFigures> FiguresOf(const JobSamples& samples, const spec::FineTuneJob& job);

// The series of all that FiguresOf needs, of every job.
std::string DefaultQuery();

// Where jobs' figures are read: one query for all of them.
class Prometheus {
 public:
  struct Options {
    // Answers with the series of docs/metrics.md that FiguresOf needs, as the aggregators have them; others are left
    // out.
    std::string query = DefaultQuery();
    Duration timeout = std::chrono::seconds(5);
    Duration interval = std::chrono::seconds(15);
  };
  // Both outlive this.
  Prometheus(kube::Transport& transport, const Clock& clock, Options options)
      : transport_(transport), clock_(clock), options_(std::move(options)) {}

  // ParseAnswer's errors, and those of the connection.
  absl::StatusOr<MeasuredJobs> Read() const;
  const Options& options() const { return options_; }

 private:
  kube::Transport& transport_;
  const Clock& clock_;
  const Options options_;
};

}  // namespace splitft::controller
