// The half of Coordinator that computes: what protocol::StepMachine says may be done, through ServerModel.

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "aggregator/coordinator.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/exit.h"
#include "libs/train/schedule.h"
#include "libs/train/tensor_frame.h"

namespace splitft::aggregator {
namespace {

using protocol::Frame;
using protocol::FrameKind;
using protocol::WireFormat;

// -log p summed over a batch is finite unless the model or its input is broken.
absl::Status CheckLoss(const Member& member, uint64_t step) {
  if (!std::isfinite(member.loss.loss_sum)) {
    return telemetry::WithExitCode(absl::FailedPreconditionError(absl::StrCat(
                                       "step ", step, ": client ", member.name, "'s loss is ", member.loss.loss_sum,
                                       "; a lower learningRate or a warm-up usually helps")),
                                   telemetry::ExitCode::kJobFailed);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Coordinator::Do(const protocol::Work& work) {
  const TimePoint start = parts_.clock.Now();
  const auto elapsed = [&] { return Seconds(parts_.clock.Now() - start); };
  switch (work.kind) {
    case protocol::WorkKind::kForward: {
      SPLITFT_RETURN_IF_ERROR(DoForward(work.microbatch));
      figures_.set_server_forward_seconds(figures_.server_forward_seconds() + elapsed());
      return absl::OkStatus();
    }
    case protocol::WorkKind::kBackward: {
      SPLITFT_RETURN_IF_ERROR(DoBackward(work.microbatch));
      figures_.set_server_backward_seconds(figures_.server_backward_seconds() + elapsed());
      return absl::OkStatus();
    }
    case protocol::WorkKind::kForwardBackward: {
      SPLITFT_RETURN_IF_ERROR(DoForwardBackward(work.microbatch));
      figures_.set_server_backward_seconds(figures_.server_backward_seconds() + elapsed());
      return absl::OkStatus();
    }
    case protocol::WorkKind::kEndStep:
      return DoEndStep();
    case protocol::WorkKind::kEvalForward:
      return DoEvaluate(work.client, work.microbatch);
    case protocol::WorkKind::kEndEvaluation:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Coordinator::DoForward(uint32_t microbatch) {
  std::vector<ClientRows> rows;
  for (size_t client = 0; client < inbox_.size(); ++client) {
    rows.push_back(TakeRows(client, FrameKind::kHiddenUp, FrameKind::kLabelsUp, microbatch));
  }
  const std::vector<ClientResult> results = parts_.model.Forward(static_cast<int>(microbatch), rows);
  for (size_t client = 0; client < results.size(); ++client) {
    SPLITFT_RETURN_IF_ERROR(SendRows(client, FrameKind::kHiddenDown, microbatch, results[client].rows_ND));
  }
  return absl::OkStatus();
}

absl::Status Coordinator::DoBackward(uint32_t microbatch) {
  std::vector<at::Tensor> gradients;
  for (size_t client = 0; client < inbox_.size(); ++client) {
    const Frame frame = Take(client, FrameKind::kGradientUp, microbatch);
    gradients.push_back(train::FromPayload(frame.payload, frame.tensor.format, frame.tensor.shape, options_.tensors));
  }
  const std::vector<ClientResult> results = parts_.model.Backward(static_cast<int>(microbatch), gradients);
  for (size_t client = 0; client < results.size() && parts_.job.split.train_client; ++client) {
    SPLITFT_RETURN_IF_ERROR(SendRows(client, FrameKind::kGradientDown, microbatch, results[client].rows_ND));
  }
  return absl::OkStatus();
}

absl::Status Coordinator::DoForwardBackward(uint32_t microbatch) {
  std::vector<ClientRows> rows;
  for (size_t client = 0; client < inbox_.size(); ++client) {
    rows.push_back(TakeRows(client, FrameKind::kHiddenUp, FrameKind::kLabelsUp, microbatch));
  }
  const std::vector<ClientResult> results = parts_.model.ForwardBackward(static_cast<int>(microbatch), rows);
  for (size_t client = 0; client < results.size(); ++client) {
    Member& member = parts_.roster.members()[client];
    member.loss.loss_sum += results[client].loss_sum;
    member.loss.loss_tokens += results[client].loss_tokens;
    if (parts_.job.split.train_client) {
      SPLITFT_RETURN_IF_ERROR(SendRows(client, FrameKind::kGradientDown, microbatch, results[client].rows_ND));
    }
  }
  return absl::OkStatus();
}

absl::Status Coordinator::DoEvaluate(size_t client, uint32_t microbatch) {
  const ClientRows rows = TakeRows(client, FrameKind::kEvalHiddenUp, FrameKind::kEvalLabelsUp, microbatch);
  const ClientResult result = parts_.model.Evaluate(rows);
  if (!server_labels_) {
    return SendRows(client, FrameKind::kEvalHiddenDown, microbatch, result.rows_ND);
  }
  eval_loss_[client].loss_sum += result.loss_sum;
  eval_loss_[client].loss_tokens += result.loss_tokens;
  return Send(parts_.roster.members()[client], FrameKind::kEvalHiddenDown, microbatch, {});
}

absl::Status Coordinator::DoEndStep() {
  std::vector<Member>& members = parts_.roster.members();
  double loss_sum = 0;
  double weight = 0;
  int64_t loss_tokens = 0;
  int64_t tokens = 0;
  // In the clients' order, not that of arrival: the sum's last bits must not depend on the network.
  for (size_t client = 0; client < members.size(); ++client) {
    const Member& member = members[client];
    SPLITFT_RETURN_IF_ERROR(CheckLoss(member, machine_.step()));
    loss_sum += member.weight * member.loss.loss_sum;
    weight += member.weight * static_cast<double>(member.loss.loss_tokens);
    loss_tokens += member.loss.loss_tokens;
    tokens += member.report.tokens;
    const Frame end = Take(client, FrameKind::kStepEnd, 0);
    if (!end.payload.bytes().empty()) {
      parts_.model.AddClientGradient(train::FromPayload(end.payload, WireFormat::kFp32, end.tensor.shape, at::kFloat),
                                     member.head_range, server_labels_ ? model::FlatRange{} : member.tail_range);
    }
  }
  const spec::Training& training = parts_.job.training;
  const double rate = train::LearningRate(training, parts_.state.steps_done(), total_steps_);
  at::Tensor gradient = parts_.model.TakeGradient();
  SPLITFT_ASSIGN_OR_RETURN(const train::AdapterState::Update update,
                           parts_.state.Step(&gradient, weight, rate, training.max_grad_norm));
  figures_.set_loss(loss_sum / weight);
  figures_.set_learning_rate(rate);
  figures_.set_gradient_norm(update.gradient_norm);
  figures_.set_adapter_norm(update.parameter_norm);
  figures_.set_tokens(tokens);
  figures_.set_loss_tokens(loss_tokens);
  return absl::OkStatus();
}

Frame Coordinator::Take(size_t client, FrameKind kind, uint32_t microbatch) {
  auto node = inbox_[client].extract({kind, microbatch});
  return std::move(node.mapped());
}

ClientRows Coordinator::TakeRows(size_t client, FrameKind hidden, FrameKind labels, uint32_t microbatch) {
  const Member& member = parts_.roster.members()[client];
  const Frame frame = Take(client, hidden, microbatch);
  ClientRows rows{
      .cut_layer = member.assignment.cut_layer,
      .weight = member.weight,
      .hidden_ND = train::FromPayload(frame.payload, frame.tensor.format, frame.tensor.shape, options_.tensors),
      .labels_N = {},
      .part = {.runs = {}, .client = HashName(member.name), .step = machine_.step(), .first_token = 0}};
  for (const protocol::SequenceRun& run : frame.tensor.runs) {
    rows.part.runs.push_back({.count = run.count, .length = run.length});
  }
  if (hidden == FrameKind::kHiddenUp) {
    // Microbatches are computed in ascending order, so the ones before are known.
    for (uint32_t m = 0; m < microbatch; ++m) {
      rows.part.first_token += protocol::TokenCount(runs_[client][m]);
    }
  }
  if (server_labels_) {
    const Frame label_frame = Take(client, labels, microbatch);
    rows.labels_N = train::FromPayload(label_frame.payload, WireFormat::kInt32, label_frame.tensor.shape,
                                       options_.tensors.dtype(at::kLong));
  }
  return rows;
}

absl::Status Coordinator::SendRows(size_t client, FrameKind kind, uint32_t microbatch, const at::Tensor& rows_ND) {
  Member& member = parts_.roster.members()[client];
  const WireFormat format = member.assignment.format;
  Frame frame;
  frame.tensor = {.format = format, .shape = {rows_ND.size(0), rows_ND.size(1)}, .runs = {}};
  const auto noise =
      train::RoundingNoise(parts_.job.training.seed,
                           {.client = member.name, .step = machine_.step(), .microbatch = microbatch, .kind = kind});
  frame.payload = train::ToPayload(rows_ND, format, noise);
  return Send(member, kind, microbatch, std::move(frame));
}

control::JobEvent Coordinator::Event(control::Phase phase) const {
  control::JobEvent event;
  event.set_phase(phase);
  event.set_step(parts_.state.steps_done());
  event.set_total_steps(total_steps_);
  event.set_attempt(static_cast<int32_t>(attempt_));
  *event.mutable_model() = options_.model;
  event.set_microbatches_plan(parts_.roster.division().plan);
  event.set_microbatches_reason(parts_.roster.division().reason);
  if (plan_state_.state() != control::PlanState::NONE) {
    *event.mutable_plan() = plan_state_;
  }
  // What an evaluation has to add to the step is not known yet: the step is told of once, when it is.
  const bool complete = phase != control::EVALUATING && phase != control::WAITING_FOR_CLIENTS;
  if (figures_.seconds() > 0 && complete) {
    *event.mutable_figures() = figures_;
  }
  for (const Member& member : parts_.roster.members()) {
    control::ClientState* client = event.add_clients();
    client->set_name(member.name);
    client->set_connected(member.stream.has_value());
    client->set_restarts(std::max(0, member.joins - 1));
    client->set_cut_layer(member.assignment.cut_layer);
    client->set_codec(std::string(WireFormatName(member.assignment.format)));
    client->set_reason(member.reason);
    client->set_plan(member.assignment.plan);
    client->set_cut_limit(member.cut_limit);
    client->set_rank(static_cast<int>(parts_.ranks.OfBlock(member.assignment.cut_layer - 1)));
    if (member.loss.loss_tokens > 0) {
      client->set_loss(member.loss.loss_sum / static_cast<double>(member.loss.loss_tokens));
    }
    client->set_tokens(member.report.tokens);
    client->set_head_forward_seconds(member.report.head_forward_seconds);
    client->set_tail_seconds(member.report.tail_seconds);
    client->set_head_backward_seconds(member.report.head_backward_seconds);
    client->set_wait_seconds(member.report.wait_seconds);
    client->set_awaited_seconds(member.awaited_seconds);
    client->set_peak_memory_bytes(member.report.peak_memory_bytes);
    client->set_memory_limit_bytes(member.report.memory_limit_bytes);
    client->set_cpu_seconds(member.report.cpu_seconds);
    client->set_throttled_seconds(member.report.throttled_seconds);
    client->set_cpu_quota(member.report.cpu_quota);
    client->set_up_bytes_per_second(member.wire.link().up_bytes_per_second);
    client->set_down_bytes_per_second(member.wire.link().down_bytes_per_second);
    client->set_round_trip_seconds(member.wire.link().round_trip_seconds);
    for (const auto& [kind, bytes] : member.bytes) {
      (*client->mutable_bytes_by_kind())[std::string(FrameKindName(kind))] = bytes;
      const bool up = kind == FrameKind::kHiddenUp || kind == FrameKind::kLabelsUp || kind == FrameKind::kGradientUp ||
                      kind == FrameKind::kStepEnd || kind == FrameKind::kEvalHiddenUp ||
                      kind == FrameKind::kEvalLabelsUp;
      up ? client->set_bytes_up(client->bytes_up() + bytes) : client->set_bytes_down(client->bytes_down() + bytes);
    }
  }
  return event;
}

}  // namespace splitft::aggregator
