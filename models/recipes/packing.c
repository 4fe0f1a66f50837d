/* Packing: a row of a batch holds several texts. Masks keep them apart and places begin anew with each, so that nothing
 * tells them from texts in rows of their own.   Krell et al. 2021, section 3.2 */
#include "models/recipes/packing.h"

#include <stdio.h>
#include <string.h>

#include "models/blocks.h"
#include "tests/oracles/draws.h"

enum { ONE = 6, TWO = 9, TEXTS = ONE + TWO, ROOM = TEXTS + 2 /* of padding */, VOCAB = 11, WIDTH = 32 };

SN_SETTINGS(packed_sizes, (int, layers, 2, "blocks"), (int, heads, 4, "attention heads"));

/* ---- a decoder: texts in rows of their own, and in one ----------------------------------------------------------- */

static sn_t ids(sn_scope m, const char *name) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = ROOM)));
}

static sn_t said(sn_scope m, sn_t tokens, sn_t place, block_view see, const packed_sizes *c) {
  const block b = {.width = WIDTH, .heads = c->heads, .norm = BLOCK_RMS_NORM, .feed = BLOCK_GELU, .no_bias = true};
  sn_t x = sn_gather(sn_param(m, "words", (VOCAB, WIDTH), .init = sn_normal(.3)), tokens);
  x = sn_add(x, sn_gather(sn_param(m, "places", (ROOM, WIDTH), .init = sn_normal(.3)), place));
  sn_layers(h, m, "layer", c->layers, &x) x = block_layer(&b, h, x, see);
  return sn_linear(m, "head", sn_rmsnorm(m, "norm", x), VOCAB);
}

static void losses(sn_scope m, sn_t logits) {
  sn_t targets = ids(m, "targets");
  sn_t weight = sn_input(m, "weight", SN_REAL, (sn_size(targets, 0), sn_size(targets, 1)));
  sn_output(m, "losses", sn_neg(sn_pick(sn_log_softmax(logits), targets)));
  sn_output(m, "loss", sn_cross_entropy(logits, targets, .weight = weight));
}

static void alone(sn_scope m, const packed_sizes *c) {
  sn_t tokens = ids(m, "tokens");
  losses(m, said(m, tokens, sn_positions(m, tokens), (block_view){.mask = sn_causal}, c));
}

/* i sees j <= i of its own text */
static sn_t own_text(sn_site at, const void *opt) { return sn_and(sn_causal(at, NULL), block_together(at, opt)); }

static void packed(sn_scope m, const packed_sizes *c) {
  const block_segment text = {ids(m, "text")};
  losses(m, said(m, ids(m, "tokens"), ids(m, "place"), (block_view){.mask = own_text, .opt = &text}, c));
}

SN_MODEL(packing, packed_sizes, alone, packed);

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* Which text, of a row of its own; or both in one row, in which tokens see what is before their text, or places go on.
 */
typedef struct row {
  int text;
  bool seen, on;
} row;

static int length_of(int text) { return text ? TWO : ONE; }

/* Tokens of a text, and the one behind it. */
static void text_of(uint64_t seed, int text, int32_t *tokens, int32_t *targets) {
  draws d = draws_of(seed, 0x7061636b, (uint64_t)text);
  for (int t = 0, x = draws_below(&d, VOCAB); t < length_of(text); t++) {
    tokens[t] = x;
    targets[t] = x = draws_below(&d, VOCAB);
  }
}

/* tokens, targets, weight */
static void alone_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const row *w = data;
  (void)index;
  text_of(seed, w->text, port[0], port[1]);
  for (int t = 0; t < length_of(w->text); t++) ((float *)port[2])[t] = 1;
}

