#include "libs/simulation/simulated_fleet.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace splitft::simulation {

using protocol::FrameKind;

namespace {

protocol::StepMachine MakeMachine(const spec::FineTuneJob& job) {
  protocol::StepMachine::Options options;
  for (const spec::Client& client : job.clients) {
    options.clients.push_back(client.name);
  }
  options.labels_on_server = job.split.labels == spec::LabelSide::kServer;
  options.client_gradients = job.split.train_client;
  return protocol::StepMachine::Create(std::move(options)).value();  // ParseJob has checked names and counts
}

double Transfer(double bytes, double bytes_per_second) { return bytes_per_second > 0 ? bytes / bytes_per_second : 0; }

}  // namespace

SimulatedFleet::SimulatedFleet(const spec::FineTuneJob& job, FleetTruth truth)
    : job_(job),
      truth_(std::move(truth)),
      server_labels_(job.split.labels == spec::LabelSide::kServer),
      trunk_end_(truth_.shape.block_count - (server_labels_ ? 0 : job.split.tail_blocks)),
      machine_(MakeMachine(job)),
      draws_({.seed = truth_.seed}) {
  spec::Codec codec = job.split.codec;
  if (codec == spec::Codec::kAuto) {
    codec = job.model.dtype == spec::Dtype::kBfloat16 ? spec::Codec::kBf16 : spec::Codec::kFp32;
  }
  arrangement_.microbatches = job.training.microbatches;
  for (const spec::Client& client : job.clients) {
    index_[client.name] = arrangement_.clients.size();
    arrangement_.clients.push_back({.cut_layer = client.cut_layer, .codec = codec});
  }
  tokens_.resize(job.clients.size());
}

void SimulatedFleet::Follow(const scheduler::Plan& plan) {
  for (const scheduler::Change& change : plan.changes) {
    arrangement_.clients[index_.at(change.client)] = change.to;
  }
  if (plan.microbatches != 0) {
    arrangement_.microbatches = plan.microbatches;
  }
}

double SimulatedFleet::RowBytes(size_t client) const {
  return tokens_[client] * scheduler::RowBytes(ChoiceOf(client).codec, truth_.shape.hidden_size);
}

scheduler::StepFigures SimulatedFleet::Step() {
  const double start = now_;
  // The machine takes the step that is begun; ParseJob and the numbers' order leave it nothing to refuse.
  static_cast<void>(machine_.BeginStep(step_, attempt_, parts()));
  Begin();
  // Somebody is lost now and then, at some moment of a step as long as the last one; the others wait for his return.
  while (const std::optional<size_t> lost = DrawLoss()) {
    const double begun = now_;
    if (Run(begun + Draw() * last_seconds_)) {
      break;  // it was over before
    }
    now_ = std::max(now_, server_) + truth_.clients[*lost].away_seconds;
    ++restarts_;
    static_cast<void>(machine_.Restart(++attempt_));
    Begin();
  }
  if (!ended_) {
    Run(std::numeric_limits<double>::infinity());
  }
  now_ = std::max(now_, server_) + truth_.server.other_seconds;
  ++step_;
  figures_.step = static_cast<int64_t>(step_);
  figures_.total_steps = job_.training.steps;
  figures_.attempt = attempt_;
  figures_.microbatches = arrangement_.microbatches;
  figures_.seconds = now_ - start;
  last_seconds_ = figures_.seconds;
  figures_.server_wait_seconds = figures_.seconds - figures_.server_forward_seconds - figures_.server_backward_seconds -
                                 truth_.server.other_seconds;
  for (ClientState& state : states_) {
    figures_.clients.push_back(std::move(state.figures));
  }
  return std::move(figures_);
}

// Which client is lost in this attempt, if any.
std::optional<size_t> SimulatedFleet::DrawLoss() {
  for (size_t i = 0; i < truth_.clients.size(); ++i) {
    if (truth_.clients[i].loss_probability > 0 && Draw() < truth_.clients[i].loss_probability) {
      return i;
    }
  }
  return std::nullopt;
}

void SimulatedFleet::Begin() {
  events_ = {};
  figures_ = {};
  ended_ = false;
  server_ = now_;
  states_.assign(truth_.clients.size(), {});
  int lowest = trunk_end_;
  for (size_t i = 0; i < states_.size(); ++i) {
    ClientState& state = states_[i];
    const ClientTruth& truth = truth_.clients[i];
    const int64_t tokens = int64_t{job_.clients[i].batch_size} * job_.training.sequence_length;
    tokens_[i] = static_cast<double>(tokens) / parts();
    lowest = std::min(lowest, ChoiceOf(i).cut_layer);
    state.factor = truth.noise > 0 ? 1 + truth.noise * (2 * Draw() - 1) : 1;
    state.figures = {.name = job_.clients[i].name,
                     .choice = ChoiceOf(i),
                     .tokens = tokens,
                     .link = truth.link,
                     .loss = truth.loss,
                     .memory_bytes = static_cast<int64_t>(ChoiceOf(i).cut_layer) * truth_.shape.block_bytes,
                     .memory_limit_bytes = truth.memory_limit_bytes};
    SendDown(i, FrameKind::kStepBegin, 0,
             static_cast<double>(ChoiceOf(i).cut_layer) * static_cast<double>(truth_.shape.adapter_bytes));
  }
  walked_blocks_ = trunk_end_ - lowest;
}

bool SimulatedFleet::Run(double lost_at) {
  while (!events_.empty() && !ended_) {
    const Event event = events_.top();
    if (event.when > lost_at) {
      return false;
    }
    events_.pop();
    now_ = std::max(now_, event.when);
    if (event.computed) {
      Computed(event);
      continue;
    }
    const bool down = event.kind == FrameKind::kStepBegin || event.kind == FrameKind::kHiddenDown ||
                      event.kind == FrameKind::kGradientDown;
    down ? AtClient(event) : AtServer(event);
  }
  return ended_;
}

