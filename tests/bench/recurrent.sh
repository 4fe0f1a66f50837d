#!/usr/bin/env bash
# Recurrences over 8 heads of 64 x 64, one sequence: in chunks, one step after the other as decoding does it, and walked in
# one kernel; with gradients; the states that gradients read. Nothing else should run while it times.
# usage: recurrent.sh SINTER [RECURRENCE...] [-- OPTIONS of bench]; prints the table of docs/model.md
set -euo pipefail
sinter=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do names+=("$1") && shift; done
[ ${#names[@]} -gt 0 ] || names=(linear retnet gla rwkv6 deltanet gated_deltanet rwkv7)
[ $# -eq 0 ] || shift

ms() { # GRAPH OPTIONS...
  "$sinter" bench "$here/recurrent.c" --dim B=1 --graph "$@" --whole --repeat 5 --json "${options[@]}" 2>/dev/null |
    sed -n 's/.*"median_ms": *\([0-9.]*\).*/\1/p'
}
states() { # GRAPH T: MB
  "$sinter" explain "$here/recurrent.c" --dim B=1 --graph "$1" --dim T="$2" --json 2>/dev/null |
    grep -o '"bytes": [0-9]*, "first": [0-9]*, "last": [0-9]*, "type": "f32\[B, 8, floordiv([^]]*, 64, 64\]"' |
    awk '{ gsub(",", "", $2); if ($2 > most) most = $2 } END { printf "%.1f", most / 1e6 }'
}

options=("$@")
echo "| recurrence | 8192 steps, ms | one by one | walked | with gradients, 2048 steps, ms | walked | one step, µs | states kept, MB, 2048, 8192 steps |"
echo "|---|--:|--:|--:|--:|--:|--:|--:|"
for n in "${names[@]}"; do
  chunks=$(ms "$n" --dim T=8192) walk=$(ms "$n" --dim T=8192 --scan sequential)
  back=$(ms "${n}_gradients" --dim T=2048) back_walk=$(ms "${n}_gradients" --dim T=2048 --scan sequential)
  step=$(ms "${n}_step")
  awk -v n="$n" -v c="$chunks" -v w="$walk" -v b="$back" -v bw="$back_walk" -v s="$step" \
    -v x="$(states "${n}_gradients" 2048)" -v y="$(states "${n}_gradients" 8192)" 'BEGIN {
      printf "| %s | %.1f | %.1f x | %.1f x | %.1f | %.1f x | %.1f | %s, %s |\n",
             n, c, 8192 * s / c, w / c, b, bw / b, s * 1e3, x, y }'
done
