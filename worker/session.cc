#include "worker/session.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/memory.h"
#include "libs/base/status_macros.h"
#include "libs/protocol/frame_check.h"
#include "libs/telemetry/exit.h"
#include "libs/train/guard.h"
#include "libs/train/tensor_frame.h"

namespace splitft::worker {
namespace {

using protocol::Frame;
using protocol::FrameKey;
using protocol::FrameKind;
using protocol::WireFormat;

constexpr Duration kSendPatience = std::chrono::minutes(5);
constexpr Duration kFaultPatience = std::chrono::seconds(2);

absl::Status FaultStatus(const protocol::Fault& fault) {
  // A consequence here: the cause is the aggregator's, or another client's.
  return telemetry::WithExitCode(
      {static_cast<absl::StatusCode>(fault.code), absl::StrCat("the aggregator gave up: ", fault.message)},
      telemetry::ExitCode::kPeerLost);
}

// How a stream's end ends this program: whoever started it may start it again, and it goes on where the job is. What
// the aggregator refuses, and a frame that is none, stay what they are.
absl::Status StreamEnd(absl::Status status) {
  switch (status.code()) {
    case absl::StatusCode::kAborted:  // another worker took this client's place
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:  // how gRPC reports a broken HTTP/2 stream
    case absl::StatusCode::kUnknown:
      return telemetry::WithExitCode(std::move(status), telemetry::ExitCode::kPeerLost);
    default:
      return status;  // Unavailable is kPeerLost as it is
  }
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
    return absl::InvalidArgumentError(absl::StrCat("the aggregator answered Hello with ",
                                                   std::string(FrameKindName(frame.key.kind)), "; expected Welcome"));
  }
  return *welcome;
}

absl::Status Session::Train(const protocol::Welcome& welcome, ClientModel& model) {
  format_ = welcome.format;
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
    if (frame->key.kind == FrameKind::kPrepare) {
      SPLITFT_RETURN_IF_ERROR(Prepare(*frame, model));
    } else if (frame->key.kind != FrameKind::kWelcome) {  // a second one says nothing new
      SPLITFT_RETURN_IF_ERROR(Handle(*frame, model));
    }
  }
}

void Session::GiveUp(const absl::Status& reason) {
  const Turn turn = turn_.value_or(Turn{});
  Frame frame{
      .key = {.job_uid = options_.job_uid,
              .attempt = turn.attempt,
              .client = options_.client,
              .step = turn.step,
              .microbatch = 0,
              .kind = FrameKind::kFault},
      .tensor = {},
      .body = protocol::Fault{.code = static_cast<int32_t>(reason.code()),
                              .message = std::string(reason.message()).substr(0, protocol::kMaxFaultMessageBytes)},
      .payload = {}};
  // The stream may be what failed; there is nobody left to tell then.
  (void)stream_.Send(std::move(frame), clock_.Now() + kFaultPatience);
}

absl::StatusOr<Frame> Session::ReceiveUntil(TimePoint deadline) {
  const PhaseTimer timer(clock_, &report_.wait_seconds);
  absl::StatusOr<Frame> frame = stream_.Receive(deadline);
  return frame.ok() ? std::move(frame) : StreamEnd(frame.status());
}

Session::Turn Session::TurnOf(const protocol::FrameKey& key) {
  const bool evaluation = key.kind == FrameKind::kEvalBegin || key.kind == FrameKind::kEvalHiddenDown;
  return {.attempt = key.attempt, .step = key.step, .evaluation = evaluation};
}

absl::StatusOr<bool> Session::IsOld(const Frame& frame) const {
  const FrameKey& key = frame.key;
  const Turn turn = TurnOf(key);
  if (key.kind == FrameKind::kStepBegin || key.kind == FrameKind::kEvalBegin) {
    return turn_ && turn <= *turn_;
  }
  if (turn_ && turn < *turn_) {
    return true;
  }
  const auto early = [&] {
    return absl::FailedPreconditionError(
        absl::StrCat("the aggregator sent ", DescribeFrame(key), " before what it answers"));
  };
  if (!turn_ || turn > *turn_) {
    return early();
  }
  if (turn.evaluation) {
    const auto sent = static_cast<uint32_t>(eval_next_);
    return key.microbatch < sent ? absl::StatusOr<bool>(key.microbatch + 1 < sent) : early();
  }
  if (key.microbatch >= progress_.size()) {
    return early();
  }
  const Progress expected =
      key.kind == FrameKind::kGradientDown && !options_.server_labels ? Progress::kTailDone : Progress::kForwarded;
  const Progress found = progress_[key.microbatch];
  return found < expected ? early() : absl::StatusOr<bool>(found > expected);
}

