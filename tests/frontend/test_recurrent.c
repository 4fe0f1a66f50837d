/* The recurrent models of the tree: a sequence in parts is the sequence, token by token too, and in chunks; S4D is a
 * convolution; RWKV-4 with a running maximum is the quotient of sums that its paper has. */
#include "support.h"

#include <math.h>

static sn_model_file *loaded[64]; /* to the end */
static int loaded_count;

static const sn_model *load(const char *name) {
  sn_diags *d = sn_diags_create();
  sn_arena *arena = sn_arena_create();
  sn_model_file *f = NULL;
  if (sn_model_load(sn_arena_printf(arena, SN_SOURCE_DIR "/models/recurrent/%s.c", name),
                    SN_BINARY_DIR "/test-model-cache", d, &f))
    print_message("%s\n", sn_diags_print(d, arena));
  assert_non_null(f);
  sn_arena_destroy(arena);
  sn_diags_destroy(d);
  assert_true(loaded_count < 64);
  loaded[loaded_count++] = f;
  return sn_model_of(f);
}

/* ---- states go from call to call ------------------------------------------------------------------------------- */

enum { VOCAB = 11, ROWS = 2, STEPS = 13 };

/* Tokens from `from` on through a graph; the logits of these. */
static void run_part(bench *b, const char *graph, int from, int count, double *out) {
  double x[ROWS * STEPS];
  for (int r = 0; r < ROWS; r++)
    for (int t = 0; t < count; t++) x[r * count + t] = (7 * (from + t) + 3 * r + (from + t) * (from + t)) % VOCAB;
  sn_tensor *tokens = NULL;
  bench_check(b, sn_tensor_create(b->arena, SN_ELEM_I32, 2, (const int64_t[]){ROWS, count}, &tokens));
  for (int i = 0; i < ROWS * count; i++) bench_set(tokens, i, x[i]);
  bench_bind(b, "tokens", tokens);
  if (!strcmp(graph, "prefill")) bench_dim(b, "T", count);
  bench_run(b, graph);
  const sn_tensor *y = bench_output(b, "logits");
  for (int r = 0; r < ROWS; r++)
    memcpy(out + (r * STEPS + from) * VOCAB, y->value + r * count * VOCAB, (size_t)(count * VOCAB) * sizeof(double));
}

static void expect_near(const char *what, int count, const double *got, const double *want) {
  double largest = 0;
  for (int i = 0; i < count; i++) largest = fmax(largest, fabs(want[i]));
  assert_true(largest > 0);
  for (int i = 0; i < count; i++)
    if (!(fabs(got[i] - want[i]) <= 1e-10 * largest)) fail_msg("%s[%d] is %.15g, not %.15g", what, i, got[i], want[i]);
}

/* The parts in the form, the whole step by step. */
static void split(const char *name, const char *settings, sn_scan_form form) {
  static double whole[ROWS * STEPS * VOCAB], parts[ROWS * STEPS * VOCAB];
  const sn_model *model = load(name);
  for (int way = 0; way < 2; way++) {
    bench *b = bench_begin_form(model, "prefill|decode", settings, SN_ELEM_F64, way ? form : SN_SCAN_AUTO, 4 * way);
    bench_dim(b, "B", ROWS);
    if (!way) run_part(b, "prefill", 0, STEPS, whole);
    if (way) run_part(b, "prefill", 0, 5, parts);
    if (way) run_part(b, "prefill", 5, 4, parts);
    for (int t = 9; way && t < STEPS; t++) run_part(b, "decode", t, 1, parts);
    bench_end(b);
  }
  expect_near(name, ROWS * STEPS * VOCAB, parts, whole);
}

static void test_split(void **state) {
  static const char *const models[] = {"ema", "s4d", "s6", "rwkv4", "lstm", "gru"};
  static const char *const matrices[] = {"linear",   "retnet",         "ssd",  "gla", "rwkv6",
                                         "deltanet", "gated_deltanet", "rwkv7"};
  (void)state;
  for (int i = 0; i < 6; i++) split(models[i], "layers=2 width=6 vocab=11 context=64", SN_SCAN_AUTO);
  for (int i = 0; i < 8; i++) { /* chunks side by side, and, of more heads, in turn */
    split(matrices[i], "layers=2 width=6 heads=2 key=4 vocab=11 context=64", SN_SCAN_CHUNKED);
    split(matrices[i], "layers=1 width=8 heads=4 key=2 vocab=11 context=64", SN_SCAN_CHUNKED);
  }
}

/* ---- S4D ------------------------------------------------------------------------------------------------------- */

