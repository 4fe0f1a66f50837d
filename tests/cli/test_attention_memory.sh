#!/usr/bin/env bash
# Variants by score and mask of models/attention are attention and nothing else, values and all gradients, of a sequence of
# 16384: no product of its own, and what is kept grows with the length, not its square (compile_test_attention_memory
# looks at every slot of every variant).
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

# Exact top-k makes products of what it gathered: the check can fail.
expect 0 "$SINTER" explain "$TREE/models/attention/topk.c" --graph gradients --dim B=1 --dim T=16384 --target "$on" --json
finds '"kind": "contract"' "$scratch/stdout" || die "top-k without products"

# Whatever is captured: no products beside those with few rows, and everything agrees with the interpreter. Where
# attention does run as products, explain says so and why.
cat > "$scratch/forms.c" <<'C'
#include "sinter.h"
SN_SETTINGS(forms, (int, heads, 2, "heads"));
typedef struct { sn_t w, t, n; } captured; /* [63, 16] rows, [2, 40, 32], [2, 300, 300] */
#define W ((const captured *)opt)->w
#define FAR(at) sn_sub((at).q, (at).k)
static sn_t by_key(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, W, at.k)); }
static sn_t by_far(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, W, sn_add(FAR(at), 31))); }
static sn_t by_near(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, W, sn_abs(FAR(at)))); }
static sn_t by_head(sn_t s, sn_site at, const void *opt) {
  return sn_add(s, sn_dot_q(at, W, sn_add(sn_min(sn_max(FAR(at), -20), 20), sn_add(at.head, 20))));
}
static sn_t by_both(sn_t s, sn_site at, const void *opt) {
  return sn_add(s, sn_dot_q(at, W, sn_mod(sn_add(at.q, sn_mul(at.k, 2)), 63)));
}
static sn_t many(sn_t s, sn_site at, const void *opt) {
  for (int i = 0; i < 9; i++) s = sn_add(s, sn_index(((const captured *)opt)->t, at.head, i, at.k));
  return s;
}
static sn_t large(sn_t s, sn_site at, const void *opt) {
  return sn_add(s, sn_index(((const captured *)opt)->t, at.head, sn_mod(at.q, 40), sn_mod(sn_mul(at.k, 5), 32)));
}
static sn_t huge(sn_t s, sn_site at, const void *opt) {
  return sn_add(s, sn_index(((const captured *)opt)->n, at.head, sn_mod(at.q, 300), sn_mod(at.k, 300)));
}
static void with(sn_scope m, sn_score score, int start, bool gradient) {
  sn_dim B = sn_sym(m, "B", .max = 2), T = sn_sym(m, "T", .max = 32);
  sn_t x = sn_input(m, "x", SN_REAL, (B, T, 2, 16)), d[3], at = {0};
  captured o = {sn_param(m, "w", (63, 16)), sn_param(m, "t", (2, 40, 32)), sn_param(m, "n", (2, 300, 300))};
  sn_t *used = score == huge ? &o.n : score == many || score == large ? &o.t : &o.w;
  if (start) at = start == 1 ? sn_input(m, "start", SN_I32, ()) : sn_input(m, "start", SN_I32, (B));
  sn_t y = sn_attention(x, x, x, .score = score, .opt = &o, .start = at);
  if (gradient) sn_grad(sn_sum(sn_mul(y, y), "bthd->"), (x, *used), (d, d + 1));
  if (gradient) sn_output(m, "dx", d[0]);
  sn_output(m, "y", gradient ? d[1] : y);
}
#define GRAPH(name, score, start, gradient) \
  static void name(sn_scope m, const forms *c) { (void)c, with(m, score, start, gradient); }
GRAPH(far, by_far, 0, true)
GRAPH(near, by_near, 0, true)
GRAPH(head, by_head, 0, true)
GRAPH(both, by_both, 0, true)
GRAPH(keys, by_key, 0, true)
GRAPH(reads, many, 0, true)
GRAPH(wide, large, 0, true)
GRAPH(later_near, by_head, 2, true)
GRAPH(later, by_head, 1, true)
GRAPH(later_both, by_both, 2, false)
GRAPH(too_many, huge, 0, true)
SN_MODEL(forms, forms, far, near, head, both, keys, reads, wide, later_near, later, later_both, too_many);
C
for graph in far near head both keys reads wide later_near later later_both; do
  expect 0 "$SINTER" explain "$scratch/forms.c" --graph $graph --dim B=2 --dim T=19 --target "$on"
  ! finds 'products and softmax' "$scratch/stdout" || die "$graph: products"
done
for graph in both later_near; do
  expect 0 "$SINTER" bisect "$scratch/forms.c" --graph $graph --dim B=2 --dim T=19 --target "$on"
done
expect 0 "$SINTER" explain "$scratch/forms.c" --graph too_many --target "$on"
prints ": products and softmax: positions choose among more than 65536 entries of a captured tensor"

cat > "$scratch/rows.c" <<'C'
#include "sinter.h"
SN_SETTINGS(rows, (int, heads, 2, "heads"));
static sn_t by_key(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, *(const sn_t *)opt, at.k)); }
static void keys(sn_scope m, const rows *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T", .max = 4096);
  sn_t x = sn_input(m, "x", SN_REAL, (B, T, c->heads, 16)), w = sn_param(m, "w", (4096, 16));
  sn_output(m, "y", sn_attention(x, x, x, .score = by_key, .opt = &w));
}
SN_MODEL(rows, rows, keys);
C
expect 0 "$SINTER" explain "$scratch/rows.c" --graph keys --target "$on"
prints ": products and softmax: kernels make products of queries with rows by query less key, or with up to 1024 rows"

# Without fusion the rows of xl are picked from all products of queries with rows, whose gradient is large.
targets=$on
if "$SINTER" doctor | finds '^target vulkan *device'; then targets="$on vulkan"; fi
for target in $targets; do
  expect 0 "$SINTER" bisect "$TREE/models/attention/xl.c" --graph gradients --dim B=1 --dim T=9 --fuse none --target "$target"
done
