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

# complain_all TEXT: every line of the input, with TEXT
complain_all() {
  local line
  while IFS= read -r line; do complain "$line: $1"; done
}

check_includes() { # FILES: rooms are asked for once
  local room target file
  local -A rooms=()
  while IFS=: read -r file target; do
    room=${file%/*}
    [ -n "${rooms[$room]:-}" ] || rooms[$room]=$(allowed "$room")
    [ "${rooms[$room]}" = any ] && continue
    case " ${rooms[$room]} " in
      *" ${target%/*} "*) ;;
      *) complain "$file: $room may not include $target" ;;
    esac
  done < <(grep -H -E '^ *# *include "[^"]*/[^"]*"' "$@" | sed 's/: *# *include "\([^"]*\)".*/:\1/')
}

# fence ROOM PATTERN WHAT FILES...: only files of ROOM have such a line
fence() { complain_all "$3 in $1" < <(grep -l -E "$2" "${@:4}" | grep -v "^$1/[^/]*$"); }

check_fences() { # FILES
  fence backends/llvm '# *include <llvm-c/' "LLVM headers belong" "$@"
  fence runtime/vulkan '# *include <(vulkan/|volk)' "Vulkan headers belong" "$@"
  fence backends/spirv/inspect '# *include <spirv-tools/' "SPIRV-Tools belong" "$@"
  fence runtime/cpu '# *include <omp.h>|# *pragma omp' "OpenMP belongs" "$@"
  fence runtime/io '# *include <(jansson|xxhash|pcre2|utf8proc|zstd)' "file-format libraries belong" "$@"
  complain_all "an oracle uses the C library alone" < <(grep -H -E '# *include <' "$@" | grep '^tests/oracles/' |
    grep -v -E '^tests/oracles/(test_|harness\.h)|<(assert|float|inttypes|limits|math|stdbool|stddef|stdint|stdio|stdlib|string)\.h>')
  # in ir/base sn_arena_alloc outside of sn_protect ends the process: stated in its contract
  complain_all "library code neither prints, exits nor aborts" < <(grep -n -E '[^a-z_.>](abort|exit|printf) ?\(' "$@" |
    grep -E '^(ir|passes|runtime|backends|host|frontend)[^:]*/' | grep -v -E '^(runtime/standalone|ir/base|frontend/cli[^:]*)/|^[^:]*:[^:]*:.*(sn_|/\*)')
}

check_sizes() { # FILES
  complain_all "600 lines are the limit" < <(wc -l "$@" | awk '$1 > 600 && $2 != "total" { print $2 ": " $1 " lines" }')
}

list() { if [ -e .git ]; then git ls-files "$@"; else find . -name '*.[ch]' | sed 's|^\./||'; fi; }
mapfile -t files < <(list '*.c' '*.h' | grep -v -E '^(tests/[^o]|tests/o[^r]|build)')
check_includes "${files[@]}"
check_fences "${files[@]}"
check_sizes "${files[@]}"

# Every header compiles alone.
llvm=$(ls -d /usr/lib/llvm-*/include 2>/dev/null | tail -n 1)
export llvm
syntax() { ${CC:-cc} -std=c17 -D_GNU_SOURCE -DSN_HAVE_LLVM=0 -I. ${llvm:+-I$llvm} -fsyntax-only -x c "$@" 2>/dev/null; }
alone() { # HEADERS: one after the other, by one call; where it fails each is asked
  local header
  syntax "$@" && return
  for header in "$@"; do syntax "$header" || echo "$header: does not compile alone"; done
}
export -f syntax alone
volk=$(ls /usr/include/volk.h /usr/include/volk/volk.h 2>/dev/null | head -n 1)
needs_vulkan='^runtime/vulkan/(api|inside)\.h'
failed=$(list 'ir/*.h' 'passes/*.h' 'runtime/*.h' 'frontend/*.h' 'backends/*.h' 'host/*.h' 'tests/oracles/*.h' | grep -v '^frontend/sinter.h' | { [ -n "$llvm" ] && cat || grep -v '^backends/llvm/'; } |
  { [ -n "$volk" ] && cat || grep -v -E "$needs_vulkan"; } |
  xargs -P "$(nproc)" -n 16 bash -c 'alone "$@"' -)
[ -n "$failed" ] && { echo "$failed"; bad=1; }
exit $bad
