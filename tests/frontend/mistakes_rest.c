/* One mistake a graph; mistakes_rest.txt holds what is said about each. Line numbers matter: append only. */
#include "sinter.h"
/* clang-format off */
SN_SETTINGS(m0, (int, width, 64, "features"));
static sn_t in(sn_scope m, int n) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T", .max = 256), n)); }

static void old_scope(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_scope kept = m;
  sn_layers(h, m, "h", 2, &x) kept = h;
  sn_output(m, "y", sn_layernorm(kept, "norm", x));
}
static void grad_results(sn_scope m, const m0 *c) {
  sn_t w = sn_param(m, "w", (c->width)), a, b;
  sn_grad(sn_sum(w, "d->"), (w), (&a, &b));
}
static void no_rule(sn_scope m, const m0 *c) { sn_minimize(m, sn_sum(sn_param(m, "w", (c->width)), "d->"), NULL); }
static void start(sn_scope m, const m0 *c) { sn_positions(sn_with(m, .start = in(m, c->width)), in(m, c->width)); }
static void negative(sn_scope m, const m0 *c) { sn_output(m, "y", sn_cache(sn_with(m, .cache = -1), "k", in(m, c->width))); }
static void count(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_layers(h, m, "h", -1, &x) x = sn_neg(x);
}
static void rank(sn_scope m, const m0 *c) { sn_output(m, "y", sn_sum(in(m, c->width), "bt->b")); }
static void lost(sn_scope m, const m0 *c) { sn_output(m, "y", sn_rearrange(in(m, c->width), "btd->bt")); }
static void brackets(sn_scope m, const m0 *c) { sn_output(m, "y", sn_rearrange(in(m, c->width), "bt(d->btd")); }
static void unknown(sn_scope m, const m0 *c) { sn_output(m, "y", sn_rearrange(in(m, c->width), "bt(hd)->bthd")); }
static void repeated(sn_scope m, const m0 *c) { sn_output(m, "y", sn_einsum("btt->b", in(m, c->width))); }
static void arrow(sn_scope m, const m0 *c) { sn_output(m, "y", sn_sum(in(m, c->width), "btd")); }
static void index_shapes(sn_scope m, const m0 *c) {
  sn_t w = sn_param(m, "w", (c->width, 2));
  sn_output(m, "y", sn_index(w, sn_arange(m, 3), sn_arange(m, 2)));
}
static void index_count(sn_scope m, const m0 *c) { sn_output(m, "y", sn_index(in(m, c->width), 0, 1)); }
static void axis(sn_scope m, const m0 *c) { sn_output(m, "y", sn_slice(in(m, c->width), 3, 0, 1)); }
static void element(sn_scope m, const m0 *c) { sn_output(m, "y", sn_at(sn_param(m, "w", (c->width)), 64)); }
static void merge(sn_scope m, const m0 *c) { sn_output(m, "y", sn_merge(sn_param(m, "w", (c->width)))); }
static void last(sn_scope m, const m0 *c) { sn_output(m, "y", sn_softmax(sn_sum(in(m, c->width), "btd->"))); }
static void nameless(sn_scope m, const m0 *c) { sn_output(m, "y", sn_dropout(sn_with(m, .train = true), "", in(m, c->width), .5)); }
static void smooth(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_cross_entropy(x, sn_argmax(x), .smooth = 1));
}
static void integers(sn_scope m, const m0 *c) { sn_output(m, "y", sn_linear(m, "fc", sn_arange(m, c->width), 3)); }
static void no_axis(sn_scope m, const m0 *c) { sn_output(m, "y", sn_rmsnorm(m, "norm", sn_sum(in(m, c->width), "btd->"))); }
static void ranks(sn_scope m, const m0 *c) { sn_output(m, "y", sn_zeros(m, SN_REAL, (1, 1, 1, 1, 1, 1, 1, 1, c->width))); }
static void dim_name(sn_scope m, const m0 *c) { sn_output(m, "y", sn_zeros(m, SN_REAL, (sn_sym(m, "2B"), c->width))); }
static void dim_bounds(sn_scope m, const m0 *c) { sn_output(m, "y", sn_zeros(m, SN_REAL, (sn_sym(m, "B", .min = 9, .max = 8), c->width))); }
static void slopes(sn_scope m, const m0 *c) { sn_output(m, "y", sn_alibi_slope(sn_arange(m, 4), in(m, c->width))); }
static void batches(sn_scope m, const m0 *c) {
  sn_t q = sn_rearrange(in(m, c->width), "btd->bt1d"), k = sn_input(m, "k", SN_REAL, (3, 5, 1, c->width));
  sn_output(m, "y", sn_attention(q, k, k));
}
static void truth(sn_scope m, const m0 *c) { sn_output(m, "y", sn_exp(sn_gt(in(m, c->width), 0))); }
static void real_bits(sn_scope m, const m0 *c) { sn_output(m, "y", sn_and(in(m, c->width), true)); }
static void real_mod(sn_scope m, const m0 *c) { sn_output(m, "y", sn_mod(in(m, c->width), 2)); }

SN_MODEL(rest, m0, old_scope, grad_results, no_rule, start, negative, count, rank, lost, brackets, unknown, repeated, arrow,
         index_shapes, index_count, axis, element, merge, last, nameless, smooth, integers, no_axis, ranks, dim_name,
         dim_bounds, slopes, batches, truth, real_bits, real_mod);
