#include "aggregator/link_meter.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace splitft::aggregator {
namespace {

using protocol::FrameKind;

// Seconds per byte up, seconds per byte down, seconds per exchange.
constexpr size_t kUnknowns = 3;
using Vector = std::array<double, kUnknowns>;
// Faster than a byte per this is not measured.
constexpr double kLeastSecondsPerByte = 1e-12;

// To how much of it another part must bring the squared error.
constexpr double kLessByAnother = 0.9;

struct Row {
  Vector factors{};
  double value = 0;
};

// The unknowns in `mask`, the others zero, that make the sum of (factors * x - value)^2 least; nothing where the rows
// do not tell them apart. Gauss-Jordan on the normal equations.
std::optional<Vector> Solve(std::span<const Row> rows, unsigned mask) {
  std::array<std::array<double, kUnknowns + 1>, kUnknowns> a{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kUnknowns; ++i) {
      for (size_t j = 0; j < kUnknowns; ++j) {
        a[i][j] += row.factors[i] * row.factors[j];
      }
      a[i][kUnknowns] += row.factors[i] * row.value;
    }
  }
  const auto in = [&](size_t i) { return (mask >> i & 1U) != 0; };
  for (size_t i = 0; i < kUnknowns; ++i) {
    if (!in(i)) {
      continue;
    }
    double rest = 0;  // what elimination has left of the diagonal must not be rounding only
    for (const Row& row : rows) {
      rest += row.factors[i] * row.factors[i];
    }
    if (!(a[i][i] > 1e-9 * rest)) {
      return std::nullopt;
    }
    for (size_t k = 0; k < kUnknowns; ++k) {
      if (k == i || !in(k)) {
        continue;
      }
      const double factor = a[k][i] / a[i][i];
      for (size_t j = 0; j <= kUnknowns; ++j) {
        a[k][j] -= factor * a[i][j];
      }
    }
  }
  Vector x{};
  for (size_t i = 0; i < kUnknowns; ++i) {
    if (in(i)) {
      x[i] = a[i][kUnknowns] / a[i][i];
      if (!(x[i] >= 0)) {
        return std::nullopt;
      }
    }
  }
  return x;
}

double SquaredError(std::span<const Row> rows, const Vector& x) {
  double sum = 0;
  for (const Row& row : rows) {
    double error = -row.value;
    for (size_t i = 0; i < kUnknowns; ++i) {
      error += row.factors[i] * x[i];
    }
    sum += error * error;
  }
  return sum;
}

// Which frame an answer of `kind` answers.
std::optional<FrameKind> PromptOf(FrameKind kind) {
  switch (kind) {
    case FrameKind::kHiddenUp:
      return FrameKind::kStepBegin;
    case FrameKind::kGradientUp:
      return FrameKind::kHiddenDown;
    case FrameKind::kStepEnd:
      return FrameKind::kGradientDown;
    default:
      return std::nullopt;
  }
}

}  // namespace

void LinkMeter::Begin() {
  sent_.clear();
  step_.clear();
}

void LinkMeter::Sent(const protocol::FrameKey& key, int64_t bytes, TimePoint when) {
  sent_[{key.kind, key.microbatch}] = {.bytes = static_cast<double>(bytes), .when = when};
}

void LinkMeter::Received(const protocol::Frame& frame, TimePoint arrived) {
  const std::optional<FrameKind> prompt = PromptOf(frame.key.kind);
  if (!prompt.has_value() || !(frame.held_seconds > 0) || !std::isfinite(frame.held_seconds)) {
    return;
  }
  // A step's end answers the gradient that was sent last.
  const Departure* departure = nullptr;
  for (const auto& [key, candidate] : sent_) {
    const bool its =
        key.first == *prompt && (frame.key.kind == FrameKind::kStepEnd || key.second == frame.key.microbatch);
    if (its && (departure == nullptr || candidate.when > departure->when)) {
      departure = &candidate;
    }
  }
  if (departure == nullptr) {
    return;
  }
  const Exchange exchange{.up_bytes = static_cast<double>(frame.payload.bytes().size()),
                          .down_bytes = departure->bytes,
                          .seconds = std::max(0.0, Seconds(arrived - departure->when) - frame.held_seconds)};
  const auto [slot, is_new] = step_.emplace(frame.key.kind, exchange);
  const auto per_byte = [](const Exchange& e) { return e.seconds / (1 + e.up_bytes + e.down_bytes); };
  if (!is_new && per_byte(exchange) < per_byte(slot->second)) {
    slot->second = exchange;
  }
}

void LinkMeter::End() {
  if (step_.empty()) {
    return;
  }
  steps_.push_back(std::exchange(step_, {}));
  if (steps_.size() > kSteps) {
    steps_.pop_front();
  }
  std::vector<Exchange> exchanges;
  std::set<FrameKind> kinds;
  for (const auto& step : steps_) {
    for (const auto& [kind, exchange] : step) {
      exchanges.push_back(exchange);
      kinds.insert(kind);
    }
  }
  link_ = Fit(exchanges, kinds.size() >= kUnknowns);
}

scheduler::Link LinkMeter::Fit(std::span<const Exchange> exchanges, bool round_trip) {
  std::vector<Row> rows;
  for (const Exchange& exchange : exchanges) {
    // Relative errors: a slow step must not outweigh all others.
    const double weight = 1 / std::max(exchange.seconds, 1e-6);
    rows.push_back({.factors = {exchange.up_bytes * weight, exchange.down_bytes * weight, weight},
                    .value = exchange.seconds * weight});
  }
  Vector best{};
  double least = SquaredError(rows, best);
  for (const unsigned mask : {1U, 2U, 4U, 3U, 5U, 6U, 7U}) {
    if ((mask & 4U) != 0 && !round_trip) {
      continue;
    }
    const std::optional<Vector> x = Solve(rows, mask);
    if (x.has_value() && SquaredError(rows, *x) < kLessByAnother * least) {
      least = SquaredError(rows, *x);
      best = *x;
    }
  }
  const auto bandwidth = [](double seconds_per_byte) {
    return seconds_per_byte > kLeastSecondsPerByte ? 1 / seconds_per_byte : 0;
  };
  return {.up_bytes_per_second = bandwidth(best[0]),
          .down_bytes_per_second = bandwidth(best[1]),
          .round_trip_seconds = best[2]};
}

}  // namespace splitft::aggregator
