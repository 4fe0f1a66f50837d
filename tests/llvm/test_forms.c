/* Forms that need care in a code generator, by hand: long rows in every element type, reductions of wide tiles, carries
 * that change places, nested loops and branches, bool and narrow tiles that outlive a step, gathers, strided stores,
 * updates in place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/llvm/harness.h"

static const sn_isa levels[] = {SN_ISA_BASELINE, SN_ISA_AVX2, SN_ISA_AVX512, SN_ISA_AMX};

/* A kernel under construction; every buffer has `elements`. */
typedef struct form {
  sn_arena *arena;
  sn_kernel *k;
  int64_t elements[SN_K_PARAMS];
  sn_karg sizes[SN_K_PARAMS];
  double scale;
} form;

static form begin(const char *name) {
  sn_arena *arena = sn_arena_create();
  return (form){.arena = arena, .k = sn_kernel_create(arena, name), .scale = 4};
}

static sn_kv buffer(form *f, const char *name, sn_elem e, sn_krole role, int64_t elements) {
  f->elements[f->k->param_count] = elements;
  return sn_kernel_buffer(f->k, name, e, role);
}

static sn_kv size(form *f, const char *name, int64_t value) {
  f->sizes[f->k->param_count].i = value;
  return sn_kernel_size(f->k, name, 1, 1 << 20, 1);
}

static void check(form *f, double tolerance) {
  sn_diags *d = sn_diags_create();
  if (sn_kernel_verify(f->k, d)) fail_msg("%s", sn_diags_print(d, f->arena));
  sn_diags_destroy(d);
  for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
    if (!hx_can_run(levels[l])) continue;
    sn_karg args[SN_K_PARAMS];
    hx_buffer b[SN_K_PARAMS];
    for (int j = 0; j < f->k->param_count; j++) {
      args[j] = f->sizes[j];
      if (f->k->param[j].role == SN_K_SIZE) continue;
      b[j] = hx_buffer_create(f->k->param[j].elem, f->elements[j]);
      if (f->k->param[j].role != SN_K_OUT)
        hx_fill(&b[j], (uint64_t)j + 1, f->k->param[j].elem == SN_ELEM_U8 ? 1 : f->scale);
      args[j].p = b[j].data;
    }
    sn_target t = hx_target(levels[l], true);
    hx_check(&t, f->k, args, b, tolerance);
    for (int j = 0; j < f->k->param_count; j++)
      if (f->k->param[j].role != SN_K_SIZE) hx_buffer_free(&b[j]);
  }
  sn_arena_destroy(f->arena);
}

static sn_kwin rows_of(form *f, sn_kv buffer, int r, int c, sn_kv nr, sn_kv nc) {
  sn_kernel *k = f->k;
  return (sn_kwin){buffer, sn_k_imulc(k, sn_k_gid(k, 0), (int64_t)r * c), sn_k_i(k, c), 0, nr, nc};
}

/* ---- long rows ---------------------------------------------------------------------------------------------- */

/* maximum, its column, sum, variance and a normalised copy of long rows, with optional limits */
static void long_rows(int r, int c, bool limited) {
  form f = begin("long_rows");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 3 * (int64_t)r * c),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 3 * (int64_t)r * c);
  sn_kv i_buf = buffer(&f, "i", SN_ELEM_I32, SN_K_OUT, 3 * r), s_buf = buffer(&f, "s", SN_ELEM_F32, SN_K_OUT, 3 * r);
  sn_kv rows_left = limited ? sn_k_isub(k, size(&f, "R", 3 * r - 1), sn_k_imulc(k, sn_k_gid(k, 0), r)) : 0;
  sn_kv cols = limited ? size(&f, "C", c - 5) : 0;
  sn_kernel_grid(k, 1, sn_k_i(k, 3), 0, 0);
  sn_kv x = sn_k_load(k, r, c, rows_of(&f, x_buf, r, c, rows_left, cols), -1.5);
  sn_kv m = sn_k_reduce(k, SN_K_RMAX, 1, x), at = sn_k_reduce(k, SN_K_RARGMAX, 1, x);
  sn_kv d = sn_k_bin(k, SN_K_SUB, x, m), s = sn_k_reduce(k, SN_K_RSUM, 1, sn_k_bin(k, SN_K_MUL, d, d));
  sn_kv q = sn_k_bin(k, SN_K_DIV, sn_k_un(k, SN_K_SQRT, sn_k_bin(k, SN_K_MUL, d, d)), sn_k_binc(k, SN_K_ADD, s, 1));
  sn_kv z = sn_k_reduce(k, SN_K_RSUM, 1, q);
  sn_k_store(k, rows_of(&f, y_buf, r, c, rows_left, cols), sn_k_bin(k, SN_K_ADD, q, z));
  sn_kwin w = {i_buf, sn_k_imulc(k, sn_k_gid(k, 0), r), sn_k_i(k, 1), 0, rows_left, 0};
  sn_k_store(k, w, at);
  w.buf = s_buf;
  sn_k_store(k, w, z);
  check(&f, 1e-4);
}

