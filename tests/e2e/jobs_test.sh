#!/usr/bin/env bash
# What a user does on a real cluster, and what happens to him there: the chart, the example's job to its adapter, and jobs
# whose pods are killed, drained away, suspended, impossible, too small or deleted. The referee of every adapter is the
# one-machine run of the same job, byte for byte.
#
#   jobs_test.sh [SCENARIO...]      (default: all; the names are those of the functions below)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../..")
build=${SPLITFT_BUILD:-$root/build}
support=$root/tests/support/kube
prefix=${SPLITFT_PREFIX:-$HOME/.cache/splitft}
scratch=$(mktemp -d -t splitft_jobs_XXXXXX)
dir=$scratch/cluster
namespace=demo
steps=24
PATH=$prefix/kube:$PATH

scenarios=(example worker_killed aggregator_killed finished_unseen operator_killed storm drained suspended adapted image_missing
  nowhere_to_run too_little_memory wrong_input deleted namespace_deleted upgraded)

main() {
  local scenario
  trap clean_up EXIT
  start_cluster_or_skip
  "$root/scripts/cluster.sh" up "$dir" >"$scratch/up.log" 2>&1 || { cat "$scratch/up.log" >&2; exit 1; }
  export KUBECONFIG=$dir/admin.kubeconfig
  prepare
  for scenario in "${@:-${scenarios[@]}}"; do
    current=$scenario
    echo "--- $scenario ($SECONDS s)"
    "$scenario"
    [[ $scenario == namespace_deleted || $scenario == upgraded ]] || no_job_is_left
  done
  "$root/scripts/cluster.sh" down "$dir"
  [[ -z $(traces) ]] || fail "left behind: $(traces)"
  echo "--- passed ($SECONDS s)"
}

# A cluster needs namespaces, mounts, control groups and packet filters of its own, which not every container is given.
start_cluster_or_skip() {
  if [[ $EUID != 0 ]] && ! sudo -n true 2>/dev/null; then
    skip "it takes root, or sudo without a password"
  fi
  {
    "$support/images.sh" pause base && "$support/cluster_level.sh" up "$dir" --owner-pid $$
  } >"$scratch/up.log" 2>&1 || skip "$(tail -n 5 "$scratch/up.log")"
}

skip() {
  echo "skipped: this machine cannot start a cluster: $*"
  exit 77
}

clean_up() {
  "$root/scripts/cluster.sh" down "$dir"
  rm -rf "$scratch"
}

# traces: what of the cluster is still there.
traces() {
  local name
  name=splitft-$(sha256sum <<<"$dir" | cut -c 1-7)
  grep -slF --file=- /proc/[0-9]*/cmdline <<<"$dir" || true
  grep -F "$dir" /proc/mounts || true
  ip -brief link show dev "$name" 2>/dev/null || true
  find /sys/fs/cgroup -maxdepth 2 -name "$name"
  ls -d "$dir" 2>/dev/null || true
}

fail() {
  echo "jobs_test: ${current:-}: $*" >&2
  {
    k get pods,ftj --output=wide || true
    k describe ftj | sed -n '/^Status/,$p' || true
    kubectl --namespace=splitft-system logs --selector=app.kubernetes.io/name=splitft-operator --tail=20 || true
  } >&2
  exit 1
}

k() { kubectl --namespace="$namespace" "$@"; }

# --- what scenarios share ----------------------------------------------------------------------------------------------

# The model and the texts on the example's volume, as README.md has it; the adapter to compare with, from this machine.
prepare() {
  local files="the example's files"
  current=prepare
  "$build/bin/splitft" run "$root/examples/quickstart/job.yaml" --threads 1 --set training.steps=$steps \
    --out "$scratch/reference" >"$scratch/reference.log" 2>&1 || fail "no reference: $(tail -3 "$scratch/reference.log")"
  kubectl create namespace $namespace >/dev/null
  kubectl label namespace $namespace pod-security.kubernetes.io/enforce=restricted >/dev/null
  k apply --filename "$root/examples/kubernetes/files.yaml" >/dev/null
  k wait pod/files --for=condition=Ready --timeout=60s >/dev/null || fail "$files: no pod"
  k cp "$root/examples/quickstart/base" files:/files/base || fail "$files: base"
  k cp "$root/examples/quickstart/data" files:/files/data || fail "$files: data"
}

