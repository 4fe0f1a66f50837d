/* The programs of real layers on every level this machine runs, at sizes that leave edges everywhere: contract with
 * constant and symbolic sizes, packed and row-major, softmax, layernorm, attention forward and backward; against the
 * interpreter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/llvm/harness.h"
#include "tests/llvm/harness_programs.h"

static const sn_isa levels[] = {SN_ISA_BASELINE, SN_ISA_AVX2, SN_ISA_AVX512, SN_ISA_AMX};

/* Buffers in the order of parameters; -1 elements: a size parameter of that value. */
typedef struct arguments {
  sn_karg args[SN_K_PARAMS];
  hx_buffer buffer[SN_K_PARAMS];
} arguments;

static void make_buffer(arguments *a, const sn_kernel *k, int j, int64_t elements, double scale) {
  a->buffer[j] = hx_buffer_create(k->param[j].elem, elements);
  if (k->param[j].role != SN_K_OUT) hx_fill(&a->buffer[j], (uint64_t)j + 7, scale);
  a->args[j].p = a->buffer[j].data;
}

static void free_buffers(arguments *a, const sn_kernel *k) {
  for (int j = 0; j < k->param_count; j++)
    if (k->param[j].role != SN_K_SIZE) hx_buffer_free(&a->buffer[j]);
}

static void check_on_levels(const sn_kernel *k, arguments *a, double tolerance) {
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    if (!hx_can_run(levels[i])) continue;
    sn_target t = hx_target(levels[i], true);
    hx_check(&t, k, a->args, a->buffer, tolerance);
  }
  free_buffers(a, k);
}

/* ---- contract ---------------------------------------------------------------------------------------------- */

static void contract_arguments(arguments *a, const sn_kernel *k, const px_contract *o) {
  int64_t panels = (o->n + o->bn - 1) / o->bn;
  for (int j = 0; j < k->param_count; j++) {
    const char *name = k->param[j].name;
    if (!strcmp(name, "M"))
      a->args[j].i = o->m;
    else if (!strcmp(name, "N"))
      a->args[j].i = o->n;
    else if (!strcmp(name, "K"))
      a->args[j].i = o->k;
    else if (!strcmp(name, "a"))
      make_buffer(a, k, j, (int64_t)o->m * o->k, 1);
    else if (!strcmp(name, "b"))
      make_buffer(a, k, j, o->packed_b ? panels * o->bn * o->k : (int64_t)o->n * o->k, 1);
    else if (!strcmp(name, "bias"))
      make_buffer(a, k, j, o->n, 1);
    else
      make_buffer(a, k, j, (int64_t)o->m * o->n, 1);
  }
}

static void contract(px_contract o) {
  sn_arena *arena = sn_arena_create();
  sn_kernel *k = px_contract_kernel(arena, &o);
  arguments a = {0};
  contract_arguments(&a, k, &o);
  check_on_levels(k, &a, 2e-6 * (1 + 0.1 * o.k));
  sn_arena_destroy(arena);
}

static void contract_f32(void **state) {
  (void)state;
  contract((px_contract){64, 96, 32, 32, 48, 32, 32, .packed_b = true, .elem = SN_ELEM_F32});
  contract(
      (px_contract){64, 96, 64, 32, 48, 16, 32, .packed_b = true, .elem = SN_ELEM_F32, .bias = true, .gelu = true});
  contract(
      (px_contract){100, 144, 100, 32, 48, 16, 64, .packed_b = true, .elem = SN_ELEM_F32, .bias = true, .gelu = true});
  contract((px_contract){101, 130, 67, 32, 64, 16, 64, .elem = SN_ELEM_F32, .bias = true, .gelu = true});
  contract((px_contract){33, 31, 29, 16, 32, 29, 32, .elem = SN_ELEM_F32});
  contract((px_contract){1, 48, 300, 8, 48, 300, 8, .packed_b = true, .elem = SN_ELEM_F32});
  contract((px_contract){5, 7, 3, 8, 5, 2, 8, .elem = SN_ELEM_F32});
  contract((px_contract){64, 1024, 24, 64, 32, 24, 64, .elem = SN_ELEM_F32}); /* rows of b meet in one cache set */
}

static void contract_symbolic(void **state) {
  (void)state;
  contract((px_contract){101, 130, 67, 32, 64, 16, 64, .symbolic = true, .elem = SN_ELEM_F32, .bias = true});
  contract((px_contract){101, 130, 67, 32, 64, 16, 64, .symbolic = true, .elem = SN_ELEM_F32});
  contract((px_contract){64, 64, 600, 64, 64, 64, 64, .symbolic = true, .elem = SN_ELEM_F32});
  contract((px_contract){49, 40, 300, 64, 48, 64, 64, .symbolic = true, .elem = SN_ELEM_F32});
  contract((px_contract){97, 144, 40, 64, 48, 40, 64, .symbolic = true, .packed_b = true, .elem = SN_ELEM_F32});
}

