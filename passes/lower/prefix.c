/* cumsum, cumprod, cummax, recur -> kernels. The other axes run in parallel. Two schedules, each of a fixed order:
 *
 *   walk    the axis is not the last one, or the op is recur: one element after the other, the last axis in the columns
 *           of the tile; what is carried is a row
 *   double  the axis is the last one: blocks of up to 64 elements in the columns. Within a block every element takes in
 *           the one 1, 2, 4, .. before it (Hillis and Steele 1986), through scratch with neutral elements at the edge;
 *           the total of the blocks before is carried. */
#include <math.h>

#include "passes/lower/along.h"

enum { BLOCK = 64, ROWS = 8, PARTS = 2 };

typedef struct prefix {
  sn_along x;
  sn_kernel *k;
  sn_op op;
  bool exclusive, reverse;
  int parts; /* of what is carried: cummax has the position with the value */
  sn_elem elem[PARTS];
  double neutral[PARTS];
} prefix;

typedef struct tiles {
  sn_kv part[PARTS];
} tiles;

/* ---- combining ---- */

static double least(sn_elem e) { return sn_elem_is_float(e) ? -INFINITY : e == SN_ELEM_I64 ? -0x1p63 : INT32_MIN; }

/* The first of equals stays, a NaN stays; a position below 0 is that of no element. */
static tiles larger(const prefix *p, tiles a, tiles b) {
  sn_kernel *k = p->k;
  sn_kv stays = sn_k_bin(k, SN_K_LE, b.part[0], a.part[0]);
  if (sn_elem_is_float(p->elem[0])) {
    sn_kv nan = sn_k_bin(k, SN_K_NE, a.part[0], a.part[0]);
    stays = sn_k_bin(k, SN_K_OR, stays, nan);
  }
  sn_kv exists = sn_k_bin(k, SN_K_LE, sn_k_const(k, SN_ELEM_I32, 1, 1, 0), a.part[1]);
  stays = sn_k_bin(k, SN_K_AND, stays, exists);
  tiles out;
  for (int i = 0; i < 2; i++) {
    sn_ktype t = sn_k_type(k, stays);
    sn_kv kept = sn_k_bcast(k, t.r, t.c, a.part[i]), next = sn_k_bcast(k, t.r, t.c, b.part[i]);
    out.part[i] = sn_k_select(k, stays, kept, next);
  }
  return out;
}

/* a stands before b. */
static tiles combine(const prefix *p, tiles a, tiles b) {
  if (p->op == SN_OP_CUMMAX) return larger(p, a, b);
  sn_kop op = p->op == SN_OP_CUMSUM ? SN_K_ADD : SN_K_MUL;
  return (tiles){{sn_k_bin(p->k, op, a.part[0], b.part[0])}};
}

static tiles neutral(const prefix *p, int r, int c) {
  tiles out = {{0}};
  for (int i = 0; i < p->parts; i++) out.part[i] = sn_k_const(p->k, p->elem[i], r, c, p->neutral[i]);
  return out;
}

static void store(prefix *p, tiles v) {
  for (int i = 0; i < p->x.n->result_count; i++) sn_along_store(&p->x, i, v.part[i]);
}

/* ---- walk ---- */

static tiles walk_step(prefix *p, tiles before) {
  sn_kernel *k = p->k;
  tiles now = {{sn_along_value(&p->x, 0)}};
  if (p->op == SN_OP_RECUR) {
    sn_kv b = sn_along_value(&p->x, 1);
    return (tiles){{sn_k_fma(k, now.part[0], before.part[0], b)}};
  }
  if (p->op == SN_OP_CUMMAX) now.part[1] = sn_k_isplat(k, p->x.t.r, p->x.t.c, p->x.t.at[p->x.axis]);
  return combine(p, before, now);
}

