#include "api/crd/vocabulary.h"

namespace splitft::crd {

const std::vector<Term>& States() {
  static const std::vector<Term> states = {
      {"Pending", "A pod is missing or does not run yet."},
      {"Starting", "All pods run; not every client has joined yet."},
      {"Running", "Steps are made, evaluated or written."},
      {"Suspended", "`spec.suspend` is true: there are no pods."},
      {"Complete", "The adapter is written. Final."},
      {"Failed", "It will not be tried again. Final."},
  };
  return states;
}

const std::vector<Term>& ConditionTypes() {
  static const std::vector<Term> types = {
      {"Running", "Whether the job trains; if not, why. There from the beginning."},
      {"Degraded",
       "Whether a member of the job has failed or cannot start, while the job goes on. There once that has "
       "happened."},
      {"SchedulingHeld",
       "Whether the job goes on as it is because the scheduler's figures are missing or not to be trusted. There once "
       "that has happened."},
      {"Suspended", "Whether the job is held back. There once it has been."},
      {"Complete", "True: the adapter is written. There at the end only."},
      {"Failed", "True: the job has failed. There at the end only."},
  };
  return types;
}

const std::vector<Reason>& Reasons() {
  static const std::vector<Reason> reasons = {
      {"PodsPending", "Pending", "A pod is missing or waits, and Kubernetes does not say for what."},
      {"Refused", "Pending",
       "Something that the job needs cannot be made; the message is the API server's. It is tried again."},
      {"WaitingForClients", "Starting", "The message names the clients that have not joined."},
      {"Training", "Running", "The message says which step of how many."},
      {"Suspended", "Suspended", "`spec.suspend` is true."},
      {"AdapterWritten", "Complete", "The message says where."},
      {"InvalidSpec", "Failed", "The operator cannot run the job, though the CRD's rules let it pass."},
      {"TrainingFailed", "Failed", "The aggregator gave up; the message is its own."},
      {"MemberFailed", "Failed", "A program ended with a code that ends the job, by `spec.failureRules` or without."},
      {"BackoffLimitExceeded", "Failed", "A member failed more often than `spec.backoffLimit`."},
      {"OutOfMemory", "Failed", "Likewise, and the last time it was killed at its memory limit."},
      {"StartDeadlineExceeded", "Failed", "Training did not begin within `spec.startDeadlineSeconds`."},
      {"StepStalled", "Failed", "No step was finished within `spec.stallTimeoutSeconds`."},
      {"DeadlineExceeded", "Failed", "The job was not done within `spec.activeDeadlineSeconds`."},
      {"PodFailed", "condition Degraded", "A pod failed, and Kubernetes gives no better reason."},
      {"FiguresUnknown", "condition SchedulingHeld", "The message says what is wrong; the job trains on as it is."},
      {"AsExpected", "conditions Degraded, SchedulingHeld", "All is well again."},
  };
  return reasons;
}

const std::vector<Reason>& EventReasons() {
  static const std::vector<Reason> reasons = {
      {"PlanApplied", "Normal",
       "A client's cut or codec, or all clients' microbatches were changed, and why (spec.scheduling)."},
      {"PlanRefused", "Warning",
       "A change of cuts, codecs or microbatches was not made, or was undone for a client that was lost under it, and "
       "why."},
      {"WorkerRestarted", "Warning", "A client's pod was lost or failed; its successor is made."},
      {"AggregatorRestarted", "Warning", "Likewise of the aggregator."},
      {"ChildRepaired", "Warning", "Somebody had changed an object of the job; it is as it should be again."},
      {"Refused", "Warning", "Something that the job needs cannot be made; or it is there, and not the job's."},
  };
  return reasons;
}

const std::vector<Child>& Children() {
  static const std::vector<Child> children = {
      {"Pod", "<job>-aggregator-<index>", "The aggregator; index 0 is the first, each restart makes the next."},
      {"Pod", "<job>-worker-<client>-<index>", "A client's worker."},
      {"ConfigMap", "<job>-job", "The manifest as the pods read it."},
      {"ServiceAccount", "<job>-pods", "The pods', without rights and without a token."},
      {"Service", "<job>-aggregator", "Headless: by it workers find the aggregator."},
      {"NetworkPolicy", "<job>-aggregator", "Only the job's own pods and the operator reach the aggregator."},
  };
  return children;
}

const std::vector<Term>& ChildLabels() {
  static const std::vector<Term> labels = {
      {"app.kubernetes.io/name", "`splitft`"},
      {"app.kubernetes.io/managed-by", "`splitft-operator`"},
      {"splitft.io/job", "The job's name."},
      {"splitft.io/role", "`worker` or `aggregator`; pods only, as those below."},
      {"splitft.io/client", "The client's name; workers only."},
      {"splitft.io/index", "How many pods the member had before this one."},
  };
  return labels;
}

const std::vector<Term>& Annotations() {
  static const std::vector<Term> annotations = {
      {"splitft.io/example-prompt", "A prompt that `splitft run` proposes to try afterwards."},
  };
  return annotations;
}

}  // namespace splitft::crd
