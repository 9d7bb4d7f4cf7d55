# Sourced by scripts/bundle.sh and scripts/image_files.sh: what programs need beside them, and its licences.
# shellcheck shell=bash

# needed_libraries PROGRAM: the shared libraries that it loads, but those of glibc.
needed_libraries() {
  ldd "$1" | awk '$2 == "=>" { print $3 }' | grep -v -e '/lib\(c\|m\|dl\|rt\|pthread\|resolv\|util\)\.so' -e '/ld-linux'
}

# debian_licences TARGET LIBRARY...: Debian's file of each library's package. A library not of Debian is passed over.
debian_licences() {
  local target=$1 list package
  shift
  # Not by dpkg -S, which takes half a minute for these.
  for list in $(printf -- '-linux-gnu/%s\n' "${@##*/}" | grep -lFf - /var/lib/dpkg/info/*.list); do
    package=$(basename "${list%.list}")
    package=${package%:*}
    [[ $package == *-dev ]] || cp "/usr/share/doc/$package/copyright" "$target/$package.txt"
  done
}

# crate_licences TARGET: those that come with each Rust crate that is compiled in.
crate_licences() {
  local target=$1 crate
  for crate in $(awk -F'"' '/^name = / { name = $2 } /^version = / { print name "-" $2 }' libs/text/tokenizer/Cargo.lock); do
    find "${CARGO_HOME:-${SPLITFT_PREFIX:-$HOME/.cache/splitft}/cargo-home}/registry/src" -mindepth 3 -maxdepth 3 \
      -path "*/$crate/*" -iname 'licen[cs]e*' -exec cat {} + >"$target/crate-$crate.txt"
    [[ -s $target/crate-$crate.txt ]] || rm "$target/crate-$crate.txt" # its manifest alone names the licence
  done
}

# wheel_licences TARGET LIBRARY...: those of the wheels that these libraries came in.
wheel_licences() {
  local target=$1 library folder info
  shift
  for folder in $(printf '%s\n' "$@" | xargs realpath | sed -n 's,/\(torch\|nvidia\)/.*,,p' | sort -u); do
    for info in "$folder"/*.dist-info; do
      [[ -d $info/licenses ]] || continue
      for library; do
        grep -q "/${library##*/}," "$info/RECORD" || continue
        find "$info/licenses" -type f -exec cat {} + >"$target/wheel-$(basename "${info%.dist-info}").txt"
        break
      done
    done
  done
}
