/* Routing: normalised queries and keys belong to the nearest of c centroids by head; i sees j <= i of its own cluster.
 * Rows are sorted by cluster, so that whole blocks are not seen. Centroids are a state that follows the sums of their
 * members.   Roy et al. 2021 (Routing Transformer), section 4.1 */
#include "attention.h"

SN_SETTINGS(routing, ATTENTION_HEADS, (int, clusters, 8, "c"), (double, decay, .999, "of the centroids"));

typedef struct {
  sn_ranked q, k; /* i32[B H, T] in order: the cluster and the position of every row */
} routes;

static sn_t routing_mask(sn_site at, const void *opt) {
  const routes *o = opt;
  sn_t own = sn_eq(sn_index(o->q.values, at.batch, at.q), sn_index(o->k.values, at.batch, at.k));
  return sn_and(own, sn_le(sn_index(o->k.positions, at.batch, at.k), sn_index(o->q.positions, at.batch, at.q)));
}

/* The cluster of every row of x [B, T, H, d]; adds the members of each to sums [H, c, d]. */
static sn_t cluster(attend *a, sn_t x, sn_t centroids, int c, sn_t *sums) {
  x = sn_stop(sn_layernorm(a->m, "norm", x, .no_bias = true, .no_scale = true));
  sn_t nearest = sn_argmax(sn_einsum("bthd,hcd->bhtc", x, centroids));
  sn_t member = sn_cast(sn_eq(sn_rearrange(nearest, "bht->bht1"), sn_arange(a->m, c)), SN_REAL);
  *sums = sn_add(*sums, sn_einsum("bhtc,bthd->hcd", member, x));
  return sn_rearrange(nearest, "bht->(bh)t");
}

static sn_t rows(sn_t x, sn_t order) { return sn_rearrange(sn_slots(attention_fold(x), order), "ntd->nt1d"); }

static sn_t routing_attention(attend *a, const routing *c) {
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  sn_t mu = sn_state(a->m, "centroids", (c->heads, c->clusters, c->head), .init = sn_normal(1));
  sn_t sums = sn_zeros(a->m, SN_REAL, (c->heads, c->clusters, c->head));
  sn_t q = cluster(a, x.q, mu, c->clusters, &sums), k = cluster(a, x.k, mu, c->clusters, &sums);
  routes o = {sn_sort(q, .axis = 1), sn_sort(k, .axis = 1)};
  sn_t y = sn_attention(rows(x.q, o.q.positions), rows(x.k, o.k.positions), rows(x.v, o.k.positions),
                        .mask = routing_mask, .opt = &o, .name = "routing");
  sn_update(mu, sn_lerp(sn_mul(.5, sums), mu, c->decay));
  y = sn_slots(sn_rearrange(y, "nt1d->ntd"), sn_argsort(o.q.positions, .axis = 1));
  return attention_unfold(y, c->heads);
}

ATTENTION_COMPOSITION(routing, .min = 1);
