#pragma once

#include <string>
#include <vector>

#include "libs/spec/job.h"
#include "nlohmann/json.hpp"
#include "operator/desired/names.h"

namespace splitft::controller {

using Json = nlohmann::json;

// Where a job's files appear in its pods.
inline constexpr char kModelPath[] = "/splitft/model";
inline constexpr char kAdapterPath[] = "/splitft/initial-adapter";
inline constexpr char kOutputPath[] = "/splitft/output";
inline constexpr char kJobPath[] = "/splitft/job/job.yaml";
// Where a client's text appears, in that client's pod alone.
std::string DataPath(const spec::Client& client);

// The job as its pods read it: every source is a path in the pod.
spec::FineTuneJob JobInPods(const spec::FineTuneJob& job);

// The volumes of a pod, and where its container sees them. No member sees another's text.
struct Mounts {
  Json volumes = Json::array();
  Json mounts = Json::array();
};
Mounts MountsOf(const spec::FineTuneJob& job, const Member& member);

}  // namespace splitft::controller
