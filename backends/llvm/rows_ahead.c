/* Rows that come next, asked for while a cluster works on these. A processor fetches ahead by itself only within a
 * page, and rows are often one: memory would rest while what was read is reduced, and be waited for when the next rows
 * begin. The lines of the next rows are spread over the phases by their work, so that it never rests. They go to the
 * second level cache if there are many: the first one holds the rows at hand. */
#include "backends/llvm/cg.h"

enum { LINE = 64, MOST_WINDOWS = 64, NEAR = 12 << 10 /* bytes that the first level cache has besides those at hand */ };

/* What e gains with the next turn of the loop around, or with the next instance; 0: nothing, or not known. */
static int64_t gain_of_turn(const cg *c, sn_kv e) {
  int64_t gain, step;
  if (!c->loop || !sn_k_is_const(c->k, c->loop->a[2], &step) || !cg_gains(c->k, c->loop->iv, e, &gain)) return 0;
  return gain * step;
}

static int64_t gain_of_instance(const cg *c, sn_kv e) {
  int64_t gain;
  for (sn_kv v = 1; v < c->k->ins_count; v++)
    if (cg_ins(c, v)->op == SN_K_GID && cg_ins(c, v)->i == c->k->grid_count - 1 && cg_gains(c->k, v, e, &gain))
      return gain;
  return 0;
}

/* Elements from a window to the one of what comes next: parts of the same rows in the next turn of the loop around,
 * further rows of the tile, the next instance. NULL: not known. */
static ll_v next_of(cg *c, const cg_step *s, const sn_kins *x, int flights) {
  int64_t turn = gain_of_turn(c, x->a[1]);
  if (turn) return ll_i(&c->g, turn);
  if (s->rows > flights) return x->type.r == 1 ? NULL : ll_mul(&c->g, cg_index(c, x->a[2]), ll_i(&c->g, flights));
  int64_t gain = c->loop ? 0 : gain_of_instance(c, x->a[1]);
  return gain ? ll_i(&c->g, gain) : NULL;
}

static bool is_fetched(const cg *c, const sn_kins *x) {
  int64_t unit;
  return x->op == SN_K_LOAD && cg_ins(c, x->a[0])->op == SN_K_PARAM && x->type.c > 1 &&
         sn_k_is_const(c->k, x->a[3], &unit) && unit == 1;
}

void cg_look_at_rows(cg *c, const cg_step *s, int flights, cg_rows_ahead *out) {
  sn_kv w[MOST_WINDOWS];
  *out = (cg_rows_ahead){.count = 0};
  int n = cg_windows(c, s, w, MOST_WINDOWS), bytes = 0;
  for (int i = 0; i < n && out->count < CG_ROWS_AHEAD; i++) {
    const sn_kins *x = cg_ins(c, w[i]);
    ll_v step = is_fetched(c, x) ? next_of(c, s, x, flights) : NULL;
    if (!step) continue;
    bytes += flights * x->type.c * (int)sn_elem_bytes(x->type.elem);
    out->load[out->count] = w[i];
    out->step[out->count++] = ll_mul(&c->g, step, ll_i(&c->g, (int64_t)sn_elem_bytes(x->type.elem)));
  }
  out->near = bytes <= NEAR;
}

/* Is this the phase in which line `l` of `lines` is asked for? Phases have as many as their share of the work. */
static bool is_due(const cg *c, int l, int lines) {
  int all = cg_work_before(c, c->rows->last_phase + 1), at = (2 * l + 1) * all, each = 2 * lines;
  return at >= cg_work_before(c, c->phase) * each && at < cg_work_before(c, c->phase + 1) * each;
}

void cg_fetch_rows(cg *c, const cg_rows_ahead *a, int width, int vectors) {
  ll *g = &c->g;
  for (int i = 0; i < a->count; i++) {
    sn_ktype t = cg_type(c, a->load[i]);
    int bytes = vectors * g->lanes * (int)sn_elem_bytes(t.elem), lines = (bytes + LINE - 1) / LINE;
    if (t.c != width) continue;
    ll_v next = ll_gep(g, cg_window_place(c, a->load[i], 0), a->step[i]);
    for (int l = 0; l < lines; l++) {
      if (!is_due(c, l, lines)) continue;
      if (a->near)
        ll_prefetch(g, ll_gep(g, next, ll_i(g, l * LINE)), false);
      else
        ll_prefetch_l2(g, ll_gep(g, next, ll_i(g, l * LINE)));
    }
  }
}