static void rows_longer_than_registers(void **state) {
  (void)state;
  static const int shapes[][2] = {{4, 257}, {3, 300}, {8, 1000}, {1, 4099}, {4, 768}, {5, 64}, {2, 17}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int limited = 0; limited < 2; limited++) long_rows(shapes[i][0], shapes[i][1], limited);
}

/* more sums of one row than registers hold */
static void many_sums(void **state) {
  (void)state;
  form f = begin("many_sums");
  sn_kernel *k = f.k;
  enum { SUMS = 40 };
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 2 * 4 * 500),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 2 * 4);
  sn_kernel_grid(k, 1, sn_k_i(k, 2), 0, 0);
  sn_kv x = sn_k_load(k, 4, 500, rows_of(&f, x_buf, 4, 500, 0, 0), 0), total = 0;
  for (int q = 0; q < SUMS; q++) {
    sn_kv s = sn_k_reduce(k, q % 2 ? SN_K_RSUM : SN_K_RMAX, 1, sn_k_binc(k, SN_K_MUL, x, 0.125 * q - 2));
    total = total ? sn_k_bin(k, SN_K_ADD, total, s) : s;
  }
  sn_k_store(k, (sn_kwin){y_buf, sn_k_imulc(k, sn_k_gid(k, 0), 4), sn_k_i(k, 1), 0, 0, 0}, total);
  check(&f, 1e-4);
}

static void column_reductions(int r, int c, sn_elem e) {
  form f = begin("columns");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", e, SN_K_IN, 2 * (int64_t)r * c),
        y_buf = buffer(&f, "y", e, SN_K_OUT, 2 * (int64_t)r * c);
  sn_kv s_buf = buffer(&f, "s", e, SN_K_OUT, 4 * (int64_t)c);
  sn_kernel_grid(k, 1, sn_k_i(k, 2), 0, 0);
  sn_kv x = sn_k_load(k, r, c, rows_of(&f, x_buf, r, c, 0, 0), 0);
  sn_kv sum = sn_k_reduce(k, SN_K_RSUM, 0, x), max = sn_k_reduce(k, SN_K_RMAX, 0, sn_k_bin(k, SN_K_MUL, x, x));
  sn_k_store(k, rows_of(&f, y_buf, r, c, 0, 0), sn_k_bin(k, SN_K_SUB, x, sum));
  sn_kv off = sn_k_imulc(k, sn_k_gid(k, 0), 2 * (int64_t)c);
  sn_k_store(k, (sn_kwin){.buf = s_buf, .off = off}, sum);
  sn_k_store(k, (sn_kwin){.buf = s_buf, .off = sn_k_iadd(k, off, sn_k_i(k, c))}, max);
  check(&f, 1e-4);
}

static void column_reductions_of_any_width(void **state) {
  (void)state;
  static const sn_elem elems[] = {SN_ELEM_F32, SN_ELEM_F64, SN_ELEM_I32};
  for (int e = 0; e < 3; e++) {
    column_reductions(6, 20, elems[e]);
    column_reductions(5, 333, elems[e]);
    column_reductions(4, 2000, elems[e]);
    column_reductions(64, 1, elems[e]);
  }
}

/* ---- element types -------------------------------------------------------------------------------------------- */

