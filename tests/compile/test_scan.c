/* Recurrences compiled: steps of the papers with symbolic lengths, forward and with gradients, on every target, fused
 * and not, against the interpreter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"
#include "tests/compile/harness_scan.h"
#include "tests/recurrent.h"

SN_SETTINGS(opts, (int, width, 12, "features"), (int, heads, 2, "heads"), (int, key, 20, "features of a key"));

static sn_dim batch(sn_scope m) { return sn_sym(m, "B", .max = 4); }
static sn_dim length(sn_scope m) { return sn_sym(m, "T", .max = 64); }

static sn_t energy(sn_t x) {
  static const char *const spec[] = {"->", "a->", "ab->", "abc->", "abcd->"};
  return sn_sum(sn_mul(x, sn_tanh(x)), spec[sn_rank(x)]);
}

static void with_gradients(sn_scope m, sn_t loss, int count, const sn_t *by) {
  sn_t out[8], *refs[9] = {0};
  sn_arg list[8];
  for (int i = 0; i < count; i++) list[i].v = by[i], refs[i] = &out[i];
  sn_grad_at(SN_HERE("with_gradients()"), loss, (sn_list){count, list}, refs);
  for (int i = 0; i < count; i++) {
    char name[8];
    snprintf(name, sizeof name, "g%d", i);
    sn_output(m, name, out[i]);
  }
}

static sn_t heads_of(sn_scope m, const char *name, sn_t x, int heads, int size) {
  return sn_rearrange(sn_linear(m, name, x, heads * size), "bt(hd)->bthd", .h = heads);
}

/* Operands are views of products; the state goes from call to call. */
static void linear_attention(sn_scope m, const opts *c) {
  int v = c->width / c->heads;
  sn_t x = sn_input(m, "x", SN_REAL, (batch(m), length(m), c->width));
  sn_t q = heads_of(m, "q", x, c->heads, c->key), k = heads_of(m, "k", x, c->heads, c->key);
  sn_t w = sn_sigmoid(heads_of(m, "w", x, c->heads, c->key));
  sn_t old = sn_state(m, "S", (batch(m), c->heads, c->key, v)), s = old;
  sn_t y = sn_scan(gla, "bth", (&s), (q, k, heads_of(m, "v", x, c->heads, v), w));
  sn_update(old, s);
  sn_output(m, "y", sn_merge(y));
}

static sn_t delta_of(sn_scope m, const opts *c, sn_t *s) {
  int v = c->width / c->heads;
  sn_t x = sn_input(m, "x", SN_REAL, (batch(m), length(m), c->width));
  sn_t k = heads_of(m, "k", x, c->heads, v);
  sn_t a = sn_sigmoid(sn_linear(m, "a", x, c->heads)), b = sn_sigmoid(sn_linear(m, "b", x, c->heads));
  *s = sn_zeros(m, SN_REAL, (batch(m), c->heads, v, v));
  return sn_scan(delta, "bth", (s), (sn_silu(k), k, heads_of(m, "v", x, c->heads, v), a, b), .reverse = true);
}

static void delta_rule(sn_scope m, const opts *c) {
  sn_t s, y = delta_of(m, c, &s), w = sn_param(m, "k.weight", (c->width, c->width));
  with_gradients(m, sn_add(energy(y), energy(s)), 1, &w);
}

static void cell(sn_scope m, const opts *c, bool gated) {
  int d = c->width;
  sn_t x = sn_input(m, "x", SN_REAL, (batch(m), length(m), d));
  weights p = {gated ? sn_param(m, "gru", (3, d, 2 * d)) : sn_param(m, "lstm", (2 * d, 4 * d)),
               gated ? sn_param(m, "bias", (d)) : sn_param(m, "bias4", (4 * d))};
  sn_t h = sn_zeros(m, SN_REAL, (batch(m), d)), s = h;
  sn_t y = gated ? sn_scan(gru, "bt", (&h), (x), .opt = &p) : sn_scan(lstm, "bt", (&h, &s), (x), .opt = &p);
  const sn_t by[3] = {x, p.w, p.b};
  sn_output(m, "y", y);
  with_gradients(m, sn_add(energy(y), energy(h)), 3, by);
}
static void lstm_cell(sn_scope m, const opts *c) { cell(m, c, false); }
static void gru_cell(sn_scope m, const opts *c) { cell(m, c, true); }

