/* Attention sinks: the last w keys, and always the first s.   Xiao et al. 2024 (StreamingLLM), section 3.2 */
#include "attention.h"

SN_SETTINGS(sinks, ATTENTION_SIZES, (int, window, 512, "keys seen", SN_SIZE),
            (int, sinks, 4, "first keys, always seen", .max = 1 << 24));

static sn_t sinks_mask(sn_site at, const void *opt) {
  const sinks *c = opt;
  sn_t see = sn_or(sn_lt(sn_sub(at.q, at.k), c->window), sn_lt(at.k, c->sinks));
  return sn_and(sn_le(at.k, at.q), see);
}

static sn_t sinks_attention(attend *a, const sinks *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .mask = sinks_mask, .opt = c, .name = "sinks");
}

ATTENTION_MODEL(sinks, .min = 1);
