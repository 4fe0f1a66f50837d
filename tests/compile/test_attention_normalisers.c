/* Normalisers of attention, forward and backward, in every type and on every device: against the interpreter, over head
 * sizes, shared heads, lengths, hidden rows and large scores. No plan holds a tensor of queries by keys. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h" /* before sinter.h, whose macro sn_uniform has the name of a function of it */

#include "frontend/build.h"
#include "frontend/sinter.h"

/* clang-format off */
SN_SETTINGS(opts, (int, heads, 4, "query heads"), (int, groups, 2, "key heads"), (int, d, 16, "size of queries"),
            (int, e, 16, "size of values"), (int, kind, 0, "normaliser"), (int, mask, 0, "mask"), (int, narrow, 0, "bf16"));
/* clang-format on */

enum { SOFTMAX, SOFTMAX1, SINK, SIGMOID, RELU2, SCORES, OWN, SOFT_OWN, LEARNED, KINDS };
enum { ALL, CAUSAL, BEFORE, NONE, MASKS };

static sn_t less(sn_t s, sn_site at, const void *opt) { return (void)at, (void)opt, sn_sub(s, log(32)); }
static sn_t before(sn_site at, const void *opt) { return (void)opt, sn_lt(at.k, at.q); }
static sn_t none(sn_site at, const void *opt) { return (void)opt, sn_and(sn_lt(at.k, at.q), sn_lt(at.q, at.k)); }

/* 1 / (1 + s^2), divided by the sum of weights and one. */
static sn_t bell(sn_t s, sn_site at, const void *opt) {
  return (void)at, (void)opt, sn_reciprocal(sn_add(sn_square(s), 1));
}
static sn_t divide(sn_t y, sn_t total, const void *opt) { return (void)opt, sn_div(y, sn_add(total, 1)); }
/* The same times what is learned for each head. */
static sn_t learned(sn_t s, sn_site at, const void *opt) {
  return sn_mul(bell(s, at, NULL), sn_index(*(const sn_t *)opt, at.head));
}
/* A softmax whose rows fade with their logarithm. */
static sn_t fade(sn_t y, sn_t total, const void *opt) { return (void)opt, sn_mul(y, sn_tanh(sn_mul(total, .125))); }

static sn_normaliser normaliser_of(const opts *c, sn_t z) {
  const sn_normaliser all[KINDS] = {
      [SOFTMAX1] = sn_softmax1,      [SINK] = sn_softmax_sink(z), [SIGMOID] = sn_sigmoid_weights,
      [RELU2] = sn_relu2_weights,    [SCORES] = sn_score_weights, [OWN] = {bell, divide},
      [SOFT_OWN] = {.finish = fade}, [LEARNED] = {learned},
  };
  return all[c->kind];
}

static void g(sn_scope m, const opts *c) {
  static const sn_mask masks[MASKS] = {NULL, sn_causal, before, none};
  sn_dim B = sn_sym(m, "B", .max = 4), T = sn_sym(m, "T", .max = 256), S = sn_sym(m, "S", .max = 256);
  sn_dtype type = c->narrow ? SN_BF16 : SN_REAL;
  sn_t q = sn_input(m, "q", type, (B, T, c->heads, c->d)), k = sn_input(m, "k", type, (B, S, c->groups, c->d));
  sn_t v = sn_input(m, "v", type, (B, S, c->groups, c->e)), w = sn_input(m, "w", type, (B, T, c->heads, c->e));
  sn_t z = sn_input(m, "z", type, (c->heads)), dq, dk, dv, dz;
  sn_t y = sn_attention(q, k, v, .score = c->kind == SIGMOID ? less : NULL, .mask = masks[c->mask],
                        .normaliser = normaliser_of(c, z), .opt = &z, .name = "tried");
  sn_t loss = sn_sum(sn_mul(sn_cast(y, SN_REAL), sn_cast(w, SN_REAL)), "bthe->");
  if (c->kind == SINK || c->kind == LEARNED) {
    sn_grad(loss, (q, k, v, z), (&dq, &dk, &dv, &dz));
    sn_output(m, "dz", dz);
  } else {
    sn_grad(loss, (q, k, v), (&dq, &dk, &dv));
  }
  sn_output(m, "y", y);
  sn_output(m, "dq", dq);
  sn_output(m, "dk", dk);
  sn_output(m, "dv", dv);
}

