/* T5: an encoder-decoder of pre-norm blocks with RMSNorm, no biases, and positions that are learned numbers by head and
 * distance, one table for all layers of a stack; scores are not scaled, the head is the embedding. Raffel et al. 2020,
 * section 2.1, and the code of version 1.0; parameter names are those of the published checkpoint. */
#include "encdec.h"

/* clang-format off */
SN_SETTINGS(t5_model,
  (int,    layers,  2,   "blocks of the encoder, and of the decoder", .max = 4096),
  (int,    heads,   4,   "attention heads", SN_SIZE),
  (int,    head,    16,  "size of a head", SN_SIZE),
  (int,    width,   64,  "size of the residual stream", SN_SIZE),
  (int,    hidden,  256, "size of the feed-forward layer", SN_SIZE),
  (int,    buckets, 32,  "distances that are told apart", SN_SIZE),
  (int,    far,     128, "distance of the last bucket", .min = 1, .max = 1 << 24),
  (int,    context, 64,  "longest source and longest target", SN_SIZE),
  (int,    vocab,   256, "tokens", SN_SIZE),
  (int,    marks,   100, "train, eval: ids at the end that no text has: begin, and the rest, backwards, for spans", .min = 3, .max = 1 << 24),
  (int,    part,    7,   "train, eval: one of so many tokens is hidden", SN_SIZE),
  (int,    span,    3,   "train, eval: mean number of tokens of a span, at most", SN_SIZE),
  (double, dropout, 0,   "dropout probability"));
/* clang-format on */

static sn_t linear(sn_scope m, const char *name, sn_t x, int out, int heads, double std) {
  return sn_linear(m, name, x, out, .heads = heads, .init = sn_normal(std));
}

/* ---- attention ---------------------------------------------------------------------------------------------- */

/* What a stack's self-attention knows beside rows: distances, and in the encoder the lengths. */
typedef struct {
  encdec_source source;
  sn_t table; /* [H, buckets] */
  bool both;  /* directions: the encoder */
  const t5_model *c;
} places;

static sn_t table(sn_scope m, const t5_model *c) {
  sn_scope at = sn_in(m, "block.0.layer.0.SelfAttention.relative_attention_bias");
  return sn_rearrange(sn_param(at, "weight", (c->buckets, c->heads), .init = sn_normal(1 / sqrt(c->width))), "bh->hb");
}

/* Exact up to half of the buckets of a direction, then logarithmic. */
static sn_t distance(sn_t s, sn_site at, const void *opt) {
  const places *p = opt;
  int half = p->both ? p->c->buckets / 2 : p->c->buckets;
  sn_t d = sn_sub(at.q, at.k), bucket = sn_log_bucket(sn_abs(d), half - 1, p->c->far);
  if (p->both) bucket = sn_add(bucket, sn_mul(half, sn_cast(sn_lt(d, 0), SN_I32)));
  return sn_add(s, sn_index(p->table, at.head, bucket));
}
static sn_t seen(sn_site at, const void *opt) {
  const places *p = opt;
  return p->both ? encdec_seen(at, &p->source) : sn_causal(at, NULL);
}

static sn_t queries(sn_scope m, sn_t x, const t5_model *c) {
  return linear(m, "q", x, c->heads * c->head, c->heads, 1 / sqrt(c->width * c->head));
}
/* Keys or values: of the rows, or those that were kept of the source. */
static sn_t keys(sn_scope m, const char *name, sn_t rows, const t5_model *c) {
  if (!rows.fn) return encdec_kept(m, name, c->context, c->heads, c->head);
  return sn_cache(m, name, linear(m, name, rows, c->heads * c->head, c->heads, 1 / sqrt(c->width)));
}
static sn_t joined(sn_scope m, sn_t y, const t5_model *c) {
  return linear(m, "o", sn_merge(y), c->width, 0, 1 / sqrt(c->heads * c->head));
}

static sn_t self_attention(sn_scope m, sn_t x, const places *p) {
  sn_t q = queries(m, x, p->c), k = keys(m, "k", x, p->c), v = keys(m, "v", x, p->c);
  return joined(m, sn_attention(q, k, v, .score = distance, .mask = seen, .opt = p, .scale = 1, .start = sn_start(m)),
                p->c);
}

