#!/usr/bin/env bash
# NaN and infinity at one place of a model after the other: training ends with exit code 6, names the first op that gave
# them at the user's line, and leaves the weights of the step before.
. "$(dirname "$0")/common.sh"
skip_without_cpu # the interpreter counts in f64, where less overflows
cd "$scratch" || exit 1
target=$(target)
cat >m.c <<'C'
#include "sinter.h"
SN_SETTINGS(opts, (int, vocab, 256, "tokens"), (int, context, 8, "positions"), (int, place, 0, "where it goes wrong"));
#define AT(n, bad) if (c->place == n) x = (bad)
static sn_t zero(sn_t x) { return sn_mul(x, 0); }
static sn_t logits(sn_scope m, sn_t tokens, const opts *c) {
  sn_t x = sn_gather(sn_param(m, "embed", (c->vocab, 8)), tokens);
  AT(1, sn_log(zero(x)));
  AT(2, sn_div(x, zero(x)));
  AT(3, sn_sqrt(sn_sub(zero(x), 1)));
  AT(4, sn_exp(sn_add(zero(x), 200)));
  AT(5, sn_mul(sn_add(zero(x), 1e30), 1e30));
  AT(6, sn_rsqrt(zero(x)));
  AT(7, sn_pow(sn_sub(zero(x), 2), 0.5));
  AT(8, sn_add(x, INFINITY));
  AT(9, sn_add(x, sn_rearrange(sn_sum(sn_add(zero(x), 3e38), "bti->bt"), "bt->bt1")));
  AT(10, sn_sub(sn_sub(zero(x), 3e38), 3e38));
  AT(11, sn_square(sn_add(zero(x), 1e25)));
  AT(12, sn_log(sn_sub(zero(x), 1)));
  AT(13, sn_softmax(sn_mul(sn_add(zero(x), 2), NAN)));
  AT(14, sn_einsum("bti,btj->btj", sn_add(zero(x), 1e20), sn_add(x, 1e20)));
  x = sn_einsum("bti,ij->btj", x, sn_param(m, "hidden", (8, 8)));
  AT(15, sn_div(1, zero(x)));
  x = sn_gelu(x);
  AT(16, sn_pow(zero(x), -1));
  x = sn_layernorm(m, "norm", x);
  AT(17, sn_mul(x, sn_exp(sn_add(zero(x), 89))));
  x = sn_einsum("bti,iv->btv", x, sn_param(m, "out", (8, c->vocab)));
  AT(18, sn_div(x, sn_sub(sn_add(zero(x), 1), 1)));
  AT(19, sn_add(x, sn_mul(x, INFINITY)));
  AT(20, sn_sqrt(zero(x))); /* forward all is well; its gradient is not */
  return x;
}
static sn_t loss(sn_scope m, const opts *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = c->context);
  return sn_cross_entropy(logits(m, sn_input(m, "tokens", SN_I32, (B, T)), c), sn_input(m, "targets", SN_I32, (B, T)));
}
static void train(sn_scope m, const opts *c) { sn_minimize(m, loss(m, c), sn_adamw, NULL); }
static void eval(sn_scope m, const opts *c) { sn_output(m, "loss", loss(m, c)); }
SN_MODEL(m, opts, train, eval);
C
seq 500 >text
train() { "$SINTER" train m.c --data text --batch 2 --eval-batches 1 --steps 3 --target "$target" --threads 1 "$@" </dev/null; }
# the tensors of a folder without the header, which holds the settings
tensors() { tail -c +$((9 + $(od -An -tu8 -N8 "$1/model.safetensors"))) "$1/model.safetensors"; }
expect 0 train --out good
[ "$(tensors good | wc -c)" -gt 16000 ] || die "the weights are not found"
for place in $(seq 20); do
  line=$(grep -n "AT($place," m.c | cut -d: -f1)
  expect 6 train --set place=$place --init good --out bad --force
  says "m.c:$line"
  says "gives"
  says "the weights are those of the step before"
  cmp <(tensors good) <(tensors bad) || die "place $place: the weights changed"
done
exit 0
