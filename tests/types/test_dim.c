/* Dims: simplification, facts and text, checked against direct evaluation on random expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "ir/types/dim.h"

typedef struct world {
  sn_arena *arena;
  sn_types *types;
  const sn_dimx *B, *T, *S, *N;
} world;

static world world_create(void) {
  world w = {.arena = sn_arena_create()};
  w.types = sn_types_create(w.arena);
  w.B = sn_dimx_symbol(w.types, "B", 1, 64, 1, NULL);
  w.T = sn_dimx_symbol(w.types, "T", 1, 1024, 1, NULL);
  w.S = sn_dimx_symbol(w.types, "S", 16, 256, 16, NULL);
  w.N = sn_dimx_symbol(w.types, "N", -9, 6, 3, NULL);
  return w;
}

static sn_code parse_in(world *w, sn_diags *diags, const char *text, const sn_dimx **out) {
  sn_lexer x;
  sn_lex_begin(&x, w->arena, diags, "t", text, strlen(text));
  SN_TRY(sn_dimx_parse(&x, w->types, out));
  return x.token.kind == SN_TOKEN_END ? x.failed : SN_ERR_INPUT;
}

static const sn_dimx *parse(world *w, const char *text) {
  const sn_dimx *d = NULL;
  if (parse_in(w, NULL, text, &d)) fail_msg("does not parse: %s", text);
  return d;
}

static const char *print(world *w, const sn_dimx *d) {
  sn_text t = sn_text_begin(w->arena);
  sn_dimx_print(&t, d);
  return t.at;
}

static void simplifies(void **state) {
  (void)state;
  static const struct {
    const char *text, *canonical;
  } cases[] = {
      {"T + B", "B + T"},
      {"3*T*B + 1 - T*B", "2*B*T + 1"},
      {"(B + 1)*(B - 1)", "B*B - 1"},
      {"T - T", "0"},
      {"-T - 3", "-T - 3"},
      {"T -1", "T - 1"},
      {"floordiv(16*T, 16)", "T"},
      {"floordiv(16*T + 3, 16)", "T"},
      {"mod(16*T + 3, 16)", "3"},
      {"floordiv(T + 16, 16)", "floordiv(T, 16) + 1"},
      {"floordiv(T - 1, 16)", "floordiv(T + 15, 16) - 1"},
      {"ceildiv(16*T, 16)", "T"},
      {"ceildiv(ceildiv(T, 16), 4)", "floordiv(T + 63, 64)"},
      {"floordiv(6*T + 5, 4)", "floordiv(3*T, 2) + 1"},
      {"floordiv(6*T + 4, 8)", "floordiv(3*T + 2, 4)"},
      {"mod(S, 16)", "0"},
      {"mod(S + 3, 16)", "3"},
      {"mod(T + S + 32, 16)", "mod(T, 16)"},
      {"mod(17*T, 16)", "mod(T, 16)"},
      {"mod(6*T, 4)", "2*mod(T, 2)"},
      {"mod(mod(T, 32), 16)", "mod(T, 16)"},
      {"floordiv(B*T, T)", "B"},
      {"floordiv(B*T + T - 1, T)", "B"},
      {"mod(B*T, T)", "0"},
      {"floordiv(B*T + B + T + 1, T + 1)", "B + 1"},
      {"min(T, 2000)", "T"},
      {"max(T, 1)", "T"},
      {"max(T, 2)", "max(T, 2)"},
      {"min(T, T + 1)", "T"},
      {"max(B, min(B, T))", "B"},
      {"min(B, min(T, B))", "min(B, T)"},
      {"floordiv(B, 100)", "0"},
      {"floordiv(-7, 2)", "-4"},
      {"mod(-7, 2)", "1"},
      {"mod(7, -2)", "-1"},
      {"floordiv(7, -2)", "-4"},
      {"ceildiv(7, 2)", "4"},
      {"floordiv(floordiv(T, 4), 8)", "floordiv(T, 32)"},
  };
  world w = world_create();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_string_equal(print(&w, parse(&w, cases[i].text)), cases[i].canonical);
    assert_ptr_equal(parse(&w, cases[i].text), parse(&w, cases[i].canonical));
  }
  sn_arena_destroy(w.arena);
}

static void facts(void **state) {
  (void)state;
  world w = world_create();
  assert_int_equal(sn_dimx_min_value(parse(&w, "B*T - 3")), -2);
  assert_int_equal(sn_dimx_max_value(parse(&w, "B*T - 3")), 64 * 1024 - 3);
  assert_int_equal(sn_dimx_divisor(parse(&w, "3*S*B + 24*T")), 24);
  assert_int_equal(sn_dimx_divisor(parse(&w, "S*B + 24")), 8);
  assert_int_equal(sn_dimx_divisor(parse(&w, "0")), 0);
  assert_int_equal(sn_dimx_divisor(parse(&w, "floordiv(S, 4)")), 4);
  assert_int_equal(sn_dimx_max_value(parse(&w, "floordiv(T, 16)")), 64);
  assert_int_equal(sn_dimx_max_value(parse(&w, "mod(T, 16)")), 15);
  assert_int_equal(sn_dimx_max_value(parse(&w, "T - 16*floordiv(T, 16)")), 15); /* a remainder */
  assert_int_equal(sn_dimx_min_value(parse(&w, "T - 16*floordiv(T, 16)")), 0);
  assert_int_equal(sn_dimx_min_value(parse(&w, "3*B*T - 48*B*floordiv(T, 16) - 5")), -5);
  assert_int_equal(sn_dimx_min_value(parse(&w, "16*floordiv(T, 16) - T")), -15);
  assert_int_equal(sn_dimx_min_value(parse(&w, "T + 2 - 16*floordiv(T + 3, 16)")), -1);
  assert_int_equal(sn_dimx_max_value(parse(&w, "T*T*T*T*T*T*T*T")), INT64_MAX);
  assert_int_equal(sn_dimx_min_value(parse(&w, "0 - T*T*T*T*T*T*T*T")), INT64_MIN);
  assert_true(sn_dimx_is_one(parse(&w, "T - T + 1")));
  assert_string_equal(sn_dimx_symbol_name(w.T), "T");
  assert_null(sn_dimx_symbol_name(parse(&w, "T + 1")));
  assert_int_equal(sn_dimx_symbol_index(w.S), 2);
  assert_int_equal(sn_dimx_symbol_index(parse(&w, "2")), -1);
  assert_null(sn_dimx_exact_div(w.types, parse(&w, "B*T + 1"), w.T));
  assert_null(sn_dimx_exact_div(w.types, w.B, sn_dimx_const(w.types, 0)));
  assert_ptr_equal(sn_dimx_exact_div(w.types, parse(&w, "B*B + 2*B*T + T*T"), parse(&w, "B + T")), parse(&w, "B + T"));
  sn_arena_destroy(w.arena);
}

