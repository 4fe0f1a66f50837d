#!/usr/bin/env bash
# Distillation: two stores, nothing kept of the teacher, no tensor over rows and vocabulary, the same bits after --resume.
. "$(dirname "$0")/common.sh"
gpt="$TREE/models/gpt.c"
t="--target $(target)"
cat "$TREE"/ir/base/*.c > "$scratch/text"
cd "$scratch" || exit 1
big="--set layers=2 --set heads=2 --set width=24 --set context=16"
small="--set layers=1 --set heads=2 --set width=16 --set context=16"
field() { grep -o "\"$1\": [-0-9.e+]*" "$scratch/stdout" | tail -n 1 | cut -d' ' -f2; }

expect 0 "$SINTER" train "$gpt" --data text $t $big --batch 4 --steps 30 --tokenizer char --out teacher
before=$(cksum < teacher/model.safetensors)
kd="distill $gpt --teacher teacher --data text $t $small --batch 4 --steps 12"
expect 0 "$SINTER" $kd --eval-every 4 --out kd --json
says "teacher teacher: gpt"
grep -q '"kd": [0-9.]*' stdout || die "no kd in $(cat stdout)"
[ "$(cksum < teacher/model.safetensors)" = "$before" ] || die "the teacher's file changed"

# the student's files hold the student: nothing of the teacher, usable without it
expect 0 "$SINTER" inspect kd/model.safetensors
grep -q teacher stdout && die "weights of the teacher in the student's file"
cp -r kd alone
mv teacher away
expect 0 "$SINTER" eval alone --data text $t
expect 0 "$SINTER" generate alone --prompt int --tokens 5 $t
expect 3 "$SINTER" $kd --out none
mv away teacher
cmp -s kd/tokenizer.json teacher/tokenizer.json || die "another tokenizer than the teacher's"

# the same bits after a stop, and another teacher is refused
expect 0 "$SINTER" $kd --eval-every 4 --checkpoint-every 4 --out again
rm again/checkpoints/step-00000012.ckpt again/model.safetensors
expect 2 "$SINTER" train "$gpt" --out again --resume
says "sinter distill --resume"
expect 0 "$SINTER" distill "$gpt" --out again --resume $t
cmp -s kd/model.safetensors again/model.safetensors || die "a resumed distillation gives other bits"
expect 0 "$SINTER" train "$gpt" --data text $t $big --batch 4 --steps 2 --tokenizer char --out other
rm again/checkpoints/step-00000012.ckpt
expect 3 "$SINTER" distill "$gpt" --teacher other --out again --resume $t
says "--teacher differs"
cp teacher/model.safetensors mine
cp other/model.safetensors teacher/
expect 3 "$SINTER" distill "$gpt" --out again --resume $t
says "teacher="
cp mine teacher/model.safetensors

# no weight: the run without a teacher; every divergence gives another student
expect 0 "$SINTER" train "$gpt" --data text $t $small --batch 4 --steps 12 --tokenizer char --out plain
expect 0 "$SINTER" $kd --kd-weight 0 --out zero
cmp -s plain/model.safetensors zero/model.safetensors || die "--kd-weight 0 is not the run without a teacher"
for d in reverse jsd; do
  expect 0 "$SINTER" $kd --divergence $d --temperature 1 --kd-weight 3 --out $d
  cmp -s $d/model.safetensors kd/model.safetensors && die "$d: the same weights"
done

# a weight that changes: constant when both ends are equal, else another student; resumed alike
loss_of() { expect 0 "$SINTER" eval "$1" --data text $t --json; field loss; }
apart() { awk -v a="$(loss_of "$1")" -v b="$(loss_of "$2")" 'BEGIN { d = (a - b) / a; exit !(d > 5e-6 || d < -5e-6) }'; }
expect 0 "$SINTER" $kd --kd-weight 1 --kd-end 1 --out constant
! apart constant kd || die "--kd-end 1 from --kd-weight 1 is not constant"
expect 0 "$SINTER" $kd --kd-weight 90 --kd-end 0 --checkpoint-every 4 --out falling
expect 0 "$SINTER" $kd --kd-weight 90 --out nine
apart falling nine || die "--kd-end changes nothing"
cp -r falling half
rm half/checkpoints/step-00000012.ckpt
expect 0 "$SINTER" distill "$gpt" --out half --resume $t
cmp -s falling/model.safetensors half/model.safetensors || die "a falling weight is not resumed alike"

# mistakes
expect 2 "$SINTER" distill "$gpt" --data text --out none
says "--teacher"
expect 2 "$SINTER" $kd --divergence kl --out none
says "forward, reverse or jsd"
expect 3 "$SINTER" $kd --set vocab=300 --out none
says "different vocabularies"
expect 2 "$SINTER" $kd --tokenizer byte --out none
for student in bart autoseq; do # their rows predict other things than the teacher's
  expect 3 "$SINTER" distill "$TREE/models/$student.c" --teacher teacher --data text $t --batch 4 --steps 2 --out none
  says "a teacher predicts the next token"
done
expect 0 "$SINTER" train "$TREE/models/t5.c" --data text $t --batch 1 --steps 1 --val-fraction 0 --tokenizer char --out spans
expect 3 "$SINTER" distill "$gpt" --teacher spans --data text $t $small --batch 4 --steps 2 --out none
says "graph logits has an input that no text gives: source"
[ ! -e none ] || die "a refused run leaves a folder"

# ---- the plan -----------------------------------------------------------------------------------------------------

report() { expect 0 "$SINTER" explain "$gpt" --target template --graph train --json "$@"; }
# Nothing that a step of the teacher writes lives beyond the teacher's last step, but for its logits.
longer() { # -> buffers of the teacher that live longer
  grep -o '{"step": [0-9]*, "name": "[^"]*", "kind": "[^"]*", "ops": "[^"]*", "where": "teacher' stdout | tr -d ',' | cut -d' ' -f2 > steps
  grep -o '{"name": "[^"]*", "bytes": [0-9]*, "first": [0-9]*, "last": [0-9]*' stdout | tr -d ',"' |
    awk -v end="$(tail -n 1 steps)" 'FNR == NR { of[$1]; next } ($6 in of) && $8 > end { print $2, $4 }' steps -
}
vocab=$(grep -o '"settings": "[^"]*' teacher/settings.json | grep -o 'vocab=[0-9]*')
report $small --set "$vocab" --teacher teacher --dim B=4
longer > kept
[ "$(wc -l < steps)" -ge 10 ] || die "steps of the teacher: $(cat steps)"
[ "$(wc -l < kept)" = 1 ] || die "more than the logits of the teacher is kept: $(cat kept)"
"$SINTER" dump "$gpt" --target template --emit plan --graph train $small --set "$vocab" --teacher teacher > plan
grep '^slot .* param "teacher\.' plan > slots
[ "$(grep -c frozen slots)" = "$(wc -l < slots)" ] && [ -s slots ] || die "parameters of the teacher that are not frozen"
grep -q 'state "teacher' plan && die "a state for the teacher"

# vocabulary of 50,000: rows x vocabulary floats would be 51,200,000 bytes
expect 0 "$SINTER" train "$gpt" --data text $t --set layers=1 --set heads=2 --set width=16 --set context=64 --set vocab=50000 \
  --batch 1 --steps 1 --val-fraction 0 --out wide
wide="--teacher wide --set layers=2 --set heads=2 --set width=96 --set context=64 --set vocab=50000 --dim B=4"
report $wide --fuse none
loose=$(field peak_bytes)
report $wide
tight=$(field peak_bytes)
echo "vocabulary 50000: peak $loose -> $tight bytes"
[ "$loose" -ge $((3 * tight)) ] || die "less than 3 times less memory: $loose -> $tight"
most=$(grep -o '"bytes": [0-9]*' stdout | sort -k2 -n | tail -n 1 | cut -d' ' -f2)
[ "$most" -lt 51200000 ] || die "a buffer of $most bytes over all rows and the vocabulary"
exit 0
