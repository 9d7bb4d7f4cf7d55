#!/bin/sh
# Gives a client of a running `splitft run` a share of one core, as Kubernetes does for a container with limits.cpu:
# examples/throttle.sh CLIENT SHARE, as root. It moves the client's workers into a control group of their own; with
# `all` instead of a share out of it again.
set -eu
fail() { echo "$0: $1" >&2; exit "${2:-1}"; }
[ $# -eq 2 ] || fail "expected CLIENT SHARE, as in: $0 listings 0.1" 2
case $2 in
  all) quota= && now="no limit of its own" ;;
  0.[0-9] | 0.[0-9][0-9] | 1) quota=$(awk -v share="$2" 'BEGIN { printf "%d", share * 100000 }') && now="$2 of a core" ;;
  *) fail "the share is \"$2\"; expected 0.01 to 1, or all" 2 ;;
esac
[ "$quota" != 0 ] || fail "the share is \"$2\"; expected 0.01 to 1, or all" 2
[ "$(id -u)" = 0 ] || fail "only root may make control groups"

pids=
for process in /proc/[0-9]*; do
  case $(readlink "$process/exe" || true) in */splitft-worker) ;; *) continue ;; esac
  case $( (tr '\0' ' ' < "$process/cmdline") 2> /dev/null || true) in
    *\ --client\ "$1"\ *) pids="$pids ${process#/proc/}" ;;
  esac
done
[ -n "$pids" ] || fail "no worker of a client \"$1\" runs"

root=/sys/fs/cgroup
[ -e $root/cgroup.controllers ] || root=/sys/fs/cgroup/cpu # version 1
group=$root/splitft-throttle-$1
if [ -n "$quota" ]; then
  mkdir -p "$group"
  if [ -e $root/cgroup.controllers ]; then
    echo +cpu > $root/cgroup.subtree_control
    echo "$quota 100000" > "$group/cpu.max"
  else
    echo "$quota" > "$group/cpu.cfs_quota_us"
  fi
fi
target=$root
[ -z "$quota" ] || target=$group
for pid in $pids; do
  echo "$pid" > "$target/cgroup.procs"
  echo "client $1 (process $pid) has $now"
done
# Groups that nobody is in any more: this one's after `all`, and those of jobs that have ended.
rmdir "$root"/splitft-throttle-* 2> /dev/null || true
