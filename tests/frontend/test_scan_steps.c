/* Steps drawn at random from what is linear in a matrix state: where the chunked form is made, it is the recurrence. */
#include "support.h"

#include <math.h>

SN_SETTINGS(opts, (int, seed, 1, "of the step"));

enum { B = 2, T = 11, K = 3, V = 2, CHUNK = 4, STEPS = 150 };

typedef struct draw {
  sn_rng rng;
  sn_t q, k, v, w, b, S;
} draw;

static int pick(draw *d, int n) { return (int)(sn_rng_f64(&d->rng) * n); }
static sn_t matrix(draw *d, int depth);

static sn_t along_k(draw *d, int depth) {
  switch (depth ? pick(d, 6) : pick(d, 3)) {
    case 0: return d->q;
    case 1: return d->k;
    case 2: return d->w;
    case 3: return sn_mul(along_k(d, depth - 1), along_k(d, depth - 1));
    case 4: return sn_sub(along_k(d, depth - 1), d->k);
    default: return sn_tanh(along_k(d, depth - 1));
  }
}

static sn_t factor(draw *d, int depth) {
  switch (depth ? pick(d, 3) : 0) {
    case 0: return d->b;
    case 1: return sn_einsum("k,k->", along_k(d, depth - 1), along_k(d, depth - 1));
    default: return sn_div(.7, sn_add(2, sn_square(d->b)));
  }
}

static sn_t read_of(draw *d, int depth) {
  sn_t m = matrix(d, depth), x = along_k(d, depth);
  switch (pick(d, 3)) {
    case 0: return sn_einsum("vk,k->v", m, x);
    case 1: return sn_einsum("k,vk->v", x, m);
    default: return sn_sum(sn_mul(m, sn_rearrange(x, "k->1k")), "vk->v");
  }
}

static sn_t along_v(draw *d, int depth) {
  switch (depth ? pick(d, 5) : 0) {
    case 0: return d->v;
    case 1:
    case 2: return read_of(d, depth - 1);
    case 3: return sn_mul(factor(d, depth - 1), along_v(d, depth - 1));
    default: return sn_sub(along_v(d, depth - 1), along_v(d, depth - 1));
  }
}

static sn_t matrix(draw *d, int depth) {
  switch (depth > 0 ? pick(d, 7) : 0) {
    case 0: return d->S;
    case 1: return sn_einsum("v,k->vk", along_v(d, depth - 1), along_k(d, depth - 1));
    case 2: return sn_einsum("vk,k->vk", matrix(d, depth - 1), along_k(d, depth - 1));
    case 3: return sn_mul(factor(d, depth - 1), matrix(d, depth - 1));
    case 4: return sn_rearrange(sn_rearrange(sn_neg(matrix(d, depth - 1)), "vk->kv"), "kv->vk");
    case 5: return sn_sub(matrix(d, depth - 1), matrix(d, depth - 1));
    default: return sn_add(matrix(d, depth - 1), sn_div(matrix(d, depth - 1), 3));
  }
}

static sn_t step(sn_t h[], const sn_t x[], const void *opt) {
  draw d = {{.seed = (uint64_t)((const opts *)opt)->seed}, x[0], x[1], x[2], x[3], x[4], h[0]};
  sn_t before = along_v(&d, 4);
  h[0] = sn_mul(.4, sn_add(h[0], matrix(&d, 5)));
  d.S = h[0];
  return sn_add(sn_mul(sn_sin(before), d.v), along_v(&d, 4));
}

static void walk(sn_scope m, const opts *c) {
  sn_t x[6] = {sn_input(m, "q", SN_REAL, (B, T, K)), sn_input(m, "k", SN_REAL, (B, T, K)),
               sn_input(m, "v", SN_REAL, (B, T, V)), sn_input(m, "w", SN_REAL, (B, T, K)),
               sn_input(m, "b", SN_REAL, (B, T)),    sn_input(m, "S", SN_REAL, (B, V, K))};
  sn_t S = x[5], y = sn_scan(step, "bt", (&S), (x[0], x[1], x[2], x[3], x[4]), .opt = c), g[4];
  sn_t loss = sn_add(sn_sum(sn_sin(y), "btv->"), sn_sum(sn_sin(S), "bvk->"));
  sn_grad(loss, (x[1], x[2], x[4], x[5]), (&g[0], &g[1], &g[2], &g[3]));
  sn_output(m, "y", y), sn_output(m, "last", S), sn_output(m, "dk", g[0]), sn_output(m, "dv", g[1]);
  sn_output(m, "db", g[2]), sn_output(m, "dS", g[3]);
}

SN_MODEL(steps, opts, walk);

static bench *run(int seed, sn_scan_form form) {
  char settings[32];
  snprintf(settings, sizeof settings, "seed=%d", seed);
  bench *b = bench_begin_form(&sn_model_steps, "walk", settings, SN_ELEM_F64, form, CHUNK);
  bench_run(b, "walk");
  return b;
}

static double largest_of(const sn_tensor *x) {
  double largest = 1;
  for (int64_t k = 0; k < x->count; k++) largest = fmax(largest, isfinite(x->value[k]) ? fabs(x->value[k]) : INFINITY);
  return largest;
}

/* Derivatives tell how much a rounding grows: of what grows without end no digits are left to compare. */
static bool is_tame(const bench *b) {
  for (int i = 0; i < b->func->output_count; i++)
    if (largest_of(bench_output(b, b->func->output[i].name)) > 1e4) return false;
  return true;
}

/* -> was the form made, and compared? */
static bool compare(int seed) {
  bench *a = run(seed, SN_SCAN_AUTO), *b = run(seed, SN_SCAN_CHUNKED);
  bool made = false;
  for (int i = 0; i < b->module->func_count; i++) made |= !strncmp(b->module->func[i]->name, "chunk", 5);
  made &= is_tame(a);
  for (int i = 0; made && i < a->func->output_count; i++) {
    const sn_tensor *x = bench_output(a, a->func->output[i].name), *y = bench_output(b, a->func->output[i].name);
    double off = 0, largest = largest_of(x);
    for (int64_t k = 0; k < x->count; k++)
      off = fmax(off, isfinite(y->value[k]) ? fabs(x->value[k] - y->value[k]) : INFINITY);
    if (!(off <= 1e-10 * largest))
      fail_msg("seed %d: %s is off by %g of %g", seed, a->func->output[i].name, off, largest);
  }
  bench_end(a);
  bench_end(b);
  return made;
}

static void test_steps(void **state) {
  int made = 0;
  (void)state;
  for (int seed = 1; seed <= STEPS; seed++) made += compare(seed);
  assert_true(made > STEPS / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
