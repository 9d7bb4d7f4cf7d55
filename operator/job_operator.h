#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "libs/base/clock.h"
#include "libs/kube/controller.h"
#include "libs/kube/transport.h"
#include "libs/kube/watch.h"
#include "libs/telemetry/log.h"
#include "operator/cluster_view.h"
#include "operator/decide/snapshot.h"
#include "operator/figures_poller.h"
#include "operator/operator_metrics.h"

namespace splitft::controller {

struct JobOperatorOptions {
  std::string name_space;  // whose jobs; empty: all
  std::string identity;    // in events
  int64_t term = 0;        // of leadership: plans of an earlier one are not followed after a later one's
  int workers = 8;
  OperatorSettings settings;
  kube::WatchMachine::Options watch;
  kube::WorkQueue::Options queue;
};

// Everything that works on jobs, from the caches to the workers.
class JobOperator {
 public:
  struct Parts {  // all outlive the operator
    kube::Transport& transport;
    const Clock& clock;
    const telemetry::Log& log;
    const OperatorMetrics& metrics;
    FiguresPoller* figures = nullptr;  // null: the scheduler goes by what aggregators say
  };
  JobOperator(Parts parts, JobOperatorOptions options) : parts_(parts), options_(std::move(options)) {}

  // Works until `stop`, and then finishes what is under way.
  void Run(const std::stop_token& stop);

 private:
  ClusterView::Options ViewOptions() const;
  void Note(const kube::Controller::Outcome& outcome) const;

  const Parts parts_;
  const JobOperatorOptions options_;
};

}  // namespace splitft::controller
