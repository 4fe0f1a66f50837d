/* What the variants of models/attention must obey beyond their equations: what is seen and reached, that approximations
 * become exact, unbiased or better where their papers say so; wrong variants fail the same checks. */
#include "tests/frontend/support.h" /* before sinter.h: see there */

#include "tests/compile/harness.h"
#include "tests/compile/harness_attention.h"

#include <math.h>

/* ---- runs
 * ----------------------------------------------------------------------------------------------------------------- */

/* forward with B = 1 on q, k, v [T, H, d] (k, v [T, d]: one key head) and the seed of what is drawn in the graph. NULL:
 * 0. */
typedef struct given {
  const sn_model *model;
  const char *set;
  int T, H, d, seed;
  const double *q, *k, *v;
  bool one_kv; /* the model has no kv_heads */
} given;

static void give(bench *b, const char *name, const double *x) {
  const sn_node *n = bench_leaf(b, name);
  if (!n) return;
  sn_tensor *t = bench_tensor(b, n->type[0]);
  for (int64_t i = 0; i < t->count; i++) bench_set(t, i, x ? x[i] : 0);
  bench_bind(b, name, t);
}

static bench *run(const given *g) {
  char set[160];
  snprintf(set, sizeof set, "heads=%d head=%d %s %s", g->H, g->d, g->one_kv ? "" : "kv_heads=1", g->set);
  bench *b = bench_begin(g->model, "forward", set, SN_ELEM_F64);
  bench_dim(b, "B", 1);
  bench_dim(b, "T", g->T);
  give(b, "q", g->q);
  give(b, "k", g->k);
  give(b, "v", g->v);
  if (bench_leaf(b, "seed")) GIVE(b, "seed", g->seed);
  bench_run(b, "forward");
  return b;
}

static double *draw(int count, uint64_t seed) {
  sn_rng r = {.seed = seed};
  double *x = malloc(sizeof *x * (size_t)count);
  for (int i = 0; i < count; i++) x[i] = sn_rng_normal(&r);
  return x;
}

static double *identity(int n, int copies) { /* [n, copies, n] */
  double *x = calloc((size_t)(n * copies * n), sizeof *x);
  for (int i = 0; i < n * copies; i++) x[i * n + i / copies] = 1;
  return x;
}

/* sees[h][i][j]: does query i of head h see key j? v holds the rows of the identity. owns: malloc */
static bool *pattern(const sn_model *model, const char *set, int T, int H, int seed) {
  double *v = identity(T, 1);
  bench *b = run(&(given){.model = model, .set = set, .T = T, .H = H, .d = T, .seed = seed, .v = v});
  bool *sees = malloc((size_t)(H * T * T));
  for (int n = 0; n < H * T * T; n++)
    sees[n] = bench_output(b, "y")->value[(n / T % T * H + n / (T * T)) * T + n % T] > 0;
  bench_end(b);
  free(v);
  return sees;
}

/* a then b: is there a way from i to j? */
static bool reaches(const bool *a, const bool *b, int T, int i, int j) {
  for (int m = 0; m < T; m++)
    if (a[i * T + m] && b[m * T + j]) return true;
  return false;
}

static bool all_reach(const bool *a, const bool *b, int T, bool past) {
  for (int i = 0; i < T; i++)
    for (int j = 0; j < (past ? i + 1 : T); j++)
      if (!reaches(a, b, T, i, j)) return false;
  return true;
}

/* ---- what is seen
 * ------------------------------------------------------------------------------------------------------------ */

SN_SETTINGS(stack, (int, layers, 3, "attentions"), (int, window, 3, "keys seen"));