/* load, cast to f32 and back to every type, through memory of steps in between (a transposition) */
static void conversions(sn_elem from, sn_elem to, int r, int c) {
  form f = begin("conversions");
  sn_kernel *k = f.k;
  f.scale = 300;
  sn_kv x_buf = buffer(&f, "x", from, SN_K_IN, 2 * (int64_t)r * c),
        y_buf = buffer(&f, "y", to, SN_K_OUT, 2 * (int64_t)r * c);
  sn_kv z_buf = buffer(&f, "z", to, SN_K_OUT, 2 * (int64_t)r * c);
  sn_kernel_grid(k, 1, sn_k_i(k, 2), 0, 0);
  sn_kv x = sn_k_load(k, r, c, rows_of(&f, x_buf, r, c, 0, 0), 0), y = sn_k_cast(k, to, x);
  sn_k_store(k, rows_of(&f, y_buf, r, c, 0, 0), y);
  sn_kv t = sn_k_trans(k, y);
  sn_kwin w = {z_buf, sn_k_imulc(k, sn_k_gid(k, 0), (int64_t)r * c), sn_k_i(k, r), 0, 0, 0};
  sn_k_store(k, w, t);
  check(&f, to == SN_ELEM_F64 ? 1e-9 : 1e-6);
}

static void every_conversion(void **state) {
  (void)state;
  static const sn_elem elems[] = {SN_ELEM_F64, SN_ELEM_F32, SN_ELEM_BF16, SN_ELEM_F16,
                                  SN_ELEM_I64, SN_ELEM_I32, SN_ELEM_I8,   SN_ELEM_U8};
  for (int a = 0; a < 8; a++)
    for (int b = 0; b < 8; b++)
      if (a != b) conversions(elems[a], elems[b], 5, 37);
}

/* i64: a value and its low half, since values are compared as f64 */
static void store_wide(form *f, const char *name, sn_kv v) {
  sn_kernel *k = f->k;
  sn_ktype t = sn_k_type(k, v);
  sn_kv whole = buffer(f, name, t.elem, SN_K_OUT, 2 * (int64_t)t.r * t.c);
  sn_kv low = buffer(f, sn_arena_printf(f->arena, "%s_low", name), t.elem, SN_K_OUT, 2 * (int64_t)t.r * t.c);
  sn_k_store(k, rows_of(f, whole, t.r, t.c, 0, 0), v);
  sn_k_store(k, rows_of(f, low, t.r, t.c, 0, 0), sn_k_binc(k, SN_K_AND, v, UINT32_MAX));
}

/* arithmetic of i64 on numbers of all sizes; divisors -1 and 0 too, where the machine's division would trap */
static void wide_integers(int c) {
  form f = begin("wide");
  sn_kernel *k = f.k;
  f.scale = 40;
  sn_kv a_buf = buffer(&f, "a", SN_ELEM_I64, SN_K_IN, 2 * 3 * (int64_t)c),
        b_buf = buffer(&f, "b", SN_ELEM_I64, SN_K_IN, 2 * 3 * (int64_t)c);
  sn_kernel_grid(k, 1, sn_k_i(k, 2), 0, 0);
  sn_kv a = sn_k_load(k, 3, c, rows_of(&f, a_buf, 3, c, 0, 0), 0),
        b = sn_k_load(k, 3, c, rows_of(&f, b_buf, 3, c, 0, 0), 0);
  sn_kv count = sn_k_binc(k, SN_K_AND, sn_k_binc(k, SN_K_MUL, b, 7), 63);
  sn_kv x = sn_k_bin(k, SN_K_SHL, sn_k_binc(k, SN_K_MUL, a, 0x9e3779b97f4a7000p0), sn_k_binc(k, SN_K_AND, b, 31));
  sn_kv none = sn_k_binc(k, SN_K_EQ, b, 0), by_zero = sn_k_bin(k, SN_K_DIV, x, b);
  store_wide(&f, "div", sn_k_select(k, none, x, by_zero));
  store_wide(&f, "mod", sn_k_select(k, none, x, sn_k_bin(k, SN_K_MOD, x, b)));
  store_wide(&f, "least",
             sn_k_bin(k, SN_K_DIV, sn_k_const(k, SN_ELEM_I64, 3, c, -0x1p63), sn_k_binc(k, SN_K_OR, b, 1)));
  store_wide(&f, "shr", sn_k_bin(k, SN_K_SHR, x, count));
  store_wide(&f, "sar", sn_k_bin(k, SN_K_SAR, x, count));
  store_wide(&f, "bits", sn_k_bin(k, SN_K_XOR, sn_k_bin(k, SN_K_OR, x, a), sn_k_bin(k, SN_K_AND, x, b)));
  sn_kv size = sn_k_un(k, SN_K_ABS, sn_k_un(k, SN_K_NEG, x));
  store_wide(&f, "extremes", sn_k_bin(k, SN_K_SUB, sn_k_bin(k, SN_K_MAX, x, b), sn_k_bin(k, SN_K_MIN, size, a)));
  store_wide(&f, "sum", sn_k_reduce(k, SN_K_RSUM, 1, x));
  store_wide(&f, "product", sn_k_reduce(k, SN_K_RPROD, 0, sn_k_binc(k, SN_K_OR, a, 1)));
  store_wide(&f, "most", sn_k_reduce(k, SN_K_RMAX, 1, x));
  sn_kv where = buffer(&f, "where", SN_ELEM_I32, SN_K_OUT, 2 * 3);
  sn_k_store(k, rows_of(&f, where, 3, 1, 0, 0), sn_k_reduce(k, SN_K_RARGMAX, 1, x));
  sn_kv wide = sn_k_bitcast(k, SN_ELEM_F64, sn_k_binc(k, SN_K_ADD, sn_k_binc(k, SN_K_SHL, a, 40), 0x3ffp52));
  sn_kv floats = buffer(&f, "floats", SN_ELEM_F64, SN_K_OUT, 2 * 3 * (int64_t)c);
  sn_k_store(k, rows_of(&f, floats, 3, c, 0, 0), wide);
  store_wide(&f, "back", sn_k_bitcast(k, SN_ELEM_I64, sn_k_binc(k, SN_K_MUL, wide, -3)));
  check(&f, 0);
}

