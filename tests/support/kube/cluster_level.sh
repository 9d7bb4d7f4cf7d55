#!/usr/bin/env bash
# A whole Kubernetes of one node for tests: the API level's servers, and what runs pods. Ready in some 10 s; as many
# side by side as one likes. Needs root, and becomes it with sudo.
#
#   cluster_level.sh up DIR [--owner-pid PID]  starts it; prints the path of the administrator's kubeconfig
#   cluster_level.sh down DIR                  ends it with its pods and removes DIR; no error where there is none
#   cluster_level.sh kubectl DIR ARGUMENT...   kubectl, as the administrator
#   cluster_level.sh load-image DIR TAR...     gives the node images of docker-archives (images.sh makes some)
#   cluster_level.sh enter DIR COMMAND...      runs a command on the node: where services and pods have their addresses
#
# The cluster lives in namespaces of its own (processes, mounts, network), of which the script's `node` is process 1:
# with that process the kernel ends every server, pod and mount, and nothing outlives it but DIR and, for as long as
# `down` takes, empty control groups. The node reaches the machine around it, and is reached, by its address alone;
# the kubeconfig works on both sides. It reaches no other network: images come by load-image.
#
# What works: Pod Security, services, DNS (CoreDNS, on the node), logs, exec, port-forward, static volumes of type
# hostPath (paths are the machine's, but for those below /run, /var/lib and /var/log), drain. What does not: there is no
# provisioner of volumes, and no network policy is enforced.
#
# DIR must be new, empty, or left over from an earlier call. Afterwards it holds, for their user only,
#   admin.kubeconfig  token of a member of system:masters
#   log/              what the servers said; it stays when they do not start
# With --owner-pid all ends within two seconds of that process; without, it lives until `down`.
# The programs are those of `scripts/setup.sh kube cluster`.
set -euo pipefail

self=$(realpath "$0")
. "$(dirname "$self")/rig.sh"

service_cidr=10.96.0.0/16
service_api=10.96.0.1
pod_cidr=10.244.0.0/24

main() {
  [[ $# -ge 2 && -n $2 ]] || usage
  [[ $EUID == 0 ]] || exec sudo env SPLITFT_PREFIX="${programs%/kube}" "$self" "$@"
  local command=$1
  dir=$(realpath -m "$2")
  name=splitft-$(sha256sum <<<"$dir" | cut -c 1-7) # of its interface (at most 15 characters) and its control groups
  shift 2
  case $command in
    up) up "$@" ;;
    down) down ;;
    keep) keep "$@" ;;
    node) be_the_node ;;
    kubectl) in_rig && kubectl "$@" ;;
    load-image) in_node && load_images "$@" ;;
    enter) in_node && "${enter[@]}" "$@" ;;
    *) usage ;;
  esac
}

check_programs() {
  local program path
  for path in "$dir" "$programs" "$self"; do
    [[ ! $path/ =~ ^/(run|var/lib|var/log)/ ]] || die "$path: the node has its own /run, /var/lib and /var/log"
  done
  for program in etcd kube-apiserver kubectl openssl; do
    needs "$program" kube
  done
  for program in kube-controller-manager kube-scheduler kubelet kube-proxy coredns containerd runc iptables ip; do
    needs "$program" cluster
  done
}

bring_up() {
  local pause
  pause=$("$(dirname "$self")/images.sh" pause)
  start_node
  join_networks
  write_configurations
  start containerd --config="$dir/containerd.toml"
  start_control_plane
  await containerd in_node_exists /run/containerd/containerd.sock
  load_images "$pause"
  start kubelet --config="$dir/kubelet.yaml" --kubeconfig="$dir/pki/kubelet.kubeconfig" --hostname-override=node \
    --node-ip="$node_ip" --root-dir=/var/lib/kubelet --cert-dir="$dir/kubelet-pki"
  start kube-proxy --config="$dir/kube-proxy.yaml"
  start coredns -conf="$dir/Corefile"
  await coredns node_listens "$node_ip" 53
  await kube-proxy node_listens "$service_api" 443
  await kubelet node_is_ready
  await kube-controller-manager default_account_exists
  # For who became root by sudo.
  [[ -z ${SUDO_UID:-} ]] || chown "$SUDO_UID" "$dir" "$dir/admin.kubeconfig" "$dir/cache"
}

