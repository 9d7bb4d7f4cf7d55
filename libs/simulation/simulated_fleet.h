#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/random.h"
#include "libs/protocol/step_machine.h"
#include "libs/scheduler/cost_model.h"
#include "libs/scheduler/figures.h"
#include "libs/scheduler/planner.h"
#include "libs/spec/job.h"

// A job without a model: its steps run through the aggregator's own protocol::StepMachine, on a clock that jumps from
// event to event.
namespace splitft::simulation {

// What one client is like, whoever measures it.
struct ClientTruth {
  double forward_seconds = 0;      // of one block and token
  double backward_seconds = 0;     // of one block and token
  double tail_seconds = 0;         // of one token
  scheduler::Link link;            // 0 is no limit
  double loss = 1;                 // of its batches
  int64_t memory_limit_bytes = 0;  // 0: unknown
  // Every figure of a step is off by a factor, uniform in [1 - noise, 1 + noise].
  double noise = 0;
  // How likely the client is lost in a step; it comes back after `away_seconds`, and the step starts over.
  double loss_probability = 0;
  double away_seconds = 0;
};

// Unlike the cost model's constants these hold for one client at a time: what the wire and each processor do for one
// microbatch delays the next, and all clients share the aggregator's processor.
struct ServerTruth {
  double forward_seconds = 0;  // of one block and token
  double backward_seconds = 0;
  double block_seconds = 0;  // of one block's walk, however few the tokens
  double other_seconds = 0;  // of a step
};

struct FleetTruth {
  ServerTruth server;
  scheduler::ModelShape shape;
  std::vector<ClientTruth> clients;  // in the job's order
  uint64_t seed = 0;
};

// Steps of a simulated job, one after the other.
class SimulatedFleet {
 public:
  // The job outlives the fleet; it has as many clients as `truth`.
  SimulatedFleet(const spec::FineTuneJob& job, FleetTruth truth);

  // Runs the next step, and says what the aggregator would have measured.
  scheduler::StepFigures Step();
  // Has the job go on like this from the next step on; a choice for each client.
  void Assign(scheduler::Arrangement arrangement) { arrangement_ = std::move(arrangement); }
  // By `plan`, which the planner made of the last step's figures.
  void Follow(const scheduler::Plan& plan);
  const scheduler::Arrangement& arrangement() const { return arrangement_; }
  // What may change while the job runs: a client slows down, a link gets better.
  ClientTruth& client(size_t index) { return truth_.clients[index]; }
  // Simulated seconds since the first step began.
  double seconds() const { return now_; }
  int64_t steps() const { return static_cast<int64_t>(step_); }
  // Steps that were started over because a client was lost.
  int64_t restarts() const { return restarts_; }

 private:
  struct Event {
    double when = 0;
    uint64_t order = 0;  // of two at a time, the one that was noted first
    size_t client = 0;
    protocol::FrameKind kind = protocol::FrameKind::kStepBegin;  // that arrives; `computed`: that a client has ready
    uint32_t microbatch = 0;
    bool computed = false;
    bool operator>(const Event& other) const { return when != other.when ? when > other.when : order > other.order; }
  };
  struct Task {
    protocol::FrameKind result = protocol::FrameKind::kHiddenUp;
    uint32_t microbatch = 0;
  };
  // A client in a step.
  struct ClientState {
    double factor = 1;  // this step's noise
    double uplink = 0;  // until when it is taken
    double downlink = 0;
    bool begun = false;
    bool busy = false;
    uint32_t forwarded = 0;     // microbatches
    uint32_t finished = 0;      // likewise
    std::vector<Task> answers;  // to what the aggregator sent: they come before the next forward
    scheduler::ClientFigures figures;
  };

  void Begin();
  // Whether the step came to its end; false: a client was lost at `lost_at`.
  bool Run(double lost_at);
  std::optional<size_t> DrawLoss();
  void AtClient(const Event& event);
  // Has an idle client begin what it has to do next, if anything.
  void Compute(size_t client, double when);
  void Computed(const Event& event);
  void AtServer(const Event& event);
  void Do(const protocol::Work& work);
  void SendDown(size_t client, protocol::FrameKind kind, uint32_t microbatch, double bytes);
  void SendUp(size_t client, protocol::FrameKind kind, uint32_t microbatch, double bytes);
  double Draw() { return draws_.UniformDouble(drawn_++); }
  double RowBytes(size_t client) const;
  const scheduler::Choice& ChoiceOf(size_t client) const { return arrangement_.clients[client]; }
  uint32_t parts() const { return static_cast<uint32_t>(arrangement_.microbatches); }

  const spec::FineTuneJob& job_;
  FleetTruth truth_;
  const bool server_labels_;
  const int trunk_end_;
  protocol::StepMachine machine_;
  absl::flat_hash_map<std::string, size_t> index_;  // of a client's name
  scheduler::Arrangement arrangement_;
  std::vector<double> tokens_;  // of each client's microbatch, in the step under way
  RandomStream draws_;
  uint64_t drawn_ = 0;
  double now_ = 0;
  uint64_t step_ = 0;
  uint32_t attempt_ = 1;
  int64_t restarts_ = 0;
  double last_seconds_ = 1;  // of the last step

  // The step under way.
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  uint64_t noted_ = 0;
  std::vector<ClientState> states_;
  double server_ = 0;         // until when its processor is taken
  double walked_blocks_ = 0;  // from the lowest cut on
  scheduler::StepFigures figures_;
  bool ended_ = false;
};

}  // namespace splitft::simulation
