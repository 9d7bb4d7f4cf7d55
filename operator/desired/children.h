#pragma once

#include <vector>

#include "libs/spec/job.h"
#include "operator/desired/pods.h"

namespace splitft::controller {

// What a job has beside its pods: the manifest as they read it, an account without rights, the aggregator's headless
// service, and the policy that only this job's pods (and the operator's) reach the aggregator.
std::vector<Json> DesiredChildren(const Owner& owner, const spec::FineTuneJob& job, const OperatorSettings& settings);

// "ConfigMap/name": how children are told apart in a snapshot.
std::string ChildKey(const Json& child);

// Whether `live` has everything that `wanted` says: what the API server added, or somebody else, does not count.
bool Covers(const Json& live, const Json& wanted);

}  // namespace splitft::controller
