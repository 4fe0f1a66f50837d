/* Softpick, the rectified softmax: weights relu(exp(s_j) - 1) over the sum of |exp(s_j) - 1|, so that a query may
 * attend to nothing. Those above 0 are the softmax of log(exp(s_j) - 1); the others are in its denominator as a sink
 * is. Zuhri et al. 2025, equation 2 */
#include "attention.h"

SN_SETTINGS(softpick, ATTENTION_SIZES);

static sn_t above(sn_t s, sn_site at, const void *opt) {
  sn_t up = sn_gt(s, 0), x = sn_where(up, s, 1);
  return (void)at, (void)opt, sn_where(up, sn_add(x, sn_log(sn_neg(sn_expm1(sn_neg(x))))), -1e3);
}
static sn_t below(sn_t s, sn_site at, const void *opt) { return (void)at, (void)opt, sn_neg(sn_expm1(sn_min(s, 0))); }
static sn_t divide(sn_t y, sn_t total, const void *opt) {
  sn_t rest = sn_mul(*(const sn_t *)opt, sn_exp(sn_neg(sn_max(total, -60))));
  return sn_div(sn_where(sn_lt(total, -60), 0, y), sn_add(1, rest));
}

static sn_t softpick_attention(attend *a, const softpick *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t one = sn_add(sn_zeros(a->m, SN_REAL, (a->B, a->T, ATTENTION_KV(c), 1)), 1);
  one = attention_cache(a, "ones", one);
  sn_t rest = sn_attention(x.q, x.k, one, .mask = sn_causal, .normaliser = {below}, .name = "softpick_rest");
  return sn_attention(x.q, x.k, x.v, .score = above, .mask = sn_causal, .normaliser = {.finish = divide, .opt = &rest},
                      .name = "softpick");
}

ATTENTION_MODEL(softpick, .min = 1);
