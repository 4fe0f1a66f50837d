/* Forgetting Transformer (FoX): what lies between j and i is forgotten by the gates f_t = sigmoid(gate_t) of each head:
 * s_ij + sum of log f_l over l = j + 1 .. i, which is c_i - c_j for the running sums c.   Lin et al. 2025, equations 4
 * and 5 */
#include "attention.h"

SN_SETTINGS(fox, ATTENTION_SIZES);

typedef struct {
  by_position c; /* [B, T, H]: sums of log f up to t */
} forgetting;

static sn_t fox_score(sn_t s, sn_site at, const void *opt) {
  by_position c = ((const forgetting *)opt)->c;
  sn_t ci = sn_index(c.x, at.batch, attention_place(c, at.q), at.head);
  return sn_add(s, sn_sub(ci, sn_index(c.x, at.batch, attention_place(c, at.k), at.head)));
}

static sn_t fox_attention(attend *a, const fox *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t gate = attention_input(a, "gate", (a->B, a->T, c->heads));
  forgetting o = {attention_places(a, "c", attention_sums(a, "sums", sn_logsigmoid(gate)), c->context)};
  return sn_attention(x.q, x.k, x.v, .score = fox_score, .mask = sn_causal, .opt = &o, .name = "fox");
}

ATTENTION_MODEL(fox, .min = 1);