static sn_t near_mask(sn_site at, const void *opt) {
  return sn_within(sn_sub(at.q, at.k), 0, ((const stack *)opt)->window);
}
static void field(sn_scope m, const stack *c) {
  sn_dim T = sn_sym(m, "T");
  sn_t x0 = sn_input(m, "x", SN_REAL, (1, T, 1, 4)), w = sn_input(m, "w", SN_REAL, (1, T, 1, 4)), x = x0, dx;
  for (int n = 0; n < c->layers; n++) x = sn_attention(x, x, x, .mask = near_mask, .opt = c, .name = "near");
  sn_t last = sn_rearrange(sn_eq(sn_arange(m, T), sn_sub(sn_dim_value(T), 1)), "t->t11");
  sn_grad(sn_sum(sn_where(last, sn_mul(x, w), 0), "bthd->"), (x0), (&dx));
  sn_output(m, "dx", dx);
}

/* Numbers of a table at constant places are captured one by one. */
enum { NUMBERS = 24 };
static sn_t sum_score(sn_t s, sn_site at, const void *opt) {
  const sn_t *table = opt;
  sn_t d = sn_mod(sn_add(at.q, at.k), NUMBERS);
  for (int n = 0; n < NUMBERS; n++) s = sn_add(s, sn_mul(sn_index(*table, n), sn_cast(sn_eq(d, n), SN_REAL)));
  return s;
}
static void numbers(sn_scope m, const stack *c) {
  sn_dim T = sn_sym(m, "T");
  sn_t x = sn_input(m, "x", SN_REAL, (c->layers, T, 1, 4)),
       table = sn_param(m, "table", (NUMBERS), .init = sn_normal(1));
  sn_output(m, "y", sn_attention(x, x, x, .score = sum_score, .opt = &table, .name = "numbers"));
}
SN_MODEL(stack, stack, field, numbers);

static void check_kernels(bench *b, const char *graph, int T, const char *set) {
  int64_t dims[4] = {T, T, T, T};
  sn_model_opt opt = {.set = &set, .set_count = 1, .graphs = graph, .real = SN_ELEM_F32};
  check_opt o = {.compile = {.target = SN_HAVE_LLVM ? "cpu" : "template"}, .graph = graph, .dims = dims, .seed = 1};
  sn_module *m;
  check_result r;
  bench_check(b, sn_model_build(&sn_model_stack, &opt, b->arena, b->diags, &m));
  bench_check(b, check_graph(m, &o, b->arena, b->diags, &r));
  if (r.mismatched) fail_msg("%s", r.first);
}

static void many_numbers_are_captured(void **state) {
  (void)state;
  bench *b = bench_begin(&sn_model_stack, "numbers", "layers=2", SN_ELEM_F32);
  check_kernels(b, "numbers", 16, "layers=2");
  bench_end(b);
}

/* The last row depends on exactly 1 + L (w - 1) rows: the gradients of the others are 0 and their bound is 0, so that
 * those of kernels are 0 bit by bit. */
static void receptive_fields(void **state) {
  enum { T = 16 };
  (void)state;
  for (int layers = 1; layers <= 3; layers++) {
    char set[32];
    snprintf(set, sizeof set, "layers=%d", layers);
    bench *b = bench_begin(&sn_model_stack, "field", set, SN_ELEM_F32);
    bench_dim(b, "T", T);
    bench_run_with(b, "field", true);
    const sn_tensor *dx = bench_output(b, "dx");
    for (int i = 0; i < T * 4; i++) {
      bool inside = i / 4 >= T - (1 + layers * 2);
      assert_true(inside == (dx->value[i] != 0) && inside == (dx->bound[i] != 0));
    }
    check_kernels(b, "field", T, set);
    bench_end(b);
  }
}

/* Two steps of strided attention reach every j <= i when l is about sqrt n; of a window alone they do not. */
static void strided_steps_reach_all(void **state) {
  enum { T = 25 };
  (void)state;
  bool *sees = pattern(&sn_model_strided, "stride=5", T, 2, 0), *near = pattern(&sn_model_window, "window=5", T, 1, 0);
  assert_true(all_reach(sees, sees + T * T, T, true));
  assert_false(all_reach(near, near, T, true));
  free(sees);
  free(near);
}

