/* Longformer: i sees j when |i - j| <= w / 2; the first g positions see all and are seen by all. With `separate`, the
 * rows of those are made of projections of their own, of all keys: not while decoding.   Beltagy, Peters, Cohan 2020,
 * section 3.1 */
#include "attention.h"

SN_SETTINGS(longformer, ATTENTION_SIZES, (int, window, 512, "keys seen", SN_SIZE),
            (int, globals, 1, "positions that see all", .max = 1 << 24),
            (bool, separate, 0, "global rows by their own q, k, v"));

static sn_t longformer_mask(sn_site at, const void *opt) {
  const longformer *c = opt;
  int half = c->window / 2;
  return sn_or(sn_within(sn_sub(at.q, at.k), -half, half + 1), sn_lt(sn_min(at.q, at.k), c->globals));
}

static sn_t longformer_attention(attend *a, const longformer *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t y = sn_attention(x.q, x.k, x.v, .mask = longformer_mask, .opt = c, .name = "longformer");
  if (!c->separate || a->cache) return y;
  sn_t q = attention_input(a, "q_global", (a->B, c->globals, c->heads, c->head));
  sn_t k = attention_input(a, "k_global", (a->B, a->T, ATTENTION_KV(c), c->head));
  sn_t v = attention_input(a, "v_global", (a->B, a->T, ATTENTION_KV(c), c->head));
  return sn_concat(1, sn_attention(q, k, v, .name = "global"),
                   sn_slice(y, 1, c->globals, sn_dim_add(a->T, -c->globals)));
}

ATTENTION_MODEL(longformer, .min = c->globals + 1);
