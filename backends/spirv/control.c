/* Blocks, loops and branches. Conditions and bounds are index values, uniform over the workgroup, so that barriers may
 * stand anywhere. */
#include <string.h>

#include "backends/spirv/sg.h"

/* A value exists: its copy for everybody, where somebody wants one. */
static void define(sg *g, sn_kv v) {
  const sg_value *i = &g->value[v];
  if (i->staged && g->tile[v].e) sg_stage(g, v);
}

static void add_bits(const sg *g, uint64_t *to, const uint64_t *from) {
  for (int i = 0; i < g->words; i++) to[i] |= from[i];
}

/* ---- loops ------------------------------------------------------------------------------------------------------- */

static void carry_in(sg *g, const sn_kins *x, int j, const spv_loop *l, spv_carry *carry) {
  sg_tile init = g->tile[x->a[3 + j]];
  spv_id type = sg_type(g, sg_ins(g, x->in[j])->type.elem);
  sg_tile c = sg_tile_new(g, (int)init.r.extent, (int)init.c.extent);
  for (uint32_t e = 0; e < sg_count(c); e++) {
    carry[e] = spv_loop_carry(g->s, l, type, init.e[e]);
    c.e[e] = carry[e].phi;
  }
  g->tile[x->in[j]] = g->tile[x->out[j]] = c;
  sg_debug_made(g, x->in[j], 0);
}

static void loop(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  const sn_kblock *body = x->body[0];
  spv_id type = sg_long_type(g);
  spv_id lo = sg_index(g, x->a[0]), hi = sg_index(g, x->a[1]), step = sg_index(g, x->a[2]);
  spv_carry *carry[SN_K_YIELDS];
  spv_loop l = spv_loop_begin(g->s, type, lo);
  for (int j = 0; j < body->yield_count; j++) {
    carry[j] = SN_ARRAY(g->arena, sg_count(g->tile[x->a[3 + j]]) + 1, spv_carry);
    carry_in(g, x, j, &l, carry[j]);
  }
  sg_long_loop_body(g, &l, hi, step);
  uint64_t *read = sg_bits_of(g, g->read), *written = sg_bits_of(g, g->written);
  add_bits(g, g->read, g->loop_read[v]), add_bits(g, g->written, g->loop_written[v]);
  int mark = g->trail_count;
  g->index[x->iv] = l.counter;
  sg_debug_index(g, x->iv);
  for (int j = 0; j < body->yield_count; j++) define(g, x->in[j]);
  sg_block(g, body);
  sg_index_forget(g, mark);
  g->index[x->iv] = 0;
  spv_loop_next(g->s, &l);
  for (int j = 0; j < body->yield_count; j++) {
    sg_tile y = g->tile[body->yield[j]];
    for (uint32_t e = 0; e < sg_count(y); e++) spv_loop_yield(g->s, carry[j][e], y.e[e]);
  }
  sg_long_loop_end(g, &l);
  add_bits(g, g->read, read), add_bits(g, g->written, written);
  for (int j = 0; j < body->yield_count; j++) define(g, x->out[j]);
}

/* ---- branches ---------------------------------------------------------------------------------------------------- */

/* -> the block that the side ends in */
static spv_id side(sg *g, const sn_kblock *b, spv_id label, spv_id merge) {
  int mark = g->trail_count;
  spv_label(g->s, label);
  sg_block(g, b);
  sg_index_forget(g, mark);
  spv_id end = spv_block(g->s);
  spv_branch(g->s, merge);
  return end;
}

static void join(sg *g, const sn_kins *x, int j, const spv_id end[2]) {
  sg_tile a = g->tile[x->body[0]->yield[j]], b = g->tile[x->body[1]->yield[j]];
  sg_tile y = sg_tile_new(g, (int)a.r.extent, (int)a.c.extent);
  spv_id type = sg_type(g, sg_ins(g, x->out[j])->type.elem);
  for (uint32_t e = 0; e < sg_count(y); e++)
    y.e[e] = spv_op(g->s, SpvOpPhi, type, 4, (uint32_t[]){a.e[e], end[0], b.e[e], end[1]});
  g->tile[x->out[j]] = y;
  sg_debug_made(g, x->out[j], 0);
}

