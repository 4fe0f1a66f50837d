/* Kerple: the score plus -r1 log(1 + r2 |i - j|), or -r1 |i - j|^r2 (power), r1, r2 > 0 learned by head.   Chi et al.
 * 2022, equations 4 and 5 */
#include "attention.h"

SN_SETTINGS(kerple, ATTENTION_SIZES, (bool, power, 0, "-r1 |i - j|^r2"));

typedef struct {
  sn_t r1, r2; /* [H] */
  bool power;
} kernel;

static sn_t kerple_score(sn_t s, sn_site at, const void *opt) {
  const kernel *o = opt;
  sn_t d = sn_cast(sn_abs(sn_sub(at.q, at.k)), SN_REAL), r1 = sn_index(o->r1, at.head), r2 = sn_index(o->r2, at.head);
  sn_t log_form = sn_log1p(sn_mul(r2, d)), power_form = sn_where(sn_lt(d, 1), 0, sn_pow(sn_max(d, 1), r2));
  return sn_sub(s, sn_mul(r1, o->power ? power_form : log_form));
}

static sn_t kerple_attention(attend *a, const kerple *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  kernel o = {attention_param(a, "r1", (c->heads), .init = sn_fill(1)),
              attention_param(a, "r2", (c->heads), .init = sn_fill(.5)), c->power};
  return sn_attention(x.q, x.k, x.v, .score = kerple_score, .mask = sn_causal, .opt = &o, .name = "kerple");
}

ATTENTION_MODEL(kerple, .min = 1);