static void integers_of_64_bits(void **state) {
  (void)state;
  wide_integers(5);
  wide_integers(64);
  wide_integers(333);
}

/* a comparison that is used after a transposition: bool tiles live in memory between steps */
static void bool_tiles_outlive_steps(void **state) {
  (void)state;
  form f = begin("bools");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 40 * 40), y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 40 * 40);
  sn_kv b_buf = buffer(&f, "b", SN_ELEM_BOOL, SN_K_OUT, 40 * 40);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_kwin w = {.buf = x_buf, .rs = sn_k_i(k, 40)};
  sn_kv x = sn_k_load(k, 40, 40, w, 0), less = sn_k_bin(k, SN_K_LT, x, sn_k_trans(k, x));
  sn_kv carry[1] = {less}, i = sn_k_for(k, sn_k_i(k, 0), sn_k_i(k, 3), 1, 1, carry);
  (void)i;
  carry[0] = sn_k_bin(k, SN_K_XOR, sn_k_trans(k, carry[0]), less);
  sn_k_end_for(k, 1, carry);
  w.buf = y_buf;
  sn_k_store(k, w, sn_k_select(k, carry[0], x, sn_k_un(k, SN_K_NEG, x)));
  w.buf = b_buf;
  sn_k_store(k, w, carry[0]);
  check(&f, 0);
}

/* ---- control ---------------------------------------------------------------------------------------------------- */

/* three carried tiles change places in every iteration; the number of iterations differs by instance and may be 0 */
static void carries_change_places(void **state) {
  (void)state;
  form f = begin("rotate");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 3 * 5 * 33),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 5 * 3 * 5 * 33);
  sn_kernel_grid(k, 1, sn_k_i(k, 5), 0, 0);
  sn_kv carry[3];
  for (int q = 0; q < 3; q++)
    carry[q] = sn_k_load(k, 5, 33, (sn_kwin){x_buf, sn_k_i(k, q * 165), sn_k_i(k, 33), 0, 0, 0}, 0);
  sn_k_for(k, sn_k_i(k, 0), sn_k_gid(k, 0), 1, 3, carry);
  sn_kv next[3] = {carry[1], sn_k_binc(k, SN_K_ADD, carry[2], 1), carry[0]};
  sn_k_end_for(k, 3, next);
  for (int q = 0; q < 3; q++) {
    sn_kv off = sn_k_iadd(k, sn_k_imulc(k, sn_k_gid(k, 0), 3 * 165), sn_k_i(k, q * 165));
    sn_k_store(k, (sn_kwin){y_buf, off, sn_k_i(k, 33), 0, 0, 0}, next[q]);
  }
  check(&f, 1e-6);
}

