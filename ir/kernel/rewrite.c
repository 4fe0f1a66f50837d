/* Rebuilds a kernel with replacements. */
#include "ir/kernel/rewrite.h"

#include <string.h>

#include "ir/kernel/internal.h"

static bool is_live(const sn_krewrite *w, sn_kv v) { return !w->live || w->live[v]; }

static sn_kv index_value(sn_krewrite *w, sn_kv v) {
  const sn_kins *x = sn_k_ins(w->from, v);
  if (x->op == SN_K_ICONST) return sn_k_i(w->to, x->i);
  if (x->op == SN_K_GID) return w->fold ? sn_k_gid(w->to, (int)x->i) : sn_k_index_raw(w->to, SN_K_GID, 0, 0, x->i);
  sn_kv a = sn_krewrite_value(w, x->a[0]);
  sn_kv b = sn_krewrite_value(w, x->a[1]);
  if (x->op == SN_K_ILOAD || !w->fold) return sn_k_index_raw(w->to, x->op, a, b, 0);
  return sn_k_ibin(w->to, x->op, a, b);
}

sn_kv sn_krewrite_value(sn_krewrite *w, sn_kv v) {
  if (!v) return 0;
  const sn_kins *x = sn_k_ins(w->from, v);
  if (w->inline_names && x->op == SN_K_CONST && !w->inline_names[v])
    return sn_k_const(w->to, x->type.elem, x->type.r, x->type.c, x->f);
  if (w->map[v]) return w->map[v];
  if (x->op == SN_K_PARAM || sn_kop_class(x->op) != SN_KCLASS_IDX) return 0; /* not defined yet: verify finds it */
  return w->map[v] = index_value(w, v);
}

static sn_kv copy_window(sn_krewrite *w, const sn_kins *x) {
  sn_kv a[7] = {0};
  for (int j = 0; j < x->count; j++) a[j] = sn_krewrite_value(w, x->a[j]);
  sn_kwin win = {a[0], a[1], a[2], a[3], a[4], a[5]};
  if (!w->fold) return sn_k_emit_window(w->to, x->op, x->type, &win, a[6], x->f);
  if (x->op == SN_K_LOAD) return sn_k_load(w->to, x->type.r, x->type.c, win, x->f);
  if (x->op == SN_K_GATHER) return sn_k_gather(w->to, x->type.r, x->type.c, win, a[6], x->f);
  sn_k_store(w->to, win, a[6]);
  return 0;
}

void sn_krewrite_block(sn_krewrite *w, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) {
    sn_kv v = b->ins[j];
    if (!is_live(w, v)) continue;
    if (w->inline_names && sn_k_ins(w->from, v)->op == SN_K_CONST && !w->inline_names[v]) continue;
    w->to->here = sn_k_ins(w->from, v)->where;
    sn_kv r = w->visit ? w->visit(w, v) : 0;
    w->map[v] = r < 0 ? 0 : r ? r : sn_krewrite_copy(w, v);
  }
}

/* Copies a body; `yield` gets the new values of those yields that stay, of which the count is returned. */
static int copy_body(sn_krewrite *w, sn_kv statement, int side, sn_kv *yield) {
  const sn_kblock *b = sn_k_ins(w->from, statement)->body[side];
  int count = 0;
  if (w->enter) w->enter(w, statement, side);
  sn_krewrite_block(w, b);
  for (int j = 0; j < b->yield_count; j++)
    if (is_live(w, sn_k_ins(w->from, statement)->out[j])) yield[count++] = sn_krewrite_value(w, b->yield[j]);
  if (w->leave) w->leave(w, statement, side);
  return count;
}

static void map_kept(sn_krewrite *w, const sn_kv *old, int old_count, const sn_kv *out, const sn_kv *v) {
  for (int j = 0, n = 0; j < old_count; j++)
    if (is_live(w, out[j])) w->map[old[j]] = v[n++];
}

static void copy_for(sn_krewrite *w, sn_kv s) {
  const sn_kins *x = sn_k_ins(w->from, s);
  sn_kv v[SN_K_YIELDS] = {0};
  int count = 0, all = x->body[0]->yield_count;
  int64_t step = 1;
  (void)sn_k_is_const(w->from, x->a[2], &step);
  sn_kv lo = sn_krewrite_value(w, x->a[0]);
  sn_kv hi = sn_krewrite_value(w, x->a[1]);
  for (int j = 0; j < all; j++)
    if (is_live(w, x->out[j])) v[count++] = sn_krewrite_value(w, x->a[3 + j]);
  w->map[x->iv] = sn_k_for(w->to, lo, hi, step, count, v);
  map_kept(w, x->in, all, x->out, v);
  copy_body(w, s, 0, v);
  w->to->here = sn_k_ins(w->from, s)->where;
  sn_k_end_for(w->to, count, v);
  map_kept(w, x->out, all, x->out, v);
}

static void copy_if(sn_krewrite *w, sn_kv s) {
  const sn_kins *x = sn_k_ins(w->from, s);
  sn_kv v[SN_K_YIELDS] = {0};
  sn_k_if(w->to, sn_krewrite_value(w, x->a[0]));
  int count = copy_body(w, s, 0, v);
  sn_k_else(w->to, count, v);
  count = copy_body(w, s, 1, v);
  w->to->here = sn_k_ins(w->from, s)->where;
  sn_k_end_if(w->to, count, v);
  map_kept(w, x->out, x->body[0]->yield_count, x->out, v);
}

sn_kv sn_krewrite_copy(sn_krewrite *w, sn_kv v) {
  const sn_kins *x = sn_k_ins(w->from, v);
  sn_kv a[SN_K_ARGS];
  if (x->op == SN_K_FOR || x->op == SN_K_IF) {
    if (x->op == SN_K_FOR)
      copy_for(w, v);
    else
      copy_if(w, v);
    return 0;
  }
  if (x->op == SN_K_LOAD || x->op == SN_K_STORE || x->op == SN_K_GATHER) return copy_window(w, x);
  for (int j = 0; j < x->count; j++) a[j] = sn_krewrite_value(w, x->a[j]);
  return sn_k_emit(w->to, x->op, x->type, x->count, a, x->i, x->f);
}

sn_kernel *sn_krewrite_run(sn_krewrite *w, sn_arena *arena, const sn_kernel *from) {
  w->from = from;
  w->to = sn_kernel_create(arena, from->name);
  w->to->loc = from->loc;
  for (int j = 0; j < from->line_count; j++) sn_k_at(w->to, from->line[j]); /* in their order: the same numbers */
  w->to->here = 0;
  w->map = SN_ARRAY(arena, from->ins_count, sn_kv);
  for (int j = 0; j < from->param_count; j++) w->map[from->param[j].value] = sn_k_param_new(w->to, &from->param[j]);
  sn_kv e[3] = {0};
  for (int d = 0; d < from->grid_count && d < 3; d++) e[d] = sn_krewrite_value(w, from->grid[d]);
  sn_kernel_grid(w->to, from->grid_count, e[0], e[1], e[2]);
  sn_krewrite_block(w, from->body);
  return w->to;
}
