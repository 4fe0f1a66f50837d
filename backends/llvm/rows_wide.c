/* Row clusters whose rows are too long to unroll. Row reductions cut the work into phases: a value's phase is the
 * number of row reductions before it. Each phase is one loop over groups of vectors for every width; up to four rows
 * are in flight, so that their latencies overlap. What a later phase reads again is recomputed if that is cheap and
 * kept in memory otherwise. */
#include "backends/llvm/cg.h"

enum { CHEAP = 8, MOST_WINDOWS = 128, MOST_CARRIED = 64 };

static int width_of(const cg *c, sn_kv v) {
  const sn_kins *x = cg_ins(c, v);
  return cg_is_reduce(x) ? cg_type(c, x->a[0]).c : cg_shape(c->k, v).c;
}
static bool row_reduce(const sn_kins *x) { return cg_is_reduce(x) && x->i == 1; }
static bool column_reduce(const sn_kins *x) { return cg_is_reduce(x) && x->i == 0; }
static int run_phase(const cg *c, sn_kv v) { return c->p.phase[v] - row_reduce(cg_ins(c, v)); }

int cg_work_before(const cg *c, int phase) {
  int n = 0;
  for (int q = 0; q < c->rows->count; q++) {
    const sn_kins *x = cg_ins(c, c->rows->ops[q]);
    bool wide = x->op == SN_K_STORE || cg_is_reduce(x) || x->type.c > 1;
    n += wide && run_phase(c, c->rows->ops[q]) < phase;
  }
  return n;
}

/* ---- what is kept ----------------------------------------------------------------------------------- */

static int own_cost(const sn_kins *x) {
  switch (x->op) {
    case SN_K_DIV:
    case SN_K_SQRT:
    case SN_K_RSQRT:
    case SN_K_RECIP:
    case SN_K_MOD: return 5;
    case SN_K_GATHER: return CHEAP + 1;
    default: return 1;
  }
}

/* price of computing a vector of v again, counted up to CHEAP + 1 */
static int cost(const cg *c, sn_kv v, int left) {
  const sn_kins *x = cg_ins(c, v);
  if (x->type.c == 1 || x->op == SN_K_LOAD || (c->p.virt[v] && x->op != SN_K_BCAST)) return 1;
  if (c->p.member[v] != c->rows->number && !c->p.virt[v]) return 1; /* in its slot */
  int sum = own_cost(x);
  for (int q = 0; q < x->count && sum <= left; q++)
    if (cg_is_tile(c->k, x->a[q])) sum += cost(c, x->a[q], left - sum);
  return sum;
}

static void keep(cg *c, sn_kv d, int phase) {
  sn_ktype t = cg_type(c, d);
  if (c->p.member[d] != c->rows->number || t.c == 1 || c->p.phase[d] >= phase || c->spill[d] != CG_SPILL_NONE) return;
  if (cost(c, d, CHEAP) <= CHEAP) return;
  sn_ktype row = {t.elem, 1, t.c};
  c->spill[d] = c->p.slot[d] ? CG_SPILL_SLOT : cg_temp(c, CG_FLIGHT * cg_slot_bytes(&c->p, row));
}

/* everything that is evaluated for v in `phase` */
static void keep_below(cg *c, sn_kv v, int phase, int depth) {
  sn_kv d[SN_K_ARGS];
  int n = cg_deps(&c->p, v, d);
  for (int j = 0; j < n; j++) {
    keep(c, d[j], phase);
    bool again = c->p.member[d[j]] == c->rows->number && c->p.phase[d[j]] < phase && cg_type(c, d[j]).c > 1 &&
                 c->spill[d[j]] == CG_SPILL_NONE;
    if (again && depth < CHEAP) keep_below(c, d[j], phase, depth + 1);
  }
}

void cg_wide_prepare(cg *c) {
  const cg_step *s = c->rows;
  for (int q = 0; q < s->count; q++) c->spill[s->ops[q]] = CG_SPILL_NONE;
  for (int q = 0; q < s->count; q++) keep_below(c, s->ops[q], run_phase(c, s->ops[q]), 0);
}

