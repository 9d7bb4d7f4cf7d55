#include "operator/desired/pods.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "operator/desired/job_in_pods.h"
#include "operator/desired/template.h"

namespace splitft::controller {
namespace {

// A user that no node knows.
constexpr int kUser = 65532;
constexpr int kGraceSeconds = 30;
constexpr char kResultPath[] = "/dev/termination-log";  // where Kubernetes looks for a container's last words

Json Probe(int port, int period_seconds, int failures) {
  return {{"tcpSocket", {{"port", port}}}, {"periodSeconds", period_seconds}, {"failureThreshold", failures}};
}

// Whether the member computes on a GPU. Workers have no image for that yet: theirs is in their template.
bool NeedsGpu(const spec::FineTuneJob& job, const Member& member) {
  return member.role == spec::Role::kAggregator && job.aggregator.device.starts_with("cuda");
}

// How long an aggregator waits before it gives up by itself: longer than the deadline by which the operator does (0:
// there is none), within what its flags take.
std::string PatienceFor(std::chrono::seconds deadline) {
  constexpr int64_t kLongest = 86'400;
  constexpr int64_t kMargin = 60;
  return std::to_string(deadline.count() <= 0 ? kLongest : std::min(kLongest, deadline.count() + kMargin));
}

// As many threads as the container may use cores: its limit or, where it has none, all of the node's.
Json Environment() {
  return Json::array(
      {{{"name", "OMP_NUM_THREADS"}, {"valueFrom", {{"resourceFieldRef", {{"resource", "limits.cpu"}}}}}}});
}

std::string ImageOf(const spec::FineTuneJob& job, const Member& member, const OperatorSettings& settings) {
  if (member.role == spec::Role::kWorker) {
    return settings.worker_image;
  }
  return NeedsGpu(job, member) ? settings.aggregator_cuda_image : settings.aggregator_image;
}

Json Container(const spec::FineTuneJob& job, const Member& member, const OperatorSettings& settings) {
  const bool is_worker = member.role == spec::Role::kWorker;
  Json container = {
      {"name", kContainerName},
      {"image", ImageOf(job, member, settings)},
      {"imagePullPolicy", settings.image_pull_policy},
      {"terminationMessagePolicy", "FallbackToLogsOnError"},
      {"env", Environment()},
      {"volumeMounts", MountsOf(job, member).mounts},
      {"securityContext",
       {{"allowPrivilegeEscalation", false}, {"readOnlyRootFilesystem", true}, {"capabilities", {{"drop", {"ALL"}}}}}}};
  if (is_worker) {
    container["args"] = {"--job",       kJobPath,       "--client",
                         member.client, "--aggregator", absl::StrCat(ServiceName(job.name), ":", settings.port)};
    return container;
  }
  // While somebody is missing, the job's own deadlines decide how long is waited.
  container["args"] = {"--job",
                       kJobPath,
                       "--listen",
                       absl::StrCat("0.0.0.0:", settings.port),
                       "--output",
                       kOutputPath,
                       "--rejoin-patience",
                       PatienceFor(job.lifecycle.stall_timeout),
                       "--start-patience",
                       PatienceFor(job.lifecycle.start_deadline),
                       "--result-file",
                       kResultPath,
                       "--health-address",
                       absl::StrCat("0.0.0.0:", settings.metrics_port)};
  container["ports"] = {{{"name", "splitft"}, {"containerPort", settings.port}},
                        {{"name", "metrics"}, {"containerPort", settings.metrics_port}}};
  if (NeedsGpu(job, member)) {
    container["resources"]["limits"]["nvidia.com/gpu"] = 1;
  }
  container["readinessProbe"] = Probe(settings.port, 2, 3);
  container["livenessProbe"] = Probe(settings.port, 10, 6);
  return container;
}

// By these the operator knows its pods: no template sets them.
void DropOurLabels(Json* metadata) {
  const auto labels = metadata->find("labels");
  if (labels == metadata->end()) {
    return;
  }
  for (const char* name : {kJobLabel, kRoleLabel, kClientLabel, kIndexLabel}) {
    labels->erase(name);
  }
}

Json TemplateOf(const spec::FineTuneJob& job, const Member& member) {
  if (member.role == spec::Role::kAggregator) {
    return ParseTemplate(job.aggregator.pod_template);
  }
  Json of_all = ParseTemplate(job.workers.pod_template);
  for (const spec::Client& client : job.clients) {
    if (client.name == member.client) {
      return LayOver(std::move(of_all), ParseTemplate(client.pod_template));
    }
  }
  return of_all;
}

}  // namespace

Json ChildMetadata(const Owner& owner, const std::string& name) {
  return {
      {"name", name},
      {"namespace", owner.name_space},
      {"labels", {{"app.kubernetes.io/name", "splitft"}, {kManagedByLabel, kManagedByValue}, {kJobLabel, owner.name}}},
      {"ownerReferences",
       {{{"apiVersion", kApiVersion},
         {"kind", kKind},
         {"name", owner.name},
         {"uid", owner.uid},
         {"controller", true},
         {"blockOwnerDeletion", true}}}}};
}

Json DesiredPod(const Owner& owner, const spec::FineTuneJob& job, const PodOptions& options,
                const OperatorSettings& settings) {
  const Member& member = options.member;
  const Json bare = {{"metadata", Json::object()},
                     {"spec",
                      {{"serviceAccountName", ServiceAccountName(owner.name)},
                       {"terminationGracePeriodSeconds", kGraceSeconds},
                       {"securityContext",
                        {{"runAsUser", kUser},
                         {"runAsGroup", kUser},
                         {"fsGroup", kUser},
                         {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
                       {"volumes", MountsOf(job, member).volumes},
                       {"containers", {Container(job, member, settings)}}}}};
  Json pod = LayOver(bare, TemplateOf(job, member));
  // What no template changes.
  pod["apiVersion"] = "v1";
  pod["kind"] = "Pod";
  Json metadata = ChildMetadata(owner, PodName(owner.name, member, options.index));
  metadata["labels"][kRoleLabel] = RoleName(member.role);
  metadata["labels"][kIndexLabel] = std::to_string(options.index);
  if (member.role == spec::Role::kWorker) {
    metadata["labels"][kClientLabel] = member.client;
  }
  DropOurLabels(&pod["metadata"]);
  pod["metadata"] = LayOver(pod["metadata"], metadata);
  Json& spec = pod["spec"];
  spec["restartPolicy"] = "Never";
  spec["automountServiceAccountToken"] = false;
  spec["enableServiceLinks"] = false;
  spec["securityContext"]["runAsNonRoot"] = true;
  return pod;
}

}  // namespace splitft::controller
