/* One mistake a graph; mistakes_more.txt holds what is said about each. Line numbers matter: append only. */
#include "sinter.h"
/* clang-format off */
SN_SETTINGS(m0, (int, width, 64, "features"));
static sn_t in(sn_scope m, int n) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T", .max = 256), n)); }

static void rule(sn_scope m, sn_t w, sn_t g, const void *opt) { (void)m, (void)opt; sn_update(w, sn_sub(w, g)); }
static void frozen(sn_scope m, const m0 *c) {
  sn_t y = sn_affine(sn_in(m, "base", .frozen = true), "fc", in(m, c->width), 8);
  sn_minimize(m, sn_mean(sn_square(y), "btd->"), rule);
}
static void bools(sn_scope m, const m0 *c) {
  sn_t x = sn_gt(in(m, c->width), 0);
  sn_output(m, "y", sn_einsum("btd->bt", x));
}
static void not_state(sn_scope m, const m0 *c) { sn_update(in(m, c->width), 3); }
static void next_type(sn_scope m, const m0 *c) {
  sn_t s = sn_state(m, "s", (c->width));
  sn_update(s, sn_rearrange(s, "d->d1"));
}
static void elsewhere(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_state(m, "s", (sn_size(x, 0), sn_size(x, 1), c->width));
  sn_layers(h, m, "h", 1, &x) {
    x = sn_neg(x);
    sn_update(s, x);
  }
  sn_output(m, "y", x);
}
static void inits(sn_scope m, const m0 *c) {
  sn_t a = sn_param(m, "w", (c->width), .init = sn_fill(1));
  sn_output(m, "y", sn_add(a, sn_param(m, "w", (c->width), .init = sn_normal(1))));
}
static void symbolic(sn_scope m, const m0 *c) { (void)c; sn_output(m, "y", sn_param(m, "w", (sn_sym(m, "B"), 3))); }
static void condition(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_where(x, x, 0));
}
static void parts(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), w = sn_param(m, "w", (8, 8));
  sn_output(m, "y", sn_concat(0, x, w));
}
static void targets(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "loss", sn_cross_entropy(x, sn_input(m, "targets", SN_I32, (3))));
}
static void turned(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12);
  sn_output(m, "y", sn_rope(q, sn_arange(m, 5)));
}
static void groups(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12), k = sn_affine(m, "k", in(m, c->width), 40, .heads = 5);
  sn_output(m, "y", sn_attention(q, k, k));
}
static void extent(sn_scope m, const m0 *c) { sn_output(m, "y", sn_zeros(m, SN_REAL, (c->width - 64, 3))); }
static void inner_training(sn_scope m, const m0 *c) {
  sn_t x = sn_param(m, "w", (c->width));
  sn_layers(h, m, "h", 1, &x) sn_minimize(h, sn_sum(x, "d->"), sn_sgd, NULL);
}

SN_MODEL(more, m0, frozen, bools, not_state, next_type, elsewhere, inits, symbolic, condition, parts, targets, turned,
         groups, extent, inner_training);
