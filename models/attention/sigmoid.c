/* Sigmoid attention: y_i = sum of sigmoid(s_ij - log n) v_j, n the length, which decoding is told: weights do not
 * compete.   Ramapuram et al. 2024, equation 2 and section 4 */
#include "attention.h"

SN_SETTINGS(sigmoid, ATTENTION_SIZES);

typedef struct {
  sn_t bias; /* -log n */
} shift;

static sn_t sigmoid_score(sn_t s, sn_site at, const void *opt) {
  return (void)at, sn_add(s, ((const shift *)opt)->bias);
}

static sn_t sigmoid_attention(attend *a, const sigmoid *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t n = a->cache ? sn_input(a->m, "length", SN_I32, ()) : sn_dim_value(a->T);
  shift o = {sn_neg(sn_log(n))};
  return sn_attention(x.q, x.k, x.v, .score = sigmoid_score, .mask = sn_causal, .normaliser = sn_sigmoid_weights,
                      .opt = &o, .name = "sigmoid");
}

ATTENTION_MODEL(sigmoid, .min = 1);
