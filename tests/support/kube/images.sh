#!/usr/bin/env bash
# Images for tests, made here and pulled from nowhere: each a docker-archive for `cluster_level.sh load-image`. What has
# not changed is not made again. Needs root, and becomes it with sudo.
#
#   images.sh NAME...     makes the images that are missing or out of date; prints the path of each
#
#   pause                          localhost/pause:1, which every pod is built around
#   base                           debian:bookworm-slim, by debootstrap
#   operator, aggregator, worker   splitft/NAME:test, by dockerfiles/NAME.Dockerfile, of the programs in the build
#                                  folder (${SPLITFT_BUILD:-build}), taken as they are: nothing is compiled
#   aggregator-cuda                likewise, of those in build-cuda
#
# All lies in ${SPLITFT_PREFIX:-~/.cache/splitft}/images. The programs are those of `scripts/setup.sh cluster`.
set -euo pipefail

self=$(realpath "$0")
root=$(realpath "$(dirname "$self")/../../..")
prefix=${SPLITFT_PREFIX:-$HOME/.cache/splitft}
build=$(realpath -m "${SPLITFT_BUILD:-$root/build}")
cache=$prefix/images
base="bookworm 1" # what the base is made of: a higher number after a change of make_base

die() {
  echo "images.sh: $*" >&2
  exit 1
}

main() {
  local image inputs
  [[ $# -gt 0 ]] || { sed -n '2,/^set /s/^#//p' "$self" >&2; exit 2; }
  [[ $EUID == 0 ]] || exec sudo env SPLITFT_PREFIX="$prefix" SPLITFT_BUILD="$build" "$self" "$@"
  mkdir -p "$cache"
  exec 9>"$cache/.lock"
  flock 9
  rm -rf "$cache"/work.* # of a call that was killed
  for image; do
    case $image in
      pause) provide pause make_pause "$(declare -f make_pause)" ;;
      base) provide base make_base "$base" ;;
      operator | aggregator | worker | aggregator-cuda)
        provide base make_base "$base"
        inputs=$(inputs_of "$image")
        provide "$image" make_program "$inputs"
        ;;
      *) die "unknown image \"$image\"; known: pause base operator aggregator worker aggregator-cuda" ;;
    esac
    echo "$cache/$image.tar"
  done
}

# provide IMAGE MAKE INPUTS: calls MAKE IMAGE FILE, unless the image was made of the same inputs.
provide() {
  [[ ! -e $cache/$1.tar || $(cat "$cache/$1.inputs" 2>/dev/null) != "$3" ]] || return 0
  work=$(mktemp -d "$cache/work.XXXXXX")
  making=$1
  trap give_up EXIT
  rm -f "$cache/$1.tar"
  "$2" "$1" "$work/$1.tar" >"$cache/$1.log" 2>&1 </dev/null
  trap - EXIT
  mv "$work/$1.tar" "$cache/$1.tar"
  echo "$3" >"$cache/$1.inputs"
  rm -rf "$work"
}

give_up() {
  rm -rf "$work"
  echo "images.sh: cannot make $making; see $cache/$making.log, which ends with" >&2
  tail -n 5 "$cache/$making.log" >&2
}

# buildah with a storage of its own, which goes when the image is made.
run_buildah() {
  TMPDIR=$work buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@" 9>&-
}

# build_image TAG FILE ARGUMENT...: FILE is the docker-archive to write.
build_image() {
  run_buildah bud --isolation chroot --pull-never --layers=false --timestamp 0 --tag "$1" "${@:3}"
  run_buildah push "$1" "docker-archive:$2:$1"
}

make_pause() {
  mkdir "$work/context"
  printf '#include <unistd.h>\nint main(void) { for (;;) pause(); }\n' >"$work/pause.c"
  gcc -static -O2 -s -o "$work/context/pause" "$work/pause.c"
  printf 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n' >"$work/context/Dockerfile"
  build_image localhost/pause:1 "$2" "$work/context"
}

# As the official image of this name: a minimal Debian without what nobody reads in a container.
make_base() {
  local system=$work/system
  debootstrap --variant=minbase bookworm "$system" # from the mirror that debootstrap takes by itself
  find "$system"/usr/share/{doc,man,info,locale,groff,lintian,linda} "$system"/var/cache/apt "$system"/var/log \
    "$system"/var/lib/apt/lists ! -name copyright -type f -delete
  find "$system"/usr/share/{doc,man,info,locale} -mindepth 1 -type d -empty -delete
  rm -f "$system"/etc/{hostname,resolv.conf,machine-id} "$system/var/cache/ldconfig/aux-cache"
  : >"$system/etc/machine-id"
  mkdir "$work/context"
  tar -C "$system" --sort=name --mtime=@0 --numeric-owner -cf "$work/context/system.tar" .
  rm -rf "$system"
  printf 'FROM scratch\nADD system.tar /\nCMD ["bash"]\n' >"$work/context/Dockerfile"
  build_image docker.io/library/debian:bookworm-slim "$2" "$work/context"
}

# program_of NAME: the program that its image runs.
program_of() {
  local folder=$build
  [[ $1 != *-cuda ]] || folder=$root/build-cuda
  echo "$folder/bin/splitft-${1%-cuda}"
}

make_program() {
  local context=$work/context program
  program=$(program_of "$1")
  mkdir -p "$context/prebuilt"
  cp -r "$root/dockerfiles" "$context/"
  "$root/scripts/image_files.sh" "$(basename "$program")" "$context/prebuilt/$(basename "$program")" \
    "$(dirname "$(dirname "$program")")"
  run_buildah pull --quiet "docker-archive:$cache/base.tar"
  build_image "docker.io/splitft/$1:test" "$2" --file "$root/dockerfiles/$1.Dockerfile" "$context"
}

# inputs_of NAME: what its image is made of, in a few bytes.
inputs_of() {
  local program
  program=$(program_of "$1")
  [[ -x $program ]] || die "there is no $program: run make build"
  {
    cat "$cache/base.inputs" "$program" "$self" "$root"/dockerfiles/* "$root"/scripts/{image_files,bundle/contents}.sh
    ldd "$program" | awk '$2 == "=>" { print $3 }' | xargs stat -Lc '%n %s %Y'
  } | sha256sum
}

main "$@"
