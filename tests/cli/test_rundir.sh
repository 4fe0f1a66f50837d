#!/usr/bin/env bash
# What commands need of a model and of a run folder: missing outputs at the user's line, a tokenizer of another model, a
# plan that is missing or damaged, folders that exist.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
best=cpu
[ "$(target)" = cpu ] || best=template
t="--target $best"
yes 'to be, or not to be: that is the question' | head -n 60 >text.txt

# ---- graphs that compute nothing --------------------------------------------------------------------------------------
cat >none.sn <<'EOF'
sinter 1
graph @net {
  %x = input name "x" : f32[4]
  %y = neg %x : f32[4]
}
EOF
cat >none.c <<'EOF'
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 8, "features"));
static void net(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_F32, (c->width));
  sn_neg(x);
}
SN_MODEL(none, opts, net);
EOF
for command in "run --target ref" "explain $t" "bench $t" "dump"; do
  # shellcheck disable=SC2086
  expect 3 "$SINTER" ${command%% *} none.sn $(sed 's/^[a-z]* *//' <<<"$command")
  says "none.sn:4:"
  says "error: graph net computes nothing"
  says "expected: an output"
  says "found:    2 operations, no output"
  # shellcheck disable=SC2086
  expect 3 "$SINTER" ${command%% *} none.c --graph net $(sed 's/^[a-z]* *//' <<<"$command")
  says "none.c:5:"
  says "error: graph net computes nothing"
done

