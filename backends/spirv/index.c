/* Index values: uniform numbers of 64 bits (wide.c), emitted at their first use and forgotten at the end of its block.
 */
#include "backends/spirv/sg.h"

spv_id sg_address(sg *g, spv_id x) { return g->apart ? sg_long(g, SpvOpIAdd, x, g->apart) : x; }

static spv_id argument(sg *g, int i) {
  spv_id type = sg_long_type(g);
  if (!g->table) return spv_push(g->s, 2 + i);
  spv_id at = spv_u32(g->s, (uint32_t)i);
  spv_id p = spv_at(g->s, g->table, type, 8, at);
  return spv_load(g->s, type, p, 8);
}

static spv_id param(sg *g, const sn_kins *x) {
  spv_id id = argument(g, (int)x->i);
  return g->k->param[x->i].role == SN_K_SIZE ? id : sg_address(g, id);
}

static spv_id from_memory(sg *g, const sn_kins *x) {
  spv_id word = spv_uint(g->s, 32);
  spv_id base = sg_index(g, x->a[0]);
  spv_id bytes = sg_longc(g, SpvOpIMul, sg_index(g, x->a[1]), 4), none = spv_u32(g->s, 0);
  base = sg_long(g, SpvOpIAdd, base, bytes);
  spv_id p = spv_at(g->s, base, word, 4, none);
  spv_id e = spv_load(g->s, word, p, 4);
  return sg_extend(g, e);
}

static spv_id chosen(sg *g, spv_opcode op, spv_id a, spv_id b, spv_id yes, spv_id no) {
  spv_id type = sg_long_type(g);
  spv_id c = sg_long_test(g, op, a, b);
  return sg_select(g, type, c, yes, no);
}

/* Is the value known to be below 2^32? */
static bool is_small(const sg *g, sn_kv v) {
  int64_t lo, hi;
  sn_k_bounds(g->k, v, &lo, &hi);
  return lo >= 0 && hi <= UINT32_MAX;
}

static spv_id computed(sg *g, const sn_kins *x) { /* table */
  spv_id a = sg_index(g, x->a[0]);
  spv_id b = sg_index(g, x->a[1]);
  spv_id one = sg_longk(g, 1), zero = sg_longk(g, 0);
  bool small = is_small(g, x->a[0]) && is_small(g, x->a[1]);
  switch (x->op) {
    case SN_K_IADD: return sg_long(g, SpvOpIAdd, a, b);
    case SN_K_ISUB: return sg_long(g, SpvOpISub, a, b);
    case SN_K_IMUL: return sg_long(g, SpvOpIMul, a, b);
    case SN_K_IDIV: return sg_long_divide(g, SpvOpUDiv, a, b, small);
    case SN_K_IMOD: return sg_long_divide(g, SpvOpUMod, a, b, small);
    case SN_K_IMIN: return chosen(g, SpvOpSLessThan, a, b, a, b);
    case SN_K_IMAX: return chosen(g, SpvOpSLessThan, a, b, b, a);
    case SN_K_ILT: return chosen(g, SpvOpSLessThan, a, b, one, zero);
    default: return chosen(g, SpvOpIEqual, a, b, one, zero);
  }
}

spv_id sg_index(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  if (x->op == SN_K_ICONST) return sg_longk(g, x->i);
  if (x->op == SN_K_GID) return g->grid[x->i];
  if (g->index[v]) return g->index[v];
  spv_id id = x->op == SN_K_PARAM ? param(g, x) : x->op == SN_K_ILOAD ? from_memory(g, x) : computed(g, x);
  g->index[v] = id;
  sg_debug_index(g, v);
  g->trail[g->trail_count++] = v;
  return id;
}

spv_id sg_index32(sg *g, sn_kv v) {
  int64_t c;
  if (sn_k_is_const(g->k, v, &c)) return spv_u32(g->s, (uint32_t)c);
  return sg_low(g, sg_index(g, v));
}

void sg_index_forget(sg *g, int mark) {
  while (g->trail_count > mark) g->index[g->trail[--g->trail_count]] = 0;
}
