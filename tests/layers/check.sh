#!/usr/bin/env bash
# The rooms of docs/ARCHITECTURE.md: which folder may include which; heavy headers stay behind their fence; sizes of files.
# usage: tests/layers/check.sh [TREE]   prints every violation, exit 1 if there is one
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}"
bad=0
complain() { echo "$1"; bad=1; }

# room: folders it may include from, itself first
allowed() {
  local ir="ir/base ir/types ir/graph ir/kernel ir/plan ir/ops ir/ref"
  case "$1" in
    ir/base) echo "ir/base" ;;
    ir/types) echo "ir/types ir/base" ;;
    ir/graph | ir/kernel | ir/plan) echo "$1 ir/types ir/base" ;;
    ir/ops) echo "ir/ops ir/graph ir/kernel ir/plan ir/types ir/base" ;;
    ir/ref) echo "$ir" ;;
    frontend) echo "frontend ir/base ir/types ir/graph ir/ops" ;;
    passes | passes/*) echo "passes passes/graph passes/lower passes/kernel passes/plan $ir" ;;
    runtime | runtime/*) echo "runtime runtime/cpu runtime/vulkan runtime/io runtime/loop ir/base ir/types ir/plan" ;;
    backends/llvm) echo "backends/llvm backends ir/base ir/types ir/kernel ir/plan" ;;
    backends/spirv) echo "backends/spirv backends ir/base ir/types ir/kernel ir/plan" ;;
    backends/spirv/inspect) echo "backends/spirv/inspect backends/spirv ir/base" ;;
    backends/template) echo "backends/template backends ir/base ir/types ir/kernel ir/plan ir/ref" ;;
    backends/faults) echo "backends/faults backends $ir passes passes/lower passes/plan runtime runtime/io" ;;
    backends) echo "backends backends/llvm backends/spirv $ir passes passes/lower passes/kernel runtime runtime/io runtime/vulkan" ;;
    backends/conform) echo "backends/conform backends/faults backends $ir passes/kernel runtime runtime/cpu" ;;
    host) echo "host ir/base ir/types ir/plan runtime runtime/io" ;;
    host/compile) echo "host host/compile ir/base backends frontend runtime/io" ;;
    frontend/cli) echo "any" ;;
    models) echo "frontend backends runtime" ;;
    models/recipes) echo "models/recipes models frontend host ir/base runtime/io runtime/loop tests/oracles" ;;
    tests/oracles) echo "tests/oracles" ;;
    *) echo "any" ;;
  esac
}

check_includes() { # FILE
  local room rooms target
  room=$(dirname "$1")
  rooms=$(allowed "$room")
  [ "$rooms" = any ] && return
  while read -r target; do
    case " $rooms " in
      *" $(dirname "$target") "*) ;;
      *) complain "$1: $room may not include $target" ;;
    esac
  done < <(sed -n 's/^ *# *include "\([^"]*\/[^"]*\)".*/\1/p' "$1")
}

check_fences() { # FILE
  local room; room=$(dirname "$1")
  grep -q -E '# *include <llvm-c/' "$1" && [ "$room" != backends/llvm ] && complain "$1: LLVM headers belong in backends/llvm"
  grep -q -E '# *include <(vulkan/|volk)' "$1" && [ "$room" != runtime/vulkan ] && complain "$1: Vulkan headers belong in runtime/vulkan"
  grep -q -E '# *include <spirv-tools/' "$1" && [ "$room" != backends/spirv/inspect ] && complain "$1: SPIRV-Tools belong in backends/spirv/inspect"
  grep -q -E '# *include <omp.h>|# *pragma omp' "$1" && [ "$room" != runtime/cpu ] && complain "$1: OpenMP belongs in runtime/cpu"
  grep -q -E '# *include <(jansson|xxhash|pcre2|utf8proc|zstd)' "$1" && [ "$room" != runtime/io ] && complain "$1: file-format libraries belong in runtime/io"
  case "$1" in
    tests/oracles/test_* | tests/oracles/harness.h) ;;
    tests/oracles/*) grep -E '# *include <' "$1" | grep -q -v -E '<(assert|float|inttypes|limits|math|stdbool|stddef|stdint|stdio|stdlib|string)\.h>' && complain "$1: an oracle uses the C library alone" ;;
  esac
  case "$room" in
    runtime/standalone) ;;
    ir/base) ;; # sn_arena_alloc outside of sn_protect ends the process: stated in its contract
    ir/* | passes* | runtime* | backends* | host* | frontend)
      grep -n -E '[^a-z_.>](abort|exit|printf) ?\(' "$1" | grep -v -E 'sn_|/\*' | grep -q . && complain "$1: library code neither prints, exits nor aborts: $(grep -n -E '[^a-z_.>](abort|exit|printf) ?\(' "$1" | grep -v sn_ | head -n 1)" ;;
  esac
}

check_size() { # FILE
  local lines; lines=$(wc -l < "$1")
  [ "$lines" -gt 600 ] && complain "$1: $lines lines; 600 is the limit"
}

list() { if [ -e .git ]; then git ls-files "$@"; else find . -name '*.[ch]' | sed 's|^\./||'; fi; }
while read -r f; do
  case "$f" in tests/oracles/*) ;; tests/* | build*) continue ;; esac
  check_includes "$f"
  check_fences "$f"
  check_size "$f"
done < <(list '*.c' '*.h')

# Every header compiles alone.
llvm=$(ls -d /usr/lib/llvm-*/include 2>/dev/null | tail -n 1)
export llvm
alone() { printf '#include "%s"\n' "$1" | ${CC:-cc} -std=c17 -D_GNU_SOURCE -DSN_HAVE_LLVM=0 -I. ${llvm:+-I$llvm} -fsyntax-only -x c - 2>/dev/null || echo "$1: does not compile alone"; }
export -f alone
volk=$(ls /usr/include/volk.h /usr/include/volk/volk.h 2>/dev/null | head -n 1)
needs_vulkan='^runtime/vulkan/(api|inside)\.h'
failed=$(list 'ir/*.h' 'passes/*.h' 'runtime/*.h' 'frontend/*.h' 'backends/*.h' 'host/*.h' 'tests/oracles/*.h' | grep -v '^frontend/sinter.h' | { [ -n "$llvm" ] && cat || grep -v '^backends/llvm/'; } |
  { [ -n "$volk" ] && cat || grep -v -E "$needs_vulkan"; } |
  xargs -P "$(nproc)" -I{} bash -c 'alone {}')
[ -n "$failed" ] && { echo "$failed"; bad=1; }
exit $bad
