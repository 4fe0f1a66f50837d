#!/usr/bin/env bash
# Train, generate, executable: the files, the JSON, the refusals, and equal text from all of them.
. "$(dirname "$0")/common.sh"
gpt="$TREE/models/gpt.c"
small="--set layers=1 --set heads=2 --set width=16 --set context=16 --batch 4 --eval-batches 2 --target $(target)"
cat "$TREE"/ir/base/*.c > "$scratch/text"

expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 30 --eval-every 10 --out "$scratch/run" --json
[ "$(wc -l < "$scratch/stdout")" = 4 ] || die "one JSON line per evaluation and a last one: $(cat "$scratch/stdout")"
head -n 3 "$scratch/stdout" | finds '"step": 10, "train_loss": [0-9.]*, "val_loss": [0-9.]*, "tokens_per_s": ' || die "evaluation line: $(head -n 1 "$scratch/stdout")"
tail -n 1 "$scratch/stdout" | finds '"done": true, "val_loss": [0-9.]*, "seconds": [0-9.]*, "out": ' || die "last line: $(tail -n 1 "$scratch/stdout")"
for f in model.safetensors graph.sn settings.json tokenizer.json model.plan checkpoints metrics.jsonl loss.svg; do
  [ -e "$scratch/run/$f" ] || die "$f is missing in the run folder"
done
grep -q '<svg' "$scratch/run/loss.svg" || die "loss.svg is no SVG"
[ "$(wc -l < "$scratch/run/metrics.jsonl")" = 3 ] || die "metrics.jsonl: $(cat "$scratch/run/metrics.jsonl")"

# an existing folder is refused, replaced, or continued
expect 2 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 30 --out "$scratch/run"
says "--resume"
expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 10 --out "$scratch/run" --force
expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 10 --out "$scratch/new" --force
expect 2 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 10 --out "$scratch/none" --resume

# generation: greedy twice the same, seeds decide, stdout is the text only
gen="generate $scratch/run --prompt int --tokens 40 --target $(target)"
expect 0 "$SINTER" $gen --temperature 0
cp "$scratch/stdout" "$scratch/greedy"
[ ! -s "$scratch/stderr" ] || die "generate writes to stderr: $(cat "$scratch/stderr")"
expect 0 "$SINTER" $gen --temperature 0 --threads 1
cmp -s "$scratch/stdout" "$scratch/greedy" || die "greedy text depends on the threads"
expect 0 "$SINTER" $gen --seed 3
cp "$scratch/stdout" "$scratch/seed3"
expect 0 "$SINTER" $gen --seed 3 --top-k 300
cmp -s "$scratch/stdout" "$scratch/seed3" || die "the same seed gives another text"
expect 0 "$SINTER" $gen --json
prints '"tokens": 40'
expect 2 "$SINTER" generate "$scratch/run" --target "$(target)"
says "--prompt"
expect 2 "$SINTER" generate "$scratch/run" --prompt "" --target "$(target)"
expect 3 "$SINTER" generate "$scratch" --prompt x

# data that cannot be used
: > "$scratch/empty"
expect 3 "$SINTER" train "$gpt" --data "$scratch/empty" $small --steps 3 --out "$scratch/bad"
says "empty"
printf 'short' > "$scratch/short"
expect 3 "$SINTER" train "$gpt" --data "$scratch/short" $small --steps 3 --out "$scratch/bad"
says "too short"
expect 3 "$SINTER" train "$gpt" --data "$scratch/absent" $small --steps 3 --out "$scratch/bad"
says "absent"
expect 3 "$SINTER" train "$gpt" --data "$scratch/text" $small --set vocab=20 --steps 3 --out "$scratch/bad"
says "vocabulary"
expect 2 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 3 --out "$scratch/bad" --tokenizer word
# weights that cannot be used: those that cannot be read are told before anything is compiled
for init in "$scratch/absent.safetensors" "$scratch/text"; do
  expect 3 env SN_LOG=info "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 3 --out "$scratch/bad" --init "$init"
  says "$init"
  ! grep -q 'compiled [0-9]* kernels' "$scratch/stderr" || die "--init is read late: $(cat "$scratch/stderr")"
done
expect 3 "$SINTER" train "$gpt" --data "$scratch/text" $small --set width=8 --steps 3 --out "$scratch/bad" --init "$scratch/run"
says "$scratch/run/model.safetensors"
[ ! -e "$scratch/bad" ] || die "a refused run leaves a folder"
# the former run is still there when the one that replaces it cannot start, and may be what it starts from
expect 3 "$SINTER" train "$gpt" --data "$scratch/text" $small --set width=8 --steps 3 --out "$scratch/new" --init "$scratch/run" --force
[ -e "$scratch/new/model.safetensors" ] || die "a refused run removes the former one"
expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --steps 3 --out "$scratch/new" --init "$scratch/new" --force

# characters
expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --tokenizer char --steps 3 --out "$scratch/char"
expect 3 "$SINTER" generate "$scratch/char" --prompt "☃" --target "$(target)"
says "U+2603"

# damaged weights, settings, plan
cp -r "$scratch/run" "$scratch/damaged"
head -c 100 "$scratch/run/model.safetensors" > "$scratch/damaged/model.safetensors"
expect 3 "$SINTER" generate "$scratch/damaged" --prompt x --target "$(target)"
says "model.safetensors"
cp "$scratch/run/model.safetensors" "$scratch/damaged/"
echo '{' > "$scratch/damaged/settings.json"
expect 3 "$SINTER" generate "$scratch/damaged" --prompt x --target "$(target)"
says "settings.json"
cp "$scratch/run/settings.json" "$scratch/damaged/"
head -c 1000 "$scratch/run/model.plan" > "$scratch/damaged/model.plan"
expect 0 "$SINTER" generate "$scratch/damaged" --prompt int --tokens 40 --temperature 0 --target "$(target)"
cmp -s "$scratch/stdout" "$scratch/greedy" || die "a plan that is compiled again gives another text"
[ "$(target)" = ref ] || says "graph.sn is compiled again"

# JSON of bytes that are no UTF-8: valid, with U+FFFD in their place
expect 0 "$SINTER" generate "$scratch/run" --prompt "$(printf 'a\377"')" --tokens 1 --json --target "$(target)"
prints "$(printf '"prompt": "a\357\277\275\\""')"

# inspect
expect 0 "$SINTER" inspect "$scratch/run"
prints "wte.weight"
expect 0 "$SINTER" inspect "$scratch/run/model.safetensors" --json
expect 0 "$SINTER" inspect "$(ls "$scratch"/run/checkpoints/*.ckpt | tail -n 1)"
prints "step 10"
expect 3 "$SINTER" inspect "$scratch/empty"

exit 0