# apply [SED...]: the example's job, of few steps, with one thread for each member; changed by sed's commands.
apply() {
  sed -e "s/steps: 300/steps: $steps/" -e 's/limits: {memory: 4Gi}/limits: {cpu: 1, memory: 4Gi}/' \
    -e "s|quickstart/out|quickstart/$current|" "${@/#/-e}" "$root/examples/kubernetes/job.yaml" | k apply --filename - \
    >/dev/null
}

# wait_until SECONDS COMMAND...
wait_until() {
  local deadline=$((SECONDS + $1)) what=${*:2}
  until "${@:2}"; do
    ((SECONDS < deadline)) || fail "not within $1 s: $what"
    sleep 0.2
  done
}

field() { k get ftj quickstart --output=jsonpath="{$1}"; }
state_is() { [[ $(field .status.state) == "$1" ]]; }
trains() { [[ $(k logs --selector=splitft.io/role=aggregator --tail=-1 2>/dev/null) == *" step step="* ]]; }
step_is_past() { [[ $(field .status.progress.step) -ge $1 ]]; }
condition() { field ".status.conditions[?(@.type==\"$1\")].$2"; }
reason_is() { [[ $(condition "$1" reason) == "$2" ]]; }
pods() { k get pods --selector=splitft.io/job --output=name; }
no_pods() { [[ -z $(pods) ]]; }
children() { k get pods,configmaps,services,serviceaccounts,networkpolicies --selector=splitft.io/job --output=name; }
no_children() { [[ -z $(children) ]]; }

# The job ends with the adapter that one machine makes, and status says which it is.
completes() {
  local sum
  wait_until 180 ended
  state_is Complete || fail "the job is $(field .status.state), not Complete"
  rm -rf "$scratch/out"
  k cp "files:/files/$current" "$scratch/out" >/dev/null
  cmp "$scratch/out/adapter_model.safetensors" "$scratch/reference/adapter_model.safetensors" || fail "another adapter"
  sum=$(sha256sum <"$scratch/out/adapter_model.safetensors")
  [[ $(field .status.adapter.sha256) == "${sum%% *}" ]] || fail "status.adapter.sha256 is $(field .status.adapter.sha256)"
}

ended() { state_is Complete || state_is Failed; }

# fails_with REASON TEXT: REASON as =~ takes it.
fails_with() {
  wait_until 120 ended
  state_is Failed || fail "the job is $(field .status.state), not Failed"
  [[ $(condition Failed reason) =~ ^($1)$ ]] || fail "it failed with $(condition Failed reason), not $1"
  [[ $(condition Failed message) == *"$2"* ]] || fail "it says \"$(condition Failed message)\", not \"$2\""
}

no_job_is_left() {
  k delete ftj --all --wait >/dev/null
  wait_until 60 no_children
}

# --- scenarios ---------------------------------------------------------------------------------------------------------

example() {
  apply
  completes
  [[ $(k get ftj quickstart --no-headers --output=wide) =~ Complete\ +$steps/$steps\ .*3/3 ]] ||
    fail "kubectl get ftj says $(k get ftj quickstart --output=wide)"
  [[ $(k logs quickstart-aggregator-0) == *" done "*"output=/splitft/output"* ]] || fail "the aggregator's log"
  "$prefix/pyref/bin/python" "$here/load_adapter.py" "$root/examples/quickstart/base" "$scratch/out" ||
    fail "peft does not load the adapter"
}

