/* Operations along an axis, as the DSL builds them. */
#include "support.h"

SN_SETTINGS(none, (int, n, 3, "rows"));

static sn_t x23(sn_scope m) { return sn_input(m, "x", SN_REAL, (2, 3)); }

static void prefixes(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m);
  sn_output(m, "sums", sn_cumsum(x, -1));
  sn_output(m, "down", sn_cumsum(x, 0));
  sn_output(m, "after", sn_cumsum(x, 1, .exclusive = true, .reverse = true));
  sn_output(m, "products", sn_cumprod(x, 1));
  sn_output(m, "before", sn_cumprod(x, 1, .exclusive = true));
  sn_output(m, "counts", sn_cumsum(sn_gt(x, 2), 1));
  sn_ranked top = sn_cummax(x, 1), back = sn_cummax(x, 1, .reverse = true);
  sn_output(m, "top", top.values);
  sn_output(m, "at", top.positions);
  sn_output(m, "back", back.positions);
  sn_output(m, "recur", sn_recur(.5, x, 1));
  sn_output(m, "recur_back", sn_recur(x, 1, 1, .reverse = true));
}

static void gradients(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m), d;
  sn_t y = sn_sum(sn_mul(sn_cumprod(x, 1), sn_cummax(x, 1).values), "ab->");
  sn_grad(y, (x), (&d));
  sn_output(m, "d", d);
}

static void order(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m), d;
  sn_ranked up = sn_sort(x, 1), down = sn_sort(x, 0, .descending = true), two = sn_top_k(x, 2);
  sn_output(m, "up", up.values);
  sn_output(m, "up_at", up.positions);
  sn_output(m, "down", down.values);
  sn_output(m, "down_at", down.positions);
  sn_output(m, "two", two.values);
  sn_output(m, "two_at", two.positions);
  sn_output(m, "arg", sn_argsort(x, 1, .descending = true));
  sn_grad(sn_sum(sn_mul(two.values, sn_arange(m, 2)), "ab->"), (x), (&d));
  sn_output(m, "d", d);
}

static void places(sn_scope m, const none *c) {
  (void)c;
  sn_t x = x23(m), s = sn_input(m, "s", SN_REAL, (2, 4)), ids = sn_input(m, "i", SN_I32, (2));
  sn_output(m, "left", sn_searchsorted(s, x));
  sn_output(m, "right", sn_searchsorted(s, x, .right = true));
  sn_output(m, "one", sn_searchsorted(sn_at(s, 0), x));
  sn_output(m, "segments", sn_segment_sum(x, ids, 3));
  sn_compacted rows = sn_compact(x, sn_gt(ids, 0)), each = sn_compact(x, sn_ge(x, 3));
  sn_output(m, "rows", rows.rows);
  sn_output(m, "rows_count", rows.count);
  sn_output(m, "each", each.rows);
  sn_output(m, "each_count", each.count);
  sn_output(m, "each_at", each.positions);
  sn_t p = sn_permutation(m, "shuffle", 5), n = sn_random(m, "noise", SN_NORMAL, (1000));
  sn_output(m, "shuffled", sn_sort(p, 0).values);
  sn_output(m, "moments",
            sn_cast(sn_within(sn_mean(sn_concat(0, n, sn_sub(sn_square(n), 1)), "a->"), -.1, .1), SN_I32));
}

static void linear(sn_scope m, const none *c) {
  (void)c;
  sn_t l = sn_input(m, "l", SN_REAL, (3, 3)), b = sn_input(m, "b", SN_REAL, (3, 1)),
       x = sn_input(m, "y", SN_REAL, (1, 4, 2));
  sn_t w = sn_input(m, "w", SN_REAL, (2, 2, 1)), each = sn_input(m, "e", SN_REAL, (2, 1, 2)), d;
  sn_output(m, "solved", sn_solve_lower(l, b));
  sn_output(m, "transposed", sn_solve_lower(l, b, .transposed = true));
  sn_output(m, "causal", sn_conv1d(x, w, .causal = true));
  sn_output(m, "strided", sn_conv1d(x, w, .stride = 2));
  sn_output(m, "depthwise", sn_conv1d(x, each, .groups = 2, .causal = true, .dilation = 2));
  sn_grad(sn_sum(sn_square(sn_conv1d(x, w, .causal = true)), "btc->"), (w), (&d));
  sn_output(m, "d", d);
}

static sn_t convolved(sn_scope m, const char *name, int64_t T) {
  sn_t x = sn_input(m, name, SN_REAL, (1, T, 2));
  return sn_conv(m, "conv", x, 3);
}

