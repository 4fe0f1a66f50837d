/* Positions: rotary in both layouts and beyond the length of training, sinusoidal ones, T5's buckets and ALiBi's
 * slopes, against the numbers of their papers and by laws that they obey. */
#include "tests/frontend/support.h" /* before sinter.h: see there */

#include "tests/compile/harness_attention.h"

#include <math.h>

#include "tests/compile/harness.h"

SN_SETTINGS(rotary, (int, d, 8, "components"), (int, dims, 0, "that turn"), (bool, interleaved, 0, "pairs"),
            (int, scaling, 0, "sn_rope_scaling"), (double, scale, 1, "s"), (int, trained, 64, "length of training"),
            (double, base, 1e4, "of the frequencies"));

static void turned(sn_scope m, const rotary *c) {
  sn_dim T = sn_sym(m, "T");
  sn_t x = sn_input(m, "x", SN_REAL, (1, T, 1, c->d)), at = sn_input(m, "at", SN_I32, (T));
  sn_t y = sn_rope(x, at, .base = c->base, .dims = c->dims, .interleaved = c->interleaved,
                   .scaling = (sn_rope_scaling)c->scaling, .scale = c->scale, .trained = c->trained);
  sn_output(m, "y", y);
  sn_t w = sn_input(m, "w", SN_REAL, (1, T, 1, c->d)), dx;
  sn_grad(sn_sum(sn_mul(y, w), "bthd->"), (x), (&dx));
  sn_output(m, "dx", dx);
}

static void sinusoids(sn_scope m, const rotary *c) {
  sn_t at = sn_input(m, "at", SN_I32, (sn_sym(m, "T")));
  sn_output(m, "y", sn_sinusoid(at, c->d, .base = c->base));
}

SN_MODEL(rotary, rotary, turned, sinusoids);

enum { ROWS_MAX = 8, D_MAX = 128 };

/* Rows x [T, d] turned at positions; w: then the gradient of the sum of y w by x. */
static void rope(const char *set, int T, int d, const int *at, const double *x, const double *w, double *y) {
  bench *b = bench_begin(&sn_model_rotary, "turned", set, SN_ELEM_F64);
  double position[ROWS_MAX];
  for (int i = 0; i < T; i++) position[i] = at[i];
  bench_dim(b, "T", T);
  bench_give(b, "at", T, position);
  bench_give(b, "x", T * d, x);
  bench_give(b, "w", T * d, w ? w : x);
  bench_run(b, "turned");
  memcpy(y, bench_output(b, w ? "dx" : "y")->value, sizeof *y * (size_t)(T * d));
  bench_end(b);
}

static void draw(double *x, int count, uint64_t seed) {
  sn_rng r = {.seed = seed};
  for (int i = 0; i < count; i++) x[i] = sn_rng_normal(&r);
}

static void near(double found, double want, double error) {
  if (!(fabs(found - want) <= error)) fail_msg("%.17g is not %.17g within %g", found, want, error);
}

/* ---- frequencies
 * ---------------------------------------------------------------------------------------------------------- */

/* How far every pair turns at a position, and by what it is scaled. */
static void angles(const char *set, int d, int position, double *angle, double *scale) {
  double x[D_MAX] = {0}, y[D_MAX];
  for (int i = 0; i < d / 2; i++) x[i] = 1;
  char all[128];
  snprintf(all, sizeof all, "d=%d %s", d, set);
  rope(all, 1, d, &position, x, NULL, y);
  for (int i = 0; i < d / 2; i++) {
    angle[i] = atan2(y[i + d / 2], y[i]);
    scale[i] = hypot(y[i + d / 2], y[i]);
  }
}

static void relative(double found, double want, double error) { near(found, want, error * fabs(want)); }

static void yarn_numbers(void **state) {
  static const struct {
    int k;
    double f;
  } want[] = {{0, 1},
              {20, 0.05623413251903491},
              {21, 0.046940859997959404},
              {32, 0.005673076923076923},
              {45, 0.0001517716047318249},
              {46, 8.334508951020775e-05},
              {63, 7.217387404309114e-06}};
  static const double small[] = {
      1,       .2239946675952602,    .04166666666666667, .003952847075210474, .00125, .0003952847075210474,
      .000125, 3.952847075210474e-05};
  double a[64], s[64];
  (void)state;
  angles("scaling=4 scale=16 trained=4096", 128, 1, a, s);
  for (int i = 0; i < 7; i++) relative(a[want[i].k], want[i].f, 3e-8);
  for (int i = 0; i < 64; i++) near(s[i], 1.2772588722239782, 1e-14);
  angles("scaling=4 scale=8 trained=64", 16, 1, a, s);
  for (int i = 0; i < 8; i++) {
    relative(a[i], small[i], 3e-8);
    near(s[i], 1.2079441541679836, 1e-14);
  }
}