void SimulatedFleet::AtClient(const Event& event) {
  ClientState& state = states_[event.client];
  if (event.kind == FrameKind::kStepBegin) {
    state.begun = true;
  } else {
    const bool tail = event.kind == FrameKind::kHiddenDown;
    state.answers.push_back({tail ? FrameKind::kGradientUp : FrameKind::kStepEnd, event.microbatch});
  }
  Compute(event.client, event.when);
}

void SimulatedFleet::Compute(size_t client, double when) {
  ClientState& state = states_[client];
  const bool may_forward = state.begun && state.forwarded < parts();
  if (state.busy || (state.answers.empty() && !may_forward)) {
    return;
  }
  Task task{FrameKind::kHiddenUp, state.forwarded};
  if (state.answers.empty()) {
    ++state.forwarded;
  } else {
    task = state.answers.front();
    state.answers.erase(state.answers.begin());
  }
  const ClientTruth& truth = truth_.clients[client];
  const double blocks = ChoiceOf(client).cut_layer;
  double seconds = tokens_[client] * state.factor;
  if (task.result == FrameKind::kHiddenUp) {
    state.figures.head_forward_seconds += seconds *= blocks * truth.forward_seconds;
  } else if (task.result == FrameKind::kGradientUp) {
    state.figures.tail_seconds += seconds *= truth.tail_seconds;
  } else {
    state.figures.head_backward_seconds += seconds *= blocks * truth.backward_seconds;
  }
  state.busy = true;
  events_.push({when + seconds, noted_++, client, task.result, task.microbatch, /*computed=*/true});
}

void SimulatedFleet::Computed(const Event& event) {
  ClientState& state = states_[event.client];
  state.busy = false;
  const double rows = RowBytes(event.client);
  if (event.kind != FrameKind::kStepEnd) {
    SendUp(event.client, event.kind, event.microbatch, rows);
  }
  if (event.kind == FrameKind::kHiddenUp && server_labels_) {
    SendUp(event.client, FrameKind::kLabelsUp, event.microbatch, 4 * tokens_[event.client]);
  }
  const FrameKind last = job_.split.train_client ? FrameKind::kStepEnd
                         : server_labels_        ? FrameKind::kHiddenUp
                                                 : FrameKind::kGradientUp;
  if (event.kind == last && ++state.finished == parts()) {
    const double adapters =
        static_cast<double>(ChoiceOf(event.client).cut_layer) * static_cast<double>(truth_.shape.adapter_bytes);
    SendUp(event.client, FrameKind::kStepEnd, 0, job_.split.train_client ? adapters : 0);
  }
  Compute(event.client, event.when);
}

void SimulatedFleet::AtServer(const Event& event) {
  // A processor that is busy takes the frame later; what it waits for is not its work.
  server_ = std::max(server_, event.when);
  const absl::StatusOr<protocol::Acceptance> acceptance = machine_.Accept({.job_uid = "",
                                                                           .attempt = attempt_,
                                                                           .client = job_.clients[event.client].name,
                                                                           .step = step_,
                                                                           .microbatch = event.microbatch,
                                                                           .kind = event.kind});
  static_cast<void>(acceptance);  // correct clients on a wire that loses nothing
  while (const std::optional<protocol::Work> work = machine_.NextWork()) {
    Do(*work);
  }
}

void SimulatedFleet::Do(const protocol::Work& work) {
  if (work.kind == protocol::WorkKind::kEndStep) {
    ended_ = true;
    return;
  }
  double block_tokens = 0;
  for (size_t i = 0; i < states_.size(); ++i) {
    block_tokens += tokens_[i] * (trunk_end_ - ChoiceOf(i).cut_layer);
  }
  const double walk = walked_blocks_ * truth_.server.block_seconds;
  const double forward = walk + block_tokens * truth_.server.forward_seconds;
  const double backward = walk + block_tokens * truth_.server.backward_seconds;
  const bool forwards = work.kind != protocol::WorkKind::kBackward;
  const bool backwards = work.kind != protocol::WorkKind::kForward;
  if (forwards && !backwards) {
    server_ += forward;
    figures_.server_forward_seconds += forward;
  } else {
    const double seconds = backward + (forwards ? forward : 0);
    server_ += seconds;
    figures_.server_backward_seconds += seconds;
  }
  if (backwards && !job_.split.train_client) {
    return;
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    SendDown(i, backwards ? FrameKind::kGradientDown : FrameKind::kHiddenDown, work.microbatch, RowBytes(i));
  }
}

void SimulatedFleet::SendDown(size_t client, FrameKind kind, uint32_t microbatch, double bytes) {
  ClientState& state = states_[client];
  const scheduler::Link& link = truth_.clients[client].link;
  state.downlink = std::max(state.downlink, server_) + Transfer(bytes, link.down_bytes_per_second);
  events_.push({state.downlink + link.round_trip_seconds / 2, noted_++, client, kind, microbatch, false});
}

void SimulatedFleet::SendUp(size_t client, FrameKind kind, uint32_t microbatch, double bytes) {
  ClientState& state = states_[client];
  const scheduler::Link& link = truth_.clients[client].link;
  state.uplink = std::max(state.uplink, now_) + Transfer(bytes, link.up_bytes_per_second);
  events_.push({state.uplink + link.round_trip_seconds / 2, noted_++, client, kind, microbatch, false});
}

}  // namespace splitft::simulation
