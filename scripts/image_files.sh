#!/usr/bin/env bash
# Lays out what an image holds above Debian: one program and all it needs at run time, LibTorch's libraries included,
# with their licences.
#
#   scripts/image_files.sh PROGRAM TARGET [BUILD]      BUILD: the build folder (build) whose bin/PROGRAM is taken
#
# TARGET must not exist; it gets bin/PROGRAM, lib/ and share/licences/. The same inputs give the same files and times.
set -euo pipefail

program=$1 target=$(realpath -m "$2") build=$(realpath "${3:-$(dirname "$0")/../build}")
cd "$(dirname "$0")/.."
. scripts/bundle/contents.sh

[[ ! -e $target ]] || { echo "image_files.sh: $target exists already" >&2; exit 1; }
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cmake --install "$build" --component "$program" --prefix "$stage" --strip >/dev/null # which sets the RPATH ../lib
mkdir -p "$target"/{bin,lib,share/licences}
mv "$stage/libexec/$program" "$target/bin/"
needed_libraries "$build/bin/$program" | xargs -I{} cp -L --no-preserve=mode {} "$target/lib/"
strip --strip-unneeded "$target"/lib/*

cp LICENSE docs/licences.md "$target/share/licences/"
debian_licences "$target/share/licences" "$target"/lib/*
torch=$(needed_libraries "$build/bin/$program" | sed -n 's|/torch/lib/libtorch_cpu.so$||p')
if [[ -n $torch ]]; then
  crate_licences "$target/share/licences"
  wheel_licences "$target/share/licences" $(needed_libraries "$build/bin/$program")
fi
chmod -R u=rwX,go=rX "$target"
find "$target" -exec touch --no-dereference --date=@0 {} +
