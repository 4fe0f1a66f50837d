/* What the variants of this folder share, so that one test and one benchmark run them all. A file gives its settings
 * and the function NAME_attention from its operands to y; ATTENTION_MODEL makes the graphs of it:
 *
 *   forward     q [B, T, H, d], k [B, T, G, d], v [B, T, G, d] -> y [B, T, H, d]
 *   gradients   the same, and the derivatives grad.NAME of loss = sum of y times w by all operands and parameters */
#ifndef SINTER_MODELS_ATTENTION_H
#define SINTER_MODELS_ATTENTION_H

#include <stdio.h>

#include "sinter.h"

/* clang-format off */
#define ATTENTION_HEADS                   \
  (int, heads,    4,     "query heads"),  \
  (int, head,     16,    "size of a head"), \
  (int, context,  16384, "longest sequence")
#define ATTENTION_SIZES ATTENTION_HEADS, (int, kv_heads, 0, "key and value heads; 0: as many")
/* clang-format on */

enum { ATTENTION_WRT_MAX = 16 };

/* A graph of a variant being made. */
typedef struct attend {
  sn_scope m;
  sn_dim B, T;
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

typedef struct qkv {
  sn_t q, k, v;
} qkv;

/* The usual operands. */
static inline qkv attention_inputs(attend *a, int heads, int kv_heads, int head) {
  return (qkv){attention_input(a, "q", (a->B, a->T, heads, head)),
               attention_input(a, "k", (a->B, a->T, kv_heads, head)),
               attention_input(a, "v", (a->B, a->T, kv_heads, head))};
}
#define ATTENTION_KV(c) ((c)->kv_heads ? (c)->kv_heads : (c)->heads)
#define ATTENTION_INPUTS(a, c) attention_inputs(a, (c)->heads, ATTENTION_KV(c), (c)->head)

/* Compositions: heads as a batch, [B, T, H, d] -> [B H, T, d], and back. */
static inline sn_t attention_fold(sn_t x) { return sn_rearrange(x, "bthd->(bh)td"); }
static inline sn_t attention_unfold(sn_t x, int heads) { return sn_rearrange(x, "(bh)td->bthd", .h = heads); }

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

/* The last line of a variant's file: graphs forward and gradients of NAME_attention, whose settings are NAME. Then what
 * is known of T: .min = 1. */
#define ATTENTION_MODEL(type, ...)                                                            \
  static attend begin(sn_scope m, const type *c) {                                            \
    sn_sym_args T = {.m = m, .name = "T", .max = c->context, __VA_ARGS__};                    \
    return (attend){.m = m, .B = sn_sym(m, "B"), .T = sn_sym_at(SN_HERE("sn_sym(m, T)"), T)}; \
  }                                                                                           \
  static void forward(sn_scope m, const type *c) {                                            \
    attend a = begin(m, c);                                                                   \
    sn_output(m, "y", type##_attention(&a, c));                                               \
  }                                                                                           \
  static void gradients(sn_scope m, const type *c) {                                          \
    attend a = begin(m, c);                                                                   \
    sn_t y = type##_attention(&a, c);                                                         \
    sn_output(m, "y", y);                                                                     \
    attention_gradients(&a, y);                                                               \
  }                                                                                           \
  SN_MODEL(type, type, forward, gradients)

#endif
