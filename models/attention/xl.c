/* Transformer-XL: the score of i and j is (q_i + u) . k_j + (q_i + v) . r_(i - j), r a projection of sinusoidal
 * positions. Keys begin with `memory` rows of the segment before.   Dai et al. 2019, section 3.3 and appendix B */
#include "attention.h"

SN_SETTINGS(xl, ATTENTION_HEADS, (int, memory, 0, "rows before the first query"), (int, width, 16, "of the sinusoids"));

typedef struct {
  sn_t r, rest, last; /* r_n [H, R, d] and (v - u) . r_n [H, R] from n = 1 - T; rows of q come with u; S - 1 */
  const xl *c;
} relative;

static sn_t xl_score(sn_t s, sn_site at, const void *opt) {
  const relative *o = opt;
  sn_t n = sn_add(sn_sub(at.q, at.k), o->last);
  sn_t position = sn_add(sn_dot_q(at, o->r, at.head, n), sn_index(o->rest, at.head, n));
  return sn_add(s, sn_mul(1 / sqrt(o->c->head), position));
}

static sn_t xl_mask(sn_site at, const void *opt) {
  return sn_le(at.k, sn_add(at.q, ((const relative *)opt)->c->memory));
}

static sn_t xl_attention(attend *a, const xl *c) {
  sn_dim S = sn_dim_add(a->T, c->memory), R = sn_dim_add(sn_dim_add(a->T, S), -1);
  sn_t q = attention_input(a, "q", (a->B, a->T, c->heads, c->head));
  sn_t k = attention_input(a, "k", (a->B, S, c->heads, c->head)),
       v = attention_input(a, "v", (a->B, S, c->heads, c->head));
  sn_t u = attention_param(a, "r_w_bias", (c->heads, c->head)), b = attention_param(a, "r_r_bias", (c->heads, c->head));
  sn_t W = attention_param(a, "r_net.weight", (c->width, c->heads, c->head));
  sn_t n = sn_sub(sn_arange(a->m, R), sn_sub(sn_dim_value(a->T), 1));
  sn_t r = sn_einsum("rw,whd->hrd", sn_sinusoid(n, c->width), W);
  relative o = {r, sn_einsum("hd,hrd->hr", sn_sub(b, u), r), sn_sub(sn_dim_value(S), 1), c};
  return sn_attention(sn_add(q, u), k, v, .score = xl_score, .mask = xl_mask, .opt = &o, .name = "xl");
}

ATTENTION_MODEL(xl, .min = 1);
