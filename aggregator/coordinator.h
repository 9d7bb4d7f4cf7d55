#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aggregator/absences.h"
#include "aggregator/plan.h"
#include "aggregator/roster.h"
#include "aggregator/server_model.h"
#include "api/proto/control.pb.h"
#include "libs/base/clock.h"
#include "libs/protocol/ports.h"
#include "libs/protocol/step_machine.h"
#include "libs/spec/job.h"
#include "libs/train/adapter_ranks.h"
#include "libs/train/adapter_state.h"

namespace splitft::aggregator {

struct CoordinatorOptions {
  std::string job_uid;
  at::TensorOptions tensors;  // device and dtype the trunk computes in
  int64_t hidden_size = 0;
  int64_t vocabulary_size = 0;
  Duration start_patience = std::chrono::minutes(10);  // for all clients to say hello
  Duration stall_patience = std::chrono::minutes(15);  // for the next frame while a step waits for one
  // For a client whose stream ended to come back on another; the others wait, and the step in progress is started over.
  // 0: the first loss ends the job.
  Duration rejoin_patience{};
  int max_losses = 20;        // Absences::Options
  control::ModelFacts model;  // for whoever plans
};

// Runs a job's steps: asks protocol::StepMachine what may be computed, has ServerModel compute it, and moves frames
// between the clients' streams and both. One thread.
class Coordinator {
 public:
  struct Parts {  // all outlive the coordinator
    const spec::FineTuneJob& job;
    Roster& roster;
    ServerModel& model;
    train::AdapterState& state;
    train::AdapterRanks& ranks;
    protocol::FrameServer& server;
    const Clock& clock;
    // Called after every step and change of phase.
    std::function<absl::Status(const control::JobEvent&)> report;
    // The newest plan that has not been asked for before, CheckPlan's choice; none: the job goes on as it is. Called
    // before every step.
    std::function<std::optional<control::Plan>()> next_plan = {};
    // Called with every plan that was taken or refused, and what became of it.
    std::function<absl::Status(const control::Plan&, const control::PlanState&)> decided = {};
  };
  Coordinator(CoordinatorOptions options, Parts parts);

  // Waits for the clients and trains to the end. Returns Completed or EarlyStopped, or the cause of failure: a client's
  // own fault as it stated it, Unavailable where one was lost (and did not come back), or what went wrong here. Clients
  // still wait for Dismiss.
  absl::StatusOr<std::string> Run();
  // Tells every client that the job is over: with OK that it ended for `reason`, else why it failed.
  void Dismiss(const absl::Status& status, const std::string& reason);

  // The job as it stands, for the caller's own last events.
  control::JobEvent Event(control::Phase phase) const;

 private:
  using FrameSlot = std::pair<protocol::FrameKind, uint32_t>;  // kind and microbatch

  // Clients come, go and come back: coordinator_clients.cc.
  absl::Status WelcomeAll();
  int64_t TotalSteps() const;
  absl::Status Welcome(Member& member);
  // Takes events until every client is connected.
  absl::Status AwaitClients();
  absl::Status Handle(protocol::StreamEvent event);
  absl::Status HandleStranger(protocol::StreamId stream, const protocol::Frame& frame);
  absl::Status HandleHello(protocol::StreamId stream, const std::string& client, const protocol::Hello& hello);
  // Notes that `member` is gone and gives the attempt in progress up. The error ends the job.
  absl::Status Lose(Member& member, const std::string& why);
  // The step or the evaluation in progress is to be started over: what came of it is dropped.
  absl::Status Abandon();

  // Plans: coordinator_plan.cc. Begins a new one, and goes on by the one that all are prepared for.
  absl::Status ChangeAssignments();
  absl::Status BeginPlan(const control::Plan& plan);
  // What all clients would train by, in their order. The error says why the plan cannot be followed.
  absl::StatusOr<std::vector<protocol::Assignment>> AssignmentsBy(const control::Plan& plan);
  absl::Status ApplyPlan();
  absl::Status RefusePlan(const control::Plan& plan, const std::string& why);
  absl::Status Decided(const control::Plan& plan) const;
  // A client that is lost soon after it got a higher cut was perhaps lost to that (it needs more memory): it goes on
  // with its former cut, and is given no such one again.
  absl::Status UndoPlanOf(Member& member);
  // A client that is lost while it loads what a plan needs may have been lost to that: the job goes on as it is.
  absl::Status ForgoPlanOf(const Member& member);
  // Tells a client what the plan under way has for it, if anything.
  absl::Status SendPrepare(size_t client);
  absl::Status HandlePrepared(const Member& member, const protocol::Frame& frame);
  int LowestCut() const;
  // Gives the adapters the ranks that the clients' cuts and caps allow. Returns the share of energy that is lost.
  double SetRanks();

  absl::Status RunStep();
  absl::Status RunEvaluation(double* loss);
  absl::Status BeginAll(protocol::FrameKind kind);
  // Takes events and does the work they allow until the machine is idle. When a client was lost on the way, returns as
  // soon as all are back; the caller then starts over (abandoned_).
  absl::Status Pump();
  absl::Status HandleFrame(Member& member, protocol::Frame frame);
  absl::Status Check(size_t client, const protocol::Frame& frame) const;

  absl::Status Do(const protocol::Work& work);
  absl::Status DoForward(uint32_t microbatch);
  absl::Status DoBackward(uint32_t microbatch);
  absl::Status DoForwardBackward(uint32_t microbatch);
  absl::Status DoEvaluate(size_t client, uint32_t microbatch);
  absl::Status DoEndStep();

  ClientRows TakeRows(size_t client, protocol::FrameKind hidden, protocol::FrameKind labels, uint32_t microbatch);
  protocol::Frame Take(size_t client, protocol::FrameKind kind, uint32_t microbatch);
  absl::Status SendRows(size_t client, protocol::FrameKind kind, uint32_t microbatch, const at::Tensor& rows_ND);
  absl::Status Send(Member& member, protocol::FrameKind kind, uint32_t microbatch, protocol::Frame frame);

  const CoordinatorOptions options_;
  Parts parts_;
  protocol::StepMachine machine_;
  bool server_labels_;
  int64_t total_steps_ = 0;
  uint32_t attempt_ = 1;
  bool abandoned_ = false;  // nothing of attempt_ was begun yet
  Absences absences_;
  std::set<protocol::StreamId> replaced_;  // streams whose client speaks on a newer one; until they have ended

  std::vector<std::map<FrameSlot, protocol::Frame>> inbox_;  // per client: accepted, not yet computed with
  std::vector<std::map<uint32_t, std::vector<protocol::SequenceRun>>> runs_;  // per client and microbatch of the step
  std::vector<protocol::LossReport> eval_loss_;
  control::StepFigures figures_;
  double idle_seconds_ = 0;            // since the last work
  Member* last_heard_ = nullptr;       // whose frame came last
  const Member* last_lost_ = nullptr;  // in the step under way
  std::optional<PlanUnderWay> plan_;
  control::PlanState plan_state_;
};

}  // namespace splitft::aggregator
