/* A row cluster: elementwise, broadcast, reduce, load and store operations that share one loop over rows.
 * Values are demanded: cg_get(v, j) yields vector j of v in the current row and emits it at its first use. Scalars of a
 * row
 * ([R,1]) are held in every lane. */
#include "backends/llvm/cg.h"

enum { MOST_WINDOWS = 256, SIDE_BY_SIDE = 4 };

static int key_of(const cg *c, sn_kv v, int j) {
  int n = c->k->ins_count;
  return n + (c->flight * n + v) * CG_STATIC_VECTORS + j;
}

/* ---- values ----------------------------------------------------------------------------------------- */

static ll_v index32(cg *c, ll_v v) { return LLVMBuildTrunc(c->g.b, v, c->g.i32, ""); }

static ll_v column_iota(cg *c, ll_v base, int j) {
  ll *g = &c->g;
  if (!c->col) return ll_add(g, ll_splat(g, index32(c, base)), cg_column_numbers(c, j));
  return ll_add(g, ll_splat(g, index32(c, ll_add(g, base, c->col))), ll_lane_numbers(g, (int64_t)j * g->lanes));
}

/* Is a number of a column compared with a limit that all columns at hand are below? */
static bool is_met(const cg *c, const sn_kins *x) {
  const sn_kins *i = cg_ins(c, cg_source(&c->p, x->a[0])), *limit = cg_ins(c, cg_source(&c->p, x->a[1]));
  int64_t first;
  if (!c->inside || !i->i || !sn_k_is_const(c->k, i->a[0], &first) || first) return false;
  for (int m = 0; m < c->met_count; m++)
    if (c->met[m] == limit->a[0]) return true;
  return false;
}

static ll_v below_limit(cg *c, const sn_kins *x, int j) {
  if (is_met(c, x)) return ll_first_lanes(&c->g, c->g.lanes);
  ll_v a = cg_get(c, x->a[0], j), b = cg_get(c, x->a[1], j);
  return ll_icmp(&c->g, LLVMIntSLT, a, b);
}

static ll_v virtual_value(cg *c, sn_kv v, int j) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, v);
  switch (x->op) {
    case SN_K_CONST: return cg_splat_const(c, x->type.elem, x->f);
    case SN_K_ISPLAT: return ll_splat(g, index32(c, cg_index(c, x->a[0])));
    case SN_K_IOTA: {
      ll_v base = cg_index(c, x->a[0]);
      if (x->i && x->type.c == 1) return ll_splat(g, index32(c, base));
      if (x->i) return column_iota(c, base, j);
      return ll_splat(g, index32(c, ll_add(g, base, cg_row_number(c, x->type))));
    }
    case SN_K_BCAST: return cg_get(c, x->a[0], j);
    case SN_K_LT: return below_limit(c, x, j);
    default: return cg_load_window(c, v, j);
  }
}

static ll_v reduce_row(cg *c, const sn_kins *x) { /* whole row at once: four partial results, then one */
  ll_v acc[4][2];
  sn_ktype t = cg_type(c, x->a[0]);
  int n = cg_vecs(c, t), used = n < 4 ? n : 4;
  ll_v col = c->col;
  c->col = NULL;
  if (t.c == 1 && x->op != SN_K_RARGMAX) {
    ll_v only = cg_get(c, x->a[0], 0);
    c->col = col;
    return only;
  }
  for (int q = 0; q < used; q++) cg_red_init(c, x, acc[q]);
  for (int j = 0; j < n; j++) {
    if (j % SIDE_BY_SIDE == 0) cg_get_side_by_side(c, x->a[0], j, n - j < SIDE_BY_SIDE ? n - j : SIDE_BY_SIDE);
    cg_red_step(c, x, acc[j & 3], cg_red_input(c, x, j), cg_column_numbers(c, j));
  }
  for (int q = 1; q < used; q++) cg_red_join(c, x, acc[0], acc[q]);
  c->col = col;
  return cg_red_finish(c, x, acc[0]);
}

