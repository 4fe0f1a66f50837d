/* Hashing: rows fall into the bucket argmax [x R; -x R] of random R, are sorted by it and cut into chunks; i sees those
 * j <= i of its bucket that lie in its chunk or the one before. Several rounds, each with an R of its own, see the
 * union: a pair seen in n rounds counts 1 / n in each. Keys are the queries, of length 1; i sees itself only if nothing
 * else. Kitaev, Kaiser, Levskaya 2020 (Reformer), equations 4 to 6 and appendix A */
#include "attention.h"

SN_SETTINGS(lsh, ATTENTION_HEADS, (int, buckets, 16, "of a round, even"), (int, rounds, 2, "rounds"),
            (int, chunk, 64, "rows"));

enum { ROUNDS_MAX = 8 };

typedef struct {
  sn_t bucket, chunk, order; /* i32[B H, T]: by position; positions in order */
} hashing;

static hashing hash(sn_t x, sn_t R, int chunk) {
  sn_t r = sn_einsum("ntd,dm->ntm", sn_stop(x), R), bucket = sn_argmax(sn_concat(2, r, sn_neg(r)));
  sn_t order = sn_argsort(bucket, .axis = 1);
  return (hashing){bucket, sn_floordiv(sn_argsort(order, .axis = 1), chunk), order};
}

/* Rows [N, T, d] as chunks [N, n, c, d]; with the chunk before each, [N, n, 2c, d], what is not there being `before`.
 */
static sn_t cut(sn_t x, int c) { return sn_rearrange(x, "n(tc)d->ntcd", .c = c); }
static sn_t cut_back(sn_t x, int c, double before) {
  x = cut(x, c);
  return sn_concat(2, sn_slice(sn_pad(x, 1, 1, 0, before), 1, 0, sn_size(x, 1)), x);
}

/* A number by row, for the queries [N, n, c, 1] and the keys [N, n, 1, 2c] of the chunks. */
typedef struct {
  sn_t q, k;
} pair;
static pair pairs(sn_t x, int c) {
  x = sn_rearrange(x, "nt->nt1");
  return (pair){cut(x, c), sn_rearrange(cut_back(x, c, 1 << 30), "ntc1->nt1c")};
}

/* Which pairs of the chunks that `order` gives are seen in the round h? */
static sn_t seen(hashing h, sn_t order, int c) {
  pair bucket = pairs(sn_slots(h.bucket, order), c), chunk = pairs(sn_slots(h.chunk, order), c);
  return sn_and(sn_eq(bucket.q, bucket.k), sn_within(sn_sub(chunk.q, chunk.k), 0, 2));
}

/* Round r: its result [N, T, d], and the logarithm of its weights' sum, [N, T, 1]. */
static sn_t attend_round(qkv x, const hashing *h, int r, const lsh *c, sn_t *sum) {
  sn_t order = h[r].order, back = sn_argsort(order, .axis = 1), times = {0};
  pair at = pairs(order, c->chunk);
  for (int n = 0; n < c->rounds; n++) times = sn_add(times, sn_cast(seen(h[n], order, c->chunk), SN_REAL));
  sn_t k = cut_back(sn_slots(x.k, order), c->chunk, 0), v = cut_back(sn_slots(x.v, order), c->chunk, 0);
  sn_t s = sn_div(sn_einsum("ntid,ntjd->ntij", cut(sn_slots(x.q, order), c->chunk), k), sqrt(c->head));
  s = sn_sub(s, sn_add(sn_log(sn_max(times, 1)), sn_where(sn_eq(at.q, at.k), 1e3, 0)));
  s = sn_where(sn_and(seen(h[r], order, c->chunk), sn_le(at.k, at.q)), s, -1e30);
  *sum = sn_rearrange(sn_slots(sn_rearrange(sn_logsumexp(s), "nti->n(ti)"), back), "nt->nt1");
  return sn_slots(sn_rearrange(sn_einsum("ntij,ntjd->ntid", sn_softmax(s), v), "ntid->n(ti)d"), back);
}

static sn_t lsh_attention(attend *a, const lsh *c) {
  a->T = sn_dim_mul(sn_sym(a->m, "chunks", .max = c->context / c->chunk), c->chunk);
  sn_t q = attention_fold(attention_input(a, "q", (a->B, a->T, c->heads, c->head))), y[ROUNDS_MAX], sums = {0};
  sn_t v = attention_fold(attention_input(a, "v", (a->B, a->T, c->heads, c->head))), sum, total = {0};
  sn_t R = sn_random(a->m, "rotation", SN_NORMAL, (c->rounds, c->head, c->buckets / 2));
  hashing h[ROUNDS_MAX];
  sn_output(a->m, "rotation", R);
  for (int r = 0; r < c->rounds; r++) h[r] = hash(q, sn_at(R, r), c->chunk);
  for (int r = 0; r < c->rounds; r++) {
    y[r] = attend_round((qkv){q, sn_l2_norm(q, 1e-6), v}, h, r, c, &sum);
    sums = r ? sn_concat(2, sums, sum) : sum;
  }
  sn_t weight = sn_softmax(sums);
  for (int r = 0; r < c->rounds; r++) total = sn_add(total, sn_mul(sn_slice(weight, 2, r, 1), y[r]));
  return attention_unfold(total, c->heads);
}

ATTENTION_COMPOSITION(lsh, .min = 1);
