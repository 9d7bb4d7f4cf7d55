#!/usr/bin/env bash
# Fuzzes every target of tests/fuzz for SECONDS each: scripts/fuzz.sh SECONDS [TARGET...]
# Inputs that a run found interesting stay in build-fuzz/corpus and seed the next; inputs that broke something land in
# build-fuzz/broken, and build-fuzz/bin/TARGET FILE runs one again.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?how many seconds for each target}
shift
cmake --preset fuzz >/dev/null
ninja -C build-fuzz --quiet fuzz
export seconds broken=build-fuzz/broken
mkdir -p "$broken"

# fuzz_one TARGET: prints one line; the whole log where it failed.
fuzz_one() {
  local target=$1 corpus=build-fuzz/corpus/$1 log=build-fuzz/$1.log
  local seeds=tests/fuzz/corpus/$target
  mkdir -p "$corpus"
  [[ -d $seeds ]] || seeds=
  if build-fuzz/bin/"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$broken/$target-" "$corpus" $seeds >"$log" 2>&1; then
    echo "fuzz: $target: $(sed -n 's/stat::number_of_executed_units: //p' "$log") inputs in $seconds s, none broke it"
  else
    tail -60 "$log"
    echo "fuzz: $target FAILED; the input is in $broken"
    return 1
  fi
}
export -f fuzz_one

targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(cat build-fuzz/fuzz_targets.txt)
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz_one {}'
