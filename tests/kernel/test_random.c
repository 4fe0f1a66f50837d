/* Random tile programs: they verify, print and parse back, and mean the same finished, in any order of instances, one
 * at a time. Environment: SN_RANDOM_COUNT programs (2000). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/ref/krandom.h"

typedef struct tally {
  int64_t programs, instances, excluded, elements, compared, ops[SN_K_COUNT];
} tally;

static void count_ops(tally *t, const sn_kernel *k) {
  for (int v = 1; v < k->ins_count; v++) t->ops[k->ins[v].op]++;
}

static void check_text(sn_arena *a, uint64_t seed, const sn_kernel *k) {
  sn_diags *d = sn_diags_create();
  sn_text t = sn_text_begin(a), u = sn_text_begin(a);
  sn_kernel *again = NULL;
  sn_kernel_print(&t, k);
  if (sn_kernel_parse(a, d, "random", t.at, (size_t)t.count, &again))
    fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, sn_diags_print(d, a), t.at);
  sn_kernel_print(&u, again);
  assert_string_equal(t.at, u.at);
  assert_true(sn_kernel_equal(k, sn_kernel_finish(a, again), a)); /* finish changes nothing that is finished */
  sn_diags_destroy(d);
}

static void run(sn_arena *a, const sn_kernel *k, const sn_krandom_case *c, bool backwards, sn_karg *args) {
  sn_diags *d = sn_diags_create();
  sn_krandom_args(a, k, c, args);
  for (int64_t j = 0; j < c->instances; j++) {
    int64_t i = backwards ? c->instances - 1 - j : j;
    sn_kinterp in = {.diags = d, .args = args, .elements = c->elements, .lo = i, .hi = i + 1};
    if (sn_kinterp_run(&in, k)) fail_msg("%s", sn_diags_print(d, a));
  }
  sn_diags_destroy(d);
}

static void same_bits(const sn_kernel *k, const sn_krandom_case *c, const sn_karg *x, const sn_karg *y) {
  for (int j = 0; j < k->param_count; j++)
    if (c->expected[j]) assert_memory_equal(x[j].p, y[j].p, (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem));
}

static void one_program(uint64_t seed, tally *t) {
  sn_arena *a = sn_arena_create();
  sn_krandom_case c = {0};
  const char *why = NULL;
  sn_kernel *k = sn_krandom(a, seed, &c);
  if (c.error) {
    sn_text text = sn_text_begin(a);
    sn_kernel_print(&text, k);
    fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, c.error, text.at);
  }
  check_text(a, seed, k);
  sn_karg forward[SN_K_PARAMS], backward[SN_K_PARAMS];
  run(a, k, &c, false, forward);
  run(a, k, &c, true, backward);
  same_bits(k, &c, forward, backward);
  if (!sn_krandom_check(a, k, &c, forward, &why)) fail_msg("seed %llu: %s", (unsigned long long)seed, why);
  t->programs++;
  t->instances += c.instances;
  t->excluded += c.excluded;
  for (int j = 0; j < k->param_count; j++)
    for (int64_t i = 0; c.expected[j] && i < c.elements[j]; i++) {
      t->elements++;
      t->compared += c.tolerance[j][i] >= 0;
    }
  count_ops(t, k);
  sn_arena_destroy(a);
}

static void random_programs(void **state) {
  (void)state;
  tally t = {0};
  const char *count = getenv("SN_RANDOM_COUNT"), *first = getenv("SN_RANDOM_FIRST");
  int programs = count ? atoi(count) : 2000, start = first ? atoi(first) : 1;
  for (int seed = start; seed < start + programs; seed++) one_program((uint64_t)seed, &t);
  print_message("%lld programs, %lld instances (%lld excluded), %lld elements (%lld compared)\n", (long long)t.programs,
                (long long)t.instances, (long long)t.excluded, (long long)t.elements, (long long)t.compared);
  if (programs < 500) return;
  assert_true(t.excluded * 10 < t.instances); /* most programs must count */
  for (int op = 1; op < SN_K_COUNT; op++)
    if (!t.ops[op]) fail_msg("no program has %s", sn_kop_name((sn_kop)op));
}

static void avoided_ops_do_not_occur(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed < 100; seed++) {
    sn_arena *a = sn_arena_create();
    sn_krandom_case c = {.avoid = SN_KRANDOM_NO_MATH | SN_KRANDOM_NO_F16 | SN_KRANDOM_NO_VNNI | SN_KRANDOM_NO_I64 |
                                  SN_KRANDOM_NO_LOCAL | SN_KRANDOM_NO_GATHER | SN_KRANDOM_NO_BITS};
    sn_kernel *k = sn_krandom(a, seed, &c);
    for (int v = 1; v < k->ins_count; v++) {
      const sn_kins *x = sn_k_ins(k, v);
      assert_false(x->op >= SN_K_EXP2 && x->op <= SN_K_ERF);
      assert_false(x->type.elem == SN_ELEM_F16 || x->type.elem == SN_ELEM_I64);
      assert_false(x->op == SN_K_LOCAL || x->op == SN_K_GATHER || x->op == SN_K_BITCAST || x->op == SN_K_MULHI);
      assert_false(x->op == SN_K_MMA && x->i & SN_K_VNNI);
    }
    sn_arena_destroy(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_programs),
      cmocka_unit_test(avoided_ops_do_not_occur),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
