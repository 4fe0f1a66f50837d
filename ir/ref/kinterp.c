/* Kernel interpreter: instances in order, each block by block. Memory is in kinterp_mem.c, arithmetic in kinterp_ops.c.
 */
#include "ir/ref/kinterp.h"

#include <stdio.h>
#include <string.h>

#include "ir/ref/kinterp_impl.h"

void sn_kenv_fail(sn_kenv *e, sn_kv v, const char *format, ...) {
  if (e->failed) return;
  va_list list;
  char why[256];
  va_start(list, format);
  vsnprintf(why, sizeof why, format, list);
  va_end(list);
  e->failed =
      sn_fail(e->in->diags, SN_ERR_FAIL, (sn_loc){0}, "kernel %s, instance %lld (%lld, %lld, %lld): %s", e->k->name,
              (long long)e->instance, (long long)e->gid[0], (long long)e->gid[1], (long long)e->gid[2], why);
  if (v && e->in->diags) sn_fail_found(e->in->diags, "%s", sn_k_text(e->k, v, e->arena));
}

/* ---- index values ---- */

static int64_t wrapping(sn_kop op, int64_t p, int64_t q) {
  uint64_t x = (uint64_t)p, y = (uint64_t)q;
  return (int64_t)(op == SN_K_IADD ? x + y : op == SN_K_ISUB ? x - y : x * y);
}

static int64_t divide(sn_kenv *e, sn_kv user, sn_kop op, int64_t p, int64_t q) {
  if (p >= 0 && q > 0) return op == SN_K_IDIV ? p / q : p % q;
  sn_kenv_fail(e, user, "index division of %lld by %lld", (long long)p, (long long)q);
  return 0;
}

static int64_t load_index(sn_kenv *e, sn_kv user, const sn_kins *x) {
  int64_t at = sn_kenv_index(e, user, x->a[1]);
  const sn_kmem *m = &e->param[sn_k_ins(e->k, x->a[0])->i];
  if (at >= 0 && at < m->elements) {
    if (m->read) m->read[at / 8] |= (unsigned char)(1u << (at % 8));
    return ((const int32_t *)m->data)[at];
  }
  sn_kenv_fail(e, user, "iload of element %lld of %lld", (long long)at, (long long)m->elements);
  return 0;
}

int64_t sn_kenv_index(sn_kenv *e, sn_kv user, sn_kv v) {
  const sn_kins *x = sn_k_ins(e->k, v);
  switch (x->op) {
    case SN_K_ICONST: return x->i;
    case SN_K_PARAM: return e->in->args[x->i].i;
    case SN_K_GID: return e->gid[x->i];
    case SN_K_IV: return e->iv[v];
    case SN_K_ILOAD: return load_index(e, user, x);
    default: break;
  }
  int64_t p = sn_kenv_index(e, user, x->a[0]), q = sn_kenv_index(e, user, x->a[1]);
  switch (x->op) {
    case SN_K_IDIV:
    case SN_K_IMOD: return divide(e, user, x->op, p, q);
    case SN_K_IMIN: return p < q ? p : q;
    case SN_K_IMAX: return p > q ? p : q;
    case SN_K_ILT: return p < q;
    case SN_K_IEQ: return p == q;
    default: return wrapping(x->op, p, q);
  }
}

/* ---- tiles and control ---- */

static int64_t cells(sn_ktype t) { return (int64_t)t.r * t.c; }

sn_kcell *sn_kenv_tile(sn_kenv *e, sn_kv v) {
  if (!e->tile[v]) e->tile[v] = SN_ARRAY(e->arena, cells(sn_k_type(e->k, v)), sn_kcell);
  return e->tile[v];
}

/* to[j] = from[j] for all j at once: carried values may be exchanged. */
static void copy_tiles(sn_kenv *e, const sn_kv *to, const sn_kv *from, int count) {
  for (int j = 0; j < count; j++) {
    int64_t n = cells(sn_k_type(e->k, to[j]));
    if (!e->other[to[j]]) e->other[to[j]] = SN_ARRAY(e->arena, n, sn_kcell);
    memcpy(e->other[to[j]], e->tile[from[j]], (size_t)n * sizeof(sn_kcell));
  }
  for (int j = 0; j < count; j++) {
    sn_kcell *old = e->tile[to[j]];
    e->tile[to[j]] = e->other[to[j]];
    e->other[to[j]] = old;
  }
}

