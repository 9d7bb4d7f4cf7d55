#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "aggregator/link_meter.h"
#include "libs/model/adapter_layout.h"
#include "libs/protocol/frame.h"
#include "libs/protocol/ports.h"
#include "libs/spec/job.h"

namespace splitft::aggregator {

// What the aggregator knows of one client.
struct Member {
  std::string name;
  double weight = 1.0;
  int batch_size = 1;
  protocol::Assignment assignment;  // that it trains by; microbatches are the roster's
  std::string reason;               // of its last change, for people
  int rank_cap = 0;                 // of the blocks that it runs; 0: none
  // Where a plan has just given it a higher cut: what it had before, and until which step it has that again if it is
  // lost.
  std::optional<protocol::Assignment> former;
  int64_t on_trial_until = 0;
  int cut_limit = 0;  // it was lost under a higher cut; 0: none
  int tail_blocks = 0;
  model::FlatRange head_range;  // its blocks' adapters in the flat vector
  model::FlatRange tail_range;
  std::optional<protocol::StreamId> stream;  // none: not connected
  protocol::Hello hello;                     // the last one
  int joins = 0;                             // how often it was admitted

  // Of the step under way, for figures.
  protocol::LossReport loss;
  protocol::StepReport report;
  std::map<protocol::FrameKind, int64_t> bytes;
  double awaited_seconds = 0;  // how long nothing could be done until its frame came, the last that was needed
  LinkMeter wire;
};

// What every client's Hello must agree with.
struct JobIdentity {
  uint64_t model_digest = 0;
  int64_t adapter_elements = 0;
  int64_t hidden_size = 0;
  protocol::WireFormat format = protocol::WireFormat::kFp32;  // that the job begins with
};

// The job's clients in the manifest's order, and which stream each speaks on. A value without I/O.
class Roster {
 public:
  // `layout` outlives the roster.
  Roster(const spec::FineTuneJob& job, const model::AdapterLayout& layout, JobIdentity identity);

  // Whether a client may speak for `name`. The error says why not: NotFound (no such client in the job),
  // FailedPrecondition (another version, model or adapters; nothing to train on; once the job has begun, not the data
  // that it began with).
  absl::Status Check(const std::string& name, const protocol::Hello& hello) const;
  // Binds the client that says hello on `stream`. Check's errors; AlreadyExists (connected already).
  absl::StatusOr<Member*> Admit(protocol::StreamId stream, const std::string& name, const protocol::Hello& hello);
  // Has `member` train by `assignment`, which CheckPlan has let pass.
  void Assign(Member& member, const protocol::Assignment& assignment) const;
  // Parts that every client divides a step's batch into, and whence.
  struct Division {
    int microbatches = 1;
    uint64_t plan = 0;   // that they are of; 0: the manifest
    std::string reason;  // for people
  };
  const Division& division() const { return division_; }
  void Divide(Division division) { division_ = std::move(division); }
  // The job begins: steps are counted and batches drawn from what the clients said. Every client has joined.
  void Begin() { begun_ = true; }
  // The member that speaks on `stream`, or nullptr.
  Member* Find(protocol::StreamId stream);
  // The member of that name, or nullptr.
  Member* Named(const std::string& name);

  bool Complete() const;
  std::vector<Member>& members() { return members_; }
  const std::vector<Member>& members() const { return members_; }

 private:
  const model::AdapterLayout* layout_;
  JobIdentity identity_;
  std::vector<Member> members_;
  Division division_;
  bool begun_ = false;
};

}  // namespace splitft::aggregator
