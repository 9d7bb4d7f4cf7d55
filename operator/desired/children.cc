#include "operator/desired/children.h"

#include "absl/strings/str_cat.h"
#include "libs/spec/parse.h"
#include "operator/desired/job_in_pods.h"

namespace splitft::controller {
namespace {

Json Child(const Owner& owner, const char* api_version, const char* kind, const std::string& name) {
  return {{"apiVersion", api_version}, {"kind", kind}, {"metadata", ChildMetadata(owner, name)}};
}

Json AggregatorSelector(const Owner& owner) {
  return {{kJobLabel, owner.name}, {kRoleLabel, RoleName(spec::Role::kAggregator)}};
}

Json DesiredConfigMap(const Owner& owner, const spec::FineTuneJob& job) {
  Json map = Child(owner, "v1", "ConfigMap", ConfigMapName(owner.name));
  spec::FineTuneJob inside = JobInPods(job);
  inside.annotations[spec::kUidAnnotation] = owner.uid;
  map["data"] = {{"job.yaml", spec::FormatJob(inside)}};
  return map;
}

Json DesiredAccount(const Owner& owner) {
  Json account = Child(owner, "v1", "ServiceAccount", ServiceAccountName(owner.name));
  account["automountServiceAccountToken"] = false;
  return account;
}

Json DesiredService(const Owner& owner, const OperatorSettings& settings) {
  Json service = Child(owner, "v1", "Service", ServiceName(owner.name));
  service["spec"] = {{"clusterIP", "None"},
                     // A worker may look before the aggregator is ready, and waits for it itself.
                     {"publishNotReadyAddresses", true},
                     {"selector", AggregatorSelector(owner)},
                     {"ports", {{{"name", "splitft"}, {"port", settings.port}, {"protocol", "TCP"}}}}};
  return service;
}

Json DesiredPolicy(const Owner& owner, const OperatorSettings& settings) {
  Json policy = Child(owner, "networking.k8s.io/v1", "NetworkPolicy", NetworkPolicyName(owner.name));
  Json from = {{{"podSelector", {{"matchLabels", {{kJobLabel, owner.name}}}}}}};
  if (settings.watcher_labels.is_object()) {
    from.push_back(
        {{"namespaceSelector", {{"matchLabels", {{"kubernetes.io/metadata.name", settings.watcher_namespace}}}}},
         {"podSelector", {{"matchLabels", settings.watcher_labels}}}});
  }
  policy["spec"] = {{"podSelector", {{"matchLabels", AggregatorSelector(owner)}}},
                    {"policyTypes", {"Ingress"}},
                    {"ingress", {{{"from", from}, {"ports", {{{"port", settings.port}, {"protocol", "TCP"}}}}}}}};
  if (!settings.scrapers.empty()) {
    policy["spec"]["ingress"].push_back(
        {{"from", settings.scrapers}, {"ports", {{{"port", settings.metrics_port}, {"protocol", "TCP"}}}}});
  }
  return policy;
}

bool IsSelection(const std::string& name) { return name == "selector" || name == "matchLabels"; }

}  // namespace

std::vector<Json> DesiredChildren(const Owner& owner, const spec::FineTuneJob& job, const OperatorSettings& settings) {
  // The manifest and the account first: pods cannot start without.
  return {DesiredConfigMap(owner, job), DesiredAccount(owner), DesiredService(owner, settings),
          DesiredPolicy(owner, settings)};
}

std::string ChildKey(const Json& child) {
  return absl::StrCat(child.value("kind", ""), "/", child.at("metadata").value("name", ""));
}

namespace {

bool CoversValue(const Json& live, const Json& wanted) {
  if (wanted.is_object()) {
    if (!live.is_object()) {
      return wanted.empty() && live.is_null();  // the server leaves out what is empty
    }
    for (const auto& [name, value] : wanted.items()) {
      const auto found = live.find(name);
      if (IsSelection(name) && found != live.end() && *found != value) {
        return false;  // a label more selects other pods
      }
      if (!CoversValue(found == live.end() ? Json() : *found, value)) {
        return false;
      }
    }
    return true;
  }
  if (wanted.is_array()) {
    if (!live.is_array() || live.size() != wanted.size()) {
      return false;
    }
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!CoversValue(live[i], wanted[i])) {
        return false;
      }
    }
    return true;
  }
  return live == wanted;
}

}  // namespace

bool Covers(const Json& live, const Json& wanted) {
  Json fields = wanted;
  fields.erase("apiVersion");  // an item of a list has neither; it was found by its kind
  fields.erase("kind");
  return CoversValue(live, fields);
}

}  // namespace splitft::controller
