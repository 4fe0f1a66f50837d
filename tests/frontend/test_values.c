/* Elementwise operations, shapes, reductions, einsum, indexing: graphs built by the DSL give the right values. */
#include "support.h"

SN_SETTINGS(none, (int, n, 3, "rows"));

static sn_t x23(sn_scope m) { return sn_input(m, "x", SN_REAL, (2, 3)); }

static void numbers(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m), i = sn_input(m, "i", SN_I32, (3));
  sn_output(m, "twice", sn_add(sn_mul(x, 2), .5));
  sn_output(m, "int", sn_add(i, 2));   /* stays i32 */
  sn_output(m, "real", sn_mul(i, .5)); /* becomes real */
  sn_output(m, "ratio", sn_div(i, 2)); /* always real */
  sn_output(m, "floor", sn_floordiv(i, 2));
  sn_output(m, "mod", sn_mod(i, 2));
  sn_output(m, "mixed", sn_add(x, i)); /* [2, 3] with i32[3] */
  sn_output(m, "folded", sn_add(x, sn_mul(3, sn_add(1, 1))));
  sn_output(m, "plain", sn_add(3, 4));
}

static void compare(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m);
  sn_output(m, "within", sn_cast(sn_within(x, -1, 2), SN_REAL));
  sn_output(m, "clamp", sn_clamp(x, -1, 1));
  sn_output(m, "lerp", sn_lerp(x, 10, .5));
  sn_output(m, "where", sn_where(sn_gt(x, 0), x, sn_mul(.5, x)));
  sn_output(m, "logic", sn_cast(sn_or(sn_ge(x, 3), sn_not(sn_ne(x, -2))), SN_I32));
}

static void curves(sn_scope m, const none *c) {
  (void)c;
  sn_t x = sn_input(m, "x", SN_REAL, (3));
  sn_output(m, "logsigmoid", sn_logsigmoid(x));
  sn_output(m, "softplus", sn_softplus(x));
  sn_output(m, "gelu", sn_gelu(x));
  sn_output(m, "gelu_tanh", sn_gelu_tanh(x));
  sn_output(m, "silu", sn_silu(x));
  sn_output(m, "erf", sn_erf(x));
  sn_output(m, "sin", sn_sin(x));
  sn_output(m, "int_exp", sn_exp(sn_cast(x, SN_I32)));
  sn_output(m, "sign", sn_sign(x));
}

static void axes(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m);
  sn_output(m, "turned", sn_rearrange(x, "ab->ba"));
  sn_output(m, "split", sn_rearrange(sn_rearrange(x, "ab->(ab)"), "(ba)->ab", .b = 3));
  sn_output(m, "one", sn_rearrange(x, "ab->a1b1"));
  sn_output(m, "merged", sn_merge(x));
  sn_output(m, "rows", sn_sum(x, "ab->a"));
  sn_output(m, "kept", sn_amax(x, "io->1o"));
  sn_output(m, "crossed", sn_sum(sn_rearrange(x, "ab->ab1"), "abc->cb"));
  sn_output(m, "mean", sn_mean(x, "ab->"));
}

