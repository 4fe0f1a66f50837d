/* Scalable softmax: weights n^(s_h z_ij) over their sum for the n keys that i sees, which is the softmax of
 * s_h log n z_ij: it does not fade as rows grow.   Nakanishi 2025, equations 2 and 3 */
#include "attention.h"

SN_SETTINGS(ssmax, ATTENTION_SIZES);

typedef struct {
  sn_t s; /* [H] */
} sharpness;

static sn_t ssmax_score(sn_t z, sn_site at, const void *opt) {
  sn_t s = sn_index(((const sharpness *)opt)->s, at.head), n = sn_add(at.q, 1);
  return sn_mul(z, sn_mul(s, sn_log(n)));
}

static sn_t ssmax_attention(attend *a, const ssmax *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sharpness o = {attention_param(a, "s", (c->heads), .init = sn_fill(.43))};
  return sn_attention(x.q, x.k, x.v, .score = ssmax_score, .mask = sn_causal, .opt = &o, .name = "ssmax");
}

ATTENTION_MODEL(ssmax, .min = 1);
