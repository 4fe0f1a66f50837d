/* Products of bf16 on tiles, in every form that operands come in: row-major, transposed, packed in pairs, computed;
 * sizes that fill no tile, constant and symbolic, limits that bite on every side. Against the interpreter; instances in
 * any order give equal bits. Environment: SN_TILES_COUNT programs, SN_TILES_FIRST seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "tests/llvm/harness.h"

/* c [+]= a b: which of the axes have limits, how the operands lie */
typedef struct form {
  int m, n, k;    /* extents that exist */
  int bm, bn, bk; /* tiles */
  bool ta, tb, pairs, symbolic, adds, epilogue;
  int a_step; /* element stride of a along its contiguous axis */
  bool computed;
} form;

static uint64_t draw(uint64_t seed, int *at, uint64_t below) {
  return (uint64_t)(sn_uniform(seed, 5, 0, (uint64_t)(*at)++) * (float)below);
}

static int extent(uint64_t seed, int *at) {
  static const int some[] = {16, 17, 31, 32, 33, 47, 48, 64, 67, 100, 128};
  return some[draw(seed, at, sizeof some / sizeof *some)];
}

static form form_of(uint64_t seed) {
  int at = 0;
  form f = {.m = extent(seed, &at), .n = extent(seed, &at), .k = extent(seed, &at) * (draw(seed, &at, 4) ? 1 : 7)};
  static const int rows[] = {4, 16, 32, 48, 64, 80}, columns[] = {16, 32, 48, 64, 72}, depths[] = {16, 32, 48, 64};
  f.bm = rows[draw(seed, &at, 6)], f.bn = columns[draw(seed, &at, 5)];
  f.ta = draw(seed, &at, 2), f.pairs = draw(seed, &at, 3) == 0, f.tb = !f.pairs && draw(seed, &at, 2);
  f.symbolic = draw(seed, &at, 2), f.adds = draw(seed, &at, 3) == 0, f.epilogue = draw(seed, &at, 2);
  f.a_step = draw(seed, &at, 5) ? 1 : 2, f.computed = draw(seed, &at, 4) == 0;
  if (f.pairs) f.k += f.k % 2;
  f.bk = draw(seed, &at, 3) ? depths[draw(seed, &at, 4)] : f.k;
  return f;
}

static sn_kv size_of(sn_kernel *k, const char *name, int n, bool symbolic) {
  return symbolic ? sn_kernel_size(k, name, 1, 1 << 16, 1) : sn_k_i(k, n);
}

static sn_kv left(sn_kernel *k, sn_kv all, int block, sn_kv at) {
  return sn_k_divisor(k, all) % block ? sn_k_isub(k, all, at) : 0;
}

static sn_kv half(sn_kernel *k, sn_kv x) { return sn_k_ibin(k, SN_K_IDIV, x, sn_k_i(k, 2)); }

static sn_kv load_a(sn_kernel *k, const form *f, sn_kv buf, sn_kv i, sn_kv kk, sn_kv m, sn_kv depth) {
  sn_kv nr = left(k, m, f->bm, i), kl = left(k, depth, f->bk, kk), step = sn_k_i(k, f->a_step);
  sn_kv ld = sn_k_imulc(k, f->ta ? m : depth, f->a_step);
  sn_kv off = f->ta ? sn_k_iadd(k, sn_k_imul(k, kk, ld), sn_k_imul(k, i, step))
                    : sn_k_iadd(k, sn_k_imul(k, i, ld), sn_k_imul(k, kk, step));
  sn_kwin w = {buf, off, ld, step, f->ta ? kl : nr, f->ta ? nr : kl};
  sn_kv a = f->ta ? sn_k_load(k, f->bk, f->bm, w, 0) : sn_k_load(k, f->bm, f->bk, w, 0);
  if (!f->computed) return a;
  return sn_k_cast(k, SN_ELEM_BF16, sn_k_binc(k, SN_K_MUL, sn_k_cast(k, SN_ELEM_F32, a), 2));
}

static sn_kv load_b(sn_kernel *k, const form *f, sn_kv buf, sn_kv j, sn_kv kk, sn_kv n, sn_kv depth) {
  sn_kv nc = left(k, n, f->bn, j), kl = left(k, depth, f->bk, kk);
  if (f->pairs) { /* [n / bn][k / 2][bn][2] */
    sn_kv rows = half(k, depth), first = sn_k_imul(k, sn_k_ibin(k, SN_K_IDIV, j, sn_k_i(k, f->bn)), rows);
    sn_kwin w = {.buf = buf, .rs = sn_k_i(k, 2 * f->bn), .nr = kl ? sn_k_isub(k, rows, half(k, kk)) : 0};
    w.off = sn_k_imulc(k, sn_k_iadd(k, first, half(k, kk)), 2 * f->bn);
    return sn_k_load(k, f->bk / 2, 2 * f->bn, w, 0);
  }
  if (f->tb)
    return sn_k_load(k, f->bn, f->bk, (sn_kwin){buf, sn_k_iadd(k, sn_k_imul(k, j, depth), kk), depth, 0, nc, kl}, 0);
  return sn_k_load(k, f->bk, f->bn, (sn_kwin){buf, sn_k_iadd(k, sn_k_imul(k, kk, n), j), n, 0, kl, nc}, 0);
}

