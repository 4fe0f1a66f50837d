/* Operands of products: windows and slots are read in place; what microkernels cannot read is copied to the workspace,
 * in chunks along k, with its padding and in the element type of the product.
 *
 *   b with a column limit that bites   copied in those instances only, decided at run time
 *   b whose rows meet in cache sets    (row stride a multiple of 4 KB) copied when its rows are used often enough
 *   b whose rows are far apart         (a page holds few of them) copied when used by many rows of a
 *   b with k along memory rows         transposed in registers on the way
 *
 * A window of i8 that is cast to f32 is read as i8: microkernels widen it, a copy of it may stay narrow. */
#include "backends/llvm/mma.h"

enum {
  CHUNK = 256,
  WHOLE = 512,
  STRETCH = 1024,
  NEXT_BYTES = 32 << 10,
  ALIAS_BYTES = 4096,
  ALIAS_ROWS = 48,
  KEPT_ROWS = 16,
  FAR_BYTES = 1024,
  FAR_ROWS = 128,
  FAR_COLUMNS = 96
};

static int64_t bytes_of(sn_elem e) { return (int64_t)sn_elem_bytes(e); }

bool cg_is_window(const cg *c, sn_kv v) { return cg_ins(c, v)->op == SN_K_LOAD && c->p.virt[v]; }

static bool is_one(const cg *c, sn_kv index) {
  int64_t n;
  return sn_k_is_const(c->k, index, &n) && n == 1;
}

/* ---- description -------------------------------------------------------------------------------------- */

static ll_v window_start(cg *c, const sn_kins *x) {
  ll *g = &c->g;
  return ll_gep(g, cg_buffer(c, x->a[0]), ll_mul(g, cg_index(c, x->a[1]), ll_i(g, bytes_of(cg_type(c, x->a[0]).elem))));
}

static cg_mat strided(cg *c, ll_v p, sn_kv stride) {
  cg_mat m = {p, cg_index(c, stride), 0};
  (void)sn_k_is_const(c->k, stride, &m.ld_const);
  return m;
}

cg_mat cg_window_mat(cg *c, const sn_kins *x) { return strided(c, window_start(c, x), x->a[2]); }

static void window_operand(cg *c, cg_operand *o) {
  const sn_kins *x = cg_ins(c, o->v);
  sn_ktype t = x->type;
  sn_kv rows = x->a[4] && !cg_limit_holds(c, x->a[4], t.r) ? x->a[4] : 0;
  sn_kv cols = x->a[5] && !cg_limit_holds(c, x->a[5], t.c) ? x->a[5] : 0;
  o->k_limit = o->k_rows ? rows : cols;
  o->limit = o->k_rows ? cols : rows;
  o->pad_zero = x->f == 0;
  bool along_columns = is_one(c, x->a[3]) || t.c == 1, along_rows = is_one(c, x->a[2]) || t.r == 1;
  o->in_place = (along_columns || along_rows) && (o->pad_zero || (!rows && !cols));
  o->mem_k_rows = along_columns ? o->k_rows : !o->k_rows;
  if (o->in_place) o->mem = strided(c, window_start(c, x), x->a[along_columns ? 2 : 3]);
}

sn_kv cg_factor_source(const cg *c, sn_kv v, bool *k_rows) {
  for (const sn_kins *x = cg_ins(c, v); c->p.virt[v]; x = cg_ins(c, v)) {
    if (x->op == SN_K_TRANS)
      *k_rows = !*k_rows;
    else if (x->op != SN_K_CAST)
      break;
    v = x->a[0];
  }
  return v;
}

cg_operand cg_operand_of(cg *c, sn_kv v, bool k_rows) {
  v = cg_factor_source(c, v, &k_rows);
  sn_ktype t = cg_type(c, v);
  cg_operand o = {.v = v, .elem = t.elem, .k_rows = k_rows, .mem_k_rows = k_rows, .pad_zero = true};
  if (cg_is_window(c, v)) {
    window_operand(c, &o);
  } else if (!c->p.virt[v]) {
    int ld = cg_ld(&c->p, t);
    o.in_place = true;
    o.mem = (cg_mat){cg_slot(c, v), ll_i(&c->g, ld), ld};
  }
  return o;
}