worker_killed() {
  apply
  wait_until 60 trains
  k delete pod quickstart-worker-tavern-0 --grace-period=0 --force >/dev/null 2>&1
  completes
  [[ $(field '.status.clients[?(@.name=="tavern")].restarts') -ge 1 ]] || fail "no restart is counted"
  [[ $(field '.status.attempt') == 1 ]] || fail "the aggregator began again"
}

aggregator_killed() {
  apply
  wait_until 60 trains
  k delete pod quickstart-aggregator-0 --grace-period=0 --force >/dev/null 2>&1
  completes
  [[ $(field .status.attempt) == 2 ]] || fail "the attempt is $(field .status.attempt)"
}

# Nobody saw that the aggregator was done before its pod was gone: the next one finds its work done.
finished_unseen() {
  local operator="--namespace=splitft-system deployment/splitft-operator"
  apply
  wait_until 60 trains
  kubectl scale --replicas=0 $operator >/dev/null
  wait_until 120 is_done aggregator-0
  k delete pod quickstart-aggregator-0 --grace-period=0 --force >/dev/null 2>&1
  kubectl scale --replicas=2 $operator >/dev/null
  completes
  [[ $(k logs quickstart-aggregator-1) == *"done before"* ]] || fail "it trained again"
}
is_done() { [[ $(k get pod "quickstart-$1" --output=jsonpath='{.status.phase}') == Succeeded ]]; }

# The other replica takes over, and finds the job as it is.
operator_killed() {
  local leader
  apply
  wait_until 60 trains
  leader=$(kubectl --namespace=splitft-system get lease splitft-operator --output=jsonpath='{.spec.holderIdentity}')
  kubectl --namespace=splitft-system delete pod "${leader%-*}" --grace-period=0 --force >/dev/null 2>&1
  k delete pod quickstart-worker-theatre-0 --grace-period=0 --force >/dev/null 2>&1
  completes
  [[ $(field .status.attempt) == 1 ]] || fail "the aggregator began again"
  [[ $(pods | wc -l) == 4 ]] || fail "these are not four pods: $(pods | xargs)"
}

# Workers are killed in their pods, one after the other and at random: what is random is not in the result.
storm() {
  local i worker
  apply
  wait_until 60 trains
  for i in {1..5}; do
    worker=$(k get pods --selector=splitft.io/role=worker --field-selector=status.phase=Running --output=name | shuf -n 1)
    [[ -z $worker ]] || k delete "$worker" --grace-period=0 --force >/dev/null 2>&1 || true
    sleep "0.$((RANDOM % 10))"
  done
  completes
}

drained() {
  apply
  wait_until 60 trains
  kubectl drain node --pod-selector=splitft.io/job --delete-emptydir-data --timeout=60s >"$scratch/drain.log" 2>&1 || fail "it does not drain: $(tail -2 "$scratch/drain.log")"
  wait_until 60 reason_is Running Unschedulable
  kubectl uncordon node >/dev/null
  completes
}

suspended() {
  apply
  wait_until 60 trains
  k patch ftj quickstart --type=merge --patch='{"spec": {"suspend": true}}' >/dev/null
  wait_until 60 state_is Suspended
  wait_until 60 no_pods
  step_is_past 1 || fail "progress is gone"
  k patch ftj quickstart --type=merge --patch='{"spec": {"suspend": false}}' >/dev/null
  completes
}

