/* No plan of a variant of models/attention, of values or with all gradients, holds a tensor of queries by keys: of a
 * sequence of 16384 no slot has as many elements as there are pairs, and what grows faster than the length are numbers
 * of blocks: maps, and choices of blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h" /* before sinter.h, whose macro sn_uniform has the name of a function of it */

#include "frontend/build.h"
#include "tests/compile/harness_attention.h"

enum { T = 16384, BLOCK = 64 };

/* All scores, written out: the check can fail. */
SN_SETTINGS(none, (int, n, 0, ""));
static void naive(sn_scope m, bool gradients) {
  sn_dim B = sn_sym(m, "B"), length = sn_sym(m, "T", .max = T);
  sn_t q = sn_input(m, "q", SN_REAL, (B, length, 16)), dq;
  sn_t y = sn_einsum("bts,bsd->btd", sn_softmax(sn_einsum("btd,bsd->bts", q, q)), q);
  if (gradients) sn_grad(sn_sum(y, "btd->"), (q), (&dq));
  sn_output(m, "y", gradients ? dq : y);
}
static void forward(sn_scope m, const none *c) { (void)c, naive(m, false); }
static void gradients(sn_scope m, const none *c) { (void)c, naive(m, true); }
SN_MODEL(naive, none, forward, gradients);

static int64_t elements(const sn_plan *p, const sn_slot *s, int64_t length) {
  static const char *const names[2] = {"B", "T"};
  const int64_t values[2] = {1, length};
  int64_t dims[64] = {0}, count;
  for (int i = 0; i < 2; i++) {
    const sn_dimx *d = sn_dimx_find_symbol(p->types, names[i]);
    if (d) dims[sn_dimx_symbol_index(d)] = values[i];
  }
  assert_int_equal(sn_dimx_eval(s->elements, dims, &count), SN_OK);
  return count;
}

/* -> the first slot that is too large; NULL: none */
static const sn_slot *square(const sn_plan *p) {
  for (int i = 0; i < p->slot_count; i++) {
    int64_t count = elements(p, &p->slot[i], T), half = elements(p, &p->slot[i], T / 2);
    bool linear = count <= 2 * half + BLOCK * BLOCK;
    if (count >= (int64_t)T * T || (!linear && count > (int64_t)T * T / BLOCK)) return &p->slot[i];
  }
  return NULL;
}

static bool has_square(const sn_model *model, const char *graph, const char *target) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_model_opt opt = {.graphs = graph, .real = SN_ELEM_F32};
  sn_compile_opt to = {.target = target, .interpret = true, .cache_dir = check_cache()};
  sn_module *m;
  sn_compiled c;
  sn_code code = sn_model_build(model, &opt, arena, diags, &m);
  if (!code) code = sn_compile(m, &to, arena, diags, &c);
  if (code) fail_msg("%s %s: %s", model->name, graph, sn_diags_print(diags, arena));
  const sn_slot *s = square(c.plan);
  if (s) print_message("%s, %s: %s %s\n", model->name, graph, s->name, sn_type_text(arena, s->type));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return s != NULL;
}

static void check_variants(const char *target) {
  for (int i = 0; i < attention_variant_count; i++) {
    const sn_model *model = attention_variants[i].model;
    if (i && model == attention_variants[i - 1].model) continue;
    assert_false(has_square(model, "forward", target));
    assert_false(has_square(model, "gradients", target));
  }
  assert_true(has_square(&sn_model_naive, "forward", target));
  assert_true(has_square(&sn_model_naive, "gradients", target));
}

static void on_the_cpu(void **state) {
  (void)state;
  check_variants(SN_HAVE_LLVM ? "cpu" : "template");
}

static void on_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  check_variants("vulkan");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_the_cpu),
      cmocka_unit_test(on_vulkan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