static void symbols(void **state) {
  (void)state;
  world w = world_create();
  bool conflict = false;
  assert_ptr_equal(sn_dimx_symbol(w.types, "B", 1, 64, 1, &conflict), w.B);
  assert_false(conflict);
  assert_ptr_equal(sn_dimx_symbol(w.types, "B", 1, 65, 1, &conflict), w.B);
  assert_true(conflict);
  assert_int_equal(sn_types_symbol_count(w.types), 4);
  assert_ptr_equal(sn_types_symbol(w.types, 1), w.T);
  assert_ptr_equal(sn_dimx_find_symbol(w.types, "S"), w.S);
  assert_null(sn_dimx_find_symbol(w.types, "X"));
  sn_arena_destroy(w.arena);
}

/* A random expression built twice: as a dim, and as a number under `values`. */
typedef struct built {
  const sn_dimx *dim;
  bool defined; /* false: a division by zero or an overflow somewhere */
  int64_t value;
} built;

static int64_t floor_div(int64_t a, int64_t b) { return (a - ((a % b) + b) % b) / b; }

static built combine(world *w, int op, built a, built b) {
  built r = {.defined = a.defined && b.defined};
  sn_types *t = w->types;
  bool zero = b.value == 0;
  switch (op) {
    case 0: return r.dim = sn_dimx_add(t, a.dim, b.dim), r.value = a.value + b.value, r;
    case 1: return r.dim = sn_dimx_sub(t, a.dim, b.dim), r.value = a.value - b.value, r;
    case 2: return r.dim = sn_dimx_mul(t, a.dim, b.dim), r.value = a.value * b.value, r;
    case 3: return r.dim = sn_dimx_min(t, a.dim, b.dim), r.value = a.value < b.value ? a.value : b.value, r;
    case 4: return r.dim = sn_dimx_max(t, a.dim, b.dim), r.value = a.value > b.value ? a.value : b.value, r;
    case 5:
      r.dim = sn_dimx_ceildiv(t, a.dim, b.dim);
      r.value = zero ? 0 : floor_div(a.value + b.value - 1, b.value);
      break;
    case 6:
      r.dim = sn_dimx_mod(t, a.dim, b.dim);
      r.value = zero ? 0 : a.value - b.value * floor_div(a.value, b.value);
      break;
    default: r.dim = sn_dimx_floordiv(t, a.dim, b.dim); r.value = zero ? 0 : floor_div(a.value, b.value);
  }
  r.defined = r.defined && !zero;
  return r;
}

