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
  sn_t q = attention_input(a, "q", (a->B, a->T, c->heads, c->head));
  sn_t k = attention_input(a, "k", (a->B, a->T, ATTENTION_KV(c), c->head));
  sn_t v = attention_cache(a, "values", attention_input(a, "v", (a->B, a->T, ATTENTION_KV(c), c->head)));
  temperatures o = {attention_param(a, "g", (c->heads), .init = sn_fill(8))};
  k = attention_cache(a, "keys", sn_l2_norm(k, 1e-6));
  return sn_attention(sn_l2_norm(q, 1e-6), k, v, .score = temperature_score, .mask = sn_causal, .opt = &o, .scale = 1,
                      .name = "temperature");
}

ATTENTION_MODEL(temperature, .min = 1);
