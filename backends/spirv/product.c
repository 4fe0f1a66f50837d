/* Products: both operands in slots, a rolled loop over k, an outer product of registers in every step. Loads that only
 * products use are brought in by steps of k, as quads where both are such loads; other operands are staged whole where
 * they are defined. */
#include <string.h>

#include "backends/spirv/product.h"

typedef struct product {
  sg *g;
  sn_elem elem; /* of the operands */
  uint32_t depth, step;
  sg_factor a, b;
  sg_tile acc;
  spv_id *row, *col; /* offsets of the rows of a and columns of b of this invocation */
  spv_id type;
} product;

/* The value whose slot or memory v is read from, and whether it is turned on the way. */
static sn_kv resolve(const sg *g, sn_kv v, bool *turned) {
  while (g->value[v].alias) v = g->value[v].alias, *turned = !*turned;
  return v;
}

/* The last step may reach beyond the tile: what lies there is not read. */
static void end_at_the_tile(sg *g, sg_window *w, sn_ktype t, bool rows) {
  if (rows && !w->rows) w->rows = spv_u32(g->s, (uint32_t)t.r);
  if (rows || w->cols) return;
  w->cols = spv_u32(g->s, (uint32_t)t.c);
  while (w->align > 1 && (uint32_t)t.c % w->align) w->align /= 2;
}

/* The same of factors in quads: beyond k, and beyond the columns within a quad, are zeros. */
static void end_with_zeros(sg *g, sg_factor *f, sn_ktype t, uint32_t depth, uint32_t step) {
  sg_window *w = &f->w;
  bool whole = depth % step == 0, k_ends = f->k_over_rows ? w->rows != 0 : w->cols != 0;
  if (f->k_over_rows && !whole && !w->rows) w->rows = spv_u32(g->s, (uint32_t)t.r);
  bool quads_end = (f->k_over_rows ? (uint32_t)t.c : step) % f->packed == 0; /* with the columns of a round */
  if (!w->cols && (!quads_end || (!f->k_over_rows && !whole))) w->cols = spv_u32(g->s, (uint32_t)t.c);
  while (w->cols && w->align > 1 && (uint32_t)t.c % w->align) w->align /= 2; /* limits go no further than the tile */
  f->ends = k_ends || !whole;
}

/* side 0: the first factor, whose summed axis runs over columns unless it is turned; 1: the second, over rows. */
sg_factor sg_factor_of(sg *g, sn_kv mma, int side, uint32_t step) {
  const sn_kins *p = sg_ins(g, mma);
  bool turned = (p->i & (side ? SN_K_TB : SN_K_TA)) != 0;
  sn_kv v = resolve(g, p->a[1 + side], &turned);
  const sg_value *i = &g->value[v];
  sg_factor f = {.slot = i->slot, .pitch = i->pitch, .turned = turned, .k_over_rows = turned != (side == 1)};
  if (!i->walked) return f;
  const sn_kins *x = sg_ins(g, v);
  f.walked = v, f.w = sg_window_of(g, x, x->type), f.slot = g->staging[mma] + side;
  f.r = f.k_over_rows ? (int)step : x->type.r, f.c = f.k_over_rows ? x->type.c : (int)step;
  if (!g->quads[mma]) {
    end_at_the_tile(g, &f.w, x->type, f.k_over_rows);
    f.pitch = sg_pitch(g, x->type.elem, f.c);
    return f;
  }
  f.packed = sg_packed(g, mma);
  f.pitch = sg_quad_pitch((uint32_t)f.c, f.packed, !f.k_over_rows);
  f.exchange = sg_quad_exchange((uint32_t)f.c, f.packed, !f.k_over_rows);
  end_with_zeros(g, &f, x->type, (uint32_t)(f.k_over_rows ? x->type.r : x->type.c), step);
  return f;
}

void sg_factor_bring(sg *g, const sg_factor *f, spv_id k0) {
  if (!f->walked) return;
  sg_window_stage(g, &f->w, f->r, f->c, f->k_over_rows ? k0 : 0, f->k_over_rows ? 0 : k0, f->slot, f->pitch);
}

void sg_factor_was_read(sg *g, const sg_factor *f) {
  if (f->walked) g->read[f->slot / 64] |= (uint64_t)1 << (f->slot % 64);
}

/* Elements of registers j of an axis at k = 0 in a slot. lead: the axis runs over the rows of the slot. */
static spv_id *offsets(sg *g, sg_axis a, bool row, uint32_t pitch, bool lead) {
  spv_id *at = SN_ARRAY(g->arena, a.per + 1, spv_id);
  for (uint32_t i = 0; i < a.per; i++) {
    spv_id c = sg_clipped(g, a, row, i);
    at[i] = lead ? sg_mul(g, c, pitch) : c;
  }
  return at;
}