/* Keys and values in pages of eight positions, written and read by the same definition. */
static void paged(sn_scope m, const opts *c) {
  sn_dim B = sn_sym(m, "B", .max = 4), T = sn_sym(m, "T", .max = 16);
  sn_scope s = sn_with(m, .cache = 40, .start = sn_input(m, "start", SN_I32, (B)));
  sn_t nth = sn_add(sn_mul(sn_rearrange(sn_arange(m, B), "b->b1"), 5), sn_arange(m, 5)); /* 0 to 5 B - 1 */
  sn_t table = sn_mod(sn_add(sn_mul(nth, 7), 3), 20), z = sn_input(m, "z", SN_REAL, (c->heads));
  sn_t q = sn_input(m, "q", SN_REAL, (B, T, c->heads, c->d));
  sn_t k = sn_cache(s, "keys", sn_input(m, "k", SN_REAL, (B, T, c->groups, c->d)), .table = table, .pool = 20);
  sn_t v = sn_cache(s, "values", sn_input(m, "v", SN_REAL, (B, T, c->groups, c->e)), .table = table, .pool = 20);
  sn_output(m, "y", sn_attention(q, k, v, .mask = sn_causal, .normaliser = normaliser_of(c, z)));
}

SN_MODEL(tried, opts, g, paged);

typedef struct one {
  int heads, groups, d, e;
  int64_t B, T, S;
  int mask;
  const char *target, *isa;
  bool narrow, wide; /* operands in bf16; everything in f64 */
  double scale;      /* of the operands */
  int kinds;         /* 0: all */
  const char *precision;
} one;

/* A tensor of queries by keys? */
static bool is_square(const sn_plan *p, const sn_slot *s) {
  const sn_dimx *T = sn_dimx_find_symbol(p->types, "T"), *S = sn_dimx_find_symbol(p->types, "S");
  bool t = false, k = false;
  for (int i = 0; i < s->type->rank; i++) t |= s->type->dim[i] == T, k |= s->type->dim[i] == S;
  return t && k;
}