static sn_kernel *kernel_of(sn_arena *arena, const form *f) {
  sn_kernel *k = sn_kernel_create(arena, "tiles");
  sn_kv a = sn_kernel_buffer(k, "a", SN_ELEM_BF16, SN_K_IN), b = sn_kernel_buffer(k, "b", SN_ELEM_BF16, SN_K_IN);
  sn_kv start = sn_kernel_buffer(k, "start", SN_ELEM_F32, SN_K_IN), c = sn_kernel_buffer(k, "c", SN_ELEM_F32, SN_K_OUT);
  bool free_k = f->symbolic && !f->pairs;
  sn_kv m = size_of(k, "M", f->m, f->symbolic), n = size_of(k, "N", f->n, f->symbolic),
        depth = size_of(k, "K", f->k, free_k);
  sn_kernel_grid(k, 2, sn_k_iceil(k, n, f->bn), sn_k_iceil(k, m, f->bm), 0);
  sn_kv j = sn_k_imulc(k, sn_k_gid(k, 0), f->bn), i = sn_k_imulc(k, sn_k_gid(k, 1), f->bm);
  sn_kv nr = left(k, m, f->bm, i), nc = left(k, n, f->bn, j);
  sn_kwin whole = {start, sn_k_iadd(k, sn_k_imul(k, i, n), j), n, 0, nr, nc};
  sn_kv acc = f->adds ? sn_k_load(k, f->bm, f->bn, whole, 0) : sn_k_const(k, SN_ELEM_F32, f->bm, f->bn, 0);
  sn_kv kk = sn_k_for(k, sn_k_i(k, 0), depth, f->bk, 1, &acc);
  sn_kv x = load_a(k, f, a, i, kk, m, depth), y = load_b(k, f, b, j, kk, n, depth);
  acc = sn_k_mma(k, acc, x, y, (f->ta ? SN_K_TA : 0) | (f->tb ? SN_K_TB : 0) | (f->pairs ? SN_K_VNNI : 0));
  sn_k_end_for(k, 1, &acc);
  if (f->epilogue) acc = sn_k_bin(k, SN_K_SUB, acc, sn_k_reduce(k, SN_K_RSUM, 1, acc));
  whole.buf = c;
  sn_k_store(k, whole, acc);
  return sn_kernel_finish(arena, k);
}

/* A form with operands. */
typedef struct operands {
  sn_arena *arena;
  sn_target target;
  const sn_kernel *k;
  sn_karg args[SN_K_PARAMS];
  hx_buffer buffer[SN_K_PARAMS];
} operands;

static void prepare(const form *f, uint64_t seed, operands *o) {
  *o = (operands){.arena = sn_arena_create(), .target = hx_target(SN_ISA_AMX, true)};
  o->k = kernel_of(o->arena, f);
  const char *why = NULL;
  if (!sn_backend_llvm()->supports(&o->target, o->k, o->arena, &why))
    fail_msg("seed %llu: %s", (unsigned long long)seed, why);
  for (int j = 0; j < o->k->param_count; j++) {
    const char *name = o->k->param[j].name;
    int64_t columns = (f->n + f->bn - 1) / f->bn * f->bn, elements = (int64_t)f->m * f->n;
    if (o->k->param[j].role == SN_K_SIZE) {
      o->args[j].i = *name == 'M' ? f->m : *name == 'N' ? f->n : f->k;
      continue;
    }
    if (!strcmp(name, "a")) elements = (int64_t)f->m * f->k * f->a_step;
    if (!strcmp(name, "b")) elements = (f->pairs ? columns : f->n) * (int64_t)f->k;
    o->buffer[j] = hx_buffer_create(o->k->param[j].elem, elements);
    if (o->k->param[j].role != SN_K_OUT) hx_fill(&o->buffer[j], seed * 8 + (uint64_t)j, 1);
    o->args[j].p = o->buffer[j].data;
  }
}

static void release(operands *o) {
  for (int j = 0; j < o->k->param_count; j++)
    if (o->k->param[j].role != SN_K_SIZE) hx_buffer_free(&o->buffer[j]);
  sn_arena_destroy(o->arena);
}

static void one_form(uint64_t seed) {
  form f = form_of(seed);
  operands o;
  prepare(&f, seed, &o);
  hx_check(&o.target, o.k, o.args, o.buffer, 1e-6 * (1 + 0.1 * f.k) * (f.epilogue ? 8 : 1));
  release(&o);
}

static long setting(const char *name, long fallback) {
  const char *s = getenv(name);
  return s && *s ? strtol(s, NULL, 10) : fallback;
}

static void forms_are_right(void **state) {
  (void)state;
  if (!hx_can_run(SN_ISA_AMX)) {
    printf("skipped: this machine has no AMX tiles, or does not permit them\n");
    skip();
  }
  long count = setting("SN_TILES_COUNT", 60), first = setting("SN_TILES_FIRST", 1);
  for (long i = 0; i < count; i++) one_form((uint64_t)(first + i));
}

/* The first row of a product of m rows, of operands that do not depend on m. */
static void first_row(form f, int m, float *out) {
  operands o;
  f.m = m;
  prepare(&f, 3, &o);
  hx_code code = hx_build(&o.target, o.k);
  hx_run(&code, o.k, o.args, false);
  for (int j = 0; j < o.k->param_count; j++)
    if (!strcmp(o.k->param[j].name, "c")) memcpy(out, o.buffer[j].data, (size_t)f.n * sizeof *out);
  hx_free(&code);
  release(&o);
}

/* Vectors multiply few rows, tiles many: a row has the same bits. */
static void few_rows_are_like_many(void **state) {
  (void)state;
  if (!hx_can_run(SN_ISA_AMX)) skip();
  static const int depths[] = {32, 100, 1000};
  for (int i = 0; i < 6; i++) {
    form f = {
        .n = 96, .k = depths[i / 2], .bm = 64, .bn = 96, .pairs = true, .symbolic = true, .adds = i % 2, .a_step = 1};
    f.bk = f.k;
    float few[96], many[96];
    first_row(f, 1, few);
    first_row(f, 20, many);
    assert_memory_equal(few, many, sizeof few);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(forms_are_right), cmocka_unit_test(few_rows_are_like_many)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
