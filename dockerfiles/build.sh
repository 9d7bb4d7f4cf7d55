#!/usr/bin/env bash
# Runs in the images' builder stage: leaves in /image/PROGRAM what the image of each program holds above Debian.
# Where the context has a folder prebuilt/ with these, as tests/support/kube/images.sh makes it, nothing is compiled.
#
#   dockerfiles/build.sh          all programs, for CPUs
#   dockerfiles/build.sh cuda     the aggregator, for NVIDIA GPUs
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -d prebuilt ]]; then
  mv prebuilt /image
  exit
fi
mkdir /image
if [[ ${1:-} == cuda ]]; then
  scripts/setup.sh build cuda
  cmake --preset cuda
  ninja -C build-cuda splitft-aggregator
  scripts/image_files.sh splitft-aggregator /image/splitft-aggregator build-cuda
  exit
fi
scripts/setup.sh build
make build
for program in splitft-operator splitft-aggregator splitft-worker; do
  scripts/image_files.sh "$program" "/image/$program"
done
