#!/usr/bin/env bash
# The recurrent models: the form that each gets, why not another, and what it keeps in memory.
. "$(dirname "$0")/common.sh"
models="$TREE/models/recurrent"
t="--target template"
form() { # MODEL OPTIONS... TEXT: the report of the training graph says TEXT
  local model=$1 text=${*: -1}
  expect 0 "$SINTER" explain "$models/$model.c" $t --graph train --set layers=1 --set context=4096 "${@:2:$#-2}"
  prints "$text"
}
largest() { grep -o '"bytes": [0-9]*' "$scratch/stdout" | sort -k2 -n | tail -n 1 | cut -d' ' -f2; }

for model in ema s4d s6; do
  form $model --scan associative "associative: 64 steps a chunk"
  form $model "though the step is affine: chunks side by side are three times the work"
done
form rwkv4 'not associative, a function that is not affine, `max` at '
form lstm 'not associative, a sum over elements of a state, `contract` at '
form gru 'not associative, a sum over elements of a state, `contract` at '
prints "models/recurrent/gru.c:2" # the line of the product

# states [B, 128, 16] of all 4096 steps would be 33,554,432 bytes: one of 64 is kept
form s6 --scan sequential "for gradients one state of 64 steps is kept, the others are made again"
for scan in sequential associative:64; do
  expect 0 "$SINTER" explain "$models/s6.c" $t --graph train --set layers=1 --set context=4096 --scan $scan --dim B=1 --dim T=4096 --json
  [ "$(largest)" -lt 8388608 ] || die "$scan: a buffer of $(largest) bytes at T = 4096"
done
expect 0 "$SINTER" explain "$models/s6.c" $t --graph train --set layers=1 --set context=4096 --scan sequential --disable grad.pieces --dim B=1 --dim T=4096 --json
[ "$(largest)" -ge 33554432 ] || die "without pieces a buffer of all states is expected, found $(largest) bytes"

# one step costs the same whatever the context
for model in ema s4d s6 rwkv4 lstm gru; do
  for context in 64 16384; do
    expect 0 "$SINTER" explain "$models/$model.c" $t --graph decode --set layers=1 --set context=$context --dim B=1
    prints "decode: one step"
    grep -v 'ms are predicted' "$scratch/stdout" | awk '{ $6 = ""; print }' > "$scratch/$context"
  done
  cmp "$scratch/64" "$scratch/16384" || die "$model: a step hangs on the context"
done
