/* BigBird: blocks see their neighbours, the first and last block see and are seen by all, and every block sees r random
 * others: distinct, in neither set, the same for the same input "seed" and number of blocks.   Zaheer et al. 2020,
 * section 2 and appendix D
 */
#include "attention.h"

SN_SETTINGS(bigbird, ATTENTION_SIZES, (int, block, 64, "positions"), (int, random, 3, "blocks per block"));

typedef struct {
  sn_t pick, last; /* i32[blocks, random]; the number of the last block */
  const bigbird *c;
} blocks;

static sn_t bigbird_mask(sn_site at, const void *opt) {
  const blocks *o = opt;
  sn_t q = sn_floordiv(at.q, o->c->block), k = sn_floordiv(at.k, o->c->block);
  sn_t see = sn_or(sn_within(sn_sub(q, k), -1, 2), sn_eq(sn_min(q, k), 0));
  see = sn_or(see, sn_eq(sn_max(q, k), o->last));
  for (int r = 0; r < o->c->random; r++) see = sn_or(see, sn_eq(k, sn_index(o->pick, q, r)));
  return see;
}

/* The blocks of the largest random numbers among those that are not seen anyway; where there are too few, the own one.
 */
static blocks draw(attend *a, const bigbird *c) {
  sn_dim n = sn_dim_ceildiv(a->S, c->block);
  sn_t last = sn_sub(sn_dim_value(n), 1), k = sn_arange(a->m, n), q = sn_rearrange(k, "q->q1");
  sn_t seen = sn_or(sn_within(sn_sub(q, k), -1, 2), sn_or(sn_eq(k, 0), sn_eq(k, last)));
  sn_t draws = sn_where(seen, -1., sn_random(a->m, "blocks", SN_UNIFORM, (n, n)));
  sn_ranked best = sn_top_k(sn_pad(draws, 1, 0, c->random, -1), c->random);
  return (blocks){sn_where(sn_lt(best.values, 0), q, best.positions), last, c};
}

static sn_t bigbird_attention(attend *a, const bigbird *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  blocks o = draw(a, c);
  sn_output(a->m, "pick", o.pick);
  return sn_attention(x.q, x.k, x.v, .mask = bigbird_mask, .opt = &o, .name = "bigbird");
}

ATTENTION_MODEL(bigbird, .min = 1);