static void walk(prefix *p) {
  sn_kernel *k = p->k;
  sn_along *x = &p->x;
  sn_axis_block a[SN_VIEW_RANK];
  const sn_shape *s = &x->g[0]->space;
  int n = 0, last = s->rank - 1;
  x->t.col = last != x->axis ? last : last - 1; /* recur along the last axis has its columns a stride apart */
  if (x->t.col >= 0) x->t.c = sn_block_of(s->extent[x->t.col], BLOCK);
  for (int i = 0; i < s->rank; i++)
    if (i != x->axis) a[n++] = (sn_axis_block){.axis = i, .block = i == x->t.col ? x->t.c : 1};
  sn_tile_grid(&x->t, n, a);
  sn_tile_limits(&x->t);
  tiles carry = neutral(p, 1, x->t.c);
  sn_kv extent = sn_build_dim(x->b, sn_along_extent(x));
  sn_kv i = sn_k_for(k, sn_k_i(k, 0), extent, 1, p->parts, carry.part);
  x->t.at[x->axis] = p->reverse ? sn_k_isub(k, sn_k_iadd(k, extent, sn_k_i(k, -1)), i) : i;
  tiles next = walk_step(p, carry);
  store(p, p->exclusive ? carry : next);
  sn_k_end_for(k, p->parts, next.part);
}

/* ---- double ---- */

/* Two copies of a block with room for neutral elements before it (behind it, when the order is reversed). */
typedef struct block {
  prefix *p;
  sn_kv scratch[2][PARTS];
  int r, c, room;
} block;

/* Elements of the block that stand `back` before each; back 0: the elements themselves. */
static sn_kwin window(const block *b, int copy, int part, int back) {
  sn_kernel *k = b->p->k;
  int first = b->p->reverse ? back : b->room - back;
  return (sn_kwin){
      .buf = b->scratch[copy][part], .off = sn_k_i(k, first), .rs = sn_k_i(k, b->c + b->room), .cs = sn_k_i(k, 1)};
}

static tiles load(const block *b, int copy, int back) {
  tiles out = {{0}};
  for (int i = 0; i < b->p->parts; i++) out.part[i] = sn_k_load(b->p->k, b->r, b->c, window(b, copy, i, back), 0);
  return out;
}

static void keep(const block *b, int copy, tiles v) {
  for (int i = 0; i < b->p->parts; i++) sn_k_store(b->p->k, window(b, copy, i, 0), v.part[i]);
}

static block make_block(prefix *p) {
  sn_kernel *k = p->k;
  block b = {.p = p, .r = p->x.t.r, .c = p->x.t.c, .room = p->x.t.c > 1 ? p->x.t.c / 2 : 1};
  for (int copy = 0; copy < 2; copy++)
    for (int i = 0; i < p->parts; i++) {
      sn_kv s = b.scratch[copy][i] = sn_k_local(k, p->elem[i], (int64_t)b.r * (b.c + b.room));
      sn_kwin edge = {
          .buf = s, .off = sn_k_i(k, p->reverse ? b.c : 0), .rs = sn_k_i(k, b.c + b.room), .cs = sn_k_i(k, 1)};
      sn_k_store(k, edge, sn_k_const(k, p->elem[i], b.r, b.room, p->neutral[i]));
    }
  return b;
}

/* The block's elements, neutral where there are none. */
static tiles elements(prefix *p) {
  sn_kernel *k = p->k;
  tiles v = {{sn_along_value(&p->x, 0)}};
  if (p->op == SN_OP_CUMMAX) {
    sn_kv i = sn_k_iota(k, 1, p->x.t.c, 1, p->x.t.at[p->x.axis] ? p->x.t.at[p->x.axis] : sn_k_i(k, 0));
    v.part[1] = sn_k_bcast(k, p->x.t.r, p->x.t.c, i);
  }
  sn_kv exists = sn_along_exists(&p->x);
  tiles none = neutral(p, p->x.t.r, p->x.t.c);
  for (int i = 0; exists && i < p->parts; i++)
    v.part[i] = sn_k_select(k, sn_k_bcast(k, p->x.t.r, p->x.t.c, exists), v.part[i], none.part[i]);
  return v;
}

