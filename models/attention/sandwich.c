/* Sandwich: the score plus r_h (p_i . p_j - w / 2), p the sinusoids of width w, so that p_i . p_j is a sum of cosines
 * of i - j, largest at 0; r_h as ALiBi's slopes.   Chi, Fan, Rudnicky, Ramadge 2023, section 5 */
#include "attention.h"

SN_SETTINGS(sandwich, ATTENTION_SIZES, (int, width, 128, "of the sinusoids", SN_SIZE));

typedef struct {
  sn_t far; /* [S]: p_i . p_j - w / 2 by i - j */
  int heads;
} biases;

/* sum over k of cos(d 10000^(-2k / w)) - 1 of d = 0 .. count - 1. */
static sn_t cosines(sn_scope m, sn_dim count, int width) {
  sn_t both = sn_rearrange(sn_sinusoid(sn_arange(m, count), width), "s(kp)->skp", .p = 2);
  return sn_sum(sn_sub(sn_slice(both, 2, 1, 1), 1), "sk1->s");
}

static sn_t sandwich_score(sn_t s, sn_site at, const void *opt) {
  const biases *o = opt;
  return sn_add(s, sn_mul(sn_alibi_slope(at.head, o->heads), sn_index(o->far, sn_max(sn_sub(at.q, at.k), 0))));
}

static sn_t sandwich_attention(attend *a, const sandwich *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  biases o = {cosines(a->m, a->S, c->width), c->heads};
  return sn_attention(x.q, x.k, x.v, .score = sandwich_score, .mask = sn_causal, .opt = &o, .name = "sandwich");
}

ATTENTION_MODEL(sandwich, .min = 1);
