/* ALiBi: the score minus m_h (i - j), slopes m_h a geometric sequence.   Press, Smith, Lewis 2022, section 3 */
#include "attention.h"

SN_SETTINGS(alibi, ATTENTION_SIZES);

static sn_t alibi_score(sn_t s, sn_site at, const void *opt) {
  const alibi *c = opt;
  return sn_sub(s, sn_mul(sn_alibi_slope(at.head, c->heads), sn_sub(at.q, at.k)));
}

static sn_t alibi_attention(attend *a, const alibi *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  return sn_attention(x.q, x.k, x.v, .score = alibi_score, .mask = sn_causal, .opt = c, .name = "alibi");
}

ATTENTION_MODEL(alibi, .min = 1);
