#!/usr/bin/env bash
# Tuning: every candidate gives the same bits, later compilations take what was fastest, damaged entries change nothing,
# and a run goes on after its kernels were tuned, to the same weights.
. "$(dirname "$0")/common.sh"
skip_without_cpu
export XDG_CACHE_HOME=$scratch/cache # of its own: what is measured here is for this test
cd "$scratch" || exit 1
mlp="$TREE/models/mlp.sn"
gpt="$TREE/models/gpt.c"
set="--set layers=1 --set heads=2 --set width=32 --set context=16"

# a graph whose kernels have a choice
expect 0 "$SINTER" tune "$mlp" --dim B=96 --threads 1 --tune-seconds 20
says 'sinter: tuned '
grep -q 'gives other bits' stderr && die "candidates differ"
prints 'kernel'
expect 0 "$SINTER" explain "$mlp" --dim B=96
prints '(tuned)'
expect 0 "$SINTER" explain "$mlp" --dim B=96 --json
prints '"schedule": "tuned"'
expect 0 "$SINTER" run "$mlp" --dim B=96 --check

# the entry is damaged: usual kernels
entry=$(grep -l '^tuned 1' "$XDG_CACHE_HOME"/sinter/*.code)
cp "$entry" whole
printf 'x' | dd of="$entry" bs=1 seek=$(($(stat -c %s "$entry") - 3)) conv=notrunc status=none
expect 0 "$SINTER" explain "$mlp" --dim B=96
grep -q '(tuned)' stdout && die "a damaged entry is used"
head -c 100 whole > "$entry"
expect 0 "$SINTER" explain "$mlp" --dim B=96
grep -q '(tuned)' stdout && die "a cut entry is used"
rm "$entry"

# a run goes on with tuned kernels: the same bits as one that never heard of them
cat "$TREE"/ir/base/*.c > text
train="$gpt --data text $set --batch 4 --eval-every 4 --checkpoint-every 4"
expect 0 "$SINTER" train $train --steps 8 --out whole.run
expect 0 "$SINTER" train $train --steps 8 --out parts.run
newest=$(ls parts.run/checkpoints/*.ckpt | tail -n 1)
[ "$(ls parts.run/checkpoints/*.ckpt | wc -l)" -gt 1 ] || die "one checkpoint: $(ls parts.run/checkpoints)"
rm "$newest" parts.run/model.safetensors
expect 0 "$SINTER" tune "$gpt" $set --graph train --dim B=4 --threads 1 --tune-seconds 60 --json
grep -q 'gives other bits' stderr && die "candidates differ"
prints '"model_by_best": '
expect 0 "$SINTER" explain "$gpt" $set --graph train --dim B=4
prints '(tuned)'
expect 0 "$SINTER" train $train --steps 8 --out tuned.run
cmp -s whole.run/model.safetensors tuned.run/model.safetensors || die "tuned kernels give other weights"
expect 0 "$SINTER" train $train --steps 8 --out parts.run --resume
cmp -s whole.run/model.safetensors parts.run/model.safetensors || die "a run that went on with tuned kernels differs"

# time bounds it, and what was not reached is told
expect 0 "$SINTER" tune "$gpt" --set layers=2 --graph train --dim B=8 --threads 1 --tune-seconds 1
says 'time was over before all tiles of '

# products of pairs have no predictions
expect 0 "$SINTER" tune "$gpt" $set --graph train --dim B=4 --threads 1 --tune-seconds 1 --precision bf16 --json
if command -v python3 >/dev/null; then
  python3 -c 'import json, sys; assert json.loads(sys.stdin.read(), parse_constant=sys.exit)' <"$scratch/stdout" ||
    die "no JSON: $(cat "$scratch/stdout")"
fi
grep -q nan "$scratch/stdout" && die "no number: $(grep nan "$scratch/stdout")"

# a flag of other commands
expect 0 "$SINTER" bench "$mlp" --dim B=32 --repeat 1 --tune --tune-seconds 1
says 'sinter: tuned '

# what was tried leaves nothing in the plan, but packed weights with the step that fills them
cat >parts.sn <<'SN'
sinter 1
graph @net {
  %1 = input name "x" : f32[64, 16384]
  %2 = param name "w" init "normal" a 0.1 : f32[16384, 64]
  %3 = contract %1, %2 spec "mk,kn->mn" : f32[64, 64]
  %4 = param name "u" init "normal" a 0.1 : f32[16384, 96]
  %5 = contract %1, %4 spec "mk,kn->mn" : f32[64, 96]
  %6 = cumsum %5 axis 1 : f32[64, 96]
  output "y" = %3
  output "z" = %6
}
SN
expect 0 "$SINTER" dump parts.sn --emit plan
prints '"u.packed1"'
grep '^slot.* temp ' stdout | grep -v ' life ' && die "a temporary that nothing uses"
expect 0 "$SINTER" run --check parts.sn

# as the command compiles it: the batch and the ids of its tokenizer; the only graph where none is named; once
expect 0 "$SINTER" train $train --steps 2 --out batch.run --tune --tune-seconds 1 --threads 1
says 'kernels of train, B=4 '
printf 'sinter 1\ndims { B: 1..64 }\ngraph @g {\n  %%1 = input name "x" : f32[B, 512]\n  %%2 = exp %%1 : f32[B, 512]\n  output "y" = %%2\n}\n' >one.sn
expect 0 "$SINTER" tune one.sn --tune-seconds 1
says 'kernels of g, B=12 '
expect 0 "$SINTER" bench one.sn --dim B=8 --repeat 1 --tune --tune-seconds 1
says 'kernels of g, B=8 '

# where nothing would be tuned
expect 0 "$SINTER" build "$mlp" --emit plan -o mlp.plan --tune --tune-seconds 1
expect 2 "$SINTER" run mlp.plan --tune
says '--tune needs the model'
expect 2 "$SINTER" bench mlp.plan --tune
says '--tune needs the model'
for kind in exe obj plan; do
  expect 2 "$SINTER" build whole.run --emit $kind -o packed --tune
  says 'is packed, not tuned'
done
expect 2 "$SINTER" build "$mlp" --emit obj -o object --tune
says 'give --levels native'
expect 2 "$SINTER" build "$mlp" --emit graph -o graph --tune
says 'no kernels yet'
expect 2 "$SINTER" bench "$mlp" --ladder --tune
says '--tune: --ladder'
expect 2 "$SINTER" run "$mlp" --check --tune
says '--tune: --check'
expect 2 "$SINTER" bench "$mlp" --tune-seconds 3
says 'how long --tune takes'

# what cannot be tuned
expect 2 "$SINTER" tune "$mlp" --target ref
says 'only kernels of target cpu'
expect 2 "$SINTER" tune "$mlp" --no-cache
says 'there is none'
expect 2 "$SINTER" tune "$mlp" --graph nothing