static uint64_t check(const one *o, int kind, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  const int n[7] = {o->heads, o->groups, o->d, o->e, kind, o->mask, o->narrow};
  static const char *const names[7] = {"heads", "groups", "d", "e", "kind", "mask", "narrow"};
  const char *set[7];
  for (int i = 0; i < 7; i++) set[i] = sn_arena_printf(arena, "%s=%d", names[i], n[i]);
  sn_model_opt build = {.set = set, .set_count = 7, .graphs = "g", .real = o->wide ? SN_ELEM_F64 : SN_ELEM_F32};
  if (sn_model_build(&sn_model_tried, &build, arena, diags, &m)) fail_msg("%s", sn_diags_print(diags, arena));
  const int64_t dims[3] = {o->B, o->T, o->S};
  check_opt co = {.compile = {.target = o->target, .isa = o->isa, .precision = o->precision},
                  .graph = "g",
                  .dims = dims,
                  .seed = 3};
  co.threads = threads, co.scale = o->scale;
  if (!co.compile.target) co.compile.target = SN_HAVE_LLVM ? "cpu" : "template";
  check_result r;
  if (check_graph(m, &co, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched || r.excluded * 50 > r.total)
    fail_msg("normaliser %d, heads %d / %d of %d and %d, %d by %d, mask %d on %s: %s; %d of %d without a bound", kind,
             o->heads, o->groups, o->d, o->e, (int)o->T, (int)o->S, o->mask, co.compile.target, r.first,
             (int)r.excluded, (int)r.total);
  const sn_plan *p = r.compiled.plan;
  for (int i = 0; i < p->slot_count && !o->wide; i++) assert_false(is_square(p, &p->slot[i]));
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

static void check_kinds(const one *o) {
  static int count;
  for (int kind = 0; kind < KINDS; kind++)
    if ((!o->kinds || o->kinds >> kind & 1) && count++ % CHECK_SAMPLE == 0) check(o, kind, 1);
}

static void every_normaliser(void **state) {
  (void)state;
  check_kinds(&(one){4, 2, 16, 16, 2, 37, 37, CAUSAL});
  check_kinds(&(one){4, 1, 24, 40, 1, 9, 70, ALL, .kinds = 1 << SINK | 1 << OWN});
}

static void hidden_rows(void **state) {
  (void)state;
  check_kinds(&(one){2, 2, 16, 8, 2, 33, 33, BEFORE, .kinds = 1 << SINK | 1 << SIGMOID | 1 << OWN | 1 << SOFT_OWN});
  check_kinds(&(one){2, 1, 16, 8, 1, 5, 5, NONE, .kinds = 1 << SOFTMAX1 | 1 << OWN});
}

static void tiny_lengths(void **state) {
  (void)state;
  for (int64_t t = 1; t <= 3; t++)
    for (int64_t s = 4 - t; s <= 3; s++) check(&(one){4, 2, 16, 16, 1, t, s, t == s ? CAUSAL : ALL}, (int)(t + s), 1);
}

static void head_sizes(void **state) {
  (void)state;
  check(&(one){1, 1, 17, 256, 1, 20, 19, ALL}, SOFTMAX1, 1);
  check(&(one){2, 1, 256, 33, 1, 19, 20, ALL}, SIGMOID, 1);
  check(&(one){16, 1, 80, 128, 1, 11, 31, ALL}, SINK, 1);
  check(&(one){16, 16, 16, 1, 1, 11, 31, ALL}, OWN, 1);
}

static void large_scores(void **state) {
  (void)state;
  check_kinds(&(one){2, 1, 16, 16, 1, 21, 21, CAUSAL, .scale = 50, .kinds = 1 << SOFTMAX | 1 << SINK});
}

static void narrow_operands(void **state) {
  (void)state;
  check_kinds(&(one){4, 2, 32, 16, 1, 33, 33, CAUSAL, .narrow = true, .kinds = 1 << SINK | 1 << SIGMOID | 1 << OWN});
}

static void narrowed_operands(void **state) {
  (void)state;
  check_kinds(&(one){2, 1, 16, 16, 1, 33, 33, CAUSAL, .precision = "bf16", .kinds = 1 << SINK | 1 << RELU2 | 1 << OWN});
}

static void wide_operands(void **state) {
  (void)state;
  check_kinds(&(one){4, 2, 16, 8, 1, 9, 9, BEFORE, .wide = true, .kinds = 1 << SINK | 1 << RELU2 | 1 << OWN});
}

static void levels_and_threads(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  static const char *const isa[] = {"baseline", "avx2"};
  for (int i = 0; i < 2; i++)
    check_kinds(&(one){4, 2, 16, 16, 1, 41, 35, ALL, .isa = isa[i], .kinds = 1 << SINK | 1 << OWN});
  const one o = {4, 2, 16, 16, 2, 37, 37, CAUSAL};
  assert_true(check(&o, OWN, 1) == check(&o, OWN, 3));
}

/* Starts whose positions are beyond the pages of a sequence are refused. */
static void check_starts(const sn_plan *p, const int64_t *dims) {
  const sn_plan_graph *g = &p->graph[0];
  int64_t rows = 0, span = 0;
  for (int i = 0; i < g->limit_count; i++) {
    const sn_plan_limit *l = &g->limit[i];
    if (strcmp(p->slot[l->slot].name, "start") != 0) continue;
    assert_int_equal(sn_dimx_eval(l->rows, dims, &rows), SN_OK);
    assert_int_equal(sn_dimx_eval(l->span, dims, &span), SN_OK);
  }
  assert_int_equal(rows, 40);
  assert_int_equal(span, dims[1]);
}

static void check_paged(const char *target, int64_t t) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  const char *set[1] = {"kind=2"};
  sn_model_opt build = {.set = set, .set_count = 1, .graphs = "paged", .real = SN_ELEM_F32};
  if (sn_model_build(&sn_model_tried, &build, arena, diags, &m)) fail_msg("%s", sn_diags_print(diags, arena));
  const int64_t dims[2] = {2, t};
  check_opt co = {.compile = {.target = target}, .graph = "paged", .dims = dims, .seed = 1, .int_limit = 9};
  check_result r;
  if (check_graph(m, &co, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched || r.excluded) fail_msg("pages on %s: %s; %d without a bound", target, r.first, (int)r.excluded);
  check_starts(r.compiled.plan, dims);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void pages(void **state) {
  (void)state;
  check_paged(SN_HAVE_LLVM ? "cpu" : "template", 1);
  check_paged(SN_HAVE_LLVM ? "cpu" : "template", 7);
  if (check_has_vulkan()) check_paged("vulkan", 3);
}

static void on_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  check_kinds(&(one){4, 2, 16, 24, 1, 35, 35, BEFORE, .target = "vulkan", .kinds = 1 << SINK | 1 << OWN});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_normaliser),  cmocka_unit_test(hidden_rows),   cmocka_unit_test(tiny_lengths),
      cmocka_unit_test(head_sizes),        cmocka_unit_test(large_scores),  cmocka_unit_test(narrow_operands),
      cmocka_unit_test(narrowed_operands), cmocka_unit_test(wide_operands), cmocka_unit_test(levels_and_threads),
      cmocka_unit_test(on_vulkan),         cmocka_unit_test(pages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
