/* XLNet: text predicted in any order by two streams that share their weights. Yang et al. 2019; parameter names are
 * those of the published checkpoint. rank[place] says when a place is predicted, -1: never, it is seen by all. The
 * content stream h of a place sees what is predicted up to it, the query stream g only what is before it: it begins as
 * one learned vector, knows where it stands, and predicts what stands there. It has rows only for the `slots` that are
 * predicted. */
#include "blocks.h"

/* clang-format off */
SN_SETTINGS(xlnet,
  (int,    layers,   4,   "transformer blocks", .max = 4096),
  (int,    heads,    4,   "attention heads", SN_SIZE),
  (int,    width,    128, "size of both streams", SN_SIZE),
  (int,    hidden,   512, "size of the feed-forward layer", SN_SIZE),
  (int,    vocab,    256, "tokens", SN_SIZE),
  (int,    context,  64,  "longest sequence", SN_SIZE),
  (int,    part,     6,   "train: one of so many places is predicted, the last of the order", SN_SIZE),
  (bool,   segments, 0,   "an input tells places of two texts apart"),
  (double, dropout,  0,   "dropout probability"),
  (double, init,     .02, "standard deviation of initial weights"),
  (bool,   one,      0,   "control: the content stream predicts, and sees the answer"));
/* clang-format on */

/* A text and the order in which it is predicted. */
typedef struct text {
  sn_t tokens, rank, segment; /* i32[B, T] */
  sn_t slots;                 /* i32[B, K] */
  sn_dim B, T, K;
} text;

/* ---- attention: Transformer-XL's positions, and a mask of ranks -------------------------------------------------- */

/* Score of a query at i and a key at j: (q + u) . k_j + (q + v) . r_(i - j), and, with segments, (q + s) . e, e by
 * whether both are of one text. Rows of q come with u, so what the others add to that is in `far` and `apart`. */
typedef struct relative {
  sn_t r, far;   /* r_n [H, 2 T, d] and (v - u) . r_n [H, 2 T], n from -T */
  sn_t e, apart; /* e [H, 2, d] and (s - u) . e [H, 2] */
  const text *x;
  bool query; /* stream: its rows stand at the slots */
  double scale;
} relative;

static sn_t place(const relative *o, sn_site at) { return o->query ? sn_index(o->x->slots, at.batch, at.q) : at.q; }

static sn_t score(sn_t s, sn_site at, const void *opt) {
  const relative *o = opt;
  sn_t i = place(o, at), n = sn_add(sn_sub(i, at.k), sn_dim_value(o->x->T)), seg = o->x->segment;
  s = sn_add(sn_add(s, sn_dot_q(at, o->r, at.head, n)), sn_index(o->far, at.head, n));
  if (o->e.fn) {
    sn_t other = sn_cast(sn_ne(sn_index(seg, at.batch, i), sn_index(seg, at.batch, at.k)), SN_I32);
    s = sn_add(sn_add(s, sn_dot_q(at, o->e, at.head, other)), sn_index(o->apart, at.head, other));
  }
  return sn_mul(s, o->scale);
}

static sn_t sees(sn_site at, const void *opt) {
  const relative *o = opt;
  sn_t i = sn_index(o->x->rank, at.batch, place(o, at)), j = sn_index(o->x->rank, at.batch, at.k);
  return sn_or(sn_lt(j, 0), o->query ? sn_lt(j, i) : sn_le(j, i));
}

static sn_t project(sn_scope m, const char *name, sn_t x, const xlnet *c) {
  return sn_linear(m, name, x, c->width, .heads = c->heads, .init = sn_normal(c->init));
}

/* A bias of all queries, and what it adds to the score by rows of a table. */
static sn_t bias(sn_scope m, const char *name, const xlnet *c) {
  return sn_param(m, name, (c->heads, c->width / c->heads), .init = sn_normal(c->init));
}
static sn_t adds(sn_t b, sn_t u, sn_t table) { return sn_einsum("hd,hnd->hn", sn_sub(b, u), table); }

typedef struct keys {
  sn_t k, v, u;
  relative o;
} keys;

/* Of the content stream, for both. */
static keys attention_keys(sn_scope m, sn_t h, sn_t positions, const text *x, const xlnet *c) {
  int d = c->width / c->heads;
  keys y = {project(m, "k", h, c), project(m, "v", h, c), bias(m, "r_w_bias", c), {.x = x, .scale = 1 / sqrt(d)}};
  y.o.r = sn_rearrange(project(m, "r", positions, c), "nhd->hnd");
  y.o.far = adds(bias(m, "r_r_bias", c), y.u, y.o.r);
  if (!c->segments) return y;
  y.o.e = sn_rearrange(sn_param(m, "seg_embed", (2, c->heads, d), .init = sn_normal(c->init)), "nhd->hnd");
  y.o.apart = adds(bias(m, "r_s_bias", c), y.u, y.o.e);
  return y;
}

