/* Routing: normalised queries and keys belong to the nearest of c centroids by head; i sees j <= i of its own cluster.
 * Rows are sorted by cluster, so that whole blocks are not seen. Centroids are a state that follows the sums of their
 * members.   Roy et al. 2021 (Routing Transformer), section 4.1 */
#include "attention.h"

SN_SETTINGS(routing, ATTENTION_HEADS, (int, clusters, 8, "c", SN_SIZE), (double, decay, .999, "of the centroids"));

/* opt: of queries and of keys in order, the cluster and the position of every row, i32[B H, T]. */
static sn_t routing_mask(sn_site at, const void *opt) {
  const sn_ranked *q = opt, *k = q + 1;
  sn_t own = sn_eq(sn_index(q->values, at.batch, at.q), sn_index(k->values, at.batch, at.k));
  return sn_and(own, sn_le(sn_index(k->positions, at.batch, at.k), sn_index(q->positions, at.batch, at.q)));
}

static sn_t routing_attention(attend *a, const routing *c) {
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  sn_t mu = sn_state(a->m, "centroids", (c->heads, c->clusters, c->head), .init = sn_normal(1));
  sn_t unit = sn_layernorm(a->m, "norm", sn_stop(sn_concat(1, x.q, x.k)), .no_bias = true, .no_scale = true);
  sn_t nearest = sn_argmax(sn_einsum("bthd,hcd->bhtc", unit, mu)); /* of queries, then of keys */
  sn_t member = sn_cast(sn_eq(sn_rearrange(nearest, "bht->bht1"), sn_arange(a->m, c->clusters)), SN_REAL);
  sn_update(mu, sn_lerp(sn_mul(.5, sn_einsum("bhtc,bthd->hcd", member, unit)), mu, c->decay));
  sn_t of = sn_rearrange(nearest, "bh(nt)->n(bh)t", .n = 2);
  sn_ranked o[2] = {sn_sort(sn_at(of, 0), 1), sn_sort(sn_at(of, 1), 1)};
  sn_t y = sn_attention(attention_rows(x.q, o[0].positions), attention_rows(x.k, o[1].positions),
                        attention_rows(x.v, o[1].positions), .mask = routing_mask, .opt = o, .name = "routing");
  return attention_rows_back(y, o[0].positions, c->heads);
}

ATTENTION_COMPOSITION(routing, .min = 1);
