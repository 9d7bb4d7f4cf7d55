#!/usr/bin/env bash
# Makes build/splitft-VERSION-linux-x86_64.tar.gz of the programs in build/bin, with every shared library they need but
# glibc's and LibTorch's. It runs from any folder of a machine that has torch 2.11 (see scripts/bundle/launcher.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

limit_bytes=$((40 << 20))
version=$(sed -n 's/^project(splitft VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=splitft-$version-linux-x86_64
stage=build/bundle/$name

# The libraries of a program that travel: all but those of glibc, and of LibTorch and what it brings along.
libraries() {
  ldd "$1" | awk '$2 == "=>" { print $3 }' | grep -v -e '/torch/lib/' -e '/nvidia/' \
    -e '/lib\(c\|m\|dl\|rt\|pthread\|resolv\|util\)\.so' -e '/ld-linux'
}

# The licence texts of what travels: Debian's file of each library's package, and those that come with each Rust crate.
collect_licences() {
  local target=$stage/share/licences library package crate
  mkdir -p "$target"
  for library in "$stage"/lib/*; do
    package=$(dpkg -S "*/$(basename "$library")" 2>/dev/null | sed -n '1s/:.*//p')
    cp "/usr/share/doc/$package/copyright" "$target/$package.txt"
  done
  for crate in $(awk -F'"' '/^name = / { name = $2 } /^version = / { print name "-" $2 }' libs/text/tokenizer/Cargo.lock); do
    find "${CARGO_HOME:-${SPLITFT_PREFIX:-$HOME/.cache/splitft}/cargo-home}/registry/src" -mindepth 3 -maxdepth 3 \
      -path "*/$crate/*" -iname 'licen[cs]e*' -exec cat {} + >"$target/crate-$crate.txt"
    [[ -s $target/crate-$crate.txt ]] || rm "$target/crate-$crate.txt" # its manifest alone names the licence
  done
}

rm -rf build/bundle
cmake --install build --prefix "$stage" --strip >/dev/null
mkdir -p "$stage/bin" "$stage/lib"
for program in "$stage"/libexec/*; do
  [[ $program == */splitft* ]] || continue
  cp scripts/bundle/launcher.sh "$stage/bin/$(basename "$program")"
  libraries "build/bin/$(basename "$program")"
done | sort -u | xargs -I{} cp -L {} "$stage/lib/"
chmod 755 "$stage"/bin/*
strip --strip-unneeded "$stage"/lib/*
cp LICENSE docs/licences.md scripts/bundle/README.md "$stage/"
collect_licences

tarball=build/$name.tar.gz
tar -C build/bundle --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$tarball"
bytes=$(stat -c %s "$tarball")
((bytes <= limit_bytes)) || { echo "bundle: $tarball has $bytes bytes; at most $limit_bytes are allowed" >&2; exit 1; }
scripts/bundle/try.sh "$tarball"
echo "bundle: $tarball, $((bytes / 1048576)) MiB"
