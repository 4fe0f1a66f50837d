/* The generated code itself: no spills in microkernels, tiles where they belong, refusals, isolation, human-readable
 * forms. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/llvm/harness.h"
#include "tests/llvm/harness_programs.h"
#include "tests/llvm/harness_spills.h"

typedef struct world {
  sn_arena *arena;
  sn_diags *diags;
} world;

static int setup(void **state) {
  world *w = malloc(sizeof *w);
  *w = (world){sn_arena_create(), sn_diags_create()};
  *state = w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  sn_diags_destroy(w->diags);
  sn_arena_destroy(w->arena);
  free(w);
  return 0;
}

static const char *shown(world *w, const sn_target *t, const sn_kernel *k, const char *what) {
  sn_text text = sn_text_begin(w->arena);
  if (sn_backend_llvm()->show(t, k, what, &text, w->diags)) fail_msg("%s", sn_diags_print(w->diags, w->arena));
  return text.at;
}

/* ---- spills -------------------------------------------------------------------------------------------------- */

static void no_spills(world *w, sn_isa from, const sn_kernel *k) {
  for (int isa = from; isa <= SN_ISA_AMX; isa++) {
    sn_target t = sn_target_cpu((sn_isa)isa);
    int functions = 0, spills = hx_microkernel_spills(shown(w, &t, k, "asm"), &functions);
    assert_true(functions > 0);
    if (spills) fail_msg("%s on %s: %d accesses of the stack in microkernels", k->name, t.features, spills);
  }
}

static void microkernels_do_not_spill(void **state) {
  world *w = *state;
  px_contract o[] = {
      {1024, 1024, 1024, 64, 64, 1024, 256, .packed_b = true, .elem = SN_ELEM_F32},
      {256, 3072, 768, 64, 48, 768, 256, .packed_b = true, .elem = SN_ELEM_F32},
      {101, 130, 67, 64, 64, 67, 64, .elem = SN_ELEM_F32},
      {101, 130, 67, 64, 64, 64, 64, .symbolic = true, .elem = SN_ELEM_F32},
      {64, 96, 64, 64, 48, 64, 64, .packed_b = true, .elem = SN_ELEM_BF16},
  };
  px_attention a = {12, 1024, 64, 64, 64, .keys_major = true, .causal = true, .scale = 0.125};
  for (size_t i = 0; i < sizeof o / sizeof *o; i++) no_spills(w, SN_ISA_BASELINE, px_contract_kernel(w->arena, &o[i]));
  no_spills(w, SN_ISA_BASELINE, px_attention_forward(w->arena, &a));
  no_spills(w, SN_ISA_BASELINE, px_attention_dkv(w->arena, &a));
  no_spills(w, SN_ISA_BASELINE, px_attention_dq(w->arena, &a));
  a.model = true;
  no_spills(w, SN_ISA_BASELINE, px_attention_forward(w->arena, &a));
  no_spills(w, SN_ISA_BASELINE, px_attention_dkv(w->arena, &a));
  no_spills(w, SN_ISA_BASELINE, px_attention_dq(w->arena, &a));
}

static void microkernels_of_tiles_do_not_spill(void **state) {
  world *w = *state;
  px_contract o[] = {
      {1024, 1024, 1024, 64, 64, 1024, 256, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true},
      {101, 130, 67, 64, 64, 67, 64, .elem = SN_ELEM_BF16},
      {101, 130, 67, 64, 64, 64, 64, .symbolic = true, .elem = SN_ELEM_BF16, .ta = true},
      {101, 130, 67, 64, 64, 64, 64, .symbolic = true, .elem = SN_ELEM_BF16, .tb = true},
  };
  for (size_t i = 0; i < sizeof o / sizeof *o; i++) no_spills(w, SN_ISA_AMX, px_contract_kernel(w->arena, &o[i]));
}

