/* Rules of triangular systems: (I + L) y = x with L strictly lower, or its transpose. What l holds on and above the
 * diagonal is not read. */
#include "ir/ops/rules.h"

static sn_code infer_solve(sn_infer *in) {
  const sn_type *l = in->arg[0], *x = in->arg[1];
  int r = l->rank;
  if (!sn_elem_is_float(l->elem) || r < 2 || l->dim[r - 1] != l->dim[r - 2])
    return sn_infer_want(in, 0, "floats [b.., N, N]");
  bool fits = x->elem == l->elem && x->rank == r;
  for (int i = 0; fits && i < r - 1; i++) fits = x->dim[i] == l->dim[i];
  if (!fits) return sn_infer_want(in, 1, "[b.., N, M] of the same b.. and N as %s", sn_infer_text(in, l));
  return sn_infer_one(in, x);
}

/* a b' over the last axis of both, without what lies on and above the diagonal, negated. */
static sn_val lower_product(sn_build *b, sn_val x, sn_val y, const sn_type *type) {
  char batch[SN_RANK_MAX + 1] = "";
  for (int i = 0; i < type->rank - 2; i++) batch[i] = (char)('a' + i);
  const char *spec = sn_arena_printf(b->func->arena, "%sim,%sjm->%sij", batch, batch, batch);
  sn_val d = sn_g1(b, SN_OP_NEG, sn_g_contract(b, sn_name(b->func->module->names, spec), x, y));
  const sn_type *at = sn_type_with_elem(sn_b_types(b), type, SN_ELEM_I32);
  sn_val below = sn_g2(b, SN_OP_LT, sn_g_iota(b, at, type->rank - 1), sn_g_iota(b, at, type->rank - 2));
  return sn_g3(b, SN_OP_SELECT, below, d, sn_g_const(b, type, 0));
}

/* With d = A^-T dy: d x = d, d A = -d y'; of the transpose the other way round. */
static void grad_solve(sn_grad_rule *g) {
  bool transposed = sn_node_attr(g->node, "transposed")->i != 0;
  const sn_attr at = {.set = !transposed, .i = !transposed};
  const sn_val arg[2] = {g->arg[0], g->d_result[0]};
  sn_val d = sn_emit(g->b, SN_OP_SOLVE, 2, arg, &at, NULL), y = g->result[0];
  g->d_arg[1] = d;
  if (!g->need[0] || g->b->failed) return;
  const sn_type *l = sn_g_type(g->b, g->arg[0]);
  g->d_arg[0] = transposed ? lower_product(g->b, y, d, l) : lower_product(g->b, d, y, l);
}

const sn_op_rules sn_rules_SOLVE = {
    infer_solve, grad_solve,
    .doc = "y of (I + L) y = x, `transposed`: (I + L)' y = x; L: l [b.., N, N] below its diagonal; x [b.., N, M]"};
