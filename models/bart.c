/* BART: an encoder-decoder of post-norm blocks with LayerNorm, GELU, biases, learned positions, a norm behind the
 * embeddings of each stack, and the embedding as its head. Lewis et al. 2020, section 2.1, and the published code;
 * parameter names are those of the published checkpoint. */
#include "encdec.h"

/* clang-format off */
SN_SETTINGS(bart,
  (int,    layers,  2,   "blocks of the encoder, and of the decoder", .max = 4096),
  (int,    heads,   4,   "attention heads", SN_SIZE),
  (int,    width,   64,  "size of the residual stream", SN_SIZE),
  (int,    hidden,  256, "size of the feed-forward layer", SN_SIZE),
  (int,    context, 64,  "longest source and longest target", SN_SIZE),
  (int,    vocab,   256, "tokens", SN_SIZE),
  (int,    marks,   2,   "train, eval: ids at the end that no text has: the mask last, what begins a text first", .min = 1, .max = 1 << 24),
  (int,    stop,    -1,  "train, eval: the token that ends sentences, which change places; -1: they stay", .min = -1, .max = 1 << 24),
  (double, hide,    .3,  "train, eval: share of tokens that masks hide", .max = 1),
  (double, span,    3,   "train, eval: mean number of tokens behind a mask", .min = 1, .max = 200),
  (double, std,     .02, "deviation of initial weights"),
  (double, dropout, 0,   "dropout probability"));
/* clang-format on */

enum { FIRST_POSITION = 2 /* rows of the tables before are not used: one was padding's */ };

static sn_t affine(sn_scope m, const char *name, sn_t x, int out, int heads, const bart *c) {
  return sn_affine(m, name, x, out, .heads = heads, .init = sn_normal(c->std));
}

/* ---- attention: from x to `from`, or to the keys and values that were kept ---------------------------------- */

static sn_t keys(sn_scope m, const char *name, const char *cached, sn_t from, const bart *c) { /* or values */
  if (!from.fn) return encdec_kept(m, cached, c->context, c->heads, c->width / c->heads);
  return sn_cache(m, cached, affine(m, name, from, c->width, c->heads, c));
}

static sn_t attention(sn_scope m, sn_t x, sn_t from, sn_mask mask, const encdec_source *source, const bart *c) {
  sn_t q = affine(m, "q_proj", x, c->width, c->heads, c);
  sn_t k = keys(m, "k_proj", "k", from, c), v = keys(m, "v_proj", "v", from, c);
  return affine(m, "out_proj", sn_merge(sn_attention(q, k, v, .mask = mask, .opt = source)), c->width, 0, c);
}

/* ---- the two stacks ----------------------------------------------------------------------------------------- */

static sn_t plus(sn_scope m, const char *norm, sn_t x, sn_t y, const bart *c) {
  return sn_layernorm(m, norm, sn_add(x, sn_dropout(sn_in(m, norm), "dropout", y, c->dropout)));
}

static sn_t feed_forward(sn_scope m, sn_t x, const bart *c) {
  return affine(m, "fc2", sn_gelu(affine(m, "fc1", x, c->hidden, 0, c)), c->width, 0, c);
}

static sn_t shared(sn_scope m, const bart *c) {
  return sn_param(m, "shared.weight", (c->vocab, c->width), .init = sn_normal(c->std));
}

static sn_t embedded(sn_scope m, sn_t word, sn_t tokens, const bart *c) {
  sn_t place = sn_param(sn_in(m, "embed_positions"), "weight", (c->context + FIRST_POSITION, c->width),
                        .init = sn_normal(c->std));
  sn_t x = sn_add(sn_gather(word, tokens), sn_gather(place, sn_add(sn_positions(m, tokens), FIRST_POSITION)));
  return sn_dropout(m, "embedding", sn_layernorm(m, "layernorm_embedding", x), c->dropout);
}

static sn_t encoder(sn_scope m, encdec_source tokens, const void *settings) {
  const bart *c = settings;
  sn_scope e = sn_in(m, "encoder");
  sn_t x = embedded(e, shared(m, c), tokens.rows, c);
  sn_layers(h, e, "layers", c->layers, &x) {
    x = plus(h, "self_attn_layer_norm", x, attention(sn_in(h, "self_attn"), x, x, encdec_seen, &tokens, c), c);
    x = plus(h, "final_layer_norm", x, feed_forward(h, x, c), c);
  }
  return x;
}

static sn_t decoder(sn_scope m, encdec_source memory, sn_t tokens, const void *settings) {
  const bart *c = settings;
  sn_scope d = sn_in(m, "decoder");
  sn_t x = embedded(d, shared(m, c), tokens, c);
  sn_layers(h, d, "layers", c->layers, &x) {
    x = plus(h, "self_attn_layer_norm", x, attention(sn_in(h, "self_attn"), x, x, sn_causal, NULL, c), c);
    sn_t y = attention(sn_in(h, "encoder_attn"), x, memory.rows, encdec_seen, &memory, c);
    x = plus(h, "encoder_attn_layer_norm", x, y, c);
    x = plus(h, "final_layer_norm", x, feed_forward(h, x, c), c);
  }
  return x;
}

static void keep(sn_scope m, sn_t memory, const void *settings) {
  sn_layers(h, sn_in(m, "decoder"), "layers", ((const bart *)settings)->layers, &memory) {
    sn_scope a = sn_in(h, "encoder_attn");
    keys(a, "k_proj", "k", memory, settings);
    keys(a, "v_proj", "v", memory, settings);
  }
}

/* The bias is no parameter: 0, as published. */
static sn_t head(sn_scope m, sn_t rows, const void *settings) {
  const bart *c = settings;
  return sn_add(sn_einsum("btd,vd->btv", rows, shared(m, c)), sn_state(m, "final_logits_bias", (c->vocab)));
}

static denoise_pair question(sn_scope m, sn_t text, const void *settings) {
  const bart *c = settings;
  sn_t all = sn_ge(sn_arange(m, sn_size(text, 1)), 0),
       x = c->stop < 0 ? text : denoise_sentences(m, text, all, c->stop);
  denoise_pair made = denoise_infill(m, x, c->hide, c->span, c->vocab - 1);
  made.targets = text;
  return made;
}
static int begin(const bart *c) { return c->vocab - c->marks; }

ENCDEC_MODEL(bart);
