#!/usr/bin/env bash
# Graphs on .npy files: results, gradients, every kind of wrong file; graph texts fed back after every pass; reports.
. "$(dirname "$0")/common.sh"
cd "$scratch" || exit 1
target=$(target) kernels=$(kernel_target)
mlp=$TREE/models/mlp.sn

# npy FILE DTYPE SHAPE BYTES: bytes as for printf
npy() {
  local head="{'descr': '$2', 'fortran_order': False, 'shape': ($3), }" n
  n=$(((10 + ${#head} + 1 + 63) / 64 * 64 - 10))
  printf "\\x93NUMPY\\x01\\x00\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))" >"$1"
  printf '%-*s\n' $((n - 1)) "$head" >>"$1"
  # shellcheck disable=SC2059
  printf "$4" >>"$1"
}
repeat() { for _ in $(seq "$2"); do printf '%s' "$1"; done; }
data() { tail -c "$2" "$1" | od -An -t"$3" -w"$2" | tr -s ' '; } # FILE BYTES FORMAT

one='\x00\x00\x80\x3f' # 1.0f
npy x.npy '<f4' '3, 8' "$(repeat "$one" 24)"
npy targets.npy '<i4' '3,' '\x00\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00'
expect 0 "$SINTER" inspect x.npy
prints "f32[3, 8]"

# ---- values, parameters, states ------------------------------------------------------------------------------------
run() { "$SINTER" run "$mlp" --target "$target" --in x=x.npy --in targets=targets.npy "$@"; }
expect 0 run --out loss=loss.npy --out w2=w2.npy --out b2=b2.npy
prints "loss = "
[ "$(data b2.npy 16 f4)" != " 0 0 0 0" ] || die "the update of b2 was not written"
expect 0 "$SINTER" inspect w2.npy
prints "f32[32, 4]"
expect 0 run --json
prints '{"loss": '
# the same start twice, and another seed
expect 0 run --out loss=again.npy
cmp loss.npy again.npy || die "two runs differ"
expect 0 run --seed 2 --out loss=other.npy
cmp -s loss.npy other.npy && die "the seed changes nothing"
# what a run wrote goes into the next one: the loss falls
expect 0 run --out loss=1.npy --out w1=w1.npy --out b1=b1.npy --out w2=w2.npy --out b2=b2.npy
expect 0 run --in w1=w1.npy --in b1=b1.npy --in w2=w2.npy --in b2=b2.npy --out loss=2.npy
awk -v a="$(data 1.npy 4 f4)" -v b="$(data 2.npy 4 f4)" 'BEGIN { exit !(b < a) }' || die "the loss does not fall"
# a graph with known values: y = x + 2 on three rows, and doubles come in as floats
cat >add.sn <<'SN'
sinter 1
dims { N: 1..8 }
graph @add {
  %1 = input name "x" : f32[N]
  %2 = const value 2 : f32[N]
  %3 = add %1, %2 : f32[N]
  output "y" = %3
}
graph @square {
  %1 = input name "x" : f32[N]
  %2 = mul %1, %1 : f32[N]
  %3 = sum %2 axes [0] : f32[]
  output "loss" = %3
}
SN
npy v.npy '<f8' '3,' '\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x08\xc0'
expect 0 "$SINTER" run add.sn --graph add --target "$target" --in x=v.npy --out y=y.npy
[ "$(data y.npy 12 f4)" = " 3 4 -1" ] || die "x + 2 gave$(data y.npy 12 f4)"

# ---- gradients -----------------------------------------------------------------------------------------------------
expect 0 "$SINTER" run add.sn --graph square --target "$target" --in x=v.npy --grad loss --wrt x --out grad.x=g.npy
prints "loss = 14"
prints "grad.x = f32[N]"
[ "$(data g.npy 12 f4)" = " 2 4 -6" ] || die "the gradient is$(data g.npy 12 f4)"
expect 0 run --grad loss --wrt w1,b2 --out grad.w1=gw.npy --out grad.b2=gb.npy
expect 0 "$SINTER" inspect gw.npy
prints "f32[8, 32]"
# parameters of repeated layers go by the names that `inspect` and `train` give them
cat >layers.c <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, n, 2, "layers"));
static void net(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (sn_sym(m, "N")));
  sn_layers(h, m, "h", c->n, &x) x = sn_mul(x, sn_param(h, "w", (), .init = sn_fill(3)));
  sn_output(m, "loss", sn_sum(x, "n->"));
}
SN_MODEL(net, opts, net);
C
expect 0 "$SINTER" run layers.c --target "$target" --in x=v.npy --grad loss --wrt h.0.w,h.1.w,x --out grad.h.1.w=g1.npy --out grad.x=g.npy
prints "grad.h.0.w = 0"
[ "$(data g.npy 12 f4)" = " 9 9 9" ] || die "the gradient through layers is$(data g.npy 12 f4)"
expect 2 "$SINTER" run layers.c --target "$target" --in x=v.npy --grad loss --wrt h.2.w
# scalars of every type are printed as what they are, in JSON too
cat >scalars.sn <<'SN'
sinter 1
graph @g {
  %1 = const value -1.5 : f32[]
  %2 = cast %1 to bf16 : bf16[]
  %3 = cast %1 to i8 : i8[]
  %4 = sqrt %1 : f32[]
  %5 = const value 1234567891 : i32[]
  output "narrow" = %2
  output "tiny" = %3
  output "nan" = %4
  output "large" = %5
}
SN
expect 0 "$SINTER" run scalars.sn --target "$target" --json
for value in '"narrow": -1.5' '"tiny": -1' '"nan": null' '"large": 1234567891'; do prints "$value"; done
expect 2 run --grad loss
says "--grad and --wrt go together"
expect 2 run --grad lose --wrt w1
says "no output of that name"
expect 2 run --grad loss --wrt w9
says "no input, parameter or state of that name"
expect 3 run --grad loss --wrt targets
says "float"

# ---- wrong files ---------------------------------------------------------------------------------------------------
alone() { "$SINTER" run "$mlp" --target "$target" "$@"; }
expect 2 alone --in targets=targets.npy
says "input x of graph train is missing: --in x=FILE.npy with f32[B, 8]"
expect 2 alone --in z=x.npy
says "no input, parameter or state of that name"
expect 2 run --out z=z.npy
says "no output, parameter or state of that name"
expect 3 alone --in x=none.npy --in targets=targets.npy
says "none.npy"
expect 3 alone --in x=targets.npy --in targets=targets.npy
says "expected: f32[B, 8]"
says "found:    [3]"
npy wide.npy '<f4' '3, 9' "$(repeat "$one" 27)"
expect 3 alone --in x=wide.npy --in targets=targets.npy
says "found:    [3, 9]"
npy two.npy '<i4' '2,' '\x00\x00\x00\x00\x01\x00\x00\x00'
expect 3 alone --in x=x.npy --in targets=two.npy
says "dim B has two values"
expect 3 alone --in x=x.npy --in targets=x.npy
says "targets"
expect 3 run --dim B=5
says "dim B has two values"
expect 2 run --dim B=5000
says "1 to 1024"
expect 2 run --dim Q=5
says "no dim of that name"
size=$(stat -c %s x.npy)
for bytes in 0 1 6 9 10 64 127 128 $((size - 1)); do
  head -c "$bytes" x.npy >cut.npy
  expect 3 alone --in x=cut.npy --in targets=targets.npy
  says "cut.npy"
done
npy huge.npy '<f4' '9223372036854775807, 8' "$one"
expect 3 alone --in x=huge.npy --in targets=targets.npy
npy order.npy '<f4' '3, 8' "$(repeat "$one" 24)"
sed -i 's/False/True /' order.npy
expect 3 alone --in x=order.npy --in targets=targets.npy
npy object.npy '|O' '3, 8' "$(repeat "$one" 24)"
expect 3 alone --in x=object.npy --in targets=targets.npy
npy ints.npy '<i4' '3, 8' "$(repeat "$one" 24)"
expect 3 alone --in x=ints.npy --in targets=targets.npy

# ---- texts fed back ------------------------------------------------------------------------------------------------
"$SINTER" dump "$mlp" --pass nothing 2>names
passes=$(sed -n 's/.*there are: \(.*\); behind.*/\1/p' names)
[ "$(echo "$passes" | wc -w)" -ge 10 ] || die "too few passes: $passes"
same_text() { # MODEL ARGUMENTS...: printed after each pass, parsed, printed again
  local pass
  for pass in $passes; do
    expect 0 "$SINTER" dump "$@" --pass "$pass"
    cp stdout first.sn
    expect 0 "$SINTER" opt first.sn --pass none
    cmp first.sn stdout || die "after pass $pass, $* does not print as it was read"
  done
}
same_text "$mlp"
same_text "$TREE/models/gpt.c" --set layers=2 --set dropout=0.1 --set bias=1
same_text "$TREE/models/llama.c" --set layers=2
# a text from the middle of the pipeline runs, and gives what the model gives
expect 0 "$SINTER" opt "$mlp" --pass dce2
cp stdout lowered.sn
expect 0 "$SINTER" run lowered.sn --target "$target" --in x=x.npy --in targets=targets.npy --out loss=lowered.npy
cmp loss.npy lowered.npy || die "the graph after dce2 gives another loss"
# and so does one from its end, of a model whose kernels have several outputs
cat >two.c <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, width, 8, "features"));
static void net(sn_scope m, const opts *c) {
  sn_t x = sn_gather(sn_param(m, "w", (16, c->width)), sn_input(m, "i", SN_I32, (sn_sym(m, "N"))));
  sn_output(m, "y", sn_add(x, sn_linear(m, "l", sn_softmax(x), c->width)));
}
SN_MODEL(two, opts, net);
C
npy i.npy '<i4' '2,' '\x01\x00\x00\x00\x05\x00\x00\x00'
expect 0 "$SINTER" run two.c --target "$target" --in i=i.npy --out y=model.npy
expect 0 "$SINTER" dump two.c --pass fuse
cp stdout fused.sn
expect 0 "$SINTER" run fused.sn --target "$target" --in i=i.npy --out y=text.npy
[ "$target" != cpu ] || cmp model.npy text.npy || die "the graph after fuse gives another result"
# edited, it gives something else
sed 's/relu/tanh/' "$mlp" >edited.sn
expect 0 "$SINTER" run edited.sn --target "$target" --in x=x.npy --in targets=targets.npy --out loss=edited.npy
cmp -s loss.npy edited.npy && die "the edit changes nothing"

