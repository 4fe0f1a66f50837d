/* Soft-capped logits: c tanh(s / c).   Gemma team 2024 (Gemma 2), section 2 */
#include "attention.h"

SN_SETTINGS(softcap, ATTENTION_SIZES, (double, cap, 50, "c"));

static sn_t softcap_score(sn_t s, sn_site at, const void *opt) {
  double cap = ((const softcap *)opt)->cap;
  return (void)at, sn_mul(cap, sn_tanh(sn_div(s, cap)));
}

static sn_t softcap_attention(attend *a, const softcap *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .score = softcap_score, .mask = sn_causal, .opt = c, .name = "softcap");
}

ATTENTION_MODEL(softcap, .min = 1);
