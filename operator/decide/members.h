#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/decide/snapshot.h"
#include "operator/desired/names.h"

namespace splitft::controller {

// What becomes of a member whose pod has ended.
enum class Fate {
  kRestart,  // another pod takes its place, and the failure counts against backoffLimit
  kReplace,  // another pod takes its place; it was not the member's fault
  kFailJob,  // a further try would end alike
  kDone,     // it has done its part
};
Fate FateOf(const PodView& pod, const spec::Lifecycle& lifecycle);

// One member as its pods show it.
struct MemberState {
  Member member;
  const PodView* pod = nullptr;     // the newest, whatever has become of it; none: it has none now
  int failures = 0;                 // that count against backoffLimit
  std::optional<int> make;          // the index of a pod that is to be made now
  std::optional<WallTime> make_at;  // or then
};

// Of every member of the job, the aggregator first, then the clients in their order. Points into `snapshot`.
std::vector<MemberState> MembersOf(const JobSnapshot& snapshot, const spec::FineTuneJob& job);

// How long after its `failures`-th failure a member waits for its next pod: 10 s, doubled each time, at most 5 minutes.
WallTime RestartDelay(int failures);

// Likewise after its pod number `replaced` ended without its fault: 1 s, doubled each time, at most 5 minutes. Pods
// that ended stay until the job is gone, so even these must not come thick and fast.
WallTime ReplacementDelay(int replaced);

// "client bank" or "the aggregator".
std::string Describe(const Member& member);

}  // namespace splitft::controller
