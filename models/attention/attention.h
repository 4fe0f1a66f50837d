/* What the variants of this folder share, so that one test and one benchmark run them all. A file gives its settings
 * and the function NAME_attention from its operands to y; ATTENTION_MODEL makes the graphs of it:
 *
 *   forward     q [B, T, H, d], k [B, T, G, d], v [B, T, G, d] -> y [B, T, H, d]
 *   gradients   the same, and the derivatives grad.NAME of loss = sum of y times w by all operands and parameters
 *   decode      one row of q, k, v at the position start [B] of each sequence; keys and values of `context` positions
 *   prefill     are kept in caches
 *   prefill     N rows
 *   .._ring     the same where position p lies in slot p mod `context`: positions have no end, the last `context` are
 *               seen
 *   .._paged    the same where they lie in pages that sequences share: table [B, context / page]
 *
 * ATTENTION_COMPOSITION makes the first two, of what has no scores of single keys to decode by. */
#ifndef SINTER_MODELS_ATTENTION_H
#define SINTER_MODELS_ATTENTION_H

#include <stdio.h>
#include <string.h>

#include "sinter.h"

/* clang-format off */
#define ATTENTION_HEADS                              \
  (int, heads,    4,     "query heads", SN_SIZE),    \
  (int, head,     16,    "size of a head", SN_SIZE), \
  (int, context,  16384, "longest sequence", SN_SIZE)
#define ATTENTION_CACHES                                  \
  (int, page,     64,    "positions of a page", SN_SIZE), \
  (int, pages,    512,   "pages of all sequences", SN_SIZE)
#define ATTENTION_SIZES \
  ATTENTION_HEADS, ATTENTION_CACHES, (int, kv_heads, 0, "key and value heads; 0: as many", .max = 1 << 24)
/* clang-format on */

enum { ATTENTION_WRT_MAX = 16 };

/* A graph of a variant being made. */
typedef struct attend {
  sn_scope m;
  sn_dim B, T, S;    /* S: keys: as many as queries T, or positions of the caches */
  const char *cache; /* caches: the scope of their names; NULL: none */
  bool ring;
  sn_t table; /* of pages; not there: none */
  int64_t pages;
  int wrt_count; /* what the loss is differentiated by */
  sn_t wrt[ATTENTION_WRT_MAX];
  const char *name[ATTENTION_WRT_MAX];
} attend;

/* The value is differentiated by in the graph `gradients`. */
static inline sn_t attention_wrt(attend *a, const char *name, sn_t x) {
  a->name[a->wrt_count] = name;
  return a->wrt[a->wrt_count++] = x;
}

/* An input, a parameter of the variant: both have gradients. */
#define attention_input(a, name, shape) attention_wrt(a, name, sn_input((a)->m, name, SN_REAL, shape))
#define attention_param(a, name, ...) attention_wrt(a, name, sn_param((a)->m, name, __VA_ARGS__))

/* Rows [B, T, ..] of keys or values: with a cache, those of all positions. The last thing that is done to keys. */
static inline sn_t attention_cache(attend *a, const char *name, sn_t x) {
  if (!a->cache) return x;
  return sn_cache(sn_in(a->m, a->cache), name, x, .ring = a->ring, .table = a->table, .pool = a->pages);
}

/* Numbers [B, T] that a mask looks up by position: with a cache, those of all positions, where keys are. */
typedef struct by_position {
  sn_t x;
  int64_t ring; /* slots; 0: positions are places */
} by_position;

static inline by_position attention_places(attend *a, const char *name, sn_t x, int64_t context) {
  if (a->cache) x = sn_cache(sn_in(a->m, a->cache), name, x, .ring = a->ring);
  return (by_position){x, a->ring ? context : 0};
}
static inline by_position attention_by_position(attend *a, const char *name, int64_t context) {
  return attention_places(a, name, sn_input(a->m, name, SN_I32, (a->B, a->T)), context);
}