bool cg_direct_b(const cg_product *p, sn_elem e) {
  if (e == p->elem) return true;
  if (p->elem == SN_ELEM_I32) return e == SN_ELEM_I8;
  return p->elem == SN_ELEM_F32 && (e == SN_ELEM_BF16 || e == SN_ELEM_I8 || (e == SN_ELEM_F16 && p->c->g.isa.f16c));
}

/* ---- one chunk of k ------------------------------------------------------------------------------------- */

typedef struct piece {
  ll_v k0, count; /* first k, NULL: 0; how many */
  int most;       /* upper bound of count */
  bool copy_a, copy_b;
  bool keep; /* the copy of b serves the next instances too */
} piece;

static int rounded(const cg *c, int n) { return cg_vectors(n, c->g.lanes) * c->g.lanes; }

static cg_mat scratch(cg *c, int rows, int ld, sn_elem e, bool keep) {
  int64_t bytes = (int64_t)rows * ld * bytes_of(e);
  return (cg_mat){keep ? cg_keep(c, bytes) : cg_ws_at(c, cg_temp(c, bytes)), ll_i(&c->g, ld), ld};
}

static cg_mat copy_space(cg *c, const cg_operand *o, const piece *k, int across, sn_elem e, bool keep) {
  int ld = rounded(c, o->k_rows ? across : k->most);
  return scratch(c, o->k_rows ? k->most : across, ld, e, keep);
}

/* a copy in the tile's orientation; across: extent of the other dimension, rows: how many of it exist (NULL: all) */
static void copy(cg *c, const cg_operand *o, const piece *k, int across, ll_v rows, sn_elem e, cg_mat to) {
  ll *g = &c->g;
  cg_part part = {.elem = e, .cols = o->k_rows ? across : k->most};
  if (o->k_rows)
    part.row0 = k->k0, part.rows = k->count;
  else
    part.rows = rows, part.col0 = k->k0, part.col_end = k->k0 ? ll_add(g, k->k0, k->count) : k->count;
  cg_copy(c, o->v, to.p, (int)to.ld_const, part);
}

/* the operand in place, from k0 on */
static cg_mat advanced(cg *c, const cg_operand *o, ll_v k0, int64_t bytes) {
  ll *g = &c->g;
  cg_mat m = o->mem;
  if (k0) m.p = ll_gep(g, m.p, ll_mul(g, o->mem_k_rows ? ll_mul(g, k0, m.ld) : k0, ll_i(g, bytes)));
  return m;
}

/* elements from one panel to the next: a last row may be written by a whole vector, and rows of several panels should
 * not meet in few cache sets */
static int64_t panel_step(const cg *c, const piece *k, int width) { return (int64_t)k->most * width + c->g.lanes; }

/* Panels of `width` columns, each [k][width]. */
static cg_mat panel_space(cg *c, const piece *k, int across, int width, sn_elem e, bool keep) {
  int64_t bytes = (across + width - 1) / width * panel_step(c, k, width) * bytes_of(e);
  return (cg_mat){keep ? cg_keep(c, bytes) : cg_ws_at(c, cg_temp(c, bytes)), ll_i(&c->g, width), width};
}

/* a copy in the tile's orientation, whose rows run along k */
static void copy_panels(cg *c, const cg_operand *o, const piece *k, int across, sn_elem e, cg_mat to) {
  int width = (int)to.ld_const;
  int64_t step = panel_step(c, k, width);
  cg_part part = {.elem = e, .cols = across, .row0 = k->k0, .rows = k->count, .panel = width, .panel_step = step};
  cg_copy(c, o->v, to.p, width, part);
}

/* the same from rows of the other dimension, `from` */
static void turn_panels(cg *c, cg_mat from, const piece *k, int across, sn_elem e, cg_mat to) {
  ll *g = &c->g;
  int64_t width = to.ld_const, step = panel_step(c, k, (int)width), bytes = bytes_of(e);
  for (int64_t at = 0; at < across; at += width) {
    ll_v columns = ll_i(g, across - at < width ? across - at : width);
    ll_v src = ll_gep(g, from.p, ll_mul(g, from.ld, ll_i(g, at * bytes)));
    cg_transpose_mem(c, e, src, from.ld, columns, k->count, ll_gep(g, to.p, ll_i(g, at / width * step * bytes)), to.ld);
  }
}