/* Where there are products of pairs and no tiles. */
static void microkernels_of_pairs_do_not_spill(void **state) {
  world *w = *state;
  px_contract o = {1024, 1024, 1024, 64, 64, 1024, 256, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true};
  sn_target t;
  assert_true(sn_target_find_level("avx512bf16", &t) > 0);
  int functions = 0;
  assert_int_equal(hx_microkernel_spills(shown(w, &t, px_contract_kernel(w->arena, &o), "asm"), &functions), 0);
  assert_true(functions > 0);
}

/* Operands that are not packed are brought into pairs, however they lie; nothing is widened. */
static void unpacked_products_use_pairs(void **state) {
  world *w = *state;
  sn_target t;
  assert_true(sn_target_find_level("avx512bf16", &t) > 0);
  for (int form = 0; form < 4; form++) {
    px_contract o = {640, 640, 640, 64, 192, form < 2 ? 640 : 256, 64, .elem = SN_ELEM_BF16};
    o.ta = form & 1, o.tb = form & 2;
    const char *text = shown(w, &t, px_contract_kernel(w->arena, &o), "asm");
    int functions = 0;
    assert_int_equal(hx_microkernel_spills(text, &functions), 0);
    assert_true(functions > 0);
    assert_non_null(strstr(text, "vdpbf16ps"));
    assert_null(strstr(text, "vfmadd"));
  }
}

/* Between stretches of k: the first one does not touch what the result held, not even through a mask. */
static void first_stretches_do_not_read_the_result(void **state) {
  world *w = *state;
  px_contract o = {640, 640, 640, 64, 192, 64, 64, .symbolic = true, .elem = SN_ELEM_F32, .ta = true};
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  const char *text = strstr(shown(w, &t, px_contract_kernel(w->arena, &o), "asm"), "\nmicro0_");
  assert_non_null(text);
  const char *end = strstr(text, "\tretq"), *masked = strstr(text, "{%k");
  assert_non_null(end);
  assert_true(!masked || masked > end);
}

/* ---- tiles ---------------------------------------------------------------------------------------------------- */

static sn_kernel *packed_bf16(world *w, int m, int k) {
  px_contract o = {m, 80, k, 64, 32, k, 64, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true, .bias = true};
  return px_contract_kernel(w->arena, &o);
}

static void packed_products_use_tiles(void **state) {
  world *w = *state;
  sn_target t = sn_target_cpu(SN_ISA_AMX);
  const char *why = NULL;
  const sn_kernel *k = packed_bf16(w, 100, 96);
  assert_true(sn_backend_llvm()->supports(&t, k, w->arena, &why));
  const char *text = shown(w, &t, k, "asm");
  assert_non_null(strstr(text, "tdpbf16ps"));
  assert_non_null(strstr(text, "ldtilecfg"));
  assert_non_null(strstr(text, "tilerelease"));
}

/* Between the first tile that is loaded and the first that is stored: work for the unit that storing needs, rows of
 * the result, and the first product before the last load. */
static void steps_of_tiles_do_more_than_multiply(void **state) {
  world *w = *state;
  sn_target t = sn_target_cpu(SN_ISA_AMX);
  const char *text = strstr(shown(w, &t, packed_bf16(w, 100, 96), "asm"), "_2x32:\n");
  assert_non_null(text);
  const char *end = strstr(text, "tilestored"), *product = strstr(text, "tdpbf16ps"), *awake = strstr(text, "vfmadd");
  assert_non_null(end);
  assert_true(awake && awake < end);
  assert_true(product && strstr(product, "tileloadd") < end);
  const char *result = strstr(text, "prefetchw");
  assert_true(result && result < end);
}

/* Panels that lie side by side: the first rows ask for their own panel, the others for the next one, if there is one.
 */
