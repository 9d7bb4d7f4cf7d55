#!/usr/bin/env bash
# A cluster to try splitft on: one node on this machine, with this tree's programs as images, the chart installed and
# eight empty volumes for claims. Of a cluster that is there already, images and chart are brought up to date.
#
#   scripts/cluster.sh up [DIR]      starts it in DIR (default: cluster, in the private prefix)
#   scripts/cluster.sh down [DIR]    ends it with all that is in it, volumes included, and removes DIR
#
# `make cluster` and `make cluster-down` call this.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${SPLITFT_PREFIX:-$HOME/.cache/splitft}
rig=tests/support/kube/cluster_level.sh
dir=${2:-$prefix/cluster}

up() {
  local images tars
  images=(base operator aggregator worker)
  say "making images of the programs"
  tars=$(tests/support/kube/images.sh "${images[@]}")
  kubectl get --raw /readyz >/dev/null 2>&1 || {
    say "starting a cluster in $dir"
    "$rig" up "$dir" >/dev/null
  }
  say "giving it the images, and installing the chart"
  # shellcheck disable=SC2086
  "$rig" load-image "$dir" $tars
  offer_volumes
  install_chart
}

say() { echo "cluster: $*" >&2; }

kubectl() { "$rig" kubectl "$dir" "$@"; }

# Nothing provisions volumes here: they lie ready, in DIR.
offer_volumes() {
  local n
  mkdir -p -m 777 "$dir"/volumes/{1..8}
  {
    echo '{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: kubernetes.io/no-provisioner, metadata: {
      name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}}'
    for n in {1..8}; do
      echo "---
        {apiVersion: v1, kind: PersistentVolume, metadata: {name: local-$n}, spec: {storageClassName: local,
         capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce, ReadWriteMany],
         hostPath: {path: $dir/volumes/$n, type: Directory}}}"
    done
  } | kubectl apply --filename - >/dev/null
}

# The tag of a test's image stays the same when the image does not: the pods' annotation makes the difference.
install_chart() {
  local helm=$prefix/kube/helm made
  [[ -x $helm ]] || helm=helm
  made=$(cat "$prefix"/images/operator.inputs)
  "$helm" upgrade --install splitft charts/splitft --kubeconfig "$dir/admin.kubeconfig" \
    --namespace splitft-system --create-namespace --wait --timeout 120s \
    --set-string "operator.image.tag=test,worker.image.tag=test,aggregator.image.tag=test" \
    --set-string "operator.podAnnotations.made-of=${made%% *}" >/dev/null
}

case ${1:-} in
  up)
    up
    say "splitft runs there; in your shell, and then as README.md says:"
    echo "export KUBECONFIG=$dir/admin.kubeconfig PATH=$prefix/kube:\$PATH"
    ;;
  down) "$rig" down "$dir" ;;
  *)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