static void ntk_changes_the_base(void **state) {
  static const int size[] = {128, 16};
  static const double scale[] = {16, 8}, base[] = {167198.73921320363, 107672.01541058847};
  double a[64], s[64];
  (void)state;
  for (int n = 0; n < 2; n++) {
    char set[64];
    int half = size[n] / 2;
    snprintf(set, sizeof set, "scaling=2 scale=%g", scale[n]);
    angles(set, size[n], 1, a, s);
    for (int k = 0; k < half; k++) relative(a[k], pow(base[n], -(double)k / half), 1e-10);
    relative(a[0], 1, 1e-15); /* the first as it is, the last that of interpolation */
    relative(a[half - 1], pow(1e4, -(half - 1.) / half) / scale[n], 1e-10);
  }
}

static void dynamic_ntk_follows_the_length(void **state) {
  double x[16] = {1, 1, 1, 1, 1, 1, 1, 1}, y[16], a[8], s[8];
  (void)state;
  rope("scaling=3 trained=64 d=8", 2, 8, (int[]){511, 1}, (double[]){1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0},
       NULL, y);
  angles("scaling=2 scale=8", 8, 1, a, s);
  for (int k = 0; k < 4; k++) relative(atan2(y[8 + 4 + k], y[8 + k]), a[k], 1e-8);
  rope("scaling=3 trained=512 d=8", 2, 8, (int[]){511, 1}, x, NULL, y);
  double plain[16];
  rope("d=8", 2, 8, (int[]){511, 1}, x, NULL, plain);
  assert_memory_equal(y, plain, sizeof y);
}

static void interpolation_divides_positions(void **state) {
  double x[8], half[8], plain[8];
  (void)state;
  draw(x, 8, 5);
  rope("scaling=1 scale=2", 1, 8, (int[]){2 * 333}, x, NULL, half);
  rope("", 1, 8, (int[]){333}, x, NULL, plain);
  for (int i = 0; i < 8; i++) near(half[i], plain[i], 1e-12);
}

/* s = 1 changes no bit. */
static void no_scale_is_no_change(void **state) {
  double x[8], y[8], plain[8];
  (void)state;
  draw(x, 8, 6);
  rope("", 1, 8, (int[]){4000}, x, NULL, plain);
  for (int scaling = 1; scaling <= 4; scaling++) {
    char set[64];
    snprintf(set, sizeof set, "scaling=%d scale=1 trained=4096", scaling);
    rope(set, 1, 8, (int[]){4000}, x, NULL, y);
    assert_memory_equal(y, plain, sizeof y);
  }
}

/* ---- kernels ---- */

/* Kernels in f32, within the interpreter's bound, which is small: positions up to 2e6. */
static void check_kernels(const char *target) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *set[] = {"d=64", "scaling=4", "scale=4", "trained=64"};
  sn_model_opt opt = {.set = set, .set_count = 4, .graphs = "sinusoids|turned", .real = SN_ELEM_F32};
  static const char *const graphs[] = {"sinusoids", "turned"};
  for (int g = 0; g < 2; g++) {
    sn_module *m;
    int64_t dims[4] = {9, 9, 9, 9};
    check_result r;
    if (sn_model_build(&sn_model_rotary, &opt, arena, diags, &m)) fail_msg("%s", sn_diags_print(diags, arena));
    check_opt o = {.compile = {.target = target}, .graph = graphs[g], .dims = dims, .seed = 1, .int_limit = 2000000};
    if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
    if (r.mismatched) fail_msg("%s %s: %s", target, graphs[g], r.first);
    assert_int_equal(r.excluded, 0);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}
static void bounds_of_far_angles_are_small(void **state) {
  static const double at[] = {100000};
  (void)state;
  bench *b = bench_begin(&sn_model_rotary, "sinusoids", "d=64", SN_ELEM_F32);
  bench_dim(b, "T", 1);
  bench_give(b, "at", 1, at);
  bench_run_with(b, "sinusoids", true);
  const sn_tensor *t = bench_output(b, "y");
  for (int i = 0; i < 64; i++) assert_true(t->bound[i] < 1e-6);
  bench_end(b);
}
static void kernels_of_the_cpu(void **state) {
  (void)state;
  check_kernels(SN_HAVE_LLVM ? "cpu" : "template");
}
static void kernels_of_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  check_kernels("vulkan");
}

