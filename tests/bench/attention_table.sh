#!/usr/bin/env bash
# The variants of models/attention as a table: lines, kernels, memory, blocks; with --time also against the unfused graph.
# usage: tests/bench/attention_table.sh SINTER [--time] [STEM...]      nothing else should run while it times
#
# Lines are those of the variant: neither comments, blank lines, settings nor the last line. Kernels and temporary memory are
# those that `explain` tells of one sequence of 16384, of the values and of values with all gradients; a matrix of scores
# would take 1.07 GB by head. Blocks: what `explain` says of the mask there, in percent. Times are of T = 1024.
set -euo pipefail
sinter=$1
shift
timed=0
[ "${1:-}" = --time ] && timed=1 && shift
tree=$(cd "$(dirname "$0")/../.." && pwd)
stems=("$@")
[ $# -gt 0 ] || stems=($(cd "$tree/models/attention" && ls ./*.c | sed 's|./||; s|[.]c$||'))
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

lines() { # FILE: from what follows the settings to the last line
  awk '/^SN_SETTINGS/ { on = 1; skip = 1 }
       /^ATTENTION_(MODEL|COMPOSITION)/ { on = 0 }
       { code = $0; gsub(/\/\*.*\*\//, "", code)
         if (code ~ /\/\*/) { comment = 1; sub(/\/\*.*/, "", code) }
         else if (comment) { if (code ~ /\*\//) { comment = 0; sub(/.*\*\//, "", code) } else code = "" }
         if (on && !skip && code ~ /[^ ]/) n++
         if (skip && /;[ ]*$/) skip = 0 }
       END { print n }' "$1"
}

explain() { # STEM GRAPH
  "$sinter" explain "$tree/models/attention/$1.c" --graph "$2" --dim B=1 --dim T=16384 2>/dev/null
}

kernels() { sed -n 's/^ *\([0-9]*\) kernels .* in all; .*/\1/p' "$1"; }
memory() { sed -n 's/^[0-9]* temporary buffers*, .* in all, \(.*\) at once$/\1/p' "$1" | grep . || echo 0; }
blocks() { # of the first mask: empty / full / partial, and how that is known
  awk '/ queries by .* keys: / { how = /at run time/ ? "at run time" : /bounds of loops/ ? "bounds of loops" : "proven"
         if (!match($0, /[0-9.]+% empty.*/)) { print how; exit }
         rest = substr($0, RSTART); gsub(/%/, "", rest); n = split(rest, w, /[ ,]+/); empty = full = partial = 0
         for (i = 2; i <= n; i++) { if (w[i] == "empty") empty = w[i-1]; if (w[i] == "full") full = w[i-1]; if (w[i] == "partial") partial = w[i-1] }
         if (how != "at run time") printf "%s / %s / %s\n", empty, full, partial; else printf "%s / %s, the rest at run time\n", empty, full
         exit }' "$1" | grep . || echo -
}

ms() { # STEM FUSE
  "$sinter" bench "$tree/models/attention/$1.c" --graph gradients --dim B=1 --dim T=1024 --fuse "$2" --whole --json 2>/dev/null |
    sed -n 's/.*"median_ms": \([0-9.]*\).*/\1/p' | head -n 1
}

head="| variant | lines | kernels | with gradients | memory | with gradients | blocks |"
rule="|---|---|---|---|---|---|---|"
[ $timed = 0 ] || { head="$head unfused by fused |" rule="$rule---|"; }
echo "$head"
echo "$rule"
for stem in "${stems[@]}"; do
  explain "$stem" forward > "$out/f" || { echo "$stem: forward" >&2; exit 1; }
  explain "$stem" gradients > "$out/g" || { echo "$stem: gradients" >&2; exit 1; }
  row="| \`$stem\` | $(lines "$tree/models/attention/$stem.c") | $(kernels "$out/f") | $(kernels "$out/g") | $(memory "$out/f") | $(memory "$out/g") | $(blocks "$out/g") |"
  [ $timed = 0 ] || row="$row $(awk -v a="$(ms "$stem" none)" -v b="$(ms "$stem" all)" 'BEGIN { if (a > 0 && b > 0) printf "%.1f", a / b; else printf "-" }') |"
  echo "$row"
done
