/* Transformer-XL: the score of i and j is (q_i + u) . k_j + (q_i + v) . r_(i - j), r a projection of sinusoidal
 * positions. Keys begin with `memory` rows of the segment before: what a cache holds.   Dai et al. 2019, section 3.3
 * and appendix B */
#include "attention.h"

SN_SETTINGS(xl, ATTENTION_HEADS, ATTENTION_CACHES, (int, memory, 0, "rows before the first query", .max = 1 << 24),
            (int, width, 16, "of the sinusoids", SN_SIZE));

typedef struct {
  sn_t r, rest, S; /* r_n [H, P + S, d] and (v - u) . r_n [H, P + S] from n = -P, P positions; rows of q come with u */
  int memory, head;
} relative;

static sn_t together(sn_t s, sn_site at, const void *opt) {
  const relative *o = opt;
  sn_t n = sn_add(sn_sub(at.q, at.k), o->S), bias = sn_index(o->rest, at.head, n);
  return sn_mul(sn_add(sn_add(s, sn_dot_q(at, o->r, at.head, n)), bias), 1 / sqrt(o->head));
}

static sn_t past(sn_site at, const void *opt) { return sn_le(at.k, sn_add(at.q, ((const relative *)opt)->memory)); }

static sn_t xl_attention(attend *a, const xl *c) {
  int memory = a->cache ? 0 : c->memory;
  sn_dim P = a->S;
  a->S = sn_dim_add(P, memory);
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  sn_t u = attention_param(a, "r_w_bias", (c->heads, c->head)), b = attention_param(a, "r_r_bias", (c->heads, c->head));
  sn_t R = sn_sinusoid(sn_sub(sn_arange(a->m, sn_dim_add(P, a->S)), sn_dim_value(P)), c->width);
  sn_t r = sn_einsum("rw,whd->hrd", R, attention_param(a, "r_net.weight", (c->width, c->heads, c->head)));
  relative o = {r, sn_einsum("hd,hrd->hr", sn_sub(b, u), r), sn_dim_value(a->S), memory, c->head};
  return sn_attention(sn_add(x.q, u), x.k, x.v, .score = together, .mask = past, .opt = &o, .scale = 1, .name = "xl");
}

ATTENTION_MODEL(xl, .min = 1);