/* ---- biases
 * ----------------------------------------------------------------------------------------------------------------------
 */

/* What the score adds to q . k = 0 at [h][i][j], less what it adds at [h][i][i]: v holds the rows of the identity, so
 * that y is the softmax itself. owns: malloc */
static double *biases(const sn_model *model, const char *set, int H, int T, const char *param, int count,
                      const double *x) {
  char all[128];
  snprintf(all, sizeof all, "heads=%d kv_heads=1 head=%d %s", H, T, set);
  bench *b = bench_begin(model, "forward", all, SN_ELEM_F64);
  bench_dim(b, "B", 1);
  bench_dim(b, "T", T);
  double *zero = calloc((size_t)(H * T * T), sizeof *zero), *v = calloc((size_t)(T * T), sizeof *v);
  for (int i = 0; i < T; i++) v[i * T + i] = 1;
  bench_give(b, "q", H * T * T, zero);
  bench_give(b, "k", T * T, zero);
  bench_give(b, "v", T * T, v);
  if (param) bench_give(b, param, count, x);
  bench_run(b, "forward");
  const double *y = bench_output(b, "y")->value;
  for (int i = 0; i < T; i++)
    for (int h = 0; h < H; h++)
      for (int j = 0; j < T; j++) {
        const double *p = y + (i * H + h) * T;
        zero[(h * T + i) * T + j] = log(p[j] / p[i]);
      }
  free(v);
  bench_end(b);
  return zero;
}

/* Buckets of distances 0 .. T - 1 forwards (sign 1: i - j = distance) or backwards. */
static void buckets(const char *set, int count, int T, int sign, int *out) {
  double x[64];
  for (int i = 0; i < count; i++) x[i] = i * .125;
  double *y = biases(&sn_model_t5, set, 1, T, "relative_attention_bias", count, x);
  for (int d = 0; d < T; d++) out[d] = (int)round(8 * (sign > 0 ? y[(T - 1) * T + T - 1 - d] : y[d]));
  free(y);
}

static void t5_buckets(void **state) {
  static const int first[] = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
  static const int near_first[] = {8, 12, 16, 23, 32, 46, 64, 91};
  static const int book[] = {0, 1, 2, 2, 3, 3, 3, 3};
  enum { T = 130 };
  int found[T];
  (void)state;
  buckets("buckets=32 far=128", 32, T, 1, found);
  for (int d = 0, bucket = 15; d < T; d++) {
    if (bucket < 31 && d == first[bucket - 15]) bucket++;
    assert_int_equal(found[d], d < 16 ? d : bucket);
  }
  for (int sign = -1; sign < 2; sign += 2) {
    buckets("buckets=32 far=128 both=1", 32, T, sign, found);
    for (int d = 0, bucket = 7; d < T; d++) {
      if (bucket < 15 && d == near_first[bucket - 7]) bucket++;
      assert_int_equal(found[d], (d < 8 ? d : bucket) + (sign < 0 && d ? 16 : 0));
    }
  }
  buckets("buckets=3 far=5 book=1", 4, 8, 1, found);
  for (int d = 0; d < 8; d++) assert_int_equal(found[d], book[d]);
  buckets("buckets=32 far=1024 book=1", 33, 40, 1, found);
  for (int d = 0; d < 35; d++) assert_int_equal(found[d], d < 16 ? d : d <= 20 ? 16 : d <= 26 ? 17 : 18);
}

static void alibi_slopes(void **state) {
  static const double want[3][12] = {
      {-1, -2, -3, -4, -5, -6, -7, -8}, {-2, -4, -6, -8}, {-1, -2, -3, -4, -5, -6, -7, -8, -.5, -1.5, -2.5, -3.5}};
  static const int heads[] = {8, 4, 12};
  (void)state;
  for (int n = 0; n < 3; n++) {
    double *y = biases(&sn_model_alibi, "", heads[n], 4, NULL, 0, NULL);
    for (int h = 0; h < heads[n]; h++) near(-y[(h * 4 + 3) * 4 + 2], pow(2, want[n][h]), 1e-14);
    free(y);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(yarn_numbers),
      cmocka_unit_test(ntk_changes_the_base),
      cmocka_unit_test(dynamic_ntk_follows_the_length),
      cmocka_unit_test(interpolation_divides_positions),
      cmocka_unit_test(no_scale_is_no_change),
      cmocka_unit_test(bounds_of_far_angles_are_small),
      cmocka_unit_test(kernels_of_the_cpu),
      cmocka_unit_test(kernels_of_vulkan),
      cmocka_unit_test(t5_buckets),
      cmocka_unit_test(alibi_slopes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