static tiles spread(const block *b, tiles column) {
  for (int i = 0; i < b->p->parts; i++) column.part[i] = sn_k_bcast(b->p->k, b->r, b->c, column.part[i]);
  return column;
}

/* The block at the tile's place, given the total before it -> the total with it. */
static tiles double_block(const block *b, tiles before) {
  prefix *p = b->p;
  int copy = 0;
  keep(b, 0, elements(p));
  for (int back = 1; back < b->c; back *= 2, copy ^= 1)
    keep(b, copy ^ 1, combine(p, load(b, copy, back), load(b, copy, 0)));
  store(p, combine(p, spread(b, before), load(b, copy, p->exclusive)));
  tiles total = {{0}};
  for (int i = 0; i < p->parts; i++) {
    sn_kwin w = window(b, copy, i, 0);
    w.off = sn_k_i(p->k, p->reverse ? 0 : b->room + b->c - 1);
    total.part[i] = sn_k_load(p->k, b->r, 1, w, 0);
  }
  return combine(p, before, total);
}

static void in_blocks(prefix *p) {
  sn_kernel *k = p->k;
  sn_along *x = &p->x;
  sn_axis_block a[SN_VIEW_RANK];
  const sn_shape *s = &x->g[0]->space;
  const sn_dimx *extent = sn_along_extent(x);
  int n = 0;
  x->t.col = x->axis;
  x->t.row = x->axis - 1;
  if (x->t.row >= 0) x->t.r = sn_block_of(s->extent[x->t.row], ROWS);
  while (x->t.c < BLOCK && x->t.c < sn_dimx_max_value(extent)) x->t.c *= 2;
  for (int i = 0; i < x->axis; i++) a[n++] = (sn_axis_block){.axis = i, .block = i == x->t.row ? x->t.r : 1};
  sn_tile_grid(&x->t, n, a);
  block b = make_block(p);
  tiles carry = neutral(p, x->t.r, 1);
  const sn_dimx *wide = sn_dimx_const(x->c->types, x->t.c);
  const sn_dimx *whole = sn_dimx_mul(x->c->types, sn_dimx_ceildiv(x->c->types, extent, wide), wide);
  sn_kv end = sn_build_dim(x->b, whole);
  sn_kv i = sn_k_for(k, sn_k_i(k, 0), end, x->t.c, p->parts, carry.part);
  x->t.at[x->axis] = p->reverse ? sn_k_isub(k, sn_k_isub(k, end, sn_k_i(k, x->t.c)), i) : i;
  sn_tile_limits(&x->t);
  tiles next = double_block(&b, carry);
  sn_k_end_for(k, p->parts, next.part);
}

/* ---- the writer ---- */

static bool attribute(const sn_node *n, const char *name) {
  return sn_op_attr(n->op, name) >= 0 && sn_node_attr(n, name)->i != 0;
}

sn_code sn_lower_prefix(sn_lower_ctx *c, const sn_node *n) {
  prefix p = {.op = n->op, .parts = n->result_count};
  SN_TRY(sn_along_begin(&p.x, c, n, "prefix"));
  p.k = p.x.k;
  p.exclusive = attribute(n, "exclusive");
  p.reverse = attribute(n, "reverse");
  p.elem[0] = sn_compute_elem(n->type[0]->elem);
  p.elem[1] = SN_ELEM_I32;
  p.neutral[0] = n->op == SN_OP_CUMPROD ? 1 : n->op == SN_OP_CUMMAX ? least(p.elem[0]) : 0;
  p.neutral[1] = -1;
  if (n->op == SN_OP_RECUR || p.x.axis != n->type[0]->rank - 1)
    walk(&p);
  else
    in_blocks(&p);
  return sn_along_end(&p.x, sn_type_count(c->types, n->type[0]));
}
