#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "libs/base/clock.h"
#include "libs/kube/controller.h"
#include "libs/kube/transport.h"
#include "libs/kube/watch.h"
#include "libs/telemetry/log.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

struct JobOperatorOptions {
  std::string name_space;  // whose jobs; empty: all
  std::string identity;    // in events
  int workers = 8;
  OperatorSettings settings;
  kube::WatchMachine::Options watch;
  kube::WorkQueue::Options queue;
};

// Everything that works on jobs, from the caches to the workers. `transport`, `clock` and `log` outlive Run.
class JobOperator {
 public:
  JobOperator(kube::Transport& transport, const Clock& clock, const telemetry::Log& log, JobOperatorOptions options)
      : transport_(transport), clock_(clock), log_(log), options_(std::move(options)) {}

  // Works until `stop`, and then finishes what is under way.
  void Run(const std::stop_token& stop);

 private:
  void Note(const kube::Controller::Outcome& outcome) const;

  kube::Transport& transport_;
  const Clock& clock_;
  const telemetry::Log& log_;
  const JobOperatorOptions options_;
};

}  // namespace splitft::controller
