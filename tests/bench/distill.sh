#!/usr/bin/env bash
# Does a teacher help? Students with and without one, by pairs of one seed: same initial values, same data, same steps.
#   usage: distill.sh SINTER TREE TEXT FOLDER [SINTER-OPTIONS...]      about ten minutes on two cores
# Teacher 6 layers x 192, student 2 x 96, 1500 steps, 5 seeds. Finished runs in FOLDER are kept: an interrupted
# experiment goes on. Exit 1 unless the mean difference is above two standard errors.
set -euo pipefail
sinter=$1 tree=$2 text=$3 folder=$4
shift 4
mkdir -p "$folder"
cp "$tree/models/gpt.c" "$folder/gpt.c"

once() { # NAME COMMAND...: a run whose last line is kept in NAME.json
  local name=$1
  shift
  [ -s "$folder/$name.json" ] && return 0
  "$@" --out "$folder/$name" --force --json >"$folder/$name.lines" 2>"$folder/$name.log"
  tail -n 1 "$folder/$name.lines" >"$folder/$name.json"
}
loss() { grep -o '"val_loss": [0-9.]*' "$folder/$1.json" | cut -d' ' -f2; }

once teacher "$sinter" train "$folder/gpt.c" --data "$text" --tokenizer char --steps 1500 --eval-every 500 --eval-batches all \
  --set layers=6 --set heads=6 --set width=192 "$@"
echo "teacher: validation loss $(loss teacher)"
student="--data $text --steps 1500 --eval-every 1500 --eval-batches all --set layers=2 --set heads=4 --set width=96"
for seed in 1 2 3 4 5; do
  # shellcheck disable=SC2086
  once "alone$seed" "$sinter" train "$folder/gpt.c" $student --tokenizer char --seed $seed "$@"
  # shellcheck disable=SC2086
  once "taught$seed" "$sinter" distill "$folder/gpt.c" --teacher "$folder/teacher" $student --seed $seed "$@"
  echo "seed $seed: alone $(loss "alone$seed")  taught $(loss "taught$seed")"
done | tee "$folder/pairs"
awk '{ d = $4 - $6; n++; s += d; q += d * d }
  END { m = s / n; e = sqrt((q - n * m * m) / (n - 1) / n)
        printf "difference %.4f, standard error %.4f: %.1f of them\n", m, e, m / e; exit !(m > 2 * e) }' "$folder/pairs"
