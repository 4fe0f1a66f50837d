#!/usr/bin/env bash
# Does training with bf16 products end where training in f32 does? Pairs of one seed: same initial values, same data.
#   usage: precision.sh SINTER TREE TEXT FOLDER [SINTER-OPTIONS...]      some minutes on two cores
# 4 layers x 128, 1000 steps, 3 seeds. Finished runs in FOLDER are kept. Exit 1 unless the means differ by at most 0.01.
set -euo pipefail
sinter=$1 tree=$2 text=$3 folder=$4
shift 4
mkdir -p "$folder"

once() { # PRECISION SEED OPTIONS...: validation loss at the end of the run
  local name=$1$2
  if [ ! -s "$folder/$name.json" ]; then
    "$sinter" train "$tree/models/gpt.c" --data "$text" --tokenizer char --set layers=4 --set heads=4 --set width=128 --steps 1000 \
      --eval-every 1000 --eval-batches all --precision "$1" --seed "$2" "${@:3}" --out "$folder/$name" --force --json \
      >"$folder/$name.lines" 2>"$folder/$name.log"
    tail -n 1 "$folder/$name.lines" >"$folder/$name.json"
  fi
  grep -o '"val_loss": [0-9.]*' "$folder/$name.json" | cut -d' ' -f2
}
for seed in 1 2 3; do
  echo "seed $seed: f32 $(once f32 "$seed" "$@")  bf16 $(once bf16 "$seed" "$@")"
done | tee "$folder/pairs"
awk '{ a += $4; b += $6; n++ }
  END { d = (b - a) / n; printf "mean of f32 %.4f, of bf16 %.4f: %+.4f\n", a / n, b / n, d; exit !(d <= 0.01 && d >= -0.01) }' "$folder/pairs"