absl::Status Session::Handle(const Frame& frame, ClientModel& model) {
  const FrameKind kind = frame.key.kind;
  SPLITFT_ASSIGN_OR_RETURN(const bool old, IsOld(frame));
  if (old) {
    return absl::OkStatus();
  }
  SPLITFT_RETURN_IF_ERROR(Check(frame, model));
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

absl::Status Session::Check(const Frame& frame, const ClientModel& model) const {
  const FrameKind kind = frame.key.kind;
  int64_t elements = model.adapter_elements();
  const auto* assignment = std::get_if<protocol::Assignment>(&frame.body);
  if (assignment != nullptr && kind != FrameKind::kPrepare) {
    SPLITFT_ASSIGN_OR_RETURN(elements, model.AdapterElements(assignment->cut_layer));
  }
  protocol::ExpectedFrame expected{.sender = protocol::Side::kAggregator,
                                   .job_uid = options_.job_uid,
                                   .client = options_.client,
                                   .labels_on_server = options_.server_labels,
                                   .format = format_,
                                   .hidden_size = options_.hidden_size,
                                   .max_tokens = sampler_.max_tokens(),
                                   .tokens = std::nullopt,
                                   .adapter_elements = elements,
                                   .max_microbatches = sampler_.batch_size(),
                                   .max_payload_bytes = std::numeric_limits<int64_t>::max()};
  if (kind == FrameKind::kEvalHiddenDown) {
    expected.tokens = eval_batch_.part.tokens();
  } else if (kind == FrameKind::kHiddenDown || kind == FrameKind::kGradientDown) {
    expected.tokens = batches_[frame.key.microbatch].part.tokens();
  }
  const absl::Status status = CheckFrame(frame, expected);
  return status.ok() ? status : telemetry::WithExitCode(status, telemetry::ExitCode::kJobFailed);
}

absl::Status Session::Prepare(const Frame& frame, ClientModel& model) {
  SPLITFT_RETURN_IF_ERROR(Check(frame, model));
  const auto& assignment = std::get<protocol::Assignment>(frame.body);
  const absl::Status status = train::RunGuarded([&] { return model.Reserve(assignment.cut_layer); });
  const protocol::Prepared prepared{
      .plan = assignment.plan, .refusal = std::string(status.message()).substr(0, protocol::kMaxFaultMessageBytes)};
  return Send(FrameKind::kPrepared, 0, {.key = {}, .tensor = {}, .body = prepared, .payload = {}});
}

absl::StatusOr<protocol::Assignment> Session::TakeTurn(const Frame& frame, ClientModel& model) {
  turn_ = TurnOf(frame.key);
  const auto& assignment = std::get<protocol::Assignment>(frame.body);  // Check has seen to that
  SPLITFT_RETURN_IF_ERROR(model.Use(assignment.cut_layer));
  format_ = assignment.format;
  model.Begin(train::FromPayload(frame.payload, WireFormat::kFp32, {model.adapter_elements()}, at::kFloat),
              turn_->evaluation ? 0 : assignment.microbatches);
  return assignment;
}

absl::Status Session::Begin(const Frame& frame, ClientModel& model) {
  SPLITFT_ASSIGN_OR_RETURN(const protocol::Assignment assignment, TakeTurn(frame, model));
  batches_ = sampler_.Train(frame.key.step, assignment.microbatches);
  progress_.assign(batches_.size(), Progress::kWaiting);
  forwarded_ = 0;
  begun_ = ArrivalOf(frame);
  report_ = {};
  static_cast<void>(processors_.Take());  // what was before the step
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
  // With nothing to come back, this microbatch is done here.
  const bool done = options_.server_labels && !options_.train_client;
  return Advance(static_cast<size_t>(microbatch), done ? Progress::kFinished : Progress::kForwarded, model);
}

absl::Status Session::RunTail(const Frame& frame, ClientModel& model) {
  const uint32_t microbatch = frame.key.microbatch;
  const train::Microbatch& batch = batches_[microbatch];
  ClientModel::TailResult result;
  {
    const PhaseTimer timer(clock_, &report_.tail_seconds);
    result = model.Tail(train::FromPayload(frame.payload, format_, frame.tensor.shape, options_.tensors), batch);
  }
  const auto noise = train::RoundingNoise(
      options_.seed,
      {.client = options_.client, .step = frame.key.step, .microbatch = microbatch, .kind = FrameKind::kGradientUp});
  SPLITFT_RETURN_IF_ERROR(
      Send(FrameKind::kGradientUp, microbatch,
           {.key = {},
            .tensor = frame.tensor,
            .body = protocol::LossReport{.loss_sum = result.loss_sum, .loss_tokens = result.loss_tokens},
            .payload = train::ToPayload(result.grad_hidden_ND, format_, noise)},
           ArrivalOf(frame)));
  return Advance(microbatch, options_.train_client ? Progress::kTailDone : Progress::kFinished, model);
}

absl::Status Session::RunHeadBackward(const Frame& frame, ClientModel& model) {
  answered_ = ArrivalOf(frame);
  {
    const PhaseTimer timer(clock_, &report_.head_backward_seconds);
    model.HeadBackward(static_cast<int>(frame.key.microbatch),
                       train::FromPayload(frame.payload, format_, frame.tensor.shape, options_.tensors));
  }
  return Advance(frame.key.microbatch, Progress::kFinished, model);
}

absl::Status Session::Advance(size_t microbatch, Progress progress, ClientModel& model) {
  progress_[microbatch] = progress;
  const bool finished =
      std::all_of(progress_.begin(), progress_.end(), [](Progress p) { return p == Progress::kFinished; });
  return finished ? EndStep(model) : absl::OkStatus();
}

absl::Status Session::EndStep(ClientModel& model) {
  Frame end;
  if (const at::Tensor gradient = model.Gradient(); gradient.defined()) {
    end.tensor = {.format = WireFormat::kFp32, .shape = {gradient.size(0)}, .runs = {}};
    end.payload = train::ToPayload(gradient, WireFormat::kFp32);
  }
  report_.peak_memory_bytes = PeakMemoryBytes();
  report_.memory_limit_bytes = memory_limit_bytes_;
  const ProcessorMeter::Use use = processors_.Take();
  report_.cpu_seconds = use.cpu_seconds;
  report_.throttled_seconds = use.throttled_seconds;
  report_.cpu_quota = use.quota_cores;
  end.body = report_;
  // Where nothing comes back for the head, it is the end of whatever was last; that measures no wire.
  return Send(FrameKind::kStepEnd, 0, std::move(end), options_.train_client ? std::optional(answered_) : std::nullopt);
}

absl::Status Session::Evaluate(const Frame& frame, ClientModel& model) {
  SPLITFT_RETURN_IF_ERROR(TakeTurn(frame, model).status());
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
        train::FromPayload(frame.payload, format_, frame.tensor.shape, options_.tensors), eval_batch_);
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
            .tensor = {.format = format_, .shape = {hidden_ND.size(0), hidden_ND.size(1)}, .runs = runs},
            .body = {},
            .payload = train::ToPayload(hidden_ND, format_)},
           kind == FrameKind::kHiddenUp ? std::optional(begun_) : std::nullopt));
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

TimePoint Session::ArrivalOf(const Frame& frame) const {
  return frame.arrived == TimePoint{} ? clock_.Now() : frame.arrived;
}

absl::Status Session::Send(FrameKind kind, uint32_t microbatch, Frame frame, std::optional<TimePoint> prompted) {
  const Turn turn = turn_.value_or(Turn{});
  frame.key = {.job_uid = options_.job_uid,
               .attempt = turn.attempt,
               .client = options_.client,
               .step = turn.step,
               .microbatch = microbatch,
               .kind = kind};
  if (prompted.has_value()) {
    frame.held_seconds = std::max(1e-9, Seconds(clock_.Now() - *prompted));
  }
  return StreamEnd(stream_.Send(std::move(frame), clock_.Now() + kSendPatience));
}

}  // namespace splitft::worker
