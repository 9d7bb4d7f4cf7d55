#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/spec/job.h"
#include "operator/desired/settings.h"

// What the operator sees of one FineTuneJob, gathered once and then only looked at. Values.
namespace splitft::controller {

// Since the Unix epoch: times that Kubernetes and people share.
using WallTime = std::chrono::milliseconds;

enum class PodPhase { kPending, kRunning, kSucceeded, kFailed };

struct PodView {
  std::string name;
  std::string uid;
  spec::Role role = spec::Role::kWorker;
  std::string client;  // of a worker
  int index = 0;       // 0 is the member's first pod; each restart makes the next
  PodPhase phase = PodPhase::kPending;
  bool ready = false;
  std::optional<WallTime> deletion;  // it is being deleted, and should be gone by then
  std::string ip;
  std::optional<int> exit_code;  // of its container, once that has ended
  std::string reason;            // why it does not run, or how it ended: Unschedulable, ImagePullBackOff, OOMKilled
  std::string message;           // the same in a sentence; of a container that ended, its last words
  WallTime created{};
  std::optional<WallTime> ended;
};

struct ClientProgress {
  std::string name;
  bool connected = false;
  int cut_layer = 0;
  int rank = 0;  // of the adapters in its last block
  std::string codec;
  double step_seconds = 0;
  uint64_t plan = 0;   // that its cut and codec are of; 0: the manifest
  std::string reason;  // and why
};

// What became of the scheduler's last plan.
struct PlanView {
  uint64_t number = 0;
  std::string state;  // as in control.proto: APPLIED
  int64_t step = 0;
  std::string message;  // why it was refused
};

// What the aggregator says of the job (control.proto).
struct ProgressView {
  std::string phase;  // as in control.proto: TRAINING
  int64_t step = 0;
  int64_t total_steps = 0;
  double loss = 0;
  std::optional<double> eval_loss;
  double step_seconds = 0;
  int64_t step_tokens = 0;
  int microbatches = 0;             // of that step
  uint64_t microbatches_plan = 0;   // that they are of; 0: the manifest
  std::string microbatches_reason;  // and why
  std::vector<ClientProgress> clients;
  std::optional<PlanView> plan;  // nothing: there was none
  std::string message;           // of FAILED: why
  std::string unknown;           // why the scheduler does not trust the figures; empty: it does
  WallTime changed{};            // when its step or phase last was another
};

// The job's spec as a value, or what is wrong with it. Shared: a spec seldom changes, and is read often.
using ParsedJob = std::shared_ptr<const absl::StatusOr<spec::FineTuneJob>>;

struct JobSnapshot {
  std::string name;
  std::string name_space;
  std::string uid;
  int64_t generation = 0;
  bool being_deleted = false;
  ParsedJob job;  // never null
  Json status;    // as it is now; null or an object
  std::vector<PodView> pods;
  // "ConfigMap/name": the others that this job owns, as they are; but where they are as wanted, no more of each than
  // its metadata. Never null.
  std::map<std::string, std::shared_ptr<const Json>> children;
  // It was found before that nothing is to be done about these very versions of the children.
  bool children_are_as_wanted = false;
  std::optional<ProgressView> progress;  // nothing: the aggregator has said nothing yet
  // Since when this operator has listened for the present aggregator's word; nothing: it does not.
  std::optional<WallTime> listening_since;
  WallTime now{};
  OperatorSettings settings;
};

}  // namespace splitft::controller
