#include "libs/scheduler/cost_window.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

namespace splitft::scheduler {
namespace {

using Values = std::array<double, CostWindow::kSteps>;

// Of the first `count`, which are put in order.
double Median(Values& values, size_t count) {
  if (count == 0) {
    return 0;
  }
  std::sort(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
  const size_t middle = count / 2;
  return count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <typename Step, typename Value>
double MedianOf(std::span<const Step* const> steps, Value value) {
  Values values{};
  size_t count = 0;
  for (const Step* step : steps) {
    values[count++] = value(*step);
  }
  return Median(values, count);
}

// How far from the median of values that are spread as these the true one may be, one-sided, at 99 %. 1.4826 makes a
// standard deviation of the median absolute deviation, sqrt(pi / 2) a median's error of a mean's (both for normal
// values); the last factor is about Student's t, which allows for the deviation's being a guess from few values.
double MedianMargin(Values values, size_t count) {
  const double median = Median(values, count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = std::abs(values[i] - median);
  }
  const auto n = static_cast<double>(count);
  return 1.2533 * 1.4826 * Median(values, count) / std::sqrt(n) * (2.33 + 6 / (n - 1));
}

// The items [begin, end) by address: what medians are taken of.
template <typename Item>
std::vector<const Item*> Addresses(const std::deque<Item>& items, size_t begin, size_t end) {
  std::vector<const Item*> addresses;
  for (size_t i = begin; i < end && i < items.size(); ++i) {
    addresses.push_back(&items[i]);
  }
  return addresses;
}

// A quota allows so much processor time a period. Who needs less at a time is not held back, and would be with more to
// do: what it computes counts as what the quota lets it, if that is longer than it took. The factor.
double HeldBack(const ClientFigures& client, double quota_cores) {
  const double computed = client.head_forward_seconds + client.tail_seconds + client.head_backward_seconds;
  return quota_cores > 0 && computed > 0 ? std::max(1.0, client.cpu_seconds / (quota_cores * computed)) : 1;
}

// How `step` was run.
Arrangement ArrangementOf(const StepFigures& step) {
  Arrangement arrangement{.clients = {}, .microbatches = step.microbatches};
  arrangement.clients.reserve(step.clients.size());
  for (const ClientFigures& client : step.clients) {
    arrangement.clients.push_back(client.choice);
  }
  return arrangement;
}

}  // namespace

CostWindow::CostWindow(const spec::FineTuneJob& job, const ModelShape& shape) : job_(job), shape_(shape) {}

void CostWindow::Add(const StepFigures& figures) {
  steps_.push_back(figures);
  if (steps_.size() > kSteps) {
    steps_.pop_front();
  }
  highest_run_.resize(figures.clients.size(), 0);
  double block_tokens = 0;
  for (size_t i = 0; i < figures.clients.size(); ++i) {
    const ClientFigures& client = figures.clients[i];
    highest_run_[i] = std::max(highest_run_[i], client.choice.cut_layer);
    block_tokens += static_cast<double>(client.tokens) * static_cast<double>(TrunkEnd() - client.choice.cut_layer);
  }
  if (block_tokens > 0) {
    server_.push_back({.forward_seconds = figures.server_forward_seconds / block_tokens,
                       .backward_seconds = figures.server_backward_seconds / block_tokens});
  }
  if (server_.size() > kSteps) {
    server_.pop_front();
  }
}

int CostWindow::TrunkEnd() const {
  return shape_.block_count - (job_.split.labels == spec::LabelSide::kServer ? 0 : job_.split.tail_blocks);
}

int CostWindow::LowestCut(size_t client) const {
  // With frozen clients the cut says what is trained.
  return job_.split.train_client ? std::max(1, job_.split.min_cut_layer) : job_.clients[client].cut_layer;
}

int CostWindow::HighestCut(size_t client) const {
  if (!job_.split.train_client) {
    return job_.clients[client].cut_layer;
  }
  int highest = TrunkEnd();
  if (job_.split.max_cut_layer > 0) {
    highest = std::min(highest, job_.split.max_cut_layer);
  }
  const ClientFigures& now = steps_.back().clients[client];
  if (now.cut_limit > 0) {
    highest = std::min(highest, now.cut_limit);
  }
  if (now.memory_limit_bytes > 0 && shape_.block_bytes > 0) {
    // A tenth is left for what the figures do not show.
    const double room = 0.9 * static_cast<double>(now.memory_limit_bytes) - static_cast<double>(now.memory_bytes);
    const auto more =
        static_cast<int>(std::clamp(std::floor(room / static_cast<double>(shape_.block_bytes)), 0.0, 1e6));
    highest = std::min(highest, highest_run_[client] + more);
  }
  return highest;
}

Fleet CostWindow::Fit() const { return FitOf(0, steps_.size()); }

Fleet CostWindow::FitOf(size_t begin, size_t end) const {
  const std::vector<const StepFigures*> steps = Addresses(steps_, begin, end);
  // A single step's own, where it had any.
  std::vector<const ServerCost*> server = Addresses(server_, 0, server_.size());
  if (end - begin == 1 && server.size() == steps_.size()) {
    server = Addresses(server_, begin, end);
  }
  Fleet fleet;
  fleet.trunk_end = TrunkEnd();
  fleet.hidden_size = shape_.hidden_size;
  fleet.adapter_bytes = shape_.adapter_bytes;
  fleet.smallest_batch = spec::SmallestBatch(job_);
  fleet.most_microbatches = fleet.smallest_batch;
  fleet.server_labels = job_.split.labels == spec::LabelSide::kServer;
  fleet.client_gradients = job_.split.train_client;
  for (size_t i = 0; i < job_.clients.size(); ++i) {
    const auto median = [&](auto value) {
      return MedianOf<StepFigures>(steps, [&](const StepFigures& step) { return value(step.clients[i]); });
    };
    const double tokens = median([](const ClientFigures& c) { return static_cast<double>(c.tokens); });
    const double quota = steps_.back().clients[i].cpu_quota;
    const auto held_back = [quota](const ClientFigures& c) { return HeldBack(c, quota); };
    const auto per_block = [&](double ClientFigures::*seconds) {
      return tokens * median([&](const ClientFigures& c) {
               return held_back(c) * c.*seconds /
                      (static_cast<double>(c.choice.cut_layer) * static_cast<double>(c.tokens));
             });
    };
    fleet.clients.push_back(
        {.forward_seconds = per_block(&ClientFigures::head_forward_seconds),
         .backward_seconds = per_block(&ClientFigures::head_backward_seconds),
         .tail_seconds = tokens * median([&](const ClientFigures& c) {
                           return held_back(c) * c.tail_seconds / static_cast<double>(c.tokens);
                         }),
         .tokens = static_cast<int64_t>(std::llround(tokens)),
         .throttled = MedianOf<StepFigures>(
             steps,
             [&](const StepFigures& step) { return std::min(1.0, step.clients[i].throttled_seconds / step.seconds); }),
         .link = steps.back()->clients[i].link,
         .lowest_cut = LowestCut(i),
         .highest_cut = std::max(HighestCut(i), LowestCut(i))});
  }
  fleet.server = {
      .forward_seconds = MedianOf<ServerCost>(server, [](const ServerCost& cost) { return cost.forward_seconds; }),
      .backward_seconds = MedianOf<ServerCost>(server, [](const ServerCost& cost) { return cost.backward_seconds; }),
      .other_seconds = MedianOf<StepFigures>(steps, [](const StepFigures& step) {
        return std::max(
            0.0, step.seconds - step.server_wait_seconds - step.server_forward_seconds - step.server_backward_seconds);
      })};
  return fleet;
}

double CostWindow::GainMargin(const Arrangement& next, bool of_server) const {
  const Arrangement now = Now();
  Values gains{};
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Fleet fleet = FitOf(i, i + 1);
    const Prediction before = Predict(fleet, now);
    const Prediction after = Predict(fleet, next);
    gains[i] = of_server ? (before.server_seconds - after.server_seconds) / std::max(before.server_seconds, 1e-9)
                         : (before.seconds - after.seconds) / before.seconds;
  }
  return MedianMargin(gains, steps_.size());
}

double CostWindow::Correction(const Fleet& fleet) const {
  const Arrangement now = Now();
  Values values{};
  size_t count = 0;
  for (const StepFigures& step : steps_) {
    const bool same_quotas = std::equal(
        step.clients.begin(), step.clients.end(), steps_.back().clients.begin(),
        [](const ClientFigures& one, const ClientFigures& other) { return one.cpu_quota == other.cpu_quota; });
    if (same_quotas && ArrangementOf(step) == now) {
      values[count++] = step.seconds;
    }
  }
  const double predicted = Predict(fleet, now).seconds;
  return predicted > 0 ? Median(values, count) / predicted : 1;
}

std::vector<double> CostWindow::Losses() const {
  const std::vector<const StepFigures*> steps = Addresses(steps_, 0, steps_.size());
  std::vector<double> losses;
  double sum = 0;
  size_t known = 0;
  for (size_t i = 0; i < job_.clients.size(); ++i) {
    const double loss = MedianOf<StepFigures>(steps, [&](const StepFigures& step) { return step.clients[i].loss; });
    losses.push_back(loss);
    if (loss > 0) {
      sum += loss;
      ++known;
    }
  }
  for (double& loss : losses) {
    if (!(loss > 0) && known > 0) {
      loss = sum / static_cast<double>(known);
    }
  }
  return losses;
}

Arrangement CostWindow::Now() const { return ArrangementOf(steps_.back()); }

}  // namespace splitft::scheduler
