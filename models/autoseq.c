/* Sequence autoencoder: a GRU reads a text into one vector, z, another one writes it again from z and the tokens
 * before; then the reader is tuned on labels. Dai & Le 2015; units as in Cho et al. 2014. */
#include "labels.h"

/* clang-format off */
SN_SETTINGS(autoseq,
  (int,    width,   32,  "units", SN_SIZE),
  (int,    context, 64,  "longest sequence", SN_SIZE),
  (int,    vocab,   256, "tokens", SN_SIZE),
  (int,    classes, 2,   "labels of a place", SN_SIZE),
  (bool,   backwards, 0, "writes the last token first, as Srivastava et al. 2015"),
  (bool,   deaf,    0,   "the writer does not hear z: a language model"),
  (double, drop,    0,   "training: probability that a token is missed, by the reader and by the writer each"),
  (double, trunk,     1,   "rate of learning of all but the head in tune, as a share of the head's"),
  (double, ridge,     0,   "ridge / 2 |w|^2 of the head of labels is added to its loss"));
/* clang-format on */

typedef struct {
  sn_t u, b;
} weights;

/* h = z h + (1 - z) tanh(W x + r (U h + b)).   x: what the input gives to r, z and the candidate */
static sn_t cell(sn_t h[], const sn_t x[], const void *opt) {
  const weights *p = opt;
  sn_t w = sn_rearrange(x[0], "(nd)->nd", .n = 3);
  sn_t u = sn_rearrange(sn_einsum("h,hg->g", h[0], p->u), "(nd)->nd", .n = 3);
  sn_t r = sn_sigmoid(sn_add(sn_at(w, 0), sn_at(u, 0))), z = sn_sigmoid(sn_add(sn_at(w, 1), sn_at(u, 1)));
  sn_t n = sn_tanh(sn_add(sn_at(w, 2), sn_mul(r, sn_add(sn_at(u, 2), p->b))));
  return h[0] = sn_add(sn_mul(z, h[0]), sn_mul(sn_sub(1, z), n));
}

/* x [B, T, in] -> [B, T, width]; *h [B, width]: first state in, last out. */
static sn_t gru(sn_scope m, sn_t x, sn_t *h, const autoseq *c) {
  weights p = {sn_param(m, "u", (c->width, 3 * c->width), .init = sn_uniform(1 / sqrt(c->width))),
               sn_param(m, "b", (c->width), .init = sn_fill(0))};
  return sn_scan(cell, "bt", (h), (sn_affine(m, "x", x, 3 * c->width)), .opt = &p);
}

static sn_t embed(sn_scope m, sn_t tokens, double drop, const autoseq *c) {
  sn_t x = sn_gather(sn_param(m, "token.weight", (c->vocab, c->width), .init = sn_normal(.3)), tokens);
  if (drop <= 0) return x;
  sn_t noise = sn_random(m, "noise", SN_UNIFORM, (sn_size(tokens, 0), sn_size(tokens, 1), 1));
  return sn_where(sn_lt(noise, drop), 0., x);
}

static sn_t read(sn_scope m, sn_t tokens, sn_t *z, double drop, const autoseq *c) {
  *z = sn_zeros(m, SN_REAL, (sn_size(tokens, 0), c->width));
  return gru(m, embed(m, tokens, drop, c), z, c);
}

/* log p(x_t | x_<t, z) as logits: inputs are the tokens one place later. */
static sn_t write(sn_scope m, sn_t tokens, sn_t z, double drop, const autoseq *c) {
  sn_t before = sn_slice(sn_pad(embed(m, tokens, drop, c), 1, 1, 0, 0), 1, 0, sn_size(tokens, 1));
  sn_t h = sn_tanh(sn_affine(m, "from", z, c->width));
  return sn_affine(m, "out", gru(m, before, &h, c), c->vocab);
}

static sn_t ids(sn_scope m, const char *name, const autoseq *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B", .max = 1024), sn_sym(m, "T", .max = c->context)));
}

static sn_t rewritten(sn_scope m, double drop, const autoseq *c) {
  sn_t tokens = ids(m, "tokens", c), z;
  read(sn_in(m, "reader"), tokens, &z, drop, c);
  if (c->deaf) z = sn_zeros(m, SN_REAL, (sn_size(tokens, 0), c->width));
  sn_t text = c->backwards ? sn_flip(tokens, 1) : tokens;
  return sn_cross_entropy(write(sn_in(m, "writer"), text, z, drop, c), text);
}

static void train(sn_scope m, const autoseq *c) { labels_learn(m, rewritten(m, c->drop, c), "*", 1); }
static void eval(sn_scope m, const autoseq *c) { sn_output(m, "loss", rewritten(m, 0, c)); }

static sn_t scores(sn_scope m, const autoseq *c) {
  sn_t z;
  return labels_scores(m, read(sn_in(m, "reader"), ids(m, "tokens", c), &z, 0, c), c->classes);
}
static void tune(sn_scope m, const autoseq *c) {
  sn_t loss = labels_loss(scores(m, c), ids(m, "labels", c));
  labels_tune(m, labels_ridge(m, loss, c->ridge, c->width, c->classes), c->trunk);
}
static void judge(sn_scope m, const autoseq *c) { labels_judge(m, scores(m, c), ids(m, "labels", c)); }

SN_MODEL(autoseq, autoseq, train, eval, tune, judge);