static spv_id multiply_add(product *p, spv_id a, spv_id b, spv_id c) {
  sg *g = p->g;
  if (sn_elem_is_float(p->elem)) return sg_fma(g, p->type, a, b, c);
  spv_id m = sg_int(g, SpvOpIMul, a, b);
  return sg_int(g, SpvOpIAdd, m, c);
}

static spv_id read(product *p, const sg_factor *o, spv_id base, spv_id k, bool k_leads) {
  spv_id at = sg_int(p->g, SpvOpIAdd, base, k_leads ? sg_mul(p->g, k, o->pitch) : k);
  return sg_slot_load(p->g, o->slot, p->elem, at);
}

/* acc += column k of a * row k of b */
static void outer_product(product *p, spv_id k, spv_id *acc) {
  uint32_t nr = p->acc.r.per, nc = p->acc.c.per;
  spv_id *a = SN_ARRAY(p->g->arena, nr + 1, spv_id), *b = SN_ARRAY(p->g->arena, nc + 1, spv_id);
  for (uint32_t i = 0; i < nr; i++) a[i] = read(p, &p->a, p->row[i], k, p->a.turned);
  for (uint32_t j = 0; j < nc; j++) b[j] = read(p, &p->b, p->col[j], k, !p->b.turned);
  for (uint32_t i = 0; i < nr; i++)
    for (uint32_t j = 0; j < nc; j++) acc[i * nc + j] = multiply_add(p, a[i], b[j], acc[i * nc + j]);
}

/* for k = 0 to limit: registers `acc` go in and come out. */
static void inner(product *p, spv_id limit, spv_id *acc) {
  sg *g = p->g;
  uint32_t n = sg_count(p->acc);
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), one = spv_u32(g->s, 1);
  spv_carry *carry = SN_ARRAY(g->arena, n + 1, spv_carry);
  spv_id *next = SN_ARRAY(g->arena, n + 1, spv_id);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  for (uint32_t e = 0; e < n; e++) carry[e] = spv_loop_carry(g->s, &l, p->type, acc[e]), next[e] = carry[e].phi;
  spv_loop_body(g->s, &l, limit, one);
  outer_product(p, l.counter, next);
  spv_loop_next(g->s, &l);
  for (uint32_t e = 0; e < n; e++) spv_loop_yield(g->s, carry[e], next[e]), acc[e] = carry[e].phi;
  spv_loop_end(g->s, &l);
}

/* ---- factors in quads -------------------------------------------------------------------------------------------- */

static bool is_quads(const product *p, const sg_factor *f) { return p->g->slot[f->slot].array == SG_QUADS; }

static spv_id number(product *p, spv_id bits) {
  return p->type == spv_uint(p->g->s, 32) ? bits : sg_bits(p->g, p->type, bits);
}

/* Registers of an axis at steps k..k+3 -> out[q * per + i]. */
static void read_along_k(product *p, const sg_factor *f, sg_axis a, bool row, spv_id k, spv_id *out) {
  sg *g = p->g;
  for (uint32_t i = 0; i < a.per; i++) {
    spv_id line = sg_clipped(g, a, row, i), x[4];
    spv_id at = sg_factor_place(g, f, line, k);
    sg_quad_load(g, f->slot, at, x);
    for (uint32_t q = 0; q < 4; q++) out[q * a.per + i] = number(p, x[q]);
  }
}

/* The first of four registers side by side; where the axis is longer than the slot, what they hold is never used. */
static spv_id first_of_four(sg *g, sg_axis a, bool row, uint32_t i) {
  spv_id x = sg_coordinate(g, a, row, i);
  if (sg_padded(a) == a.extent) return x;
  spv_id word = spv_uint(g->s, 32), last = spv_u32(g->s, (a.extent - 1) / 4 * 4);
  return spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){x, last});
}

static void read_across_k(product *p, const sg_factor *f, sg_axis a, bool row, spv_id k, spv_id *out) {
  sg *g = p->g;
  spv_id word = spv_uint(g->s, 32);
  for (uint32_t q = 0; q < 4; q++) {
    spv_id line = sg_add(g, k, q);
    line = sg_mul(g, line, f->pitch);
    for (uint32_t i = 0; i < a.per; i += a.vec) {
      spv_id first = a.vec == 4 ? first_of_four(g, a, row, i) : 0, x[4];
      if (first) sg_quad_load(g, f->slot, sg_int(g, SpvOpIAdd, line, first), x);
      for (uint32_t j = 0; j < a.vec; j++) {
        if (!first) {
          spv_id c = sg_clipped(g, a, row, i + j), at = sg_int(g, SpvOpIAdd, line, c);
          x[j] = spv_load_shared(g->s, word, sg_quad_word(g, f->slot, at));
        }
        out[q * a.per + i + j] = number(p, x[j]);
      }
    }
  }
}

