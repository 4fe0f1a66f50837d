/* Random tile programs: generated code of every level this machine runs against the interpreter; guard words around
 * every buffer; any order of instances gives equal bits. Environment: SN_RANDOM_COUNT programs per level,
 * SN_RANDOM_FIRST seed, SN_RANDOM_LEVEL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/ref/krandom.h"
#include "passes/kernel/kernel_passes.h"
#include "tests/llvm/harness.h"

enum { DEFAULT_COUNT = 60 };

static long setting(const char *name, long fallback) {
  const char *s = getenv(name);
  return s && *s ? strtol(s, NULL, 10) : fallback;
}

/* Arguments in buffers between guard words. */
static void guarded(const sn_kernel *k, const sn_krandom_case *c, sn_karg *args, hx_buffer *b) {
  for (int j = 0; j < k->param_count; j++) {
    args[j] = c->args[j];
    if (k->param[j].role == SN_K_SIZE) continue;
    b[j] = hx_buffer_create(k->param[j].elem, c->elements[j]);
    memcpy(b[j].data, c->args[j].p, b[j].bytes);
    args[j].p = b[j].data;
  }
}

static void check_guards(const sn_kernel *k, uint64_t seed, const sn_krandom_case *c, hx_buffer *b) {
  for (int j = 0; j < k->param_count; j++) {
    if (k->param[j].role == SN_K_SIZE) continue;
    if (!hx_buffer_intact(&b[j]))
      fail_msg("seed %llu: %s: guard words were written", (unsigned long long)seed, k->param[j].name);
    bool in = k->param[j].role == SN_K_IN;
    if (in && memcmp(b[j].data, c->args[j].p, b[j].bytes))
      fail_msg("seed %llu: an input was written", (unsigned long long)seed);
  }
}

static void print_kernel(sn_arena *a, const sn_kernel *k) {
  sn_text t = sn_text_begin(a);
  sn_kernel_print(&t, k);
  printf("%s\n", t.at);
}

/* Programs of odd seeds have elementary functions and go through the passes that the compiler runs before a backend. */
static sn_kernel *program(sn_arena *a, const sn_target *t, uint64_t seed, sn_krandom_case *c) {
  c->avoid = (strstr(t->features, "avx512bf16") ? 0 : SN_KRANDOM_NO_VNNI) | (seed % 2 ? 0 : SN_KRANDOM_NO_MATH);
  sn_kernel *k = sn_krandom(a, seed, c);
  if (seed % 2 == 0) return k;
  return sn_kernel_finish(a, sn_kernel_simplify(a, sn_kernel_expand_math(a, sn_kernel_simplify(a, k))));
}

static void one_program(const sn_target *t, uint64_t seed) {
  sn_arena *a = sn_arena_create();
  sn_krandom_case c = {0};
  sn_kernel *k = program(a, t, seed, &c);
  const char *why = NULL;
  if (c.error) fail_msg("seed %llu: %s", (unsigned long long)seed, c.error);
  if (!sn_backend_llvm()->supports(t, k, a, &why)) { /* f64 keeps its elementary functions; odd windows of pairs */
    assert_true(strstr(why, "elementary") || strstr(why, "packed"));
    sn_arena_destroy(a);
    return;
  }
  sn_karg args[2][SN_K_PARAMS];
  hx_buffer b[2][SN_K_PARAMS];
  hx_code code = hx_build(t, k);
  for (int way = 0; way < 2; way++) {
    guarded(k, &c, args[way], b[way]);
    hx_run(&code, k, args[way], way == 1);
    check_guards(k, seed, &c, b[way]);
    if (!sn_krandom_check(a, k, &c, args[way], &why)) {
      print_kernel(a, k);
      fail_msg("seed %llu on %s: %s", (unsigned long long)seed, sn_isa_name(t->isa), why);
    }
  }
  for (int j = 0; j < k->param_count; j++) {
    if (k->param[j].role == SN_K_SIZE) continue;
    if (memcmp(b[0][j].data, b[1][j].data, b[0][j].bytes))
      fail_msg("seed %llu: bits depend on the split", (unsigned long long)seed);
    hx_buffer_free(&b[0][j]), hx_buffer_free(&b[1][j]);
  }
  hx_free(&code);
  sn_arena_destroy(a);
}

static void on_level(sn_isa isa, bool extras) {
  const char *only = getenv("SN_RANDOM_LEVEL");
  if (!hx_can_run(isa)) printf("skipped: this machine does not run code of level %s\n", sn_isa_name(isa));
  if (!hx_can_run(isa) || (only && *only && strcmp(only, sn_isa_name(isa)))) skip();
  sn_target t = hx_target(isa, extras);
  long count = setting("SN_RANDOM_COUNT", DEFAULT_COUNT), first = setting("SN_RANDOM_FIRST", 1);
  for (long i = 0; i < count; i++) one_program(&t, (uint64_t)(first + i));
  printf("%s: %ld programs\n", t.features, count);
}

static void baseline(void **state) { (void)state, on_level(SN_ISA_BASELINE, false); }
static void avx2(void **state) { (void)state, on_level(SN_ISA_AVX2, false); }
static void avx512(void **state) { (void)state, on_level(SN_ISA_AVX512, false); }
static void avx512_bf16(void **state) { (void)state, on_level(SN_ISA_AVX512, true); }

static void amx(void **state) { (void)state, on_level(SN_ISA_AMX, false); }

/* Code for tiles: generated everywhere, even where it cannot run. */
static void amx_is_generated(void **state) {
  (void)state;
  if (hx_can_run(SN_ISA_AMX)) skip(); /* it was run */
  sn_target t = sn_target_cpu(SN_ISA_AMX);
  long count = setting("SN_RANDOM_COUNT", DEFAULT_COUNT), first = setting("SN_RANDOM_FIRST", 1);
  for (long i = 0; i < count; i += 4) {
    sn_arena *a = sn_arena_create();
    sn_diags *d = sn_diags_create();
    sn_krandom_case c = {0};
    sn_code_blob b = {0};
    const char *why;
    sn_kernel *k = program(a, &t, (uint64_t)(first + i), &c);
    if (sn_backend_llvm()->supports(&t, k, a, &why) && sn_backend_llvm()->emit(&t, k, a, d, &b))
      fail_msg("seed %ld: %s", first + i, sn_diags_print(d, a));
    sn_diags_destroy(d);
    sn_arena_destroy(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(avx512), cmocka_unit_test(avx512_bf16),      cmocka_unit_test(amx),
      cmocka_unit_test(avx2),   cmocka_unit_test(amx_is_generated), cmocka_unit_test(baseline)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
