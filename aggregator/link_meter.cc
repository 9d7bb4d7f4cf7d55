#include "aggregator/link_meter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
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

// How often queues and bandwidths are found from one another.
constexpr int kTurns = 4;
constexpr scheduler::Link kWhereAllQueue = {.up_bytes_per_second = 1, .down_bytes_per_second = 1};
constexpr double kRounding = 1e-6;
// Exchanges that took so much longer than the others' link explains count less: somebody's processor was busy.
constexpr double kLate = 0.2;
constexpr int kReweighings = 3;

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

double Explained(const Row& row, const Vector& x) {
  double sum = 0;
  for (size_t i = 0; i < kUnknowns; ++i) {
    sum += row.factors[i] * x[i];
  }
  return sum;
}

double SquaredError(std::span<const Row> rows, const Vector& x) {
  double sum = 0;
  for (const Row& row : rows) {
    const double error = Explained(row, x) - row.value;
    sum += error * error;
  }
  return sum;
}

// What explains the rows with the fewest parts.
Vector Best(std::span<const Row> rows, bool round_trip) {
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
  return best;
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

// One way of a wire: what enters while something is on its way comes out after it.
class Pipe {
 public:
  // 0: faster than can be measured.
  explicit Pipe(double bytes_per_second) : seconds_per_byte_(bytes_per_second > 0 ? 1 / bytes_per_second : 0) {}

  struct Passage {
    double begun = 0;   // when the busy period began
    double bytes = 0;   // since then, this frame's included
    double leaves = 0;  // the pipe
    bool is_first = false;
  };
  Passage Enter(double when, double bytes) {
    const bool is_first = !(when < last_.leaves);
    last_ = {.begun = is_first ? when : last_.begun,
             .bytes = (is_first ? 0 : last_.bytes) + bytes,
             .leaves = 0,
             .is_first = is_first};
    last_.leaves = last_.begun + last_.bytes * seconds_per_byte_;
    return last_;
  }

 private:
  const double seconds_per_byte_;
  Passage last_{.leaves = -std::numeric_limits<double>::infinity()};
};

}  // namespace

void LinkMeter::Begin() { step_ = {}; }

void LinkMeter::Sent(const protocol::FrameKey& key, int64_t bytes, TimePoint when) {
  step_.sent.push_back({.key = key, .bytes = static_cast<double>(bytes), .when = when});
}

void LinkMeter::Received(const protocol::Frame& frame, TimePoint arrived) {
  const FrameKind kind = frame.key.kind;
  const std::optional<FrameKind> prompt = PromptOf(kind);
  if (!prompt.has_value() || !(frame.held_seconds > 0) || !std::isfinite(frame.held_seconds)) {
    return;
  }
  // Of a step there is one begin, and its end answers the gradient that was sent last.
  for (size_t i = step_.sent.size(); i-- > 0;) {
    const protocol::FrameKey& key = step_.sent[i].key;
    if (key.kind == *prompt && (kind != FrameKind::kGradientUp || key.microbatch == frame.key.microbatch)) {
      step_.answers.push_back({.kind = kind,
                               .prompt = i,
                               .bytes = static_cast<double>(frame.payload.bytes().size()),
                               .held_seconds = frame.held_seconds,
                               .arrived = arrived});
      return;
    }
  }
}

void LinkMeter::End() {
  if (step_.answers.empty()) {
    return;
  }
  steps_.push_back(std::exchange(step_, {}));
  if (steps_.size() > kSteps) {
    steps_.pop_front();
  }
  std::set<FrameKind> kinds;
  for (const Step& step : steps_) {
    for (const Answer& answer : step.answers) {
      kinds.insert(answer.kind);
    }
  }
  // From wires on which nothing queues and on which everything does: the turns may close in on the truth from one side
  // only. What tells is how well the frames' arrivals are foretold.
  const scheduler::Link before = link_;
  double least = std::numeric_limits<double>::infinity();
  const bool queues = std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return step.answers.size() > kUnknowns;  // one microbatch's frames wait for one another
  });
  for (scheduler::Link link : {scheduler::Link{}, kWhereAllQueue, before}) {
    for (int turn = 0; turn < (queues ? kTurns : 1); ++turn) {
      std::vector<Exchange> exchanges;
      for (const Step& step : steps_) {
        AddExchanges(step, link, &exchanges);
      }
      link = Fit(exchanges, kinds.size() >= kUnknowns);
      if (const double error = ErrorOf(link); error < (1 - kRounding) * least) {
        least = error;
        link_ = link;
      }
    }
    if (!queues) {
      break;
    }
  }
}