static void whole(sn_scope m, const none *c) {
  (void)c;
  sn_output(m, "y", convolved(m, "x5", 5));
}

static void begun(sn_scope m, const none *c) {
  (void)c;
  sn_t start = sn_scalar(m, "start", SN_I32, 0);
  sn_output(m, "y", convolved(sn_with(m, .cache = 8, .start = start), "x3", 3));
}

static void stepped(sn_scope m, const none *c) {
  (void)c;
  sn_t start = sn_scalar(m, "start1", SN_I32, 3);
  sn_output(m, "y", convolved(sn_with(m, .cache = 8, .start = start), "x1", 1));
}

/* Keys of one number: products are q k. */
static void top_keys(sn_scope m, const none *c) {
  (void)c;
  sn_t q = sn_input(m, "q", SN_REAL, (1, 3, 1)), k = sn_input(m, "k", SN_REAL, (1, 4, 1));
  sn_ranked any = sn_top_keys(q, k, 2), past = sn_top_keys(q, k, 2, .causal = true), all = sn_top_keys(q, k, 5);
  sn_output(m, "any", any.values);
  sn_output(m, "any_at", any.positions);
  sn_output(m, "past", past.values);
  sn_output(m, "past_at", past.positions);
  sn_output(m, "all", sn_slice(all.values, 1, 0, 1));
  sn_output(m, "all_at", sn_slice(all.positions, 1, 0, 1));
}

/* Of 600 keys 7 times i modulo 599 the largest lie in each block; the first of equal ones. */
static void many_keys(sn_scope m, const none *c) {
  (void)c;
  sn_t i = sn_arange(m, 600), k = sn_cast(sn_mod(sn_mul(i, 7), 599), SN_REAL),
       q = sn_input(m, "one", SN_REAL, (2, 70, 1));
  sn_t both = sn_add(sn_rearrange(k, "s->1s1"), sn_zeros(m, SN_REAL, (2, 1, 1)));
  sn_ranked best = sn_top_keys(q, both, 40), naive = sn_top_k(sn_einsum("ntd,nsd->nts", q, both), 40);
  sn_output(m, "apart", sn_sum(sn_abs(sn_sub(best.positions, naive.positions)), "ntk->"));
  sn_output(m, "values", sn_sum(sn_abs(sn_sub(best.values, naive.values)), "ntk->"));
}

static void helpers(sn_scope m, const none *c) {
  (void)c;
  sn_t u = sn_orthonormal(sn_input(m, "rows", SN_REAL, (1, 2, 2)), 0);
  sn_output(m, "frame", u);
  sn_output(m, "buckets", sn_log_bucket(sn_arange(m, 8), 3, 5));
}
static void no_rows(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_orthonormal(x23(m), 0)); }
static void no_buckets(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_log_bucket(sn_arange(m, 8), 4, 2)); }
static void no_keys(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_top_keys(x23(m), x23(m), 2).values); }
static void too_many(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_top_k(x23(m), 4).values); }
static void no_maximum(sn_scope m, const none *c) {
  (void)c;
  sn_output(m, "y", sn_cummax(x23(m), 0, .exclusive = true).values);
}
static void no_predicate(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_compact(x23(m), x23(m)).rows); }
static void no_window(sn_scope m, const none *c) {
  (void)c;
  sn_output(m, "y", sn_conv1d(x23(m), sn_input(m, "w", SN_REAL, (4, 3, 1))));
}
static void no_square(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_solve_lower(x23(m), x23(m))); }
static void no_segment(sn_scope m, const none *c) { (void)c, sn_output(m, "y", sn_segment_sum(x23(m), x23(m), 3)); }

SN_MODEL(along, none, prefixes, gradients, order, places, linear, whole, begun, stepped, too_many, no_maximum,
         no_predicate, no_window, no_square, no_segment, top_keys, many_keys, no_keys, helpers, no_rows, no_buckets);

static bench *begin(const char *graph) { return bench_begin(&sn_model_along, graph, NULL, SN_ELEM_F32); }

