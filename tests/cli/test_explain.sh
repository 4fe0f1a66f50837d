#!/usr/bin/env bash
# The plan report: nothing of size T x T, frozen parameters cost nothing, fusion saves kernels and bytes.
. "$(dirname "$0")/common.sh"
gpt="$TREE/models/gpt.c"
t="--target template"
largest() { grep -o '"bytes": [0-9]*' "$scratch/stdout" | sort -k2 -n | tail -n 1 | cut -d' ' -f2; }
kernels() { grep -c '"kind": ' "$scratch/stdout"; }
bytes() { grep -o '"bytes_\(read\|written\)": [0-9]*' "$scratch/stdout" | awk '{ s += $2 } END { printf "%d", s }'; }

# T = 4096, forward and backward: T x T floats would be 67,108,864 bytes per head
for graph in eval train; do
  expect 0 "$SINTER" explain "$gpt" $t --graph $graph --set context=4096 --set layers=2 --dim B=1 --dim T=4096 --json
  [ "$(largest)" -lt 67108864 ] || die "$graph: a buffer of $(largest) bytes at T = 4096"
  expect 0 "$SINTER" explain "$gpt" $t --graph $graph --set context=4096 --set layers=2 --dim B=1 --dim T=4096 --json --fuse map,rows,contract
  [ "$(largest)" -ge 67108864 ] || die "$graph: without the attention kernel a T x T buffer is expected, found $(largest) bytes"
done

# what is counted without a store: BERT-base is 109,482,240 numbers, and 624,188 more in its two heads
expect 0 "$SINTER" explain "$TREE/models/bert.c" $t --graph encode --dim B=1 --dim T=8
prints '109482240 parameters in 199 tensors'
expect 0 "$SINTER" explain "$TREE/models/bert.c" $t --graph eval_pretrain --dim B=1 --dim T=8 --dim K=2 --json
prints '"parameters": {"count": 110106428, "tensors": 206}'

# frozen parameters: no gradient kernel, no optimiser
model() { # PATTERN
  cat > "$scratch/m.c" <<C
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 32, "features"));
static void sgd(sn_scope m, sn_t w, sn_t g, const void *o) { (void)m, (void)o; sn_update(w, sn_sub(w, sn_mul(.1, g))); }
static void train(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), c->width));
  sn_t h = sn_tanh(sn_linear(m, "first", x, c->width));
  sn_t y = sn_linear(m, "second", h, c->width);
  sn_t loss = sn_mean(sn_square(y), "bi->");
  sn_output(m, "loss", loss);
  sn_minimize(m, loss, sgd, NULL, .on = "$1");
}
SN_MODEL(m, opts, train);
C
}
model '*'
expect 0 "$SINTER" explain "$scratch/m.c" $t --json --fuse none
all=$(grep -c '"kind": "contract"' "$scratch/stdout")
model 'second*'
expect 0 "$SINTER" explain "$scratch/m.c" $t --json --fuse none
some=$(grep -c '"kind": "contract"' "$scratch/stdout")
[ "$all" = 5 ] || die "two layers trained: $all products instead of 5"
[ "$some" = 3 ] || die "one layer frozen: $some products instead of 3 (forward 2, gradient of the second)"

# all fused against nothing fused, the training step
expect 0 "$SINTER" explain "$gpt" $t --graph train --json --fuse none
k0=$(kernels) b0=$(bytes)
prints '"refused": ['
expect 0 "$SINTER" explain "$gpt" $t --graph train --json
k1=$(kernels) b1=$(bytes)
prints '"reason": '
echo "kernels $k0 -> $k1, bytes $b0 -> $b1"
[ "$k0" -ge $((4 * k1)) ] || die "less than 4 times fewer kernels: $k0 -> $k1"
[ "$b0" -ge $((3 * b1)) ] || die "less than 3 times fewer bytes: $b0 -> $b1"
expect 0 "$SINTER" explain "$gpt" $t --graph train
prints "temporary buffers"
prints "not fused"

# names of fusions and passes are checked
expect 2 "$SINTER" explain "$scratch/m.c" $t --fuse map,mpa
says 'unknown kind of fusion "mpa"'
expect 2 "$SINTER" explain "$scratch/m.c" $t --disable canno.add_concat
says 'canno.add_concat'

# ... and so are rules: names that would do nothing are refused, every rule of the sources is known
for rule in canon2 canon.nothing dce2 expand.nothing fuse.map; do
  expect 2 "$SINTER" explain "$scratch/m.c" $t --disable "canon,$rule"
  says "no rule $rule can be switched off"
done
rules=$(grep -rhoE '"(inline|attention|chunk|grad|expand|canon|fold|cse|dce|precision|quantize|fuse|order|memory|simplify|math)[.][a-z_0-9]+"' \
  "$TREE/passes" --include='*.c' | tr -d '"' | sort -u | grep -v '^inline\|^grad\|^expand' | tr '\n' ',')
[ "$(tr -cd , <<<"$rules" | wc -c)" -ge 50 ] || die "too few rules were found: $rules"
expect 0 "$SINTER" explain "$scratch/m.c" $t --disable "$rules"

# what decides at run time is in the report
sed -n '/^```c model steps.c/,/^```/p' "$TREE/docs/model.md" | sed '1d;$d' >"$scratch/steps.c"
expect 0 "$SINTER" explain "$scratch/steps.c" $t
grep -q '^ *choose  *if true: kernels [0-9]* to [0-9]*, if false: kernels [0-9]* to [0-9]*   @ .*steps.c:' "$scratch/stdout" || die "no line for choose: $(cat "$scratch/stdout")"
grep -q '^ *while  *test: kernels [0-9]* to [0-9]*, round: kernels [0-9]* to [0-9]*, at most 100 rounds' "$scratch/stdout" || die "no line for while: $(cat "$scratch/stdout")"
expect 0 "$SINTER" explain "$scratch/steps.c" $t --json
prints '"kind": "choose"'
prints '"limit": 100'
grep -q '^' <<<"$(command -v python3)" && python3 - "$scratch/stdout" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
steps = {k["step"] for k in r["kernels"]} | {k["step"] for k in r["control"]}
for c in r["control"]:
    for name in ("yes", "no") if c["kind"] == "choose" else ("test", "body"):
        first, last = c[name]
        assert first <= last and all(s in steps for s in range(first, last + 1)), c
PY
[ $? = 0 ] || die "the blocks of --json are not steps"

# a graph text with one graph needs no --graph
cat >"$scratch/one.sn" <<'SN'
sinter 1
graph @only {
  %x = input name "x" : f32[64]
  %y = neg %x : f32[64]
  output "y" = %y
}
SN
expect 0 "$SINTER" bench "$scratch/one.sn" $t --repeat 1
prints "only"
expect 0 "$SINTER" bench "$scratch/one.sn" $t --repeat 1 --ladder
printf '#include "sinter.h"\nSN_SETTINGS(opts, (int, width, 4, "features"));\nstatic void net(sn_scope m, const opts *c) { sn_output(m, "y", sn_exp(sn_input(m, "x", SN_REAL, (c->width)))); }\nSN_MODEL(one, opts, net);\n' > "$scratch/one.c"
expect 0 "$SINTER" bench "$scratch/one.c" $t --repeat 1
prints "net"

# steps that need nothing of each other stand side by side: q, k and v of a layer before what is made of them
expect 0 "$SINTER" explain "$TREE/models/llama.c" $t --graph decode --dim B=1
awk '$2 == "contract" { if (++n > most) most = n } $2 != "contract" { n = 0 } END { exit most < 3 }' "$scratch/stdout" ||
  die "the products of one input are not neighbours"

exit 0
