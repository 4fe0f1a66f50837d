/* Builds kernels: parameters, tiles, control. Index values are in index.c. */
#include "ir/kernel/internal.h"

#include <math.h>
#include <string.h>

#include "ir/base/half.h"

/* ---- raw construction ---- */

static void broken(sn_kernel *k, const char *why) {
  if (!k->broken) k->broken = why;
}

sn_kv sn_k_new(sn_kernel *k, sn_kop op, sn_ktype t, int count, const sn_kv *a, int64_t i, double f) {
  SN_GROW(k->arena, k->ins, k->ins_count, k->ins_capacity);
  sn_kins *x = &k->ins[k->ins_count];
  *x = (sn_kins){.op = op, .type = t, .count = count, .i = i, .f = f, .where = k->here};
  if (count) memcpy(x->a, a, (size_t)count * sizeof *a);
  return k->ins_count++;
}

sn_kv sn_k_emit(sn_kernel *k, sn_kop op, sn_ktype t, int count, const sn_kv *a, int64_t i, double f) {
  sn_kv v = sn_k_new(k, op, t, count, a, i, f);
  sn_kblock *b = k->at[k->depth];
  SN_GROW(k->arena, b->ins, b->count, b->capacity);
  return b->ins[b->count++] = v;
}

sn_kblock *sn_k_block_new(sn_kernel *k) { return SN_NEW(k->arena, sn_kblock); }

static double round_int(double v, double min, double max) {
  if (v != v) return 0;
  v = trunc(v) + 0.0; /* no negative zero */
  return v < min ? min : v > max ? max : v;
}

double sn_k_round_to(sn_elem e, double v) { /* table */
  switch (e) {
    case SN_ELEM_I64: return round_int(v, -0x1p63, 0x1.fffffffffffffp62);
    case SN_ELEM_I32: return round_int(v, INT32_MIN, INT32_MAX);
    case SN_ELEM_I8: return round_int(v, INT8_MIN, INT8_MAX);
    case SN_ELEM_U8: return round_int(v, 0, UINT8_MAX);
    case SN_ELEM_BOOL: return v != 0;
    default: return sn_elem_nearest(e, v);
  }
}

/* ---- lines ---- */

enum { LOOK_BACK = 16 }; /* lines that are compared with a new one */

void sn_k_at(sn_kernel *k, sn_loc loc) {
  const sn_loc *last = k->line_count ? &k->line[k->line_count - 1] : NULL;
  k->here = 0;
  if (!loc.file) return;
  for (int i = k->line_count; i > 0 && i > k->line_count - LOOK_BACK; i--)
    if (k->line[i - 1].line == loc.line && !strcmp(k->line[i - 1].file, loc.file)) {
      k->here = i;
      return;
    }
  bool same = last && !strcmp(last->file, loc.file);
  const char *file = same ? last->file : sn_arena_strdup(k->arena, loc.file);
  SN_GROW(k->arena, k->line, k->line_count, k->line_capacity);
  k->line[k->line_count++] = (sn_loc){.file = file, .line = loc.line};
  k->here = k->line_count;
}

sn_loc sn_k_loc(const sn_kernel *k, sn_kv v) {
  int where = sn_k_valid(k, v) ? k->ins[v].where : 0;
  return where > 0 ? k->line[where - 1] : (sn_loc){0};
}

/* ---- kernel, parameters ---- */

sn_kernel *sn_kernel_create(sn_arena *arena, const char *name) {
  sn_kernel *k = SN_NEW(arena, sn_kernel);
  k->arena = arena;
  k->name = sn_arena_strdup(arena, name);
  SN_GROW(arena, k->ins, k->ins_count, k->ins_capacity);
  k->ins_count = 1;
  k->at[0] = k->body = sn_k_block_new(k);
  return k;
}

sn_kv sn_k_param_new(sn_kernel *k, const sn_kparam *p) {
  if (k->param_count == SN_K_PARAMS) {
    broken(k, "has too many parameters");
    return k->param[SN_K_PARAMS - 1].value;
  }
  sn_ktype t = {p->role == SN_K_SIZE ? SN_ELEM_NONE : p->elem, 0, 0};
  sn_kv v = sn_k_new(k, SN_K_PARAM, t, 0, NULL, k->param_count, 0);
  sn_kparam *q = &k->param[k->param_count++];
  *q = *p;
  q->name = sn_arena_strdup(k->arena, p->name);
  q->value = v;
  return v;
}