# A worker gets less of a processor, in place: its cut follows, and people are told why.
adapted() {
  local resources='{"requests": {"cpu": "50m"}, "limits": {"cpu": "50m"}}'
  apply "s/steps: $steps/steps: 1000/" '/^spec:/a\  scheduling: {policy: Makespan, paybackRounds: 50}'
  wait_until 60 trains
  k patch pod quickstart-worker-listings-0 --subresource=resize >/dev/null \
    --patch="{\"spec\": {\"containers\": [{\"name\": \"splitft\", \"resources\": $resources}]}}"
  wait_until 120 cut_is listings 1
  [[ $(field '.status.clients[?(@.name=="listings")].reason') == *"times the median"*": cut "* ]] ||
    fail "the reason is $(field '.status.clients[?(@.name=="listings")].reason')"
  wait_until 30 is_told "client listings: "
  [[ $(k exec files -- cat "/files/$current/decisions.jsonl") == *APPLIED*listings* ]] || fail "no decisions.jsonl"
}
cut_is() { [[ $(field ".status.clients[?(@.name==\"$1\")].cutLayer") == "$2" ]]; }
is_told() { [[ $(k get events.events.k8s.io --output=jsonpath='{.items[?(@.reason=="PlanApplied")].note}') == *"$1"* ]]; }

image_missing() {
  apply '/name: tavern/a\      template: {spec: {containers: [{image: "nowhere.example/worker:1"}]}}'
  wait_until 60 image_is_reported
  k patch ftj quickstart --type=merge --patch='{"spec": {"suspend": true}}' >/dev/null
  wait_until 60 no_pods
}
image_is_reported() {
  [[ $(condition Running reason) =~ ^(ErrImagePull|ImagePullBackOff)$ ]] &&
    [[ $(condition Running message) == *quickstart-worker-tavern-0*nowhere.example/worker:1* ]]
}

nowhere_to_run() {
  apply '/name: tavern/a\      template: {spec: {nodeSelector: {accelerator: h100}}}' \
    '/^spec:/a\  startDeadlineSeconds: 10'
  wait_until 60 reason_is Running Unschedulable
  fails_with StartDeadlineExceeded "quickstart-worker-tavern-0 is Unschedulable"
  wait_until 60 no_pods
}

too_little_memory() {
  apply '/name: tavern/a\      template: {spec: {containers: [{resources: {requests: {memory: 40Mi}, limits: {memory: 40Mi}}}]}}' \
    '/^spec:/a\  backoffLimit: 0'
  fails_with OutOfMemory "client tavern"
}

# Nobody has written that file. Its worker says so, to the aggregator and with its last words; who hears which first is
# not certain.
wrong_input() {
  apply 's|data/theatre.txt|data/missing.txt|'
  fails_with "MemberFailed|TrainingFailed" "client theatre: "
  [[ $(condition Failed message) == *'data/theatre/missing.txt" is not a regular file'* ]] ||
    fail "it says \"$(condition Failed message)\""
}

deleted() {
  apply
  wait_until 60 trains
  k delete ftj quickstart --wait >/dev/null
  wait_until 40 no_children
}

namespace_deleted() {
  apply
  wait_until 60 trains
  kubectl delete namespace $namespace --timeout=90s >/dev/null || fail "the namespace does not go"
  no_errors_are_logged_for_long
}
no_errors_are_logged_for_long() {
  sleep 3
  [[ -z $(kubectl --namespace=splitft-system logs --selector=app.kubernetes.io/name=splitft-operator --since=2s) ]] ||
    fail "the operator cannot let go"
}

# helm test, an upgrade with other values, the way back, and an end that leaves users' jobs alone.
upgraded() {
  local chart=$root/charts/splitft flags=(--namespace=splitft-system --wait --timeout=120s)
  {
    helm test splitft --namespace=splitft-system || fail "helm test"
    helm upgrade splitft "$chart" "${flags[@]}" --reuse-values --set=operator.replicas=1 || fail "helm upgrade"
    helm rollback splitft 1 "${flags[@]}" || fail "helm rollback"
    helm uninstall splitft "${flags[@]}" || fail "helm uninstall"
  } >/dev/null 2>&1
  kubectl get crd finetunejobs.splitft.io >/dev/null || fail "the kind went with the chart"
  [[ -z $(kubectl --namespace=splitft-system get deployments,clusterroles --selector=app.kubernetes.io/name=splitft-operator \
    --output=name) ]] || fail "the chart left something behind"
}

main "$@"
