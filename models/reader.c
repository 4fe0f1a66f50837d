/* Reader: one trunk, a transformer, and two heads: it is pre-trained on text (train, eval, logits) and adapted to
 * labels of places, whole (tune) or in the head only (tune_head). What was trained before is copied by name; a head for
 * other classes is another head. Devlin et al. 2019; Radford et al. 2018. */
#include "labels.h"

/* clang-format off */
SN_SETTINGS(reader,
  (int,    layers,  2,  "transformer blocks", .max = 4096),
  (int,    heads,   4,  "attention heads", SN_SIZE),
  (int,    width,   64, "size of the residual stream", SN_SIZE),
  (int,    context, 64, "longest sequence", SN_SIZE),
  (int,    vocab,   256, "tokens", SN_SIZE),
  (int,    classes, 2,  "labels of a place", SN_SIZE),
  (bool,   causal,  1,  "no place sees what comes after it"),
  (double, trunk,   1,  "rate of learning of the trunk where both are tuned, as a share of the head's"),
  (double, ridge,   0,  "ridge / 2 |w|^2 of the head of labels is added to its loss"));
/* clang-format on */

static sn_t attention(sn_scope m, sn_t x, const reader *c) {
  sn_t qkv = sn_linear(m, "qkv", x, 3 * c->width);
  qkv = sn_rearrange(qkv, "bt(nhd)->nbthd", .n = 3, .h = c->heads);
  sn_t y = sn_attention(sn_at(qkv, 0), sn_at(qkv, 1), sn_at(qkv, 2), .mask = c->causal ? sn_causal : NULL);
  return sn_linear(m, "out", sn_merge(y), c->width, .init = sn_normal(.1 / sqrt(c->width)));
}

static sn_t block(sn_scope m, sn_t x, const reader *c) {
  x = sn_add(x, attention(m, sn_layernorm(m, "norm_1", x), c));
  sn_t h = sn_gelu(sn_affine(m, "up", sn_layernorm(m, "norm_2", x), 4 * c->width));
  return sn_add(x, sn_affine(m, "down", h, c->width, .init = sn_normal(.1 / sqrt(4 * c->width))));
}

static sn_t table(sn_scope m, const reader *c) {
  return sn_param(m, "token.weight", (c->vocab, c->width), .init = sn_normal(.05));
}

/* What both heads see: [B, T, width]. */
static sn_t trunk(sn_scope m, sn_t tokens, const reader *c) {
  sn_t place = sn_param(m, "place.weight", (c->context, c->width), .init = sn_normal(.05));
  sn_t x = sn_add(sn_gather(table(m, c), tokens), sn_gather(place, sn_positions(m, tokens)));
  sn_layers(h, m, "layers", c->layers, &x) x = block(h, x, c);
  return sn_layernorm(m, "norm", x);
}

static sn_t ids(sn_scope m, const char *name, const reader *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = c->context)));
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static sn_t next_token(sn_scope m, const reader *c) { /* the head is the table of tokens */
  return sn_einsum("btd,vd->btv", trunk(m, ids(m, "tokens", c), c), table(m, c));
}

static void train(sn_scope m, const reader *c) {
  labels_learn(m, sn_cross_entropy(next_token(m, c), ids(m, "targets", c)), "*", 1);
}
static void eval(sn_scope m, const reader *c) {
  sn_output(m, "loss", sn_cross_entropy(next_token(m, c), ids(m, "targets", c)));
}
static void logits(sn_scope m, const reader *c) { sn_output(m, "logits", next_token(m, c)); }
static void hidden(sn_scope m, const reader *c) { sn_output(m, "hidden", trunk(m, ids(m, "tokens", c), c)); }

/* ---- labels [B, T]; below 0: none -------------------------------------------------------------------------------- */

static sn_t scores(sn_scope m, const reader *c) {
  return labels_scores(m, trunk(m, ids(m, "tokens", c), c), c->classes);
}

static void tune(sn_scope m, const reader *c) {
  sn_t loss = labels_loss(scores(m, c), ids(m, "labels", c));
  labels_tune(m, labels_ridge(m, loss, c->ridge, c->width, c->classes), c->trunk);
}

static void judge(sn_scope m, const reader *c) { labels_judge(m, scores(m, c), ids(m, "labels", c)); }

SN_MODEL(reader, reader, train, eval, logits, hidden, tune, judge);
