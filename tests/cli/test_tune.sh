#!/usr/bin/env bash
# Fine-tuning: what is not named by --trainable keeps its bits, costs no gradient and no state. Eval: every token once.
. "$(dirname "$0")/common.sh"
skip_without_cpu # no kernels, no report of what is trained
gpt="$TREE/models/gpt.c"
set="--set layers=2 --set heads=2 --set width=16 --set context=16"
small="$set --batch 4 --target $(target)"
cat "$TREE"/ir/base/*.c > "$scratch/text"
cd "$scratch" || exit 1

tensor() { # FILE NAME: bytes of one tensor
  local head range
  head=$(od -An -tu8 -N8 "$1" | tr -d ' ')
  range=$(tail -c +9 "$1" | head -c "$head" | grep -o "\"$2\":{[^}]*}" | grep -o '\[[0-9]*,[0-9]*\]}' | tr -d '[]}')
  [ -n "$range" ] || die "$1 has no tensor $2"
  tail -c +$((9 + head + ${range%,*})) "$1" | head -c $((${range#*,} - ${range%,*}))
}
field() { grep -o "\"$1\": [-0-9.e+]*" "$scratch/stdout" | tail -n 1 | cut -d' ' -f2; }
same_number() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= 2e-6 * (a < 0 ? -a : a)) }' || die "$3: $1 and $2"; }

expect 0 "$SINTER" train "$gpt" --data text $small --steps 30 --eval-every 30 --eval-batches all --out base --json
val=$(field val_loss)

# the validation part of the run, measured again: the windows are the same, so is the loss
total=$(wc -c < text)
first=$(awk -v n="$total" 'BEGIN { printf "%d", n * (1 - 0.1) }')
rows=$(((total - first - 1) / 16))
tail -c +$((first + 1)) text | head -c $((rows * 16 + 1)) > val
expect 0 "$SINTER" eval base --data val --batch 4 --json --target "$(target)"
same_number "$(field loss)" "$val" "eval of the validation text and the loss that train reported"
[ "$(field tokens)" = $((rows * 16)) ] && [ "$(field windows)" = $rows ] && [ "$(field last_window)" = 0 ] || die "windows: $(cat stdout)"

# a last, partial window counts by its tokens: 3 windows, and 5 tokens
head -c 49 text > whole
tail -c +49 text | head -c 6 > rest
head -c 54 text > both
for f in whole rest both; do
  expect 0 "$SINTER" eval base --data $f --json --target "$(target)"
  eval "$f=$(field loss)"
done
[ "$(field tokens)" = 53 ] && [ "$(field windows)" = 3 ] && [ "$(field last_window)" = 5 ] || die "partial window: $(cat stdout)"
same_number "$(awk -v a="$whole" -v b="$rest" 'BEGIN { printf "%.9g", (48 * a + 5 * b) / 53 }')" "$both" "weights of the windows"
same_number "$(field perplexity)" "$(awk -v x="$both" 'BEGIN { printf "%.9g", exp(x) }')" "perplexity"
expect 0 "$SINTER" eval base --data both --batch 1 --json --target "$(target)"
same_number "$(field loss)" "$both" "batch of one"
expect 0 "$SINTER" eval base --data whole rest --target "$(target)"
prints "3 windows of 16 and a last one of 6"
printf x > one
expect 3 "$SINTER" eval base --data one --target "$(target)"
expect 3 "$SINTER" eval . --data both --target "$(target)"

# a graph whose T is fixed takes no partial window: what is left out is said
sed 's/sn_sym(m, "T", .max = c->context)/sn_dim_of(c->context)/' "$gpt" > fixed.c
expect 0 "$SINTER" train fixed.c --data text $small --steps 2 --out fixed
expect 0 "$SINTER" eval fixed --data both --json --target "$(target)"
[ "$(field left_out)" = 5 ] && [ "$(field tokens)" = 48 ] || die "left out: $(cat stdout)"

# fine-tuning
expect 0 "$SINTER" train "$gpt" --data text $small --steps 5 --init base --trainable 'h.1.mlp.*|wpe*' --out tuned
says "2304 of 10576 parameters are trained"
for name in wte.weight h.0.attn.c_attn.weight h.0.mlp.c_fc.weight h.1.attn.c_proj.weight h.1.ln_2.weight ln_f.weight; do
  cmp -s <(tensor base/model.safetensors $name) <(tensor tuned/model.safetensors $name) || die "$name changed"
done
for name in h.1.mlp.c_fc.weight h.1.mlp.c_proj.weight wpe.weight; do
  ! cmp -s <(tensor base/model.safetensors $name) <(tensor tuned/model.safetensors $name) || die "$name did not change"
done
# the same steps with exceptions, and resumed: the same bits
expect 0 "$SINTER" train "$gpt" --data text $small --steps 5 --init base --trainable '-wte*|-*ln*|-h.0.*|-*attn*' --out again
cmp -s tuned/model.safetensors again/model.safetensors || die "patterns of the same parameters give other bits"
expect 0 "$SINTER" eval tuned --data both --target "$(target)"

# the plan: moments of what is trained only, fewer kernels and flops
report() { expect 0 "$SINTER" explain "$gpt" $set --target template --graph train --json "$@"; }
flops() { grep -o '"flops": [0-9]*' stdout | awk '{ s += $2 } END { printf "%d", s }'; }
report
all=$(flops)
report --trainable 'h.1.mlp.c_proj*'
some=$(flops)
[ $((2 * some)) -lt "$all" ] || die "one matrix trained: $some of $all flops"
states() { "$SINTER" dump "$gpt" $set --graph train "$@" --target template --emit plan | grep -c '^slot [0-9]* state '; }
[ "$(states)" = 31 ] || die "$(states) states instead of 2 x 15 moments and the step"
[ "$(states --trainable 'h.1.mlp.c_proj*')" = 3 ] || die "states of one matrix: $(states --trainable 'h.1.mlp.c_proj*')"
report
grep -q '"ops": "[^"]*scatter_add' stdout || die "the embeddings have no gradient"
report --trainable '-wte*|-wpe*'
grep -q '"ops": "[^"]*scatter_add' stdout && die "the embeddings are not trained and have a gradient"

# patterns that select nothing, files that do not fit
expect 2 "$SINTER" train "$gpt" --data text $small --steps 5 --trainable 'hh.1.*' --out none
says '15 names, the first "h.0.attn.c_attn.weight"; did you mean "h.1"?'
[ ! -e none ] || die "a refused run leaves a folder"
sed 's/"wpe.weight"/"places.weight"/' "$gpt" > other.c
expect 3 "$SINTER" train other.c --data text $small --steps 5 --init base --trainable 'wte*' --out none2
says "places.weight"
exit 0
