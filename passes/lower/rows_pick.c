/* Sums over a long row of which one element counts, as the logit of a target: select(column == index, x, 0). The
 * element is read where it lies instead of comparing every column with the index. */
#include "passes/lower/rows.h"

/* A value under its chain, behind views. */
typedef struct seen {
  const sn_node *n;
  sn_val v;
  const sn_chain *chain;
} seen;

static seen seen_as(const sn_rows *r, sn_val v, const sn_chain *chain) {
  sn_step_map m;
  const sn_node *n = sn_node_of(r->g->f, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW && sn_step_of(r->g->f, n, false, &m)) {
    chain = sn_chain_add(&r->g->chains, &m, chain);
    v = n->arg[0];
    n = sn_node_of(r->g->f, v);
  }
  return (seen){n, v, chain};
}

static seen operand_of(const sn_rows *r, seen s, int i) { return seen_as(r, s.n->arg[i], s.chain); }

/* The number of the column, in integers that have one for each: others are compared as they come. */
static bool is_column(const sn_rows *r, seen s) {
  sn_elem e = sn_val_type(r->g->f, s.v)->elem;
  int64_t most = sn_dimx_max_value(r->g->space.extent[r->inner]);
  if (e != SN_ELEM_I64 && (e != SN_ELEM_I32 || most > INT32_MAX)) return false;
  sn_access *a = s.n->op == SN_OP_IOTA ? sn_group_access(r->g, SN_ACCESS_IOTA, s.v, s.chain) : NULL;
  if (!a || !sn_dimx_is_zero(a->view.offset)) return false;
  for (int i = 0; i < a->view.rank; i++)
    if (i == r->inner ? !sn_dimx_is_one(a->view.stride[i]) : !sn_dimx_is_zero(a->view.stride[i])) return false;
  return true;
}

/* Elementwise work on constants and memory. steady: the same in all columns. */
static bool is_plain(const sn_rows *r, seen s, bool steady) {
  if (s.n->op == SN_OP_CONST) return true;
  if (s.n->op == SN_OP_ARG) {
    const sn_access *a = sn_group_access(r->g, SN_ACCESS_BUFFER, s.v, s.chain);
    return a && (!steady || sn_dimx_is_zero(a->view.stride[r->inner]));
  }
  if (sn_op_get(s.n->op)->cls != SN_CLASS_POINT) return false;
  for (int i = 0; i < s.n->arg_count; i++)
    if (!is_plain(r, operand_of(r, s, i), steady)) return false;
  return true;
}

static bool is_zero(seen s) { return s.n->op == SN_OP_CONST && sn_node_attr(s.n, "value")->f == 0; }

/* The operands of a sum that is a pick: the index and what it picks of. */
static bool find(const sn_rows *r, const sn_node *sum, sn_pick *out) {
  const sn_chain *home = NULL;
  if (sum->op != SN_OP_SUM || !sn_group_placed(r->g, sum->arg[0], &home)) return false;
  seen at = seen_as(r, sum->arg[0], home);
  if (at.n->op != SN_OP_SELECT || !is_zero(operand_of(r, at, 2))) return false;
  seen hot = operand_of(r, at, 0), x = operand_of(r, at, 1);
  if (hot.n->op != SN_OP_EQ || !is_plain(r, x, false)) return false;
  int column = is_column(r, operand_of(r, hot, 1));
  seen index = operand_of(r, hot, !column);
  if (!is_column(r, operand_of(r, hot, column)) || !is_plain(r, index, true)) return false;
  *out = (sn_pick){index.v, x.v, index.chain, x.chain};
  return true;
}

void sn_rows_find_picks(sn_rows *r) {
  sn_pick ignored;
  if (r->along_columns || r->inner < 0 || r->outer_count) return;
  for (int i = 0; i < r->count; i++)
    if (find(r, r->node[i], &ignored)) r->level[i] = 0;
}

/* Nothing is picked by an index that no column has. */
sn_kv sn_rows_picked(sn_rows *r, int i) {
  sn_kernel *k = r->b->k;
  sn_pick p;
  (void)find(r, r->node[i], &p);
  sn_tile t = r->t;
  t.memo = sn_tile_memo_new(r->c->arena, NULL);
  t.c = 1;
  sn_kv index = sn_tile_value(&t, p.index, p.index_chain);
  sn_kv extent =
      sn_k_cast(k, sn_k_type(k, index).elem, sn_k_isplat(k, 1, 1, sn_build_dim(r->b, r->g->space.extent[r->inner])));
  sn_kv within =
      sn_k_bin(k, SN_K_AND, sn_k_un(k, SN_K_NOT, sn_k_binc(k, SN_K_LT, index, 0)), sn_k_bin(k, SN_K_LT, index, extent));
  sn_kv none = sn_k_const(k, sn_k_type(k, index).elem, 1, 1, 0);
  sn_kv place = sn_k_cast(k, SN_ELEM_I32, sn_k_select(k, within, index, none));
  t.col_at = sn_k_bcast(k, r->t.r, 1, place);
  sn_kv x = sn_tile_value(&t, p.x, p.x_chain);
  return sn_k_select(k, within, x, sn_k_const(k, sn_k_type(k, x).elem, 1, 1, 0));
}