static ll_v compute(cg *c, sn_kv v, int j) {
  const sn_kins *x = cg_ins(c, v);
  ll_v a[3];
  if (x->op == SN_K_LOAD || x->op == SN_K_GATHER) return cg_load_window(c, v, j);
  if (cg_is_reduce(x)) return reduce_row(c, x);
  for (int q = 0; q < x->count; q++) a[q] = cg_get(c, x->a[q], j);
  return cg_apply(c, x, cg_type(c, x->a[x->count - 1]).elem, a);
}

ll_v cg_get(cg *c, sn_kv v, int j) {
  const sn_kins *x = cg_ins(c, v);
  if (x->type.c == 1) j = 0;
  int key = key_of(c, v, j);
  ll_v known = ll_recall(&c->g, key);
  if (known) return known;
  if (c->p.virt[v]) return ll_remember(&c->g, key, virtual_value(c, v, j));
  int ld = cg_ld(&c->p, x->type);
  if (!c->rows || c->p.member[v] != c->rows->number) {
    return ll_remember(&c->g, key, cg_slot_load(c, cg_slot(c, v), x->type, ld, j));
  }
  if (c->rows->wide && c->spill[v] != CG_SPILL_NONE && c->p.phase[v] < c->phase) {
    if (c->spill[v] == CG_SPILL_SLOT) return ll_remember(&c->g, key, cg_slot_load(c, cg_slot(c, v), x->type, ld, j));
    sn_ktype one = {x->type.elem, 1, x->type.c};
    ll_v base = cg_ws_at(c, c->spill[v] + c->flight * cg_slot_bytes(&c->p, one));
    return ll_remember(&c->g, key, cg_slot_load(c, base, one, ld, j));
  }
  return ll_remember(&c->g, key, compute(c, v, j));
}

/* Is v made of operands here, rather than fetched from where it lies? */
static bool is_made(const cg *c, sn_kv v) {
  const sn_kins *x = cg_ins(c, v);
  if (c->p.virt[v]) return x->op == SN_K_BCAST;
  if (!c->rows || c->p.member[v] != c->rows->number || !cg_is_elementwise(x->op)) return false;
  return !(c->rows->wide && c->spill[v] != CG_SPILL_NONE && c->p.phase[v] < c->phase);
}

void cg_get_side_by_side(cg *c, sn_kv v, int j, int n) {
  const sn_kins *x = cg_ins(c, v);
  if (x->type.c == 1 || ll_recall(&c->g, key_of(c, v, j))) return;
  for (int q = 0; q < x->count && is_made(c, v); q++)
    if (cg_is_tile(c->k, x->a[q])) cg_get_side_by_side(c, x->a[q], j, n);
  for (int i = 0; i < n; i++) cg_get(c, v, j + i);
}

void cg_in_flight(cg *c, int r) {
  c->flight = r;
  c->row = c->row_of[r];
}

/* ---- windows of a cluster ------------------------------------------------------------------------------ */

static int add_window(sn_kv *out, int n, int most, sn_kv v) {
  for (int j = 0; j < n; j++)
    if (out[j] == v) return n;
  if (n < most) out[n++] = v;
  return n;
}

int cg_windows(const cg *c, const cg_step *s, sn_kv *out, int most) {
  int n = 0;
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = cg_ins(c, s->ops[q]);
    bool memory = x->op == SN_K_STORE || x->op == SN_K_LOAD || x->op == SN_K_GATHER;
    if (memory) n = add_window(out, n, most, s->ops[q]);
    for (int j = memory ? 6 : 0; j < x->count; j++) {
      sn_kv v = x->a[j];
      while (cg_ins(c, v)->op == SN_K_BCAST) v = cg_ins(c, v)->a[0];
      if (cg_ins(c, v)->op == SN_K_LOAD && c->p.virt[v]) n = add_window(out, n, most, v);
    }
  }
  return n;
}

/* ---- one row, unrolled whole ---------------------------------------------------------------------------- */

static int column_results(const cg *c, const cg_step *s, ll_v *acc, cg *init) {
  int n = 0;
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = cg_ins(c, s->ops[q]);
    if (!cg_is_reduce(x) || x->i != 0) continue;
    for (int j = 0; j < cg_vecs(c, x->type); j++) cg_red_init(init, x, &acc[n++]);
  }
  return n;
}