static void run_block(sn_kenv *e, const sn_kblock *b);

static void run_for(sn_kenv *e, sn_kv v, const sn_kins *x) {
  int count = x->body[0]->yield_count;
  int64_t lo = sn_kenv_index(e, v, x->a[0]), hi = sn_kenv_index(e, v, x->a[1]), step = sn_kenv_index(e, v, x->a[2]);
  copy_tiles(e, x->in, x->a + 3, count);
  for (int64_t i = lo; i < hi && !e->failed; i += step) {
    e->iv[x->iv] = i;
    run_block(e, x->body[0]);
    if (!e->failed) copy_tiles(e, x->in, x->body[0]->yield, count);
  }
  if (!e->failed) copy_tiles(e, x->out, x->in, count);
}

static void run_if(sn_kenv *e, sn_kv v, const sn_kins *x) {
  const sn_kblock *b = x->body[sn_kenv_index(e, v, x->a[0]) ? 0 : 1];
  run_block(e, b);
  if (!e->failed) copy_tiles(e, x->out, b->yield, b->yield_count);
}

static void run_block(sn_kenv *e, const sn_kblock *b) {
  for (int j = 0; j < b->count && !e->failed; j++) {
    sn_kv v = b->ins[j];
    const sn_kins *x = sn_k_ins(e->k, v);
    switch (x->op) {
      case SN_K_FOR: run_for(e, v, x); break;
      case SN_K_IF: run_if(e, v, x); break;
      case SN_K_LOAD:
      case SN_K_STORE:
      case SN_K_GATHER: sn_kenv_access(e, v); break;
      case SN_K_LOCAL: sn_kenv_local(e, v); break;
      default: sn_kenv_compute(e, v); break;
    }
  }
}

/* ---- runs ---- */

static int64_t extents(sn_kenv *e, int64_t extent[3]) {
  int64_t all = 1;
  for (int d = 0; d < 3; d++) {
    extent[d] = d < e->k->grid_count ? sn_kenv_index(e, 0, e->k->grid[d]) : 1;
    if (extent[d] < 0) extent[d] = 0;
    all *= extent[d];
  }
  return all;
}

static void set_instance(sn_kenv *e, const int64_t extent[3], int64_t instance) {
  e->instance = instance;
  int last = e->k->grid_count - 1;
  for (int d = last; d >= 0; d--) {
    e->gid[d] = instance % extent[d];
    instance /= extent[d];
  }
}

static int run(void *arg) {
  sn_kenv *e = arg;
  int64_t extent[3];
  int count = e->k->ins_count;
  e->iv = SN_ARRAY(e->arena, count, int64_t);
  e->tile = SN_ARRAY(e->arena, count, sn_kcell *);
  e->other = SN_ARRAY(e->arena, count, sn_kcell *);
  e->local = SN_ARRAY(e->arena, count, sn_kmem *);
  e->inexact = SN_ARRAY(e->arena, count, unsigned char);
  e->in->trace = 0;
  e->in->fragile = 0;
  sn_kenv_memory_begin(e);
  if (e->in->watch) sn_kenv_find_inexact(e, e->k->body);
  int64_t all = extents(e, extent);
  int64_t hi = e->in->hi < 0 || e->in->hi > all ? all : e->in->hi;
  for (int64_t j = e->in->lo; j < hi && !e->failed; j++) {
    set_instance(e, extent, j);
    run_block(e, e->k->body);
  }
  sn_kenv_memory_end(e);
  return (int)e->failed;
}

sn_code sn_kinterp_run(sn_kinterp *in, const sn_kernel *k) {
  sn_kenv e = {.in = in, .k = k, .arena = sn_arena_scratch()};
  if (!e.arena) return sn_fail(in->diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  int code = sn_protect(run, &e);
  sn_arena_destroy(e.arena);
  return (sn_code)code;
}

int64_t sn_kernel_instances(const sn_kernel *k, const sn_karg *args) {
  int64_t extent[3];
  sn_kinterp in = {.args = args};
  sn_kenv e = {.in = &in, .k = k};
  return extents(&e, extent);
}