static void place_a(cg_product *p, const piece *k) {
  cg *c = p->c;
  int rows = cg_even_rows(p);
  p->ta = k->copy_a ? p->a.k_rows : p->a.mem_k_rows;
  p->a_panel = 0;
  if (k->copy_a && p->ta && k->k0 && rows) {
    p->a_panel = panel_step(c, k, rows);
    p->pa = panel_space(c, k, p->m, rows, p->elem_a, false);
    copy_panels(c, &p->a, k, p->m, p->elem_a, p->pa);
    return;
  }
  if (!k->copy_a) {
    p->pa = advanced(c, &p->a, k->k0, bytes_of(p->elem_a));
    return;
  }
  p->pa = copy_space(c, &p->a, k, p->m, p->elem_a, false);
  copy(c, &p->a, k, p->m, p->valid, p->elem_a, p->pa);
}

/* the type of a copy: converting in the microkernel is cheaper than twice the memory */
static sn_elem copied_elem(const cg_product *p) { return cg_direct_b(p, p->b.elem) ? p->b.elem : p->elem; }

/* b in rows of k, by copy, transposition or both; what more than one microkernel reads, in panels */
static void make_b(cg_product *p, const piece *k) {
  cg *c = p->c;
  ll *g = &c->g;
  ll_branch br;
  ll_v fill = NULL;
  bool turn = !(k->copy_b ? p->b.k_rows : p->b.mem_k_rows);
  sn_elem e = k->copy_b ? copied_elem(p) : p->b.elem;
  int width = cg_chunk_columns(p) < p->n ? cg_chunk_columns(p) : rounded(c, p->n);
  cg_mat rows = turn && k->copy_b ? copy_space(c, &p->b, k, p->n, e, false) : (cg_mat){0};
  p->near_b = true, p->elem_b = e;
  p->b_panel = width < p->n ? panel_step(c, k, width) : 0;
  p->pb = panel_space(c, k, p->n, width, e, k->keep);
  if (k->keep && cg_keeps(p, &fill)) ll_if(g, &br, fill);
  if (turn && k->copy_b) copy(c, &p->b, k, p->n, NULL, e, rows);
  if (turn)
    turn_panels(c, k->copy_b ? rows : advanced(c, &p->b, k->k0, bytes_of(p->b.elem)), k, p->n, e, p->pb);
  else if (p->b_panel)
    copy_panels(c, &p->b, k, p->n, e, p->pb);
  else
    copy(c, &p->b, k, p->n, NULL, e, p->pb);
  if (!fill) return;
  ll_else(g, &br);
  ll_endif(g, &br);
}

static void place_b(cg_product *p, const piece *k) {
  ll *g = &p->c->g;
  p->b_panel = 0;
  p->near_b = p->b.slid;
  if (!p->pairs && (k->copy_b || !p->b.mem_k_rows)) {
    make_b(p, k);
    return;
  }
  p->elem_b = p->b.elem;
  p->pb = p->pairs ? p->b.mem : advanced(p->c, &p->b, k->k0, bytes_of(p->b.elem));
  if (p->pairs && k->k0) p->pb.p = ll_gep(g, p->pb.p, ll_mul(g, k->k0, p->pb.ld)); /* rows hold pairs of k */
}

/* what will be copied for the next stretch; after the last one, the first: the next instance may begin there */
static void look_at_next(cg_product *p, const cg_product *whole, const piece *k) {
  ll *g = &p->c->g;
  ll_v next = ll_add(g, k->k0, ll_i(g, CHUNK));
  next = ll_select(g, ll_icmp(g, LLVMIntSLT, next, whole->k), next, ll_i(g, 0));
  if (k->copy_a && p->a.in_place && p->a.mem_k_rows) p->next_a = advanced(p->c, &p->a, next, bytes_of(p->a.elem));
  if (k->copy_b && p->b.in_place && p->b.mem_k_rows) p->next_b = advanced(p->c, &p->b, next, bytes_of(p->b.elem));
}

static void emit_piece(cg_product *p, const piece *k) {
  place_a(p, k);
  place_b(p, k);
  cg_emit_blocks(p);
}

/* ---- all of k --------------------------------------------------------------------------------------------- */

/* Before stretches of k that add to each other: the first one writes, so that the result is not touched before. False:
 * all add. */
