/* Products of few rows or few columns, on targets that read the other operand straight from memory, once for all of
 * them: narrow tiles for many instances, each with all of the sum in one product. */
#include "passes/lower/contract.h"

enum { WIDEST = 32, VECTORS = 32, SPREAD = 8 }; /* VECTORS: least bytes side by side */

/* Blocks that the result has along the axes of a role; -1: elements. */
static double blocks(const sn_contraction *k, sn_contract_role r, int axis, int block) {
  double n = 1;
  for (int i = 0; i < k->out.space.rank; i++) {
    int64_t most = sn_dimx_max_value(k->out.space.extent[i]);
    if (k->role[i] == r) n *= (double)(i == axis ? (most + block - 1) / block : most);
  }
  return n;
}

/* Is the operand read as it lies in memory, but for conversions? */
static bool is_plain(const sn_group *g) {
  const sn_node *n = sn_node_of(g->f, g->anchor);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW || n->op == SN_OP_CAST) n = sn_node_of(g->f, n->arg[0]);
  return n->op == SN_OP_ARG && g->access_count == 1 && g->access[0].kind == SN_ACCESS_BUFFER;
}

bool sn_contract_thin(const sn_contraction *k, sn_contract_role narrow) {
  const sn_target *t = k->c->target;
  int64_t depth;
  if (!t->thin || k->sum < 0 || !sn_dimx_is_const(k->out.space.extent[k->sum], &depth)) return false;
  if (depth > t->k_whole || blocks(k, SUM, -1, 1) > (double)depth || !is_plain(&k->a) || !is_plain(&k->b)) return false;
  return blocks(k, narrow, -1, 1) <= t->thin && blocks(k, narrow == ROW ? COL : ROW, -1, 1) > t->thin;
}

int sn_contract_thin_width(const sn_contraction *k, sn_contract_role wide, int axis, bool side_by_side) {
  int width = WIDEST, least = side_by_side ? VECTORS / (int)sn_elem_bytes(k->elem) : SPREAD;
  int64_t n = sn_dimx_max_value(k->out.space.extent[axis]);
  while (width > least && blocks(k, BATCH, -1, 1) * blocks(k, wide, axis, width) < k->c->target->thin_instances)
    width /= 2;
  return n < width ? (int)n : width;
}