/* what an operation reads, or it itself, for the next vectors */
static void side_by_side(cg *c, sn_kv v, int j, int vectors) {
  const sn_kins *x = cg_ins(c, v);
  int n = vectors - j < SIDE_BY_SIDE ? vectors - j : SIDE_BY_SIDE;
  if (cg_is_reduce(x) || x->op == SN_K_STORE)
    cg_get_side_by_side(c, x->op == SN_K_STORE ? x->a[6] : x->a[0], j, n);
  else if (c->p.slot[v])
    cg_get_side_by_side(c, v, j, n);
}

static void unrolled_row(cg *c, ll_v *acc) {
  const cg_step *s = c->rows;
  struct {
    sn_kv v;
    int j;
    ll_v x;
  } *pending = sn_arena_array(c->arena, (size_t)s->work + 1, sizeof *pending);
  int waiting = 0;
  for (int q = 0; q < s->count; q++) {
    sn_kv v = s->ops[q];
    const sn_kins *x = cg_ins(c, v);
    bool column = cg_is_reduce(x) && x->i == 0, forced = x->op == SN_K_LOAD || x->op == SN_K_GATHER;
    sn_ktype t = cg_shape(c->k, v);
    for (int j = 0; j < cg_vecs(c, t); j++) {
      if (j % SIDE_BY_SIDE == 0) side_by_side(c, v, j, cg_vecs(c, t));
      if (column)
        cg_red_step(c, x, acc++, cg_get(c, x->a[0], j), NULL);
      else if (x->op == SN_K_STORE)
        cg_store_window(c, v, cg_get(c, x->a[6], j), j);
      else if (c->p.slot[v])
        pending[waiting].v = v, pending[waiting].j = j, pending[waiting++].x = cg_get(c, v, j);
      else if (forced)
        cg_get(c, v, j); /* memory that the kernel writes: loaded in program order */
    }
  }
  for (int q = 0; q < waiting; q++) { /* after all loads of the row: a slot may be shared with an operand */
    sn_kv v = pending[q].v;
    cg_slot_store(c, pending[q].x, cg_slot(c, v), cg_type(c, v), cg_ld(&c->p, cg_type(c, v)), pending[q].j);
  }
}

static void store_column_results(cg *c, const cg_step *s, ll_v *acc, int n, int unroll) {
  int at = 0;
  c->row = ll_i(&c->g, 0);
  for (int q = 0; q < s->count; q++) {
    sn_kv v = s->ops[q];
    const sn_kins *x = cg_ins(c, v);
    if (!cg_is_reduce(x) || x->i != 0) continue;
    for (int j = 0; j < cg_vecs(c, x->type); j++, at++) {
      for (int u = 1; u < unroll; u++) cg_red_join(c, x, &acc[at], &acc[at + u * n]);
      cg_slot_store(c, acc[at], cg_slot(c, v), x->type, cg_ld(&c->p, x->type), j);
    }
  }
}

/* the number of rows to walk; guard: it may be 0 */
static ll_v row_end(cg *c, const cg_step *s, bool *guard) {
  *guard = s->bound && !cg_limit_holds(c, s->bound, s->rows);
  if (!*guard) return ll_i(&c->g, s->rows);
  return cg_clamp(c, cg_index(c, s->bound), 0, s->rows);
}

static void unrolled_rows(cg *c, const cg_step *s) {
  ll *g = &c->g;
  ll_v acc[LL_CARRY];
  bool guard;
  int n = column_results(c, s, acc, c), unroll = n && s->rows % 2 == 0 ? 2 : 1;
  ll_v end = row_end(c, s, &guard);
  for (int q = n; q < n * unroll; q++) acc[q] = acc[q - n];
  ll_loop l;
  bool loop = guard || s->rows > unroll;
  if (loop) {
    ll_loop_begin(g, &l, ll_i(g, 0), end, ll_i(g, unroll), n * unroll, acc, guard);
    for (int q = 0; q < n * unroll; q++) acc[q] = l.phi[q];
  }
  for (int u = 0; u < unroll; u++) {
    c->row_of[u] = loop ? ll_add(g, l.iv, ll_i(g, u)) : ll_i(g, u);
    cg_in_flight(c, u);
    unrolled_row(c, acc + u * n);
  }
  if (loop) {
    ll_loop_end(g, &l, acc);
    for (int q = 0; q < n * unroll; q++) acc[q] = l.out[q];
  }
  cg_in_flight(c, 0);
  store_column_results(c, s, acc, n, unroll);
}