static void panels_are_asked_for_ahead(void **state) {
  world *w = *state;
  sn_target t = sn_target_cpu(SN_ISA_AMX);
  const char *text = shown(w, &t, packed_bf16(w, 128, 96), "asm"), *first = strstr(text, "\nmicro0_2x32:");
  const char *others = strstr(text, "\nmicro1_2x32:"), *near = strstr(text, "prefetcht0");
  assert_true(first && others && first < others);
  assert_true(near && first < near && near < others);
  assert_true(strstr(text, "prefetcht1") > others);
  px_contract whole = {128, 32, 96, 64, 32, 96, 64, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true};
  text = shown(w, &t, px_contract_kernel(w->arena, &whole), "asm");
  assert_non_null(strstr(text, "prefetcht0"));
  assert_null(strstr(text, "prefetcht1"));
}

/* Few rows that walk along keys and values: what the next round reads is asked for in the second cache, the rows that
 * follow in the first one. */
static void next_keys_are_asked_for_in_l2(void **state) {
  static const char one[] =
      "kernel one(b0: in f32, b1: in bf16, b2: in bf16, b3: out f32) grid(1) {\n"
      "  %1 = load b0[0 : 128, 1] : f32[4,128]\n  %2 = const 0 : f32[4,128]\n"
      "  %3 = for i1 = 0 to 256 step 64 carry %4 = %2 {\n"
      "    %5 = load b1[i1*1024 : 1024, 1] : bf16[64,128]\n    %6 = cast %5 : f32[64,128]\n"
      "    %7 = mma 0, %1, %6 tb : f32[4,64]\n"
      "    %8 = load b2[i1*1024 : 1024, 1] : bf16[64,128]\n    %9 = cast %8 : f32[64,128]\n"
      "    %10 = mma %4, %7, %9 : f32[4,128]\n    yield %10\n  }\n  store b3[0 : 128, 1], %3\n}\n";
  world *w = *state;
  sn_kernel *k;
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  if (sn_kernel_parse(w->arena, w->diags, "one", one, sizeof one - 1, &k))
    fail_msg("%s", sn_diags_print(w->diags, w->arena));
  const char *text = shown(w, &t, k, "asm");
  const char *keys = strstr(text, "\nmicro0_4x4:"), *values = strstr(text, "\nmicro1_4x64:");
  assert_true(keys && values && keys < values);
  for (int i = 0; i < 2; i++) {
    const char *from = i ? values : keys, *near = strstr(from, "prefetcht0"), *ahead = strstr(from, "prefetcht1");
    assert_true(near && ahead);
    assert_true(i || (near < values && ahead < values));
  }
}

/* Tiles of few rows are configured once where all products have as many. */
static void few_rows_are_configured_once(void **state) {
  world *w = *state;
  sn_target t = sn_target_cpu(SN_ISA_AMX);
  px_contract few = {8, 64, 96, 8, 32, 96, 8, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true};
  const char *text = strstr(shown(w, &t, px_contract_kernel(w->arena, &few), "asm"), "ldtilecfg");
  assert_non_null(text);
  assert_null(strstr(text + 1, "ldtilecfg"));
  few.m = few.bm = few.mc = 24; /* a whole tile and a half */
  text = strstr(shown(w, &t, px_contract_kernel(w->arena, &few), "asm"), "ldtilecfg");
  assert_non_null(strstr(text + 1, "ldtilecfg"));
}

