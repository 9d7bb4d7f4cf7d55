#!/usr/bin/env bash
# Installs what splitft is built and tested with. Does nothing, quickly, where all of it is there already.
#
#   scripts/setup.sh [build] [test] [kube] [cluster] [bench-kube] [check] [cuda]      (default: build)
#
#   build    Debian packages; LibTorch
#   test     the Python reference (torch, transformers, peft) that golden tests compare with
#   kube     kube-apiserver, etcd and kubectl, which tests of the Kubernetes parts run: those of $KUBEBUILDER_ASSETS or
#            PATH where they are recent enough, else built with Go (the machine's, or one from PyPI)
#   cluster  with kube, what runs pods and makes images: containerd, buildah and friends from Debian; kubelet and the
#            rest of Kubernetes, CoreDNS, Helm and kubeconform as those of kube
#   bench-kube  the operator that ours is measured against: Kubeflow's training-operator, built with Go
#   check    clang's compiler, formatter and linter
#   cuda     the CUDA toolkit as wheels, unless the system has one
#
# Debian packages come through apt, with sudo where the user is not root. All else lands in the private prefix
# ${SPLITFT_PREFIX:-~/.cache/splitft}; nothing outside the two is changed. Every version is pinned in scripts/pins/.
# Who has LibTorch 2.11 elsewhere names it in CMAKE_PREFIX_PATH; it is not installed then.
set -euo pipefail

pins=$(cd "$(dirname "$0")/pins" && pwd)
prefix=${SPLITFT_PREFIX:-$HOME/.cache/splitft}
python=/usr/bin/python3 # Debian's own, whatever comes first in PATH: the pinned wheels are for its version.

say() { echo "setup: $*"; }
die() {
  echo "setup: $*" >&2
  exit 1
}

. "$pins/../setup/go_programs.sh"

main() {
  local components=("${@:-build}") component
  for component in "${components[@]}"; do
    [[ $component =~ ^(build|test|kube|cluster|bench-kube|check|cuda)$ ]] ||
      die "unknown component \"$component\"; known: build test kube cluster bench-kube check cuda"
  done
  install_packages "${components[@]}"
  mkdir -p "$prefix"
  exec 9>"$prefix/.lock"
  flock 9 # Two set-ups at once would fill the same folders.
  for component in "${components[@]}"; do
    case $component in
      build) has_own_torch || install_wheels torch.txt torch-2.11.0 "1.3 GB" ;;
      test) install_python pyref.txt pyref "6 GB" ;;
      kube) install_go_programs kube "at most 0.2 GB, 3.5 GB while building, 7 minutes on 2 cores" ;;
      cluster) install_go_programs cluster "0.7 GB, 5.5 GB while building, 9 minutes on 2 cores" ;;
      bench-kube) install_go_programs bench-kube "0.1 GB, 1.5 GB while building, 2 minutes on 2 cores" ;;
      cuda) has_cuda_toolkit || install_wheels cuda.txt cuda "3.2 GB" ;;
    esac
  done
  drop_go_caches
}

# install_packages COMPONENT...: those Debian packages of the components that are missing.
install_packages() {
  local wanted missing
  wanted=$(awk -v components=" $* " '!/^#/ && index(components, " " $1 " ") { print $2 }' "$pins/debian.txt")
  missing=$(comm -23 <(sort -u <<<"$wanted") <(installed_packages | sort -u) | xargs)
  [[ -n $missing ]] || return 0
  command -v apt-get >/dev/null || die "needs Debian 12's packages, and there is no apt-get here: $missing"
  . /etc/os-release
  [[ ${VERSION_CODENAME:-} == bookworm ]] || say "this is ${PRETTY_NAME:-an unknown system}; only Debian 12 is tested"
  say "about to install with apt: $missing"
  as_root apt-get update -qq
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $missing >/dev/null
  # Clusters of tests run a containerd of their own; nobody asked for one of the whole machine.
  [[ " $missing " != *" containerd "* || ! -d /run/systemd/system ]] ||
    as_root systemctl --quiet disable --now containerd
}

installed_packages() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p'; }

as_root() {
  if [[ $EUID == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root or sudo to run: $*"
  fi
}

has_own_torch() {
  local folder prefixes=${CMAKE_PREFIX_PATH:-}
  for folder in ${prefixes//[:;]/ }; do
    [[ -e $folder/lib/libtorch_cpu.so || -e $folder/torch/lib/libtorch_cpu.so ]] && return 0
  done
  return 1
}

has_cuda_toolkit() { command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; }

# A folder of the prefix counts as installed once it carries a copy of its pins, and it gets its name only when it is
# whole: an interrupted installation leaves NAME.partial, which the next one removes.
is_installed() { cmp -s "$pins/$1" "$prefix/$2/.pins"; }

begin_install() {
  say "about to install with pip into $prefix/$2 ($3): $(sed -n 's/ *--hash.*//p' "$pins/$1" | xargs)"
  rm -rf "${prefix:?}/$2.partial"
}

finish_install() {
  cp "$pins/$1" "$prefix/$2.partial/.pins"
  rm -rf "${prefix:?}/$2.old"
  [[ ! -e $prefix/$2 ]] || mv "$prefix/$2" "$prefix/$2.old"
  mv "$prefix/$2.partial" "$prefix/$2"
  rm -rf "${prefix:?}/$2.old"
}

# pip_install PYTHON ARGUMENT...: no dependency and no content that the pins do not name; nothing written but the target.
pip_install() {
  local python=$1
  shift
  mkdir -p "$prefix/tmp"
  TMPDIR=$prefix/tmp "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps \
    --only-binary :all: --require-hashes "$@"
  rm -rf "${prefix:?}/tmp"
}

# install_wheels PINS NAME SIZE: wheels unpacked side by side, for the sake of the libraries in them.
install_wheels() {
  is_installed "$1" "$2" && return
  begin_install "$@"
  local boot=$prefix/boot
  "$boot/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$boot"
  pip_install "$boot/bin/python" --target "$prefix/$2.partial" -r "$pins/$1"
  [[ $2 != cuda ]] || complete_cuda_toolkit "$prefix/$2.partial/nvidia/cu13"
  finish_install "$1" "$2"
}

# The names that a toolkit's own installer would give, and the wheels do not.
complete_cuda_toolkit() {
  ln -s lib "$1/lib64"
  ln -s libcudart.so.13 "$1/lib/libcudart.so"
}

# install_python PINS NAME SIZE: a Python environment of its own.
install_python() {
  is_installed "$1" "$2" && return
  begin_install "$@"
  local partial=$prefix/$2.partial
  "$python" -m venv "$partial"
  pip_install "$partial/bin/python" -r "$pins/$1"
  "$partial/bin/python" -m pip check >/dev/null
  grep -rlIF "$partial" "$partial/bin" "$partial/pyvenv.cfg" | xargs -r sed -i "s|$partial|$prefix/$2|g"
  finish_install "$1" "$2"
}

main "$@"
