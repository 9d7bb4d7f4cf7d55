#include "libs/protocol/step_machine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"

namespace splitft::protocol {
namespace {

bool IsEvaluationKind(FrameKind kind) {
  return kind == FrameKind::kEvalHiddenUp || kind == FrameKind::kEvalLabelsUp || kind == FrameKind::kEvalEnd;
}

bool IsStepKind(FrameKind kind) {
  return kind == FrameKind::kHiddenUp || kind == FrameKind::kLabelsUp || kind == FrameKind::kGradientUp ||
         kind == FrameKind::kStepEnd;
}

absl::Status CheckBelow(const FrameKey& key, uint32_t limit) {
  if (key.microbatch >= limit) {
    return absl::OutOfRangeError(
        absl::StrCat(DescribeFrame(key), ": microbatch is ", key.microbatch, "; expected less than ", limit));
  }
  return absl::OkStatus();
}

absl::Status TooEarly(const FrameKey& key, const char* missing) {
  return absl::FailedPreconditionError(
      absl::StrCat(DescribeFrame(key), ": answers ", missing, ", which was not sent yet"));
}

}  // namespace

std::string_view WorkKindName(WorkKind kind) {
  switch (kind) {
    case WorkKind::kForward:
      return "Forward";
    case WorkKind::kBackward:
      return "Backward";
    case WorkKind::kForwardBackward:
      return "ForwardBackward";
    case WorkKind::kEndStep:
      return "EndStep";
    case WorkKind::kEvalForward:
      return "EvalForward";
    case WorkKind::kEndEvaluation:
      return "EndEvaluation";
  }
  return "unknown";
}

std::string_view AcceptanceName(Acceptance acceptance) {
  switch (acceptance) {
    case Acceptance::kAccepted:
      return "Accepted";
    case Acceptance::kDuplicate:
      return "Duplicate";
    case Acceptance::kStale:
      return "Stale";
  }
  return "unknown";
}

std::string DescribeMissing(const std::vector<Missing>& missing) {
  std::string text;
  std::string_view client;
  for (const Missing& entry : missing) {
    if (text.empty() || entry.client != client) {
      client = entry.client;
      absl::StrAppend(&text, text.empty() ? "" : "; ", entry.client, ": ");
    } else {
      absl::StrAppend(&text, ", ");
    }
    const bool end = entry.kind == FrameKind::kStepEnd || entry.kind == FrameKind::kEvalEnd;
    absl::StrAppend(&text, std::string(FrameKindName(entry.kind)), end ? "" : " ",
                    end ? "" : absl::StrJoin(entry.microbatches, ", "));
  }
  return text;
}

StepMachine::StepMachine(Options options) : options_(std::move(options)) {}

absl::StatusOr<StepMachine> StepMachine::Create(Options options) {
  if (options.clients.empty()) {
    return absl::InvalidArgumentError("clients is empty; expected at least one");
  }
  StepMachine machine(std::move(options));
  for (size_t i = 0; i < machine.options_.clients.size(); ++i) {
    const std::string& name = machine.options_.clients[i];
    if (!machine.index_.emplace(name, i).second) {
      return absl::InvalidArgumentError(absl::StrCat("clients names \"", name, "\" twice"));
    }
  }
  return machine;
}

absl::Status StepMachine::BeginStep(uint64_t step, uint32_t attempt, uint32_t microbatches) {
  if (microbatches == 0) {
    return absl::InvalidArgumentError("microbatches is 0; expected at least 1");
  }
  return Begin(Phase::kStep, step, attempt, microbatches);
}

absl::Status StepMachine::BeginEvaluation(uint64_t step, uint32_t attempt, std::vector<uint32_t> batches) {
  if (batches.size() != options_.clients.size()) {
    return absl::InvalidArgumentError(absl::StrCat("batches has ", batches.size(), " counts; expected one for each of ",
                                                   options_.clients.size(), " clients"));
  }
  std::swap(batches, eval_batches_);
  absl::Status status = Begin(Phase::kEvaluation, step, attempt, microbatches_);
  if (!status.ok()) {
    std::swap(batches, eval_batches_);
  }
  return status;
}

absl::Status StepMachine::Begin(Phase phase, uint64_t step, uint32_t attempt, uint32_t microbatches) {
  const char* what = phase == Phase::kStep ? "step " : "evaluation after step ";
  const std::optional<uint64_t>& last = phase == Phase::kStep ? last_step_ : last_evaluation_;
  if (attempt < attempt_) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot begin ", what, step, " in attempt ", attempt, ": attempt ", attempt_, " has begun"));
  }
  if (attempt == attempt_ && phase_ != Phase::kIdle) {
    return absl::FailedPreconditionError(absl::StrCat("cannot begin ", what, step, ": step ", step_, " is not over"));
  }
  if (attempt == attempt_ && last.has_value() && step <= *last) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot begin ", what, step, " in attempt ", attempt, ": it has reached ", *last));
  }
  if (attempt > attempt_) {
    last_step_.reset();
    last_evaluation_.reset();
  }
  phase_ = phase;
  step_ = step;
  attempt_ = attempt;
  microbatches_ = microbatches;
  (phase == Phase::kStep ? last_step_ : last_evaluation_) = step;
  Reset();
  return absl::OkStatus();
}

