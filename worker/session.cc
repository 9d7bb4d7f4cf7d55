#include "worker/session.h"

#include <sys/resource.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/protocol/frame_check.h"
#include "libs/train/tensor_frame.h"

namespace splitft::worker {
namespace {

using protocol::Frame;
using protocol::FrameKind;
using protocol::WireFormat;

constexpr Duration kSendPatience = std::chrono::minutes(5);
constexpr Duration kFaultPatience = std::chrono::seconds(2);

int64_t PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

absl::Status FaultStatus(const protocol::Fault& fault) {
  return {static_cast<absl::StatusCode>(fault.code), absl::StrCat("the aggregator gave up: ", fault.message)};
}

// Adds the time since construction to a figure.
class PhaseTimer {
 public:
  PhaseTimer(const Clock& clock, double* seconds) : clock_(clock), seconds_(seconds), start_(clock.Now()) {}
  PhaseTimer(const PhaseTimer&) = delete;
  ~PhaseTimer() { *seconds_ += Seconds(clock_.Now() - start_); }

 private:
  const Clock& clock_;
  double* seconds_;
  TimePoint start_;
};

}  // namespace

Session::Session(const SessionOptions& options, const Clock& clock, protocol::FrameStream& stream,
                 train::BatchSampler& sampler)
    : options_(options), clock_(clock), stream_(stream), sampler_(sampler) {}

absl::StatusOr<protocol::Welcome> Session::Join(const protocol::Hello& hello) {
  SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kHello, 0, {.key = {}, .tensor = {}, .body = hello, .payload = {}}));
  SPLITFT_ASSIGN_OR_RETURN(const Frame frame, ReceiveUntil(clock_.Now() + options_.patience));
  if (const auto* fault = std::get_if<protocol::Fault>(&frame.body)) {
    return FaultStatus(*fault);
  }
  const auto* welcome = std::get_if<protocol::Welcome>(&frame.body);
  if (frame.key.kind != FrameKind::kWelcome || welcome == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the aggregator answered Hello with ", std::string(FrameKindName(frame.key.kind)), "; expected Welcome"));
  }
  return *welcome;
}

absl::Status Session::Train(const protocol::Welcome& welcome, ClientModel& model) {
  welcome_ = welcome;
  for (;;) {
    // Answers from the aggregator come first: they let it, and the other clients, go on.
    const bool may_forward = forwarded_ < static_cast<int>(batches_.size());
    absl::StatusOr<Frame> frame = ReceiveUntil(may_forward ? clock_.Now() : clock_.Now() + options_.patience);
    if (may_forward && absl::IsDeadlineExceeded(frame.status())) {
      SPLITFT_RETURN_IF_ERROR(ForwardNext(model));
      continue;
    }
    SPLITFT_RETURN_IF_ERROR(frame.status());
    if (frame->key.kind == FrameKind::kFinish) {
      return absl::OkStatus();
    }
    if (const auto* fault = std::get_if<protocol::Fault>(&frame->body)) {
      return FaultStatus(*fault);
    }
    SPLITFT_RETURN_IF_ERROR(Handle(*frame, model));
  }
}

void Session::GiveUp(const absl::Status& reason) {
  Frame frame{.key = {.job_uid = options_.job_uid,
                      .attempt = attempt_,
                      .client = options_.client,
                      .step = step_,
                      .microbatch = 0,
                      .kind = FrameKind::kFault},
              .tensor = {},
              .body = protocol::Fault{.code = static_cast<int32_t>(reason.code()), .message = std::string(reason.message())},
              .payload = {}};
  // The stream may be what failed; there is nobody left to tell then.
  (void)stream_.Send(std::move(frame), clock_.Now() + kFaultPatience);
}

absl::StatusOr<Frame> Session::ReceiveUntil(TimePoint deadline) {
  const PhaseTimer timer(clock_, &report_.wait_seconds);
  return stream_.Receive(deadline);
}

absl::Status Session::Handle(const Frame& frame, ClientModel& model) {
  const FrameKind kind = frame.key.kind;
  const bool begins = kind == FrameKind::kStepBegin || kind == FrameKind::kEvalBegin;
  if (!begins && frame.key.attempt != attempt_) {
    return absl::OkStatus();  // of a step that was started over
  }
  SPLITFT_RETURN_IF_ERROR(Check(frame));
  switch (kind) {
    case FrameKind::kStepBegin:
      return Begin(frame, model);
    case FrameKind::kHiddenDown:
      return RunTail(frame, model);
    case FrameKind::kGradientDown:
      return RunHeadBackward(frame, model);
    case FrameKind::kEvalBegin:
      return Evaluate(frame, model);
    case FrameKind::kEvalHiddenDown:
      return EvaluateTail(frame, model);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("the aggregator sent ", std::string(FrameKindName(kind)), ", which a client does not take"));
  }
}

absl::Status Session::Begin(const Frame& frame, ClientModel& model) {
  attempt_ = frame.key.attempt;
  step_ = frame.key.step;
  model.Begin(train::FromPayload(frame.payload, WireFormat::kFp32, {model.adapter_elements()}, at::kFloat),
              options_.microbatches);
  batches_ = sampler_.Train(step_, options_.microbatches);
  forwarded_ = 0;
  finished_ = 0;
  report_ = {};
  for (const train::Microbatch& batch : batches_) {
    report_.tokens += batch.part.tokens();
  }
  return absl::OkStatus();
}