# ---- reports -------------------------------------------------------------------------------------------------------
parses() { if command -v python3 >/dev/null; then python3 -m json.tool <stdout >/dev/null || die "no JSON: $(head -c 500 stdout)"; fi; }
expect 0 "$SINTER" explain "$mlp" --target "$kernels" --dim B=4 --json
parses
for member in '"kernels": [' '"refused": [' '"buffers": [' '"peak_bytes": '; do prints "$member"; done
prints '"bytes_read": '
expect 0 "$SINTER" explain "$mlp" --target "$kernels" --dim B=4
prints "B = 4"
expect 0 "$SINTER" explain "$TREE/models/gpt.c" --graph eval --target "$kernels" --set layers=1 --json
parses
expect 0 "$SINTER" bench "$mlp" --target "$kernels" --dim B=4 --repeat 1
prints "all"
expect 0 "$SINTER" bench "$mlp" --target "$kernels" --dim B=4 --repeat 1 --json
parses
prints '"median_ms": '
expect 0 "$SINTER" bench "$mlp" --target "$kernels" --dim B=4 --repeat 1 --ladder --svg ladder.svg
prints "map,rows,contract"
prints "without the optimiser"
grep -q '<svg' ladder.svg || die "no chart"
expect 0 "$SINTER" doctor --json
parses