sn_kv sn_kernel_buffer(sn_kernel *k, const char *name, sn_elem elem, sn_krole role) {
  return sn_k_param_new(k, &(sn_kparam){.name = name, .role = role, .elem = elem, .divisor = 64});
}

sn_kv sn_kernel_size(sn_kernel *k, const char *name, int64_t min, int64_t max, int64_t divisor) {
  return sn_k_param_new(k, &(sn_kparam){.name = name, .role = SN_K_SIZE, .min = min, .max = max, .divisor = divisor});
}

void sn_kernel_grid(sn_kernel *k, int count, sn_kv e0, sn_kv e1, sn_kv e2) {
  k->grid_count = count;
  k->grid[0] = e0;
  k->grid[1] = count > 1 ? e1 : 0;
  k->grid[2] = count > 2 ? e2 : 0;
}

sn_kv sn_k_local(sn_kernel *k, sn_elem elem, int64_t elements) {
  return sn_k_emit(k, SN_K_LOCAL, (sn_ktype){elem, 0, 0}, 0, NULL, elements, 0);
}

/* ---- memory ---- */

static sn_kwin with_defaults(sn_kernel *k, sn_kwin w, sn_ktype t) {
  int64_t least;
  if (!w.off) w.off = sn_k_i(k, 0);
  if (!w.rs) w.rs = sn_k_i(k, 0);
  if (!w.cs) w.cs = sn_k_i(k, 1);
  if (w.nr && (sn_k_bounds(k, w.nr, &least, &(int64_t){0}), least >= t.r)) w.nr = 0;
  if (w.nc && (sn_k_bounds(k, w.nc, &least, &(int64_t){0}), least >= t.c)) w.nc = 0;
  return w;
}

sn_kv sn_k_emit_window(sn_kernel *k, sn_kop op, sn_ktype t, const sn_kwin *w, sn_kv last, double pad) {
  sn_kv a[7] = {w->buf, w->off, w->rs, w->cs, w->nr, w->nc, last};
  bool masked = op != SN_K_STORE && (w->nr || w->nc);
  double f = masked ? sn_k_round_to(t.elem, pad) : 0;
  return sn_k_emit(k, op, op == SN_K_STORE ? sn_k_statement_type : t, op == SN_K_LOAD ? 6 : 7, a, 0, f);
}

sn_kv sn_k_load(sn_kernel *k, int r, int c, sn_kwin w, double pad) {
  sn_ktype t = {sn_k_type(k, w.buf).elem, r, c};
  w = with_defaults(k, w, t);
  return sn_k_emit_window(k, SN_K_LOAD, t, &w, 0, pad);
}

void sn_k_store(sn_kernel *k, sn_kwin w, sn_kv v) {
  sn_ktype t = sn_k_type(k, v);
  w = with_defaults(k, w, t);
  sn_k_emit_window(k, SN_K_STORE, t, &w, v, 0);
}

sn_kv sn_k_gather(sn_kernel *k, int r, int c, sn_kwin w, sn_kv rows, double pad) {
  sn_ktype t = {sn_k_type(k, w.buf).elem, r, c};
  w = with_defaults(k, w, t);
  return sn_k_emit_window(k, SN_K_GATHER, t, &w, rows, pad);
}

/* ---- tiles ---- */

sn_kv sn_k_const(sn_kernel *k, sn_elem e, int r, int c, double v) {
  return sn_k_emit(k, SN_K_CONST, (sn_ktype){e, r, c}, 0, NULL, 0, sn_k_round_to(e, v));
}

sn_kv sn_k_isplat(sn_kernel *k, int r, int c, sn_kv index) {
  return sn_k_emit(k, SN_K_ISPLAT, (sn_ktype){SN_ELEM_I32, r, c}, 1, &index, 0, 0);
}