/* Strided attention of odd heads is causal attention of every l-th row, taken apart. */
static void strided_is_a_transpose(void **state) {
  enum { T = 12, L = 3, D = 4 };
  double *q = draw(T * 2 * D, 3), *k = draw(T * D, 4), *v = draw(T * D, 5);
  bench *b =
      run(&(given){.model = &sn_model_strided, .set = "stride=3", .T = T, .H = 2, .d = D, .q = q, .k = k, .v = v});
  (void)state;
  for (int r = 0; r < L; r++) {
    double part[3][T / L * D];
    for (int n = 0; n < T / L * D; n++) {
      int row = r + n / D * L, c = n % D;
      part[0][n] = q[(row * 2 + 1) * D + c];
      part[1][n] = k[row * D + c];
      part[2][n] = v[row * D + c];
    }
    bench *a = run(&(given){
        .model = &sn_model_causal, .set = "", .T = T / L, .H = 1, .d = D, .q = part[0], .k = part[1], .v = part[2]});
    for (int n = 0; n < T / L * D; n++)
      assert_float_equal(bench_output(a, "y")->value[n],
                         bench_output(b, "y")->value[((r + n / D * L) * 2 + 1) * D + n % D], 1e-12);
    bench_end(a);
  }
  bench_end(b);
  free(q);
  free(k);
  free(v);
}

/* One position that sees all and is seen by all: any two are two steps apart. */
static void one_global_position_joins_all(void **state) {
  enum { T = 20 };
  (void)state;
  bool *sees = pattern(&sn_model_longformer, "window=2 globals=1", T, 1, 0);
  bool *near = pattern(&sn_model_window, "window=2 both=1", T, 1, 0);
  assert_true(all_reach(sees, sees, T, false));
  assert_false(all_reach(near, near, T, false));
  free(sees);
  free(near);
}

/* Random blocks: distinct, neither near nor global, the same for the same seed only. */
static void random_blocks(void **state) {
  enum { BLOCKS = 12, R = 3 };
  double first[BLOCKS * BLOCKS];
  int same = 0;
  (void)state;
  for (int n = 0; n < 3; n++) {
    bench *b = run(&(given){
        .model = &sn_model_bigbird, .set = "block=2 random=3", .T = 2 * BLOCKS, .H = 1, .d = 2, .seed = n / 2});
    const double *chosen = bench_output(b, "chosen")->value;
    int count[BLOCKS] = {0};
    for (int i = 0; i < BLOCKS * BLOCKS; i++) {
      int q = i / BLOCKS, k = i % BLOCKS;
      if (chosen[i] == 0) continue;
      assert_true(k > 0 && k < BLOCKS - 1 && abs(q - k) > 1);
      count[q]++;
      same += n == 2 && first[i] != 0;
    }
    for (int q = 0; q < BLOCKS; q++) assert_int_equal(count[q], R);
    if (n == 0) memcpy(first, chosen, sizeof first);
    if (n == 1) assert_memory_equal(chosen, first, sizeof first);
    bench_end(b);
  }
  assert_true(same < BLOCKS * R);
}

static void unit(double *x, int n) {
  double length = 0;
  for (int c = 0; c < n; c++) length += x[c] * x[c];
  for (int c = 0; c < n; c++) x[c] /= sqrt(length);
}

/* ---- chosen by content
 * ---------------------------------------------------------------------------------------------------------- */

static double difference(const bench *a, const bench *b) {
  const sn_tensor *x = bench_output(a, "y"), *y = bench_output(b, "y");
  double most = 0;
  for (int64_t i = 0; i < x->count; i++) most = fmax(most, fabs(x->value[i] - y->value[i]));
  return most;
}

