#pragma once

#include <map>
#include <vector>

#include "libs/kube/object.h"
#include "operator/decide/outcome.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

// What the decisions need of a pod. The worst that its status says is its reason.
PodView ViewOfPod(const kube::Json& pod);

// The job's spec as a value.
absl::StatusOr<spec::FineTuneJob> ParseJobObject(const kube::Json& object);

// The job itself: metadata and status. The rest is for the caller.
JobSnapshot ViewOfJob(const kube::Json& object);

// How many jobs are in which state. One that has none yet, or none that we know, is as good as Pending.
using JobCounts = std::map<JobState, size_t>;
JobCounts CountByState(const std::vector<kube::Object>& jobs);

// What informers keep of objects: enough for the views, and no more. A job's spec and whole children are kept as text,
// a tenth of what they take as JSON: they are looked at once for each change.
void TrimPod(kube::Json& pod);
void TrimJob(kube::Json& job);
void TrimChild(kube::Json& child);

// The child as it was before TrimChild.
kube::Json WholeChild(const kube::Json& trimmed);

}  // namespace splitft::controller
