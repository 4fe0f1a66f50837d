/* Parts of transformer layers that models and recipes share: where norms stand, which norm, which feed-forward part,
 * names of parameters. Layers of any of them:
 *
 *   static const block b = {.width = 64, .heads = 4, .place = BLOCK_POST, .feed = BLOCK_GELU};
 *   sn_layers(h, m, "layer", 2, &x) x = block_layer(&b, h, x, (block_view){.mask = block_inside, .opt = &length});
 *
 * With a `.cache` scope, keys and values are kept as in gpt.c. What is not of this form is put together from
 * block_enter, block_attend, block_feed and block_leave. */
#ifndef SINTER_MODELS_BLOCKS_H
#define SINTER_MODELS_BLOCKS_H

#include "sinter.h"

typedef enum block_norm_kind { BLOCK_LAYER_NORM, BLOCK_RMS_NORM } block_norm_kind;

/* With F attention or the feed-forward part: x + F(N(x)); N(x + F(x)); x + N(F(x)); x + N'(F(N(x))). */
typedef enum block_place { BLOCK_PRE, BLOCK_POST, BLOCK_INNER, BLOCK_SANDWICH } block_place;

/* s(x W1) W2; gated: (s(x W1) * (x W3)) W2. */
typedef enum block_feed_kind {
  BLOCK_RELU,
  BLOCK_GELU,
  BLOCK_GELU_TANH,
  BLOCK_SILU,
  BLOCK_GLU, /* sigmoid, gated */
  BLOCK_GEGLU,
  BLOCK_SWIGLU,
  BLOCK_REGLU
} block_feed_kind;

/* Names of parameters below the scope of a layer. */
typedef struct block_names {
  const char *q, *k, *v, *o, *attend_norm;
  const char *up, *gate, *down, *feed_norm;
} block_names;

typedef struct block {
  int width, heads;
  int kv_heads; /* 0: as many as heads */
  int head;     /* size of a head; 0: width / heads */
  int hidden;   /* of the feed-forward part; 0: 4 width */
  block_norm_kind norm;
  block_place place;
  block_feed_kind feed;
  bool no_bias;             /* in linear layers and LayerNorm */
  double eps;               /* of norms; 0: that of sn_layernorm and sn_rmsnorm */
  double dropout;           /* of what is added to the residual stream */
  double rope;              /* base of rotary positions; 0: none */
  sn_init init, out_init;   /* of matrices; out_init: of o and down; as sn_linear's if not given */
  const block_names *names; /* NULL: attn.q .k .v .o, norm_1, ffn.up .gate .down, norm_2 */
} block;

/* What a query sees of the keys; nothing set: all of them. */
typedef struct block_view {
  sn_mask mask;
  sn_score score;
  const void *opt;
  double scale; /* 0: 1 / sqrt(head) */
} block_view;

/* Masks of padded and of packed texts. Padding sees keys inside of its sequence: its rows mean nothing. */
typedef struct block_length {
  sn_t length; /* i32[B]: tokens of each sequence */
} block_length;
static inline sn_t block_inside(sn_site at, const void *opt) {
  return sn_lt(at.k, sn_index(((const block_length *)opt)->length, at.batch));
}

typedef struct block_segment {
  sn_t segment; /* i32[B, T]: queries see keys of their own segment */
} block_segment;
static inline sn_t block_together(sn_site at, const void *opt) {
  sn_t s = ((const block_segment *)opt)->segment;
  return sn_eq(sn_index(s, at.batch, at.q), sn_index(s, at.batch, at.k));
}

static inline const block_names *block_names_of(const block *b) {
  static const block_names plain = {"attn.q", "attn.k",   "attn.v",   "attn.o", "norm_1",
                                    "ffn.up", "ffn.gate", "ffn.down", "norm_2"};
  return b->names ? b->names : &plain;
}

/* heads 0: not split. */
static inline sn_t block_linear(const block *b, sn_scope m, const char *name, sn_t x, int out, int heads,
                                sn_init init) {
  if (b->no_bias) return sn_linear(m, name, x, out, .heads = heads, .init = init);
  return sn_affine(m, name, x, out, .heads = heads, .init = init);
}

static inline sn_t block_norm(const block *b, sn_scope m, const char *name, sn_t x) {
  if (b->norm == BLOCK_RMS_NORM) return sn_rmsnorm(m, name, x, .eps = b->eps);
  return sn_layernorm(m, name, x, .eps = b->eps, .no_bias = b->no_bias);
}