/* Register i of an axis at step k. */
static spv_id read_one(product *p, const sg_factor *f, sg_axis a, bool row, uint32_t i, spv_id k) {
  spv_id line = sg_clipped(p->g, a, row, i);
  spv_id at = f->k_over_rows ? sg_factor_place(p->g, f, k, line) : sg_factor_place(p->g, f, line, k);
  return sg_slot_load(p->g, f->slot, p->elem, at);
}

/* Of a slot of words. */
static void read_words(product *p, const sg_factor *f, sg_axis a, bool row, spv_id k, spv_id *out) {
  for (uint32_t q = 0; q < 4; q++)
    for (uint32_t i = 0; i < a.per; i++) out[q * a.per + i] = read_one(p, f, a, row, i, sg_add(p->g, k, q));
}

static void read_four(product *p, const sg_factor *f, sg_axis a, bool row, spv_id k, spv_id *out) {
  if (!is_quads(p, f))
    read_words(p, f, a, row, k, out);
  else if (f->k_over_rows)
    read_across_k(p, f, a, row, k, out);
  else
    read_along_k(p, f, a, row, k, out);
}

/* Where subgroups are so narrow that a read of shared memory serves few, and all of one need the same rows of the first
 * factor: each lane reads one step of k and gives it to the others. */
static bool by_lanes(const product *p, uint32_t steps) {
  const sg *g = p->g;
  return g->S >= 4 && g->S <= SG_NARROW_LANES && g->TX >= g->S && steps % g->S == 0;
}

/* Rows at steps k..k+S-1 -> out[q * per + i]. */
static void read_by_lanes(product *p, const sg_factor *f, spv_id k, spv_id *out) {
  sg *g = p->g;
  sg_axis a = p->acc.r;
  spv_id scope = spv_u32(g->s, SpvScopeSubgroup), lane = sg_intc(g, SpvOpBitwiseAnd, g->tid, g->S - 1);
  spv_id mine = sg_int(g, SpvOpIAdd, k, lane);
  for (uint32_t i = 0; i < a.per; i++) {
    spv_id x = read_one(p, f, a, true, i, mine);
    for (uint32_t q = 0; q < g->S; q++) {
      spv_id from = spv_u32(g->s, q);
      out[q * a.per + i] = spv_op3(g->s, SpvOpGroupNonUniformShuffle, p->type, scope, x, from);
    }
  }
}

/* acc += `steps` of k: a rolled loop, four steps or those of all lanes at once. */
static void sum(product *p, uint32_t steps, spv_id *acc) {
  sg *g = p->g;
  bool lanes = by_lanes(p, steps);
  uint32_t n = sg_count(p->acc), nr = p->acc.r.per, nc = p->acc.c.per, by = lanes ? g->S : 4;
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), step = spv_u32(g->s, by), limit = spv_u32(g->s, steps);
  spv_carry *carry = SN_ARRAY(g->arena, n + 1, spv_carry);
  spv_id *next = SN_ARRAY(g->arena, n + 1, spv_id);
  spv_id *a = SN_ARRAY(g->arena, (size_t)by * nr, spv_id), *b = SN_ARRAY(g->arena, (size_t)by * nc, spv_id);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  for (uint32_t e = 0; e < n; e++) carry[e] = spv_loop_carry(g->s, &l, p->type, acc[e]), next[e] = carry[e].phi;
  spv_loop_body(g->s, &l, limit, step);
  if (lanes)
    read_by_lanes(p, &p->a, l.counter, a);
  else
    read_four(p, &p->a, p->acc.r, true, l.counter, a);
  for (uint32_t q = 0; q < by; q += 4)
    read_four(p, &p->b, p->acc.c, false, sg_add(g, l.counter, q), b + (size_t)q * nc);
  for (uint32_t q = 0; q < by; q++)
    for (uint32_t i = 0; i < nr; i++)
      for (uint32_t j = 0; j < nc; j++)
        next[i * nc + j] = multiply_add(p, a[q * nr + i], b[q * nc + j], next[i * nc + j]);
  spv_loop_next(g->s, &l);
  for (uint32_t e = 0; e < n; e++) spv_loop_yield(g->s, carry[e], next[e]), acc[e] = carry[e].phi;
  spv_loop_end(g->s, &l);
}

