/* Transformer-XL: the score of i and j is (q_i + u) . k_j + (q_i + v) . r_(i - j), r a projection of sinusoidal
 * positions. Keys begin with `memory` rows of the segment before: what a cache holds.   Dai et al. 2019, section 3.3
 * and appendix B */
#include "attention.h"

SN_SETTINGS(xl, ATTENTION_HEADS, ATTENTION_CACHES, (int, memory, 0, "rows before the first query"),
            (int, width, 16, "of the sinusoids"));

typedef struct {
  sn_t r, rest,
      last; /* r_n [H, R, d] and (v - u) . r_n [H, R] from n = 1 - T, cached: 0; rows of q come with u; S - 1 */
  const xl *c;
  bool cached;
} relative;

static sn_t xl_score(sn_t s, sn_site at, const void *opt) {
  const relative *o = opt;
  sn_t n = o->cached ? sn_max(sn_sub(at.q, at.k), 0) : sn_add(sn_sub(at.q, at.k), o->last);
  sn_t position = sn_add(sn_dot_q(at, o->r, at.head, n), sn_index(o->rest, at.head, n));
  return sn_add(s, sn_mul(1 / sqrt(o->c->head), position));
}

static sn_t xl_mask(sn_site at, const void *opt) {
  const relative *o = opt;
  return o->cached ? sn_causal(at, NULL) : sn_le(at.k, sn_add(at.q, o->c->memory));
}

static sn_t xl_attention(attend *a, const xl *c) {
  sn_dim S = a->cache ? a->T : sn_dim_add(a->T, c->memory);
  sn_dim R = a->cache ? a->S : sn_dim_add(sn_dim_add(a->T, S), -1);
  sn_t q = attention_input(a, "q", (a->B, a->T, c->heads, c->head));
  sn_t k = attention_input(a, "k", (a->B, S, c->heads, c->head)),
       v = attention_input(a, "v", (a->B, S, c->heads, c->head));
  sn_t u = attention_param(a, "r_w_bias", (c->heads, c->head)), b = attention_param(a, "r_r_bias", (c->heads, c->head));
  sn_t W = attention_param(a, "r_net.weight", (c->width, c->heads, c->head));
  sn_t n = sn_arange(a->m, R);
  if (!a->cache) n = sn_sub(n, sn_sub(sn_dim_value(a->T), 1));
  sn_t r = sn_einsum("rw,whd->hrd", sn_sinusoid(n, c->width), W);
  relative o = {r, sn_einsum("hd,hrd->hr", sn_sub(b, u), r), sn_sub(sn_dim_value(S), 1), c, a->cache != NULL};
  k = attention_cache(a, "keys", k), v = attention_cache(a, "values", v);
  return sn_attention(sn_add(q, u), k, v, .score = xl_score, .mask = xl_mask, .opt = &o, .name = "xl");
}

ATTENTION_MODEL(xl, .min = 1);
