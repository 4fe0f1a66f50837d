#!/usr/bin/env bash
# Training in bf16: the curve of f32, nearer to it than another seed is; equal weights for any number of threads and after a resume;
# the run folder, the executable and eval keep the precision; names and conflicts are refused.
. "$(dirname "$0")/common.sh"
skip_without_cpu
gpt="$TREE/models/gpt.c"
small="--set layers=1 --set heads=2 --set width=32 --set context=32 --batch 8 --eval-batches 4 --steps 60"
cat "$TREE"/ir/base/*.c > "$scratch/text"

# run NAME OPTIONS...: losses of every evaluation in $scratch/NAME.loss
run() {
  local name=$1
  shift
  expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --eval-every 10 --out "$scratch/$name" --json "$@"
  sed -n 's/.*"step": [0-9]*,.*"val_loss": \([0-9.]*\),.*/\1/p' "$scratch/stdout" > "$scratch/$name.loss"
  [ "$(wc -l < "$scratch/$name.loss")" = 6 ] || die "six evaluations: $(cat "$scratch/stdout")"
}

run f32 --seed 1
run other2 --seed 2
run other3 --seed 3
run bf16 --seed 1 --precision bf16 --threads 1
paste "$scratch/f32.loss" "$scratch/bf16.loss" "$scratch/other2.loss" "$scratch/other3.loss" | awk '
  function off(x) { return x > 0 ? x : -x }
  { change += off($2 - $1); seeds += (off($3 - $1) + off($4 - $1)) / 2 }
  END { if (change == 0) { print "bf16 and f32 give equal losses: nothing was rounded"; exit 1 }
        if (change > seeds / 2) { printf "bf16 moves the losses by %g, another seed by %g\n", change / NR, seeds / NR; exit 1 } }' ||
  die "the curve of bf16: $(paste "$scratch"/*.loss)"

# determinism
run threads --seed 1 --precision bf16 --threads 2
cmp -s "$scratch/bf16/model.safetensors" "$scratch/threads/model.safetensors" || die "weights depend on the threads"
last=$(ls "$scratch/threads/checkpoints" | sort -V | tail -n 1)
rm -rf "$scratch/threads/checkpoints/$last"
expect 0 "$SINTER" train "$gpt" --data "$scratch/text" --out "$scratch/threads" --resume
says "going on at step"
cmp -s "$scratch/bf16/model.safetensors" "$scratch/threads/model.safetensors" || die "weights differ after --resume"
expect 3 "$SINTER" train "$gpt" --data "$scratch/text" --out "$scratch/threads" --resume --precision f32
says "--precision"

# the folder knows
grep -q '"precision": "bf16"' "$scratch/bf16/settings.json" || die "settings.json lacks the precision"
grep -q '"precision": "f32"' "$scratch/f32/settings.json" || die "settings.json lacks the precision"
expect 0 "$SINTER" generate "$scratch/bf16" --prompt int --tokens 30 --temperature 0
cp "$scratch/stdout" "$scratch/greedy"
expect 0 "$SINTER" generate "$scratch/bf16" --prompt int --tokens 30 --temperature 0 --isa avx2
expect 0 "$SINTER" build "$scratch/bf16" -o "$scratch/exe"
expect 0 "$scratch/exe" --prompt int --tokens 30 --temperature 0
cmp -s "$scratch/stdout" "$scratch/greedy" || die "the executable writes another text"
expect 0 "$SINTER" eval "$scratch/bf16" --data "$scratch/text" --json
prints '"loss"'
expect 0 "$SINTER" dump "$gpt" --graph eval --pass precision --precision bf16 $(echo "--set layers=1")
prints "to f32"
expect 2 "$SINTER" train "$gpt" --data "$scratch/text" $small --precision f16 --out "$scratch/none"
says "f32 or bf16"
[ ! -e "$scratch/none" ] || die "a refused run leaves a folder"
