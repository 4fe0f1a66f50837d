#!/usr/bin/env bash
# Weights in int8: a trained model generates, evaluates and is built with them, its loss hardly moves; the report says what
# is read and made once; names, training and what has no use for them are refused.
. "$(dirname "$0")/common.sh"
gpt="$TREE/models/gpt.c"
small="--set layers=1 --set heads=2 --set width=32 --set context=32"
t="--target $(kernel_target)"

# names, and what trains
expect 2 "$SINTER" explain "$gpt" $small --graph decode $t --quantize int4
says "int8 or none"
expect 2 "$SINTER" explain "$gpt" $small --graph train $t --quantize int8
says "weights in int8 cannot be trained"
says "expected: graphs that only read weights"
expect 2 "$SINTER" train "$gpt" $small --quantize int8 --out "$scratch/none"
[ ! -e "$scratch/none" ] || die "a refused run leaves a folder"
expect 2 "$SINTER" run "$gpt" $small --graph decode $t --check --quantize int8
says "dump --pass quantize"

# stages: numbers of i8, the report
expect 0 "$SINTER" dump "$gpt" $small --graph decode --pass quantize --quantize int8
prints "to i8 : i8[32, 96]"
expect 0 "$SINTER" explain "$gpt" $small --graph decode $t --dim B=1
! grep -q "i8\[" "$scratch/stdout" || die "numbers of i8 without --quantize"
expect 0 "$SINTER" explain "$gpt" $small --graph decode $t --dim B=1 --quantize int8
prints "kernels run once, after weights are loaded"
expect 0 "$SINTER" explain "$gpt" $small --graph decode $t --dim B=1 --quantize int8 --json
prints '"ahead": {"kernels": '
grep -q '"ahead": {"kernels": 0' "$scratch/stdout" && die "nothing is made once"
read_by() { sed -n 's/.*"kind": "contract".*"bytes_read": \([0-9]*\),.*/\1/p' "$scratch/stdout" | awk '{ s += $1 } END { print s }'; }
narrow=$(read_by)
expect 0 "$SINTER" explain "$gpt" $small --graph decode $t --dim B=1 --json
wide=$(read_by)
[ "$wide" -gt $((2 * narrow)) ] || die "products read $narrow bytes with weights in int8, $wide without"

# what the pass made is checked step by step
expect 0 "$SINTER" dump "$gpt" $small --graph decode --pass quantize --quantize int8
cp "$scratch/stdout" "$scratch/decode.sn"
expect 0 "$SINTER" run "$scratch/decode.sn" $t --check --dim B=2
says_nothing=$(cat "$scratch/stdout")
case $says_nothing in *"agrees with the interpreter"*) ;; *) die "no comparison: $says_nothing" ;; esac

skip_without_cpu
cat "$TREE"/ir/base/*.c > "$scratch/text"
expect 0 "$SINTER" train "$gpt" --data "$scratch/text" $small --batch 8 --steps 60 --eval-batches 4 --seed 1 --out "$scratch/run"
loss() { # OPTIONS...: of the model on the text
  expect 0 "$SINTER" eval "$scratch/run" --data "$scratch/text" --json "$@"
  sed -n 's/.*"loss": \([0-9.]*\),.*/\1/p' "$scratch/stdout"
}
f32=$(loss)
int8=$(loss --quantize int8)
threads=$(loss --quantize int8 --threads 2)
one=$(loss --quantize int8 --threads 1)
[ "$threads" = "$one" ] || die "the loss depends on the threads: $one, $threads"
[ "$(loss --quantize none)" = "$f32" ] || die "none is not f32"
# The loss moves: by less than a hundredth of what training took off.
awk -v a="$f32" -v b="$int8" -v start="$(awk 'BEGIN { print log(256) }')" 'BEGIN {
  moved = a > b ? a - b : b - a
  if (a == b) { print "int8 and f32 give equal losses: nothing was rounded"; exit 1 }
  if (moved > (start - a) / 100) { printf "weights in int8 move the loss from %g to %g\n", a, b; exit 1 } }' || die "the loss of int8"

# generation: the same text from the executable and on another level; the folder's files stay as they are
sums() { (cd "$scratch/run" && find . -type f -exec cksum {} + | sort); }
before=$(sums)
expect 0 "$SINTER" generate "$scratch/run" --prompt int --tokens 30 --temperature 0 --quantize int8
cp "$scratch/stdout" "$scratch/greedy"
[ "$(wc -c < "$scratch/greedy")" -ge 30 ] || die "too little text: $(cat "$scratch/greedy")"
expect 0 "$SINTER" build "$scratch/run" -o "$scratch/exe" --quantize int8
expect 0 "$scratch/exe" --prompt int --tokens 30 --temperature 0
cmp -s "$scratch/stdout" "$scratch/greedy" || die "the executable writes another text"
expect 0 "$SINTER" build "$scratch/run" -o "$scratch/run.plan" --emit plan --quantize int8
expect 0 "$SINTER" inspect "$scratch/run.plan"
[ "$(sums)" = "$before" ] || die "the folder was changed"
expect 0 "$SINTER" bench "$gpt" $small --graph decode --dim B=1 --quantize int8 --repeat 1 --threads 1

# Panels are shared by equal chains of casts only, and i8 stays i8 only where it is what is multiplied.
cd "$scratch" || exit 1
cat >chains.sn <<'EOF'
sinter 1
graph @g {
  %1 = input name "x" : f32[64, 64]
  %2 = param name "w" init "normal" a 1 : f32[64, 64]
  %3 = cast %2 to bf16 : bf16[64, 64]
  %4 = cast %3 to f32 : f32[64, 64]
  %5 = contract %1, %4 spec "ik,kj->ij" : f32[64, 64]
  %6 = contract %1, %2 spec "ik,kj->ij" : f32[64, 64]
  output "a" = %5
  output "b" = %6
}
EOF
expect 0 "$SINTER" run --check chains.sn --target "$(target)"
for between in u8 f8e4m3; do
  cat >between.sn <<EOF
sinter 1
graph @g {
  %1 = state name "x" init "fill" a 1 : f32[4, 64]
  %2 = param name "w" init "fill" a -57 : i8[64, 64]
  %3 = cast %2 to $between : $between[64, 64]
  %4 = cast %3 to f32 : f32[64, 64]
  %5 = contract %1, %4 spec "ik,kj->ij" : f32[4, 64]
  output "y" = %5
}
EOF
  expect 0 "$SINTER" run between.sn --target "$(target)" --out y=y.npy
  expect 0 "$SINTER" run between.sn --target "$(target)" --out y=apart.npy --disable fuse.map_into_contract_prologue
  cmp y.npy apart.npy || die "i8 through $between is another product"
done
