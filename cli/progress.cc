#include "cli/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace splitft::cli {
namespace {

// Weight of a new measurement: about the last ten steps count.
constexpr double kNewest = 0.2;

double Smooth(double old_value, double new_value) {
  return old_value == 0 ? new_value : old_value + kNewest * (new_value - old_value);
}

TimeShares Shares(const control::ClientState& state) {
  const double sum =
      state.head_forward_seconds() + state.tail_seconds() + state.head_backward_seconds() + state.wait_seconds();
  if (!(sum > 0) || !std::isfinite(sum)) {
    return {};
  }
  return {.head_forward = state.head_forward_seconds() / sum,
          .tail = state.tail_seconds() / sum,
          .head_backward = state.head_backward_seconds() / sum,
          .wait = state.wait_seconds() / sum};
}

}  // namespace

Progress::Progress(std::string job, const std::vector<ClientStart>& clients, TimePoint start) : start_(start) {
  view_.job = std::move(job);
  for (const ClientStart& client : clients) {
    client_index_[client.name] = view_.clients.size();
    view_.clients.push_back({.name = client.name, .cut_layer = client.cut_layer});
  }
}

void Progress::Add(const control::JobEvent& event, TimePoint now) {
  const int64_t new_steps = event.has_figures() ? event.step() - view_.step : 0;
  view_.phase = event.phase();
  // An event about the job's failure may know no steps.
  view_.total_steps = std::max(view_.total_steps, event.total_steps());
  if (new_steps > 0) {
    const control::StepFigures& figures = event.figures();
    view_.step = event.step();
    view_.loss = figures.loss();
    if (figures.seconds() > 0) {
      view_.tokens_per_second =
          Smooth(view_.tokens_per_second, static_cast<double>(figures.tokens()) / figures.seconds());
    }
    if (last_step_time_.has_value()) {
      seconds_per_step_ = Smooth(seconds_per_step_, Seconds(now - *last_step_time_) / static_cast<double>(new_steps));
    }
    last_step_time_ = now;
  }
  if (event.has_figures() && event.figures().has_eval_loss()) {
    view_.eval_loss = event.figures().eval_loss();
  }
  for (const control::ClientState& state : event.clients()) {
    AddClient(state, event.figures().seconds(), new_steps);
  }
}

void Progress::AddClient(const control::ClientState& state, double step_seconds, int64_t new_steps) {
  const auto [found, fresh] = client_index_.try_emplace(state.name(), view_.clients.size());
  if (fresh) {
    view_.clients.push_back({.name = state.name()});
  }
  ClientView& client = view_.clients[found->second];
  client.connected = state.connected();
  client.cut_layer = state.cut_layer() > 0 ? state.cut_layer() : client.cut_layer;
  if (new_steps <= 0) {
    return;
  }
  client.loss = state.loss();
  // Steps that a slow watcher missed moved about as much as the one it saw.
  client.bytes_up += state.bytes_up() * new_steps;
  client.bytes_down += state.bytes_down() * new_steps;
  if (step_seconds > 0) {
    client.tokens_per_second = Smooth(client.tokens_per_second, static_cast<double>(state.tokens()) / step_seconds);
  }
  const TimeShares shares = Shares(state);
  client.time = {.head_forward = Smooth(client.time.head_forward, shares.head_forward),
                 .tail = Smooth(client.time.tail, shares.tail),
                 .head_backward = Smooth(client.time.head_backward, shares.head_backward),
                 .wait = Smooth(client.time.wait, shares.wait)};
}

JobView Progress::View(TimePoint now) const {
  JobView view = view_;
  view.elapsed = now - start_;
  if (seconds_per_step_ > 0 && view.total_steps >= view.step) {
    const double since_step = Seconds(now - *last_step_time_);
    const double left = seconds_per_step_ * static_cast<double>(view.total_steps - view.step) - since_step;
    view.left = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::max(0.0, left)));
  }
  return view;
}

}  // namespace splitft::cli
