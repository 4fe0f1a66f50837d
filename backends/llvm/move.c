/* Copies: parts of a value into memory, whole values into slots, several values as if at once. */
#include "backends/llvm/cg.h"

enum { ROWS_AHEAD = 4, LINE = 64 };

/* Where a row goes: its address is base + row*ld, from column col on (NULL: 0). */
typedef struct target {
  ll_v base, row, col;
  int ld;
} target;

/* the vectors of one row */
static void copy_row(cg *c, sn_kv v, const target *to, const cg_part *p, int vectors) {
  sn_ktype t = cg_type(c, v), written = {p->elem, 2, t.c == 1 ? 1 : p->cols};
  for (int j = 0; j < vectors; j++) {
    ll_v x = cg_cast(c, cg_get(c, v, j), t.elem, p->elem), row = c->row, col = c->col;
    c->row = to->row, c->col = to->col;
    cg_slot_store(c, x, to->base, written, to->ld, j);
    c->row = row, c->col = col;
  }
}

/* Memory is asked for some rows before it is copied: what a row gathers from pages apart is more than the processor
 * reorders. */
static void fetch_row_ahead(cg *c, sn_kv v, int cols) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, v);
  int64_t unit, bytes = (int64_t)sn_elem_bytes(x->type.elem);
  if (x->op != SN_K_LOAD || !sn_k_is_const(c->k, x->a[3], &unit) || unit != 1) return;
  ll_v row = ll_mul(g, ll_add(g, c->row, ll_i(g, ROWS_AHEAD)), cg_index(c, x->a[2]));
  ll_v p = ll_gep(g, cg_buffer(c, x->a[0]), ll_mul(g, ll_add(g, cg_index(c, x->a[1]), row), ll_i(g, bytes)));
  for (int64_t at = 0; at < cols * bytes; at += LINE) ll_prefetch(g, ll_gep(g, p, ll_i(g, at)), false);
}

static void copy_panels(cg *c, sn_kv v, target to, const cg_part *p) {
  ll *g = &c->g;
  ll_loop l;
  fetch_row_ahead(c, v, p->cols);
  ll_loop_begin(g, &l, ll_i(g, 0), ll_i(g, (p->cols + p->panel - 1) / p->panel), ll_i(g, 1), 0, NULL, false);
  c->col = ll_mul(g, l.iv, ll_i(g, p->panel));
  to.base = ll_gep(g, to.base, ll_mul(g, l.iv, ll_i(g, p->panel_step * (int64_t)sn_elem_bytes(p->elem))));
  copy_row(c, v, &to, p, cg_vectors(p->panel, g->lanes));
  ll_loop_end(g, &l, NULL);
  c->col = NULL;
}

static void copy_columns(cg *c, sn_kv v, target to, const cg_part *p) {
  ll *g = &c->g;
  if (p->panel) {
    copy_panels(c, v, to, p);
    return;
  }
  int vectors = cg_vectors(p->cols, g->lanes);
  if (vectors <= CG_MAX_VECTORS) {
    c->col = p->col0;
    copy_row(c, v, &to, p, vectors);
    c->col = NULL;
    return;
  }
  ll_loop l;
  ll_loop_begin(g, &l, ll_i(g, 0), ll_i(g, (int64_t)vectors * g->lanes), ll_i(g, g->lanes), 0, NULL, false);
  to.col = l.iv;
  c->col = p->col0 ? ll_add(g, p->col0, l.iv) : l.iv;
  copy_row(c, v, &to, p, 1);
  ll_loop_end(g, &l, NULL);
  c->col = NULL;
}

void cg_copy(cg *c, sn_kv v, ll_v dst, int ld, cg_part p) {
  ll *g = &c->g;
  sn_ktype t = cg_type(c, v);
  const cg_step *rows = c->rows;
  ll_v row = c->row, end = c->col_end;
  int mark = ll_scope(g), flight = c->flight;
  ll_loop l;
  c->rows = NULL, c->flight = CG_FLIGHT - 1, c->col_end = p.col_end;
  bool loop = t.r > 1 || p.rows;
  if (loop) ll_loop_begin(g, &l, ll_i(g, 0), p.rows ? p.rows : ll_i(g, t.r), ll_i(g, 1), 0, NULL, p.rows != NULL);
  target to = {.base = dst, .row = loop ? l.iv : ll_i(g, 0), .ld = ld};
  c->row = p.row0 ? ll_add(g, p.row0, to.row) : to.row;
  copy_columns(c, v, to, &p);
  if (loop) ll_loop_end(g, &l, NULL);
  ll_scope_end(g, mark);
  c->rows = rows, c->row = row, c->flight = flight, c->col_end = end;
}

static void copy_whole(cg *c, sn_kv v, ll_v dst) {
  sn_ktype t = cg_type(c, v);
  cg_copy(c, v, dst, cg_ld(&c->p, t), (cg_part){.cols = t.c, .elem = t.elem});
}

static bool same_place(cg *c, sn_kv a, sn_kv b) { return !c->p.virt[b] && cg_root(&c->p, a) == cg_root(&c->p, b); }

void cg_move(cg *c, sn_kv dst, sn_kv src) {
  if (!same_place(c, dst, src)) copy_whole(c, src, cg_slot(c, dst));
}

/* a plain copy of memory: the slot of v from where its new value was kept */
static void copy_back(cg *c, sn_kv v, ll_v from) {
  ll *g = &c->g;
  sn_ktype t = cg_type(c, v);
  int ld = cg_ld(&c->p, t);
  ll_loop r, q;
  ll_v to = cg_slot(c, v);
  ll_loop_begin(g, &r, ll_i(g, 0), ll_i(g, t.r), ll_i(g, 1), 0, NULL, false);
  ll_loop_begin(g, &q, ll_i(g, 0), ll_i(g, t.c == 1 ? 1 : ld), ll_i(g, g->lanes), 0, NULL, false);
  c->row = r.iv, c->col = q.iv;
  cg_slot_store(c, cg_slot_load(c, from, t, ld, 0), to, t, ld, 0);
  ll_loop_end(g, &q, NULL);
  ll_loop_end(g, &r, NULL);
  c->row = c->col = NULL;
}

void cg_move_all(cg *c, int n, const sn_kv *dst, const sn_kv *src) {
  ll_v kept[SN_K_YIELDS] = {NULL};
  for (int i = 0; i < n; i++) { /* would writing dst[i] destroy what a later move reads? */
    bool hazard = false;
    for (int j = i + 1; j < n; j++) hazard |= same_place(c, dst[i], cg_source(&c->p, src[j]));
    if (same_place(c, dst[i], src[i])) continue;
    if (!hazard) {
      copy_whole(c, src[i], cg_slot(c, dst[i]));
      continue;
    }
    kept[i] = cg_ws_at(c, cg_temp(c, cg_slot_bytes(&c->p, cg_type(c, dst[i]))));
    copy_whole(c, src[i], kept[i]);
  }
  for (int i = 0; i < n; i++)
    if (kept[i]) copy_back(c, dst[i], kept[i]);
}
