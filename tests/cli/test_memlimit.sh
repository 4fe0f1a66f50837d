#!/usr/bin/env bash
# --mem-limit: refused before anything starts, with the least that would do, by part; with exactly that much it runs, with
# a byte less it does not; the batch that is named fits, one more does not.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
target=$(target) kernels=$(kernel_target)
seq 3000 >text

# least COMMAND...: what a limit of one byte is refused with, in $need
least() {
  expect 4 "$@" --mem-limit 1
  says "the plan does not fit into the memory limit"
  says "expected: at most 1 bytes"
  need=$(sed -n 's/.*found: *\([0-9]*\) bytes: .*/\1/p' stderr)
  [ -n "$need" ] || die "no figure: $(cat stderr)"
  # the parts are all there is
  sed -n 's/.*found: *[0-9]* bytes: //p' stderr | grep -o '[0-9]* of' | awk -v need="$need" '{ n += $1 } END { exit n != need }' ||
    die "the parts are not $need: $(cat stderr)"
}
# exact COMMAND...: so much is enough, and no less
exact() {
  least "$@"
  expect 4 "$@" --mem-limit $((need - 1))
  expect 0 "$@" --mem-limit "$need"
}

# ---- graphs ----------------------------------------------------------------------------------------------------------
mlp=$TREE/models/mlp.sn
bench="$SINTER bench $mlp --graph train --repeat 1 --target $kernels --threads 2"
exact $bench --dim B=64
for part in parameters temporaries 'inputs and outputs'; do
  expect 4 $bench --dim B=64 --mem-limit 1
  says "$part"
done
expect 4 $bench --dim B=64 --mem-limit $((need - 1))
fits=$(sed -n 's/.*B = \([0-9]*\) fits, of 64.*/\1/p' stderr)
[ -n "$fits" ] || die "no batch: $(cat stderr)"
expect 0 $bench --dim B="$fits" --mem-limit $((need - 1))
expect 4 $bench --dim B=$((fits + 1)) --mem-limit $((need - 1))
cat >add.sn <<'SN'
sinter 1
graph @g {
  %1 = param name "w" init "normal" a 1 : f32[1000]
  %2 = exp %1 : f32[1000]
  %3 = sum %2 axes [0] : f32[]
  output "y" = %3
}
SN
exact "$SINTER" run add.sn --target "$target"
expect 0 "$SINTER" run add.sn --target "$target" --mem-limit 2G
for bad in 0 -1 1.5G 2Q '' K 9999999T; do
  expect 2 "$SINTER" run add.sn --target "$target" --mem-limit "$bad"
  says "--mem-limit takes bytes"
done
[ "$target" = ref ] || { expect 2 "$SINTER" run --check add.sn --mem-limit 1G; says "--mem-limit and --check"; }

# ---- losses over a large vocabulary: without logits where only that fits ----------------------------------------------
loss="$SINTER bench $TREE/models/gpt.c --graph train --set layers=1 --set heads=1 --set width=8 --set context=64"
loss="$loss --set vocab=9000 --dim B=1 --dim T=64 --repeat 1 --target $kernels --threads 2"
least $loss --vocab parts
parts=$need
least $loss --vocab fused
[ "$need" -lt "$parts" ] || die "$need bytes without logits, $parts with them"
expect 4 $loss --vocab parts --mem-limit "$need"
expect 0 $loss --mem-limit "$need"
says "losses are fused with the product before them"
expect 4 $loss --mem-limit $((need - 1)) # neither form: the one that needs less is named, and the other
says "found:    $need bytes"
says "fused losses (--vocab fused); in parts: $parts bytes"
expect 0 $loss --mem-limit "$parts"
! grep -q "losses are fused" stderr || die "fused although it fits"
expect 2 $loss --vocab half
says "auto, whole, parts or fused"

# ---- training and what comes after ----------------------------------------------------------------------------------
gpt="$TREE/models/gpt.c --set layers=1 --set heads=2 --set width=16 --set context=16"
train="$SINTER train $gpt --data text --batch 3 --eval-batches 1 --steps 2 --threads 2 --target $target"
least $train --out run
[ ! -e run ] || die "something was written"
says "states"
expect 4 $train --out run --mem-limit $((need - 1))
[ ! -e run ] || die "something was written"
expect 0 $train --out run --mem-limit "$need"
ls -l run/checkpoints run/model.safetensors >before
expect 4 "$SINTER" train "$TREE/models/gpt.c" --out run --resume --steps 4 --mem-limit 4K
ls -l run/checkpoints run/model.safetensors | cmp -s - before || die "a refused run changed its folder"
expect 0 "$SINTER" train "$TREE/models/gpt.c" --out run --resume --steps 4 --mem-limit "$need" --threads 2
exact "$SINTER" eval run --data text --batch 2 --threads 2 --target "$target"
exact "$SINTER" generate run --prompt 12 --tokens 20 --threads 2 --target "$target"
least "$SINTER" distill --teacher run $gpt --data text --batch 2 --eval-batches 1 --steps 1 --threads 2 --target "$target" --out small
expect 0 "$SINTER" distill --teacher run $gpt --data text --batch 2 --eval-batches 1 --steps 1 --threads 2 --target "$target" --out small --mem-limit "$need"
if [ "$target" = cpu ]; then
  expect 0 "$SINTER" build run -o native
  exact ./native --prompt 12 --tokens 20 --threads 2
  expect 2 ./native --prompt 12 --mem-limit 5X
  # a run goes on in the form that it began with
  large="$SINTER train $TREE/models/gpt.c --set layers=1 --set heads=1 --set width=8 --set context=64 --set vocab=9000"
  large="$large --data text --batch 1 --eval-batches 1 --val-fraction 0 --threads 2 --target $target"
  least $large --steps 1 --out sized --vocab fused
  fused=$need
  expect 4 $large --steps 1 --out sized --vocab parts --mem-limit "$fused"
  expect 0 $large --steps 1 --out switched --mem-limit "$fused"
  says "losses are fused with the product before them"
  expect 0 "$SINTER" train "$TREE/models/gpt.c" --out switched --resume --steps 2 --threads 2
  expect 0 $large --steps 2 --out never --vocab fused
  cmp -s switched/model.safetensors never/model.safetensors || die "resumed in another form"
  expect 0 $large --steps 1 --out inparts
  expect 4 "$SINTER" train "$TREE/models/gpt.c" --out inparts --resume --steps 2 --threads 2 --mem-limit "$fused"
  ! grep -q "losses are fused" stderr || die "another form than the run began with"
fi
exit 0