static inline sn_t attention_place(by_position n, sn_t position) {
  return n.ring ? sn_mod(position, n.ring) : position;
}
static inline sn_t attention_number(by_position n, sn_t batch, sn_t position) {
  return sn_index(n.x, batch, attention_place(n, position));
}

/* Running sums of x [B, T, H]; with a cache they go on where the rows before ended. */
static inline sn_t attention_sums(attend *a, const char *name, sn_t x) {
  sn_t sum = sn_cumsum(x, 1);
  if (!a->cache) return sum;
  sn_t before = sn_state(sn_in(a->m, a->cache), name, (a->B, sn_size(x, 2)));
  sn_t begins = sn_eq(sn_rearrange(sn_start(a->m), "b->b1"), 0);
  sum = sn_add(sum, sn_rearrange(sn_where(begins, 0, before), "bh->b1h"));
  sn_update(before, sn_rearrange(sn_slice(sum, 1, sn_sub(sn_dim_value(a->T), 1), 1), "b1h->bh"));
  return sum;
}

typedef struct qkv {
  sn_t q, k, v;
} qkv;

/* The usual operands. */
static inline qkv attention_inputs(attend *a, int heads, int kv_heads, int head) {
  sn_dim S = a->cache ? a->T : a->S;
  sn_t q = attention_input(a, "q", (a->B, a->T, heads, head));
  sn_t k = attention_input(a, "k", (a->B, S, kv_heads, head)), v = attention_input(a, "v", (a->B, S, kv_heads, head));
  return (qkv){q, attention_cache(a, "keys", k), attention_cache(a, "values", v)};
}
#define ATTENTION_KV(c) ((c)->kv_heads ? (c)->kv_heads : (c)->heads)
#define ATTENTION_INPUTS(a, c) attention_inputs(a, (c)->heads, ATTENTION_KV(c), (c)->head)

/* Compositions: heads as a batch, [B, T, H, d] -> [B H, T, d], and back. */
static inline sn_t attention_fold(sn_t x) { return sn_rearrange(x, "bthd->(bh)td"); }
static inline sn_t attention_unfold(sn_t x, int heads) { return sn_rearrange(x, "(bh)td->bthd", .h = heads); }

/* .. rows of heads in an order of their own, i32[B H, T]: [B, T, H, d] -> [B H, T, 1, d], and back where they stood. */
static inline sn_t attention_rows(sn_t x, sn_t order) {
  return sn_rearrange(sn_slots(attention_fold(x), order), "ntd->nt1d");
}
static inline sn_t attention_rows_back(sn_t x, sn_t order, int heads) {
  return attention_unfold(sn_slots(sn_rearrange(x, "nt1d->ntd"), sn_argsort(order, 1)), heads);
}

/* One step of a kernel feature map's attention: S = S + k v', o = S' q. */
static inline sn_t attention_accumulate(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("k,e->ke", x[1], x[2]));
  return sn_einsum("ke,k->e", h[0], x[0]);
}

/* Sum of v_j (q_i . k_j) over j <= i, or over all j; normalised: divided by the sum of q_i . k_j.
 *   shape: features q, k [B, T, H, f], v [B, T, H, e] -> [B, T, H, e] */
static inline sn_t attention_linear(attend *a, sn_t q, sn_t k, sn_t v, bool both, bool normalised) {
  sn_dim f = sn_size(q, 3), e = sn_size(v, 3), H = sn_size(v, 2);
  if (normalised) v = sn_concat(3, v, sn_add(sn_zeros(a->m, SN_REAL, (a->B, a->T, H, 1)), 1));
  sn_t S = sn_zeros(a->m, SN_REAL, (a->B, H, f, sn_size(v, 3))), y;
  if (both)
    y = sn_einsum("bthk,bhke->bthe", q, sn_einsum("bthk,bthe->bhke", k, v));
  else
    y = sn_scan(attention_accumulate, "bth", (&S), (q, k, v));
  return normalised ? sn_div(sn_slice(y, 3, 0, e), sn_slice(y, 3, e.extent, 1)) : y;
}

