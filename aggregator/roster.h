#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
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
  int cut_layer = 1;
  int tail_blocks = 0;
  model::FlatRange head_range;  // its blocks' adapters in the flat vector
  model::FlatRange tail_range;
  std::optional<protocol::StreamId> stream;  // none: not connected
  protocol::Hello hello;

  // Of the step under way, for figures.
  protocol::LossReport loss;
  protocol::StepReport report;
  std::map<protocol::FrameKind, int64_t> bytes;
};

// What every client's Hello must agree with.
struct JobIdentity {
  uint64_t model_digest = 0;
  int64_t adapter_elements = 0;
  int64_t hidden_size = 0;
  protocol::WireFormat format = protocol::WireFormat::kFp32;
  bool evaluates = false;
};

// The job's clients in the manifest's order, and which stream each speaks on. A value without I/O.
class Roster {
 public:
  Roster(const spec::FineTuneJob& job, const model::AdapterLayout& layout, JobIdentity identity);

  // Binds the client that says hello on `stream`. The error says why it is refused: NotFound (no such client in the
  // job), AlreadyExists (connected already), FailedPrecondition (another version, model or adapters; nothing to train
  // on).
  absl::StatusOr<Member*> Admit(protocol::StreamId stream, const std::string& name, const protocol::Hello& hello);
  // The member that speaks on `stream`, or nullptr.
  Member* Find(protocol::StreamId stream);

  bool Has(const std::string& name) const;
  bool Complete() const;
  // Names of those not connected, comma-separated.
  std::string Absent() const;

  std::vector<Member>& members() { return members_; }
  const std::vector<Member>& members() const { return members_; }

 private:
  JobIdentity identity_;
  std::vector<Member> members_;
};

}  // namespace splitft::aggregator
