/* BigBird: blocks see their neighbours, the first and last block see and are seen by all, and every block sees r random
 * others: distinct, in neither set, the same for the same input "seed".   Zaheer et al. 2020, section 2 and appendix D
 */
#include "attention.h"

SN_SETTINGS(bigbird, ATTENTION_SIZES, (int, block, 64, "positions", SN_SIZE),
            (int, random, 3, "blocks per block", .max = 64));

typedef struct {
  sn_t see; /* bool[blocks, blocks] */
  int block;
} blocks;

static sn_t bigbird_mask(sn_site at, const void *opt) {
  const blocks *o = opt;
  return sn_index(o->see, sn_floordiv(at.q, o->block), sn_floordiv(sn_max(at.k, 0), o->block));
}

static sn_t bigbird_attention(attend *a, const bigbird *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_dim n = sn_dim_ceildiv(a->S, c->block);
  sn_t last = sn_sub(sn_dim_value(n), 1), k = sn_arange(a->m, n), q = sn_rearrange(k, "q->q1");
  sn_t seen = sn_or(sn_within(sn_sub(q, k), -1, 2), sn_or(sn_eq(k, 0), sn_eq(k, last)));
  sn_t draws = sn_where(seen, -1., sn_random(a->m, "blocks", SN_UNIFORM, (n, n))); /* the largest are taken */
  sn_t chosen = sn_lt(sn_argsort(sn_sort(draws, 1, .descending = true).positions, 1), c->random);
  blocks o = {sn_or(sn_or(seen, chosen), sn_or(sn_eq(q, 0), sn_eq(q, last))), c->block};
  sn_output(a->m, "chosen", chosen);
  return sn_attention(x.q, x.k, x.v, .mask = bigbird_mask, .opt = &o, .name = "bigbird");
}

ATTENTION_MODEL(bigbird, .min = 1);
