#include "aggregator/coordinator.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/protocol/frame_check.h"
#include "libs/telemetry/exit.h"
#include "libs/train/tensor_frame.h"

namespace splitft::aggregator {
namespace {

using protocol::Frame;
using protocol::FrameKind;
using protocol::WireFormat;

protocol::StepMachine MakeMachine(const spec::FineTuneJob& job) {
  protocol::StepMachine::Options options;
  for (const spec::Client& client : job.clients) {
    options.clients.push_back(client.name);
  }
  options.labels_on_server = job.split.labels == spec::LabelSide::kServer;
  options.client_gradients = job.split.train_client;
  // ParseJob has checked names and counts.
  return protocol::StepMachine::Create(std::move(options)).value();
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options, Parts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      machine_(MakeMachine(parts_.job)),
      server_labels_(parts_.job.split.labels == spec::LabelSide::kServer),
      absences_({.start_patience = options_.start_patience,
                 .rejoin_patience = options_.rejoin_patience,
                 .max_losses = options_.max_losses}) {
  const size_t clients = parts_.roster.members().size();
  inbox_.resize(clients);
  runs_.resize(clients);
  eval_loss_.resize(clients);
}

absl::StatusOr<std::string> Coordinator::Run() {
  SPLITFT_RETURN_IF_ERROR(parts_.report(Event(control::WAITING_FOR_CLIENTS)));
  for (const Member& member : parts_.roster.members()) {
    absences_.Expect(member.name, parts_.clock.Now());
  }
  SPLITFT_RETURN_IF_ERROR(AwaitClients());
  SPLITFT_RETURN_IF_ERROR(WelcomeAll());
  if (const double lost = SetRanks(); lost > 0) {  // of an initial adapter
    control::PlanState begun;
    begun.set_state(control::PlanState::APPLIED);
    begun.set_discarded_energy(lost);
    SPLITFT_RETURN_IF_ERROR(parts_.decided ? parts_.decided({}, begun) : absl::OkStatus());
  }
  const spec::Evaluation& evaluation = parts_.job.training.evaluation;
  double best = std::numeric_limits<double>::infinity();
  int without_gain = 0;
  while (parts_.state.steps_done() < total_steps_) {
    SPLITFT_RETURN_IF_ERROR(ChangeAssignments());
    SPLITFT_RETURN_IF_ERROR(RunStep());
    const int64_t done = parts_.state.steps_done();
    const bool evaluate =
        evaluation.interval_steps > 0 && (done % evaluation.interval_steps == 0 || done == total_steps_);
    if (evaluate) {
      double loss = 0;
      SPLITFT_RETURN_IF_ERROR(RunEvaluation(&loss));
      figures_.set_eval_loss(loss);
      without_gain = loss < best - evaluation.early_stop_min_delta ? 0 : without_gain + 1;
      best = std::min(best, loss);
    }
    SPLITFT_RETURN_IF_ERROR(parts_.report(Event(control::TRAINING)));
    if (evaluate && evaluation.early_stop_patience > 0 && without_gain >= evaluation.early_stop_patience) {
      return std::string("EarlyStopped");
    }
  }
  return std::string("Completed");
}

void Coordinator::Dismiss(const absl::Status& status, const std::string& reason) {
  for (Member& member : parts_.roster.members()) {
    if (!member.stream) {
      continue;
    }
    Frame frame;
    if (status.ok()) {
      frame.body = protocol::Finish{.reason = reason};
    } else {
      frame.body =
          protocol::Fault{.code = static_cast<int32_t>(status.code()), .message = std::string(status.message())};
    }
    const FrameKind kind = status.ok() ? FrameKind::kFinish : FrameKind::kFault;
    // A client that is gone needs no farewell.
    (void)Send(member, kind, 0, std::move(frame));
    parts_.server.Close(*member.stream, absl::OkStatus());
  }
}

absl::Status Coordinator::RunStep() {
  const TimePoint start = parts_.clock.Now();
  last_lost_ = nullptr;
  const auto step = static_cast<uint64_t>(parts_.state.steps_done());
  const int microbatches = parts_.roster.division().microbatches;
  SPLITFT_RETURN_IF_ERROR(machine_.BeginStep(step, attempt_, static_cast<uint32_t>(microbatches)));
  do {
    figures_ = {};
    figures_.set_microbatches(microbatches);
    // What an abandoned attempt took was spent waiting, as far as the step is concerned.
    const double abandoned = Seconds(parts_.clock.Now() - start);
    figures_.set_server_wait_seconds(abandoned);
    for (Member& member : parts_.roster.members()) {
      member.loss = {};
      member.report = {};
      member.bytes.clear();
      member.awaited_seconds = &member == last_lost_ ? abandoned : 0;
      member.wire.Begin();
    }
    SPLITFT_RETURN_IF_ERROR(BeginAll(FrameKind::kStepBegin));
    SPLITFT_RETURN_IF_ERROR(Pump());
  } while (abandoned_);
  absences_.Progress();
  for (Member& member : parts_.roster.members()) {
    member.wire.End();
  }
  figures_.set_seconds(Seconds(parts_.clock.Now() - start));
  return absl::OkStatus();
}

absl::Status Coordinator::RunEvaluation(double* loss) {
  std::vector<Member>& members = parts_.roster.members();
  std::vector<uint32_t> batches;
  std::vector<std::map<FrameKind, int64_t>> bytes;  // of the step before it, as the next
  std::vector<double> awaited;
  for (const Member& member : members) {
    batches.push_back(static_cast<uint32_t>(member.hello.eval_batches));
    bytes.push_back(member.bytes);
    awaited.push_back(member.awaited_seconds);
  }
  SPLITFT_RETURN_IF_ERROR(parts_.report(Event(control::EVALUATING)));
  const auto step = static_cast<uint64_t>(parts_.state.steps_done() - 1);
  SPLITFT_RETURN_IF_ERROR(machine_.BeginEvaluation(step, attempt_, std::move(batches)));
  const double wait_seconds = figures_.server_wait_seconds();
  do {
    eval_loss_.assign(members.size(), {});
    for (size_t client = 0; client < members.size(); ++client) {
      members[client].bytes = bytes[client];
    }
    SPLITFT_RETURN_IF_ERROR(BeginAll(FrameKind::kEvalBegin));
    SPLITFT_RETURN_IF_ERROR(Pump());
  } while (abandoned_);
  absences_.Progress();
  figures_.set_server_wait_seconds(wait_seconds);  // the step's own
  double sum = 0;
  double weight = 0;
  for (size_t client = 0; client < eval_loss_.size(); ++client) {
    Member& member = members[client];
    member.awaited_seconds = awaited[client];
    sum += member.weight * eval_loss_[client].loss_sum;
    weight += member.weight * static_cast<double>(eval_loss_[client].loss_tokens);
  }
  if (!(weight > 0) || !std::isfinite(sum)) {
    return absl::FailedPreconditionError(
        absl::StrCat("evaluation after step ", step + 1, ": loss ", sum, " over ", weight, " weighted tokens"));
  }
  *loss = sum / weight;
  return absl::OkStatus();
}

absl::Status Coordinator::BeginAll(FrameKind kind) {
  if (std::exchange(abandoned_, false)) {
    SPLITFT_RETURN_IF_ERROR(
        parts_.report(Event(kind == FrameKind::kStepBegin ? control::TRAINING : control::EVALUATING)));
  }
  idle_seconds_ = 0;
  const int microbatches = parts_.roster.division().microbatches;
  parts_.model.Begin(parts_.state.parameters(), microbatches);
  const at::Tensor adapters = parts_.state.parameters().to(at::kCPU);
  std::vector<Member>& members = parts_.roster.members();
  for (size_t client = 0; client < members.size(); ++client) {
    inbox_[client].clear();
    runs_[client].clear();
    Member& member = members[client];
    const model::FlatRange& head = member.head_range;
    const model::FlatRange& tail = server_labels_ ? model::FlatRange{} : member.tail_range;
    // A copy: the state is overwritten in place while this may still be on its way.
    at::Tensor mine = at::empty({head.size + tail.size}, at::kFloat);
    mine.narrow(0, 0, head.size).copy_(adapters.narrow(0, head.begin, head.size));
    mine.narrow(0, head.size, tail.size).copy_(adapters.narrow(0, tail.begin, tail.size));
    Frame frame;
    frame.tensor = {.format = WireFormat::kFp32, .shape = {mine.size(0)}, .runs = {}};
    protocol::Assignment assignment = member.assignment;
    assignment.microbatches = microbatches;
    frame.body = assignment;
    frame.payload = train::ToPayload(mine, WireFormat::kFp32);
    SPLITFT_RETURN_IF_ERROR(Send(member, kind, 0, std::move(frame)));
  }
  return absl::OkStatus();
}

absl::Status Coordinator::Pump() {
  while (!machine_.idle()) {
    const TimePoint start = parts_.clock.Now();
    absl::StatusOr<protocol::StreamEvent> event = parts_.server.Next(start + options_.stall_patience);
    if (absl::IsDeadlineExceeded(event.status())) {
      return absl::DeadlineExceededError(absl::StrCat("step ", machine_.step(), " waited ",
                                                      Seconds(options_.stall_patience), " s for ",
                                                      DescribeMissing(machine_.Waiting())));
    }
    const double waited = Seconds(parts_.clock.Now() - start);
    figures_.set_server_wait_seconds(figures_.server_wait_seconds() + waited);
    idle_seconds_ += waited;
    SPLITFT_RETURN_IF_ERROR(event.status());
    SPLITFT_RETURN_IF_ERROR(Handle(*std::move(event)));
    if (abandoned_) {
      return AwaitClients();
    }
    while (const std::optional<protocol::Work> work = machine_.NextWork()) {
      last_heard_->awaited_seconds += std::exchange(idle_seconds_, 0);  // work follows a frame
      SPLITFT_RETURN_IF_ERROR(Do(*work));
    }
  }
  return absl::OkStatus();
}

absl::Status Coordinator::HandleFrame(Member& member, Frame frame) {
  if (frame.key.kind == FrameKind::kPrepared) {
    return HandlePrepared(member, frame);
  }
  absl::StatusOr<protocol::Acceptance> acceptance = machine_.Accept(frame.key);
  if (acceptance.ok() && *acceptance != protocol::Acceptance::kAccepted) {
    return absl::OkStatus();
  }
  const auto client = static_cast<size_t>(&member - parts_.roster.members().data());
  const absl::Status status = acceptance.ok() ? Check(client, frame) : acceptance.status();
  if (!status.ok()) {
    return telemetry::WithExitCode(
        {status.code(), absl::StrCat("client ", member.name, ": ", std::string(status.message()))},
        telemetry::ExitCode::kJobFailed);
  }
  member.bytes[frame.key.kind] += static_cast<int64_t>(frame.payload.bytes().size());
  member.wire.Received(frame, frame.arrived == TimePoint{} ? parts_.clock.Now() : frame.arrived);
  if (frame.key.kind == FrameKind::kHiddenUp || frame.key.kind == FrameKind::kEvalHiddenUp) {
    runs_[client][frame.key.microbatch] = frame.tensor.runs;
  }
  if (const auto* loss = std::get_if<protocol::LossReport>(&frame.body)) {
    protocol::LossReport& total = frame.key.kind == FrameKind::kEvalEnd ? eval_loss_[client] : member.loss;
    total.loss_sum += loss->loss_sum;
    total.loss_tokens += loss->loss_tokens;
  }
  if (const auto* report = std::get_if<protocol::StepReport>(&frame.body)) {
    member.report = *report;
  }
  last_heard_ = &member;
  inbox_[client][{frame.key.kind, frame.key.microbatch}] = std::move(frame);
  return absl::OkStatus();
}

absl::Status Coordinator::Check(size_t client, const Frame& frame) const {
  const Member& member = parts_.roster.members()[client];
  const spec::Training& training = parts_.job.training;
  const int parts = parts_.roster.division().microbatches;
  const int64_t rows = frame.key.kind == FrameKind::kEvalHiddenUp || frame.key.kind == FrameKind::kEvalLabelsUp
                           ? member.batch_size
                           : (member.batch_size + parts - 1) / parts;
  protocol::ExpectedFrame expected{
      .sender = protocol::Side::kClient,
      .job_uid = options_.job_uid,
      .client = member.name,
      .max_attempt = attempt_,
      .first_step = machine_.step(),
      .last_step = machine_.step(),
      .labels_on_server = server_labels_,
      .format = member.assignment.format,
      .hidden_size = options_.hidden_size,
      .max_tokens = rows * training.sequence_length,
      .tokens = std::nullopt,
      .adapter_elements = member.head_range.size + (server_labels_ ? 0 : member.tail_range.size),
      .gradient_required = parts_.job.split.train_client,
      .vocabulary_size = options_.vocabulary_size,
      .max_payload_bytes = std::numeric_limits<int64_t>::max()};
  const auto runs = runs_[client].find(frame.key.microbatch);
  const bool same_rows = frame.key.kind == FrameKind::kGradientUp || frame.key.kind == FrameKind::kLabelsUp ||
                         frame.key.kind == FrameKind::kEvalLabelsUp;
  if (same_rows && runs != runs_[client].end()) {
    expected.tokens = protocol::TokenCount(runs->second);
  }
  // Labels may be here before the rows that they belong to.
  const bool evaluation = frame.key.kind == FrameKind::kEvalHiddenUp;
  if (evaluation || frame.key.kind == FrameKind::kHiddenUp) {
    const FrameKind kind = evaluation ? FrameKind::kEvalLabelsUp : FrameKind::kLabelsUp;
    if (const auto labels = inbox_[client].find({kind, frame.key.microbatch}); labels != inbox_[client].end()) {
      expected.tokens = labels->second.tensor.shape[0];
    }
  }
  SPLITFT_RETURN_IF_ERROR(CheckFrame(frame, expected));
  for (const protocol::SequenceRun& run : frame.tensor.runs) {
    if (run.length > training.sequence_length) {
      return absl::InvalidArgumentError(
          absl::StrCat("a sequence of ", run.length, " tokens; sequenceLength is ", training.sequence_length));
    }
  }
  return absl::OkStatus();
}

absl::Status Coordinator::Send(Member& member, FrameKind kind, uint32_t microbatch, Frame frame) {
  frame.key = {.job_uid = options_.job_uid,
               .attempt = attempt_,
               .client = member.name,
               .step = machine_.step(),
               .microbatch = microbatch,
               .kind = kind};
  const auto bytes = static_cast<int64_t>(frame.payload.bytes().size());
  member.bytes[kind] += bytes;
  member.wire.Sent(frame.key, bytes, parts_.clock.Now());
  if (!member.stream) {
    return absl::UnavailableError(absl::StrCat("client ", member.name, " is not connected"));
  }
  const absl::Status sent = parts_.server.Send(*member.stream, std::move(frame));
  // A stream that has ended says so, and why, in its own event.
  return absl::IsNotFound(sent) ? absl::OkStatus() : sent;
}

}  // namespace splitft::aggregator
