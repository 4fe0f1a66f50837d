/* One mistake a graph; mistakes.txt holds what is said about each. Line numbers matter: append only. */
#include "sinter.h"
/* clang-format off */
SN_SETTINGS(m0, (int, width, 64, "features"));
static sn_t in(sn_scope m, int n) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T", .max = 256), n)); }

static void broadcast(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_t bias = sn_param(m, "bias", (c->width + 1));
  sn_output(m, "y", sn_gelu(sn_add(sn_mul(x, 2), bias)));
}
static void heads(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12);
  sn_t k = sn_affine(m, "k", in(m, c->width), 80,
                     .heads = 5);
  sn_output(m, "y", sn_attention(q, k,
                                 k, .mask = sn_causal));
}
static sn_t not_a_mask(sn_site at, const void *opt) { (void)opt; return sn_sub(at.q, at.k); }
static void mask(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12);
  sn_output(m, "y", sn_attention(q, q, q, .mask = not_a_mask));
}
static void layer(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_layers(h, m, "h", 4, &x) x = sn_affine(h, "fc", x, 2 * c->width);
  sn_output(m, "y", x);
}
static void leak(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), first = x;
  sn_layers(h, m, "h", 4, &x) {
    x = sn_relu(sn_affine(h, "fc", x, c->width));
    if (sn_layer(h) == 0) first = x;
  }
  sn_output(m, "y", sn_add(x, first));
}
static void letters(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), w = sn_param(m, "w", (c->width, 8));
  sn_output(m, "y", sn_einsum("btd,cd->btc", x, w));
}
static void rule(sn_scope m, sn_t w, sn_t g, const void *opt) { (void)m, (void)opt; sn_update(w, sn_sub(w, g)); }
static void pattern(sn_scope m, const m0 *c) {
  sn_t y = sn_affine(m, "decoder.fc", in(m, c->width), 8);
  sn_minimize(m, sn_mean(sn_square(y), "btd->"), rule, .on = "decodr.*");
}
static void missing(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12);
  sn_output(m, "y", sn_attention(q, q));
}
static void elements(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_add(x, sn_gt(x, 0)));
}
static sn_t helper(sn_scope m, sn_t x) { return sn_add(x, sn_param(m, "b", (3))); }
static void nested(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_layers(h, m, "h", 2, &x) {
    sn_layers(g, h, "g", 2, &x) x = helper(g, x);
  }
  sn_output(m, "y", x);
}
static void two_types(sn_scope m, const m0 *c) {
  sn_t a = sn_param(m, "w", (c->width));
  sn_t b = sn_param(m, "w", (c->width, 1));
  sn_output(m, "y", sn_add(a, b));
}
static void bounds(sn_scope m, const m0 *c) {
  sn_dim a = sn_sym(m, "T", .max = 8);
  sn_dim b = sn_sym(m, "T", .max = c->width);
  sn_output(m, "y", sn_zeros(m, SN_REAL, (a, b)));
}
static void twice(sn_scope m, const m0 *c) {
  sn_t s = sn_state(m, "s", (c->width));
  sn_update(s, sn_add(s, 1));
  sn_update(s, sn_add(s, 2));
}
static void outside(sn_scope m, const m0 *c) { sn_output(m, "y", sn_slice(in(m, c->width), -1, 60, 5)); }
static void positions(sn_scope m, const m0 *c) {
  sn_t wpe = sn_param(m, "wpe", (128, c->width));
  sn_output(m, "y", sn_gather(wpe, sn_positions(m, in(m, c->width))));
}
static void cache(sn_scope m, const m0 *c) { sn_output(m, "y", sn_cache(sn_with(m, .cache = 255), "k", in(m, c->width))); }
static void split(sn_scope m, const m0 *c) { sn_output(m, "y", sn_rearrange(in(m, c->width), "bt(hd)->bthd", .h = 12)); }
static void picture(sn_scope m, const m0 *c) { sn_output(m, "y", sn_sum(in(m, c->width), "btd->bx")); }
static void inner_output(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_layers(h, m, "h", 2, &x) {
    x = sn_neg(x);
    sn_output(m, "x", x);
  }
}
static void taken(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", x);
  sn_output(m, "y", sn_neg(x));
}
static void believed(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_expect(x, (sn_size(x, 0), c->width)));
}
static void inputs(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_add(x, sn_cast(sn_input(m, "x", SN_I32, (c->width)), SN_REAL)));
}
static void number(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12);
  sn_output(m, "y", sn_attention(q, q, 3));
}
static void operands(sn_scope m, const m0 *c) { sn_output(m, "y", sn_einsum("btd,de->bte", in(m, c->width))); }
static void index(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_gather(sn_param(m, "w", (8, 8)), x));
}
static void dropout(sn_scope m, const m0 *c) { sn_output(m, "y", sn_dropout(m, "d", in(m, c->width), 1.5)); }
static void uneven(sn_scope m, const m0 *c) { sn_output(m, "y", sn_linear(m, "q", in(m, c->width), 65, .heads = 2)); }
static void both(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_t a = sn_add(x, sn_param(m, "a", (3)));
  sn_t b = sn_sub(sn_exp(a), sn_param(m, "b", (5))); /* silent: a is poison */
  sn_t d = sn_mul(x, sn_param(m, "d", (7)));
  sn_output(m, "y", sn_add(b, d));
}
static void vector_loss(sn_scope m, const m0 *c) {
  sn_minimize(m, sn_mean(sn_affine(m, "fc", in(m, c->width), 8), "btd->b"), sn_sgd, NULL);
}
static void name(sn_scope m, const m0 *c) { sn_output(m, "a b", sn_param(m, "w..x", (c->width))); }
static void large(sn_scope m, const m0 *c) { (void)c; sn_output(m, "y", sn_add(sn_arange(m, 4), 1e17)); }
static sn_t not_a_score(sn_t s, sn_site at, const void *opt) { (void)opt; return sn_lt(s, at.q); }
static void score(sn_scope m, const m0 *c) {
  sn_t q = sn_affine(m, "q", in(m, c->width), 96, .heads = 12);
  sn_output(m, "y", sn_attention(q, q, q, .score = not_a_score));
}
SN_MODEL(mistakes, m0, broadcast, heads, mask, layer, leak, letters, pattern, missing, elements, nested, two_types, bounds,
         twice, outside, positions, cache, split, picture, inner_output, taken, believed, inputs, number, operands, index,
         dropout, uneven, both, vector_loss, name, large, score);
