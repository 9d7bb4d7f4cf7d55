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

// What informers keep of objects: enough for the views, and no more.
void TrimPod(kube::Json& pod);
void TrimChild(kube::Json& child);

}  // namespace splitft::controller
