/* Learned temperature: g_h times the cosine of query and key.   Henry et al. 2020 (QKNorm), equation 4 */
#include "attention.h"

SN_SETTINGS(temperature, ATTENTION_SIZES);

typedef struct {
  sn_t g; /* [H] */
} temperatures;

static sn_t temperature_score(sn_t s, sn_site at, const void *opt) {
  return sn_mul(s, sn_index(((const temperatures *)opt)->g, at.head));
}

static sn_t temperature_attention(attend *a, const temperature *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  temperatures o = {attention_param(a, "g", (c->heads), .init = sn_fill(8))};
  return sn_attention(sn_l2_norm(x.q, 1e-6), sn_l2_norm(x.k, 1e-6), x.v, .score = temperature_score, .mask = sn_causal,
                      .opt = &o, .scale = 1, .name = "temperature");
}

ATTENTION_MODEL(temperature, .min = 1);
