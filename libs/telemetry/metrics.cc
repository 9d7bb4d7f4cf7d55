#include "libs/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <utility>

#include "libs/base/mutex.h"

namespace splitft::telemetry {
namespace {

prometheus::Labels Named(const std::vector<std::string>& names, LabelValues values) {
  if (names.size() != values.size()) {
    std::abort();
  }
  prometheus::Labels labels;
  for (size_t i = 0; i < names.size(); ++i) {
    labels.emplace(names[i], values.begin()[i]);
  }
  return labels;
}

}  // namespace

struct Counter::Family {
  prometheus::Family<prometheus::Counter>& series;
  std::vector<std::string> labels;
};

struct Gauge::Family {
  prometheus::Family<prometheus::Gauge>& series;
  std::vector<std::string> labels;
};

struct Histogram::Family {
  prometheus::Family<prometheus::Histogram>& series;
  std::vector<std::string> labels;
  std::vector<double> bounds;
};

// What makes prometheus-cpp throw is a name that is none, or that is there already: noexcept makes that an abort.

void Counter::Increment(LabelValues labels, double by) const noexcept {
  family_->series.Add(Named(family_->labels, labels)).Increment(by);
}

void Gauge::Set(LabelValues labels, double value) const noexcept {
  family_->series.Add(Named(family_->labels, labels)).Set(value);
}

void Histogram::Observe(LabelValues labels, double value) const noexcept {
  family_->series.Add(Named(family_->labels, labels), family_->bounds).Observe(value);
}

struct Metrics::State {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Throw};

  mutable Mutex mutex;
  CondVar text_ended;
  bool in_text SPLITFT_GUARDED_BY(mutex) = false;
  std::vector<const std::function<void()>*> refreshes SPLITFT_GUARDED_BY(mutex);
  // Deques: handles point into them.
  std::deque<Counter::Family> counters SPLITFT_GUARDED_BY(mutex);
  std::deque<Gauge::Family> gauges SPLITFT_GUARDED_BY(mutex);
  std::deque<Histogram::Family> histograms SPLITFT_GUARDED_BY(mutex);
  std::vector<Registered> registered SPLITFT_GUARDED_BY(mutex);

  void WaitForTextLocked() SPLITFT_REQUIRES(mutex) {
    while (in_text) {
      text_ended.WaitUntil(mutex, TimePoint::max());
    }
  }
};

struct Metrics::Refresh::Entry {
  Entry(State& state, std::function<void()> refresh) : state(state), refresh(std::move(refresh)) {}
  State& state;
  const std::function<void()> refresh;
};

Metrics::Refresh::Refresh(std::unique_ptr<Entry> entry) : entry_(std::move(entry)) {
  const MutexLock lock(entry_->state.mutex);
  entry_->state.WaitForTextLocked();
  entry_->state.refreshes.push_back(&entry_->refresh);
}

Metrics::Refresh::Refresh(Refresh&&) noexcept = default;

Metrics::Refresh::~Refresh() {
  if (entry_ != nullptr) {
    const MutexLock lock(entry_->state.mutex);
    entry_->state.WaitForTextLocked();
    std::erase(entry_->state.refreshes, &entry_->refresh);
  }
}

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter Metrics::AddCounter(MetricInfo info) noexcept {
  const MutexLock lock(state_->mutex);
  auto& series = prometheus::BuildCounter().Name(info.name).Help(info.help).Register(state_->registry);
  state_->counters.push_back({.series = series, .labels = info.labels});
  state_->registered.push_back({.info = std::move(info), .type = "counter"});
  return Counter(&state_->counters.back());
}

Gauge Metrics::AddGauge(MetricInfo info) noexcept {
  const MutexLock lock(state_->mutex);
  auto& series = prometheus::BuildGauge().Name(info.name).Help(info.help).Register(state_->registry);
  state_->gauges.push_back({.series = series, .labels = info.labels});
  state_->registered.push_back({.info = std::move(info), .type = "gauge"});
  return Gauge(&state_->gauges.back());
}

Histogram Metrics::AddHistogram(MetricInfo info, std::vector<double> bounds) noexcept {
  const MutexLock lock(state_->mutex);
  auto& series = prometheus::BuildHistogram().Name(info.name).Help(info.help).Register(state_->registry);
  state_->histograms.push_back({.series = series, .labels = info.labels, .bounds = std::move(bounds)});
  state_->registered.push_back({.info = std::move(info), .type = "histogram"});
  return Histogram(&state_->histograms.back());
}

std::vector<Metrics::Registered> Metrics::registered() const {
  const MutexLock lock(state_->mutex);
  return state_->registered;
}

Metrics::Refresh Metrics::BeforeText(std::function<void()> refresh) {
  return Refresh(std::make_unique<Refresh::Entry>(*state_, std::move(refresh)));
}

std::string Metrics::Text() {
  std::vector<const std::function<void()>*> refreshes;
  {
    const MutexLock lock(state_->mutex);
    state_->WaitForTextLocked();
    state_->in_text = true;
    refreshes = state_->refreshes;
  }
  for (const std::function<void()>* refresh : refreshes) {
    (*refresh)();
  }
  {
    const MutexLock lock(state_->mutex);
    state_->in_text = false;
  }
  state_->text_ended.SignalAll();
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

std::vector<double> LatencyBounds() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
}

void AddBuildInfo(Metrics& metrics, std::string_view version) {
  metrics.AddGauge({"splitft_build_info", "Always 1; its label says which splitft this is.", {"version"}})
      .Set({version}, 1);
}

}  // namespace splitft::telemetry