# ---- a model; each part can be spoilt ---------------------------------------------------------------------------------
cat >good.c <<'EOF'
#include "sinter.h"
SN_SETTINGS(bigram, (int, vocab, 256, "tokens"), (int, context, 8, "longest sequence"));
static sn_t ids(sn_scope m, const char *name, const bigram *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = c->context)));
}
static sn_t next(sn_scope m, sn_t tokens, const bigram *c) {
  return sn_gather(sn_param(m, "table", (c->vocab, c->vocab), .init = sn_normal(.02)), tokens);
}
static void train(sn_scope m, const bigram *c) {
  sn_minimize(m, sn_cross_entropy(next(m, ids(m, "tokens", c), c), ids(m, "targets", c)), sn_sgd, NULL);
}
static void eval(sn_scope m, const bigram *c) {
  sn_output(m, "loss", sn_cross_entropy(next(m, ids(m, "tokens", c), c), ids(m, "targets", c)));
}
static void prefill(sn_scope m, const bigram *c) {
  sn_input(m, "start", SN_I32, (sn_sym(m, "B")));
  sn_output(m, "logits", next(m, ids(m, "tokens", c), c));
}
static void decode(sn_scope m, const bigram *c) {
  sn_input(m, "start", SN_I32, (sn_sym(m, "B")));
  sn_output(m, "logits", next(m, sn_input(m, "tokens", SN_I32, (sn_sym(m, "B"), sn_dim_of(1))), c));
}
SN_MODEL(tiny, bigram, train, eval, prefill, decode);
EOF
train() { # MODEL.c OUT ARGUMENTS
  local model=$1 out=$2
  shift 2
  # shellcheck disable=SC2086
  expect "${code:-0}" "$SINTER" train "$model" --data text.txt --steps 2 --batch 2 --out "$out" $t "$@"
}
# shellcheck disable=SC2086
generate() { expect "${code:-0}" "$SINTER" generate "$1" --prompt 'to be' --tokens 4 --temperature 0 $t; }
train good.c run
cat stderr stdout >said
grep -q tiny run/settings.json || die "the name of SN_MODEL is not in settings.json"
grep -q '"ids": 256' run/settings.json || die "settings.json does not know the tokenizer's ids"
! grep -q '[0-9]  [a-z]*tok' said || die "two blanks: $(grep '  [a-z]*tok' said)"
expect 0 "$SINTER" inspect run
whole=$(find run -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
expect 0 "$SINTER" inspect run --json
prints "\"bytes\": $whole"

# ---- what a graph lacks, at its line --------------------------------------------------------------------------------------
line() { grep -n "$2" "$1" | head -n 1 | cut -d: -f1; }
sed 's/sn_output(m, "loss"/sn_output(m, "cost"/' good.c >cost.c
code=3 train cost.c cost
says "cost.c:$(line cost.c '"cost"'):"
says "error: graph eval has no output loss"
says "expected: output loss f32[]"
says "found:    outputs: cost f32[]"
[ ! -e cost ] || die "a refused model leaves a folder"
# ids that no text has are added to those of texts
sed 's/(int, context/(int, marks, 5, "ids of nothing"), (int, context/' good.c >marked.c
train marked.c marked --tokenizer char
[ "$(sed -n 's/.*vocab=\([0-9]*\).*/\1/p' marked/settings.json)" = $(($(sed -n 's/.*"ids": \([0-9]*\).*/\1/p' marked/settings.json) + 5)) ] ||
  die "not five ids more: $(cat marked/settings.json)"
# a source, which no text gives
sed '/^static void train/,/^}/s/sn_sgd/(sn_input(m, "source", SN_I32, (sn_sym(m, "B"))), sn_sgd)/' good.c >source.c
code=3 train source.c source
says "graph train has an input that no text gives"
says "source i32[B]"
[ ! -e source ] || die "a refused model leaves a folder"
sed 's/sn_output(m, "loss", \(.*\));$/sn_output(m, "loss", sn_broadcast_to(\1, (2)));/' good.c >wide.c
if "$SINTER" dump wide.c --graph eval >/dev/null 2>&1; then
  code=3 train wide.c wide
  says "graph eval: the output loss has another type"
fi
# trained without eval, and then measured
train cost.c cost --val-fraction 0
# shellcheck disable=SC2086
expect 3 "$SINTER" eval cost --data text.txt $t
says "cost.c:$(line cost.c '"cost"'):"
says "graph eval has no output loss"
sed '/^static void decode/,/^}/s/"logits"/"scores"/' good.c >scores.c
train scores.c scores
# a start that fails late leaves no folder, so that the mended model may take it; a folder that was there stays
sed '/^static void decode/,/^}/s/sn_output(m, "logits", \(.*\));$/sn_output(m, "logits", sn_add(\1, sn_input(m, "z", SN_F32, (sn_dim_of(7)))));/' good.c >late.c
code=3 train late.c late
says "late.c:$(line late.c '"z"'):"
[ ! -e late ] || die "a start that failed leaves $(ls -A late)"
mkdir late
code=3 train late.c late --force
[ -e late ] || die "a folder of somebody else is removed"
rmdir late 2>/dev/null || rm -r late
train good.c late
code=3 generate scores
says "scores.c:$(line scores.c sn_gather):"
says "graph decode has no output logits"
says "expected: output logits f32[B, T, V]"
says "found:    outputs: scores f32[B, 1, 256]"
rm scores/model.plan
code=3 generate scores
says "graph decode has no output logits"
sed '/^static void prefill/,/^}/s/"logits"/"scores"/' good.c >first.c
train first.c first
code=3 generate first
says "graph prefill has no output logits"

# ---- the tokenizer of another model -----------------------------------------------------------------------------------------
train good.c chars --tokenizer char
cp -r run mixed
cp chars/tokenizer.json mixed/tokenizer.json
code=3 generate mixed
says "tokenizer.json: error: the tokenizer does not fit the model"
says "expected: 256 ids"
says "found:    $(sed -n 's/.*"ids": \([0-9]*\).*/\1/p' chars/settings.json) ids"
# shellcheck disable=SC2086
expect 3 "$SINTER" eval mixed --data text.txt $t
says "expected: 256 ids"
cp run/tokenizer.json chars/tokenizer.json
sed -i 's/,$/,/; s/"ids": [0-9]*/"ids": 0/' chars/settings.json # as earlier versions wrote it
code=3 generate chars
says "one for each logit"
says "found:    256 ids"

# ---- a plan that is missing or damaged is compiled again, and said ------------------------------------------------------------
generate run
cp stdout first.txt
cp -r run missing
rm missing/model.plan
generate missing
says "missing/model.plan is not used, graph.sn is compiled again: No such file"
cmp stdout first.txt || die "another text without model.plan"
cp -r run damaged
head -c 100 run/model.plan >damaged/model.plan
generate damaged
[ $best != cpu ] || says "damaged/model.plan is not used, graph.sn is compiled again: not a readable plan" # else it is not read
cmp stdout first.txt || die "another text with a damaged model.plan"

# ---- folders that exist -----------------------------------------------------------------------------------------------------------
mkdir empty
code=2 train good.c empty
says "empty exists"
says "expected: a new folder; --resume continues its run, --force starts over"
touch empty/mine
train good.c empty --force
[ -e empty/mine ] || die "--force removed a file of somebody else"
[ -e empty/model.safetensors ] || die "--force did not start a run"

# ---- sizes where memory does not suffice --------------------------------------------------------------------------------------------
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}allocator_may_return_null=1" # as without the sanitizer
cat >big.sn <<'EOF'
sinter 1
graph @net {
  %x = input name "x" : f32[4]
  %w = param name "w" init "fill" a 1.0 : f32[1000000, 100000000]
  %s = sum %w axes [0, 1] : f32[]
  %t = sum %x axes [0] : f32[]
  %u = add %s, %t : f32[]
  output "u" = %u
}
EOF
expect 4 "$SINTER" bench big.sn $t
says "no memory for w"
says "found:    400000000000000 bytes"
says "which are available"
cat >wide.sn <<'EOF'
sinter 1
graph @net {
  %x = input name "x" : f32[4]
  %b = broadcast %x shape [1000000, 100000000, 4] axes [2] : f32[1000000, 100000000, 4]
  output "u" = %b
}
EOF
expect 4 "$SINTER" bench wide.sn $t
says "no memory for u"
says "400000000000000 elements of 4 bytes"
says "are available"
