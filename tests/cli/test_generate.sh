#!/usr/bin/env bash
# sinter generate: the likeliest text by beams, drafts of a smaller model, and what does not go together.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
t="--target $(target)"
seq 3000 >text
seq 3000 | tr 1 a >letters
sizes="--set width=16 --set heads=2 --set context=12 --tokenizer char --eval-every 1000 --threads 1"
expect 0 "$SINTER" train "$TREE/models/gpt.c" $sizes --set layers=2 --data text --steps 60 --lr 1e-2 --out run $t
expect 0 "$SINTER" train "$TREE/models/gpt.c" $sizes --set layers=1 --data text --steps 30 --lr 1e-2 --out small $t
expect 0 "$SINTER" train "$TREE/models/gpt.c" $sizes --set layers=1 --steps 1 --data letters --out other $t
ask="generate run --prompt 12 --threads 1 $t"

# ---- beams -----------------------------------------------------------------------------------------------------------
text() { expect 0 "$SINTER" $ask "$@"; mv stdout "$out"; }
out=greedy text --tokens 8 --temperature 0
out=one text --tokens 8 --beam 1
cmp -s greedy one || die "one beam is not greedy: $(cat greedy) and $(cat one)"
# All 3 ids behind the prompt are listed by 121 beams of 11 tokens; more find nothing better.
out=all text --tokens 3 --beam 121
out=more text --tokens 3 --beam 300
cmp -s all more || die "121 and 300 beams differ: $(cat all) and $(cat more)"
[ "$(head -c 2 all | wc -c)" = 2 ] || die "no text: $(cat all)"
expect 2 "$SINTER" $ask --beam 0
expect 2 "$SINTER" $ask --beam 3 --temperature 1
says "--temperature does not go with it"
expect 2 "$SINTER" $ask --beam 3 --draft small
expect 2 "$SINTER" $ask --beam 3 --tokens 12
says "do not fit the model's context"
says "at most 1 tokens"
expect 2 "$SINTER" $ask --beam 3 --tokens 20
says "at most 12 tokens to write"

# ---- drafts ----------------------------------------------------------------------------------------------------------
for n in 1 4; do # also beyond the context, where nothing is drafted
  out=drafted text --tokens 30 --temperature 0 --draft small --draft-tokens $n
  out=plain text --tokens 30 --temperature 0
  cmp -s drafted plain || die "a draft of $n changes the greedy text: $(cat drafted) and $(cat plain)"
done
expect 0 "$SINTER" $ask --tokens 10 --draft run --json --seed 4
sed 's/.*"drafted": \([0-9]*\), "kept": \([0-9]*\).*/\1 \2/' stdout | { read -r a b && [ "$a" -gt 0 ] && [ "$a" = "$b" ]; } ||
  die "the model refuses its own drafts: $(cat stdout)"
expect 3 "$SINTER" $ask --draft other
says "the draft has another tokenizer"
expect 3 "$SINTER" $ask --draft nosuch
expect 2 "$SINTER" $ask --draft-tokens 3
says "--draft-tokens needs --draft"

# ---- one seed, any number of threads ---------------------------------------------------------------------------------
expect 0 "$SINTER" generate run --prompt 12 --tokens 30 --seed 7 --threads 1 $t
mv stdout first
expect 0 "$SINTER" generate run --prompt 12 --tokens 30 --seed 7 --threads 2 $t
cmp -s first stdout || die "two threads say something else"