/* ---- one phase, one width --------------------------------------------------------------------------- */

typedef struct phase_loop {
  int width;  /* columns */
  int unroll; /* vectors per iteration */
  int first, flights;
  int parts; /* carried values of one row and one unrolled vector */
  ll_v *acc; /* [flight][unroll][parts] */
  const cg_rows_ahead *ahead;
} phase_loop;

/* does v do its work in the vector loop of the current phase? */
static bool works(const cg *c, sn_kv v, int width) {
  const sn_kins *x = cg_ins(c, v);
  if (width_of(c, v) != width || width == 1 || run_phase(c, v) != c->phase) return false;
  bool forced = (x->op == SN_K_LOAD || x->op == SN_K_GATHER) && c->rows->ordered;
  return cg_is_reduce(x) || x->op == SN_K_STORE || c->p.slot[v] || c->spill[v] != CG_SPILL_NONE || forced;
}

static void add_to_columns(cg *c, sn_kv v, int j) {
  const sn_kins *x = cg_ins(c, v);
  int ld = cg_ld(&c->p, x->type);
  ll_v sum = cg_slot_load(c, cg_slot(c, v), x->type, ld, j);
  cg_red_step(c, x, &sum, cg_get(c, x->a[0], j), NULL);
  cg_slot_store(c, sum, cg_slot(c, v), x->type, ld, j);
}

static void keep_vector(cg *c, sn_kv v, int j) {
  sn_ktype t = cg_type(c, v), row = {t.elem, 1, t.c};
  int ld = cg_ld(&c->p, t);
  if (c->p.slot[v]) cg_slot_store(c, cg_get(c, v, j), cg_slot(c, v), t, ld, j);
  if (c->spill[v] >= 0) {
    cg_slot_store(c, cg_get(c, v, j), cg_ws_at(c, c->spill[v] + c->flight * cg_slot_bytes(&c->p, row)), row, ld, j);
  }
}

/* One row's share of an iteration over `vectors` vectors. pass 0: everything but slots, which may be shared with an
 * operand that is still to be read; pass 1: slots */
static void phase_row(cg *c, const phase_loop *p, int vectors, ll_v *acc, int pass) {
  const cg_step *s = c->rows;
  int part = 0;
  for (int q = 0; q < s->count; q++) {
    sn_kv v = s->ops[q];
    const sn_kins *x = cg_ins(c, v);
    if (!works(c, v, p->width)) continue;
    bool kept = !cg_is_reduce(x) && x->op != SN_K_STORE && (c->p.slot[v] || c->spill[v] >= 0);
    cg_get_side_by_side(c, cg_is_reduce(x) ? x->a[0] : x->op == SN_K_STORE ? x->a[6] : v, 0, vectors);
    for (int j = 0; j < vectors; j++) {
      if (pass == 1) {
        if (kept) keep_vector(c, v, j);
      } else if (row_reduce(x)) {
        cg_red_step(c, x, acc + j * p->parts + part, cg_red_input(c, x, j), cg_column_numbers(c, j));
      } else if (column_reduce(x)) {
        add_to_columns(c, v, j);
      } else if (x->op == SN_K_STORE) {
        cg_store_window(c, v, cg_get(c, x->a[6], j), j);
      } else {
        cg_get(c, v, j);
      }
    }
    if (row_reduce(x)) part += cg_red_parts(x);
  }
}

/* columns [lo, hi), a multiple of whole iterations */
static void phase_part(cg *c, phase_loop *p, int vectors, ll_v lo, ll_v hi, bool guard) {
  ll *g = &c->g;
  int per_row = p->unroll * p->parts, n = p->flights * per_row;
  ll_loop l;
  ll_loop_begin(g, &l, lo, hi, ll_i(g, vectors * g->lanes), n, p->acc, guard);
  c->col = l.iv;
  for (int q = 0; q < n; q++) p->acc[q] = l.phi[q];
  for (int r = 0; r < p->flights; r++) {
    cg_in_flight(c, p->first + r);
    if (c->inside) cg_fetch_rows(c, p->ahead, p->width, vectors);
    for (int pass = 0; pass < 2; pass++) { phase_row(c, p, vectors, p->acc + r * per_row, pass); }
  }
  ll_loop_end(g, &l, p->acc);
  for (int q = 0; q < n; q++) p->acc[q] = l.out[q];
  c->col = NULL;
}

