#pragma once

#include <string>
#include <thread>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/log.h"
#include "operator/operator_metrics.h"
#include "operator/progress_hub.h"
#include "operator/prometheus.h"

namespace splitft::controller {

// Reads jobs' figures from Prometheus at its interval, in a thread of its own, and tells them to the hub of whoever
// leads. A Prometheus that does not answer keeps nobody waiting but the end of this.
class FiguresPoller {
 public:
  struct Parts {  // all outlive the poller
    const Clock& clock;
    const telemetry::Log& log;
    const OperatorMetrics& metrics;
  };
  FiguresPoller(Parts parts, const Prometheus& prometheus);

  // From now on `hub` is told, until Detach, after which it is not touched.
  void Attach(ProgressHub& hub) SPLITFT_EXCLUDES(mutex_);
  void Detach() SPLITFT_EXCLUDES(mutex_);

 private:
  void Poll(const std::stop_token& stop) SPLITFT_EXCLUDES(mutex_);
  bool IsWanted() SPLITFT_EXCLUDES(mutex_);

  const Parts parts_;
  const Prometheus& prometheus_;
  Mutex mutex_;
  ProgressHub* hub_ SPLITFT_GUARDED_BY(mutex_) = nullptr;
  std::jthread thread_;  // the last: it uses the others
};

}  // namespace splitft::controller
