#!/bin/sh
# Starts the program of the same name with the LibTorch of this machine: the folder SPLITFT_TORCH names (it has
# lib/libtorch_cpu.so), or else the torch 2.11 that ${SPLITFT_PYTHON:-python3} would import.
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$self")")

find='import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")'
torch=${SPLITFT_TORCH:-$("${SPLITFT_PYTHON:-python3}" -c "$find" 2>/dev/null)}
if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
  echo "$(basename "$0"): no LibTorch in \"$torch\". Install torch 2.11 (pip install torch==2.11.0), or name its folder in" \
    "SPLITFT_TORCH." >&2
  exit 69
fi
version=$torch/include/torch/headeronly/version.h
if [ -e "$version" ] && ! grep -q '^#define TORCH_VERSION_MINOR 11$' "$version"; then
  echo "$(basename "$0"): LibTorch in \"$torch\" is not version 2.11, which this program was built with." >&2
  exit 69
fi
export LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$root/libexec/$(basename "$0")" "$@"
