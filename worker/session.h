#pragma once

#include <chrono>
#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/memory.h"
#include "libs/base/processor_meter.h"
#include "libs/protocol/frame.h"
#include "libs/protocol/ports.h"
#include "libs/train/batches.h"
#include "worker/client_model.h"

namespace splitft::worker {

struct SessionOptions {
  std::string job_uid;
  std::string client;
  uint64_t seed = 0;  // the job's
  bool server_labels = false;
  bool train_client = true;
  int64_t hidden_size = 0;
  at::TensorOptions tensors;                     // device and dtype the model computes in
  Duration patience = std::chrono::minutes(15);  // for the aggregator's next frame
};

// A client's side of the conversation (docs/wire.md): announces itself, then answers each step the aggregator begins.
// It keeps nothing between steps, so a step may be begun again, under a higher attempt, at any time. One thread.
class Session {
 public:
  // All outlive the session.
  Session(const SessionOptions& options, const Clock& clock, protocol::FrameStream& stream,
          train::BatchSampler& sampler);

  // Says hello and waits for the aggregator's assignment.
  absl::StatusOr<protocol::Welcome> Join(const protocol::Hello& hello);
  // Trains until the aggregator finishes the job (OK) or somebody gives up: the aggregator's fault as it stated it, or
  // Unavailable when it is gone.
  absl::Status Train(const protocol::Welcome& welcome, ClientModel& model);
  // Tells the aggregator why this client gives up; best effort.
  void GiveUp(const absl::Status& reason);

 private:
  // What a frame's turn is: an optimizer step, or the evaluation after it. Turns only go forward.
  struct Turn {
    uint32_t attempt = 0;
    uint64_t step = 0;
    bool evaluation = false;
    auto operator<=>(const Turn&) const = default;
  };
  static Turn TurnOf(const protocol::FrameKey& key);
  // Where a microbatch stands here.
  enum class Progress { kWaiting, kForwarded, kTailDone, kFinished };

  absl::StatusOr<protocol::Frame> ReceiveUntil(TimePoint deadline);
  // Whether the frame came before, or belongs to a turn that is over: it is dropped then.
  absl::StatusOr<bool> IsOld(const protocol::Frame& frame) const;
  absl::Status Handle(const protocol::Frame& frame, ClientModel& model);
  // Loads what an assignment that may come needs, and says whether it could.
  absl::Status Prepare(const protocol::Frame& frame, ClientModel& model);
  absl::Status Begin(const protocol::Frame& frame, ClientModel& model);
  // Takes a turn's assignment, which it returns, and adapters.
  absl::StatusOr<protocol::Assignment> TakeTurn(const protocol::Frame& frame, ClientModel& model);
  absl::Status ForwardNext(ClientModel& model);
  absl::Status RunTail(const protocol::Frame& frame, ClientModel& model);
  absl::Status RunHeadBackward(const protocol::Frame& frame, ClientModel& model);
  // Notes where a microbatch stands; ends the step with the last one.
  absl::Status Advance(size_t microbatch, Progress progress, ClientModel& model);
  absl::Status EndStep(ClientModel& model);
  absl::Status Evaluate(const protocol::Frame& frame, ClientModel& model);
  absl::Status EvaluateTail(const protocol::Frame& frame, ClientModel& model);
  absl::Status SendEvaluation(ClientModel& model);
  absl::Status SendHidden(protocol::FrameKind kind, uint32_t microbatch, const at::Tensor& hidden_ND,
                          const train::Microbatch& batch);
  // `prompted`: when the frame arrived that this one answers; none: none.
  absl::Status Send(protocol::FrameKind kind, uint32_t microbatch, protocol::Frame frame,
                    std::optional<TimePoint> prompted = std::nullopt);
  absl::Status Check(const protocol::Frame& frame, const ClientModel& model) const;
  TimePoint ArrivalOf(const protocol::Frame& frame) const;

  const SessionOptions options_;
  const Clock& clock_;
  protocol::FrameStream& stream_;
  train::BatchSampler& sampler_;
  const int64_t memory_limit_bytes_ = MemoryLimitBytes();
  ProcessorMeter processors_;
  protocol::WireFormat format_ = protocol::WireFormat::kFp32;  // of hidden states and their gradients, in this turn

  // The step under way.
  std::optional<Turn> turn_;
  std::vector<train::Microbatch> batches_;
  std::vector<Progress> progress_;  // per microbatch
  int forwarded_ = 0;               // microbatches sent
  TimePoint begun_{};               // when the step's beginning arrived
  TimePoint answered_{};            // when the last gradient did
  protocol::StepReport report_;

  // The evaluation under way.
  int64_t eval_next_ = 0;
  train::Microbatch eval_batch_;
  protocol::LossReport eval_loss_;
};

}  // namespace splitft::worker
