# shellcheck shell=bash
# Building a preset.

build_root() { cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd; }

# build_preset PRESET TARGET...: configures and builds; without a target everything.
build_preset() {
  local preset=$1
  shift
  local root
  root=$(build_root)
  mkdir -p "$root/build"
  say "building ${*:-everything} ($preset)"
  (
    cd "$root" || exit
    cmake --preset "$preset" >"build/$preset.log" 2>&1 || { cat "build/$preset.log" >&2; exit 1; }
    cmake --build --preset "$preset" --parallel "${BERTH_JOBS:-$(nproc)}" ${1:+--target "$@"} >&2
  )
}