static inline void attention_gradients(attend *a, sn_t y) {
  sn_t w = sn_input(a->m, "w", SN_REAL, (sn_size(y, 0), sn_size(y, 1), sn_size(y, 2), sn_size(y, 3)));
  sn_t loss = sn_sum(sn_mul(y, w), "bthd->"), grad[ATTENTION_WRT_MAX], *out[ATTENTION_WRT_MAX + 1] = {NULL};
  sn_arg wrt[ATTENTION_WRT_MAX];
  for (int i = 0; i < a->wrt_count; i++) {
    wrt[i].v = a->wrt[i];
    out[i] = &grad[i];
  }
  sn_grad_at(SN_HERE("sn_grad(loss, ..)"), loss, (sn_list){a->wrt_count, wrt}, out);
  for (int i = 0; i < a->wrt_count; i++) {
    char name[64];
    snprintf(name, sizeof name, "grad.%s", a->name[i]);
    sn_output(a->m, name, grad[i]);
  }
  sn_output(a->m, "loss", loss);
}

static inline attend attention_cached(sn_scope m, sn_dim T, int64_t context, int64_t page, int64_t pages,
                                      const char *cache) {
  sn_dim B = sn_sym(m, "B");
  sn_t start = sn_input(m, "start", SN_I32, (B));
  attend a = {
      .m = sn_with(m, .cache = context, .start = start), .B = B, .T = T, .S = sn_dim_of(context), .cache = cache};
  a.ring = !strcmp(cache, "ring");
  if (!strcmp(cache, "paged")) a.table = sn_input(m, "table", SN_I32, (B, context / page)), a.pages = pages;
  return a;
}

#define ATTENTION_FULL(type, ...)                                             \
  static attend begin(sn_scope m, const type *c) {                            \
    sn_sym_args args = {.m = m, .name = "T", .max = c->context, __VA_ARGS__}; \
    sn_dim T = sn_sym_at(SN_HERE("sn_sym(m, T)"), args);                      \
    return (attend){.m = m, .B = sn_sym(m, "B"), .T = T, .S = T};             \
  }                                                                           \
  static void forward(sn_scope m, const type *c) {                            \
    attend a = begin(m, c);                                                   \
    sn_output(m, "y", type##_attention(&a, c));                               \
  }                                                                           \
  static void gradients(sn_scope m, const type *c) {                          \
    attend a = begin(m, c);                                                   \
    sn_t y = type##_attention(&a, c);                                         \
    sn_output(m, "y", y);                                                     \
    attention_gradients(&a, y);                                               \
  }

#define ATTENTION_CACHED(type, one, many, cache)                                        \
  static void one(sn_scope m, const type *c) {                                          \
    attend a = attention_cached(m, sn_dim_of(1), c->context, c->page, c->pages, cache); \
    sn_output(m, "y", type##_attention(&a, c));                                         \
  }                                                                                     \
  static void many(sn_scope m, const type *c) {                                         \
    sn_dim N = sn_sym(m, "N", .max = c->context);                                       \
    attend a = attention_cached(m, N, c->context, c->page, c->pages, cache);            \
    sn_output(m, "y", type##_attention(&a, c));                                         \
  }

/* The last line of a variant's file: the graphs of NAME_attention, whose settings are NAME. Then what is known of T in
 * forward and gradients: .min = 1. */
#define ATTENTION_COMPOSITION(type, ...) \
  ATTENTION_FULL(type, __VA_ARGS__)      \
  SN_MODEL(type, type, forward, gradients)
#define ATTENTION_MODEL(type, ...)                             \
  ATTENTION_FULL(type, __VA_ARGS__)                            \
  ATTENTION_CACHED(type, decode, prefill, "cache")             \
  ATTENTION_CACHED(type, decode_ring, prefill_ring, "ring")    \
  ATTENTION_CACHED(type, decode_paged, prefill_paged, "paged") \
  SN_MODEL(type, type, forward, gradients, decode, prefill, decode_ring, prefill_ring, decode_paged, prefill_paged)

#endif
