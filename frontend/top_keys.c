/* The keys with the largest products of each query: no tensor of queries by keys is made.
 *
 *   blocks of queries [N, Q, r, d] and of keys [N, K, s, d]; a scan over K, mapped along N and Q, whose states are the
 *   best so far, [r, count]: their products, and where they stand. They are joined by each block of keys in turn. Sorts
 *   are stable and those before come first: of equal products the first keys count. */
#include "frontend/trace.h"

enum { QUERIES = 64, KEYS = 512 };

#define NO_KEY (-1e30)

typedef struct top_keys {
  sn_here here;
  sn_scope m;
  sn_dim count;
  bool causal;
  sn_t last; /* the last key, i32[] or a number */
} top_keys;

/* x: queries [r, d] and keys [s, d]; where they stand, [r, 1] and [1, s] */
static sn_t join(sn_t h[], const sn_t x[], const void *opt) {
  const top_keys *o = opt;
  sn_here here = o->here;
  sn_t seen = sn_x_le(here, x[3], o->causal ? sn_x_min(here, x[2], o->last) : o->last);
  sn_t place = sn_x_add(here, x[3], sn_x_mul(here, x[2], sn_num(0)));
  const sn_arg both[2] = {{x[0]}, {x[1]}};
  sn_t s = sn_x_where(here, seen, sn_einsum_at(here, "rd,sd->rs", (sn_list){2, both}), sn_num(NO_KEY));
  const sn_arg scores[2] = {{h[0]}, {s}}, places[2] = {{h[1]}, {place}};
  sn_ranked best = sn_top_k_at(here, sn_concat_at(here, 1, (sn_list){2, scores}), SN_D(o->count));
  h[0] = best.values;
  h[1] = sn_slots_at(here, sn_concat_at(here, 1, (sn_list){2, places}), best.positions);
  return sn_at_at(here, sn_at_at(here, x[3], 0), 0); /* a scan has an output */
}

static sn_t rearranged(const top_keys *o, sn_t x, const char *spec, int64_t r) {
  return sn_rearrange_at(o->here, (sn_axes){.x = x, .spec = spec, .r = r});
}

/* x [N, T, d] as blocks [N, n, r, d] of the working float, with zeros behind T. */
static sn_t blocks(const top_keys *o, sn_t x, sn_dim n, int64_t r) {
  sn_dim more = sn_dim_add(sn_dim_mul(n, sn_dim_of(r)), sn_dim_mul(sn_size(x, 1), sn_dim_of(-1)));
  x = sn_cast_at(o->here, (sn_arg){sn_op1(o->here, "stop", (sn_arg){x})}, SN_REAL);
  return rearranged(o, sn_pad_at(o->here, x, 1, SN_D(sn_dim_of(0)), SN_D(more), 0), "n(tr)d->ntrd", r);
}

/* Positions of the rows of n blocks. -> i32[n, r] */
static sn_t places(const top_keys *o, sn_dim n, int64_t r) {
  return rearranged(o, sn_arange_at(o->here, o->m, SN_D(sn_dim_mul(n, sn_dim_of(r)))), "(tr)->tr", r);
}

/* A number, or x, along the axes of shape. */
static sn_t filled(const top_keys *o, sn_t x, sn_dtype type, sn_shape shape) {
  return sn_x_add(o->here, sn_zeros_at(o->here, o->m, type, shape), x);
}

static sn_ranked find(const top_keys *o, sn_t q, sn_t k) {
  sn_dim N = sn_size(q, 0), T = sn_size(q, 1), d = sn_size(q, 2), one = sn_dim_of(1);
  sn_dim Q = sn_dim_ceildiv(T, sn_dim_of(QUERIES)), K = sn_dim_ceildiv(sn_size(k, 1), sn_dim_of(KEYS));
  sn_dim r = sn_dim_of(QUERIES), s = sn_dim_of(KEYS);
  sn_t query = rearranged(o, blocks(o, q, Q, QUERIES), "nqrd->nq1rd", 0);
  sn_t key = rearranged(o, blocks(o, k, K, KEYS), "nksd->n1ksd", 0);
  sn_t i = rearranged(o, places(o, Q, QUERIES), "qr->q1r1", 0), j = rearranged(o, places(o, K, KEYS), "ks->k1s", 0);
  const sn_shape best = {4, {{N}, {Q}, {r}, {o->count}}};
  sn_t values = filled(o, sn_num(NO_KEY), SN_REAL, best), positions = filled(o, o->last, SN_I32, best);
  const sn_arg x[4] = {{filled(o, query, SN_REAL, (sn_shape){5, {{N}, {Q}, {K}, {r}, {d}}})},
                       {filled(o, key, SN_REAL, (sn_shape){5, {{N}, {Q}, {K}, {s}, {d}}})},
                       {filled(o, i, SN_I32, (sn_shape){5, {{N}, {Q}, {K}, {r}, {one}}})},
                       {filled(o, j, SN_I32, (sn_shape){5, {{N}, {Q}, {K}, {one}, {s}}})}};
  sn_scan_at(o->here, join, "nqt", (sn_t *[]){&values, &positions, NULL}, (sn_list){4, x}, (sn_scan_opt){.opt = o});
  sn_t *const both[2] = {&values, &positions};
  for (int n = 0; n < 2; n++)
    *both[n] = sn_slice_at(o->here, rearranged(o, *both[n], "nqrk->n(qr)k", 0), 1, (sn_arg){sn_num(0)}, SN_D(T));
  return (sn_ranked){values, positions};
}

static bool check(sn_call *c, const sn_top_keys_args *a) {
  const sn_type *q = sn_need(c, a->q, "q"), *k = q ? sn_need(c, a->k, "k") : NULL;
  bool fits = k && q->rank == 3 && k->rank == 3 && sn_elem_is_float(q->elem) && q->elem == k->elem;
  fits = fits && q->dim[0] == k->dim[0] && q->dim[2] == k->dim[2];
  if (k && !fits)
    sn_mistake(c, "floats [N, T, d] and [N, S, d]",
               sn_texts(c, "%s and %s", sn_describe(c, a->q, sn_spelled(c, 0)), sn_describe(c, a->k, sn_spelled(c, 1))),
               "queries and keys do not fit");
  if (fits && a->count < 1) sn_mistake(c, "at least 1", sn_texts(c, "%d", a->count), "there is nothing to find");
  return fits && a->count > 0;
}

sn_ranked sn_top_keys_at(sn_here here, sn_top_keys_args a) {
  const sn_t both[2] = {a.q, a.k};
  sn_call c = sn_call_on(here, 2, both);
  if (!c.fn || c.poison || !check(&c, &a)) return (sn_ranked){sn_poison(&c), sn_poison(&c)};
  top_keys o = {.here = here, .m = {.fn = c.trace->inner}, .count = sn_dim_of(a.count), .causal = a.causal};
  o.last = sn_x_sub(here, sn_dim_value(sn_size(a.k, 1)), sn_num(1));
  return find(&o, a.q, a.k);
}