static void test_s4d(void **state) {
  (void)state;
  bench *b = bench_begin(load("s4d"), "convolution", "width=3 state=4 length=21", SN_ELEM_F64);
  bench_dim(b, "B", 2);
  bench_run(b, "convolution");
  const sn_tensor *x = bench_output(b, "convolution"), *y = bench_output(b, "recurrence");
  assert_int_equal(x->count, 2 * 21 * 3);
  expect_near("s4d", (int)x->count, x->value, y->value);
  bench_end(b);
}

/* ---- RWKV-4 ---------------------------------------------------------------------------------------------------- */

enum { D = 3, T = 17 };

/* sum_(i < t) e^(k_i - (t - 1 - i) w) v_i + e^(u + k_t) v_t over the same without v. */
static void direct(const double *k, const double *v, const double *decay, const double *u, double *y) {
  for (int t = 0; t < T; t++)
    for (int d = 0; d < D; d++) {
      double now = exp(u[d] + k[t * D + d]), over = now * v[t * D + d], under = now;
      for (int i = 0; i < t; i++) {
        double weight = exp(k[i * D + d] - (t - 1 - i) * exp(decay[d]));
        over += weight * v[i * D + d];
        under += weight;
      }
      y[t * D + d] = over / under;
    }
}

static void test_rwkv4(void **state) {
  double k[T * D], v[T * D], want[T * D], decay[D] = {-3, -.5, 1}, u[D] = {.5, 0, -2};
  sn_rng r = {.seed = 5};
  (void)state;
  for (int i = 0; i < T * D; i++) {
    k[i] = 160 * sn_rng_f64(&r) - 80;
    v[i] = sn_rng_normal(&r);
  }
  direct(k, v, decay, u, want);
  bench *b = bench_begin(load("rwkv4"), "core", "width=3", SN_ELEM_F64);
  bench_dim(b, "B", 1);
  bench_dim(b, "T", T);
  bench_give(b, "k", T * D, k);
  bench_give(b, "v", T * D, v);
  bench_give(b, "time_decay", D, decay);
  bench_give(b, "time_first", D, u);
  bench_run(b, "core");
  expect_near("rwkv4", T * D, bench_output(b, "y")->value, want);
  bench_end(b);
}

/* ---- Mamba: limits of the step size, and the published mamba-130m and mamba2-130m
 * ----------------------------------------------------------------------------------------------------- */

/* dt = 0 keeps the state; a large one replaces it by the last input. */
static void test_mamba_limits(void **state) {
  enum { STATES = 2, COUNT = D * STATES };
  double dt[T * D], u[T * D], b[T * STATES], h[COUNT], last[COUNT];
  (void)state;
  for (int i = 0; i < T * D; i++) u[i] = sin(i + 1);
  for (int i = 0; i < T * STATES; i++) b[i] = cos(i);
  for (int i = 0; i < COUNT; i++) h[i] = i + 1;
  for (int large = 0; large < 2; large++) {
    for (int i = 0; i < T * D; i++) dt[i] = large * 1e4;
    for (int i = 0; i < COUNT; i++)
      last[i] = large ? 1e4 * u[(T - 1) * D + i / STATES] * b[(T - 1) * STATES + i % STATES] : h[i];
    bench *x = bench_begin(load("s6"), "core", "inner=3 state=2", SN_ELEM_F64);
    bench_dim(x, "B", 1);
    bench_dim(x, "T", T);
    bench_give(x, "dt", T * D, dt);
    bench_give(x, "u", T * D, u);
    bench_give(x, "b", T * STATES, b);
    bench_give(x, "h", COUNT, h);
    bench_run(x, "core");
    expect_near("last", COUNT, bench_output(x, "last")->value, last);
    bench_end(x);
  }
}

static int64_t count_params(const char *name, const char *settings) {
  bench *b = bench_begin(load(name), "eval", settings, SN_ELEM_F32);
  const sn_func *eval = sn_module_find(b->module, "eval");
  int64_t total = 0, n;
  for (int i = 0; i < eval->node_count; i++) {
    if (eval->node[i]->op != SN_OP_PARAM) continue;
    assert_int_equal(sn_dimx_eval(sn_type_count(b->module->types, eval->node[i]->type[0]), b->dims, &n), SN_OK);
    total += n;
  }
  bench_end(b);
  return total;
}

static void test_mamba_size(void **state) {
  (void)state;
  assert_int_equal(count_params("s6", "layers=24 width=768 inner=1536 state=16 rank=48 vocab=50280"), 129135360);
  assert_int_equal(count_params("ssd", "layers=24 width=768 heads=24 key=128 vocab=50288"), 128989632);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_split), cmocka_unit_test(test_s4d),
                                     cmocka_unit_test(test_rwkv4), cmocka_unit_test(test_mamba_limits),
                                     cmocka_unit_test(test_mamba_size)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