static void test_prefixes(void **state) {
  (void)state;
  bench *b = begin("prefixes");
  GIVE(b, "x", 1, 3, 3, 4, 0, 5);
  bench_run(b, "prefixes");
  EXPECT(b, "sums", 1, 4, 7, 4, 4, 9);
  EXPECT(b, "down", 1, 3, 3, 5, 3, 8);
  EXPECT(b, "after", 6, 3, 0, 5, 5, 0);
  EXPECT(b, "products", 1, 3, 9, 4, 0, 0);
  EXPECT(b, "before", 1, 1, 3, 1, 4, 0);
  EXPECT(b, "counts", 0, 1, 2, 1, 1, 2);
  assert_int_equal(bench_output(b, "counts")->elem, SN_ELEM_I32);
  EXPECT(b, "top", 1, 3, 3, 4, 4, 5);
  EXPECT(b, "at", 0, 1, 1, 0, 0, 2);
  EXPECT(b, "back", 2, 2, 2, 2, 2, 2);
  EXPECT(b, "recur", 1, 3.5, 4.75, 4, 2, 6);
  EXPECT(b, "recur_back", 5, 4, 1, 5, 1, 1);
  bench_end(b);
}

/* Zeros do not spoil the gradient of a product. */
static void test_gradients(void **state) {
  (void)state;
  bench *b = begin("gradients");
  GIVE(b, "x", 2, 0, 3, 1, 4, 4);
  bench_run(b, "gradients");
  /* row 0: 2*2 + 2x1*2 + 2x1x2*x2, at x1 = 0: d = 4, 4 + 2*3*3, 0;  row 1: x0^2 + (x0 x1) x1 + (x0 x1 x2) x1 */
  EXPECT(b, "d", 4, 4 + 18, 0, 2 + 16 + 64, 8 + 32, 16);
  bench_end(b);
}

static void test_order(void **state) {
  (void)state;
  bench *b = begin("order");
  GIVE(b, "x", 1, 3, 3, 4, 0, 5);
  bench_run(b, "order");
  EXPECT(b, "up", 1, 3, 3, 0, 4, 5);
  EXPECT(b, "up_at", 0, 1, 2, 1, 0, 2);
  EXPECT(b, "down", 4, 3, 5, 1, 0, 3);
  EXPECT(b, "down_at", 1, 0, 1, 0, 1, 0);
  EXPECT(b, "two", 3, 3, 5, 4);
  EXPECT(b, "two_at", 1, 2, 2, 0);
  EXPECT(b, "arg", 1, 2, 0, 2, 0, 1);
  EXPECT(b, "d", 0, 0, 1, 1, 0, 0);
  bench_end(b);
}

static void test_places(void **state) {
  (void)state;
  bench *b = begin("places");
  GIVE(b, "x", 1, 3, 3, 4, 0, 5);
  GIVE(b, "s", 1, 3, 3, 4, 0, 0, 1, 9);
  GIVE(b, "i", 2, 0);
  bench_run(b, "places");
  EXPECT(b, "left", 0, 1, 1, 3, 0, 3);
  EXPECT(b, "right", 1, 3, 3, 3, 2, 3);
  EXPECT(b, "one", 0, 1, 1, 3, 0, 4);
  EXPECT(b, "segments", 4, 0, 5, 0, 0, 0, 1, 3, 3);
  EXPECT(b, "rows", 1, 3, 3, 0, 0, 0);
  EXPECT(b, "rows_count", 1);
  EXPECT(b, "each", 3, 3, 0, 4, 5, 0);
  EXPECT(b, "each_count", 2, 2);
  EXPECT(b, "each_at", 1, 2, 2, 0, 2, 2);
  EXPECT(b, "shuffled", 0, 1, 2, 3, 4);
  EXPECT(b, "moments", 1);
  bench_end(b);
}

static void test_linear(void **state) {
  (void)state;
  bench *b = begin("linear");
  GIVE(b, "l", 9, 9, 9, 2, 9, 9, 3, 4, 9);
  GIVE(b, "b", 1, 1, 1);
  GIVE(b, "y", 1, 10, 2, 20, 3, 30, 4, 40);
  GIVE(b, "w", 1, 2, 3, 4);
  GIVE(b, "e", 1, 2, 3, 4);
  bench_run(b, "linear");
  EXPECT(b, "solved", 1, -1, 2);
  EXPECT(b, "transposed", 4, -3, 1);
  EXPECT(b, "causal", 43, 21 + 86, 42 + 129, 63 + 172);
  EXPECT(b, "strided", 21 + 86, 63 + 172);
  EXPECT(b, "depthwise", 3, 40, 6, 80, 1 + 9, 20 + 120, 2 + 12, 40 + 160);
  EXPECT(b, "d", 2 * (107 + 2 * 171 + 3 * 235), 20 * (107 + 2 * 171 + 3 * 235), 2 * (43 + 2 * 107 + 3 * 171 + 4 * 235),
         20 * (43 + 2 * 107 + 3 * 171 + 4 * 235));
  bench_end(b);
}