/* What F gets of x, and what becomes of x and F's result y. A sandwich's second norm is NAME.after. */
static inline sn_t block_enter(const block *b, sn_scope m, const char *name, sn_t x) {
  return b->place == BLOCK_PRE || b->place == BLOCK_SANDWICH ? block_norm(b, m, name, x) : x;
}
static inline sn_t block_leave(const block *b, sn_scope m, const char *name, sn_t x, sn_t y) {
  y = sn_dropout(sn_in(m, name), "drop", y, b->dropout);
  if (b->place == BLOCK_INNER) y = block_norm(b, m, name, y);
  if (b->place == BLOCK_SANDWICH) y = block_norm(b, sn_in(m, name), "after", y);
  x = sn_add(x, y);
  return b->place == BLOCK_POST ? block_norm(b, m, name, x) : x;
}

/* Keys and values [B, S, heads, head] of rows y, several layers may look at; a `.cache` scope adds those of before. */
typedef struct block_memory {
  sn_t k, v;
} block_memory;

/* Columns of so many heads; those of the queries, without a size, divide the width or are refused. */
static inline int block_columns(const block *b, int heads) {
  if (b->head) return heads * b->head;
  return heads == b->heads ? b->width : heads * (b->heads ? b->width / b->heads : 0);
}

static inline block_memory block_remember(const block *b, sn_scope m, const block_names *n, sn_t y) {
  int kv = b->kv_heads ? b->kv_heads : b->heads, out = block_columns(b, kv);
  sn_t k = block_linear(b, m, n->k, y, out, kv, b->init), v = block_linear(b, m, n->v, y, out, kv, b->init);
  if (b->rope > 0) k = sn_rope(k, sn_positions(m, y), .base = b->rope);
  return (block_memory){sn_cache(sn_in(m, n->k), "kept", k), sn_cache(sn_in(m, n->v), "kept", v)};
}

/* Rows of x [B, T, width] look at them. */
static inline sn_t block_look(const block *b, sn_scope m, const block_names *n, sn_t x, block_memory at,
                              block_view see) {
  sn_t q = block_linear(b, m, n->q, x, block_columns(b, b->heads), b->heads, b->init);
  if (b->rope > 0) q = sn_rope(q, sn_positions(m, x), .base = b->rope);
  sn_t y = sn_attention(q, at.k, at.v, .mask = see.mask, .score = see.score, .opt = see.opt, .scale = see.scale,
                        .start = sn_start(m));
  return block_linear(b, m, n->o, sn_merge(y), b->width, 0, b->out_init);
}

/* Rows of x [B, T, width] look at rows of y [B, S, ..]; y = x: self-attention. */
static inline sn_t block_attend(const block *b, sn_scope m, const block_names *n, sn_t x, sn_t y, block_view see) {
  return block_look(b, m, n, x, block_remember(b, m, n, y), see);
}

static inline sn_t block_activate(block_feed_kind kind, sn_t x) {
  switch (kind) {
    case BLOCK_RELU:
    case BLOCK_REGLU: return sn_relu(x);
    case BLOCK_GELU_TANH: return sn_gelu_tanh(x);
    case BLOCK_GLU: return sn_sigmoid(x);
    case BLOCK_SILU:
    case BLOCK_SWIGLU: return sn_silu(x);
    default: return sn_gelu(x);
  }
}

static inline sn_t block_feed(const block *b, sn_scope m, const block_names *n, sn_t x) {
  int hidden = b->hidden ? b->hidden : 4 * b->width;
  sn_t h = block_activate(b->feed, block_linear(b, m, n->up, x, hidden, 0, b->init));
  if (b->feed >= BLOCK_GLU) h = sn_mul(h, block_linear(b, m, n->gate, x, hidden, 0, b->init));
  return block_linear(b, m, n->down, h, b->width, 0, b->out_init);
}

/* A layer: self-attention and the feed-forward part.
 *   shape: x [B, T, width] -> same */
static inline sn_t block_layer(const block *b, sn_scope m, sn_t x, block_view see) {
  const block_names *n = block_names_of(b);
  sn_t a = block_enter(b, m, n->attend_norm, x);
  x = block_leave(b, m, n->attend_norm, x, block_attend(b, m, n, a, a, see));
  return block_leave(b, m, n->feed_norm, x, block_feed(b, m, n, block_enter(b, m, n->feed_norm, x)));
}

/* ---- places of a text -------------------------------------------------------------------------------------------- */

/* K of T places, every set of them alike, others for each text and step: -> i32[B, K]. out_number i32[B, T]: that of
 * each place among all in random order, below K if it was taken. */
static inline sn_t block_places(sn_scope m, const char *stream, sn_dim B, sn_dim T, sn_dim K, sn_t *out_number) {
  sn_t order = sn_argsort(sn_random(m, stream, SN_UNIFORM, (B, T)), .axis = 1);
  *out_number = sn_argsort(order, .axis = 1);
  return sn_slots(order, sn_add(sn_zeros(m, SN_I32, (B, K)), sn_arange(m, K)));
}

#endif
