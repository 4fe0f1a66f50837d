#!/usr/bin/env bash
# Input from which nothing can be learned or said: it is explained, with exit code 2 or 3, before anything begins.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
target=$(target)
gpt=$TREE/models/gpt.c
reader=$TREE/models/reader.c
head -c 3000 "$TREE/docs/numerics.md" >text
sizes="--set layers=1 --set width=8 --set heads=2 --set context=8"

# ---- no targets in a batch ---------------------------------------------------------------------------------------------
npy() { # FILE DTYPE SHAPE, data from stdin
  { printf '\x93NUMPY\x01\x00\x46\x00%-69s\n' "{'descr': '$2', 'fortran_order': False, 'shape': $3, }"; cat; } >"$1"
}
zeros() { head -c "$1" /dev/zero; }
zeros 32 | npy tokens.npy '<i4' '(2, 4)'
zeros 32 | tr '\0' '\377' | npy none.npy '<i4' '(2, 4)'
{ zeros 4; zeros 28 | tr '\0' '\377'; } | npy one.npy '<i4' '(2, 4)'
zeros 8 | npy empty.npy '<i4' '(2,)'
printf '\4\0\0\0\4\0\0\0' | npy whole.npy '<i4' '(2,)'
for t in ref template $target; do
  for graph in judge tune; do
    expect 3 "$SINTER" run "$reader" --graph $graph $sizes --in tokens=tokens.npy --in labels=none.npy --target "$t"
    says 'a mean of nothing: no element of input labels counts'
    says 'an element of labels that is 0 or more'
    says 'labels.h:'
    expect 0 "$SINTER" run "$reader" --graph $graph $sizes --in tokens=tokens.npy --in labels=one.npy --target "$t"
  done
done
lengths() { # CODE FILE
  expect "$1" "$SINTER" run "$TREE/models/t5.c" --graph eval_pairs $sizes --in source=tokens.npy --in source_length=whole.npy --in tokens=tokens.npy \
    --in targets=tokens.npy --in length="$2" --target ref
}
lengths 0 whole.npy
lengths 3 empty.npy
says 'no element of input length counts'

# ---- settings, patterns, prompts, folders ------------------------------------------------------------------------------
refuses() { # CODE TEXT ARGUMENTS...
  local code=$1 text=$2
  shift 2
  expect "$code" timeout 60 "$SINTER" "$@"
  says "$text"
  ! grep -q '^step ' stderr || die "training began: $*"
}
train="train $gpt --data text --batch 2 --steps 2 --target $target"
expect 0 "$SINTER" $train $sizes --out base
refuses 2 'feed=VALUE, where VALUE is a whole number, 0 to 7' train "$TREE/models/decoder.c" --data text --set feed=8 --out out
refuses 2 'scheme=VALUE, where VALUE is a whole number, 0 to 4' train "$TREE/models/positions.c" --data text --set scheme=5 --out out
refuses 2 '1 to 16777216' train "$TREE/models/xlnet.c" --data text --set heads=0 --out out
refuses 3 'the file has no tensor h.1.' $train $sizes --set layers=2 --init base --trainable 'wte.*' --out out
refuses 2 'the folder to write to is empty' $train $sizes --out ''
refuses 2 'the folder to write to is empty' recipe tp.causal --quick --out ''
refuses 2 'the prompt is empty' generate base --prompt ''
refuses 2 'at most 8 tokens' generate base --prompt The --beam 2 --tokens 1000 --target $target
# a model that the interpreter trained is used without a word about the plan that it has not
expect 0 "$SINTER" $train $sizes --out plain --target ref
expect 0 "$SINTER" generate plain --prompt The --tokens 2 --target ref
[ ! -s stderr ] || die "it says: $(cat stderr)"

# ---- checks of graphs that train ---------------------------------------------------------------------------------------
small="--set vocab=16 --dim B=2 --dim T=4 --check"
# moments are denormal: kernels as text flush them as compiled ones do
expect 0 "$SINTER" run "$reader" --graph train $sizes $small --target template
# rows are summed before they are added to the gradient of a tied table, as the graph says
expect 0 "$SINTER" run "$TREE/models/bert.c" --graph pretrain --set layers=1 --set width=32 --set heads=2 --set context=8 $small --dim K=2 --seed 1 \
  --target "$(kernel_target)"
