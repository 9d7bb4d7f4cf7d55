#!/bin/sh
# Gives a client of a running `splitft run` a share of one core: examples/throttle.sh CLIENT SHARE. 1: all of it again.
# As root: it makes a control group of the client's own, as Kubernetes does for a container with limits.cpu.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 CLIENT SHARE (as in: $0 listings 0.1)" >&2; exit 2; }
pid=
for process in /proc/[0-9]*; do
  case $(tr '\0' ' ' < "$process/cmdline" 2> /dev/null || true) in
    *splitft-worker\ *--client\ "$1"\ *) pid=${process#/proc/} ;;
  esac
done
[ -n "$pid" ] || { echo "$0: no worker of a client \"$1\" runs" >&2; exit 1; }
quota=$(awk -v share="$2" 'BEGIN { if (share < 0.01 || share > 1) exit 1; printf "%d", share * 100000 }') ||
  { echo "$0: the share is \"$2\"; expected 0.01 to 1" >&2; exit 2; }
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then  # version 2
  group=/sys/fs/cgroup/splitft-$1
  mkdir -p "$group"
  echo +cpu > /sys/fs/cgroup/cgroup.subtree_control
  echo "$quota 100000" > "$group/cpu.max"
else
  group=/sys/fs/cgroup/cpu/splitft-$1
  mkdir -p "$group"
  echo "$quota" > "$group/cpu.cfs_quota_us"
fi
echo "$pid" > "$group/cgroup.procs"
echo "client $1 (process $pid) has $2 of a core"