static void swaps(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (batch(m), length(m), c->width)), n = sn_zeros(m, SN_I32, (batch(m)));
  sn_t a = sn_zeros(m, SN_REAL, (batch(m), c->width)), b = sn_add(a, 1);
  sn_output(m, "y", sn_scan(swap, "bt", (&a, &b, &n), (x)));
  sn_output(m, "a", a);
  sn_output(m, "b", b);
  sn_output(m, "n", n);
}

/* A step with rows, a softmax, a gather from a captured table, and a scan of its own. */
typedef struct {
  sn_t table;
} tables;
static sn_t add_up(sn_t h[], const sn_t x[], const void *opt) {
  (void)opt;
  return h[0] = sn_add(sn_mul(.5, h[0]), x[0]);
}
static sn_t mixed(sn_t h[], const sn_t x[], const void *opt) {
  sn_t row = sn_gather(((const tables *)opt)->table, x[1]), inner = sn_sum(sn_mul(0, h[0]), "a->");
  sn_t p = sn_softmax(sn_mul(h[0], row));
  sn_scan(add_up, "t", (&inner), (p));
  sn_t z = sn_add(sn_mul(p, x[0]), inner);
  h[0] = sn_div(z, sn_sqrt(sn_add(.1, sn_mean(sn_square(z), "a->1"))));
  return sn_rearrange(h[0], "(ab)->ba", .a = 2);
}
static void mixture(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (batch(m), length(m), c->width)),
       i = sn_input(m, "i", SN_I32, (batch(m), length(m)));
  tables o = {sn_param(m, "table", (2, c->width))};
  sn_t h = sn_add(sn_zeros(m, SN_REAL, (batch(m), c->width)), .5);
  sn_t y = sn_scan(mixed, "bt", (&h), (x, i), .opt = &o);
  sn_output(m, "y", y);
  with_gradients(m, sn_sum(sn_mul(y, y), "abcd->"), 1, &o.table);
}

/* Segments with a memory of the rows before: attention inside a step; prefixes and an order of what it gives. */
enum { SEGMENT = 3, MEMORY = 4 };
static sn_t remember(sn_t h[], const sn_t x[], const void *opt) {
  sn_t all = sn_concat(0, h[0], x[0]), q = sn_einsum("sd,de->se", x[0], ((const weights *)opt)->w);
  sn_t keys = sn_rearrange(all, "s(hd)->1shd", .h = 2);
  sn_t y =
      sn_attention(sn_rearrange(q, "s(hd)->1shd", .h = 2), keys, keys, .mask = sn_causal, .start = {{MEMORY}, NULL});
  y = sn_rearrange(y, "1shd->s(hd)");
  h[0] = sn_slice(all, 0, SEGMENT, MEMORY);
  return sn_add(sn_cumsum(y, 0), sn_sort(sn_mean(y, "sd->s1"), 0).values);
}
static void segments(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (batch(m), length(m), SEGMENT, c->width));
  weights o = {sn_param(m, "w", (c->width, c->width)), x};
  sn_t h = sn_zeros(m, SN_REAL, (batch(m), MEMORY, c->width));
  sn_t y = sn_scan(remember, "bt", (&h), (x), .opt = &o);
  const sn_t by[2] = {x, o.w};
  sn_output(m, "y", y);
  with_gradients(m, energy(sn_mean(y, "btsd->bsd")), 2, by);
}

SN_MODEL(recurrent, opts, linear_attention, delta_rule, lstm_cell, gru_cell, swaps, mixture, segments);