/* All keys are dense attention; eight suffice when one key stands out by more than log n, and not when none does. */
static void top_keys(void **state) {
  enum { T = 64, D = 8 };
  (void)state;
  for (int planted = 0; planted < 2; planted++) {
    double *q = draw(T * D, 6), *k = draw(T * D, 7), *v = draw(T * D, 8);
    for (int i = 0; i < T; i++) unit(k + i * D, D);
    for (int i = 0; i < T * D; i++) q[i] = planted ? 30 * sqrt(D) * k[i / D / 2 * D + i % D] : .1 * q[i];
    given g = {.model = &sn_model_causal, .set = "", .T = T, .H = 1, .d = D, .q = q, .k = k, .v = v};
    bench *dense = run(&g);
    g.one_kv = true;
    g.model = &sn_model_topk;
    g.set = "keys=64";
    bench *every = run(&g);
    g.set = "keys=8";
    bench *few = run(&g);
    assert_true(difference(dense, every) < 1e-12);
    assert_true(planted == (difference(dense, few) < 1e-3));
    bench_end(dense);
    bench_end(every);
    bench_end(few);
    free(q);
    free(k);
    free(v);
  }
}

/* Blocks: all that there are is causal attention, the own one alone is attention within blocks. */
static void chosen_blocks(void **state) {
  enum { T = 24, D = 4 };
  (void)state;
  double *q = draw(T * D, 11), *k = draw(T * D, 12), *v = draw(T * D, 13);
  given g = {.model = &sn_model_causal, .set = "", .T = T, .H = 1, .d = D, .q = q, .k = k, .v = v};
  bench *dense = run(&g);
  g.model = &sn_model_moba;
  g.set = "block=4 top=6";
  bench *all = run(&g);
  g.set = "block=4 top=2";
  bench *some = run(&g);
  g.set = "block=4 top=1";
  bench *own = run(&g);
  g.model = &sn_model_fixed; /* of head 0 */
  g.set = "block=4 summary=1";
  bench *within = run(&g);
  assert_true(difference(dense, all) < 1e-12);
  assert_true(difference(dense, some) > 1e-3 && difference(own, some) > 1e-3);
  assert_true(difference(within, own) < 1e-12);
  bench *const done[] = {dense, all, some, own, within};
  for (int i = 0; i < 5; i++) bench_end(done[i]);
  free(q);
  free(k);
  free(v);
}

/* A rectified softmax of scores of 10^4: nothing where all are below 0, else the mean of those above. */
static void large_rectified_scores(void **state) {
  static const double q[4] = {1e4, 1e4, 1e4, 1e4}, k[4] = {-1, 1, -1, 1}, v[4] = {5, 7, 11, 13},
                      want[4] = {0, 7, 7, 10};
  (void)state;
  bench *b = run(&(given){.model = &sn_model_softpick, .set = "", .T = 4, .H = 1, .d = 1, .q = q, .k = k, .v = v});
  for (int i = 0; i < 4; i++) assert_true(fabs(bench_output(b, "y")->value[i] - want[i]) < 1e-12);
  assert_true(bench_output(b, "y")->value[0] == 0);
  bench_end(b);
}

/* How many of the pairs of near rows see each other, of one run. */
static double recall(int rounds, int seed) {
  enum { T = 32 };
  char set[64];
  snprintf(set, sizeof set, "buckets=8 chunk=32 rounds=%d context=64", rounds);
  double *q = draw(T * T, 100), *noise = draw(T * T, 101), *v = identity(T, 1), found = 0;
  for (int i = T / 2; i < T; i++)
    for (int c = 0; c < T; c++) q[i * T + c] = q[(i - T / 2) * T + c] + .7 * noise[i * T + c];
  bench *b = run(&(given){
      .model = &sn_model_lsh, .set = set, .T = T, .H = 1, .d = T, .seed = seed, .q = q, .v = v, .one_kv = true});
  for (int i = T / 2; i < T; i++) found += bench_output(b, "y")->value[i * T + i - T / 2] > 0;
  bench_end(b);
  free(q);
  free(noise);
  free(v);
  return found / (T / 2);
}

