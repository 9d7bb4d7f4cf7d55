# Sourced by api_level.sh and cluster_level.sh: what the two have in common. `self` is the script's path, `dir` its DIR.
# The script says what it runs: check_programs, bring_up, bring_down, and mark_of for those it looks for by pid_of.
# shellcheck shell=bash disable=SC2154

programs=${SPLITFT_PREFIX:-$HOME/.cache/splitft}/kube
limit_s=80 # for each server to start or end; a busy machine takes ten times what an idle one does
script=$(basename "$self")
enter=()   # what goes before a server's command line
declare -A started=()

die() {
  echo "$script: $*" >&2
  exit 1
}

usage() {
  sed -n "s/^#   \($script .*\)/\1/p" "$self" >&2
  exit 2
}

# --- life of a rig -----------------------------------------------------------------------------------------------

# up [--owner-pid PID]
up() {
  local owner=""
  if [[ $# -gt 0 ]]; then
    [[ $# == 2 && $1 == --owner-pid && $2 =~ ^[0-9]+$ ]] || usage
    owner=$2
  fi
  check_programs
  claim_folder
  starting=etcd
  trap give_up EXIT
  if [[ -n $owner ]]; then
    setsid "$self" keep "$dir" "$(mark_of_keeper)" "$owner" </dev/null >/dev/null 2>&1 &
    disown
  fi
  bring_up
  trap - EXIT
  echo "$dir/admin.kubeconfig"
}

# needs PROGRAM COMPONENT...: fails unless the program is there.
needs() {
  [[ -x $programs/$1 ]] || command -v "$1" >/dev/null ||
    die "there is no $1, neither in $programs nor in PATH: run scripts/setup.sh ${*:2}"
}

# Only a folder that carries the mark is ever emptied: DIR might be named by mistake.
claim_folder() {
  down
  mkdir -p "$dir"
  chmod 700 "$dir"
  touch "$dir/.${script%.sh}"
  mkdir "$dir"/{log,pki,etcd,cache}
}

is_claimed() { [[ -e $dir/.${script%.sh} ]]; }

in_rig() { is_claimed || die "nothing runs in $dir"; }

# When `up` ends early, on whatever way.
give_up() {
  local log=$dir/log/$starting.log
  end_all
  [[ -e $log ]] || die "$dir is gone: its owner has ended"
  find "$dir" -mindepth 1 -maxdepth 1 ! -name log ! -name ".${script%.sh}" -exec rm -rf {} +
  echo "$script: $starting did not start; see $log, which ends with" >&2
  tail -n 5 "$log" >&2
}

down() {
  is_claimed || [[ -z $(ls -A "$dir" 2>/dev/null) ]] || die "$dir is neither empty nor an earlier rig"
  end_all # even where somebody has removed the folder
  rm -rf --one-file-system "$dir"
}

end_all() {
  local keeper
  keeper=$(pids_marked "$(mark_of_keeper)")
  [[ -z $keeper ]] || kill -KILL -- "-$keeper" 2>/dev/null || true # its tail, too
  bring_down
}

# keep MARK PID: waits for the end of the process, then does as `down` does.
keep() {
  tail --pid="$2" -f /dev/null
  bring_down
  rm -rf --one-file-system "$dir"
}

mark_of_keeper() { echo "--keeper-of=$dir"; }

# --- processes ---------------------------------------------------------------------------------------------------

# pids_marked MARK: the processes that have it as an argument. There are no files with numbers of processes: those
# outlive the processes, and their numbers may be a stranger's by then. The mark goes to grep by its standard input, or
# grep would find itself.
# shellcheck disable=SC2062
pids_marked() { grep -lzxFs --file=- /proc/[0-9]*/cmdline <<<"$1" | cut -d/ -f3 || true; }

# start NAME ARGUMENT...: in a session of its own, so that Ctrl-C in a terminal ends the test, which then ends this.
start() {
  local name=$1 program=$programs/$1
  shift
  [[ -x $program ]] || program=$name
  (cd "$dir" && exec setsid "${enter[@]}" "$program" "$@" </dev/null >>"$dir/log/$name.log" 2>&1) &
  started[$name]=$!
  disown # or bash would tell of its death
}

# await NAME CONDITION...: until it holds; fails when that server ends, or the time is up.
await() {
  local deadline=$((SECONDS + limit_s))
  starting=$1
  shift
  until "$@"; do
    kill -0 "${started[$starting]}" 2>/dev/null || return 1
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# end_marked MARK: without a word of warning.
end_marked() {
  local pid deadline=$((SECONDS + limit_s))
  pid=$(pids_marked "$1")
  while [[ -n $pid ]]; do
    # shellcheck disable=SC2086
    kill -KILL $pid 2>/dev/null || true
    ((SECONDS < deadline)) || die "cannot end process $pid, of $1"
    sleep 0.02
    pid=$(pids_marked "$1")
  done
}

# --- etcd and the API server -------------------------------------------------------------------------------------

# etcd listens at a socket of the file system, by a relative name because such names may have but 107 characters: no
# port, no stranger.
start_etcd() {
  start etcd "--data-dir=$dir/etcd" --unsafe-no-fsync --listen-client-urls=unix://etcd.sock \
    --advertise-client-urls=http://127.0.0.1:0 --listen-peer-urls=http://127.0.0.1:0 --watch-progress-notify-interval=5s
}

socket_of_etcd() { [[ -S $dir/etcd.sock ]]; }

# start_api_server ARGUMENT...
start_api_server() {
  local pki=$dir/pki
  start kube-apiserver "--cert-dir=$pki/generated" --etcd-servers=unix://etcd.sock --tls-cert-file="$pki/server.crt" \
    --tls-private-key-file="$pki/server.key" --client-ca-file="$pki/ca.crt" --token-auth-file="$pki/tokens.csv" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/accounts.pub" \
    --service-account-signing-key-file="$pki/accounts.key" --allow-privileged=true "$@"
}

# The namespace comes a little after the server says that it is ready.
api_is_ready() { { kubectl get --raw /readyz && kubectl get namespace default; } >/dev/null 2>&1; }

kubectl() {
  KUBECTL_KUBERC=false "$programs/kubectl" --kubeconfig="$dir/admin.kubeconfig" --cache-dir="$dir/cache" "$@"
}

# --- who is who --------------------------------------------------------------------------------------------------

# make_certificates SUBJECT_ALTERNATIVES: an authority, a server's, an administrator's, and a key for service accounts.
make_certificates() (
  cd "$dir/pki"
  printf '[req]\ndistinguished_name = name\n[name]\n' >openssl.cnf
  # sign NAME SUBJECT EXTENSION [OPTION...]
  sign() {
    openssl req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
      -keyout "$1.key" -out "$1.crt" -subj "$2" -addext "$3" "${@:4}" 2>>openssl.log
  }
  sign ca "/CN=${script%.sh}-ca" basicConstraints=critical,CA:TRUE
  sign server /CN=kube-apiserver "subjectAltName=$1" -addext extendedKeyUsage=serverAuth -CA ca.crt -CAkey ca.key
  sign client /O=system:masters/CN=certificate-admin extendedKeyUsage=clientAuth -CA ca.crt -CAkey ca.key
  openssl ecparam -name prime256v1 -genkey -noout -out accounts.key
  openssl ec -in accounts.key -pubout -out accounts.pub 2>>openssl.log
)

# make_tokens "NAME USER [GROUP]"...: one for each user, in pki/NAME.token.
make_tokens() {
  local row name user group
  for row; do
    read -r name user group <<<"$row"
    openssl rand -hex 16 >"$dir/pki/$name.token"
    echo "$(<"$dir/pki/$name.token"),$user,$user${group:+,\"$group\"}"
  done >"$dir/pki/tokens.csv"
}

# token_kubeconfig FILE SERVER NAME: for the user of that name.
token_kubeconfig() {
  kubeconfig "$1" "$2" "certificate-authority: $dir/pki/ca.crt" "token: $(<"$dir/pki/$3.token")"
}

# kubeconfig FILE SERVER AUTHORITY CREDENTIAL...
kubeconfig() {
  local name=${script%.sh}
  cat >"$1" <<EOF
apiVersion: v1
kind: Config
current-context: ${name/_/-}
contexts:
- name: ${name/_/-}
  context:
    cluster: ${name/_/-}
    user: user
clusters:
- name: ${name/_/-}
  cluster:
    server: $2
    $3
users:
- name: user
  user:
$(printf '    %s\n' "${@:4}")
EOF
}
