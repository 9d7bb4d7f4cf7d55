#!/usr/bin/env bash
# A cluster to try splitft on: one node on this machine, with this tree's programs as images. `make cluster` calls
# `scripts/cluster.sh up`, which gives a cluster that is there already the present images; `make cluster-down` ends it
# with all that is in it, and removes it.
#
#   scripts/cluster.sh up|down
set -euo pipefail
cd "$(dirname "$0")/.."

rig=tests/support/kube/cluster_level.sh
dir=${SPLITFT_PREFIX:-$HOME/.cache/splitft}/cluster

up() {
  local images=(aggregator worker) kubeconfig tars
  [[ ! -x build/bin/splitft-operator ]] || images+=(operator)
  tars=$(tests/support/kube/images.sh "${images[@]}")
  kubeconfig=$dir/admin.kubeconfig
  "$rig" kubectl "$dir" get --raw /readyz >/dev/null 2>&1 || "$rig" up "$dir" >/dev/null
  # shellcheck disable=SC2086
  "$rig" load-image "$dir" $tars

  # The chart is installed here: helm upgrade --install splitft charts/splitft --kubeconfig "$kubeconfig" ...

  "$rig" kubectl "$dir" get nodes
  echo
  echo "export KUBECONFIG=$kubeconfig PATH=$(dirname "$dir")/kube:\$PATH"
}

case ${1:-} in
  up) up ;;
  down) "$rig" down "$dir" ;;
  *)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