sn_kv sn_k_iota(sn_kernel *k, int r, int c, int axis, sn_kv base) {
  return sn_k_emit(k, SN_K_IOTA, (sn_ktype){SN_ELEM_I32, r, c}, 1, &base, axis, 0);
}

sn_kv sn_k_un(sn_kernel *k, sn_kop op, sn_kv x) { return sn_k_emit(k, op, sn_k_type(k, x), 1, &x, 0, 0); }

sn_kv sn_k_cast(sn_kernel *k, sn_elem e, sn_kv x) {
  sn_ktype t = sn_k_type(k, x);
  if (t.elem == e) return x;
  return sn_k_emit(k, SN_K_CAST, (sn_ktype){e, t.r, t.c}, 1, &x, 0, 0);
}

sn_kv sn_k_bitcast(sn_kernel *k, sn_elem e, sn_kv x) {
  sn_ktype t = sn_k_type(k, x);
  if (t.elem == e) return x;
  return sn_k_emit(k, SN_K_BITCAST, (sn_ktype){e, t.r, t.c}, 1, &x, 0, 0);
}

sn_kv sn_k_bcast(sn_kernel *k, int r, int c, sn_kv x) {
  sn_ktype t = sn_k_type(k, x);
  if (t.r == r && t.c == c) return x;
  if (sn_k_ins(k, x)->op == SN_K_CONST) return sn_k_const(k, t.elem, r, c, sn_k_ins(k, x)->f);
  return sn_k_emit(k, SN_K_BCAST, (sn_ktype){t.elem, r, c}, 1, &x, 0, 0);
}

static int larger(int a, int b) { return a > b ? a : b; }

sn_kv sn_k_bin(sn_kernel *k, sn_kop op, sn_kv x, sn_kv y) {
  sn_ktype tx = sn_k_type(k, x), ty = sn_k_type(k, y);
  sn_ktype t = {tx.elem, larger(tx.r, ty.r), larger(tx.c, ty.c)};
  sn_kv a[2];
  a[0] = sn_k_bcast(k, t.r, t.c, x);
  a[1] = sn_k_bcast(k, t.r, t.c, y);
  if (sn_kop_class(op) == SN_KCLASS_CMP) t.elem = SN_ELEM_BOOL;
  return sn_k_emit(k, op, t, 2, a, 0, 0);
}

sn_kv sn_k_binc(sn_kernel *k, sn_kop op, sn_kv x, double c) {
  sn_ktype t = sn_k_type(k, x);
  return sn_k_bin(k, op, x, sn_k_const(k, t.elem, t.r, t.c, c));
}

static sn_kv ternary(sn_kernel *k, sn_kop op, sn_kv x, sn_kv y, sn_kv z) {
  sn_kv a[3] = {x, y, z};
  sn_ktype t = {sn_k_type(k, y).elem, 0, 0};
  for (int j = 0; j < 3; j++) {
    t.r = larger(t.r, sn_k_type(k, a[j]).r);
    t.c = larger(t.c, sn_k_type(k, a[j]).c);
  }
  for (int j = 0; j < 3; j++) a[j] = sn_k_bcast(k, t.r, t.c, a[j]);
  return sn_k_emit(k, op, t, 3, a, 0, 0);
}

sn_kv sn_k_fma(sn_kernel *k, sn_kv x, sn_kv y, sn_kv z) { return ternary(k, SN_K_FMA, x, y, z); }

sn_kv sn_k_select(sn_kernel *k, sn_kv cond, sn_kv x, sn_kv y) { return ternary(k, SN_K_SELECT, cond, x, y); }

sn_kv sn_k_reduce(sn_kernel *k, sn_kop op, int axis, sn_kv x) {
  sn_ktype t = sn_k_type(k, x);
  if (axis)
    t.c = 1;
  else
    t.r = 1;
  if (op == SN_K_RARGMAX) t.elem = SN_ELEM_I32;
  return sn_k_emit(k, op, t, 1, &x, axis, 0);
}

sn_kv sn_k_trans(sn_kernel *k, sn_kv x) {
  sn_ktype t = sn_k_type(k, x);
  return sn_k_emit(k, SN_K_TRANS, (sn_ktype){t.elem, t.c, t.r}, 1, &x, 0, 0);
}