static void means(sn_scope m, const none *c) {
  (void)c;
  sn_t x = sn_input(m, "y", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T", .max = 64)));
  sn_output(m, "mean", sn_mean(x, "bt->"));
  sn_output(m, "columns", sn_mean(x, "bt->t"));
}

static void einsums(sn_scope m, const none *c) {
  (void)c;
  sn_t a = sn_input(m, "a", SN_REAL, (2, 2)), b = sn_input(m, "b", SN_REAL, (2, 2)), v = sn_input(m, "v", SN_REAL, (2));
  sn_output(m, "matmul", sn_einsum("ij,jk->ik", a, b));
  sn_output(m, "turned", sn_einsum("ij,jk->ki", a, b));
  sn_output(m, "outer", sn_einsum("i,j->ji", v, v));
  sn_output(m, "rows", sn_einsum("ij,i->ij", a, v));
  sn_output(m, "three", sn_einsum("ij,jk,k->i", a, b, v));
  sn_output(m, "lost", sn_einsum("ij,k->k", a, v));
  sn_output(m, "single", sn_einsum("ij->j", a));
  sn_output(m, "swap", sn_einsum("ij->ji", a));
  sn_output(m, "all", sn_einsum("ij,ij->", a, b));
}

static void parts(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m), i = sn_input(m, "i", SN_I32, (2));
  sn_output(m, "at", sn_at(x, 1));
  sn_output(m, "slice", sn_slice(x, -1, 1, 2));
  sn_output(m, "moving", sn_slice(x, 1, sn_at(i, 1), 2));
  sn_output(m, "concat", sn_concat(1, x, sn_slice(x, 1, 0, 1)));
  sn_output(m, "gather", sn_gather(x, i));
  sn_output(m, "pick", sn_pick(x, i));
  sn_output(m, "index", sn_index(x, i, 2));
  sn_output(m, "slots", sn_slots(x, sn_rearrange(i, "b->b1")));
  sn_output(m, "arange", sn_arange(m, 4));
  sn_output(m, "argmax", sn_argmax(x));
  sn_output(m, "softmax", sn_sum(sn_softmax(x), "ab->a"));
  sn_output(m, "size", sn_dim_value(sn_dim_mul(sn_size(x, 0), 4)));
  sn_output(m, "zeros", sn_zeros(m, SN_REAL, (2)));
}

static void losses(sn_scope m, const none *c) {
  (void)c;
  sn_t x = sn_input(m, "l", SN_REAL, (2, 2)), t = sn_input(m, "t", SN_I32, (2)), w = sn_input(m, "w", SN_REAL, (2));
  sn_output(m, "mean", sn_cross_entropy(x, t));
  sn_output(m, "weighted", sn_cross_entropy(x, t, .weight = w));
  sn_output(m, "smooth", sn_cross_entropy(x, t, .smooth = .5));
}

SN_MODEL(values, none, numbers, compare, curves, axes, means, einsums, parts, losses);

static bench *begin(const char *graph) { return bench_begin(&sn_model_values, graph, NULL, SN_ELEM_F32); }

static void test_numbers(void **state) {
  (void)state;
  bench *b = begin("numbers");
  GIVE(b, "x", 1, 2, 3, 4, 5, 6);
  GIVE(b, "i", -1, 0, 3);
  bench_run(b, "numbers");
  EXPECT(b, "twice", 2.5, 4.5, 6.5, 8.5, 10.5, 12.5);
  EXPECT(b, "int", 1, 2, 5);
  assert_int_equal(bench_output(b, "int")->elem, SN_ELEM_I32);
  EXPECT(b, "real", -.5, 0, 1.5);
  EXPECT(b, "ratio", -.5, 0, 1.5);
  EXPECT(b, "floor", -1, 0, 1);
  EXPECT(b, "mod", 1, 0, 1);
  EXPECT(b, "mixed", 0, 2, 6, 3, 5, 9);
  EXPECT(b, "folded", 7, 8, 9, 10, 11, 12);
  EXPECT(b, "plain", 7);
  bench_end(b);
}

static void test_compare(void **state) {
  (void)state;
  bench *b = begin("compare");
  GIVE(b, "x", -2, -1, 0, 1, 2, 3);
  bench_run(b, "compare");
  EXPECT(b, "within", 0, 1, 1, 1, 0, 0);
  EXPECT(b, "clamp", -1, -1, 0, 1, 1, 1);
  EXPECT(b, "lerp", 4, 4.5, 5, 5.5, 6, 6.5);
  EXPECT(b, "where", -1, -.5, 0, 1, 2, 3);
  EXPECT(b, "logic", 1, 0, 0, 0, 0, 1);
  bench_end(b);
}

static void test_curves(void **state) {
  (void)state;
  bench *b = begin("curves");
  GIVE(b, "x", -2, 0, 1);
  bench_run(b, "curves");
  EXPECT(b, "logsigmoid", -2.12692801, -.693147181, -.313261688);
  EXPECT(b, "softplus", .126928011, .693147181, 1.31326169);
  EXPECT(b, "gelu", -.0455002639, 0, .841344746);
  EXPECT(b, "gelu_tanh", -.0454023059, 0, .841191991);
  EXPECT(b, "silu", -.238405844, 0, .731058579);
  EXPECT(b, "erf", -.995322265, 0, .842700793);
  EXPECT(b, "sin", -.909297427, 0, .841470985);
  EXPECT(b, "int_exp", .135335283, 1, 2.71828183);
  EXPECT(b, "sign", -1, 0, 1);
  bench_end(b);
}