absl::Status StepMachine::Restart(uint32_t attempt) {
  if (phase_ == Phase::kIdle) {
    return absl::FailedPreconditionError("no step is in progress that could be started over");
  }
  if (attempt <= attempt_) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot start step ", step_, " over in attempt ", attempt, "; expected more than ", attempt_));
  }
  return Begin(phase_, step_, attempt, microbatches_);
}

void StepMachine::Reset() {
  forwards_ = 0;
  backwards_ = 0;
  arrivals_.assign(options_.clients.size(), Arrivals());
  counts_ = {};
  if (phase_ == Phase::kStep) {
    counts_.hidden.resize(microbatches_);
    counts_.labels.resize(microbatches_);
    counts_.gradient.resize(microbatches_);
  }
  size_t batches = 0;
  for (size_t i = 0; i < arrivals_.size(); ++i) {
    arrivals_[i].first = batches;
    batches += Batches(i);
  }
  parts_.assign(batches, 0);
}

uint32_t StepMachine::Batches(size_t client) const {
  return phase_ == Phase::kEvaluation ? eval_batches_[client] : microbatches_;
}

absl::StatusOr<Acceptance> StepMachine::Accept(const FrameKey& key) {
  const auto found = index_.find(key.client);
  if (found == index_.end()) {
    return absl::InvalidArgumentError(absl::StrCat(DescribeFrame(key), ": no client of this job has that name"));
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::optional<Acceptance> place, Place(key));
  if (place.has_value()) {
    return *place;
  }
  SPLITFT_RETURN_IF_ERROR(CheckCausal(key, found->second));

  Arrivals& arrivals = arrivals_[found->second];
  if (key.kind == FrameKind::kStepEnd || key.kind == FrameKind::kEvalEnd) {
    if (std::exchange(arrivals.end, true)) {
      return Acceptance::kDuplicate;
    }
    ++counts_.end;
    return Acceptance::kAccepted;
  }
  const bool hidden = key.kind == FrameKind::kHiddenUp || key.kind == FrameKind::kEvalHiddenUp;
  const bool gradient = key.kind == FrameKind::kGradientUp;
  const Part part = hidden ? kHidden : gradient ? kGradient : kLabels;
  uint8_t& parts = parts_[arrivals.first + key.microbatch];
  if ((parts & part) != 0) {
    return Acceptance::kDuplicate;
  }
  parts |= part;
  if (phase_ == Phase::kStep) {
    ++(hidden ? counts_.hidden : gradient ? counts_.gradient : counts_.labels)[key.microbatch];
  }
  return Acceptance::kAccepted;
}

absl::StatusOr<std::optional<Acceptance>> StepMachine::Place(const FrameKey& key) const {
  const bool evaluation = IsEvaluationKind(key.kind);
  if (!evaluation && !IsStepKind(key.kind)) {
    return absl::InvalidArgumentError(absl::StrCat(DescribeFrame(key), ": no frame that a client sends in a step"));
  }
  if (key.attempt < attempt_) {
    return Acceptance::kStale;
  }
  if (key.attempt > attempt_) {
    return absl::OutOfRangeError(
        absl::StrCat(DescribeFrame(key), ": attempt is ", key.attempt, "; expected at most ", attempt_));
  }
  if (key.step == step_ && phase_ == (evaluation ? Phase::kEvaluation : Phase::kStep)) {
    return std::nullopt;
  }
  const std::optional<uint64_t>& last = evaluation ? last_evaluation_ : last_step_;
  if (!last.has_value() || key.step > *last) {
    return absl::OutOfRangeError(
        absl::StrCat(DescribeFrame(key), ": step is ", key.step, "; expected ",
                     last.has_value() ? absl::StrCat("at most ", *last) : "none before it begins"));
  }
  return Acceptance::kStale;
}