/* a loop in a branch in a loop, products inside, results of branches carried */
static void nested_control(void **state) {
  (void)state;
  form f = begin("nested");
  sn_kernel *k = f.k;
  sn_kv a_buf = buffer(&f, "a", SN_ELEM_F32, SN_K_IN, 4 * 16 * 16),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 3 * 16 * 16);
  sn_kernel_grid(k, 1, sn_k_i(k, 3), 0, 0);
  sn_kv zero = sn_k_const(k, SN_ELEM_F32, 16, 16, 0), outer[2] = {zero, sn_k_const(k, SN_ELEM_F32, 1, 1, 1)};
  sn_kv i = sn_k_for(k, sn_k_i(k, 0), sn_k_i(k, 4), 1, 2, outer);
  sn_kv a = sn_k_load(k, 16, 16, (sn_kwin){a_buf, sn_k_imulc(k, i, 256), sn_k_i(k, 16), 0, 0, 0}, 0);
  sn_k_if(k, sn_k_ibin(k, SN_K_ILT, i, sn_k_iadd(k, sn_k_gid(k, 0), sn_k_i(k, 1))));
  sn_kv inner[1] = {outer[0]};
  sn_kv j = sn_k_for(k, sn_k_i(k, 0), i, 1, 1, inner);
  sn_kv b = sn_k_load(k, 16, 16, (sn_kwin){a_buf, sn_k_imulc(k, j, 256), sn_k_i(k, 16), 0, 0, 0}, 0);
  sn_kv quarter = sn_k_binc(k, SN_K_MUL, b, 0.25);
  inner[0] = sn_k_mma(k, inner[0], a, quarter, SN_K_TA);
  sn_k_end_for(k, 1, inner);
  sn_kv then[2] = {inner[0], sn_k_binc(k, SN_K_ADD, outer[1], 0.5)};
  sn_k_else(k, 2, then);
  sn_kv other[2] = {sn_k_bin(k, SN_K_SUB, outer[0], sn_k_reduce(k, SN_K_RMAX, 1, a)), outer[1]};
  sn_k_end_if(k, 2, other);
  sn_k_end_for(k, 2, other);
  sn_kwin w = {y_buf, sn_k_imulc(k, sn_k_gid(k, 0), 256), sn_k_i(k, 16), 0, 0, 0};
  sn_k_store(k, w, sn_k_bin(k, SN_K_MUL, other[0], other[1]));
  check(&f, 1e-4);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* rows of a table by index, single points, columns that are stored apart */
static void gathers_and_strided_stores(int c, sn_elem e) {
  form f = begin("gathers");
  sn_kernel *k = f.k;
  f.scale = 14; /* indices in [-7, 7): moved to 0..13 below */
  sn_kv x_buf = buffer(&f, "x", e, SN_K_IN, 14 * (int64_t)c), i_buf = buffer(&f, "i", SN_ELEM_I32, SN_K_IN, 2 * 6);
  sn_kv p_buf = buffer(&f, "p", SN_ELEM_I32, SN_K_IN, 2 * 6 * (int64_t)c);
  sn_kv y_buf = buffer(&f, "y", e, SN_K_OUT, 2 * 6 * (int64_t)c),
        z_buf = buffer(&f, "z", e, SN_K_OUT, 2 * 6 * (int64_t)c * 3);
  sn_kernel_grid(k, 1, sn_k_i(k, 2), 0, 0);
  sn_kv g = sn_k_gid(k, 0), six = sn_k_imulc(k, g, 6);
  sn_kv rows = sn_k_binc(k, SN_K_ADD, sn_k_load(k, 6, 1, (sn_kwin){i_buf, six, sn_k_i(k, 1), 0, 0, 0}, 0), 7);
  sn_kv points = sn_k_binc(k, SN_K_ADD, sn_k_load(k, 6, c, rows_of(&f, p_buf, 6, c, 0, 0), 0), 7);
  sn_kv row = sn_k_gather(k, 6, c, (sn_kwin){.buf = x_buf, .rs = sn_k_i(k, c)}, rows, 0);
  sn_kv point = sn_k_gather(k, 6, c, (sn_kwin){.buf = x_buf, .rs = sn_k_i(k, 1), .cs = sn_k_i(k, 0)}, points, 0);
  sn_k_store(k, rows_of(&f, y_buf, 6, c, 0, 0), row);
  sn_kwin w = {z_buf,        sn_k_imulc(k, g, 18 * (int64_t)c), sn_k_i(k, 3 * c), sn_k_i(k, 3),
               sn_k_i(k, 5), sn_k_i(k, c > 3 ? c - 2 : c)};
  sn_k_store(k, w, point);
  check(&f, 0);
}