absl::Status Session::ForwardNext(ClientModel& model) {
  const int microbatch = forwarded_++;
  const train::Microbatch& batch = batches_[static_cast<size_t>(microbatch)];
  at::Tensor hidden_ND;
  {
    const PhaseTimer timer(clock_, &report_.head_forward_seconds);
    hidden_ND = model.HeadForward(microbatch, batch);
  }
  SPLITFT_RETURN_IF_ERROR(SendHidden(FrameKind::kHiddenUp, static_cast<uint32_t>(microbatch), hidden_ND, batch));
  if (options_.server_labels && !options_.train_client) {
    ++finished_;  // nothing comes back
    return MaybeEndStep(model);
  }
  return absl::OkStatus();
}

absl::Status Session::RunTail(const Frame& frame, ClientModel& model) {
  const uint32_t microbatch = frame.key.microbatch;
  const train::Microbatch& batch = batches_[microbatch];
  ClientModel::TailResult result;
  {
    const PhaseTimer timer(clock_, &report_.tail_seconds);
    result = model.Tail(train::FromPayload(frame.payload, welcome_.format, frame.tensor.shape, options_.tensors), batch);
  }
  SPLITFT_RETURN_IF_ERROR(Send(FrameKind::kGradientUp, microbatch,
                               {.key = {},
                                .tensor = frame.tensor,
                                .body = protocol::LossReport{.loss_sum = result.loss_sum, .loss_tokens = result.loss_tokens},
                                .payload = train::ToPayload(result.grad_hidden_ND, welcome_.format)}));
  if (!options_.train_client) {
    ++finished_;
    return MaybeEndStep(model);
  }
  return absl::OkStatus();
}

absl::Status Session::RunHeadBackward(const Frame& frame, ClientModel& model) {
  {
    const PhaseTimer timer(clock_, &report_.head_backward_seconds);
    model.HeadBackward(static_cast<int>(frame.key.microbatch),
                       train::FromPayload(frame.payload, welcome_.format, frame.tensor.shape, options_.tensors));
  }
  ++finished_;
  return MaybeEndStep(model);
}

absl::Status Session::MaybeEndStep(ClientModel& model) {
  if (finished_ < options_.microbatches) {
    return absl::OkStatus();
  }
  Frame end;
  if (const at::Tensor gradient = model.Gradient(); gradient.defined()) {
    end.tensor = {.format = WireFormat::kFp32, .shape = {gradient.size(0)}, .runs = {}};
    end.payload = train::ToPayload(gradient, WireFormat::kFp32);
  }
  report_.peak_memory_bytes = PeakMemoryBytes();
  end.body = report_;
  batches_.clear();
  forwarded_ = 0;
  return Send(FrameKind::kStepEnd, 0, std::move(end));
}

absl::Status Session::Evaluate(const Frame& frame, ClientModel& model) {
  attempt_ = frame.key.attempt;
  step_ = frame.key.step;
  model.Begin(train::FromPayload(frame.payload, WireFormat::kFp32, {model.adapter_elements()}, at::kFloat),
              /*microbatches=*/0);
  eval_next_ = 0;
  eval_loss_ = {};
  return SendEvaluation(model);
}

absl::Status Session::SendEvaluation(ClientModel& model) {
  if (eval_next_ == sampler_.eval_batches()) {
    return Send(FrameKind::kEvalEnd, 0, {.key = {}, .tensor = {}, .body = eval_loss_, .payload = {}});
  }
  eval_batch_ = sampler_.Eval(eval_next_);
  const at::Tensor hidden_ND = model.HeadEvaluate(eval_batch_);
  return SendHidden(FrameKind::kEvalHiddenUp, static_cast<uint32_t>(eval_next_++), hidden_ND, eval_batch_);
}

absl::Status Session::EvaluateTail(const Frame& frame, ClientModel& model) {
  if (!options_.server_labels) {
    const ClientModel::TailResult result = model.TailEvaluate(
        train::FromPayload(frame.payload, welcome_.format, frame.tensor.shape, options_.tensors), eval_batch_);
    eval_loss_.loss_sum += result.loss_sum;
    eval_loss_.loss_tokens += result.loss_tokens;
  }
  return SendEvaluation(model);
}

absl::Status Session::SendHidden(FrameKind kind, uint32_t microbatch, const at::Tensor& hidden_ND,
                                 const train::Microbatch& batch) {
  std::vector<protocol::SequenceRun> runs;
  for (const model::SequenceRun& run : batch.part.runs) {
    runs.push_back({.count = run.count, .length = run.length});
  }
  SPLITFT_RETURN_IF_ERROR(
      Send(kind, microbatch,
           {.key = {},
            .tensor = {.format = welcome_.format, .shape = {hidden_ND.size(0), hidden_ND.size(1)}, .runs = runs},
            .body = {},
            .payload = train::ToPayload(hidden_ND, welcome_.format)}));
  if (!options_.server_labels) {
    return absl::OkStatus();
  }
  const FrameKind labels = kind == FrameKind::kHiddenUp ? FrameKind::kLabelsUp : FrameKind::kEvalLabelsUp;
  return Send(labels, microbatch,
              {.key = {},
               .tensor = {.format = WireFormat::kInt32, .shape = {batch.labels_N.size(0)}, .runs = std::move(runs)},
               .body = {},
               .payload = train::ToPayload(batch.labels_N, WireFormat::kInt32)});
}

absl::Status Session::Send(FrameKind kind, uint32_t microbatch, Frame frame) {
  frame.key = {.job_uid = options_.job_uid,
               .attempt = attempt_,
               .client = options_.client,
               .step = step_,
               .microbatch = microbatch,
               .kind = kind};
  return stream_.Send(std::move(frame), clock_.Now() + kSendPatience);
}

}  // namespace splitft::worker