double LinkMeter::ErrorOf(const scheduler::Link& link) const {
  double sum = 0;
  for (const Step& step : steps_) {
    const TimePoint origin = step.sent.front().when;
    Pipe down(link.down_bytes_per_second);
    std::vector<double> there;
    for (const Departure& departure : step.sent) {
      there.push_back(down.Enter(Seconds(departure.when - origin), departure.bytes).leaves);
    }
    Pipe up(link.up_bytes_per_second);
    for (const Answer& answer : step.answers) {
      const double foretold =
          up.Enter(there[answer.prompt] + answer.held_seconds, answer.bytes).leaves + link.round_trip_seconds;
      const double arrived = Seconds(answer.arrived - origin);
      const double exchange = arrived - answer.held_seconds - Seconds(step.sent[answer.prompt].when - origin);
      sum += std::abs(foretold - arrived) / std::max(exchange, 1e-6);
    }
  }
  return sum;
}

void LinkMeter::AddExchanges(const Step& step, const scheduler::Link& link, std::vector<Exchange>* exchanges) {
  const TimePoint origin = step.sent.front().when;
  Pipe down(link.down_bytes_per_second);
  std::vector<Pipe::Passage> passages;
  for (const Departure& departure : step.sent) {
    passages.push_back(down.Enter(Seconds(departure.when - origin), departure.bytes));
  }
  Pipe up(link.up_bytes_per_second);
  Exchange first;  // of the busy period: down to the client, and how long it was held
  for (const Answer& answer : step.answers) {
    const Pipe::Passage& prompt = passages[answer.prompt];
    const Pipe::Passage passage = up.Enter(prompt.leaves + answer.held_seconds, answer.bytes);
    if (passage.is_first) {
      first = {.up_bytes = 0, .down_bytes = prompt.bytes, .seconds = prompt.begun + answer.held_seconds};
    }
    exchanges->push_back({.up_bytes = passage.bytes,
                          .down_bytes = first.down_bytes,
                          .seconds = std::max(0.0, Seconds(answer.arrived - origin) - first.seconds)});
  }
}

scheduler::Link LinkMeter::Fit(std::span<const Exchange> exchanges, bool round_trip) {
  std::vector<Row> rows;
  for (const Exchange& exchange : exchanges) {
    // Relative errors: a slow step must not outweigh all others.
    const double weight = 1 / std::max(exchange.seconds, 1e-6);
    rows.push_back({.factors = {exchange.up_bytes * weight, exchange.down_bytes * weight, weight},
                    .value = exchange.seconds * weight});
  }
  Vector best = Best(rows, round_trip);
  for (int i = 0; i < kReweighings; ++i) {
    std::vector<Row> weighed = rows;
    for (Row& row : weighed) {
      const double late = row.value - Explained(row, best);
      const double weight = late > kLate ? std::sqrt(kLate / late) : 1;  // Huber's loss (1964), on one side
      row.value *= weight;
      for (double& factor : row.factors) {
        factor *= weight;
      }
    }
    best = Best(weighed, round_trip);
  }
  const auto bandwidth = [](double seconds_per_byte) {
    return seconds_per_byte > kLeastSecondsPerByte ? 1 / seconds_per_byte : 0;
  };
  return {.up_bytes_per_second = bandwidth(best[0]),
          .down_bytes_per_second = bandwidth(best[1]),
          .round_trip_seconds = best[2]};
}

}  // namespace splitft::aggregator