static void contract_transposed(void **state) {
  (void)state;
  for (int way = 1; way < 4; way++) {
    bool ta = way & 1, tb = way & 2;
    contract((px_contract){101, 130, 67, 32, 64, 16, 64, .elem = SN_ELEM_F32, .ta = ta, .tb = tb});
    contract((px_contract){64, 128, 96, 64, 64, 96, 64, .elem = SN_ELEM_F32, .ta = ta, .tb = tb, .bias = true});
    contract((px_contract){101, 130, 67, 32, 64, 16, 64, .symbolic = true, .elem = SN_ELEM_F32, .ta = ta, .tb = tb});
    contract((px_contract){130, 70, 601, 64, 64, 64, 128, .symbolic = true, .elem = SN_ELEM_F32, .ta = ta, .tb = tb});
    contract((px_contract){256, 64, 40, 64, 64, 40, 256, .elem = SN_ELEM_BF16, .ta = ta, .tb = tb});
    /* several blocks of k, both operands in panels; the last tile lacks rows and columns */
    contract((px_contract){144, 150, 520, 96, 144, 64, 96, .symbolic = true, .elem = SN_ELEM_F32, .ta = ta, .tb = tb});
    contract((px_contract){101, 128, 300, 96, 128, 32, 96, .symbolic = true, .elem = SN_ELEM_F32, .ta = ta, .tb = tb});
    contract((px_contract){512, 64, 600, 64, 32, 600, 128, .elem = SN_ELEM_F32, .ta = ta, .tb = tb});
    /* panels that serve all rows; the last tile lacks a panel and a part of one */
    contract((px_contract){130, 470, 300, 32, 192, 300, 160, .elem = SN_ELEM_F32, .ta = ta, .tb = tb, .bias = true});
  }
}

static void contract_narrow(void **state) {
  (void)state;
  contract((px_contract){37, 50, 70, 32, 48, 32, 32, .elem = SN_ELEM_BF16, .bias = true});
  contract((px_contract){37, 96, 70, 32, 48, 70, 32, .packed_b = true, .elem = SN_ELEM_BF16});
  contract((px_contract){20, 40, 33, 16, 32, 33, 16, .elem = SN_ELEM_F16});
  contract((px_contract){37, 50, 70, 32, 48, 32, 32, .symbolic = true, .elem = SN_ELEM_BF16});
}

/* b in pairs of rows, as weights are packed for bf16 products, or brought into them */
static void contract_pairs(void **state) {
  (void)state;
  sn_target t = hx_target(SN_ISA_AVX512, true);
  if (!hx_can_run(SN_ISA_AVX512) || !strstr(t.features, "avx512bf16")) skip();
  static const px_contract o[] = {
      {64, 96, 64, 64, 48, 64, 64, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true},
      {101, 80, 96, 32, 48, 96, 64, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true, .bias = true},
      {37, 50, 600, 32, 40, 64, 32, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true},
      {1, 64, 70, 1, 64, 70, 1, .packed_b = true, .elem = SN_ELEM_BF16, .vnni = true},
      {70, 64, 64, 64, 64, 64, 64, .packed_b = true, .symbolic = true, .elem = SN_ELEM_BF16, .vnni = true},
      {70, 96, 96, 32, 96, 96, 64, .elem = SN_ELEM_BF16}, /* brought into pairs */
      {101, 80, 67, 32, 80, 67, 64, .elem = SN_ELEM_BF16, .tb = true},
      {64, 130, 700, 64, 96, 64, 64, .symbolic = true, .elem = SN_ELEM_BF16, .ta = true},
      {40, 100, 1100, 40, 100, 1100, 40, .elem = SN_ELEM_BF16, .ta = true, .tb = true},
  };
  for (size_t i = 0; i < sizeof o / sizeof *o; i++) {
    sn_arena *arena = sn_arena_create();
    sn_kernel *k = px_contract_kernel(arena, &o[i]);
    arguments a = {0};
    contract_arguments(&a, k, &o[i]);
    hx_check(&t, k, a.args, a.buffer, 2e-6 * (1 + 0.1 * o[i].k));
    free_buffers(&a, k);
    sn_arena_destroy(arena);
  }
}

