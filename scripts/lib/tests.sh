# shellcheck shell=bash
# Running tests of a preset and adding up what they said.

tests_passed=0 tests_failed=0

# tests_run PRESET LABEL [PATTERN]: runs the tests of a label whose names fit; their numbers go into the sum.
tests_run() {
  local preset=$1 label=$2 pattern=${3:-.} root report counts passed failed
  root=$(build_root)
  report=$root/build/$preset/results-$label.xml
  rm -f "$report"
  say "testing: $label ($preset)"
  # The sum decides, so that every label is run whatever the others came to. It counts the cases inside each program's
  # output, so that output must not be cut off.
  (cd "$root" && ctest --preset "$preset" -L "^$label\$" -R "$pattern" --parallel "${BERTH_JOBS:-$(nproc)}" \
    --no-tests=error --test-output-size-passed 4194304 --output-junit "$report" >&2) || true
  if ! counts=$("$root/scripts/lib/count-results" "$report"); then
    counts='0 1'
  fi
  read -r passed failed <<<"$counts"
  ((passed + failed > 0)) || failed=1
  tests_passed=$((tests_passed + passed))
  tests_failed=$((tests_failed + failed))
  say "$label ($preset): $passed passed, $failed failed"
}

# tests_check NAME COMMAND...: a command that passes or fails as one test.
tests_check() {
  local name=$1
  shift
  say "checking: $name"
  if "$@" >&2; then
    tests_passed=$((tests_passed + 1))
  else
    tests_failed=$((tests_failed + 1))
    say "FAILED: $name"
  fi
}

# tests_finish: the closing line, and the exit code.
tests_finish() {
  printf '%d passed, %d failed\n' "$tests_passed" "$tests_failed"
  ((tests_failed == 0 && tests_passed > 0))
}
