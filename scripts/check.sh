#!/usr/bin/env bash
# Everything that make test leaves out: format, links, linter, sanitizers, the CUDA build, fuzzing in short.
# Runs all of it even when a part fails; exits with 1 then and names the parts. With arguments, only those parts:
#   scripts/check.sh [format links lint asan asan_core tsan cuda fuzz]
set -uo pipefail
cd "$(dirname "$0")/.."
export SPLITFT_PREFIX=${SPLITFT_PREFIX:-$HOME/.cache/splitft}
jobs=$(nproc)

sources() { git ls-files --cached --others --exclude-standard -- '*.h' '*.cc' '*.cu' '*.cuh'; }

# build PRESET TARGET...
build() {
  local preset=$1 folder=build-$1
  shift
  [[ $preset != release ]] || folder=build
  local said
  said=$(cmake --preset "$preset" 2>&1) || { tail -30 <<<"$said"; return 1; }
  ninja -C "$folder" --quiet "$@"
}

# run_tests FOLDER LABELS
run_tests() { ctest --test-dir "$1" --label-regex "$2" --output-on-failure --parallel "$jobs" --no-tests=error; }

check_format() { sources | xargs -r clang-format-14 --dry-run -Werror; }
check_links() { scripts/check_links.py; }
# The build's record of what includes what is the linter's, too.
check_lint() { build release all && scripts/lint.py build; }
check_asan() { build asan all && run_tests build-asan 'unit|sim|golden'; }
# The same for what needs no LibTorch.
check_asan_core() {
  local tests=(unit_base unit_telemetry unit_spec unit_text unit_protocol unit_transport sim_protocol)
  cmake --preset asan -B build-asan-core -DSPLITFT_TORCH=OFF >/dev/null || return 1
  ninja -C build-asan-core --quiet "${tests[@]}" &&
    ctest --test-dir build-asan-core --tests-regex '^unit[.](base|telemetry|spec|text|protocol|transport)$|^sim[.]protocol$' \
      --output-on-failure --parallel "$jobs" --no-tests=error
}
check_tsan() { build tsan all && run_tests build-tsan 'unit|sim'; }
check_cuda() { scripts/setup.sh cuda && build cuda programs; }
check_fuzz() { scripts/fuzz.sh 10; }

main() {
  local parts=("$@") failed=() part start
  # Not yet among them, for they were not yet seen green on the whole tree: lint, asan, cuda. They run when named.
  [[ $# -gt 0 ]] || parts=(format links asan_core tsan fuzz)
  scripts/setup.sh build test check || exit 1
  for part in "${parts[@]}"; do
    declare -F "check_$part" >/dev/null || { echo "check: unknown part \"$part\"" >&2; exit 1; }
    echo "check: $part"
    start=$SECONDS
    if "check_$part"; then
      echo "check: $part passed in $((SECONDS - start)) s"
    else
      echo "check: $part FAILED after $((SECONDS - start)) s"
      failed+=("$part")
    fi
  done
  [[ ${#failed[@]} == 0 ]] || { echo "check: failed: ${failed[*]}"; exit 1; }
  echo "check: all passed: ${parts[*]}"
}

main "$@"
