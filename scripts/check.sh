#!/usr/bin/env bash
# Everything that make test leaves out: format, links, linter, sanitizers, the CUDA build, fuzzing in short.
# Runs all of it even when a part fails; exits with 1 then and names the parts. With arguments, only those parts:
#   scripts/check.sh [format links lint asan tsan cuda fuzz]
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

# run_tests FOLDER LABELS [CTEST OPTION...]
run_tests() {
  local folder=$1 labels=$2
  shift 2
  ctest --test-dir "$folder" --label-regex "$labels" --output-on-failure --parallel "$jobs" --no-tests=error "$@"
}

check_format() { sources | xargs -r clang-format-14 --dry-run -Werror; }
check_links() { scripts/check_links.py; }
# The build's record of what includes what is the linter's, too.
check_lint() { build release all && scripts/lint.py build; }
# Without golden.text: megabytes of text through Rust, which is not instrumented.
check_asan() { build asan all && run_tests build-asan 'unit|sim|golden' --exclude-regex '^golden[.]text'; }
check_tsan() { build tsan all && run_tests build-tsan 'unit|sim'; }
# Where there is no GPU its tests skip, and say so.
check_cuda() { scripts/setup.sh cuda && build cuda programs gpu_model gpu_train && run_tests build-cuda gpu; }
check_fuzz() { scripts/fuzz.sh 10; }

main() {
  local parts=("$@") failed=() part start
  [[ $# -gt 0 ]] || parts=(format links lint asan tsan cuda fuzz)
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