# --- the node: namespaces, and what they hide --------------------------------------------------------------------

start_node() {
  local group
  for group in $(control_groups); do
    mkdir -p "$group"
  done
  # Where there is version 2 alone, a group has the controllers that its parent hands on.
  [[ ! -e /sys/fs/cgroup/cgroup.controllers ]] ||
    sed 's/[^ ]\+/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
  mkdir -p "$dir"/{var-lib,var-log,kernel}
  start unshare --net --mount --pid --fork --kill-child --mount-proc "$self" node "$dir" "$(mark_of_node)"
  await unshare test -e "$dir/.is-apart"
  in_node
}

mark_of_node() { echo "--node-of=$dir"; }

# in_node: sets `enter`, to what runs a command on the node.
in_node() {
  local pid
  in_rig
  for pid in $(pids_marked "$(mark_of_node)"); do
    # Not unshare itself, which waits outside.
    [[ /proc/$pid/ns/pid -ef /proc/self/ns/pid ]] || node_pid=$pid
  done
  [[ -n ${node_pid:-} ]] || die "the node of $dir has ended: see $dir/log"
  enter=(nsenter "--target=$node_pid" --net --mount --pid -- env "--chdir=$dir")
}

# As process 1 of the new namespaces.
be_the_node() {
  local file
  mount -t tmpfs -o mode=755 tmpfs /run
  mount --bind "$dir/var-lib" /var/lib
  mount --bind "$dir/var-log" /var/log
  # kubelet sets these for the whole machine. Here it sets files instead.
  for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
    kernel/keys/root_maxbytes; do
    cat "/proc/sys/$file" >"$dir/kernel/${file//\//.}"
    mount --bind "$dir/kernel/${file//\//.}" "/proc/sys/$file"
  done
  mount --make-rshared /
  : >"$dir/.is-apart"
  while true; do # bash reaps those whose parents have ended
    sleep 3600 &
    wait || true
  done
}

# Each hierarchy's group of this cluster's pods: of version 1, of version 2, or of both side by side.
control_groups() { awk -v name="$name" '$3 ~ /^cgroup2?$/ { print $2 "/" name }' /proc/mounts; }

bring_down() {
  local pid group deadline=$((SECONDS + limit_s))
  for pid in $(pids_marked "$(mark_of_node)"); do
    [[ /proc/$pid/ns/pid -ef /proc/self/ns/pid ]] || kill -KILL "$pid" 2>/dev/null || true
  done
  # unshare ends once the kernel has ended all that was in the namespaces.
  while [[ -n $(pids_marked "$(mark_of_node)") ]]; do
    ((SECONDS < deadline)) || die "cannot end the node of $dir"
    sleep 0.05
  done
  for group in $(control_groups); do
    [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} +
  done
  ip link delete dev "$name" 2>/dev/null || true # if the end of its peer was not its end already
}

# --- network -----------------------------------------------------------------------------------------------------