/* A pair is found by r rounds when any of them finds it: with 1 - (1 - p)^r, pair by pair. */
static void recall_grows_with_rounds(void **state) {
  enum { RUNS = 24 };
  double one = 0, four = 0, variance = 0, x[RUNS];
  (void)state;
  for (int n = 0; n < RUNS; n++) {
    one += recall(1, n) / RUNS;
    four += (x[n] = recall(4, 1000 + n)) / RUNS;
  }
  for (int n = 0; n < RUNS; n++) variance += (x[n] - four) * (x[n] - four) / (RUNS - 1) / RUNS;
  double want = 1 - pow(1 - one, 4);
  assert_true(four > one + .1);
  if (fabs(four - want) > 4 * sqrt(variance) + .05)
    fail_msg("recall %g, of one round %g: expected %g", four, one, want);
}

/* ---- feature maps
 * --------------------------------------------------------------------------------------------------------------------
 */

/* Signal by noise of what queries that are the keys read back, over random unit keys. */
static double recall_ratio(given g) {
  double signal = 0, noise = 0, scale = g.model == &sn_model_linear ? 1 : 20 * sqrt(g.d);
  for (uint64_t n = 0; n < 8; n++) {
    double *k = draw(g.T * g.d, 10 + n), *q = malloc(sizeof *q * (size_t)(g.T * g.d)), *v = draw(g.T * g.d, 50 + n);
    for (int i = 0; i < g.T; i++) unit(k + i * g.d, g.d);
    for (int i = 0; i < g.T * g.d; i++) q[i] = scale * k[i];
    g.q = q;
    g.k = k;
    g.v = v;
    bench *b = run(&g);
    for (int i = 0; i < g.T * g.d; i++) {
      signal += v[i] * v[i];
      noise += pow(bench_output(b, "y")->value[i] - v[i], 2);
    }
    bench_end(b);
    free(k);
    free(q);
    free(v);
  }
  return signal / noise;
}

/* Orthonormal keys are recalled exactly; N random unit keys with a ratio of signal and noise of d / (N - 1), which
 * softmax in the place of the identity would beat. */
static void capacity_of_linear_attention(void **state) {
  enum { D = 16, N = 4 * D };
  double *v = draw(D * D, 9), *e = identity(D, 1), want = (double)D / (N - 1);
  given g = {
      .model = &sn_model_linear, .set = "map=1 both=1", .T = D, .H = 1, .d = D, .q = e, .k = e, .v = v, .one_kv = true};
  bench *b = run(&g);
  (void)state;
  for (int i = 0; i < D * D; i++) assert_float_equal(bench_output(b, "y")->value[i], v[i], 1e-12);
  bench_end(b);
  g.T = N;
  assert_float_equal(recall_ratio(g), want, .1 * want);
  g.model = &sn_model_window;
  g.set = "both=1 window=256";
  g.one_kv = false;
  assert_true(recall_ratio(g) > 1.1 * want);
  free(v);
  free(e);
}

/* phi(x) . phi(y) by single directions, or the mean of a block of orthogonal ones. */
static double random_kernel(const double *w, int rows, const double *x, const double *y, int d, bool norms) {
  double sum = 0;
  for (int r = 0; r < rows; r++) {
    double a = 0;
    for (int c = 0; c < d; c++) a += w[r * d + c] * (x[c] + y[c]) - (norms ? (x[c] * x[c] + y[c] * y[c]) / 2 : 0);
    sum += exp(a) / rows;
  }
  return sum;
}

typedef struct moments {
  double mean, variance;
  int count;
} moments;

/* Of the estimates of exp(x . y) that groups of `rows` directions give. */
static moments estimate(const double *w, int total, int rows, const double *x, const double *y, int d, bool norms) {
  moments m = {.count = total / rows};
  for (int pass = 0; pass < 2; pass++)
    for (int n = 0; n < m.count; n++) {
      double e = random_kernel(w + n * rows * d, rows, x, y, d, norms);
      if (pass) m.variance += (e - m.mean) * (e - m.mean) / (m.count - 1);
      if (!pass) m.mean += e / m.count;
    }
  return m;
}

