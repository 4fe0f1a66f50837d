/* What recurrences over matrices must be, in chunks: their parallel forms, each other's limits, exact memories. */
#include "support.h"

#include <math.h>

#include "tests/recurrent.h"

SN_SETTINGS(opts, (int, steps, 21, "steps"));

enum { B = 2, H = 2, K = 4, V = 3, CHUNK = 8 };

/* ---- steps ------------------------------------------------------------------------------------------------------ */

static sn_t summed(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(h[0], sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}
static sn_t decayed(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  h[0] = sn_add(sn_mul(x[3], h[0]), sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}
/* RWKV-7: decay, removed key, how much of it, written key. */
static sn_t removes(sn_t h[], const sn_t x[], const void *opt) {
  sn_t old = sn_einsum("v,k->vk", sn_einsum("vk,k->v", h[0], x[4]), sn_mul(x[4], x[5]));
  (void)opt;
  h[0] = sn_add(sn_sub(sn_einsum("vk,k->vk", h[0], x[3]), old), sn_einsum("v,k->vk", x[2], x[1]));
  return sn_einsum("vk,k->v", h[0], x[0]);
}

/* ---- graphs: a is what the other output must be
 * -----------------------------------------------------------------------------------
 */

static sn_t in(sn_scope m, const opts *c, const char *name, int size) {
  return sn_input(m, name, SN_REAL, (B, c->steps, H, size));
}
static sn_t number(sn_scope m, const opts *c, const char *name) { return sn_input(m, name, SN_REAL, (B, c->steps, H)); }
static sn_t nothing(sn_scope m) { return sn_zeros(m, SN_REAL, (B, H, V, K)); }

/* [t, s]: is s before or at t? */
static sn_t past(sn_scope m, int steps) {
  sn_t i = sn_arange(m, steps);
  return sn_le(sn_rearrange(i, "s->1s"), sn_rearrange(i, "t->t1"));
}

/* o_t = sum over s <= t of (q_t k_s) w_(s+1) .. w_t v_s */
static void parallel(sn_scope m, const opts *c) {
  sn_t q = in(m, c, "q", K), k = in(m, c, "k", K), v = in(m, c, "v", V), log_w = sn_logsigmoid(number(m, c, "w"));
  sn_t S = nothing(m);
  sn_output(m, "a", sn_scan(decayed, "bth", (&S), (q, k, v, sn_exp(log_w))));
  sn_t G = sn_rearrange(sn_cumsum(log_w, 1), "bth->bht");
  sn_t between = sn_exp(sn_sub(sn_rearrange(G, "bht->bht1"), sn_rearrange(G, "bhs->bh1s")));
  sn_t scores = sn_mul(sn_einsum("bthk,bshk->bhts", q, k), sn_where(past(m, c->steps), between, 0));
  sn_output(m, "same", sn_einsum("bhts,bshv->bthv", scores, v));
}

/* A decay of 1 is none: RetNet, Mamba-2, GLA and RWKV-7 that removes nothing are linear attention. */
static void undecayed(sn_scope m, const opts *c) {
  sn_t q = in(m, c, "q", K), k = in(m, c, "k", K), v = in(m, c, "v", V), S = nothing(m), P = S, R = S;
  sn_t one = sn_add(1, sn_mul(0, number(m, c, "w"))), ones = sn_add(1, sn_mul(0, k));
  sn_output(m, "a", sn_scan(summed, "bth", (&S), (q, k, v)));
  sn_output(m, "same", sn_scan(decayed, "bth", (&P), (q, k, v, one)));
  sn_output(m, "same2", sn_scan(removes, "bth", (&R), (q, k, v, ones, k, sn_mul(0, k))));
}

/* RWKV-7 without decay that removes the key which it writes is DeltaNet. */
static void limit(sn_scope m, const opts *c) {
  sn_t q = in(m, c, "q", K), k = sn_l2_norm(in(m, c, "k", K), 1e-9), v = in(m, c, "v", V);
  sn_t b = sn_sigmoid(number(m, c, "b")), S = nothing(m), P = S;
  sn_t ones = sn_add(1, sn_mul(0, k)), all = sn_mul(sn_rearrange(b, "bth->bth1"), ones);
  sn_output(m, "a", sn_scan(delta, "bth", (&S), (q, k, v, sn_add(1, sn_mul(0, b)), b)));
  sn_output(m, "same", sn_scan(removes, "bth", (&P), (q, sn_mul(all, k), v, ones, k, all)));
}

/* Two halves, the state handed over. */
static void halves(sn_scope m, const opts *c) {
  int half = c->steps / 2;
  sn_t x[5] = {in(m, c, "q", K), sn_l2_norm(in(m, c, "k", K), 1e-6), in(m, c, "v", V), sn_sigmoid(number(m, c, "w")),
               sn_sigmoid(number(m, c, "b"))};
  sn_t S = sn_input(m, "S", SN_REAL, (B, H, V, K)), P = S, l[5], r[5];
  for (int i = 0; i < 5; i++) l[i] = sn_slice(x[i], 1, 0, half), r[i] = sn_slice(x[i], 1, half, c->steps - half);
  sn_output(m, "a", sn_scan(delta, "bth", (&S), (x[0], x[1], x[2], x[3], x[4])));
  sn_t y = sn_scan(delta, "bth", (&P), (l[0], l[1], l[2], l[3], l[4]));
  sn_output(m, "same", sn_concat(1, y, sn_scan(delta, "bth", (&P), (r[0], r[1], r[2], r[3], r[4]))));
  sn_output(m, "S.a", S);
  sn_output(m, "S.b", P);
}

/* The chunk formula of the gated delta rule, one chunk: (I + A) U = b V, A = b Gamma (k k), o = Gamma (q k) U. `wrong`
 * has a mask of 0 and 1 in place of Gamma. */
static sn_t formula(sn_scope m, const opts *c, const sn_t *x, bool wrong) {
  sn_t G = sn_rearrange(sn_cumsum(x[3], 1), "bth->bht"), b = sn_rearrange(x[4], "bth->bht1");
  sn_t gamma = sn_exp(sn_sub(sn_rearrange(G, "bht->bht1"), sn_rearrange(G, "bhs->bh1s")));
  if (wrong) gamma = sn_add(1, sn_mul(0, gamma));
  sn_t A = sn_mul(sn_mul(gamma, b), sn_einsum("bthk,bshk->bhts", x[1], x[1]));
  sn_t U = sn_solve_lower(A, sn_mul(b, sn_rearrange(x[2], "bthv->bhtv")));
  sn_t read = sn_where(past(m, c->steps), sn_mul(gamma, sn_einsum("bthk,bshk->bhts", x[0], x[1])), 0);
  return sn_einsum("bhts,bhsv->bthv", read, U);
}
static void control(sn_scope m, const opts *c) {
  sn_t x[5] = {in(m, c, "q", K), sn_l2_norm(in(m, c, "k", K), 1e-6), in(m, c, "v", V), sn_logsigmoid(number(m, c, "w")),
               sn_sigmoid(number(m, c, "b"))};
  sn_t S = nothing(m);
  sn_output(m, "a", sn_scan(delta, "bth", (&S), (x[0], x[1], x[2], sn_exp(x[3]), x[4])));
  sn_output(m, "same", formula(m, c, x, false));
  sn_output(m, "wrong", formula(m, c, x, true));
}

/* Orthonormal keys, each written twice: the delta rule has the second value, sums have both. */
static void overwrite(sn_scope m, const opts *c) {
  sn_t v = sn_input(m, "v", SN_REAL, (B, 2 * K, H, V)), i = sn_mod(sn_arange(m, 2 * K), K), S = nothing(m), P = S;
  sn_t key = sn_cast(sn_eq(sn_rearrange(i, "t->t1"), sn_rearrange(sn_arange(m, K), "k->1k")), SN_REAL);
  sn_t k = sn_add(sn_zeros(m, SN_REAL, (B, 2 * K, H, K)), sn_rearrange(key, "tk->1t1k"));
  sn_t one = sn_add(1, sn_zeros(m, SN_REAL, (B, 2 * K, H)));
  (void)c;
  sn_scan(delta, "bth", (&S), (k, k, v, one, one));
  sn_scan(summed, "bth", (&P), (k, k, v));
  sn_t old = sn_rearrange(sn_slice(v, 1, 0, K), "bkhv->bhvk"), new = sn_rearrange(sn_slice(v, 1, K, K), "bkhv->bhvk");
  sn_output(m, "a", S), sn_output(m, "same", new);
  sn_output(m, "S.a", P), sn_output(m, "S.b", sn_add(old, new));
}

/* One write at the first step, keys and queries 1, a decay of 3/4: step t reads (3/4)^t v. */
static void impulse(sn_scope m, const opts *c) {
  sn_t S = nothing(m), t = sn_arange(m, c->steps), first = sn_rearrange(sn_eq(t, 0), "t->1t11");
  sn_t v = sn_where(first, in(m, c, "v", V), 0), w = sn_add(.75, sn_mul(0, number(m, c, "w")));
  sn_t one = sn_cast(sn_eq(sn_arange(m, K), 0), SN_REAL), k = sn_add(sn_mul(0, in(m, c, "k", K)), one);
  sn_output(m, "a", sn_scan(decayed, "bth", (&S), (k, k, v, w)));
  sn_t power = sn_rearrange(sn_pow(.75, sn_cast(t, SN_REAL)), "t->1t11");
  sn_output(m, "same", sn_mul(power, sn_sum(v, "bthv->b1hv")));
}

/* The gated delta rule that writes nothing (b = 0) only decays. */
static void decay(sn_scope m, const opts *c) {
  sn_t q = in(m, c, "q", K), k = sn_l2_norm(in(m, c, "k", K), 1e-6), v = in(m, c, "v", V);
  sn_t S0 = sn_input(m, "S", SN_REAL, (B, H, V, K)), S = S0, log_w = sn_logsigmoid(number(m, c, "w"));
  sn_scan(delta, "bth", (&S), (q, k, v, sn_exp(log_w), sn_mul(0, number(m, c, "b"))));
  sn_output(m, "a", S);
  sn_output(m, "same", sn_mul(sn_rearrange(sn_exp(sn_sum(log_w, "bth->bh")), "bh->bh11"), S0));
}

/* Mamba whose rate is the same for all channels and states of a head is Mamba-2. */
static sn_t selects(sn_t h[], const sn_t x[], const void *opt) {
  const sn_t *a = opt;
  h[0] = sn_add(sn_mul(sn_exp(sn_einsum("v,vk->vk", x[1], *a)), h[0]), sn_einsum("v,k->vk", sn_mul(x[1], x[0]), x[2]));
  return sn_einsum("vk,k->v", h[0], x[3]);
}
static void shared(sn_scope m, const opts *c) {
  sn_t u = in(m, c, "v", V), B_ = in(m, c, "k", K), C = in(m, c, "q", K), dt = sn_softplus(number(m, c, "w"));
  sn_t rate = sn_add(sn_zeros(m, SN_REAL, (V, K)), -.7), S = nothing(m), P = S;
  sn_t each = sn_add(sn_rearrange(dt, "bth->bth1"), sn_mul(0, u));
  sn_output(m, "a", sn_scan(decayed, "bth", (&S), (C, B_, sn_mul(each, u), sn_exp(sn_mul(-.7, dt)))));
  sn_output(m, "same", sn_scan(selects, "bth", (&P), (u, each, B_, C), .opt = &rate));
}

/* Truncated backpropagation: a scan whose state is stopped every `TRUNCATED` steps has the gradients of the steps one
 * by one with a stop there; without the stop it has not. */
enum { TRUNCATED = 7 };
static sn_t walked(const opts *c, const sn_t *x, sn_t S, int each, int stop) {
  sn_t loss = sn_mul(0, sn_sum(S, "bhvk->"));
  for (int t = 0; t < c->steps; t += each) {
    sn_t part[5];
    for (int i = 0; i < 5; i++) part[i] = sn_slice(x[i], 1, t, each);
    if (stop && t % stop == 0) S = sn_stop(S);
    sn_t y = sn_scan(delta, "bth", (&S), (part[0], part[1], part[2], part[3], part[4]));
    loss = sn_add(loss, sn_sum(sn_square(y), "bthv->"));
  }
  return loss;
}
static void truncated(sn_scope m, const opts *c) {
  sn_t k = in(m, c, "k", K), w = number(m, c, "w"), S = sn_input(m, "S", SN_REAL, (B, H, V, K)), g[3];
  sn_t x[5] = {in(m, c, "q", K), sn_l2_norm(k, 1e-6), in(m, c, "v", V), sn_sigmoid(w), sn_sigmoid(number(m, c, "b"))};
  sn_t loss[3] = {walked(c, x, S, TRUNCATED, TRUNCATED), walked(c, x, S, 1, TRUNCATED), walked(c, x, S, TRUNCATED, 0)};
  for (int i = 0; i < 3; i++) sn_grad(loss[i], (k), (&g[i]));
  sn_output(m, "a", g[0]), sn_output(m, "same", g[1]), sn_output(m, "wrong", g[2]);
}

SN_MODEL(laws, opts, parallel, undecayed, limit, halves, control, overwrite, impulse, decay, shared, truncated);

/* ---- comparison ------------------------------------------------------------------------------------------------- */

static double distance(const bench *b, const char *x, const char *y) {
  const sn_tensor *p = bench_output(b, x), *q = bench_output(b, y);
  double largest = 0, off = 0;
  assert_int_equal(p->count, q->count);
  for (int64_t i = 0; i < p->count; i++) {
    largest = fmax(largest, fabs(p->value[i]));
    off = fmax(off, isfinite(q->value[i]) ? fabs(p->value[i] - q->value[i]) : INFINITY);
  }
  assert_true(largest > 0);
  return off / largest;
}

static bench *run(const char *graph) {
  bench *b = bench_begin_form(&sn_model_laws, graph, NULL, SN_ELEM_F64, SN_SCAN_CHUNKED, CHUNK);
  bool made = false;
  for (int i = 0; i < b->module->func_count; i++) made |= !strncmp(b->module->func[i]->name, "chunk", 5);
  assert_true(made);
  bench_run(b, graph);
  return b;
}

static void check(const char *graph, const char *x, const char *y, double most) {
  bench *b = run(graph);
  double off = distance(b, x, y);
  if (!(off <= most)) fail_msg("%s: %s is off %s by %g", graph, y, x, off);
  bench_end(b);
}

static void test_parallel(void **state) { (void)state, check("parallel", "a", "same", 1e-10); }
static void test_undecayed(void **state) {
  (void)state;
  check("undecayed", "a", "same", 1e-10);
  check("undecayed", "a", "same2", 1e-10);
}
static void test_limit(void **state) { (void)state, check("limit", "a", "same", 1e-8); }
static void test_halves(void **state) {
  (void)state;
  check("halves", "a", "same", 1e-10);
  check("halves", "S.a", "S.b", 1e-10);
}
static void test_overwrite(void **state) {
  (void)state;
  check("overwrite", "a", "same", 1e-15);
  check("overwrite", "S.a", "S.b", 1e-15);
}

static void test_impulse(void **state) { (void)state, check("impulse", "a", "same", 1e-15); }
static void test_decay(void **state) { (void)state, check("decay", "a", "same", 1e-12); }
static void test_shared(void **state) { (void)state, check("shared", "a", "same", 1e-10); }
static void test_truncated(void **state) {
  (void)state;
  check("truncated", "a", "same", 1e-10);
  bench *b = run("truncated");
  assert_true(distance(b, "a", "wrong") > 1e-2);
  bench_end(b);
}

/* The comparison tells a decay mask from one of 0 and 1. */
static void test_control(void **state) {
  (void)state;
  check("control", "a", "same", 1e-10);
  bench *b = run("control");
  assert_true(distance(b, "a", "wrong") > 1e-2);
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_parallel),  cmocka_unit_test(test_undecayed),
                                     cmocka_unit_test(test_limit),     cmocka_unit_test(test_halves),
                                     cmocka_unit_test(test_overwrite), cmocka_unit_test(test_control),
                                     cmocka_unit_test(test_impulse),   cmocka_unit_test(test_decay),
                                     cmocka_unit_test(test_shared),    cmocka_unit_test(test_truncated)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
