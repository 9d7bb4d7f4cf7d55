#pragma once

#include <string>
#include <string_view>

#include "libs/spec/job.h"

// How children are called and labelled. Every name is a function of the job's, so that a crash between two writes is
// found out by looking.
namespace splitft::controller {

inline constexpr char kApiVersion[] = "splitft.io/v1alpha1";
inline constexpr char kKind[] = "FineTuneJob";
inline constexpr char kContainerName[] = "splitft";
inline constexpr char kJobLabel[] = "splitft.io/job";
inline constexpr char kRoleLabel[] = "splitft.io/role";      // "worker", "aggregator"
inline constexpr char kClientLabel[] = "splitft.io/client";  // of a worker
inline constexpr char kIndexLabel[] = "splitft.io/index";
inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kManagedByValue[] = "splitft-operator";

std::string_view RoleName(spec::Role role);

// One member of a job: the aggregator, or a client's worker.
struct Member {
  spec::Role role = spec::Role::kAggregator;
  std::string client;  // of a worker

  bool operator==(const Member&) const = default;
  auto operator<=>(const Member&) const = default;
};

// "job-aggregator-0", "job-worker-bank-2".
std::string PodName(const std::string& job, const Member& member, int index);
// The headless service in front of the aggregator.
std::string ServiceName(const std::string& job);
std::string ConfigMapName(const std::string& job);
std::string NetworkPolicyName(const std::string& job);
std::string ServiceAccountName(const std::string& job);

}  // namespace splitft::controller