static void test_axes(void **state) {
  (void)state;
  bench *b = begin("axes");
  GIVE(b, "x", 1, 2, 3, 4, 5, 6);
  bench_run(b, "axes");
  EXPECT(b, "turned", 1, 4, 2, 5, 3, 6);
  EXPECT(b, "split", 1, 3, 5, 2, 4, 6);
  assert_int_equal(bench_output(b, "one")->rank, 4);
  EXPECT(b, "merged", 1, 2, 3, 4, 5, 6);
  EXPECT(b, "rows", 6, 15);
  EXPECT(b, "kept", 4, 5, 6);
  assert_int_equal(bench_output(b, "kept")->rank, 2);
  EXPECT(b, "crossed", 5, 7, 9);
  EXPECT(b, "mean", 3.5);
  bench_end(b);
}

static void test_means(void **state) {
  (void)state;
  bench *b = begin("means");
  bench_dim(b, "B", 2);
  bench_dim(b, "T", 3);
  GIVE(b, "y", 1, 2, 3, 4, 5, 6);
  bench_run(b, "means");
  EXPECT(b, "mean", 3.5);
  EXPECT(b, "columns", 2.5, 3.5, 4.5);
  bench_end(b);
}

static void test_einsums(void **state) {
  (void)state;
  bench *b = begin("einsums");
  GIVE(b, "a", 1, 2, 3, 4);
  GIVE(b, "b", 5, 6, 7, 8);
  GIVE(b, "v", 1, -1);
  bench_run(b, "einsums");
  EXPECT(b, "matmul", 19, 22, 43, 50);
  EXPECT(b, "turned", 19, 43, 22, 50);
  EXPECT(b, "outer", 1, -1, -1, 1);
  EXPECT(b, "rows", 1, 2, -3, -4);
  EXPECT(b, "three", -3, -7);
  EXPECT(b, "lost", 10, -10);
  EXPECT(b, "single", 4, 6);
  EXPECT(b, "swap", 1, 3, 2, 4);
  EXPECT(b, "all", 70);
  bench_end(b);
}

static void test_parts(void **state) {
  (void)state;
  bench *b = begin("parts");
  GIVE(b, "x", 1, 2, 3, 4, 5, 6);
  GIVE(b, "i", 1, 0);
  bench_run(b, "parts");
  EXPECT(b, "at", 4, 5, 6);
  EXPECT(b, "slice", 2, 3, 5, 6);
  EXPECT(b, "moving", 1, 2, 4, 5);
  EXPECT(b, "concat", 1, 2, 3, 1, 4, 5, 6, 4);
  EXPECT(b, "gather", 4, 5, 6, 1, 2, 3);
  EXPECT(b, "pick", 2, 4);
  EXPECT(b, "index", 6, 3);
  EXPECT(b, "slots", 2, 4);
  EXPECT(b, "arange", 0, 1, 2, 3);
  EXPECT(b, "argmax", 2, 2);
  EXPECT(b, "softmax", 1, 1);
  EXPECT(b, "size", 8);
  EXPECT(b, "zeros", 0, 0);
  bench_end(b);
}

static void test_losses(void **state) {
  (void)state;
  bench *b = begin("losses");
  GIVE(b, "l", 0, 1, 2, 0);
  GIVE(b, "t", 1, 1);
  GIVE(b, "w", 3, 1);
  bench_run(b, "losses");
  /* rows: log(1 + e^-1) = 0.313261688, log(1 + e^2) = 2.12692801 */
  EXPECT(b, "mean", 1.22009485);
  EXPECT(b, "weighted", .766678268);
  EXPECT(b, "smooth", 1.09509485);
  bench_end(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers), cmocka_unit_test(test_compare), cmocka_unit_test(test_curves),
      cmocka_unit_test(test_axes),    cmocka_unit_test(test_means),   cmocka_unit_test(test_einsums),
      cmocka_unit_test(test_parts),   cmocka_unit_test(test_losses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
