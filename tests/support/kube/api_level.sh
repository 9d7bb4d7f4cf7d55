#!/usr/bin/env bash
# A real Kubernetes API for tests: etcd and kube-apiserver on 127.0.0.1, ready in some 3 s, as many side by side as one
# likes. No nodes, and none of the controllers that come with Kubernetes: nothing runs pods, collects garbage, ends the
# deletion of a namespace, makes service accounts, or fills the roles view, edit and admin.
#
#   api_level.sh up DIR [--owner-pid PID]  starts both; prints the path of the administrator's kubeconfig
#   api_level.sh down DIR                  ends what was started in DIR and removes DIR; no error where there is none
#   api_level.sh kill-api DIR              ends the API server as a crash would: at once, in the middle of a watch
#   api_level.sh start-api DIR             starts it again on the same port with the same data
#   api_level.sh kubectl DIR ARGUMENT...   kubectl, as the administrator
#
# DIR must be new, empty, or left over from an earlier call. Afterwards it holds, for their user only,
#   admin.kubeconfig        token of a member of system:masters; certificate authority as a file
#   operator.kubeconfig     token of the user `operator`, who may do what tests allow by RBAC, and nothing else
#   other.kubeconfig        the same for the user `other`
#   certificate.kubeconfig  certificate and key of a member of system:masters, inline, like all else in it
#   log/                    what the servers said; it stays when they do not start
# With --owner-pid all ends within two seconds of that process; without, it lives until `down`.
# The programs are those that `scripts/setup.sh kube` put into ${SPLITFT_PREFIX:-~/.cache/splitft}/kube.
set -euo pipefail

self=$(realpath "$0")
. "$(dirname "$self")/rig.sh"

main() {
  [[ $# -ge 2 && -n $2 ]] || usage
  local command=$1
  dir=$(realpath -m "$2")
  shift 2
  case $command in
    up) up "$@" ;;
    down) down ;;
    keep) keep "$@" ;;
    kill-api) in_rig && end_server kube-apiserver ;;
    start-api) in_rig && restart_api ;;
    kubectl) in_rig && kubectl "$@" ;;
    *) usage ;;
  esac
}

check_programs() {
  local program
  for program in etcd kube-apiserver kubectl openssl; do
    needs "$program" kube
  done
}

bring_up() {
  start_etcd
  make_certificates DNS:localhost,IP:127.0.0.1
  make_tokens "admin admin system:masters" "operator operator" "other other"
  await etcd socket_of_etcd
  start_api_on_a_free_port
}

bring_down() {
  end_server kube-apiserver
  end_server etcd
}

# Without a word of warning: after a polite one the API server keeps open watches silent for a minute.
end_server() { end_marked "$(mark_of "$1")"; }

# The argument by which a server of this rig is known.
mark_of() {
  case $1 in
    etcd) echo "--data-dir=$dir/etcd" ;;
    kube-apiserver) echo "--cert-dir=$dir/pki/generated" ;;
  esac
}

is_running() { [[ -n $(pids_marked "$(mark_of "$1")") ]]; }

# Ports below 32768 are not given to clients, so that nobody takes this one while the API server is down.
start_api_on_a_free_port() {
  for _ in 1 2 3 4 5; do
    echo $((20000 + SRANDOM % 12000)) >"$dir/port"
    write_kubeconfigs
    start_api && return
    grep -q 'address already in use' "$dir/log/kube-apiserver.log" || return 1
  done
  return 1
}

restart_api() {
  ! is_running kube-apiserver || die "the API server of $dir runs already"
  is_running etcd || die "etcd of $dir has ended: see $dir/log/etcd.log"
  start_api || die "the API server did not start: see $dir/log/kube-apiserver.log"
}

start_api() {
  start_api_server --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$(<"$dir/port")" \
    --authorization-mode=RBAC --service-cluster-ip-range=10.0.0.0/16 --endpoint-reconciler-type=none \
    --disable-admission-plugins=ServiceAccount
  await kube-apiserver api_is_ready
}

write_kubeconfigs() {
  local name pki=$dir/pki server
  server=https://127.0.0.1:$(<"$dir/port")
  for name in admin operator other; do
    token_kubeconfig "$dir/$name.kubeconfig" "$server" "$name"
  done
  kubeconfig "$dir/certificate.kubeconfig" "$server" "certificate-authority-data: $(base64 -w0 "$pki/ca.crt")" \
    "client-certificate-data: $(base64 -w0 "$pki/client.crt")" "client-key-data: $(base64 -w0 "$pki/client.key")"
}

main "$@"
