/* Losses over a large vocabulary in every form: against the interpreter, with gradients, on every level, with both
 * precisions; that the fused form has no buffer of the size of logits, and says where it cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

enum { ROWS = 12, VOCAB = 8197, WIDTH = 24 };

/* the logits made from %1 and %2, or `soft` of them */
#define LOSS(product, loss)                                                                              \
  "sinter 1\ndims { T: 1..4 }\ngraph @g {\n"                                                             \
  "%1 = input name \"x\" : f32[2, 3*T, 24]\n%2 = param name \"w\" init \"normal\" a 1 : f32[8197, 24]\n" \
  "%3 = input name \"t\" : i32[2, 3*T]\n%4 = contract " product " : f32[2, 3*T, 8197]\n" loss            \
  "%9 = sum %8 axes [0, 1] : f32[]\n%10, %11 = grad %9, %1, %2 : f32[2, 3*T, 24], f32[8197, 24]\n"       \
  "output \"rows\" = %8\noutput \"dx\" = %10\noutput \"dw\" = %11\n}\n"

static const char plain[] = LOSS("%1, %2 spec \"btd,vd->btv\"", "%8 = cross_entropy %4, %3 smooth 0.1 : f32[2, 3*T]\n");
static const char turned[] = LOSS("%2, %1 spec \"vd,btd->btv\"", "%8 = cross_entropy %4, %3 : f32[2, 3*T]\n");
static const char capped[] =
    LOSS("%1, %2 spec \"btd,vd->btv\"", "%7 = tanh %4 : f32[2, 3*T, 8197]\n%8 = cross_entropy %7, %3 : f32[2, 3*T]\n");

typedef struct outcome {
  uint64_t hash;
  bool logits;    /* is there a buffer of that size? */
  bool refused;   /* with a reason */
  int attentions; /* kernels */
} outcome;

static int ops_of(const sn_compiled *c, sn_kop op) {
  int n = 0;
  for (int i = 0; i < c->kernel_count; i++)
    for (int k = 1; k < c->kernel[i]->ins_count; k++) n += c->kernel[i]->ins[k].op == op;
  return n;
}

/* The target's logit behind a cap is read where it lies: no column is compared with its number. */
static void the_target_alone_is_read(void **state) {
  (void)state;
  static const char text[] =
      "sinter 1\ngraph @g {\n%1 = input name \"x\" : f32[5, 8197]\n%2 = input name \"t\" : i32[5]\n"
      "%3 = tanh %1 : f32[5, 8197]\n%4 = cross_entropy %3, %2 : f32[5]\noutput \"y\" = %4\n}\n";
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  check_result r;
  check_opt o = {.graph = "g", .seed = 3, .int_limit = VOCAB};
  o.compile.target = SN_HAVE_LLVM ? "cpu" : "template";
  if (check_graph(check_parse(arena, diags, text), &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s", r.first);
  assert_int_equal(ops_of(&r.compiled, SN_K_GATHER), 1);
  assert_int_equal(ops_of(&r.compiled, SN_K_RSUM), 1); /* of exponentials */
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static outcome look(const sn_plan *p, uint64_t hash) {
  outcome o = {.hash = hash};
  const int64_t dims[1] = {2};
  for (int i = 0; i < p->slot_count; i++) {
    int64_t count = 0;
    assert_int_equal(sn_dimx_eval(sn_type_count(p->types, p->slot[i].type), dims, &count), SN_OK);
    o.logits |= p->slot[i].role == SN_SLOT_TEMP && count >= ROWS * VOCAB / 3 && p->slot[i].type->rank == 3;
  }
  for (int i = 0; i < p->graph[0].step_count; i++)
    o.attentions += p->graph[0].step[i].kind_name && !strcmp(p->graph[0].step[i].kind_name, "attend");
  for (int i = 0; i < p->graph[0].refusal_count; i++)
    o.refused |= strstr(p->graph[0].refusal[i].ops, "contract -> cross_entropy") != NULL;
  return o;
}

static outcome check(const char *text, sn_compile_opt opt, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const int64_t dims[1] = {2};
  check_result r;
  if (!opt.target) opt.target = SN_HAVE_LLVM ? "cpu" : "template";
  check_opt o = {.compile = opt, .graph = "g", .dims = dims, .seed = 5, .threads = threads, .int_limit = VOCAB};
  o.scale = 0.5;
  if (check_graph(check_parse(arena, diags, text), &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("vocab %s on %s: %s", opt.vocab, opt.target, r.first);
  assert_true(r.total > 0 && r.excluded * 100 <= r.total);
  outcome out = look(r.compiled.plan, r.hash);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return out;
}

static void the_fused_form_has_no_logits(void **state) {
  (void)state;
  outcome whole = check(plain, (sn_compile_opt){.vocab = "whole"}, 1);
  outcome fused = check(plain, (sn_compile_opt){.vocab = "fused"}, 1);
  assert_true(whole.logits && !whole.attentions);
  assert_true(!fused.logits && fused.attentions >= 2 && !fused.refused);
  assert_true(check(plain, (sn_compile_opt){.vocab = "fused"}, 2).hash == fused.hash);
}

static void either_operand_may_be_the_matrix(void **state) {
  (void)state;
  assert_false(check(turned, (sn_compile_opt){.vocab = "fused"}, 1).logits);
}

static void narrow_operands(void **state) {
  (void)state;
  assert_false(check(plain, (sn_compile_opt){.vocab = "fused", .precision = "bf16"}, 1).logits);
}

static void every_level(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  static const char *const isa[] = {"baseline", "avx2", "avx512"};
  for (int i = 0; i < 3; i++) assert_false(check(plain, (sn_compile_opt){.vocab = "fused", .isa = isa[i]}, 1).logits);
}

static void on_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  assert_false(check(plain, (sn_compile_opt){.target = "vulkan", .vocab = "fused"}, 1).logits);
}

static void what_cannot_be_fused_says_why(void **state) {
  (void)state;
  outcome o = check(capped, (sn_compile_opt){.vocab = "fused"}, 1);
  assert_true(o.refused && o.logits);
  o = check(plain, (sn_compile_opt){.vocab = "fused", .fuse = "map,rows,contract,index"}, 1);
  assert_true(o.refused && !o.attentions);
}

static void another_name_is_refused(void **state) {
  (void)state;
  sn_diags *diags = sn_diags_create();
  sn_vocab v;
  assert_int_equal(sn_compile_vocab("half", diags, &v), SN_ERR_USAGE);
  assert_non_null(strstr(diags->at[0].message, "parts or fused"));
  assert_int_equal(sn_compile_vocab(NULL, diags, &v), SN_OK);
  assert_int_equal(v, SN_VOCAB_AUTO);
  sn_diags_destroy(diags);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_fused_form_has_no_logits),
                                     cmocka_unit_test(either_operand_may_be_the_matrix),
                                     cmocka_unit_test(narrow_operands),
                                     cmocka_unit_test(every_level),
                                     cmocka_unit_test(on_vulkan),
                                     cmocka_unit_test(what_cannot_be_fused_says_why),
                                     cmocka_unit_test(the_target_alone_is_read),
                                     cmocka_unit_test(another_name_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