static void branch(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  spv_id value = sg_index(g, x->a[0]), zero = sg_longk(g, 0);
  spv_id condition = sg_long_test(g, SpvOpINotEqual, value, zero);
  spv_id yes = spv_new(g->s), no = spv_new(g->s), merge = spv_new(g->s), end[2];
  uint64_t *read = sg_bits_of(g, g->read), *written = sg_bits_of(g, g->written);
  spv_do(g->s, SpvOpSelectionMerge, 2, (uint32_t[]){merge, 0});
  spv_branch_if(g->s, condition, yes, no);
  end[0] = side(g, x->body[0], yes, merge);
  uint64_t *read_after = sg_bits_of(g, g->read), *written_after = sg_bits_of(g, g->written);
  memcpy(g->read, read, (size_t)g->words * sizeof *read);
  memcpy(g->written, written, (size_t)g->words * sizeof *written);
  end[1] = side(g, x->body[1], no, merge);
  spv_label(g->s, merge);
  add_bits(g, g->read, read_after), add_bits(g, g->written, written_after);
  for (int j = 0; j < x->body[0]->yield_count; j++) join(g, x, j, end);
  for (int j = 0; j < x->body[0]->yield_count; j++) define(g, x->out[j]);
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */

static void load(sg *g, sn_kv v) {
  const sg_value *i = &g->value[v];
  const sn_kins *x = sg_ins(g, v);
  if (i->walked) return;
  if (i->registers) {
    sg_load(g, v);
    return;
  }
  sg_window w = sg_window_of(g, x, x->type); /* staged only: past the registers */
  sg_window_stage(g, &w, x->type.r, x->type.c, 0, 0, i->slot, i->pitch);
}

static void turn(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  bool turned = true;
  if (g->value[v].alias) return;
  sn_kv from = x->a[0];
  while (g->value[from].alias) from = g->value[from].alias, turned = !turned;
  const sg_value *s = &g->value[from];
  g->tile[v] = sg_unstage(g, x->type.elem, x->type.r, x->type.c, s->slot, s->pitch, turned);
}

static void shape(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  switch (x->op) {
    case SN_K_BCAST: g->tile[v] = sg_broadcast(g, g->tile[x->a[0]], x->type.r, x->type.c); break;
    case SN_K_TRANS: turn(g, v); break;
    case SN_K_RESCALE: sg_rescale(g, v); break;
    default: sg_reduce(g, v); break;
  }
}

static void memory(sg *g, sn_kv v) {
  switch (sg_ins(g, v)->op) {
    case SN_K_LOAD: load(g, v); break;
    case SN_K_GATHER: sg_gather(g, v); break;
    case SN_K_STORE: sg_store(g, v); break;
    default: break; /* LOCAL: its slot is all there is */
  }
}

static void instruction(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  const sg_value *i = &g->value[v];
  if (sg_is_tile(x) && !i->registers && !i->staged && !i->alias && !i->walked) return; /* nobody uses it */
  spv_id from = sg_debug_at(g, v);
  switch (sn_kop_class(x->op)) {
    case SN_KCLASS_SRC: sg_source(g, v); break;
    case SN_KCLASS_MMA: sg_product(g, v); break;
    case SN_KCLASS_MEM: memory(g, v); break;
    case SN_KCLASS_SHAPE: shape(g, v); break;
    case SN_KCLASS_CTL:
      if (x->op == SN_K_FOR)
        loop(g, v);
      else
        branch(g, v);
      return;
    default: sg_point(g, v); break;
  }
  if (!sg_is_tile(x)) return;
  sg_debug_made(g, v, from);
  define(g, v);
}

void sg_block(sg *g, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) instruction(g, b->ins[j]);
}