/* And text, place; padding is a text of its own, and counts nothing. */
static void packed_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const row *w = data;
  int32_t *tokens = port[0], *targets = port[1], *text = port[3], *place = port[4];
  float *weight = port[2];
  (void)index;
  memset(tokens, 0, sizeof *tokens * ROOM), memset(targets, 0, sizeof *targets * ROOM);
  for (int k = 0; k < 2; k++) text_of(seed, k, tokens + k * ONE, targets + k * ONE);
  for (int t = 0; t < ROOM; t++) {
    int k = (t >= ONE) + (t >= TEXTS), begin = k == 0 ? 0 : k == 1 ? ONE : TEXTS;
    text[t] = w->seen && k == 1 ? 0 : k;
    place[t] = w->on ? t : t - begin;
    weight[t] = t < TEXTS;
  }
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* What the two say alone, and together. */
typedef struct sides {
  net *n;
  feed one, two, both;
} sides;

static double *side(const sides *s, int k, const char *output, int64_t *count) {
  const feed *f = k == 0 ? &s->one : k == 1 ? &s->two : &s->both;
  return net_output(s->n, k < 2 ? "alone" : "packed", f, 0, output, count);
}

static double losses_apart(const sides *s) {
  const double *a = side(s, 0, "losses", NULL), *b = side(s, 1, "losses", NULL), *x = side(s, 2, "losses", NULL);
  return x ? recipe_max(recipe_difference(ONE, x, a), recipe_difference(TWO, x + ONE, b)) : (double)NAN;
}

/* The loss is a mean, so the gradient is that of both by their lengths; of all parameters. */
static double gradients_apart(recipe *r, const sides *s) {
  double worst = 0;
  const char *name;
  for (int i = 0; (name = net_parameter(s->n, i)); i++) {
    char output[96];
    int64_t count = 0;
    snprintf(output, sizeof output, "grad.%s", name);
    double *a = side(s, 0, output, &count), *b = side(s, 1, output, NULL), *x = side(s, 2, output, NULL);
    for (int64_t k = 0; a && b && k < count; k++) a[k] = (ONE * a[k] + TWO * b[k]) / TEXTS;
    worst = recipe_max(worst, recipe_difference(count, x, b ? a : NULL));
    if (recipe_has_failed(r)) return NAN;
  }
  return worst;
}

void packing_checks(recipe *r) {
  const row first = {0}, second = {.text = 1}, good = {0}, seen = {.seen = true}, on = {.on = true};
  const double rounding = 2e-5 * sqrt(4 * WIDTH); /* SYSTEMS 0.4 */
  sides s = {.one = {{{"tokens", {1, ONE}}, {"targets", {1, ONE}}, {"weight", {1, ONE}}}, alone_fill, &first},
             .two = {{{"tokens", {1, TWO}}, {"targets", {1, TWO}}, {"weight", {1, TWO}}}, alone_fill, &second}};
  s.both = (feed){
      {{"tokens", {1, ROOM}}, {"targets", {1, ROOM}}, {"weight", {1, ROOM}}, {"text", {1, ROOM}}, {"place", {1, ROOM}}},
      packed_fill,
      &good};
  net *n = recipe_net(r, &sn_model_packing, "alone|packed", "heads=4"), *f32 = net_gradients(n, "loss");
  s.n = net_exact(n, "loss");
  recipe_at_most(r, EXACT, "two texts packed in a row: losses beside those alone, f64", losses_apart(&s), 1e-10);
  recipe_at_most(r, EXACT, "their gradients beside those alone, f64", gradients_apart(r, &s), 1e-10);
  s.both.data = &seen;
  recipe_at_most(r, CONTROL, "packed, a text sees the one before: losses", losses_apart(&s), 1e-10);
  s.both.data = &on;
  recipe_at_most(r, CONTROL, "packed, places go on: losses", losses_apart(&s), 1e-10);
  s.n = f32, s.both.data = &good;
  recipe_at_most(r, EXACT, "packed texts in f32: losses beside those alone", losses_apart(&s), rounding);
  recipe_at_most(r, EXACT, "packed texts in f32: gradients beside those alone", gradients_apart(r, &s), 10 * rounding);
}
