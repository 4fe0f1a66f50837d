/* Results larger than caches are stored around them: the same bits as ordinary stores, on every level, whether or not
 * the result begins at a line; small results and those that a kernel reads again are never stored so. And what comes
 * next is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/llvm/kernel.h"
#include "tests/llvm/harness.h"
#include "tests/llvm/harness_programs.h"

static const sn_isa levels[] = {SN_ISA_BASELINE, SN_ISA_AVX2, SN_ISA_AVX512, SN_ISA_AMX};
enum { LEVELS = sizeof levels / sizeof *levels, COLUMNS = 96, MANY = 5800, FEW = 70 }; /* MANY * COLUMNS * 4 > 2 MB */

static sn_kernel *product(sn_arena *arena) {
  px_contract o = {.m = MANY, .n = COLUMNS, .k = 8, .bm = 32, .bn = 48, .bk = 8, .mc = 64, .packed_b = true};
  o.symbolic = o.gelu = true, o.elem = SN_ELEM_F32;
  return px_contract_kernel(arena, &o);
}

static sn_kernel *norm(sn_arena *arena) { return px_layernorm(arena, MANY, COLUMNS, 4, 1e-5, true); }
static sn_kernel *long_rows(sn_arena *arena) { return px_softmax(arena, FEW * 8, 1024, 8, true); }

/* reads what it has just stored */
static sn_kernel *updates(sn_arena *arena) {
  sn_kernel *k = sn_kernel_create(arena, "updates");
  sn_kv y = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT), m = sn_kernel_size(k, "R", 1, 1 << 20, 1);
  sn_kernel_grid(k, 1, m, 0, 0);
  sn_kwin w = {.buf = y, .off = sn_k_imulc(k, sn_k_gid(k, 0), COLUMNS), .rs = sn_k_i(k, COLUMNS)};
  sn_k_store(k, w, sn_k_const(k, SN_ELEM_F32, 1, COLUMNS, 2));
  sn_k_store(k, w, sn_k_bin(k, SN_K_ADD, sn_k_load(k, 1, COLUMNS, w, 0), sn_k_const(k, SN_ELEM_F32, 1, COLUMNS, 1)));
  return k;
}

/* a tile of one line in each of many rows */
static sn_kernel *lines(sn_arena *arena, int apart) {
  sn_kernel *k = sn_kernel_create(arena, "lines");
  sn_kv y = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT), m = sn_kernel_size(k, "R", 1, 1 << 20, 1);
  sn_kernel_grid(k, 1, m, 0, 0);
  sn_kwin w = {.buf = y, .off = sn_k_imulc(k, sn_k_gid(k, 0), 32 * (int64_t)apart), .rs = sn_k_i(k, apart)};
  sn_k_store(k, w, sn_k_const(k, SN_ELEM_F32, 32, 16, 2));
  return k;
}

typedef struct arguments {
  sn_karg args[SN_K_PARAMS];
  hx_buffer buffer[SN_K_PARAMS];
} arguments;

static arguments make(const sn_kernel *k, int rows) {
  arguments a = {0};
  for (int j = 0; j < k->param_count; j++) {
    a.args[j].i = rows;
    if (k->param[j].role == SN_K_SIZE) continue;
    a.buffer[j] = hx_buffer_create(k->param[j].elem, (int64_t)MANY * 1024 / 8 + 64);
    if (k->param[j].role != SN_K_OUT) hx_fill(&a.buffer[j], (uint64_t)j + 3, 1);
    a.args[j].p = a.buffer[j].data;
  }
  return a;
}

static void drop(const sn_kernel *k, arguments *a) {
  for (int j = 0; j < k->param_count; j++)
    if (k->param[j].role != SN_K_SIZE) hx_buffer_free(&a->buffer[j]);
}

static int result_of(const sn_kernel *k) {
  int j = 0;
  while (k->param[j].role != SN_K_OUT) j++;
  return j;
}

/* with the result at a line and four elements behind one */
static void same_bits(sn_isa level, const sn_kernel *k, int rows) {
  sn_target t = hx_target(level, true);
  arguments a = make(k, rows), b = make(k, rows);
  int out = result_of(k);
  hx_code c = hx_build(&t, k);
  b.args[out].p = (float *)b.args[out].p + 4;
  hx_run(&c, k, a.args, false);
  hx_run(&c, k, b.args, false);
  assert_memory_equal(a.args[out].p, b.args[out].p, a.buffer[out].elements * 4 - 16);
  assert_true(hx_buffer_intact(&a.buffer[out]) && hx_buffer_intact(&b.buffer[out]));
  hx_free(&c);
  drop(k, &a), drop(k, &b);
}

static void check(sn_kernel *(*make_kernel)(sn_arena *), int many) {
  sn_arena *arena = sn_arena_create();
  sn_kernel *k = make_kernel(arena);
  for (int l = 0; l < LEVELS; l++) {
    if (!hx_can_run(levels[l])) continue;
    sn_target t = hx_target(levels[l], true);
    arguments a = make(k, many);
    hx_check(&t, k, a.args, a.buffer, 1e-5);
    drop(k, &a);
    same_bits(levels[l], k, many);
    same_bits(levels[l], k, FEW);
  }
  sn_arena_destroy(arena);
}

static void products(void **state) {
  (void)state;
  check(product, MANY);
}

static void rows(void **state) {
  (void)state;
  check(norm, MANY);
  check(long_rows, FEW * 8);
}

static const char *assembly(sn_isa level, const sn_kernel *k, sn_arena *arena) {
  sn_target t = hx_target(level, false);
  cg_isa isa = cg_isa_of(&t);
  sn_diags *d = sn_diags_create();
  cg_output out = {0};
  assert_int_equal(cg_compile(k, &isa, CG_ASM, arena, d, &out), SN_OK);
  sn_diags_destroy(d);
  return sn_arena_strdup(arena, out.bytes);
}

static bool streams(sn_isa level, const sn_kernel *k, sn_arena *arena) {
  const char *text = assembly(level, k, arena);
  assert_int_equal(strstr(text, "movntps") != NULL, strstr(text, "sfence") != NULL);
  return strstr(text, "movntps") != NULL;
}

/* needs no processor of the level */
static void only_where_it_may(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int l = 0; l < LEVELS; l++) {
    bool may = levels[l] >= SN_ISA_AVX2;
    assert_int_equal(streams(levels[l], product(arena), arena), may);
    assert_int_equal(streams(levels[l], norm(arena), arena), may);
    assert_int_equal(streams(levels[l], long_rows(arena), arena), may);
    assert_false(streams(levels[l], updates(arena), arena));
    assert_int_equal(streams(levels[l], lines(arena, 16), arena), may);
    assert_false(streams(levels[l], lines(arena, 96), arena));
  }
  sn_arena_destroy(arena);
}

/* Long rows ask for those that come next, short ones do not; needs no processor of the level. */
static void next_rows_are_asked_for(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int l = 0; l < LEVELS; l++) {
    assert_non_null(strstr(assembly(levels[l], long_rows(arena), arena), "prefetcht1"));
    if (levels[l] >= SN_ISA_AVX2) assert_null(strstr(assembly(levels[l], norm(arena), arena), "prefetch"));
  }
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products),
      cmocka_unit_test(rows),
      cmocka_unit_test(only_where_it_may),
      cmocka_unit_test(next_rows_are_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
