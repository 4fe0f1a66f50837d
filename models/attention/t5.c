/* T5: the score, not scaled, plus a learned number by head and bucket of i - j: exact up to half of the buckets, then
 * logarithmic to `far`; in both directions, half of the buckets for either.   Raffel et al. 2020, section 2.1, and its
 * code */
#include "attention.h"

SN_SETTINGS(t5, ATTENTION_SIZES, (int, buckets, 32, "numbers by head", SN_SIZE),
            (int, far, 128, "distance of the last bucket", .min = 1, .max = 1 << 24),
            (bool, both, 0, "in both directions"), (bool, book, 0, "one bucket more, the last from `far` on"));

typedef struct {
  sn_t table; /* [H, buckets] */
  const t5 *c;
} biases;

static sn_t t5_score(sn_t s, sn_site at, const void *opt) {
  const biases *o = opt;
  int half = o->c->both ? o->c->buckets / 2 : o->c->buckets;
  sn_t d = sn_sub(at.q, at.k), bucket = sn_log_bucket(sn_abs(d), half - !o->c->book, o->c->far);
  if (o->c->both) bucket = sn_add(bucket, sn_mul(half, sn_cast(sn_lt(d, 0), SN_I32)));
  return sn_add(s, sn_index(o->table, at.head, bucket));
}

static sn_t t5_attention(attend *a, const t5 *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  biases o = {attention_param(a, "relative_attention_bias", (c->heads, c->buckets + c->book)), c};
  return sn_attention(x.q, x.k, x.v, .score = t5_score, .mask = c->both ? NULL : sn_causal, .opt = &o, .scale = 1,
                      .name = "t5");
}

ATTENTION_MODEL(t5, .min = 1);
