/* Hashing: rows fall into the bucket argmax [x R; -x R] of random R, are sorted by it and cut into chunks; i sees those
 * j <= i of its bucket that lie in its chunk or the one before. Several rounds, each with an R of its own, see the
 * union: a pair seen in n rounds counts 1 / n in each. Keys are the queries, of length 1; i sees itself only if nothing
 * else. Kitaev, Kaiser, Levskaya 2020 (Reformer), equations 4 to 6 and appendix A */
#include "attention.h"

SN_SETTINGS(lsh, ATTENTION_HEADS, (int, buckets, 16, "of a round, even", SN_SIZE),
            (int, rounds, 2, "rounds", .min = 1, .max = 8), (int, chunk, 64, "rows", SN_SIZE));

enum { ROUNDS_MAX = 8 };

/* Fewer or more are a mistake, told where they are drawn. */
static int rounds_of(const lsh *c) { return c->rounds < 1 ? 1 : c->rounds < ROUNDS_MAX ? c->rounds : ROUNDS_MAX; }

/* Rows in the order of round `own`: where they stood, and their buckets and chunks in every round, i32[B H, T]. */
typedef struct {
  sn_t position, bucket[ROUNDS_MAX], chunk[ROUNDS_MAX];
  int own, rounds;
} hashing;

static sn_t seen(const hashing *o, int round, sn_site at) {
  sn_t bucket = o->bucket[round], chunk = o->chunk[round];
  sn_t apart = sn_sub(sn_index(chunk, at.batch, at.q), sn_index(chunk, at.batch, at.k));
  return sn_and(sn_eq(sn_index(bucket, at.batch, at.q), sn_index(bucket, at.batch, at.k)), sn_within(apart, 0, 2));
}

static sn_t lsh_mask(sn_site at, const void *opt) {
  const hashing *o = opt;
  sn_t past = sn_le(sn_index(o->position, at.batch, at.k), sn_index(o->position, at.batch, at.q));
  return sn_and(seen(o, o->own, at), past);
}

static sn_t lsh_score(sn_t s, sn_site at, const void *opt) {
  const hashing *o = opt;
  sn_t itself = sn_eq(at.q, at.k), times = {0};
  for (int r = 0; r < o->rounds; r++) times = sn_add(times, sn_cast(seen(o, r, at), SN_REAL));
  return sn_sub(s, sn_add(sn_log(sn_max(times, 1)), sn_where(itself, 1e3, 0)));
}

/* The logarithm of the weights' sum, which rounds are weighed by, is kept. */
static sn_t keep(sn_t y, sn_t total, const void *opt) { return **(sn_t *const *)opt = total, y; }

static sn_t lsh_attention(attend *a, const lsh *c) {
  sn_t q = attention_input(a, "q", (a->B, a->T, c->heads, c->head)), sum = {0}, *const kept = &sum, sums = {0}, y = {0};
  sn_t v = attention_input(a, "v", (a->B, a->T, c->heads, c->head)), k = sn_l2_norm(q, 1e-6), part[ROUNDS_MAX];
  sn_t R = sn_random(a->m, "rotation", SN_NORMAL, (c->rounds, c->head, c->buckets / 2)), order[ROUNDS_MAX];
  int rounds = rounds_of(c);
  hashing h = {.rounds = rounds};
  sn_expect(R, (rounds, c->head, c->buckets / 2));
  sn_output(a->m, "rotation", R);
  for (int r = 0; r < rounds; r++) {
    sn_t x = sn_einsum("ntd,dm->ntm", sn_stop(attention_fold(q)), sn_at(R, r));
    h.bucket[r] = sn_argmax(sn_concat(2, x, sn_neg(x))), order[r] = sn_argsort(h.bucket[r], 1);
    h.chunk[r] = sn_floordiv(sn_argsort(order[r], 1), c->chunk);
  }
  for (int r = 0; r < rounds; r++) {
    hashing o = {.position = order[r], .own = r, .rounds = rounds};
    for (int n = 0; n < rounds; n++)
      o.bucket[n] = sn_slots(h.bucket[n], order[r]), o.chunk[n] = sn_slots(h.chunk[n], order[r]);
    part[r] = sn_attention(attention_rows(q, order[r]), attention_rows(k, order[r]), attention_rows(v, order[r]),
                           .score = lsh_score, .mask = lsh_mask, .opt = &o,
                           .normaliser = {.finish = keep, .opt = &kept}, .name = "lsh");
    part[r] = attention_rows_back(part[r], order[r], c->heads), sum = attention_rows_back(sum, order[r], c->heads);
    sums = r ? sn_concat(3, sums, sum) : sum;
  }
  sn_t weight = sn_softmax(sums);
  for (int r = 0; r < rounds; r++) y = sn_add(y, sn_mul(sn_slice(weight, 3, r, 1), part[r]));
  return y;
}

ATTENTION_COMPOSITION(lsh, .min = 1);