/* columns in which no window of this width needs a mask */
static ll_v unmasked_columns(cg *c, int width, int step) {
  ll *g = &c->g;
  sn_kv w[MOST_WINDOWS];
  int n = cg_windows(c, c->rows, w, MOST_WINDOWS);
  ll_v cut = ll_i(g, width);
  c->met_count = 0;
  if (n == MOST_WINDOWS) return ll_i(g, 0);
  for (int j = 0; j < n; j++) {
    sn_kv limit = cg_ins(c, w[j])->a[5];
    if (!limit || cg_shape(c->k, w[j]).c != width || cg_limit_holds(c, limit, width)) continue;
    if (c->met_count < CG_MET) c->met[c->met_count++] = limit;
    cut = ll_imin(g, cut, cg_index(c, limit));
  }
  int64_t fixed;
  if (ll_const(cut, &fixed)) return ll_i(g, (fixed < 0 ? 0 : fixed) / step * step);
  cut = ll_imax(g, cut, ll_i(g, 0));
  return ll_mul(g, LLVMBuildUDiv(g->b, cut, ll_i(g, step), ""), ll_i(g, step));
}

static void phase_results(cg *c, const phase_loop *p, int flight) {
  const cg_step *s = c->rows;
  ll_v *acc = p->acc + flight * p->unroll * p->parts;
  int part = 0;
  cg_in_flight(c, flight);
  for (int q = 0; q < s->count; q++) {
    sn_kv v = s->ops[q];
    const sn_kins *x = cg_ins(c, v);
    if (!row_reduce(x) || !works(c, v, p->width)) continue;
    for (int u = 1; u < p->unroll; u++) cg_red_join(c, x, acc + part, acc + u * p->parts + part);
    int n = c->k->ins_count;
    ll_remember(&c->g, n + (flight * n + v) * CG_STATIC_VECTORS, cg_red_finish(c, x, acc + part));
    part += cg_red_parts(x);
  }
}

/* carried values of one row per unrolled vector */
static int count_parts(cg *c, int width, ll_v *init) {
  int parts = 0;
  for (int q = 0; q < c->rows->count; q++) {
    const sn_kins *x = cg_ins(c, c->rows->ops[q]);
    if (!row_reduce(x) || !works(c, c->rows->ops[q], width)) continue;
    if (init) cg_red_init(c, x, init + parts);
    parts += cg_red_parts(x);
  }
  return parts;
}

/* half of the registers or more are left for what happens between */
static int most_carried(const cg *c) { return c->g.lanes < 16 ? 8 : 16; }
static int most_unrolled(const cg *c) { return c->g.lanes < 16 ? 2 : 4; }

/* vectors per iteration. A sum has an accumulator for each: its order must not depend on what else the loop does,
 * unless there would be far too many of them. */
static int unroll_of(const cg *c, int width, int carried) {
  int n = width / c->g.lanes, most = most_unrolled(c);
  while (most > 1 && (most > n || most * carried > MOST_CARRIED)) most /= 2;
  return n % 3 == 0 && n % 4 && most == 4 ? 3 : most;
}

static void phase_columns(cg *c, phase_loop *p) {
  ll *g = &c->g;
  int64_t fixed = 0;
  ll_v cut = unmasked_columns(c, p->width, p->unroll * g->lanes);
  ll_v padded = ll_i(g, cg_vectors(p->width, g->lanes) * g->lanes);
  bool known = ll_const(cut, &fixed);
  c->inside = true;
  if (!known || fixed > 0) phase_part(c, p, p->unroll, ll_i(g, 0), cut, !known);
  c->inside = false;
  if (!known || fixed < cg_vectors(p->width, g->lanes) * g->lanes) phase_part(c, p, 1, cut, padded, !known);
}

/* Without sums to wait for, one row after the other: what is written goes to one place at a time, and no row is read
 * just behind a store to the same place of another page. */