# One cable between the machine and the node, with four addresses of 198.18.0.0/15, which is reserved for tests of
# networks. Whatever leaves the node for elsewhere is refused at once.
join_networks() {
  local n host_ip
  n=$((16#$(sha256sum <<<"$dir" | cut -c 1-4) & 32767))
  while host_ip=198.$((18 + (n >> 14))).$((n >> 6 & 255)).$(((n & 63) * 4 + 1)) &&
    [[ -n $(ip -4 address show to "$host_ip/30") ]]; do
    n=$(((n + 1) & 32767))
  done
  node_ip=${host_ip%.*}.$((${host_ip##*.} + 1))
  ip link add "$name" type veth peer name eth0 netns "$node_pid"
  ip address add "$host_ip/30" dev "$name"
  ip link set dev "$name" up
  "${enter[@]}" bash -euc "
    ip link set dev lo up
    ip address add $node_ip/30 dev eth0
    ip link set dev eth0 up
    ip route add $service_cidr dev eth0
    ip route add unreachable default
    echo 1 >/proc/sys/net/ipv4/ip_forward"
}

# --- servers -----------------------------------------------------------------------------------------------------

start_control_plane() {
  local pki=$dir/pki user
  start_etcd
  make_certificates "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$node_ip,IP:$service_api"
  make_tokens "admin admin system:masters" "controllers system:kube-controller-manager" \
    "scheduler system:kube-scheduler" "kubelet system:node:node system:nodes" "proxy system:kube-proxy"
  token_kubeconfig "$dir/admin.kubeconfig" "https://$node_ip:6443" admin
  for user in controllers scheduler kubelet proxy; do
    token_kubeconfig "$pki/$user.kubeconfig" "https://$node_ip:6443" "$user"
  done
  await etcd socket_of_etcd
  start_api_server --bind-address=0.0.0.0 --advertise-address="$node_ip" --secure-port=6443 \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-cluster-ip-range="$service_cidr" \
    --kubelet-client-certificate="$pki/client.crt" --kubelet-client-key="$pki/client.key" \
    --kubelet-preferred-address-types=InternalIP
  await kube-apiserver api_is_ready
  start kube-controller-manager --kubeconfig="$pki/controllers.kubeconfig" --leader-elect=false \
    --authentication-kubeconfig="$pki/controllers.kubeconfig" --authorization-kubeconfig="$pki/controllers.kubeconfig" \
    --service-account-private-key-file="$pki/accounts.key" --root-ca-file="$pki/ca.crt" \
    --use-service-account-credentials=true --pvclaimbinder-sync-period=1s --bind-address=127.0.0.1
  start kube-scheduler --kubeconfig="$pki/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1 \
    --authentication-kubeconfig="$pki/scheduler.kubeconfig" --authorization-kubeconfig="$pki/scheduler.kubeconfig"
}

in_node_exists() { [[ -e /proc/$node_pid/root/$1 ]]; }

node_listens() { "${enter[@]}" bash -c ": </dev/tcp/$1/$2" 2>/dev/null; }

node_is_ready() {
  local ready='{.status.conditions[?(@.type=="Ready")].status}{.spec.taints}'
  [[ $(kubectl get node node -o jsonpath="$ready" 2>/dev/null) == True ]]
}

# Without it no pod is admitted.
default_account_exists() { kubectl get serviceaccount default >/dev/null 2>&1; }

load_images() {
  local tar
  for tar; do
    "${enter[@]}" ctr --namespace=k8s.io images import - <"$tar" >/dev/null
  done
}

write_configurations() {
  mkdir "$dir/cni"
  echo "nameserver $node_ip" >"$dir/resolv.conf"
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE nobody may lower that number, and no pod would start.
  cat >"$dir/containerd.toml" <<END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
END
  # Not a bridge: from one pod to another by a service, answers would pass the bridge without having their address put
  # right, unless the kernel has br_netfilter.
  cat >"$dir/cni/10-pods.conflist" <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pod_cidr"}]],
   "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$name
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [$node_ip]
clusterDomain: cluster.local
resolvConf: $dir/resolv.conf
failSwapOn: false
failCgroupV1: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
maxPods: 200
serializeImagePulls: false
END
  cat >"$dir/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $dir/pki/proxy.kubeconfig}
hostnameOverride: node
mode: iptables
clusterCIDR: $pod_cidr
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 0s}
END
  cat >"$dir/Corefile" <<END
cluster.local:53 in-addr.arpa:53 {
  bind $node_ip
  kubernetes {
    kubeconfig $dir/admin.kubeconfig cluster-level
    ttl 0
  }
  errors
}
.:53 {
  bind $node_ip
  template ANY ANY {
    rcode NXDOMAIN
  }
}
END
}

main "$@"
