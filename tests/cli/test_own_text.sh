#!/usr/bin/env bash
# Pre-training and adapting on one's own text: what cannot be is said before any training starts.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
seq 2000 >text
tr '0-9' 'a-j' <text >letters # as many characters, but others
printf 'abcabcabcab' >tiny
: >empty
mkdir folder
head -c 3000 /dev/zero | tr '\0' '\377' >noise
gpt="$TREE/models/gpt.c"
options="--set layers=1 --set heads=2 --set width=16 --set context=16 --steps 2 --batch 2 --eval-batches 1 --target ref"

refuses() { # CODE TEXT ARGUMENTS... of train
  local code=$1 text=$2
  shift 2
  rm -rf out
  expect "$code" timeout 60 "$SINTER" train "$@" --out out
  says "$text"
  ! grep -q '^step ' stderr || die "training began: $*"
  [ ! -e out/checkpoints ] || die "training began: $*"
}

# ---- pre-training: windows, texts, vocabularies, sizes -----------------------------------------------------------------
refuses 3 'too short for one window' $gpt --data tiny $options
says 'at least 17 tokens'
refuses 3 'the validation data is too short' $gpt --data text $options --val-fraction 0.001
refuses 3 'the data is empty' $gpt --data empty $options
refuses 3 'folder' $gpt --data folder $options
refuses 3 'cannot open nosuch' $gpt --data nosuch $options
refuses 3 'not UTF-8' $gpt --data noise $options --tokenizer char
refuses 3 "outside of the model's vocabulary" $gpt --data text $options --set vocab=5
refuses 2 '--tokenizer takes byte or char' $gpt --data text $options --tokenizer words
refuses 3 'gpt.c:26' $gpt --data text $options --set heads=3
refuses 2 'a whole number, 0 to 4096' $gpt --data text $options --set layers=-1
refuses 2 '1 to 16777216' $gpt --data text $options --set context=0
refuses 2 'did you mean context' $gpt --data text $options --set contxt=8
refuses 2 '--batch' $gpt --data text $options --batch 0
refuses 2 '--lr' $gpt --data text $options --lr nan
refuses 2 '--seed' $gpt --data text $options --seed one
refuses 2 '--threads' $gpt --data text $options --threads -2
refuses 2 '--val-fraction' $gpt --data text $options --val-fraction 1
touch taken
expect 2 "$SINTER" train $gpt --data text $options --out taken
says 'taken is no folder'

# ---- adapting: other ids, other widths, other models -------------------------------------------------------------------
expect 0 "$SINTER" train $gpt --data text $options --tokenizer char --out base
refuses 3 "is not in the vocabulary of the model" $gpt --data letters $options --init base
refuses 3 "is not in the vocabulary of the model" $gpt --data letters $options --init base --tokenizer char
refuses 3 'weights of another vocabulary' $gpt --data text $options --init base --tokenizer byte
says 'char, 11 ids'
refuses 3 'tensor wte.weight does not fit the model' $gpt --data text $options --init base --set width=32
says 'f32[11, 32]'
says 'f32[11, 16]'
refuses 3 'the file has no tensor h.1' $gpt --data text $options --init base --set layers=2
refuses 3 'wpe.weight does not fit' $gpt --data text $options --init base --set context=32
refuses 3 'the file has no tensor embed_tokens.weight' "$TREE/models/llama.c" --data text $options --init base
refuses 3 'nosuch' $gpt --data text $options --init nosuch
refuses 3 'noise' $gpt --data text $options --init noise
refuses 2 'selects none' $gpt --data text $options --init base --trainable 'head*'
# its tokenizer is taken, and the vocabulary with it
expect 0 "$SINTER" train $gpt --data text $options --init base --trainable 'ln_f*' --out tuned
cmp -s base/tokenizer.json tuned/tokenizer.json || die "another tokenizer than that of the weights"
expect 0 "$SINTER" train $gpt --out tuned --resume --steps 3 --target ref
cmp -s base/tokenizer.json tuned/tokenizer.json || die "another tokenizer after --resume"
expect 3 "$SINTER" eval tuned --data letters --target ref
says "is not in the vocabulary of the model"
expect 3 "$SINTER" generate tuned --prompt xyz --tokens 3 --target ref
says "is not in the vocabulary of the model"

