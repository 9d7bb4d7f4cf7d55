#!/usr/bin/env bash
# The cluster that other end-to-end tests build on does what they need of it: restricted pods of our images start and
# log, names of a headless service resolve, a volume keeps what is written, the node drains, and nothing is left behind.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
support=$here/../support/kube
dir=$(mktemp -d -t splitft_cluster_XXXXXX)

main() {
  local images left
  if [[ $EUID != 0 ]] && ! sudo -n true 2>/dev/null; then
    echo "skipped: needs root, or sudo without a password"
    exit 77
  fi
  trap '"$support/cluster_level.sh" down "$dir"' EXIT
  "$support/cluster_level.sh" up "$dir" --owner-pid $$ >/dev/null
  images=$("$support/images.sh" worker aggregator)
  # shellcheck disable=SC2086
  "$support/cluster_level.sh" load-image "$dir" $images
  mkdir -m 777 "$dir/volume"
  sed "s|@VOLUME@|$dir/volume|" "$here/cluster_test.yaml" | kubectl apply -f - >/dev/null

  log_says worker "splitft-worker: error: unknown flag --help"
  log_says aggregator "splitft-aggregator: error: unknown flag --help"
  log_says asks " peer.peers.smoke.svc.cluster.local"
  [[ $(<"$dir/volume/word") == written ]] || fail "the volume does not hold what the pod wrote"
  [[ $(kubectl exec peer -- id -u) == 65532 ]] || fail "exec does not answer"
  ! kubectl run root --image=splitft/worker:test 2>/dev/null || fail "a pod was let in that is not restricted"
  kubectl drain node --force --timeout=60s >/dev/null 2>&1 || fail "the node does not drain"
  [[ -z $(kubectl get pods --field-selector=status.phase=Running --output=name) ]] || fail "the drained node runs pods"

  "$support/cluster_level.sh" down "$dir"
  left=$(traces)
  [[ -z $left ]] || fail "left behind: $left"
}

fail() {
  echo "cluster_test: $*" >&2
  kubectl describe pods >&2 || true
  exit 1
}

kubectl() { "$support/cluster_level.sh" kubectl "$dir" --namespace=smoke "$@"; }

# log_says POD TEXT: once the pod has ended.
log_says() {
  local log
  kubectl wait "pod/$1" --for=jsonpath='{.status.containerStatuses[0].state.terminated.finishedAt}' --timeout=60s \
    >/dev/null || fail "pod $1 does not end"
  log=$(kubectl logs "$1")
  [[ $log == *"$2"* ]] || fail "pod $1 logs \"$log\", not \"$2\""
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

main