static void gathers(void **state) {
  (void)state;
  static const sn_elem elems[] = {SN_ELEM_F32, SN_ELEM_BF16, SN_ELEM_I8, SN_ELEM_I64, SN_ELEM_BOOL};
  for (int e = 0; e < 5; e++) {
    gathers_and_strided_stores(21, elems[e]);
    gathers_and_strided_stores(300, elems[e]);
  }
}

/* optimiser-like updates: several buffers read and written in place, long and short rows, odd limits */
static void updates_in_place(void **state) {
  (void)state;
  static const int widths[] = {7, 96, 1000};
  for (int q = 0; q < 3; q++) {
    int c = widths[q];
    form f = begin("update");
    sn_kernel *k = f.k;
    sn_kv p_buf = buffer(&f, "p", SN_ELEM_F32, SN_K_INOUT, 3 * (int64_t)c),
          m_buf = buffer(&f, "m", SN_ELEM_F32, SN_K_INOUT, 3 * (int64_t)c);
    sn_kv g_buf = buffer(&f, "g", SN_ELEM_F32, SN_K_IN, 3 * (int64_t)c), n = size(&f, "N", 3 * c - 4);
    sn_kernel_grid(k, 1, sn_k_i(k, 3), 0, 0);
    sn_kv left = sn_k_isub(k, n, sn_k_imulc(k, sn_k_gid(k, 0), c));
    sn_kv g = sn_k_load(k, 1, c, rows_of(&f, g_buf, 1, c, 0, left), 0),
          m = sn_k_load(k, 1, c, rows_of(&f, m_buf, 1, c, 0, left), 0);
    sn_kv p = sn_k_load(k, 1, c, rows_of(&f, p_buf, 1, c, 0, left), 0);
    sn_kv next = sn_k_fma(k, m, sn_k_const(k, SN_ELEM_F32, 1, c, 0.9), sn_k_binc(k, SN_K_MUL, g, 0.1));
    sn_k_store(k, rows_of(&f, m_buf, 1, c, 0, left), next);
    sn_k_store(k, rows_of(&f, p_buf, 1, c, 0, left),
               sn_k_bin(k, SN_K_SUB, p, sn_k_binc(k, SN_K_MUL, sn_k_bin(k, SN_K_ADD, next, m), 0.01)));
    check(&f, 1e-6);
  }
}

/* scratch of one instance: stored by rows, loaded shifted and by columns */
static void scratch_windows_overlap(void **state) {
  (void)state;
  form f = begin("scratch");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 4 * 20 * 24),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 4 * 24 * 18);
  sn_kernel_grid(k, 1, sn_k_i(k, 4), 0, 0);
  sn_kv local = sn_k_local(k, SN_ELEM_F32, 40 * 24), row = sn_k_i(k, 24);
  sn_kv x = sn_k_load(k, 20, 24, rows_of(&f, x_buf, 20, 24, 0, 0), 0);
  sn_k_store(k, (sn_kwin){local, 0, row, 0, 0, 0}, x);
  sn_k_store(k, (sn_kwin){local, sn_k_i(k, 20 * 24), row, 0, 0, 0}, sn_k_binc(k, SN_K_MUL, x, 2));
  sn_kv shifted = sn_k_load(k, 24, 18, (sn_kwin){local, sn_k_i(k, 11 * 24 + 3), row, 0, 0, 0}, 0);
  sn_kv turned = sn_k_load(k, 24, 18, (sn_kwin){local, sn_k_i(k, 5 * 24), sn_k_i(k, 1), row, 0, 0}, 0);
  sn_kwin w = {y_buf, sn_k_imulc(k, sn_k_gid(k, 0), 24 * 18), sn_k_i(k, 18), 0, 0, 0};
  sn_k_store(k, w, sn_k_bin(k, SN_K_SUB, shifted, turned));
  check(&f, 1e-6);
}