absl::Status StepMachine::CheckCausal(const FrameKey& key, size_t client) const {
  const bool labels = key.kind == FrameKind::kLabelsUp || key.kind == FrameKind::kEvalLabelsUp;
  if (labels && !options_.labels_on_server) {
    return absl::InvalidArgumentError(absl::StrCat(DescribeFrame(key), ": labels stay with the clients in this job"));
  }
  if (key.kind == FrameKind::kGradientUp && options_.labels_on_server) {
    return absl::InvalidArgumentError(absl::StrCat(DescribeFrame(key), ": the aggregator has the labels in this job"));
  }
  const bool end = key.kind == FrameKind::kStepEnd || key.kind == FrameKind::kEvalEnd;
  SPLITFT_RETURN_IF_ERROR(CheckBelow(key, end ? 1 : Batches(client)));
  if (key.kind == FrameKind::kGradientUp && key.microbatch >= forwards_) {
    return TooEarly(key, "HiddenDown");
  }
  if (end && !MayEnd(client)) {
    return TooEarly(key, key.kind == FrameKind::kEvalEnd ? "EvalHiddenDown"
                         : options_.client_gradients     ? "GradientDown"
                                                         : "HiddenDown");
  }
  return absl::OkStatus();
}

bool StepMachine::MayEnd(size_t client) const {
  if (phase_ == Phase::kEvaluation) {
    return arrivals_[client].evaluated == Batches(client);
  }
  if (options_.client_gradients) {
    return backwards_ == microbatches_;
  }
  return options_.labels_on_server || forwards_ == microbatches_;
}

std::optional<Work> StepMachine::NextWork() {
  switch (phase_) {
    case Phase::kIdle:
      return std::nullopt;
    case Phase::kStep:
      return NextStepWork();
    case Phase::kEvaluation:
      return NextEvaluationWork();
  }
  return std::nullopt;
}

std::optional<Work> StepMachine::NextStepWork() {
  const bool forward_ready = forwards_ < microbatches_ && AllHave(&Counts::hidden, forwards_);
  if (options_.labels_on_server) {
    if (forward_ready && AllHave(&Counts::labels, forwards_)) {
      ++backwards_;
      return Work{WorkKind::kForwardBackward, forwards_++};
    }
  } else if (backwards_ < forwards_ && AllHave(&Counts::gradient, backwards_)) {
    return Work{WorkKind::kBackward, backwards_++};
  } else if (forward_ready) {
    return Work{WorkKind::kForward, forwards_++};
  }
  if (backwards_ == microbatches_ && AllEnded()) {
    phase_ = Phase::kIdle;
    return Work{WorkKind::kEndStep};
  }
  return std::nullopt;
}

std::optional<Work> StepMachine::NextEvaluationWork() {
  for (size_t client = 0; client < arrivals_.size(); ++client) {
    Arrivals& arrivals = arrivals_[client];
    const uint32_t next = arrivals.evaluated;
    const int needed = options_.labels_on_server ? kHidden | kLabels : kHidden;
    if (next < Batches(client) && (parts_[arrivals.first + next] & needed) == needed) {
      ++arrivals.evaluated;
      return Work{WorkKind::kEvalForward, next, client};
    }
  }
  if (AllEnded()) {
    phase_ = Phase::kIdle;
    return Work{WorkKind::kEndEvaluation};
  }
  return std::nullopt;
}

bool StepMachine::AllHave(std::vector<size_t> Counts::*counts, uint32_t microbatch) const {
  return (counts_.*counts)[microbatch] == arrivals_.size();
}

bool StepMachine::AllEnded() const { return counts_.end == arrivals_.size(); }

std::vector<Missing> StepMachine::Waiting() const {
  std::vector<Missing> missing;
  const bool evaluation = phase_ == Phase::kEvaluation;
  for (size_t i = 0; phase_ != Phase::kIdle && i < arrivals_.size(); ++i) {
    const Arrivals& arrivals = arrivals_[i];
    AddMissing(i, evaluation ? FrameKind::kEvalHiddenUp : FrameKind::kHiddenUp, kHidden, Batches(i), &missing);
    if (options_.labels_on_server) {
      AddMissing(i, evaluation ? FrameKind::kEvalLabelsUp : FrameKind::kLabelsUp, kLabels, Batches(i), &missing);
    } else if (!evaluation) {
      AddMissing(i, FrameKind::kGradientUp, kGradient, forwards_, &missing);
    }
    if (MayEnd(i) && !arrivals.end) {
      missing.push_back({options_.clients[i], evaluation ? FrameKind::kEvalEnd : FrameKind::kStepEnd, {0}});
    }
  }
  return missing;
}

void StepMachine::AddMissing(size_t client, FrameKind kind, Part part, uint32_t below,
                             std::vector<Missing>* missing) const {
  Missing entry{options_.clients[client], kind, {}};
  for (uint32_t m = 0; m < below; ++m) {
    if ((parts_[arrivals_[client].first + m] & part) == 0) {
      entry.microbatches.push_back(m);
    }
  }
  if (!entry.microbatches.empty()) {
    missing->push_back(std::move(entry));
  }
}

}  // namespace splitft::protocol
