#!/usr/bin/env bash
# Runs the examples of the documentation.   usage: check.sh SINTER TREE [PAGE...]
#
# A page is read from top to bottom. All its examples run in one empty folder; files stay from one to the next. The
# command is first in PATH, SINTER_TREE is the source tree. Fences are told apart by their first line:
#   ```sh run [CODE]    runs (bash -e); the exit code must be CODE (0)
#   ```text is          what the block before printed, both streams; a line `...` stands for any lines
#   ```c model FILE     a model file: written to FILE, and `sinter dump FILE` accepts it
#   ```c file FILE      written to FILE, as it is (a model with mistakes)
#   ```c from FILE      lines of a file of the tree; a line `...` stands for any lines
#   ```c body           statements of a graph function; see `prologue`
#   ```sn file FILE     a graph text: written to FILE, and `sinter opt` accepts it
# Other fences are not touched. Without a code generator only models and texts are checked, without the runtime object
# (builds with sanitizers) blocks that link it are left out, and without a Vulkan device those with `--target vulkan`.
. "$(dirname "$0")/../cli/common.sh"
shift 2
export SINTER_TREE=$TREE PATH="$(dirname "$SINTER"):$PATH" LC_ALL=C
pages=("$@")
[ $# -gt 0 ] || pages=("$TREE/README.md" "$TREE"/docs/*.md)
cpu=0
[ "$(target)" = cpu ] && cpu=1
object=0
[ -e "$(dirname "$SINTER")/sinter-rt.o" ] && object=1
vulkan=0
"$SINTER" doctor | finds '^target vulkan *device' && vulkan=1
checked=0

# Splits PAGE into $blocks/NNN (text) and $blocks/NNN.head (line, words of the fence).
split_page() {
  awk -v dir="$blocks" '
    /^```/ && !open { open = 1; n++; name = sprintf("%s/%03d", dir, n)
                      print NR, substr($0, 4) > (name ".head"); printf "" > name; next }
    /^```/          { open = 0; close(name); next }
    open            { print > name }' "$1"
}

# same EXPECTED FOUND: equal, where lines `...` of EXPECTED stand for any number of lines
same() {
  awk 'FNR == NR { want[++w] = $0; next } { got[++g] = $0 }
    function matches(i, j) {
      for (; i <= w && want[i] !~ /^ *[.][.][.]$/; i++)
        if (j > g || want[i] != got[j++]) return 0
      if (i > w) return j > g
      for (; j <= g + 1; j++) if (matches(i + 1, j)) return 1
      return 0
    }
    END { exit !matches(1, 1) }' "$1" "$2"
}

# Can this build do what the block asks for?
possible() {
  [ $cpu = 1 ] && { [ $object = 1 ] || ! grep -q -e '--emit obj' "$1"; } && { [ $vulkan = 1 ] || ! on_device "$1"; }
}
# Code for a device that is described needs none.
on_device() { grep -e '--target vulkan' "$1" | finds -v -e '--isa'; }

# What a slow machine says of long work: "compile 12/48 kernels  6.1 /s  eta 0:05", "compile: 48 kernels in 0:08".
progress='^[a-z ]+ [0-9]+(/[0-9]+)? [a-z]+  [0-9.]+( [kMGT])? /s(  eta [0-9:]+)?$|^[a-z ]+: [0-9]+ [a-z]+ in [0-9:]+$'

run_block() { # FILE WHERE CODE
  local found=0
  rm -f "$scratch/printed"
  possible "$1" || return 0
  (cd "$scratch/at" && bash -e "$1") >"$scratch/printed" 2>"$scratch/stderr" </dev/null || found=$?
  grep -v -E "$progress" "$scratch/stderr" >>"$scratch/printed" || true
  [ "$found" = "$3" ] || die "$2: exit code $found instead of $3
$(tail -n 20 "$scratch/printed")"
}

accept() { # WHERE COMMAND...
  local where=$1
  shift
  (cd "$scratch/at" && "$@") >"$scratch/printed" 2>&1 </dev/null || die "$where: $*
$(tail -n 20 "$scratch/printed")"
}

# What stands around a `c body`. Every body is a graph of its own; its parameters have a scope of their own.
prologue='#include "sinter.h"
SN_SETTINGS(opts, (int, width, 64, "features"), (int, heads, 4, "heads"));
'
body_head='(sn_scope top, const opts *c) {
  sn_scope m = sn_in(top, NAME);
  sn_dim B = sn_sym(top, "B"), T = sn_sym(top, "T", .max = 128);
  sn_t tokens = sn_input(top, "tokens", SN_I32, (B, T)), x = sn_input(top, "x", SN_REAL, (B, T, c->width));
  (void)m, (void)tokens, (void)x;
'

check_bodies() { # PAGE: all of them as one model
  local graphs="" head line words b name
  printf '%s' "$prologue" >"$scratch/bodies.c"
  for head in "$blocks"/*.head; do
    [ -e "$head" ] || continue
    read -r line words <"$head"
    [ "$words" = "c body" ] || continue
    b=${head%.head}
    name=line_$line
    printf 'static void %s%s#line %d "%s"\n' "$name" "${body_head/NAME/\"$name\"}" $((line + 1)) "$(basename "$1")"
    cat "$b"
    echo '}'
    graphs="$graphs, $name"
    checked=$((checked + 1))
  done >>"$scratch/bodies.c"
  [ -n "$graphs" ] || return 0
  echo "SN_MODEL(bodies, opts${graphs});" >>"$scratch/bodies.c"
  accept "$1" "$SINTER" dump "$scratch/bodies.c"
  [ $cpu = 0 ] || accept "$1" "$SINTER" build "$scratch/bodies.c" --emit plan -o bodies.plan
}

check_block() { # PAGE LINE FILE WORDS...
  local where
  where="$(basename "$1"):$2"
  case "$4 ${5:-}" in
    "sh run")
      run_block "$3" "$where" "${6:-0}"
      ;;
    "text is")
      [ -e "$scratch/printed" ] || return 0
      same "$3" "$scratch/printed" || die "$where: the block before printed
$(cat "$scratch/printed")"
      ;;
    "c model")
      cp "$3" "$scratch/at/$6"
      accept "$where" "$SINTER" dump "$6"
      ;;
    "c from")
      { echo ...; cat "$3"; echo ...; } >"$scratch/part"
      same "$scratch/part" "$TREE/$6" || die "$where: $6 has other lines"
      ;;
    "c file") cp "$3" "$scratch/at/$6" ;;
    "sn file")
      cp "$3" "$scratch/at/$6"
      accept "$where" "$SINTER" opt "$6" --pass none
      ;;
    *) return 0 ;;
  esac
  checked=$((checked + 1))
}

for page in "${pages[@]}"; do
  blocks=$scratch/blocks
  rm -rf "$blocks" "$scratch/at"
  mkdir -p "$blocks" "$scratch/at"
  split_page "$page"
  check_bodies "$page"
  for head in "$blocks"/*.head; do
    [ -e "$head" ] || continue
    read -r line words <"$head"
    # shellcheck disable=SC2086
    check_block "$page" "$line" "${head%.head}" $words
  done
done
[ $checked -gt 0 ] || die "no examples found"
echo "$checked examples"
