/* Causal attention: y_i = sum over j <= i of softmax_j(q_i . k_j / sqrt d) v_j.   Vaswani et al. 2017, eq. 1 and
 * section 3.2.3 */
#include "attention.h"

SN_SETTINGS(causal, ATTENTION_SIZES);

static sn_t causal_attention(attend *a, const causal *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .mask = sn_causal, .name = "causal");
}

ATTENTION_MODEL(causal, .min = 1);
