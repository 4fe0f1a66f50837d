/* BERT's encoder and its heads, for models that are made of them: bert.c, and recipes with graphs of their own. Devlin
 * et al. 2019; names of parameters are those of the published checkpoints (matrices here are [in, out]).
 *
 *   bert_sizes s = BERT_OF(c);
 *   sn_t x = bert_encoder(m, &s, (bert_text){tokens, segments}, (block_view){.mask = block_inside, .opt = &length}); */
#ifndef SINTER_MODELS_BERT_H
#define SINTER_MODELS_BERT_H

#include "blocks.h"

/* clang-format off */
#define BERT_SIZES(LAYERS, HEADS, WIDTH, VOCAB, CONTEXT)                                 \
  (int,    layers,   LAYERS,  "transformer blocks", .max = 4096),                        \
  (int,    heads,    HEADS,   "attention heads", SN_SIZE),                               \
  (int,    width,    WIDTH,   "size of the residual stream", SN_SIZE),                   \
  (int,    vocab,    VOCAB,   "tokens", SN_SIZE),                                        \
  (int,    context,  CONTEXT, "longest sequence", SN_SIZE),                              \
  (int,    segments, 2,       "sentences that are told apart; 0: none", .max = 1 << 24), \
  (double, std,      .02,     "of initial matrices"),                                    \
  (double, dropout,  0,       "dropout probability")
/* clang-format on */

typedef struct bert_sizes {
  int layers, heads, width, vocab, context, segments;
  double std, dropout;
} bert_sizes;
#define BERT_OF(c) \
  ((bert_sizes){(c)->layers, (c)->heads, (c)->width, (c)->vocab, (c)->context, (c)->segments, (c)->std, (c)->dropout})

static inline sn_t bert_norm(sn_scope m, const char *name, sn_t x) { return sn_layernorm(m, name, x, .eps = 1e-12); }
static inline sn_t bert_dense(sn_scope m, const bert_sizes *c, const char *name, sn_t x, int out) {
  return sn_affine(m, name, x, out, .init = sn_truncated(c->std));
}

static inline sn_t bert_words(sn_scope m, const bert_sizes *c) {
  return sn_param(m, "bert.embeddings.word_embeddings.weight", (c->vocab, c->width), .init = sn_truncated(c->std));
}

/* What is read, i32[B, T] each. segments: not needed where c->segments is 0; places: 0, 1, .. if not given */
typedef struct bert_text {
  sn_t tokens, segments, places;
} bert_text;

/* Token, place and sentence, added up.
 *   shape: -> [B, T, width] */
static inline sn_t bert_embed(sn_scope m, const bert_sizes *c, bert_text x) {
  sn_scope e = sn_in(m, "bert.embeddings");
  sn_t places = sn_param(e, "position_embeddings.weight", (c->context, c->width), .init = sn_truncated(c->std));
  sn_t at = x.places.fn ? x.places : sn_positions(m, x.tokens);
  sn_t sum = sn_add(sn_gather(bert_words(m, c), x.tokens), sn_gather(places, at));
  if (c->segments) {
    sn_t kinds = sn_param(e, "token_type_embeddings.weight", (c->segments, c->width), .init = sn_truncated(c->std));
    sum = sn_add(sum, sn_gather(kinds, x.segments));
  }
  return sn_dropout(e, "drop", bert_norm(e, "LayerNorm", sum), c->dropout);
}

/* shape: -> [B, T, width] */
static inline sn_t bert_encoder(sn_scope m, const bert_sizes *c, bert_text text, block_view see) {
  static const block_names names = {.q = "attention.self.query",
                                    .k = "attention.self.key",
                                    .v = "attention.self.value",
                                    .o = "attention.output.dense",
                                    .attend_norm = "attention.output.LayerNorm",
                                    .up = "intermediate.dense",
                                    .down = "output.dense",
                                    .feed_norm = "output.LayerNorm"};
  block b = {.width = c->width, .heads = c->heads, .place = BLOCK_POST, .feed = BLOCK_GELU, .eps = 1e-12};
  b.dropout = c->dropout, b.init = b.out_init = sn_truncated(c->std), b.names = &names;
  sn_t x = bert_embed(m, c, text);
  sn_layers(h, m, "bert.encoder.layer", c->layers, &x) x = block_layer(&b, h, x, see);
  return x;
}

/* What the first row says of all. shape: x [B, T, width] -> [B, width] */
static inline sn_t bert_pool(sn_scope m, const bert_sizes *c, sn_t x) {
  sn_t first = sn_rearrange(sn_slice(x, 1, 0, 1), "b1d->bd");
  return sn_tanh(bert_dense(m, c, "bert.pooler.dense", first, c->width));
}

/* The tied head, for rows that are asked for only. shape: x [B, K, width] -> logits [B, K, vocab] */
static inline sn_t bert_guess(sn_scope m, const bert_sizes *c, sn_t x) {
  sn_scope p = sn_in(m, "cls.predictions");
  sn_t h = bert_norm(p, "transform.LayerNorm", sn_gelu(bert_dense(p, c, "transform.dense", x, c->width)));
  return sn_add(sn_einsum("bkd,vd->bkv", h, bert_words(m, c)), sn_param(p, "bias", (c->vocab)));
}

/* Mean loss of slots by their weights, whose sum is made a little larger, so that a batch without any is no problem.
 *   shape: logits [B, K, vocab], labels i32[B, K], weight [B, K] -> [] */
static inline sn_t bert_slot_loss(sn_t logits, sn_t labels, sn_t weight) {
  sn_t loss = sn_neg(sn_pick(sn_log_softmax(logits), labels));
  return sn_div(sn_sum(sn_mul(loss, weight), "bk->"), sn_add(sn_sum(weight, "bk->"), 1e-5));
}

#endif