static built random_built(world *w, sn_rng *r, const int64_t *values, int depth) {
  uint64_t kind = sn_rng_below(r, depth ? 12 : 2);
  if (kind == 0) {
    int i = (int)sn_rng_below(r, 4);
    return (built){sn_types_symbol(w->types, i), true, values[i]};
  }
  if (kind == 1) {
    int64_t n = (int64_t)sn_rng_below(r, 40) - 8;
    return (built){sn_dimx_const(w->types, n), true, n};
  }
  built a = random_built(w, r, values, depth - 1), b = random_built(w, r, values, depth - 1);
  return combine(w, (int)kind % 8, a, b);
}

static void check_built(world *w, built b, const int64_t *values) {
  int64_t value;
  assert_int_equal(sn_dimx_eval(b.dim, values, &value), SN_OK);
  if (value != b.value) fail_msg("%s is %lld, not %lld", print(w, b.dim), (long long)value, (long long)b.value);
  assert_true(sn_dimx_min_value(b.dim) <= value && value <= sn_dimx_max_value(b.dim));
  int64_t divisor = sn_dimx_divisor(b.dim);
  assert_true(divisor ? value % divisor == 0 : value == 0);
  assert_true(divisor >= 0);
}

static int64_t tree_eval(const sn_dimx_tree *t, const int64_t *values) {
  if (t->kind == SN_DIMX_CONST) return t->value;
  if (t->kind == SN_DIMX_SYMBOL) return values[t->value];
  int64_t a = tree_eval(t->a, values), b = tree_eval(t->b, values);
  switch (t->kind) {
    case SN_DIMX_ADD: return a + b;
    case SN_DIMX_MUL: return a * b;
    case SN_DIMX_FLOORDIV: return floor_div(a, b);
    case SN_DIMX_MOD: return a - b * floor_div(a, b);
    case SN_DIMX_MIN: return a < b ? a : b;
    default: return a > b ? a : b;
  }
}

/* m (a - n floor(a / n)) + c: the sum that stands for a remainder. */
static built remainder_of(world *w, sn_rng *r, built a, const int64_t *values) {
  built n = {sn_dimx_const(w->types, 1 + (int64_t)sn_rng_below(r, 20)), true, 0};
  (void)sn_dimx_is_const(n.dim, &n.value);
  built m = random_built(w, r, values, 1), c = random_built(w, r, values, 1);
  built rest = combine(w, 1, a, combine(w, 2, n, combine(w, 7, a, n)));
  return combine(w, 0, combine(w, 2, m, rest), c);
}

static void random_expressions(void **state) {
  (void)state;
  sn_rng r = {.seed = 1};
  int checked = 0;
  for (int i = 0; i < 20000; i++) {
    world w = world_create();
    int64_t values[4] = {1 + (int64_t)sn_rng_below(&r, 64), 1 + (int64_t)sn_rng_below(&r, 1024),
                         16 * (1 + (int64_t)sn_rng_below(&r, 16)), 3 * (int64_t)sn_rng_below(&r, 6) - 9};
    built b = random_built(&w, &r, values, i % 4 ? 4 : 3);
    if (i % 4 == 0) b = remainder_of(&w, &r, b, values);
    if (b.defined) {
      checked++;
      check_built(&w, b, values);
      assert_int_equal(tree_eval(sn_dimx_as_tree(w.types, b.dim), values), b.value);
    }
    assert_ptr_equal(parse(&w, print(&w, b.dim)), b.dim);
    sn_arena_destroy(w.arena);
  }
  assert_true(checked > 5000);
}