/* Runs where the machine has tiles; c = a b + bias with b in pairs of rows. */
static void packed_products_are_right(void **state) {
  world *w = *state;
  if (!hx_can_run(SN_ISA_AMX)) {
    printf("skipped: this machine has no AMX tiles, or does not permit them\n");
    skip();
  }
  sn_target t = hx_target(SN_ISA_AMX, true);
  const sn_kernel *k = packed_bf16(w, 100, 96);
  hx_buffer b[4] = {hx_buffer_create(SN_ELEM_BF16, 100 * 96), hx_buffer_create(SN_ELEM_BF16, 96 * 96),
                    hx_buffer_create(SN_ELEM_F32, 100 * 80), hx_buffer_create(SN_ELEM_F32, 80)};
  sn_karg args[4];
  for (int i = 0; i < 4; i++) hx_fill(&b[i], (uint64_t)i, 1), args[i].p = b[i].data;
  hx_check(&t, k, args, b, 1e-5);
  for (int i = 0; i < 4; i++) hx_buffer_free(&b[i]);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void refused(world *w, sn_isa isa, const sn_kernel *k, const char *word) {
  sn_target t = sn_target_cpu(isa);
  const char *why = NULL;
  sn_code_blob blob = {0};
  assert_false(sn_backend_llvm()->supports(&t, k, w->arena, &why));
  assert_non_null(strstr(why, word));
  assert_int_equal(sn_backend_llvm()->emit(&t, k, w->arena, w->diags, &blob), SN_ERR_DEVICE);
  assert_non_null(strstr(w->diags->at[w->diags->count - 1].message, word));
  assert_non_null(strstr(w->diags->at[w->diags->count - 1].message, k->name));
}

static void what_is_not_covered_is_refused(void **state) {
  world *w = *state;
  refused(w, SN_ISA_AVX512, packed_bf16(w, 100, 96), "AMX");
  sn_kernel *k = sn_kernel_create(w->arena, "elementary");
  sn_kv x = sn_kernel_buffer(k, "x", SN_ELEM_F32, SN_K_IN), y = sn_kernel_buffer(k, "y", SN_ELEM_F32, SN_K_OUT);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_k_store(k, (sn_kwin){.buf = y}, sn_k_un(k, SN_K_TANH, sn_k_load(k, 1, 16, (sn_kwin){.buf = x}, 0)));
  refused(w, SN_ISA_AVX512, k, "tanh");
}

/* ---- images --------------------------------------------------------------------------------------------------- */

static void images_are_self_contained(void **state) { /* external symbols would have been refused */
  world *w = *state;
  px_contract o = {101, 130, 67, 32, 64, 16, 64, .elem = SN_ELEM_BF16, .bias = true, .gelu = true};
  const sn_kernel *k = px_contract_kernel(w->arena, &o);
  for (int isa = SN_ISA_BASELINE; isa <= SN_ISA_AMX; isa++) {
    sn_target t = sn_target_cpu((sn_isa)isa);
    sn_code_blob b = {0}, c = {0};
    assert_int_equal(sn_backend_llvm()->emit(&t, k, w->arena, w->diags, &b), SN_OK);
    assert_int_equal(b.kind, SN_CODE_CPU);
    assert_string_equal(b.features, t.features);
    assert_true(b.entry >= 0 && b.entry < b.byte_count && b.workspace_bytes > 0);
    assert_int_equal(sn_backend_llvm()->emit(&t, k, w->arena, w->diags, &c), SN_OK); /* same input, same bytes */
    assert_int_equal(b.byte_count, c.byte_count);
    assert_memory_equal(b.bytes, c.bytes, (size_t)b.byte_count);
    const char *text = shown(w, &t, k, "asm");
    assert_null(strstr(text, "@PLT"));
    assert_null(strstr(text, "@GOTPCREL"));
  }
}

static void isolated_code_is_the_same(void **state) {
  world *w = *state;
  sn_kernel *k = px_layernorm(w->arena, 8, 100, 4, 1e-5, false);
  sn_target t = sn_target_cpu(SN_ISA_AVX2);
  sn_code_blob b = {0}, c = {0};
  assert_int_equal(sn_llvm_emit(NULL, &t, k, w->arena, w->diags, &b), SN_OK);
  assert_int_equal(sn_llvm_emit(&(sn_llvm_opt){.isolate = true}, &t, k, w->arena, w->diags, &c), SN_OK);
  assert_int_equal(b.byte_count, c.byte_count);
  assert_memory_equal(b.bytes, c.bytes, (size_t)b.byte_count);
  assert_int_equal(b.workspace_bytes, c.workspace_bytes);
  const sn_kernel *bad = packed_bf16(w, 100, 96);
  assert_int_equal(sn_llvm_emit(&(sn_llvm_opt){.isolate = true}, &t, bad, w->arena, w->diags, &c), SN_ERR_DEVICE);
  assert_non_null(strstr(w->diags->at[w->diags->count - 1].message, "AMX"));
}

typedef struct worker {
  pthread_t thread;
  const sn_kernel *k;
  sn_arena *arena;
  sn_diags *diags;
  sn_code_blob blob;
  sn_code code;
} worker;

static void *work(void *arg) {
  worker *x = arg;
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  x->code = sn_backend_llvm()->emit(&t, x->k, x->arena, x->diags, &x->blob);
  return NULL;
}

static void threads_emit_the_same_code(void **state) {
  world *w = *state;
  worker x[4];
  sn_kernel *k = px_softmax(w->arena, 16, 333, 4, true);
  for (int i = 0; i < 4; i++) {
    x[i] = (worker){.k = k, .arena = sn_arena_create(), .diags = sn_diags_create()};
    assert_int_equal(pthread_create(&x[i].thread, NULL, work, &x[i]), 0);
  }
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(x[i].thread, NULL), 0);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(x[i].code, SN_OK);
    assert_int_equal(x[i].blob.byte_count, x[0].blob.byte_count);
    assert_memory_equal(x[i].blob.bytes, x[0].blob.bytes, (size_t)x[0].blob.byte_count);
  }
  for (int i = 0; i < 4; i++) sn_diags_destroy(x[i].diags), sn_arena_destroy(x[i].arena);
}