# ---- models that make their questions of the tokens --------------------------------------------------------------------
# digits come in runs, or are random: then no more is known than what is shown as it is, by one place in ten
awk 'BEGIN { srand(1); for (i = 0; i < 60; i++) { d = int(10 * rand()); for (k = 0; k < 60; k++) printf "%d", d } }' >runs
awk 'BEGIN { srand(1); for (i = 0; i < 3000; i++) printf "%d", int(10 * rand()) }' >random
small="--set layers=1 --set heads=2 --set width=16 --set context=16 --batch 8 --eval-batches all --threads 1"
loss() { sed -n 's/.*"val_loss": *\([0-9.e+-]*\).*/\1/p' "$1/metrics.jsonl" | tail -n 1; }
between() { awk -v x="$(loss "$1")" -v a="$2" -v b="$3" 'BEGIN { exit !(x > a && x < b) }' || die "$1: loss $(loss "$1")"; }
# a text without what the loss counts, at its end: the steps before are not lost
sed 's/sn_cross_entropy(\(.*\), ids(m, "targets", c))/sn_cross_entropy(\1, ids(m, "targets", c), .weight = sn_cast(sn_eq(ids(m, "targets", c), 10), SN_F32))/' "$gpt" >lines.c
[ "$(grep -c 'sn_eq(ids' lines.c)" = 2 ] || die "the losses of gpt.c are written otherwise"
{ seq 900; seq 3000 | tr -d '\n' | head -c 700; } >ends
expect 3 "$SINTER" train lines.c --data ends $options --steps 4 --out lines
says 'a mean of nothing'
says 'whose weights are saved'
ls lines/checkpoints/*.ckpt >/dev/null || die "nothing was saved"
tr -d '\n' <ends >none # before the first step there is nothing to save
expect 3 "$SINTER" train lines.c --data none $options --steps 4 --out none.run
says 'a mean of nothing'
[ ! -e none.run/checkpoints ] || die "untrained weights were saved"

# what an evaluation draws, it draws anew for each batch
cat >draw.c <<'END'
#include "sinter.h"
SN_SETTINGS(draw, (int, vocab, 256, "tokens"));
static sn_t ids(sn_scope m, const char *name) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = 16)));
}
static sn_t zero(sn_scope m) { return sn_mul(sn_mean(sn_cast(sn_add(ids(m, "tokens"), ids(m, "targets")), SN_F32), "bt->"), 0.); }
static void train(sn_scope m, const draw *c) {
  (void)c;
  sn_minimize(m, sn_add(sn_sum(sn_param(m, "p", (1)), "a->"), zero(m)), sn_sgd, &(sn_sgd_opt){.lr = 0.1});
}
static void eval(sn_scope m, const draw *c) {
  (void)c;
  sn_output(m, "loss", sn_add(sn_sum(sn_random(m, "u", SN_UNIFORM, (1)), "a->"), zero(m)));
}
SN_MODEL(draw, draw, train, eval);
END
head -c 17 text >one
head -c 33 text >two
expect 0 "$SINTER" train draw.c --data text --steps 1 --batch 2 --eval-batches 1 --target ref --out draw
expect 0 "$SINTER" eval draw --data one --batch 1 --target ref
cp stdout one.loss
expect 0 "$SINTER" eval draw --data two --batch 1 --target ref
[ "$(cut -d' ' -f2 one.loss)" != "$(cut -d' ' -f2 stdout)" ] || die "two batches drew alike"

if [ "$(target)" = cpu ]; then
  for text in runs random; do
    expect 0 "$SINTER" train "$TREE/models/bert.c" --data $text $small --set std=.1 --steps 200 --lr 1e-2 --warmup 20 --out bert.$text
  done
  between bert.runs 0 1.6
  between bert.random 2.1 2.7
  refuses 3 'sn_at' "$TREE/models/bert.c" --data runs $small --set mask=300
  grep -q 'vocab=257' bert.runs/settings.json || die "no id that hides"
  expect 0 "$SINTER" eval bert.runs --data runs --threads 1
  expect 3 "$SINTER" generate bert.runs --prompt 12
  says 'writes no text'
  for model in t5 bart; do # ids that no text has stand for spans, or hide them
    marks=$([ $model = t5 ] && echo 100 || echo 2)
    expect 0 "$SINTER" train "$TREE/models/$model.c" --data runs $small --steps 200 --lr 1e-2 --warmup 20 --out $model
    grep -q "vocab=$((256 + marks)) marks=$marks" $model/settings.json || die "$model: no ids that hide"
    expect 0 "$SINTER" eval $model --data runs --threads 1
    expect 3 "$SINTER" generate $model --prompt 12
    says 'a prompt is not enough: the graph decode reads source_length.kept, which the graph encode makes'
    refuses 3 'no id is left for texts' "$TREE/models/$model.c" --data runs $small --set vocab=3 --set marks=3
    refuses 3 "ids from 0 to 49" "$TREE/models/$model.c" --data runs $small --set vocab=53 --set marks=3
  done
  # with nothing of the source to see, only what was written before helps
  expect 0 "$SINTER" train "$TREE/models/bart.c" --data runs $small --set hide=1 --steps 200 --lr 1e-2 --warmup 20 --out blind
  between blind .2 .5
  between bart 0 .15
  between t5 0 .4
  refuses 2 'a number, 0 to 1' "$TREE/models/bart.c" --data runs $small --set hide=1.5
  for model in t5 bart electra xlnet autoseq; do # half a run and the rest of it end where a whole run does
    some=$small
    [ $model = autoseq ] && some="--set width=16 --batch 8 --eval-batches 2 --threads 1"
    expect 0 "$SINTER" train "$TREE/models/$model.c" --data runs $some --steps 4 --out whole
    expect 0 "$SINTER" train "$TREE/models/$model.c" --data runs $some --steps 4 --checkpoint-every 2 --out half
    rm -rf half/checkpoints/*4*
    expect 0 "$SINTER" train "$TREE/models/$model.c" --out half --resume
    cmp whole/model.safetensors half/model.safetensors || die "$model: other weights after --resume"
    expect 0 "$SINTER" eval whole --data runs --threads 1 --json
    grep -q '"perplexity": null' stdout || die "$model: a perplexity of something else than the next token"
    rm -rf whole half
  done
fi
exit 0
