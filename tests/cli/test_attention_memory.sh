#!/usr/bin/env bash
# Variants by score and mask of models/attention are attention and nothing else, values and all gradients, of a sequence of
# 16384: no product of its own, and what is kept grows with the length, not its square.
. "$(dirname "$0")/common.sh"
on=$(kernel_target)

for stem in window bigbird tree alibi t5 kerple sigmoid; do
  expect 0 "$SINTER" explain "$TREE/models/attention/$stem.c" --graph gradients --dim B=1 --dim T=16384 --target "$on" --json
  cp "$scratch/stdout" "$scratch/report"
  prints "\"attention.$stem\""
  prints "attention_grad.$stem"
  ! finds '"kind": "contract"' "$scratch/report" || die "$stem: products outside of attention"
  peak=$(sed -n 's/.*"peak[a-z_]*": \([0-9]*\).*/\1/p' "$scratch/report" | head -n 1)
  [ -n "$peak" ] || die "$stem: no peak in $(tail -n 5 "$scratch/report")"
  [ "$peak" -lt $((16 << 20)) ] || die "$stem: $peak bytes"
done

# Exact top-k takes all scores: the check can fail.
expect 0 "$SINTER" explain "$TREE/models/attention/topk.c" --graph gradients --dim B=1 --dim T=16384 --target "$on" --json
finds '"kind": "contract"' "$scratch/stdout" || die "top-k without products"

# Where attention does run as products, explain says so and why.
cat > "$scratch/forms.c" <<'C'
#include "sinter.h"
SN_SETTINGS(forms, (int, heads, 2, "heads"));
static sn_t by_key(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, *(const sn_t *)opt, at.k)); }
static sn_t by_far(sn_t s, sn_site at, const void *opt) {
  return sn_add(s, sn_dot_q(at, *(const sn_t *)opt, sn_add(sn_sub(at.q, at.k), 31)));
}
static sn_t many(sn_t s, sn_site at, const void *opt) {
  for (int i = 0; i < 9; i++) s = sn_add(s, sn_index(*(const sn_t *)opt, i, at.k));
  return s;
}
static void with(sn_scope m, sn_score score, bool started, bool gradient) {
  sn_dim B = sn_sym(m, "B", .max = 2), T = sn_sym(m, "T", .max = 32);
  sn_t x = sn_input(m, "x", SN_REAL, (B, T, 2, 16)), w = sn_param(m, "w", (63, 16)), t = sn_param(m, "t", (9, 32)), d;
  sn_t start = started ? sn_input(m, "start", SN_I32, (B)) : (sn_t){0};
  sn_t y = sn_attention(x, x, x, .score = score, .opt = score == many ? &t : &w, .start = start);
  if (gradient) sn_grad(sn_sum(y, "bthd->"), (score == many ? t : w), (&d));
  sn_output(m, "y", gradient ? d : y);
}
static void rows(sn_scope m, const forms *c) { (void)c, with(m, by_far, false, true); }
static void keys(sn_scope m, const forms *c) { (void)c, with(m, by_key, false, false); }
static void reads(sn_scope m, const forms *c) { (void)c, with(m, many, false, false); }
static void reads_back(sn_scope m, const forms *c) { (void)c, with(m, many, false, true); }
static void later(sn_scope m, const forms *c) { (void)c, with(m, by_far, true, false); }
static void later_back(sn_scope m, const forms *c) { (void)c, with(m, by_far, true, true); }
SN_MODEL(forms, forms, rows, keys, reads, reads_back, later, later_back);
C
sed -i 's/, false, /, false, /; s/{ with/{ (void)c; with/' "$scratch/forms.c"
for graph in rows reads reads_back later; do
  expect 0 "$SINTER" explain "$scratch/forms.c" --graph $graph --target "$on"
  ! finds 'products and softmax' "$scratch/stdout" || die "$graph: products"
done
expect 0 "$SINTER" explain "$scratch/forms.c" --graph keys --target "$on"
prints ": products and softmax: kernels make products of queries with rows by query less key"
for graph in later_back; do
  expect 0 "$SINTER" explain "$scratch/forms.c" --graph $graph --target "$on"
  prints ": products and softmax: its kernels make no gradient of a captured tensor that is read like this"
done