static void forms_are_shown(void **state) {
  world *w = *state;
  const sn_kernel *k = px_softmax(w->arena, 8, 100, 4, true);
  sn_target t = sn_target_cpu(SN_ISA_AVX512);
  sn_text text = sn_text_begin(w->arena);
  assert_non_null(strstr(shown(w, &t, k, "llvm"), "define void @sn_kernel"));
  assert_non_null(strstr(shown(w, &t, k, "asm"), "sn_kernel:"));
  assert_int_equal(sn_backend_llvm()->show(&t, k, "hex", &text, w->diags), SN_ERR_USAGE);
}

static void host_facts_are_sensible(void **state) {
  (void)state;
  sn_target t;
  assert_int_equal(sn_llvm_host_target(&t), SN_OK);
  assert_true(t.l1_bytes >= 8 << 10 && t.l2_bytes >= t.l1_bytes && t.l3_bytes > 0 && t.threads > 0 && t.lanes >= 4);
  assert_true(strlen(t.features) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(microkernels_do_not_spill, setup, teardown),
      cmocka_unit_test_setup_teardown(microkernels_of_tiles_do_not_spill, setup, teardown),
      cmocka_unit_test_setup_teardown(microkernels_of_pairs_do_not_spill, setup, teardown),
      cmocka_unit_test_setup_teardown(first_stretches_do_not_read_the_result, setup, teardown),
      cmocka_unit_test_setup_teardown(unpacked_products_use_pairs, setup, teardown),
      cmocka_unit_test_setup_teardown(packed_products_use_tiles, setup, teardown),
      cmocka_unit_test_setup_teardown(few_rows_are_configured_once, setup, teardown),
      cmocka_unit_test_setup_teardown(panels_are_asked_for_ahead, setup, teardown),
      cmocka_unit_test_setup_teardown(next_keys_are_asked_for_in_l2, setup, teardown),
      cmocka_unit_test_setup_teardown(steps_of_tiles_do_more_than_multiply, setup, teardown),
      cmocka_unit_test_setup_teardown(packed_products_are_right, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_not_covered_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(images_are_self_contained, setup, teardown),
      cmocka_unit_test_setup_teardown(isolated_code_is_the_same, setup, teardown),
      cmocka_unit_test_setup_teardown(threads_emit_the_same_code, setup, teardown),
      cmocka_unit_test_setup_teardown(forms_are_shown, setup, teardown),
      cmocka_unit_test(host_facts_are_sensible),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
