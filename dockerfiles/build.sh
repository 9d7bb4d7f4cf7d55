#!/usr/bin/env bash
# Runs in the images' builder stage: leaves in /image/PROGRAM what the image of each program holds above Debian.
# Where the context has a folder prebuilt/ with these, as tests/support/kube/images.sh makes it, nothing is compiled.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -d prebuilt ]]; then
  mv prebuilt /image
  exit
fi
scripts/setup.sh build
make build
mkdir /image
for program in splitft-operator splitft-aggregator splitft-worker; do
  scripts/image_files.sh "$program" "/image/$program"
done
