/* Softmax plus one: exp(s_j) / (1 + sum of exp(s_j)): a query may attend to nothing.   Miller 2023, "Attention is off
 * by one"; gpt-oss has a learned score in place of the 0: `learned` */
#include "attention.h"

SN_SETTINGS(softmax1, ATTENTION_SIZES, (bool, learned, 0, "a learned score by head in place of 0"));

static sn_t softmax1_attention(attend *a, const softmax1 *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t sink = {0};
  if (c->learned) sink = attention_param(a, "sinks", (c->heads), .init = sn_normal(1));
  return sn_attention(x.q, x.k, x.v, .mask = sn_causal, .normaliser = sn_softmax_sink(sink), .name = "softmax1");
}

ATTENTION_MODEL(softmax1, .min = 1);
