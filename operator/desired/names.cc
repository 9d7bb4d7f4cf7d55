#include "operator/desired/names.h"

#include "absl/strings/str_cat.h"

namespace splitft::controller {

std::string_view RoleName(spec::Role role) { return role == spec::Role::kWorker ? "worker" : "aggregator"; }

std::string PodName(const std::string& job, const Member& member, int index) {
  return member.role == spec::Role::kAggregator ? absl::StrCat(job, "-aggregator-", index)
                                                : absl::StrCat(job, "-worker-", member.client, "-", index);
}

std::string ServiceName(const std::string& job) { return job + "-aggregator"; }
std::string ConfigMapName(const std::string& job) { return job + "-job"; }
std::string NetworkPolicyName(const std::string& job) { return job + "-aggregator"; }
std::string ServiceAccountName(const std::string& job) { return job + "-pods"; }

}  // namespace splitft::controller
