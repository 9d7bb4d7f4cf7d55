#include "aggregator/job_history.h"

#include <algorithm>
#include <numeric>

namespace splitft::aggregator {
namespace {

constexpr size_t kLossWindow = 10;

double Mean(const std::vector<double>& values) {
  return values.empty() ? 0.0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Folds `next`, the point after `point`, into it.
void Merge(JobHistory::Point* point, const JobHistory::Point& next) {
  point->last_step = next.last_step;
  point->steps += next.steps;
  point->loss_sum += next.loss_sum;
  point->loss_min = std::min(point->loss_min, next.loss_min);
  point->loss_max = std::max(point->loss_max, next.loss_max);
  point->seconds += next.seconds;
  point->tokens += next.tokens;
  point->learning_rate = next.learning_rate;
  point->clients.resize(std::max(point->clients.size(), next.clients.size()));
  for (size_t i = 0; i < next.clients.size(); ++i) {
    JobHistory::ClientPoint& client = point->clients[i];
    client.loss_sum += next.clients[i].loss_sum;
    client.steps += next.clients[i].steps;
    if (next.clients[i].steps > 0) {
      client.cut_layer = next.clients[i].cut_layer;
    }
  }
}

}  // namespace

void JobHistory::Add(const control::JobEvent& event) {
  if (!event.has_figures() || event.step() <= last_step_) {
    return;
  }
  last_step_ = event.step();
  AddToTotals(event);
  AddToCurve(event);
  if (event.figures().has_eval_loss()) {
    evaluations_.push_back({.step = event.step(), .loss = event.figures().eval_loss()});
    HalveEvaluations();
  }
}

JobHistory::Totals JobHistory::totals() const {
  Totals totals = totals_;
  totals.first_loss = Mean(first_losses_);
  totals.last_loss = Mean(last_losses_);
  return totals;
}

size_t JobHistory::ClientIndex(const std::string& name) {
  const auto [found, fresh] = client_index_.try_emplace(name, clients_.size());
  if (fresh) {
    clients_.push_back({.name = name});
  }
  return found->second;
}

void JobHistory::AddToTotals(const control::JobEvent& event) {
  const control::StepFigures& figures = event.figures();
  ++totals_.steps;
  totals_.tokens += figures.tokens();
  totals_.seconds += figures.seconds();
  totals_.server_forward_seconds += figures.server_forward_seconds();
  totals_.server_backward_seconds += figures.server_backward_seconds();
  totals_.server_wait_seconds += figures.server_wait_seconds();
  if (first_losses_.size() < kLossWindow) {
    first_losses_.push_back(figures.loss());
  }
  if (last_losses_.size() == kLossWindow) {
    last_losses_.erase(last_losses_.begin());
  }
  last_losses_.push_back(figures.loss());

  for (const control::ClientState& state : event.clients()) {
    ClientTotals& client = clients_[ClientIndex(state.name())];
    ++client.steps;
    client.codec = state.codec();
    client.tokens += state.tokens();
    client.head_forward_seconds += state.head_forward_seconds();
    client.tail_seconds += state.tail_seconds();
    client.head_backward_seconds += state.head_backward_seconds();
    client.wait_seconds += state.wait_seconds();
    client.bytes_up += state.bytes_up();
    client.bytes_down += state.bytes_down();
    client.peak_memory_bytes = std::max(client.peak_memory_bytes, state.peak_memory_bytes());
    for (const auto& [kind, bytes] : state.bytes_by_kind()) {
      client.bytes_by_kind[kind] += bytes;
    }
  }
}

void JobHistory::AddToCurve(const control::JobEvent& event) {
  const control::StepFigures& figures = event.figures();
  Point point{.first_step = event.step(),
              .last_step = event.step(),
              .steps = 1,
              .loss_sum = figures.loss(),
              .loss_min = figures.loss(),
              .loss_max = figures.loss(),
              .seconds = figures.seconds(),
              .tokens = figures.tokens(),
              .learning_rate = figures.learning_rate(),
              .clients = std::vector<ClientPoint>(clients_.size())};
  for (const control::ClientState& state : event.clients()) {
    point.clients[ClientIndex(state.name())] = {.loss_sum = state.loss(), .steps = 1, .cut_layer = state.cut_layer()};
  }
  if (!points_.empty() && points_.back().steps < steps_per_point_) {
    Merge(&points_.back(), point);
    return;
  }
  if (points_.size() >= static_cast<size_t>(options_.max_points)) {
    HalveCurve();
    AddToCurve(event);
    return;
  }
  points_.push_back(std::move(point));
}

void JobHistory::HalveCurve() {
  steps_per_point_ *= 2;
  std::vector<Point> halved;
  halved.reserve(points_.size() / 2 + 1);
  for (size_t i = 0; i < points_.size(); i += 2) {
    halved.push_back(std::move(points_[i]));
    if (i + 1 < points_.size()) {
      Merge(&halved.back(), points_[i + 1]);
    }
  }
  points_ = std::move(halved);
}

// Evaluations are measurements, not means: every second one is kept, the last always.
void JobHistory::HalveEvaluations() {
  if (evaluations_.size() <= static_cast<size_t>(options_.max_points)) {
    return;
  }
  std::vector<Evaluation> kept;
  for (size_t i = (evaluations_.size() - 1) % 2; i < evaluations_.size(); i += 2) {
    kept.push_back(evaluations_[i]);
  }
  evaluations_ = std::move(kept);
}

}  // namespace splitft::aggregator