static sn_t attention(sn_scope m, sn_t stream, keys from, bool query, const xlnet *c) {
  from.o.query = query;
  sn_t q = sn_add(project(m, "q", stream, c), from.u);
  sn_t y = sn_attention(q, from.k, from.v, .score = score, .mask = sees, .opt = &from.o, .scale = 1, .name = "xlnet");
  return sn_linear(m, "o", sn_merge(y), c->width, .init = sn_normal(c->init));
}

/* ---- the network ------------------------------------------------------------------------------------------------- */

/* One stream through the rest of a block: norms stand behind. */
static sn_t behind(sn_scope m, sn_t x, sn_t attended, const xlnet *c) {
  static const block_names names = {.up = "layer_1", .down = "layer_2"};
  block b = {.width = c->width, .hidden = c->hidden, .place = BLOCK_POST, .feed = BLOCK_GELU, .eps = 1e-12};
  b.dropout = c->dropout, b.init = b.out_init = sn_normal(c->init);
  sn_scope f = sn_in(m, "ff");
  x = block_leave(&b, sn_in(m, "rel_attn"), "layer_norm", x, attended);
  return block_leave(&b, f, "layer_norm", x, block_feed(&b, f, &names, x));
}

static sn_t xlnet_logits(sn_scope m, const text *x, const xlnet *c) {
  sn_scope t = sn_in(m, "transformer");
  sn_t words = sn_param(t, "word_embedding.weight", (c->vocab, c->width), .init = sn_normal(c->init));
  sn_t w = sn_param(t, "mask_emb", (1, c->width), .init = sn_normal(c->init));
  sn_t h = sn_dropout(t, "drop", sn_gather(words, x->tokens), c->dropout);
  sn_t g = sn_gather(w, sn_zeros(m, SN_I32, (x->B, x->K)));
  sn_t n = sn_sub(sn_arange(m, sn_dim_mul(2, x->T)), sn_dim_value(x->T)), positions = sn_sinusoid(n, c->width);
  sn_layers(l, t, "layer", c->layers, &h, &g) {
    sn_scope a = sn_in(l, "rel_attn");
    keys from = attention_keys(a, h, positions, x, c);
    sn_t seen = attention(a, g, from, true, c);
    h = behind(l, h, attention(a, h, from, false, c), c);
    g = behind(l, g, seen, c);
  }
  if (c->one) g = sn_slots(h, x->slots);
  sn_t b = sn_param(m, "lm_loss.bias", (c->vocab));
  return sn_add(sn_einsum("bkd,vd->bkv", g, words), b);
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static text read(sn_scope m, const xlnet *c) {
  text x = {.B = sn_sym(m, "B"), .T = sn_sym(m, "T", .max = c->context)};
  x.tokens = sn_input(m, "tokens", SN_I32, (x.B, x.T));
  if (c->segments) x.segment = sn_input(m, "segments", SN_I32, (x.B, x.T));
  return x;
}

/* An order of its own for every text; the last of it are predicted, and come first in `slots`. */
static text ordered(sn_scope m, const xlnet *c) {
  text x = read(m, c);
  x.K = sn_dim_ceildiv(x.T, c->part);
  sn_t number;
  x.slots = block_places(m, "order", x.B, x.T, x.K, &number);
  x.rank = sn_max(sn_sub(sn_sub(sn_dim_value(x.K), 1), number), -1);
  return x;
}

static text given(sn_scope m, const xlnet *c) {
  text x = read(m, c);
  x.K = sn_sym(m, "K", .max = c->context);
  x.rank = sn_input(m, "rank", SN_I32, (x.B, x.T));
  x.slots = sn_input(m, "slots", SN_I32, (x.B, x.K));
  return x;
}

static sn_t loss(sn_scope m, const text *x, const xlnet *c) {
  return sn_cross_entropy(xlnet_logits(m, x, c), sn_slots(x->tokens, x->slots));
}

static void minimize(sn_scope m, text x, const xlnet *c) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, loss(sn_with(m, .train = true), &x, c), sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

static void train(sn_scope m, const xlnet *c) { minimize(m, ordered(m, c), c); }
static void train_given(sn_scope m, const xlnet *c) { minimize(m, given(m, c), c); }

static void evaluate(sn_scope m, text x, const xlnet *c) { sn_output(m, "loss", loss(m, &x, c)); }
static void eval(sn_scope m, const xlnet *c) { evaluate(m, ordered(m, c), c); }
static void eval_given(sn_scope m, const xlnet *c) { evaluate(m, given(m, c), c); }
static void logits(sn_scope m, const xlnet *c) {
  text x = given(m, c);
  sn_output(m, "logits", xlnet_logits(m, &x, c));
}

SN_MODEL(xlnet, xlnet, train, train_given, eval, eval_given, logits);
