#!/usr/bin/env bash
# Unpacks a bundle elsewhere and runs it as a stranger would: from another folder, with a torch that is named, with one
# that Python finds, and without one. Usage: scripts/bundle/try.sh TARBALL
set -euo pipefail

tarball=$(readlink -f "$1")
torch=$(sed -n 's/^SPLITFT_TORCH_DIR:PATH=//p' "$(dirname "$tarball")/CMakeCache.txt")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
tar -C "$place" -xzf "$tarball"
mkdir "$place/elsewhere"
cd "$place/elsewhere"
ln -s ../*/bin/splitft splitft # a link into the bundle must do, too

fail() {
  echo "bundle: $*" >&2
  exit 1
}
env -i PATH=/usr/bin:/bin SPLITFT_TORCH="$torch" ./splitft version >named || fail "does not run with SPLITFT_TORCH"
printf '#!/bin/sh\nPYTHONPATH=%s exec /usr/bin/python3 "$@"\n' "$(dirname "$torch")" >python
chmod +x python
env -i PATH=/usr/bin:/bin SPLITFT_PYTHON=./python ./splitft version >found || fail "does not find Python's torch"
cmp -s named found || fail "says $(cat found) with Python's torch, $(cat named) with the same torch named"
if env -i PATH=/usr/bin:/bin SPLITFT_TORCH=/nowhere ./splitft version >/dev/null 2>error; then
  fail "runs without torch"
fi
grep -q 'pip install torch' error || fail "does not say what is missing: $(cat error)"
for program in ../*/libexec/*; do
  LD_LIBRARY_PATH=$torch/lib ldd "$program" | grep 'not found' && fail "$(basename "$program") misses libraries"
done
exit 0
