#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/protocol/frame.h"

namespace splitft::protocol {

// What the aggregator is to compute next.
enum class WorkKind {
  kForward,          // the trunk over microbatch m of every client; HiddenDown to each
  kBackward,         // its gradient; GradientDown to each client that wants it
  kForwardBackward,  // both and the loss, with labels on the server
  kEndStep,          // every client's StepEnd is in: sum, step the optimizer. The machine is idle afterwards
  kEvalForward,      // the trunk over one held-out batch of one client; EvalHiddenDown to it
  kEndEvaluation,    // every client's EvalEnd is in. The machine is idle afterwards
};
std::string_view WorkKindName(WorkKind kind);

struct Work {
  WorkKind kind = WorkKind::kForward;
  uint32_t microbatch = 0;  // kForward, kBackward, kForwardBackward, kEvalForward
  size_t client = 0;        // kEvalForward: index into StepMachine::Options::clients
  bool operator==(const Work&) const = default;
};

enum class Acceptance {
  kAccepted,   // new and wanted: keep the frame's tensor for the work it belongs to
  kDuplicate,  // the same frame came before: drop it
  kStale,      // of an earlier attempt, step or evaluation: drop it
};
std::string_view AcceptanceName(Acceptance acceptance);

// Frames of one kind that a client owes.
struct Missing {
  std::string client;
  FrameKind kind = FrameKind::kHiddenUp;
  std::vector<uint32_t> microbatches;
  bool operator==(const Missing&) const = default;
};
// `bank: GradientUp 1, 2; hospital: StepEnd`: for people.
std::string DescribeMissing(const std::vector<Missing>& missing);

// The aggregator's view of one step after the other: which frames are in, which work they allow. Pure: no clock, no
// I/O, no tensors. Not thread-safe.
//
// Work comes in an order that does not depend on the network: each kind by ascending microbatch (an evaluation's by
// batch within each client), so that sums are always taken in the same order. Among what is ready, backward comes
// before forward: it frees memory and answers who waits longest.
class StepMachine {
 public:
  struct Options {
    std::vector<std::string> clients;  // in the job's order; unique
    bool labels_on_server = false;
    bool client_gradients = true;  // GradientDown is sent; false where the clients' blocks are frozen
  };

  // InvalidArgument: no clients, a name twice.
  static absl::StatusOr<StepMachine> Create(Options options);

  // Starts a step of optimizer, of so many microbatches per client. FailedPrecondition: a step or an evaluation of this
  // attempt is not over, or (attempt, step) is not after the last step. InvalidArgument: no microbatches.
  absl::Status BeginStep(uint64_t step, uint32_t attempt, uint32_t microbatches);
  // Starts an evaluation after `step`'s update; batches[i] is what client i holds out (may be 0). Errors as BeginStep;
  // InvalidArgument: not one count per client.
  absl::Status BeginEvaluation(uint64_t step, uint32_t attempt, std::vector<uint32_t> batches);
  // Drops what is in and starts the step or evaluation in progress over. FailedPrecondition: none is, or `attempt` is
  // not greater than the last one.
  absl::Status Restart(uint32_t attempt);

  // Whether the frame is wanted. An error for what no correct client sends, whatever the network did: InvalidArgument
  // (unknown client, a kind that clients do not send or not in this mode), OutOfRange (microbatch, a step or attempt
  // ahead), FailedPrecondition (an answer to what was not sent yet). The machine is unchanged by an error.
  absl::StatusOr<Acceptance> Accept(const FrameKey& key);

  // The next work whose frames are all in, each once; nothing while frames are missing or the machine is idle.
  std::optional<Work> NextWork();

  // What each client could send now and has not: never empty between BeginStep and kEndStep unless work is ready.
  std::vector<Missing> Waiting() const;

  bool idle() const { return phase_ == Phase::kIdle; }
  uint64_t step() const { return step_; }
  uint32_t attempt() const { return attempt_; }

 private:
  enum class Phase { kIdle, kStep, kEvaluation };

  // What of a microbatch or held-out batch is in: bits.
  enum Part : uint8_t { kHidden = 1, kLabels = 2, kGradient = 4 };
  // What one client sent in the phase in progress.
  struct Arrivals {
    size_t first = 0;        // of its batches in parts_
    uint32_t evaluated = 0;  // kEvalForward handed out for batches below
    bool end = false;
  };
  // How many clients' flags are set, so that nobody looks at all of them for every frame.
  struct Counts {
    std::vector<size_t> hidden;  // per microbatch of a step
    std::vector<size_t> labels;
    std::vector<size_t> gradient;
    size_t end = 0;
  };

  explicit StepMachine(Options options);

  absl::Status Begin(Phase phase, uint64_t step, uint32_t attempt, uint32_t microbatches);
  void Reset();
  uint32_t Batches(size_t client) const;
  // Nothing: the key is of the phase in progress.
  absl::StatusOr<std::optional<Acceptance>> Place(const FrameKey& key) const;
  absl::Status CheckCausal(const FrameKey& key, size_t client) const;
  std::optional<Work> NextStepWork();
  std::optional<Work> NextEvaluationWork();
  bool AllHave(std::vector<size_t> Counts::*counts, uint32_t microbatch) const;
  bool AllEnded() const;
  bool MayEnd(size_t client) const;
  // Of `part` what has not arrived of the batches below `below`.
  void AddMissing(size_t client, FrameKind kind, Part part, uint32_t below, std::vector<Missing>* missing) const;

  Options options_;
  absl::flat_hash_map<std::string, size_t> index_;  // of a client's name
  Phase phase_ = Phase::kIdle;
  uint64_t step_ = 0;
  uint32_t attempt_ = 0;
  uint32_t microbatches_ = 1;          // of the last step begun
  std::optional<uint64_t> last_step_;  // begun in attempt_, as is the next
  std::optional<uint64_t> last_evaluation_;
  std::vector<uint32_t> eval_batches_;
  std::vector<Arrivals> arrivals_;
  std::vector<uint8_t>
      parts_;  // of all clients' batches, one client after the other: thousands of clients are few lines
  Counts counts_;
  uint32_t forwards_ = 0;   // kForward or kForwardBackward handed out for microbatches below
  uint32_t backwards_ = 0;  // kBackward or kForwardBackward likewise
};

}  // namespace splitft::protocol
