#include "operator/figures_poller.h"

#include <utility>

#include "libs/kube/stoppable_wait.h"

namespace splitft::controller {

FiguresPoller::FiguresPoller(Parts parts, const Prometheus& prometheus)
    : parts_(parts), prometheus_(prometheus), thread_([this](const std::stop_token& stop) { Poll(stop); }) {}

void FiguresPoller::Attach(ProgressHub& hub) {
  const MutexLock lock(mutex_);
  hub_ = &hub;
}

void FiguresPoller::Detach() {
  const MutexLock lock(mutex_);
  hub_ = nullptr;
}

bool FiguresPoller::IsWanted() {
  const MutexLock lock(mutex_);
  return hub_ != nullptr && hub_->PlansAny();
}

void FiguresPoller::Poll(const std::stop_token& stop) {
  std::string last_error;
  while (!stop.stop_requested()) {
    kube::WaitUnlessStopped(parts_.clock.Now() + prometheus_.options().interval, stop);
    if (stop.stop_requested() || !IsWanted()) {
      continue;
    }
    const absl::StatusOr<MeasuredJobs> jobs = prometheus_.Read();
    parts_.metrics.Measured(jobs.ok());
    if (const std::string error(jobs.status().message()); std::exchange(last_error, error) != error) {
      jobs.ok() ? parts_.log.Info("figures are read again") : parts_.log.Warning("figures", {{"error", error}});
    }
    const MutexLock lock(mutex_);
    if (hub_ != nullptr) {
      hub_->Measured(jobs);
    }
  }
}

}  // namespace splitft::controller
