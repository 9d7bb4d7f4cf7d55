#include "api/crd/pod_template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace splitft::crd {
namespace {

constexpr int kLongestName = 253;
constexpr int kLongestValue = 4096;

Json Name(std::string_view description) { return Text(description, kLongestName); }

Json Metadata() {
  return Object(
      "Labels and annotations of the pod, such as those of a queue (Kueue, Volcano).",
      {
          {"labels", Map("Added to those that splitft sets; its own (splitft.io/...) stay.", Text("", 63), 64)},
          {"annotations", Map("Added to those that splitft sets.", Text("", 16'384), 64)},
      });
}

Json Toleration() {
  return Object(
      "",
      {
          {"key", Name("The taint's key; empty, with operator Exists: every taint.")},
          {"operator", Word("How value is compared. Default Equal.", {"Equal", "Exists"})},
          {"value", Text("The taint's value.", 63)},
          {"effect", Word("Which effect is tolerated; absent: each.", {"NoSchedule", "PreferNoSchedule", "NoExecute"})},
          {"tolerationSeconds",
           Integer("How long NoExecute is tolerated; absent: for ever.", -1, kGreatestExactInteger)},
      });
}

Json TopologySpread() {
  return Object("",
                {
                    {"maxSkew", Integer("By how many pods two domains may differ.", 1, 10'000)},
                    {"topologyKey", Name("The node label whose values are the domains, such as "
                                         "topology.kubernetes.io/zone.")},
                    {"whenUnsatisfiable",
                     Word("What happens to a pod that would break the rule.", {"DoNotSchedule", "ScheduleAnyway"})},
                    {"labelSelector", AnyObject("Which pods are counted: kubectl explain "
                                                "pod.spec.topologySpreadConstraints.labelSelector")},
                    {"minDomains", Integer("How many domains there must be.", 1, 10'000)},
                    {"nodeAffinityPolicy",
                     Word("Whether nodeAffinity and nodeSelector choose the domains.", {"Honor", "Ignore"})},
                    {"nodeTaintsPolicy", Word("Whether tainted nodes count as domains.", {"Honor", "Ignore"})},
                    {"matchLabelKeys", Set("Labels of the pod itself that choose what is counted.", Text("", 317), 16)},
                },
                {"maxSkew", "topologyKey", "whenUnsatisfiable"});
}

Json SecurityContext() {
  constexpr int64_t kLast = 2'147'483'647;
  return Object("Who the pod is on its volumes. All else of a security context is splitft's: its pods are restricted.",
                {
                    {"runAsUser", Integer("User of the processes; not root.", 1, kLast)},
                    {"runAsGroup", Integer("Group of the processes.", 1, kLast)},
                    {"fsGroup", Integer("Group that volumes belong to.", 1, kLast)},
                    {"supplementalGroups", Set("Further groups of the processes.", Integer("", 1, kLast), 32)},
                });
}

Json Environment() {
  return ListBy("name", "Environment variables, beside those that splitft sets.",
                Object("",
                       {
                           {"name", Name("The variable's name.")},
                           {"value", Text("Its value.", kLongestValue)},
                           {"valueFrom", AnyObject("Where its value comes from: kubectl explain "
                                                   "pod.spec.containers.env.valueFrom")},
                       },
                       {"name"}),
                128);
}

Json VolumeMounts() {
  Json mount = Object("",
                      {
                          {"name", Name("A volume of spec.volumes in this template.")},
                          {"mountPath", Text("Where it appears; not in /splitft, which is splitft's.", 512)},
                          {"subPath", Text("The part of the volume that appears; absent: all of it.", kLongestValue)},
                          {"readOnly", Boolean("Whether it can only be read. Default false.")},
                      },
                      {"name", "mountPath"});
  mount["x-kubernetes-validations"] = Json::array({{{"rule", "!self.mountPath.startsWith('/splitft')"},
                                                    {"message", "/splitft is splitft's own; expected another place"},
                                                    {"fieldPath", ".mountPath"}}});
  return ListBy("mountPath", "Where volumes of this template appear in the container.", mount, 32);
}

Json Projected() {
  const auto source = [](const char* kind) {
    return std::pair(kind, AnyObject(std::string("kubectl explain pod.spec.volumes.projected.sources.") + kind));
  };
  const Properties sources = {source("configMap"), source("downwardAPI"), source("secret")};
  return Object("Several sources in one folder.", {{"sources", List("The sources.", Object("", sources), 32)},
                                                   {"defaultMode", Integer("The files' permission bits.", 0, 0777)}});
}

Json Container() {
  Json name = Word("There is one container, splitft. Default splitft.", {"splitft"});
  name["default"] = "splitft";
  const Json amounts = Quantity("");
  return Object("",
                {
                    {"name", name},
                    {"image", Text("The role's image. Default: the one the operator was installed with.", 512)},
                    {"imagePullPolicy", Word("When the image is pulled.", {"Always", "IfNotPresent", "Never"})},
                    {"resources",
                     Object("What the container asks for, GPUs included: {limits: {nvidia.com/gpu: 1}}.",
                            {
                                {"requests", Map("What the node must have to spare.", amounts, 32)},
                                {"limits", Map("What it may use at most.", amounts, 32)},
                                {"claims", List("Devices claimed by dynamic resource allocation.",
                                                AnyObject("kubectl explain pod.spec.containers.resources.claims"), 32)},
                            })},
                    {"env", Environment()},
                    {"envFrom", List("ConfigMaps and Secrets whose keys become variables.",
                                     AnyObject("kubectl explain pod.spec.containers.envFrom"), 32)},
                    {"volumeMounts", VolumeMounts()},
                },
                {"name"});
}

Properties Placement() {
  return {
      {"nodeSelector", Map("Labels that the pod's node must have.", Text("", 63), 64)},
      {"tolerations", List("Taints that the pod's node may have.", Toleration(), 64)},
      {"affinity", AnyObject("Finer wishes about nodes and neighbours: kubectl explain pod.spec.affinity")},
      {"topologySpreadConstraints", List("How pods are spread over zones or nodes.", TopologySpread(), 16)},
      {"schedulerName", Name("The scheduler, such as volcano. Default: the cluster's.")},
      {"schedulingGates", ListBy("name", "The pod is not scheduled before others have taken these away.",
                                 Object("", {{"name", Text("The gate's name.", 317)}}, {"name"}), 16)},
      {"priorityClassName", Name("How important the pod is against others.")},
      {"runtimeClassName", Name("What runs the containers, such as nvidia or gvisor.")},
  };
}

// What Kubernetes' restricted pods may mount, but for tokens of service accounts: no template gives a pod rights. Of
// the node's own folders, the job names those that it needs.
Json Volume() {
  const char* const kinds[] = {"configMap", "csi",   "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
                               "projected", "secret"};
  Properties properties = {{"name", Text("The volume's name, for volumeMounts.", 63)}};
  Names given;
  for (const std::string kind : kinds) {
    const bool projected = kind == "projected";
    properties.emplace_back(kind, projected ? Projected() : AnyObject("kubectl explain pod.spec.volumes." + kind));
    given.push_back("has(self." + kind + ")");
  }
  Json volume = Object("A volume with its name, and one kind of source.", properties, {"name"});
  const Json of_one_kind = {{"rule", absl::StrCat("[", absl::StrJoin(given, ", "), "].exists_one(is, is)")},
                            {"message", absl::StrCat("expected exactly one of ", absl::StrJoin(kinds, ", "))}};
  const Json not_ours = {{"rule", "!(self.name in ['job', 'tmp', 'model', 'data', 'output'])"},
                         {"message", "job, tmp, model, data and output are splitft's own; expected another name"},
                         {"fieldPath", ".name"}};
  volume["x-kubernetes-validations"] = Json::array({of_one_kind, not_ours});
  return volume;
}

Json PodSpec() {
  Properties properties = Placement();
  Properties own = {
      {"serviceAccountName",
       Name("The pod's account. Default: one of its own, without rights; no token is mounted in any case.")},
      {"imagePullSecrets", ListBy("name", "Secrets for registries that want a login.",
                                  Object("", {{"name", Name("A Secret in the job's namespace.")}}, {"name"}), 16)},
      {"securityContext", SecurityContext()},
      {"volumes",
       ListBy("name", "Further volumes. The job's data, model and output are mounted without.", Volume(), 32)},
      {"containers",
       ListBy("name", "One entry at most: what the container has beyond what splitft gives it.", Container(), 1)},
  };
  properties.insert(properties.end(), own.begin(), own.end());
  return Object("The pod: where it runs and with what.", properties);
}

}  // namespace

Json PodTemplate(std::string_view description) {
  return Object(description, {{"metadata", Metadata()}, {"spec", PodSpec()}});
}

}  // namespace splitft::crd