/* A sequence at once, and in two runs that hand the last rows on; a new start forgets them. */
static void test_conv(void **state) {
  (void)state;
  bench *b = begin("whole|begun|stepped");
  GIVE(b, "conv.weight", 1, -1, 2, .5, 3, 2);
  GIVE(b, "conv.bias", .5, 0);
  GIVE(b, "x5", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  GIVE(b, "x3", 1, 2, 3, 4, 5, 6);
  bench_run(b, "whole");
  EXPECT(b, "y", 3.5, 4, 11.5, 9, 22.5, 12, 34.5, 15, 46.5, 18);
  for (int again = 0; again < 2; again++) {
    bench_run(b, "begun");
    EXPECT(b, "y", 3.5, 4, 11.5, 9, 22.5, 12);
    GIVE(b, "x1", 7, 8);
    bench_run(b, "stepped");
    EXPECT(b, "y", 34.5, 15);
    GIVE(b, "x1", 9, 10);
    bench_run(b, "stepped");
    EXPECT(b, "y", 46.5, 18);
  }
  bench_end(b);
}

static void test_top_keys(void **state) {
  (void)state;
  bench *b = begin("top_keys");
  GIVE(b, "q", 1, -1, 2);
  GIVE(b, "k", 3, 1, 3, 2);
  bench_run(b, "top_keys");
  EXPECT(b, "any", 3, 3, -1, -2, 6, 6);
  EXPECT(b, "any_at", 0, 2, 1, 3, 0, 2);
  EXPECT(b, "past", 3, -1e30f, -1, -3, 6, 6);
  EXPECT(b, "past_at", 0, 3, 1, 0, 0, 2);
  EXPECT(b, "all", 3, 3, 2, 1, -1e30f);
  EXPECT(b, "all_at", 0, 2, 3, 1, 3);
  bench_end(b);
  b = begin("many_keys");
  bench_run(b, "many_keys"); /* queries at random */
  EXPECT(b, "apart", 0);
  EXPECT(b, "values", 0);
  bench_end(b);
}

static void test_helpers(void **state) {
  (void)state;
  bench *b = begin("helpers");
  GIVE(b, "rows", 3, 4, 4, 3);
  bench_run(b, "helpers");
  EXPECT(b, "frame", .6, .8, .8, -.6);
  EXPECT(b, "buckets", 0, 1, 2, 2, 3, 3, 3, 3);
  bench_end(b);
}

static void test_mistakes(void **state) {
  (void)state;
  static const struct {
    const char *graph, *says[3];
  } all[] = {
      {"too_many", {"sn_top_k: there are not as many", "1 to 3, the last axis of x23(m)", "4"}},
      {"no_maximum", {"sn_cummax: an empty prefix has no maximum", "with its own element", "exclusive"}},
      {"no_predicate", {"sn_compact: the predicate does not fit", "bool of the leading axes", "f32[2, 3]"}},
      {"no_window", {"`conv1d`: operand 2 does not fit", "as many positions as the taps span", "f32[4, 3, 1]"}},
      {"no_square", {"`solve_lower`: operand 1 does not fit", "floats [b.., N, N]", "f32[2, 3]"}},
      {"no_rows", {"sn_orthonormal: x does not fit", "rows [B, n, d] of the working float", "x23(m) f32[2, 3]"}},
      {"no_buckets", {"sn_log_bucket: there are no such buckets", "beyond the exact ones", "4 and 2, with 2 exact"}},
      {"no_keys", {"sn_top_keys: queries and keys do not fit", "floats [N, T, d] and [N, S, d]", "x23(m) f32[2, 3]"}},
      {"no_segment", {"sn_segment_sum: the segments are not of integers", "i32 or i64", "f32[2, 3]"}},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    sn_arena *arena = sn_arena_create();
    const char *text = mistakes_of(&sn_model_along, all[i].graph, arena);
    for (int k = 0; k < 3; k++)
      if (!strstr(text, all[i].says[k])) fail_msg("expected \"%s\" in: %s", all[i].says[k], text);
    assert_non_null(strstr(text, "test_along.c:"));
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_prefixes), cmocka_unit_test(test_gradients), cmocka_unit_test(test_order),
      cmocka_unit_test(test_places),   cmocka_unit_test(test_linear),    cmocka_unit_test(test_conv),
      cmocka_unit_test(test_mistakes), cmocka_unit_test(test_top_keys),  cmocka_unit_test(test_helpers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
