/* Differential attention: the difference of two softmaxes, (softmax(q1 k1) - l softmax(q2 k2)) v, normalised by head;
 * l = exp(a1 . b1) - exp(a2 . b2) + l0 is learned.   Ye et al. 2025, equations 1 to 3 */
#include "attention.h"

SN_SETTINGS(differential, ATTENTION_SIZES, (double, start, .8, "l0"));

static sn_t exp_dot(attend *a, const char *left, const char *right, int head) {
  sn_t x = attention_param(a, left, (head), .init = sn_normal(.1));
  return sn_exp(sn_sum(sn_mul(x, attention_param(a, right, (head), .init = sn_normal(.1))), "d->"));
}

static sn_t differential_attention(attend *a, const differential *c) {
  sn_t q = attention_input(a, "q", (a->B, a->T, c->heads, 2 * c->head));
  sn_t k = attention_input(a, "k", (a->B, a->T, ATTENTION_KV(c), 2 * c->head));
  sn_t v = attention_input(a, "v", (a->B, a->T, ATTENTION_KV(c), 2 * c->head)), y[2];
  v = attention_cache(a, "values", v);
  sn_t l = sn_sub(exp_dot(a, "lambda_q1", "lambda_k1", c->head), exp_dot(a, "lambda_q2", "lambda_k2", c->head));
  for (int n = 0; n < 2; n++) {
    sn_t keys = attention_cache(a, n ? "keys.2" : "keys.1", sn_slice(k, 3, n * c->head, c->head));
    y[n] = sn_attention(sn_slice(q, 3, n * c->head, c->head), keys, v, .mask = sn_causal, .name = "differential");
  }
  sn_t x = sn_sub(y[0], sn_mul(sn_add(l, c->start), y[1]));
  return sn_mul(sn_rmsnorm(a->m, "norm", x, .eps = 1e-5, .no_scale = true), 1 - c->start);
}

ATTENTION_MODEL(differential, .min = 1);