/* rows of c depend on neither the number of rows nor the step along k: equal bits */
static void rows_do_not_depend_on_m(void **state) {
  (void)state;
  enum { N = 130, K = 67, ROWS = 33 };
  static const int ms[] = {101, 64, 33}, steps[] = {16, 67, 16};
  for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
    if (!hx_can_run(levels[l])) continue;
    hx_buffer a = hx_buffer_create(SN_ELEM_F32, 101 * K), b = hx_buffer_create(SN_ELEM_F32, N * K), c[3];
    hx_fill(&a, 1, 1), hx_fill(&b, 2, 1);
    for (int i = 0; i < 6; i++) {
      sn_arena *arena = sn_arena_create();
      px_contract o = {ms[i % 3], N, K, 32, 64, steps[i % 3], 64, .symbolic = i >= 3, .elem = SN_ELEM_F32};
      sn_kernel *k = px_contract_kernel(arena, &o);
      sn_target t = hx_target(levels[l], true);
      hx_code code = hx_build(&t, k);
      hx_buffer out = hx_buffer_create(SN_ELEM_F32, (int64_t)ms[i % 3] * N);
      sn_karg args[6] = {{.p = a.data}, {.p = b.data}, {.p = out.data}, {.i = ms[i % 3]}, {.i = N}, {.i = K}};
      hx_run(&code, k, args, false);
      if (i) assert_memory_equal(out.data, c[0].data, ROWS * N * sizeof(float));
      if (i)
        hx_buffer_free(&out);
      else
        c[0] = out;
      hx_free(&code);
      sn_arena_destroy(arena);
    }
    hx_buffer_free(&a), hx_buffer_free(&b), hx_buffer_free(&c[0]);
  }
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

static void rows(int n, int cols, int br, bool symbolic) {
  sn_arena *arena = sn_arena_create();
  sn_kernel *k[2] = {px_softmax(arena, n, cols, br, symbolic), px_layernorm(arena, n, cols, br, 1e-5, symbolic)};
  for (int q = 0; q < 2; q++) {
    arguments a = {0};
    for (int j = 0; j < k[q]->param_count; j++) {
      bool vector = !strcmp(k[q]->param[j].name, "g") || !strcmp(k[q]->param[j].name, "b");
      if (k[q]->param[j].role == SN_K_SIZE)
        a.args[j].i = n;
      else
        make_buffer(&a, k[q], j, vector ? cols : (int64_t)n * cols, 8);
    }
    check_on_levels(k[q], &a, 5e-6);
  }
  sn_arena_destroy(arena);
}

static void softmax_and_layernorm(void **state) {
  (void)state;
  rows(10, 96, 4, false);
  rows(7, 100, 2, false);
  rows(9, 1000, 4, false);
  rows(8, 768, 4, false);
  rows(7, 768, 4, true);
  rows(13, 333, 8, true);
  rows(3, 1, 4, true);
}

/* ---- attention ------------------------------------------------------------------------------------------------ */

static void attention_arguments(arguments *a, const sn_kernel *k, const px_attention *o) {
  for (int j = 0; j < k->param_count; j++) {
    const char *name = k->param[j].name;
    make_buffer(a, k, j, px_attention_elements(o, name), strcmp(name, "slope") ? 2 : 0.02);
  }
}

static void attention(int heads, int t, int d, int bq, int bk, bool model) {
  for (int way = 0; way < 4; way++) {
    sn_arena *arena = sn_arena_create();
    px_attention o = {heads,
                      t,
                      d,
                      bq,
                      bk,
                      .keys_major = way & 1,
                      .causal = true,
                      .alibi = way & 2,
                      .model = model,
                      .scale = 1 / sqrt(d)};
    sn_kernel *k = px_attention_forward(arena, &o);
    arguments a = {0};
    attention_arguments(&a, k, &o);
    check_on_levels(k, &a, 2e-5);
    sn_arena_destroy(arena);
  }
}

static void attention_forward(void **state) {
  (void)state;
  attention(2, 64, 32, 32, 32, false);
  attention(1, 100, 64, 64, 64, false);
  attention(1, 77, 24, 32, 16, false);
  attention(6, 74, 16, 8, 8, true); /* rows far apart, many blocks: copied once per head */
}

static void backward(int heads, int t, int d, int bq, int bk, bool model) {
  for (int way = 0; way < 2; way++) {
    sn_arena *arena = sn_arena_create();
    px_attention o = {heads, t, d, bq, bk, .causal = true, .alibi = true, .model = model, .scale = 1 / sqrt(d)};
    sn_kernel *k = way ? px_attention_dq(arena, &o) : px_attention_dkv(arena, &o);
    arguments a = {0};
    attention_arguments(&a, k, &o);
    check_on_levels(k, &a, 2e-5);
    sn_arena_destroy(arena);
  }
}

static void attention_backward(void **state) {
  (void)state;
  backward(2, 64, 32, 32, 32, false);
  backward(1, 100, 64, 64, 64, false);
  backward(1, 77, 32, 32, 64, false);
  backward(6, 74, 16, 8, 8, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contract_f32),          cmocka_unit_test(contract_symbolic),
      cmocka_unit_test(contract_transposed),   cmocka_unit_test(contract_narrow),
      cmocka_unit_test(contract_pairs),        cmocka_unit_test(rows_do_not_depend_on_m),
      cmocka_unit_test(softmax_and_layernorm), cmocka_unit_test(attention_forward),
      cmocka_unit_test(attention_backward),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