/* acc * 0.5 + w x over blocks of rows that slide along a loop; rows past `limit` of the block count as 0 */
static void slide(form *f, sn_kv x_buf, sn_kv w, sn_kv lo, sn_kv hi, bool limited, sn_kv *acc) {
  sn_kernel *k = f->k;
  sn_kv i = sn_k_for(k, lo, hi, 16, 1, acc);
  sn_kv off = sn_k_iadd(k, sn_k_imulc(k, sn_k_gid(k, 0), 24), sn_k_imulc(k, i, 300));
  sn_kv limit = limited ? sn_k_iadd(k, sn_k_i(k, 3), sn_k_ibin(k, SN_K_IDIV, i, sn_k_i(k, 12))) : 0;
  sn_kv x = sn_k_load(k, 16, 20, (sn_kwin){x_buf, off, sn_k_i(k, 300), 0, limit, 0}, 0);
  *acc = sn_k_mma(k, sn_k_binc(k, SN_K_MUL, *acc, 0.5), w, x, 0);
  sn_k_end_for(k, 1, acc);
}

/* Rows far apart that many instances read are copied once. Here two loops read the same rows, one of them a part only,
 * in an order that leaves gaps: a copy must never be taken for more than it holds. */
static void windows_slide(void **state) {
  (void)state;
  form f = begin("slide");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 144 * 300), w_buf = buffer(&f, "w", SN_ELEM_F32, SN_K_IN, 8 * 16),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 3 * 5 * 8 * 20);
  sn_kernel_grid(k, 2, sn_k_i(k, 3), sn_k_i(k, 5), 0);
  sn_kv g = sn_k_gid(k, 1), w = sn_k_load(k, 8, 16, (sn_kwin){.buf = w_buf, .rs = sn_k_i(k, 16)}, 0);
  sn_kv acc = sn_k_const(k, SN_ELEM_F32, 8, 20, 0), some = sn_k_iadd(k, sn_k_imulc(k, g, 32), sn_k_i(k, 16));
  slide(&f, x_buf, w, sn_k_imulc(k, sn_k_isub(k, sn_k_i(k, 4), g), 32), sn_k_i(k, 144), false, &acc);
  slide(&f, x_buf, w, sn_k_i(k, 0), some, true, &acc);
  slide(&f, x_buf, w, sn_k_i(k, 0), some, false, &acc);
  sn_kv at = sn_k_imulc(k, sn_k_iadd(k, sn_k_imulc(k, sn_k_gid(k, 0), 5), g), 8 * 20);
  sn_k_store(k, (sn_kwin){y_buf, at, sn_k_i(k, 20), 0, 0, 0}, acc);
  check(&f, 1e-5);
}

/* Nested loops: one window moves with the inner loop and is read again by every turn of the outer one, the other moves
 * with the outer loop and is read by every turn of the inner one. */
static void windows_slide_in_loops(void **state) {
  (void)state;
  form f = begin("slide_in_loops");
  sn_kernel *k = f.k;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, 133 * 300), n = size(&f, "N", 133);
  sn_kv w_buf = buffer(&f, "w", SN_ELEM_F32, SN_K_IN, 8 * 16),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, 3 * 8 * 20);
  sn_kernel_grid(k, 1, sn_k_i(k, 3), 0, 0);
  k->param[1].max = 200; /* else a copy could have any size */
  sn_kv w = sn_k_load(k, 8, 16, (sn_kwin){.buf = w_buf, .rs = sn_k_i(k, 16)}, 0),
        head = sn_k_imulc(k, sn_k_gid(k, 0), 24);
  sn_kv acc = sn_k_const(k, SN_ELEM_F32, 8, 20, 0), at[2];
  at[0] = sn_k_for(k, sn_k_i(k, 0), n, 16, 1, &acc);
  at[1] = sn_k_for(k, at[0], n, 16, 1, &acc);
  for (int j = 0; j < 2; j++) {
    sn_kwin from = {x_buf, sn_k_iadd(k, head, sn_k_imulc(k, at[j], 300)), sn_k_i(k, 300), 0, sn_k_isub(k, n, at[j]), 0};
    acc = sn_k_mma(k, sn_k_binc(k, SN_K_MUL, acc, 0.5), w, sn_k_load(k, 16, 20, from, 0), 0);
  }
  sn_k_end_for(k, 1, &acc);
  sn_k_end_for(k, 1, &acc);
  sn_k_store(k, (sn_kwin){y_buf, sn_k_imulc(k, sn_k_gid(k, 0), 8 * 20), sn_k_i(k, 20), 0, 0, 0}, acc);
  check(&f, 1e-5);
}

