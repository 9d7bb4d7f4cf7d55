#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/proto/control.pb.h"
#include "libs/protocol/frame.h"
#include "libs/spec/job.h"

// Plans: another cut or codec for some clients, other microbatches for all, while the job runs. docs/wire.md has the
// picture.
namespace splitft::aggregator {

// Whether a job on a model of `block_count` blocks could go on by `plan`. InvalidArgument, naming the client, the value
// and what was expected: a client that is none or is there twice, a cut outside of minCutLayer, maxCutLayer and the
// tail, a codec that is none, a rank cap above lora.rank; another cut where the clients' blocks are frozen; more
// microbatches than the smallest batch has sequences.
absl::Status CheckPlan(const control::Plan& plan, const spec::FineTuneJob& job, int block_count);

// What holds the rank of each block's adapters down, 0 where nothing does: lora.cutLayerRank on both sides of every cut
// (SplitFT), and the cap of each client that runs the block. `cuts` and `caps` (0: none) are the clients'.
std::vector<int> RankCaps(const spec::FineTuneJob& job, int block_count, std::span<const int> cuts,
                          std::span<const int> caps);

// The format that a codec's name stands for; nothing where it is none.
absl::StatusOr<protocol::WireFormat> FormatOfCodec(const std::string& codec);

// A plan that clients prepare for: they load what they lack while the job goes on as it was. By all of it or none.
struct PlanUnderWay {
  control::Plan plan;
  std::map<size_t, protocol::Assignment> changes;  // by the member's index
  std::set<size_t> waiting;                        // members that have not said that they are prepared
};

}  // namespace splitft::aggregator