static void phase_of_width(cg *c, int width, int flights, const cg_rows_ahead *ahead) {
  ll_v init[LL_CARRY], acc[LL_CARRY];
  int parts = count_parts(c, width, NULL);
  if (parts * flights > LL_CARRY) {
    cg_fail(c, c->rows->ops[0], "too many reductions in one cluster");
    return;
  }
  phase_loop p = {.width = width, .flights = flights, .parts = parts, .acc = acc, .ahead = ahead};
  p.unroll = unroll_of(c, width, parts * flights);
  count_parts(c, width, init);
  for (int q = 0; q < flights * p.unroll * p.parts; q++) acc[q] = init[q % p.parts];
  if (parts) {
    phase_columns(c, &p);
  } else {
    p.flights = 1;
    for (; p.first < flights; p.first++) phase_columns(c, &p);
  }
  for (int r = 0; r < flights; r++) phase_results(c, &p, r);
}

/* ---- rows in flight --------------------------------------------------------------------------------- */

/* most values that a row carries through one phase */
static int most_parts(const cg *c, const cg_step *s) {
  int most = 0;
  for (int phase = 0; phase <= s->last_phase; phase++) {
    int parts = 0;
    for (int q = 0; q < s->count; q++)
      if (row_reduce(cg_ins(c, s->ops[q])) && run_phase(c, s->ops[q]) == phase)
        parts += cg_red_parts(cg_ins(c, s->ops[q]));
    if (parts > most) most = parts;
  }
  return most;
}

int cg_wide_flights(const cg *c, const cg_step *s) {
  if (!s->reduces) return 1;
  int carried = most_parts(c, s) * most_unrolled(c);
  int flights = s->bound ? CG_FLIGHT : s->rows % 4 == 0 ? 4 : s->rows % 2 == 0 ? 2 : 1;
  while (flights > 1 && (flights * carried > most_carried(c) || flights > s->rows)) flights /= 2;
  return flights;
}

static void narrow_values(cg *c, int flights) { /* scalars of the row: known before the loops that use them */
  const cg_step *s = c->rows;
  for (int q = 0; q < s->count * flights; q++) {
    sn_kv v = s->ops[q / flights];
    const sn_kins *x = cg_ins(c, v);
    bool wide_input = row_reduce(x) && width_of(c, v) > 1;
    if (x->op == SN_K_STORE || x->type.c != 1 || wide_input || column_reduce(x) || c->p.phase[v] != c->phase) continue;
    cg_in_flight(c, q % flights);
    cg_get(c, v, 0);
  }
}

static void narrow_results(cg *c, int flights) {
  const cg_step *s = c->rows;
  for (int q = 0; q < s->count * flights; q++) {
    sn_kv v = s->ops[q / flights];
    const sn_kins *x = cg_ins(c, v);
    sn_ktype t = cg_shape(c->k, v);
    cg_in_flight(c, q % flights);
    if (column_reduce(x) && width_of(c, v) == 1)
      add_to_columns(c, v, 0);
    else if (t.c != 1 || column_reduce(x))
      continue;
    else if (x->op == SN_K_STORE)
      cg_store_window(c, v, cg_get(c, x->a[6], 0), 0);
    else if (c->p.slot[v])
      cg_slot_store(c, cg_get(c, v, 0), cg_slot(c, v), t, 1, 0);
  }
}

void cg_wide_rows(cg *c, int flights) {
  const cg_step *s = c->rows;
  cg_rows_ahead ahead;
  cg_look_at_rows(c, s, flights, &ahead);
  for (c->phase = 0; c->phase <= s->last_phase; c->phase++) {
    narrow_values(c, flights);
    for (int q = 0; q < s->count; q++) {
      int width = width_of(c, s->ops[q]);
      bool first = works(c, s->ops[q], width);
      for (int e = 0; e < q && first; e++) first = !works(c, s->ops[e], width);
      if (first) phase_of_width(c, width, flights, &ahead);
    }
  }
  c->phase = s->last_phase + 1;
  narrow_results(c, flights);
  c->phase = 0, c->met_count = 0;
}