# ---- a folder as initial weights, and one that cannot generate -----------------------------------------------------
cat >table.c <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, vocab, 256, "tokens"), (int, context, 8, "positions"));
static sn_t loss(sn_scope m, const opts *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = c->context);
  sn_t table = sn_param(m, "table", (c->vocab, c->vocab));
  return sn_cross_entropy(sn_gather(table, sn_input(m, "tokens", SN_I32, (B, T))), sn_input(m, "targets", SN_I32, (B, T)));
}
static void train(sn_scope m, const opts *c) { sn_minimize(m, loss(m, c), sn_sgd, NULL); }
static void eval(sn_scope m, const opts *c) { sn_output(m, "loss", loss(m, c)); }
SN_MODEL(table, opts, train, eval);
C
seq 200 >numbers.txt
expect 0 "$SINTER" train table.c --data numbers.txt --steps 2 --batch 2 --target "$target" --out run
npy t.npy '<i4' '1, 1' '\x31\x00\x00\x00'
ask() { "$SINTER" run table.c --graph eval --target "$target" --in tokens=t.npy --in targets=t.npy "$@"; }
expect 0 ask --init run --out loss=a.npy
expect 0 ask --init run/model.safetensors --out loss=b.npy
cmp a.npy b.npy || die "a folder and its file give different weights"
expect 3 ask --init numbers.txt
expect 3 "$SINTER" generate run --prompt 1
says "no graph prefill, decode or logits"

# ---- ids outside of a table ----------------------------------------------------------------------------------------
for bad in '\x00\x01\x00\x00' '\xff\xff\xff\xff'; do # 256, -1
  npy bad.npy '<i4' '1, 1' "$bad"
  expect 3 "$SINTER" run table.c --graph eval --target "$target" --in tokens=bad.npy --in targets=t.npy
  says "table.c:6"
  says "outside of"
  expect 3 "$SINTER" run table.c --graph eval --target "$target" --in tokens=t.npy --in targets=bad.npy
  says "outside of"
done