static void walk_quads(product *p, spv_id *acc) {
  sg *g = p->g;
  uint32_t n = sg_count(p->acc);
  spv_carry *carry = SN_ARRAY(g->arena, n + 1, spv_carry);
  spv_id *next = SN_ARRAY(g->arena, n + 1, spv_id);
  sg_walk *w = SN_NEW(g->arena, sg_walk);
  *w = (sg_walk){.f = {&p->a, &p->b}, .step = p->step, .depth = p->depth};
  sg_walk_begin(g, w);
  for (uint32_t e = 0; e < n; e++) carry[e] = spv_loop_carry(g->s, &w->loop, p->type, acc[e]), next[e] = carry[e].phi;
  sg_walk_body(g, w);
  sum(p, p->step, next);
  sg_walk_next(g, w);
  for (uint32_t e = 0; e < n; e++) spv_loop_yield(g->s, carry[e], next[e]), acc[e] = carry[e].phi;
  sg_walk_end(g, w);
}

/* ---- other factors ----------------------------------------------------------------------------------------------- */

/* A whole operand is read from its step k0 on. */
static void advance(product *p, const sg_factor *o, spv_id k0, bool k_leads, spv_id *base, uint32_t count) {
  if (o->walked) return;
  spv_id by = k_leads ? sg_mul(p->g, k0, o->pitch) : k0;
  for (uint32_t i = 0; i < count; i++) base[i] = sg_int(p->g, SpvOpIAdd, base[i], by);
}

static void walk(product *p, spv_id *acc) {
  sg *g = p->g;
  uint32_t n = sg_count(p->acc);
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), depth = spv_u32(g->s, p->depth);
  spv_id step = spv_u32(g->s, p->step);
  spv_carry *carry = SN_ARRAY(g->arena, n + 1, spv_carry);
  spv_id *next = SN_ARRAY(g->arena, n + 1, spv_id), *row = p->row, *col = p->col;
  p->row = SN_ARRAY(g->arena, p->acc.r.per + 1, spv_id), p->col = SN_ARRAY(g->arena, p->acc.c.per + 1, spv_id);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  for (uint32_t e = 0; e < n; e++) carry[e] = spv_loop_carry(g->s, &l, p->type, acc[e]), next[e] = carry[e].phi;
  spv_loop_body(g->s, &l, depth, step);
  sg_factor_was_read(g, &p->a), sg_factor_was_read(g, &p->b); /* in the round before */
  sg_factor_bring(g, &p->a, l.counter);
  sg_factor_bring(g, &p->b, l.counter);
  memcpy(p->row, row, p->acc.r.per * sizeof *row), memcpy(p->col, col, p->acc.c.per * sizeof *col);
  advance(p, &p->a, l.counter, p->a.turned, p->row, p->acc.r.per);
  advance(p, &p->b, l.counter, !p->b.turned, p->col, p->acc.c.per);
  spv_id left = sg_int(g, SpvOpISub, depth, l.counter);
  spv_id limit = p->depth % p->step ? spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){left, step}) : step;
  sg_will(g, p->a.slot, p->b.slot, -1);
  inner(p, limit, next);
  spv_loop_next(g->s, &l);
  for (uint32_t e = 0; e < n; e++) spv_loop_yield(g->s, carry[e], next[e]), acc[e] = carry[e].phi;
  spv_loop_end(g->s, &l);
}

void sg_product(sg *g, sn_kv v) {
  if (g->value[v].thin) {
    sg_thin(g, v);
    return;
  }
  if (g->leaving[v] >= 0) {
    sg_matrices(g, v);
    return;
  }
  const sn_kins *x = sg_ins(g, v);
  sn_ktype ta = sg_ins(g, x->a[1])->type;
  product p = {.g = g, .elem = ta.elem, .acc = g->tile[x->a[0]], .type = sg_type(g, x->type.elem)};
  p.depth = (uint32_t)(x->i & SN_K_TA ? ta.r : ta.c);
  p.step = sg_step_of(g, v);
  p.a = sg_factor_of(g, v, 0, p.step), p.b = sg_factor_of(g, v, 1, p.step);
  sg_tile y = sg_tile_new(g, x->type.r, x->type.c);
  memcpy(y.e, p.acc.e, sg_count(y) * sizeof *y.e);
  if (g->quads[v]) {
    walk_quads(&p, y.e);
    g->tile[v] = y;
    return;
  }
  bool whole = !p.a.walked && !p.b.walked;
  if (whole && p.depth % 4 == 0 && !sg_is_wide(p.elem)) {
    sg_will(g, p.a.slot, p.b.slot, -1);
    sum(&p, p.depth, y.e);
    g->tile[v] = y;
    return;
  }
  p.row = offsets(g, p.acc.r, true, p.a.pitch, !p.a.turned);
  p.col = offsets(g, p.acc.c, false, p.b.pitch, p.b.turned);
  if (!whole) {
    walk(&p, y.e);
  } else {
    sg_will(g, p.a.slot, p.b.slot, -1);
    spv_id depth = spv_u32(g->s, p.depth);
    inner(&p, depth, y.e);
  }
  g->tile[v] = y;
}
