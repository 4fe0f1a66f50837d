/* Chains of views between a value and the space of its kernel: interned, with cancelling neighbours removed. */
#include "passes/lower/internal.h"

#include <string.h>

static bool same_map(const sn_step_map *a, const sn_step_map *b) {
  if (a->op != b->op || !sn_shape_equal(&a->from, &b->from) || !sn_shape_equal(&a->to, &b->to)) return false;
  for (int i = 0; i < SN_VIEW_RANK; i++)
    if (a->at[i] != b->at[i] || a->start[i] != b->start[i]) return false;
  return true;
}

static const sn_chain *intern(sn_chains *c, const sn_step_map *m, const sn_chain *next) {
  for (int i = 0; i < c->count; i++)
    if (c->at[i]->next == next && same_map(&c->at[i]->map, m)) return c->at[i];
  sn_chain *x = SN_NEW(c->arena, sn_chain);
  *x = (sn_chain){*m, next};
  SN_GROW(c->arena, c->at, c->count, c->capacity);
  return c->at[c->count++] = x;
}

static bool is_identity(const sn_step_map *m) {
  if (!sn_shape_equal(&m->from, &m->to)) return false;
  for (int i = 0; i < m->from.rank; i++) {
    if (m->op == SN_OP_TRANSPOSE && m->at[i] != i) return false;
    if (m->op == SN_OP_SLICE && !sn_dimx_is_zero(m->start[i])) return false;
  }
  return true;
}

/* Two steps as one, where that is again a step. */
static bool compose(const sn_step_map *first, const sn_step_map *then, sn_step_map *out) {
  if (first->op != then->op || (first->op != SN_OP_RESHAPE && first->op != SN_OP_TRANSPOSE)) return false;
  *out = (sn_step_map){.op = first->op, .from = first->from, .to = then->to};
  if (first->op == SN_OP_TRANSPOSE)
    for (int i = 0; i < then->to.rank; i++) out->at[i] = first->at[then->at[i]];
  return true;
}

const sn_chain *sn_chain_add(sn_chains *c, const sn_step_map *m, const sn_chain *next) {
  sn_step_map both;
  if (is_identity(m)) return next;
  if (next && compose(m, &next->map, &both)) return sn_chain_add(c, &both, next->next);
  return intern(c, m, next);
}
