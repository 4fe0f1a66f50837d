/* Products: both operands in slots, a rolled loop over k, an outer product of registers in every step. Loads that only
 * products use are brought in by steps of k; other operands are staged whole where they are defined. */
#include <string.h>

#include "backends/spirv/sg.h"

typedef struct operand {
  int slot;
  uint32_t pitch;
  bool turned;  /* the summed axis runs over its rows (of a: columns) */
  sn_kv walked; /* load that is brought in step by step; 0: the slot holds all of it */
  sg_window w;
  int r, c; /* of the load */
} operand;

typedef struct product {
  sg *g;
  const sn_kins *x;
  sn_elem elem; /* of the operands */
  uint32_t depth, step;
  operand a, b;
  sg_tile acc;
  spv_id *row, *col; /* offsets of the rows of a and columns of b of this invocation */
  spv_id type;
} product;

/* The value whose slot or memory v is read from, and whether it is turned on the way. */
static sn_kv resolve(const sg *g, sn_kv v, bool *turned) {
  while (g->value[v].alias) v = g->value[v].alias, *turned = !*turned;
  return v;
}

static operand operand_of(sg *g, sn_kv v, bool turned, uint32_t step, int staging) {
  v = resolve(g, v, &turned);
  const sg_value *i = &g->value[v];
  operand o = {.slot = i->slot, .pitch = i->pitch, .turned = turned};
  if (!i->walked) return o;
  const sn_kins *x = sg_ins(g, v);
  o.walked = v, o.w = sg_window_of(g, x, x->type), o.slot = staging;
  o.r = x->type.r, o.c = x->type.c;
  (void)step;
  return o;
}

/* Elements of registers j of an axis at k = 0 in a slot. lead: the axis runs over the rows of the slot. */
static spv_id *offsets(sg *g, sg_axis a, bool row, uint32_t pitch, bool lead) {
  spv_id *at = SN_ARRAY(g->arena, a.per + 1, spv_id);
  spv_id word = spv_uint(g->s, 32), last = spv_u32(g->s, a.extent - 1);
  for (uint32_t i = 0; i < a.per; i++) {
    spv_id c = sg_coordinate(g, a, row, i);
    if (sg_padded(a) != a.extent) c = spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){c, last});
    at[i] = lead ? sg_mul(g, c, pitch) : c;
  }
  return at;
}

static spv_id multiply_add(product *p, spv_id a, spv_id b, spv_id c) {
  sg *g = p->g;
  if (sn_elem_is_float(p->elem)) return spv_ext(g->s, SpvGLSLstd450Fma, p->type, 3, (uint32_t[]){a, b, c});
  spv_id m = sg_int(g, SpvOpIMul, a, b);
  return sg_int(g, SpvOpIAdd, m, c);
}

static spv_id read(product *p, const operand *o, spv_id base, spv_id k, bool k_leads) {
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

/* for k = from to limit: registers `acc` go in and come out. shift: where step 0 of the slots that are walked lies. */
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

/* Brings steps k0.. of a walked operand into its slot. k runs over its rows or its columns. */
static void bring(product *p, operand *o, spv_id k0, bool rows) {
  if (!o->walked) return;
  int r = rows ? (int)p->step : o->r, c = rows ? o->c : (int)p->step;
  sg_window_stage(p->g, &o->w, r, c, rows ? k0 : 0, rows ? 0 : k0, o->slot, o->pitch);
}

/* A whole operand is read from its step k0 on. */
static void advance(product *p, const operand *o, spv_id k0, bool k_leads, spv_id *base, uint32_t count) {
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
  for (int side = 0; side < 2; side++) { /* the round before read them */
    operand *o = side ? &p->b : &p->a;
    if (o->walked) g->read[o->slot / 64] |= (uint64_t)1 << (o->slot % 64);
  }
  bring(p, &p->a, l.counter, p->a.turned);
  bring(p, &p->b, l.counter, !p->b.turned);
  memcpy(p->row, row, p->acc.r.per * sizeof *row), memcpy(p->col, col, p->acc.c.per * sizeof *col);
  advance(p, &p->a, l.counter, p->a.turned, p->row, p->acc.r.per);
  advance(p, &p->b, l.counter, !p->b.turned, p->col, p->acc.c.per);
  spv_id left = sg_int(g, SpvOpISub, depth, l.counter);
  spv_id limit = p->depth % p->step ? spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){left, step}) : step;
  sg_will_read(g, p->a.slot), sg_will_read(g, p->b.slot);
  inner(p, limit, next);
  spv_loop_next(g->s, &l);
  for (uint32_t e = 0; e < n; e++) spv_loop_yield(g->s, carry[e], next[e]), acc[e] = carry[e].phi;
  spv_loop_end(g->s, &l);
}

void sg_product(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sn_ktype ta = sg_ins(g, x->a[1])->type;
  product p = {.g = g, .x = x, .elem = ta.elem, .acc = g->tile[x->a[0]], .type = sg_type(g, x->type.elem)};
  p.depth = (uint32_t)(x->i & SN_K_TA ? ta.r : ta.c);
  p.step = p.depth < SG_DEPTH ? p.depth : SG_DEPTH;
  p.a = operand_of(g, x->a[1], (x->i & SN_K_TA) != 0, p.step, g->staging[v]);
  p.b = operand_of(g, x->a[2], (x->i & SN_K_TB) != 0, p.step, g->staging[v] + 1);
  if (p.a.walked) p.a.pitch = (p.a.turned ? (uint32_t)p.a.c : p.step) + 1;
  if (p.b.walked) p.b.pitch = (p.b.turned ? p.step : (uint32_t)p.b.c) + 1;
  p.row = offsets(g, p.acc.r, true, p.a.pitch, !p.a.turned);
  p.col = offsets(g, p.acc.c, false, p.b.pitch, p.b.turned);
  sg_tile y = sg_tile_new(g, x->type.r, x->type.c);
  memcpy(y.e, p.acc.e, sg_count(y) * sizeof *y.e);
  if (p.a.walked || p.b.walked) {
    walk(&p, y.e);
  } else {
    sg_will_read(g, p.a.slot), sg_will_read(g, p.b.slot);
    spv_id depth = spv_u32(g->s, p.depth);
    inner(&p, depth, y.e);
  }
  g->tile[v] = y;
}