bool cg_begin_sum(const cg_product *p, ll_v whole) {
  ll *g = &p->c->g;
  ll_branch br;
  int64_t k;
  ll_v rows = p->keep_rows && p->valid ? p->valid : ll_i(g, p->m);
  bool known = ll_const(whole, &k) && k > 0;
  if (p->beta) return false;
  if (!known) ll_if(g, &br, ll_icmp(g, LLVMIntSGT, whole, ll_i(g, 0)));
  if (p->valid && !p->keep_rows) cg_zero(p, p->valid, rows);
  if (known) return true;
  ll_else(g, &br);
  cg_zero(p, ll_i(g, 0), rows);
  ll_endif(g, &br);
  return true;
}

static ll_v is_later(ll *g, ll_v k0) { return ll_icmp(g, LLVMIntNE, k0, ll_i(g, 0)); }

static void emit_chunks(const cg_product *whole, bool copy_a, bool copy_b) {
  cg_product p = *whole;
  ll *g = &p.c->g;
  int64_t top = p.c->ws_top;
  piece k = {.copy_a = copy_a, .copy_b = copy_b, .count = p.k, .most = (int)p.k_most};
  k.keep = cg_keeps(&p, NULL);
  if (p.k_most && (p.k_most <= WHOLE || k.keep)) {
    if (k.keep && !copy_a) cg_look_at_next_rows(&p);
    emit_piece(&p, &k);
  } else {
    bool writes = cg_begin_sum(&p, p.k);
    ll_loop l;
    ll_loop_begin(g, &l, ll_i(g, 0), whole->k, ll_i(g, CHUNK), 0, NULL, true);
    p.beta = p.any_k = true, p.adds = writes ? is_later(g, l.iv) : NULL;
    k.k0 = l.iv, k.most = CHUNK, k.keep = false;
    p.k = k.count = ll_imin(g, ll_i(g, CHUNK), ll_sub(g, whole->k, l.iv));
    look_at_next(&p, whole, &k);
    emit_piece(&p, &k);
    ll_loop_end(g, &l, NULL);
  }
  p.c->ws_top = top;
}

/* Is b one panel that lies in memory as microkernels read it? */
static bool is_panel(const cg_product *p) {
  bool window = !p->pairs && cg_is_window(p->c, p->b.v) && p->b.mem_k_rows && !p->b.slid;
  return window && p->b.mem.ld_const == p->n && p->n <= cg_chunk_columns(p);
}

/* A panel in place: in stretches of k that fit a part of the second level cache, so that all rows of a but the first
 * few read it there; while they do, what follows in memory is asked for, the next stretch or the next panel. */
static void emit_panel(cg_product *p) {
  ll *g = &p->c->g;
  const cg_product whole = *p;
  bool cut = (!p->k_most || p->k_most >= 2 * STRETCH) && p->m > cg_even_rows(p);
  int64_t depth = cut ? STRETCH : p->k_most;
  p->next_depth =
      p->k_most && p->m > cg_even_rows(p) && depth * p->n * bytes_of(p->b.elem) >= NEXT_BYTES ? depth & -4 : 0;
  if (!cut) {
    if (p->next_depth) p->next_b = advanced(p->c, &p->b, p->k, bytes_of(p->b.elem));
    emit_piece(p, &(piece){.count = p->k});
    return;
  }
  bool writes = cg_begin_sum(p, p->k);
  ll_loop l;
  ll_loop_begin(g, &l, ll_i(g, 0), whole.k, ll_i(g, STRETCH), 0, NULL, true);
  p->beta = true, p->adds = writes ? is_later(g, l.iv) : NULL;
  p->k = ll_imin(g, ll_i(g, STRETCH), ll_sub(g, whole.k, l.iv));
  p->any_k |= whole.k_most % STRETCH % 4 != 0;
  if (p->next_depth) p->next_b = advanced(p->c, &p->b, ll_add(g, l.iv, ll_i(g, STRETCH)), bytes_of(p->b.elem));
  emit_piece(p, &(piece){.k0 = l.iv, .count = p->k});
  ll_loop_end(g, &l, NULL);
}

/* along k: copies, if any, keep the orientation of the tile */
static void emit_along_k(const cg_product *whole, bool copy_a, bool copy_b) {
  cg_product p = *whole;
  cg *c = p.c;
  int64_t top = c->ws_top;
  piece k = {.copy_a = copy_a, .copy_b = copy_b, .count = p.k, .most = (int)p.k_most};
  place_a(&p, &k);
  p.elem_b = copy_b ? copied_elem(&p) : p.b.elem;
  p.near_b = copy_b || p.b.slid || !cg_is_window(c, p.b.v);
  p.pb = copy_b ? copy_space(c, &p.b, &k, p.n, p.elem_b, false) : p.b.mem;
  if (copy_b) copy(c, &p.b, &k, p.n, NULL, p.elem_b, p.pb);
  cg_emit_dots(&p);
  c->ws_top = top;
}

