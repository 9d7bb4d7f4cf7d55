#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace splitft::telemetry {

// What Prometheus calls a metric: one series for each combination of its labels' values that was ever set. Those must
// be few: never a name that a user chose.
struct MetricInfo {
  std::string name;  // "splitft_operator_reconcile_total", with its unit: _seconds, _bytes; _total for a counter
  std::string help;
  std::vector<std::string> labels;  // their names
};

// The values of a metric's labels, in the order of their names; aborts where they are not as many.
using LabelValues = std::initializer_list<std::string_view>;

// Handles to metrics, which belong to their Metrics. Thread-safe; a series begins at 0 when it is first named.

class Counter {
 public:
  // `by` is not negative.
  void Increment(LabelValues labels = {}, double by = 1) const noexcept;

 private:
  friend class Metrics;
  struct Family;
  explicit Counter(Family* family) : family_(family) {}
  Family* family_;
};

class Gauge {
 public:
  void Set(LabelValues labels, double value) const noexcept;
  void Set(double value) const { Set({}, value); }

 private:
  friend class Metrics;
  struct Family;
  explicit Gauge(Family* family) : family_(family) {}
  Family* family_;
};

class Histogram {
 public:
  void Observe(LabelValues labels, double value) const noexcept;
  void Observe(double value) const { Observe({}, value); }

 private:
  friend class Metrics;
  struct Family;
  explicit Histogram(Family* family) : family_(family) {}
  Family* family_;
};

// The metrics of one program, and their text for Prometheus. Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  // Each name once; aborts for a second time, or for a name that Prometheus does not take.
  Counter AddCounter(MetricInfo info) noexcept;
  Gauge AddGauge(MetricInfo info) noexcept;
  // `bounds`: the upper bounds of its buckets, ascending, without infinity.
  Histogram AddHistogram(MetricInfo info, std::vector<double> bounds) noexcept;

  // What was added, in that order, as docs/metrics.md lists it.
  struct Registered {
    MetricInfo info;
    std::string type;  // "counter", "gauge", "histogram"
  };
  std::vector<Registered> registered() const;

  // Keeps a refresh until the end of its life, which waits for a call that is under way.
  class Refresh {
   public:
    Refresh(Refresh&&) noexcept;
    Refresh& operator=(Refresh&&) = delete;
    ~Refresh();

   private:
    friend class Metrics;
    struct Entry;
    explicit Refresh(std::unique_ptr<Entry> entry);
    std::unique_ptr<Entry> entry_;
  };
  // Calls `refresh` at the beginning of each Text, for what is counted only when somebody asks. It must be quick, and
  // may neither call Text nor begin or end a Refresh.
  [[nodiscard]] Refresh BeforeText(std::function<void()> refresh);

  // Everything in Prometheus' text format 0.0.4.
  std::string Text();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Bounds in seconds for what takes milliseconds, and at worst half a minute.
std::vector<double> LatencyBounds();

// Adds splitft_build_info, whose value is 1.
void AddBuildInfo(Metrics& metrics, std::string_view version);

}  // namespace splitft::telemetry