static uint64_t check_variant(const char *graph, const char *target, const char *fuse, int threads, int64_t B,
                              int64_t T) {
  return scan_check(&(scan_way){.model = &sn_model_recurrent,
                                .graph = graph,
                                .target = target,
                                .fuse = fuse,
                                .threads = threads,
                                .B = B,
                                .T = T});
}

/* Stores at positions that the step computes: a ring, a clamped write, points and rows that add up. */
static const char stores[] =
    "sinter 1\ndims { B: 1..4, T: 1..64 }\n"
    "body @step {\n"
    "  %1 = arg index 0 : f32[5, 2]\n  %2 = arg index 1 : i32[]\n  %3 = arg index 2 : f32[2, 2]\n"
    "  %4 = dynamic_write %1, %3, %2 axis 0 ring 1 : f32[5, 2]\n"
    "  %5 = const value 3 : i32[]\n  %6 = mul %2, %5 : i32[]\n  %7 = const value 4 : i32[]\n  %8 = mod %6, %7 : i32[]\n"
    "  %9 = dynamic_write %4, %3, %8 axis 0 : f32[5, 2]\n"
    "  %10 = broadcast %8 shape [2, 2] axes [] : i32[2, 2]\n  %11 = iota axis 0 : i32[2, 2]\n"
    "  %12 = index_add %3, %10, %11 shape [5, 2] : f32[5, 2]\n"
    "  %13 = reshape %8 shape [1] : i32[1]\n  %14 = slice %3 start [0, 0] shape [1, 2] : f32[1, 2]\n"
    "  %15 = scatter_add %13, %14 rows 5 : f32[5, 2]\n"
    "  %16 = add %9, %12 : f32[5, 2]\n  %17 = sub %16, %15 : f32[5, 2]\n"
    "  %18 = const value 1 : i32[]\n  %19 = add %2, %18 : i32[]\n  %20 = mul %17, %9 : f32[5, 2]\n"
    "  return %17, %19, %20\n}\n"
    "graph @g {\n"
    "  %1 = input name \"m\" : f32[B, 5, 2]\n  %2 = const value 0 : i32[B]\n  %3 = input name \"x\" : f32[B, T, 2, 2]\n"
    "  %4, %5, %6 = scan %1, %2, %3 axes \"bt\" states 2 inputs 1 step @step : f32[B, 5, 2], i32[B], f32[B, T, 5, 2]\n"
    "  output \"y\" = %6\n  output \"last\" = %4\n  output \"n\" = %5\n}\n";

static void test_stores(void **state) {
  (void)state;
  scan_check_text(stores, "template", "none", NULL, 7);
  scan_check_text(stores, "template", "all", NULL, 7);
  if (SN_HAVE_LLVM) scan_check_text(stores, "cpu", "all", NULL, 7);
}

static void check(const char *graph) {
  check_variant(graph, "template", "all", 1, 2, 3);
  check_variant(graph, "template", "none", 1, 1, 2);
  if (!SN_HAVE_LLVM) return;
  check_variant(graph, "cpu", "none", 1, 2, 5);
  uint64_t one = check_variant(graph, "cpu", "all", 1, 3, 9);
  assert_true(one == check_variant(graph, "cpu", "all", 2, 3, 9));
}

static void test_linear_attention(void **state) { (void)state, check("linear_attention"); }
static void test_delta_rule(void **state) { (void)state, check("delta_rule"); }
static void test_lstm(void **state) { (void)state, check("lstm_cell"); }
static void test_gru(void **state) { (void)state, check("gru_cell"); }
static void test_swaps(void **state) { (void)state, check("swaps"); }
static void test_mixture(void **state) { (void)state, check("mixture"); }

static void test_segments(void **state) { (void)state, check("segments"); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_linear_attention),
      cmocka_unit_test(test_delta_rule),
      cmocka_unit_test(test_lstm),
      cmocka_unit_test(test_gru),
      cmocka_unit_test(test_swaps),
      cmocka_unit_test(test_mixture),
      cmocka_unit_test(test_segments),
      cmocka_unit_test(test_stores),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