static void emit_product(const cg_product *whole, bool copy_a, bool copy_b) {
  bool a_k_rows = copy_a ? whole->a.k_rows : whole->a.mem_k_rows,
       b_k_rows = copy_b ? whole->b.k_rows : whole->b.mem_k_rows;
  if (cg_by_dots(whole, a_k_rows, b_k_rows, copy_b ? copied_elem(whole) : whole->b.elem)) {
    emit_along_k(whole, copy_a, copy_b);
    return;
  }
  bool turned = whole->b.in_place && !copy_b && !whole->b.mem_k_rows && !whole->pairs;
  if (copy_a || copy_b || turned) {
    emit_chunks(whole, copy_a, copy_b);
    return;
  }
  cg_product p = *whole;
  if (is_panel(&p))
    emit_panel(&p);
  else
    emit_piece(&p, &(piece){.count = p.k});
}

static ll_v both(ll *g, ll_v a, ll_v b) { return a && b ? ll_and(g, a, b) : a ? a : b; }

/* Can b be read in place? NULL and *always set: known now; else a condition for run time. */
static ll_v b_in_place(const cg_product *p, bool *always) {
  cg *c = p->c;
  ll *g = &c->g;
  const cg_operand *b = &p->b;
  ll_v condition = NULL;
  *always = b->in_place && (cg_direct_b(p, b->elem) || p->pairs);
  if (!*always) return NULL;
  if (b->limit && b->limit == p->fails) *always = false;
  if (b->limit && b->limit != p->holds && *always)
    condition = ll_icmp(g, LLVMIntSGE, cg_index(c, b->limit), ll_i(g, p->n));
  bool kept = cg_keeps(p, NULL);
  int least = kept ? KEPT_ROWS : ALIAS_ROWS;
  if (b->slid || !cg_is_window(c, b->v) || !b->mem_k_rows || p->m < least || p->pairs || !*always) return condition;
  const sn_kins *x = cg_ins(c, b->v);
  sn_kv stride = x->a[b->mem_k_rows == b->k_rows ? 2 : 3];
  int64_t known, bytes = bytes_of(b->elem);
  if (sn_k_divisor(c->k, stride) * bytes % ALIAS_BYTES == 0) *always = false;
  if (sn_k_is_const(c->k, stride, &known) && known * bytes >= FAR_BYTES && p->m >= (kept ? KEPT_ROWS : FAR_ROWS))
    *always = false;
  if (!*always || sn_k_is_const(c->k, stride, &known)) return *always ? condition : NULL;
  ll_v low = ll_and(g, ll_mul(g, b->mem.ld, ll_i(g, bytes)), ll_i(g, ALIAS_BYTES - 1));
  return both(g, condition, ll_icmp(g, LLVMIntNE, low, ll_i(g, 0)));
}

/* rows of a window that are far apart or meet in cache sets */
static bool is_far(const cg_product *p, const cg_operand *o) {
  cg *c = p->c;
  if (o->slid || !cg_is_window(c, o->v)) return false;
  int64_t known;
  sn_kv stride = cg_ins(c, o->v)->a[o->mem_k_rows == o->k_rows ? 2 : 3];
  return !sn_k_is_const(c->k, stride, &known) || known * bytes_of(o->elem) >= FAR_BYTES;
}

void cg_run_product(cg_product *p) {
  ll *g = &p->c->g;
  if (p->amx) {
    cg_run_tiles(p);
    return;
  }
  if (p->by_pairs) {
    cg_run_pairs(p);
    return;
  }
  bool direct_b, copy_a = !p->a.in_place || p->a.elem != p->elem_a || (p->pairs && p->a.mem_k_rows) ||
                          (p->a.mem_k_rows && is_far(p, &p->a) && p->n >= FAR_COLUMNS);
  ll_v condition = b_in_place(p, &direct_b);
  ll_branch br;
  if (!condition) {
    emit_product(p, copy_a, !direct_b);
    return;
  }
  ll_if(g, &br, condition);
  emit_product(p, copy_a, !direct_b);
  ll_else(g, &br);
  emit_product(p, copy_a, !p->pairs);
  ll_endif(g, &br);
}
