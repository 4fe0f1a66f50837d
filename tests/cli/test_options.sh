#!/usr/bin/env bash
# Options that say too much, too little or nonsense: refused before anything happens, with what was expected.
. "$(dirname "$0")/common.sh"
gpt=$TREE/models/gpt.c
mlp=$TREE/models/mlp.sn

# without a home folder, and without a trace in the folder for temporary files
mkdir "$scratch/tmp"
bare() { env -u HOME -u XDG_CACHE_HOME TMPDIR="$scratch/tmp" "$SINTER" "$@"; }
expect 0 bare explain "$gpt" --graph eval --target template --set layers=1 --set width=8 --set heads=1 --no-cache
expect 0 bare dump "$gpt" --graph eval --no-cache
expect 4 bare dump "$gpt" --graph eval
says "set HOME or XDG_CACHE_HOME, or do without a cache (--no-cache)"
[ -z "$(ls -A "$scratch/tmp")" ] || die "left in TMPDIR: $(ls -A "$scratch/tmp")"

# numbers that make no sense, before anything is compiled; from one table
printf 'some text to train on, again and again; %.0s' {1..99} >"$scratch/text"
small="--set layers=1 --set heads=1 --set width=8 --set context=8 --batch 2 --target ref --data $scratch/text --seed 3"
senseless() { # MESSAGE OPTION VALUE
  expect 2 "$SINTER" train "$gpt" $small --out "$scratch/none" "$2" "$3"
  says "$1"
  says "found \"$3\""
  [ ! -e "$scratch/none" ] || die "$2 $3 leaves a folder"
}
for bad in -1 nan inf; do
  for option in lr min-lr clip weight-decay; do senseless "--$option takes a number from 0 to" --$option $bad; done
done
for bad in 1 2 -0.1 nan; do senseless "--beta2 takes a number from 0 to 0.999999" --beta2 $bad; done
for bad in -3 1.5 nan; do senseless "--warmup takes a whole number from 0 to" --warmup $bad; done
for bad in -0.1 0.95 nan; do senseless "--val-fraction takes a number from 0 to 0.9" --val-fraction $bad; done
expect 2 "$SINTER" train "$gpt" $small --out "$scratch/none" --lr 1e-3 --min-lr 1e-2
says "--min-lr takes at most the peak --lr, which is 0.001, found 0.01"
expect 2 "$SINTER" train "$gpt" $small --out "$scratch/none" --lr 1e-5
says "give --min-lr as well"
expect 0 "$SINTER" train "$gpt" $small --steps 2 --out "$scratch/zero" --lr 0 --min-lr 0 --warmup 0 --clip 0 --weight-decay 0 --beta2 0

# an existing folder is told before the compiler starts, and a file that cannot be written too
expect 2 env CC=/nonexistent/cc "$SINTER" train "$gpt" $small --out "$scratch/zero"
says "exists"
expect 2 env CC=/nonexistent/cc "$SINTER" train "$gpt" $small --out "$scratch/no" --resume
says "nothing to resume"
for out in "$scratch/zero" "$scratch/no/where"; do
  expect 1 env CC=/nonexistent/cc "$SINTER" build "$gpt" --emit graph -o "$out"
  says "cannot write"
done
expect 1 env CC=/nonexistent/cc "$SINTER" build "$gpt" --emit obj -o "$scratch/no/where"
says "cannot write $scratch/no/where.o"

# a run that lost its checkpoints, and one that is further than --steps says: both stay as they are
expect 0 "$SINTER" train "$gpt" $small --steps 6 --checkpoint-every 3 --eval-every 3 --out "$scratch/run"
(cd "$scratch/run" && find . -type f | sort | xargs cksum) >"$scratch/before"
stays() { (cd "$scratch/run" && find . -type f | sort | xargs cksum) | cmp -s - "$scratch/before" || die "$1 changes the run"; }
expect 0 "$SINTER" train "$gpt" --out "$scratch/run" --resume --steps 4 --data "$scratch/text" --json
says "nothing to do: $scratch/run is at step 6, and --steps 4 counts from the beginning"
prints '"done": true, "val_loss": null'
stays "--resume --steps 4"
mv "$scratch/run/checkpoints" "$scratch/elsewhere"
(cd "$scratch/run" && find . -type f | sort | xargs cksum) >"$scratch/before"
expect 3 "$SINTER" train "$gpt" --out "$scratch/run" --resume --steps 9 --data "$scratch/text"
says "the checkpoints of the run are gone"
says "--force starts over"
stays "--resume without checkpoints"
mv "$scratch/elsewhere" "$scratch/run/checkpoints"
expect 0 "$SINTER" train "$gpt" --out "$scratch/run" --resume --steps 9 --data "$scratch/text"
says "going on at step 6"

# a model that only trains has no plan for generation
sed 's/^SN_MODEL(.*/SN_MODEL(gpt, gpt, train, eval);/' "$gpt" >"$scratch/plain.c"
cmp -s "$gpt" "$scratch/plain.c" && die "gpt.c has another last line"
expect 0 "$SINTER" train "$scratch/plain.c" $small --steps 2 --out "$scratch/plain"
[ ! -e "$scratch/plain/model.plan" ] || die "an empty plan"
says "tokenizer.json, checkpoints/"
expect 0 "$SINTER" eval "$scratch/plain" --data "$scratch/text" --target ref
expect 3 "$SINTER" generate "$scratch/plain" --prompt a --target ref
says "the model has no graph prefill, decode or logits"

# a teacher with another context
expect 0 "$SINTER" distill "$gpt" --teacher "$scratch/zero" $small --set context=16 --steps 2 --out "$scratch/kd"
says "context 8: the student could take 16, the teacher takes 8"
expect 0 "$SINTER" distill "$gpt" --teacher "$scratch/zero" $small --steps 2 --out "$scratch/alike"
! grep -q "could take" "$scratch/stderr" || die "contexts that are equal are told"

# names that are none
for pass in none dce lower; do
  expect 2 "$SINTER" opt "$mlp" --pass $pass --disable nope
  says "no rule nope can be switched off"
done
expect 2 "$SINTER" explain "$mlp" --fuse inde --target template
says "all, none or map, rows, contract, attend, index"
kinds=$("$SINTER" explain "$gpt" --set layers=1 --target template --graph train --json | sed -n 's/.*"kind": "\([a-z]*\)".*/\1/p' | sort -u | grep -v copy)
for kind in $kinds; do expect 0 "$SINTER" explain "$mlp" --fuse "$kind" --target template; done
[ "$(echo $kinds)" = "attend contract index map rows" ] || die "kinds that explain prints: $kinds"

# what is given twice, or goes nowhere
expect 2 "$SINTER" fuzz graph -n 1 --target template --failures "$scratch/nowhere"
says "--failures takes a folder that can be written, found $scratch/nowhere"
expect 2 "$SINTER" fuzz graph -n 1 --target template --failures "$scratch/text"
for check in "" --check; do
  expect 2 "$SINTER" run "$mlp" --target template $check --in w1="$TREE/tests/parity/data/gpt_logits.npy" --in w1="$TREE/tests/parity/data/gpt_logits.npy"
  says "--in w1 is given twice"
done

# two ways to report at once
expect 0 "$SINTER" explain "$mlp" --target template --html "$scratch/page.html" --json
prints '"peak_bytes"'
[ -s "$scratch/page.html" ] || die "--json keeps --html from writing"
expect 0 "$SINTER" bench "$mlp" --target template --repeat 1 --dim B=2 --profile --json
prints '"steps": ['
prints '"ms": '
