#!/usr/bin/env bash
# How good the cost model's choice of tiles is: every kernel of the model zoo that has a choice is timed with each
# candidate, in turns with the usual tile; the chosen one's time by that of the best.
# usage: tests/bench/tuned.sh SINTER [SECONDS]   of each model (5); nothing else should run meanwhile
set -euo pipefail
sinter=$1
seconds=${2:-5}
tree=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

tune() { # NAME ARGUMENTS...
  local name=$1
  shift
  "$sinter" tune "$@" --tune-seconds "$seconds" --json > "$out/json" 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
  grep 'other bits' "$out/log" >&2 || true
  sed -n 's/^ *{"name": "\([^"]*\)", "kind": "\([^"]*\)", "us": \([^,]*\), "model": \([0-9]*\), "best": \([0-9]*\), "model_by_best": \([^,]*\),.*/\2 \3 \4 \5 \6 \1/p' \
    "$out/json" | sed "s|^|$name |" >> "$out/rows"
}

tune mlp "$tree/models/mlp.sn" --dim B=256
tune gpt "$tree/models/gpt.c" --graph train --dim B=8 --set layers=1
tune llama "$tree/models/llama.c" --graph train --dim B=4 --set layers=1
tune gpt.768 "$tree/models/gpt.c" --graph train --dim B=1 --dim T=32 --set layers=1 --set width=768 --set heads=12 --set context=128
tune llama.512 "$tree/models/llama.c" --graph train --dim B=2 --set layers=1 --set width=512 --set heads=8 --set context=128
tune llama.eval "$tree/models/llama.c" --graph eval --dim B=4 --set layers=1

awk '{ printf "%-11s %-9s %9.1f us  model %d, best %d, time by the best %.2f  %s\n", $1, $2, $3, $4, $5, $6, $7
       n++; good += $6 <= 1.1; all += $3; lost += $3 * (1 - 1 / $6)
       if ($3 >= 20) { m++; fine += $6 <= 1.1 } }
     END { printf "\n%d kernels: %d within 10 %% of the best (%.0f %%); of the %d that take 20 us or more, %d (%.0f %%)\n", n, good, 100 * good / n, m, fine, 100 * fine / m
           printf "time lost to other choices: %.1f %%\n", 100 * lost / all }' "$out/rows"