/* Few rows times rows whose elements lie along the sum, narrow or not, in blocks of a loop whose last one may end
 * early; then times columns of the same. */
static void few_rows(int m, int n, int depth, sn_elem e, int last) {
  form f = begin("few_rows");
  sn_kernel *k = f.k;
  int rows = 3 * n - last;
  sn_kv x_buf = buffer(&f, "x", SN_ELEM_F32, SN_K_IN, (int64_t)m * depth),
        t_buf = buffer(&f, "t", e, SN_K_IN, (int64_t)rows * 2 * depth),
        p_buf = buffer(&f, "p", SN_ELEM_F32, SN_K_OUT, (int64_t)m * rows),
        y_buf = buffer(&f, "y", SN_ELEM_F32, SN_K_OUT, (int64_t)m * depth);
  sn_kernel_grid(k, 1, sn_k_i(k, 1), 0, 0);
  sn_kv x = sn_k_load(k, m, depth, (sn_kwin){.buf = x_buf, .rs = sn_k_i(k, depth)}, 0);
  sn_kv acc = sn_k_const(k, SN_ELEM_F32, m, depth, 0), i = sn_k_for(k, sn_k_i(k, 0), sn_k_i(k, rows), n, 1, &acc);
  sn_kv left = last ? sn_k_isub(k, sn_k_i(k, rows), i) : 0;
  sn_kwin w = {t_buf, sn_k_imulc(k, i, 2 * (int64_t)depth), sn_k_i(k, 2 * (int64_t)depth), 0, left, 0};
  sn_kv t = sn_k_cast(k, SN_ELEM_F32, sn_k_load(k, n, depth, w, 0)),
        u = sn_k_cast(k, SN_ELEM_F32, sn_k_load(k, n, depth, w, 0));
  sn_kv p = sn_k_mma(k, sn_k_const(k, SN_ELEM_F32, m, n, 0.5), x, t, SN_K_TB);
  sn_k_store(k, (sn_kwin){p_buf, i, sn_k_i(k, rows), 0, 0, left}, sn_k_binc(k, SN_K_ADD, p, 1));
  acc = sn_k_mma(k, sn_k_binc(k, SN_K_MUL, acc, 0.5), p, u, 0);
  sn_k_end_for(k, 1, &acc);
  sn_k_store(k, (sn_kwin){.buf = y_buf, .rs = sn_k_i(k, depth)}, acc);
  check(&f, 2e-4);
}

static void few_rows_along_the_sum(void **state) {
  (void)state;
  static const sn_elem elems[] = {SN_ELEM_F32, SN_ELEM_BF16, SN_ELEM_F16};
  static const int shapes[][3] = {{1, 8, 64},   {1, 5, 16},  {2, 16, 48}, {3, 12, 128},
                                  {4, 16, 128}, {8, 8, 256}, {9, 8, 64},  {4, 8, 20}};
  for (int i = 0; i < 8; i++) few_rows(shapes[i][0], shapes[i][1], shapes[i][2], elems[i % 3], i % 2 ? 3 : 0);
  for (int e = 0; e < 3; e++) few_rows(4, 8, 64, elems[e], 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_longer_than_registers),
      cmocka_unit_test(column_reductions_of_any_width),
      cmocka_unit_test(many_sums),
      cmocka_unit_test(every_conversion),
      cmocka_unit_test(integers_of_64_bits),
      cmocka_unit_test(bool_tiles_outlive_steps),
      cmocka_unit_test(carries_change_places),
      cmocka_unit_test(nested_control),
      cmocka_unit_test(gathers),
      cmocka_unit_test(updates_in_place),
      cmocka_unit_test(scratch_windows_overlap),
      cmocka_unit_test(windows_slide),
      cmocka_unit_test(windows_slide_in_loops),
      cmocka_unit_test(few_rows_along_the_sum),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