static sn_t cross_attention(sn_scope m, sn_t x, const encdec_source *memory, const t5_model *c) {
  sn_t q = queries(m, x, c), k = keys(m, "k", memory->rows, c), v = keys(m, "v", memory->rows, c);
  return joined(m, sn_attention(q, k, v, .mask = encdec_seen, .opt = memory, .scale = 1), c);
}

/* ---- the two stacks ----------------------------------------------------------------------------------------- */

static sn_t feed_forward(sn_scope m, sn_t x, const t5_model *c) {
  sn_t h = sn_relu(linear(m, "wi", x, c->hidden, 0, 1 / sqrt(c->width)));
  return linear(m, "wo", sn_dropout(m, "dropout", h, c->dropout), c->width, 0, 1 / sqrt(c->hidden));
}

static sn_t norm(sn_scope m, sn_t x) { return sn_rmsnorm(m, "layer_norm", x); }
static sn_t plus(sn_scope m, sn_t x, sn_t y, const t5_model *c) {
  return sn_add(x, sn_dropout(m, "dropout", y, c->dropout));
}

static sn_t shared(sn_scope m, const t5_model *c) {
  return sn_param(m, "shared.weight", (c->vocab, c->width), .init = sn_normal(1));
}

static sn_t encoder(sn_scope m, encdec_source tokens, const void *settings) {
  const t5_model *c = settings;
  sn_scope e = sn_in(m, "encoder");
  const places p = {tokens, table(e, c), true, c};
  sn_t x = sn_dropout(e, "embedding", sn_gather(shared(m, c), tokens.rows), c->dropout);
  sn_layers(h, e, "block", c->layers, &x) {
    sn_scope a = sn_in(h, "layer.0"), f = sn_in(h, "layer.1");
    x = plus(a, x, self_attention(sn_in(a, "SelfAttention"), norm(a, x), &p), c);
    x = plus(f, x, feed_forward(sn_in(f, "DenseReluDense"), norm(f, x), c), c);
  }
  return sn_dropout(e, "end", sn_rmsnorm(e, "final_layer_norm", x), c->dropout);
}

static sn_t decoder(sn_scope m, encdec_source memory, sn_t tokens, const void *settings) {
  const t5_model *c = settings;
  sn_scope d = sn_in(m, "decoder");
  const places p = {memory, table(d, c), false, c};
  sn_t x = sn_dropout(d, "embedding", sn_gather(shared(m, c), tokens), c->dropout);
  sn_layers(h, d, "block", c->layers, &x) {
    sn_scope a = sn_in(h, "layer.0"), b = sn_in(h, "layer.1"), f = sn_in(h, "layer.2");
    x = plus(a, x, self_attention(sn_in(a, "SelfAttention"), norm(a, x), &p), c);
    x = plus(b, x, cross_attention(sn_in(b, "EncDecAttention"), norm(b, x), &memory, c), c);
    x = plus(f, x, feed_forward(sn_in(f, "DenseReluDense"), norm(f, x), c), c);
  }
  return sn_dropout(d, "end", sn_rmsnorm(d, "final_layer_norm", x), c->dropout);
}

static void keep(sn_scope m, sn_t memory, const void *settings) {
  sn_layers(h, sn_in(m, "decoder"), "block", ((const t5_model *)settings)->layers, &memory) {
    sn_scope a = sn_in(h, "layer.1.EncDecAttention");
    keys(a, "k", memory, settings);
    keys(a, "v", memory, settings);
  }
}

/* Scaled by 1/sqrt(width), as tied embeddings of deviation 1 need. */
static sn_t head(sn_scope m, sn_t rows, const void *settings) {
  const t5_model *c = settings;
  return sn_einsum("btd,vd->btv", sn_mul(rows, 1 / sqrt(c->width)), shared(m, c));
}

static denoise_pair question(sn_scope m, sn_t text, const void *settings) {
  const t5_model *c = settings;
  sn_dim hidden = sn_dim_ceildiv(sn_size(text, 1), c->part);
  return denoise_sentinels(m, text, hidden, sn_dim_ceildiv(hidden, c->span), c->vocab, c->marks - 1);
}
static int begin(const t5_model *c) { return c->vocab - c->marks; }

ENCDEC_MODEL(t5_model);
