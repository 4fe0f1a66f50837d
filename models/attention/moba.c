/* Mixture of block attention (MoBA): i sees j <= i of its own block and of those earlier blocks whose mean key has the
 * largest products with q_i, `top` blocks in all.   Lu et al. 2025, equations 2 to 6.   Without caches: it would need
 * the sums of keys of past blocks */
#include "attention.h"

SN_SETTINGS(moba, ATTENTION_SIZES, (int, block, 512, "keys", SN_SIZE),
            (int, top, 3, "blocks seen, the own one included", .min = 1, .max = 64));

typedef struct {
  sn_t rank; /* i32[B, T, H, blocks]: 0 is the own one */
  const moba *c;
} ranks;

static sn_t moba_mask(sn_site at, const void *opt) {
  const ranks *o = opt;
  sn_t rank = sn_index(o->rank, at.batch, at.q, at.head, sn_floordiv(at.k, o->c->block));
  return sn_and(sn_causal(at, NULL), sn_lt(rank, o->c->top));
}

static sn_t moba_attention(attend *a, const moba *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_dim n = sn_dim_ceildiv(a->T, c->block);
  sn_t own = sn_floordiv(sn_arange(a->m, a->T), c->block), block = sn_arange(a->m, n);
  sn_t sums = sn_segment_sum(sn_rearrange(x.k, "btgd->tbgd"), own, n);
  sn_t gate = sn_einsum("btgrd,nbgd->btgrn", sn_rearrange(x.q, "bt(gr)d->btgrd", .g = ATTENTION_KV(c)), sums);
  own = sn_rearrange(own, "t->t11"), gate = sn_rearrange(gate, "btgrn->bt(gr)n");
  gate = sn_where(sn_lt(block, own), gate, sn_where(sn_eq(block, own), 1e30, -1e30));
  ranks o = {sn_argsort(sn_sort(gate, 3, .descending = true).positions, 3), c};
  return sn_attention(x.q, x.k, x.v, .mask = moba_mask, .opt = &o, .name = "moba");
}

ATTENTION_COMPOSITION(moba, .min = 1);