/* ---- long rows ------------------------------------------------------------------------------------------ */

static void start_column_results(cg *c, const cg_step *s) { /* wide form: running results live in the slot */
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = cg_ins(c, s->ops[q]);
    if (!cg_is_reduce(x) || x->i != 0) continue;
    ll *g = &c->g;
    ll_v init;
    ll_loop l;
    cg_red_init(c, x, &init);
    ll_loop_begin(g, &l, ll_i(g, 0), ll_i(g, cg_vecs(c, x->type) * g->lanes), ll_i(g, g->lanes), 0, NULL, false);
    c->col = l.iv;
    cg_slot_store(c, init, cg_slot(c, s->ops[q]), x->type, cg_ld(&c->p, x->type), 0);
    ll_loop_end(g, &l, NULL);
    c->col = NULL;
  }
}

static void wide_rows(cg *c, const cg_step *s) {
  ll *g = &c->g;
  bool guard;
  ll_v end = row_end(c, s, &guard);
  cg_wide_prepare(c);
  start_column_results(c, s);
  int flights = cg_wide_flights(c, s);
  ll_loop l;
  bool loop = guard || s->rows > flights;
  if (loop) ll_loop_begin(g, &l, ll_i(g, 0), end, ll_i(g, flights), 0, NULL, guard);
  for (int u = 0; u < flights; u++) {
    ll_v row = loop ? ll_add(g, l.iv, ll_i(g, u)) : ll_i(g, u);
    /* rows past the end repeat the last one: the same values are stored again */
    c->row_of[u] = guard && u ? ll_imin(g, row, ll_sub(g, end, ll_i(g, 1))) : row;
  }
  cg_wide_rows(c, flights);
  if (loop) ll_loop_end(g, &l, NULL);
  cg_in_flight(c, 0);
}

/* ---- the cluster ------------------------------------------------------------------------------------------ */

/* do all column limits hold? NULL: none can bite */
static ll_v limits_hold(cg *c, const cg_step *s) {
  sn_kv w[MOST_WINDOWS];
  int n = cg_windows(c, s, w, MOST_WINDOWS);
  ll_v all = NULL;
  if (n == MOST_WINDOWS) return NULL; /* there may be more */
  for (int j = 0; j < n; j++) {
    sn_kv limit = cg_ins(c, w[j])->a[5];
    int columns = cg_shape(c->k, w[j]).c;
    if (!limit || columns == 1 || cg_limit_holds(c, limit, columns)) continue;
    ll_v holds = ll_icmp(&c->g, LLVMIntSGE, cg_index(c, limit), ll_i(&c->g, columns));
    all = all ? ll_and(&c->g, all, holds) : holds;
  }
  return all;
}

static void emit_form(cg *c, const cg_step *s) {
  if (s->wide)
    wide_rows(c, s);
  else
    unrolled_rows(c, s);
}

static void emit_rows(cg *c, const cg_step *s) {
  ll_branch br;
  ll_v streams = cg_cluster_streams(c, s);
  if (streams) {
    ll_if(&c->g, &br, streams);
    c->streaming = true;
    emit_form(c, s);
    c->streaming = false;
    ll_else(&c->g, &br);
  }
  emit_form(c, s);
  if (streams) ll_endif(&c->g, &br);
}

void cg_rows(cg *c, const cg_step *s) {
  int mark = ll_scope(&c->g);
  ll_branch br;
  c->rows = s;
  ll_v holds = c->g.isa.masks || s->wide ? NULL : limits_hold(c, s);
  if (holds) { /* masks are slow on this level: a second copy without them */
    ll_if(&c->g, &br, holds);
    c->unlimited = true;
    emit_rows(c, s);
    c->unlimited = false;
    ll_else(&c->g, &br);
  }
  emit_rows(c, s);
  if (holds) ll_endif(&c->g, &br);
  c->rows = NULL;
  c->row = NULL;
  ll_scope_end(&c->g, mark);
}