static double *directions(const char *set, int d, int count) {
  bench *b = run(&(given){.model = &sn_model_favor, .set = set, .T = 1, .H = 1, .d = d, .one_kv = true, .seed = 5});
  const sn_tensor *t = bench_output(b, "directions");
  assert_int_equal(t->count, count * d);
  double *w = malloc(sizeof *w * (size_t)t->count);
  memcpy(w, t->value, sizeof *w * (size_t)t->count);
  bench_end(b);
  return w;
}

static void random_features_are_unbiased(void **state) {
  enum { D = 4, COUNT = 2560 * D };
  static const double x[D] = {.4, -.3, .2, .5}, y[D] = {.3, .5, -.4, .6};
  double want = 0;
  (void)state;
  for (int c = 0; c < D; c++) want += x[c] * y[c];
  want = exp(want);
  double *w = directions("blocks=2560", D, COUNT), *iid = directions("blocks=2560 independent=1", D, COUNT);
  for (int r = 0; r < 8 * D; r++) /* rows of a block are orthogonal */
    for (int o = r / D * D; o < r; o++) {
      double dot = 0;
      for (int c = 0; c < D; c++) dot += w[r * D + c] * w[o * D + c];
      assert_float_equal(dot, 0, 1e-9);
    }
  moments block = estimate(w, COUNT, D, x, y, D, true), free_block = estimate(iid, COUNT, D, x, y, D, true);
  assert_true(fabs(block.mean - want) < 4 * sqrt(block.variance / block.count));
  assert_true(fabs(free_block.mean - want) < 4 * sqrt(free_block.variance / free_block.count));
  assert_true(block.variance < free_block.variance);
  moments small = estimate(iid, COUNT, 8, x, y, D, true), large = estimate(iid, COUNT, 32, x, y, D, true);
  assert_float_equal(small.variance / large.variance, 4,
                     .15 * 4 + 4 * 4 * sqrt(2. / large.count)); /* and its own error */
  moments bare = estimate(iid, COUNT, D, x, y, D, false);       /* without exp(-|x|^2 / 2) */
  assert_true(fabs(bare.mean - want) > 4 * sqrt(bare.variance / bare.count));
  free(w);
  free(iid);
}

/* Sixteen times the features, a quarter of the error. */
static void errors_fall_with_features(void **state) {
  enum { T = 12, D = 4, RUNS = 16 };
  double error[2] = {0}, *q = draw(T * D, 20), *k = draw(T * D, 21), *v = draw(T * D, 22);
  given g = {.model = &sn_model_causal, .set = "", .T = T, .H = 1, .d = D, .q = q, .k = k, .v = v};
  for (int i = 0; i < T * D; i++) q[i] *= .5, k[i] *= .5;
  bench *dense = run(&g);
  (void)state;
  g.one_kv = true;
  g.set = "";
  g.model = &sn_model_favor;
  for (int n = 0; n < 2 * RUNS; n++) {
    g.set = n % 2 ? "blocks=256 independent=1" : "blocks=16 independent=1";
    g.seed = n;
    bench *b = run(&g);
    for (int i = 0; i < T * D; i++)
      error[n % 2] += pow(bench_output(b, "y")->value[i] - bench_output(dense, "y")->value[i], 2);
    bench_end(b);
  }
  double ratio = sqrt(error[0] / error[1]);
  if (ratio < 2.8 || ratio > 5.6) fail_msg("16 times the features, error / %g", ratio);
  bench_end(dense);
  free(q);
  free(k);
  free(v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(receptive_fields),
      cmocka_unit_test(many_numbers_are_captured),
      cmocka_unit_test(strided_steps_reach_all),
      cmocka_unit_test(strided_is_a_transpose),
      cmocka_unit_test(one_global_position_joins_all),
      cmocka_unit_test(random_blocks),
      cmocka_unit_test(top_keys),
      cmocka_unit_test(chosen_blocks),
      cmocka_unit_test(large_rectified_scores),
      cmocka_unit_test(recall_grows_with_rounds),
      cmocka_unit_test(capacity_of_linear_attention),
      cmocka_unit_test(random_features_are_unbiased),
      cmocka_unit_test(errors_fall_with_features),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