static void check_dividends(const sn_dimx_tree *t, const int64_t *values) {
  if (!t->a) return;
  if (t->kind == SN_DIMX_FLOORDIV || t->kind == SN_DIMX_MOD) assert_true(tree_eval(t->a, values) >= 0);
  check_dividends(t->a, values);
  check_dividends(t->b, values);
}

/* Kernels divide what is not negative. */
static void dividends_of_trees_are_not_negative(void **state) {
  (void)state;
  static const char *const cases[] = {"floordiv(30 - T, 32)", "mod(B - T, 7)", "floordiv(mod(-3*T, 5) - B, 4)",
                                      "floordiv(-T, B + 1)",  "mod(N, 4)",     "floordiv(T*T - 40*B, S)"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int64_t n = 1; n <= 64; n++) {
      world w = world_create();
      const int64_t values[4] = {n, 16 * n, 16 * (1 + n % 16), 3 * (n % 6) - 9};
      const sn_dimx *d = parse(&w, cases[i]);
      const sn_dimx_tree *t = sn_dimx_as_tree(w.types, d);
      int64_t value;
      check_dividends(t, values);
      assert_int_equal(sn_dimx_eval(d, values, &value), SN_OK);
      assert_int_equal(tree_eval(t, values), value);
      sn_arena_destroy(w.arena);
    }
}

static void eval_errors(void **state) {
  (void)state;
  world w = world_create();
  int64_t values[4] = {2, 1000000, 16, 0}, value = 7;
  assert_int_equal(sn_dimx_eval(parse(&w, "T*T*T*T"), values, &value), SN_ERR_LIMIT);
  assert_int_equal(sn_dimx_eval(parse(&w, "floordiv(T, B - 2)"), values, &value), SN_ERR_LIMIT);
  assert_int_equal(sn_dimx_eval(parse(&w, "mod(T, 0)"), values, &value), SN_ERR_LIMIT);
  assert_int_equal(value, 7);
  sn_arena_destroy(w.arena);
}

static void parse_errors(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "X",
                                    "T +",
                                    "T * ",
                                    "min(T)",
                                    "floordiv(T, 2",
                                    "(T",
                                    "99999999999999999999",
                                    "4611686018427387904*T*4",
                                    "9223372036854775807 + 1",
                                    "min",
                                    "T T",
                                    "1.5"};
  world w = world_create();
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    const sn_dimx *d = NULL;
    assert_int_equal(parse_in(&w, NULL, bad[i], &d), SN_ERR_INPUT);
  }
  char deep[3000];
  memset(deep, '(', sizeof deep - 1);
  deep[sizeof deep - 1] = 0;
  const sn_dimx *d = NULL;
  assert_int_equal(parse_in(&w, NULL, deep, &d), SN_ERR_INPUT);
  sn_arena_destroy(w.arena);
}

/* sn_protect turns an expression beyond 64 bits into an error. */
static int overflow(void *arg) {
  world *w = arg;
  sn_dimx_mul(w->types, sn_dimx_const(w->types, INT64_C(1) << 40), sn_dimx_const(w->types, INT64_C(1) << 40));
  return SN_OK;
}

static void overflow_is_limit(void **state) {
  (void)state;
  world w = world_create();
  assert_int_equal(sn_protect(overflow, &w), SN_ERR_LIMIT);
  sn_arena_destroy(w.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(simplifies),
      cmocka_unit_test(facts),
      cmocka_unit_test(symbols),
      cmocka_unit_test(random_expressions),
      cmocka_unit_test(dividends_of_trees_are_not_negative),
      cmocka_unit_test(eval_errors),
      cmocka_unit_test(parse_errors),
      cmocka_unit_test(overflow_is_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
