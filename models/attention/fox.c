/* Forgetting Transformer (FoX): what lies between j and i is forgotten by the gates f_t = sigmoid(gate_t) of each head:
 * s_ij + sum of log f_l over l = j + 1 .. i, which is c_i - c_j for the running sums c.   Lin et al. 2025, equations 4
 * and 5 */
#include "attention.h"

SN_SETTINGS(fox, ATTENTION_SIZES);

typedef struct {
  sn_t c; /* [B, T, H]: sums of log f up to t */
} forgetting;

static sn_t fox_score(sn_t s, sn_site at, const void *opt) {
  sn_t c = ((const forgetting *)opt)->c;
  return sn_add(s, sn_sub(sn_index(c, at.batch, at.q, at.head), sn_index(c, at.batch, at.k, at.head)));
}

static sn_t fox_attention(attend *a, const fox *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t gate = attention_input(a, "gate", (a->B, a->T, c->heads));
  forgetting o = {sn_cumsum(sn_logsigmoid(gate), 1)};
  return sn_attention(x.q, x.k, x.v, .score = fox_score, .mask = sn_causal, .opt = &o, .name = "fox");
}

ATTENTION_MODEL(fox, .min = 1);