sn_kv sn_k_rescale(sn_kernel *k, sn_kv acc, sn_kv stat) {
  return sn_k_emit(k, SN_K_RESCALE, sn_k_type(k, acc), 2, (sn_kv[]){acc, stat}, 0, 0);
}

sn_kv sn_k_mma(sn_kernel *k, sn_kv acc, sn_kv a, sn_kv b, int flags) {
  return sn_k_emit(k, SN_K_MMA, sn_k_type(k, acc), 3, (sn_kv[]){acc, a, b}, flags, 0);
}

/* ---- control ---- */

static bool push(sn_kernel *k, sn_kblock *b) {
  if (k->depth + 1 == SN_K_DEPTH) {
    broken(k, "nests too deep");
    return false;
  }
  k->at[++k->depth] = b;
  return true;
}

static int yields_within(sn_kernel *k, int count) {
  if (count <= SN_K_YIELDS) return count;
  broken(k, "carries or yields too many values");
  return SN_K_YIELDS;
}

sn_kv sn_k_for(sn_kernel *k, sn_kv lo, sn_kv hi, int64_t step, int count, sn_kv *carry) {
  count = yields_within(k, count);
  sn_kv a[SN_K_ARGS] = {lo, hi, sn_k_i(k, step)};
  if (count) memcpy(a + 3, carry, (size_t)count * sizeof *carry);
  sn_kv f = sn_k_emit(k, SN_K_FOR, sn_k_statement_type, 3 + count, a, 0, 0);
  sn_kv iv = sn_k_new(k, SN_K_IV, sn_k_index_type, 1, &f, 0, 0);
  k->ins[f].iv = iv;
  for (int j = 0; j < count; j++) {
    carry[j] = sn_k_new(k, SN_K_CARRY, sn_k_type(k, carry[j]), 1, &f, j, 0);
    k->ins[f].in[j] = carry[j];
  }
  k->ins[f].body[0] = sn_k_block_new(k);
  push(k, k->ins[f].body[0]);
  return iv;
}

/* The for or if whose body is being built: the last instruction of the block around it. */
static sn_kv open_statement(const sn_kernel *k) {
  const sn_kblock *b = k->at[k->depth - 1];
  return b->ins[b->count - 1];
}

static void close_body(sn_kernel *k, int count, const sn_kv *yield) {
  sn_kblock *b = k->at[k->depth];
  b->yield_count = yields_within(k, count);
  if (count) memcpy(b->yield, yield, (size_t)b->yield_count * sizeof *yield);
}

static void make_results(sn_kernel *k, sn_kv s, int count, sn_kv *v) {
  for (int j = 0; j < yields_within(k, count); j++) {
    v[j] = sn_k_new(k, SN_K_RESULT, sn_k_type(k, v[j]), 1, &s, j, 0);
    k->ins[s].out[j] = v[j];
  }
}

static bool inside_statement(sn_kernel *k) {
  if (k->depth) return true;
  broken(k, "closes a statement that is not open");
  return false;
}

void sn_k_end_for(sn_kernel *k, int count, sn_kv *carry) {
  if (!inside_statement(k)) return;
  sn_kv f = open_statement(k);
  close_body(k, count, carry);
  k->depth--;
  make_results(k, f, count, carry);
}

void sn_k_if(sn_kernel *k, sn_kv cond) {
  sn_kv s = sn_k_emit(k, SN_K_IF, sn_k_statement_type, 1, &cond, 0, 0);
  k->ins[s].body[0] = sn_k_block_new(k);
  k->ins[s].body[1] = sn_k_block_new(k);
  push(k, k->ins[s].body[0]);
}

void sn_k_else(sn_kernel *k, int count, const sn_kv *yield) {
  if (!inside_statement(k)) return;
  close_body(k, count, yield);
  k->at[k->depth] = k->ins[open_statement(k)].body[1];
}

void sn_k_end_if(sn_kernel *k, int count, sn_kv *yield) {
  if (!inside_statement(k)) return;
  sn_kv s = open_statement(k);
  close_body(k, count, yield);
  k->depth--;
  make_results(k, s, count, yield);
}
