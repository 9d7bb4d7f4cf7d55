#!/usr/bin/env bash
# Makes build/splitft-VERSION-linux-x86_64.tar.gz of the programs in build/bin that `splitft run` needs, with every
# shared library they need but glibc's and LibTorch's. It runs from any folder of a machine that has torch 2.11 (see
# scripts/bundle/launcher.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

limit_bytes=$((40 << 20))
version=$(sed -n 's/^project(splitft VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=splitft-$version-linux-x86_64
stage=build/bundle/$name

. scripts/bundle/contents.sh

rm -rf build/bundle
mkdir -p "$stage/bin" "$stage/lib"
for program in splitft splitft-aggregator splitft-worker; do
  cmake --install build --component "$program" --prefix "$stage" --strip >/dev/null
  cp scripts/bundle/launcher.sh "$stage/bin/$program"
  needed_libraries "build/bin/$program"
done | grep -v -e '/torch/lib/' -e '/nvidia/' | sort -u | xargs -I{} cp -L {} "$stage/lib/"
chmod 755 "$stage"/bin/*
strip --strip-unneeded "$stage"/lib/*
cp LICENSE docs/licences.md scripts/bundle/README.md "$stage/"
mkdir -p "$stage/share/licences"
debian_licences "$stage/share/licences" "$stage"/lib/*
crate_licences "$stage/share/licences"

tarball=build/$name.tar.gz
tar -C build/bundle --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$tarball"
bytes=$(stat -c %s "$tarball")
((bytes <= limit_bytes)) || { echo "bundle: $tarball has $bytes bytes; at most $limit_bytes are allowed" >&2; exit 1; }
scripts/bundle/try.sh "$tarball"
echo "bundle: $tarball, $((bytes / 1048576)) MiB"
