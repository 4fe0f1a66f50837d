/* graph -> graph: computes what is constant and removes what does nothing.
 *
 * Constants are computed in f64 and rounded to their type. Identities are exact but for the sign of zero (x + 0 keeps
 * -0); x * 0 stays for floats, because of NaN and infinity.
 *
 * Terminates: every rule lowers the number of nodes that are neither constants nor leaves, or the operands of a concat.
 */
#include <math.h>
#include <string.h>

#include "ir/base/plant.h"
#include "passes/graph/rewrite.h"
#include "passes/graph/scalar.h"

static bool is_const(const sn_build *b, sn_val v, double *out) { return sn_val_is_const(b->func, v, out); }

static bool is_number(const sn_build *b, sn_val v, double wanted) {
  double x;
  return is_const(b, v, &x) && x == wanted;
}

static sn_elem elem_of(const sn_build *b, sn_val v) { return sn_g_type(b, v)->elem; }

/* ---- constants -------------------------------------------------------------------------------------- */

static sn_val fold_const(sn_build *b, const sn_node *n, const sn_val *arg) {
  double x[3], y;
  if (sn_op_get(n->op)->cls != SN_CLASS_POINT || n->arg_count > 3) return 0;
  for (int i = 0; i < n->arg_count; i++) {
    if (!is_const(b, arg[i], &x[i])) return 0;
    if (!sn_scalar_round(elem_of(b, arg[i]), x[i], &x[i])) return 0; /* what a constant of this type holds */
  }
  if (!sn_scalar_eval(n->op, elem_of(b, arg[n->op == SN_OP_SELECT]), n->type[0]->elem, x, &y)) return 0;
  return sn_g_const(b, n->type[0], y);
}

static sn_val fold_dim(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)arg;
  int64_t value;
  if (!sn_dimx_is_const(n->attr[0].d, &value) || value != (int32_t)value) return 0;
  return sn_g_const(b, n->type[0], (double)value);
}

/* The only position along an axis of extent 1 is 0. */
static sn_val fold_iota_one(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)arg;
  return sn_dimx_is_one(n->type[0]->dim[n->attr[0].i]) ? sn_g_const(b, n->type[0], 0) : 0;
}

/* A view of equal elements. */
static sn_val fold_view_const(sn_build *b, const sn_node *n, const sn_val *arg) {
  double x;
  if (sn_op_get(n->op)->cls != SN_CLASS_VIEW || !is_const(b, arg[0], &x)) return 0;
  return sn_g_const(b, n->type[0], x);
}

static sn_val fold_concat_const(sn_build *b, const sn_node *n, const sn_val *arg) {
  double first, x;
  if (!is_const(b, arg[0], &first)) return 0;
  for (int i = 1; i < n->arg_count; i++) {
    if (!is_const(b, arg[i], &x) || x != first || signbit(x) != signbit(first)) return 0;
  }
  return sn_g_const(b, n->type[0], first);
}

static sn_val fold_sum_zero(sn_build *b, const sn_node *n, const sn_val *arg) {
  return is_number(b, arg[0], 0) ? sn_g_const(b, n->type[0], 0) : 0;
}

/* ---- arithmetic that does nothing --------------------------------------------------------------------- */

static sn_val fold_add_zero(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return is_number(b, arg[1], 0) ? arg[0] : is_number(b, arg[0], 0) ? arg[1] : 0;
}

static sn_val fold_sub_zero(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return is_number(b, arg[1], 0) ? arg[0] : 0;
}

static sn_val fold_mul_one(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return is_number(b, arg[1], 1) ? arg[0] : is_number(b, arg[0], 1) ? arg[1] : 0;
}

/* Integers only: 0 * NaN is NaN. */
static sn_val fold_mul_zero(sn_build *b, const sn_node *n, const sn_val *arg) {
  if (!sn_elem_is_int(n->type[0]->elem)) return 0;
  return is_number(b, arg[1], 0) ? arg[1] : is_number(b, arg[0], 0) ? arg[0] : 0;
}

static sn_val fold_div_one(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  return is_number(b, arg[1], 1) ? arg[0] : 0;
}

/* neg neg x, not not x */
static sn_val fold_twice(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], n->op);
  return inner ? inner->arg[0] : 0;
}

/* Not of u8, where -x is 256 - x. */
static sn_val fold_abs_neg(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_NEG);
  return inner && n->type[0]->elem != SN_ELEM_U8 ? sn_g1(b, SN_OP_ABS, inner->arg[0]) : 0;
}

/* and, or of bools with a constant */
static sn_val fold_logic_const(sn_build *b, const sn_node *n, const sn_val *arg) {
  double neutral = n->op == SN_OP_AND;
  if (n->type[0]->elem != SN_ELEM_BOOL) return 0;
  for (int i = 0; i < 2; i++) {
    if (is_const(b, arg[i], NULL)) return is_number(b, arg[i], neutral) ? arg[1 - i] : arg[i];
  }
  return 0;
}

/* x op x = x */
static sn_val fold_idempotent(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)b, (void)n;
  return arg[0] == arg[1] ? arg[0] : 0;
}

static sn_val fold_select_const(sn_build *b, const sn_node *n, const sn_val *arg) {
  double c;
  (void)n;
  return is_const(b, arg[0], &c) ? arg[c != 0 ? 1 : 2] : 0;
}

static sn_val fold_select_same(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)b, (void)n;
  return arg[1] == arg[2] ? arg[1] : 0;
}

/* ---- casts ---------------------------------------------------------------------------------------------- */

static sn_val fold_cast_same(sn_build *b, const sn_node *n, const sn_val *arg) {
  return sn_g_type(b, arg[0]) == n->type[0] ? arg[0] : 0;
}

/* from -> middle -> to is from -> to where the middle holds every value. Not when an integer goes through a float to an
 * integer that does not hold it: floats saturate, integers do not. */
static sn_val fold_cast_cast(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_CAST);
  if (!inner) return 0;
  sn_elem from = elem_of(b, inner->arg[0]), middle = inner->type[0]->elem, to = n->type[0]->elem;
  if (!sn_elem_contains(middle, from)) return 0;
  bool kinds_change = sn_elem_is_float(middle) && !sn_elem_is_float(from) && !sn_elem_is_float(to);
  if (kinds_change && !sn_elem_contains(to, from)) return 0;
  if (to == SN_ELEM_BOOL && from != SN_ELEM_BOOL) return 0;
  return sn_g_cast(b, inner->arg[0], to);
}

/* ---- views ---------------------------------------------------------------------------------------------- */

static bool is_ascending(const sn_attr *list) {
  for (int i = 0; i < list->count; i++) {
    if (list->ints[i] != i) return false;
  }
  return true;
}

/* A view that shows its operand as it is. A slice or broadcast of the same type has no other choice. */
static sn_val fold_view_same(sn_build *b, const sn_node *n, const sn_val *arg) {
  if (sn_op_get(n->op)->cls != SN_CLASS_VIEW || sn_g_type(b, arg[0]) != n->type[0]) return 0;
  return n->op == SN_OP_TRANSPOSE && !is_ascending(&n->attr[0]) ? 0 : arg[0];
}

static sn_val fold_reshape_reshape(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_RESHAPE);
  return inner ? sn_g_reshape(b, inner->arg[0], n->type[0]->rank, n->type[0]->dim) : 0;
}

static sn_val fold_transpose_transpose(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_TRANSPOSE);
  int64_t perm[SN_RANK_MAX];
  if (!inner) return 0;
  for (int i = 0; i < n->attr[0].count; i++) perm[i] = inner->attr[0].ints[n->attr[0].ints[i]];
  for (int i = 0; i < n->attr[0].count && SN_PLANTED(TRANSPOSE); i++) {
    int64_t j = n->attr[0].ints[inner->attr[0].ints[i]], k = 0;
    while (perm[k] != j) k++;
    if (n->type[0]->dim[k] == n->type[0]->dim[i]) perm[k] = perm[i], perm[i] = j;
  }
  return sn_g_transpose(b, inner->arg[0], perm);
}

/* A transpose that moves only axes of extent 1 keeps the elements in their order. */
static sn_val fold_transpose_ones(sn_build *b, const sn_node *n, const sn_val *arg) {
  int64_t last = -1;
  for (int i = 0; i < n->attr[0].count; i++) {
    if (sn_dimx_is_one(n->type[0]->dim[i])) continue;
    if (n->attr[0].ints[i] < last) return 0;
    last = n->attr[0].ints[i];
  }
  return sn_g_reshape(b, arg[0], n->type[0]->rank, n->type[0]->dim);
}

static sn_val fold_concat_one(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)b;
  return n->arg_count == 1 ? arg[0] : 0;
}

/* A concat loses the operands that hold nothing. */
static sn_val fold_concat_empty(sn_build *b, const sn_node *n, const sn_val *arg) {
  int64_t axis = n->attr[0].i, extent;
  sn_val *kept = SN_ARRAY(b->func->arena, n->arg_count, sn_val);
  int count = 0;
  for (int i = 0; i < n->arg_count; i++) {
    if (!sn_dimx_is_const(sn_g_type(b, arg[i])->dim[axis], &extent) || extent) kept[count++] = arg[i];
  }
  return count && count < n->arg_count ? sn_g_concat(b, (int)axis, count, kept) : 0;
}

static bool never_negative(const sn_dimx *d) { return sn_dimx_min_value(d) >= 0; }

/* The operand of the concat that holds all of what is cut. */
static sn_val fold_slice_concat(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_CONCAT);
  if (!inner) return 0;
  sn_types *t = b->func->module->types;
  int64_t axis = inner->attr[0].i;
  const sn_dimx *from = n->attr[0].dims[axis], *start[SN_RANK_MAX];
  for (int i = 0; i < inner->arg_count; i++) {
    const sn_dimx *extent = sn_g_type(b, inner->arg[i])->dim[axis];
    const sn_dimx *rest = sn_dimx_sub(t, sn_dimx_sub(t, extent, from), n->attr[1].dims[axis]);
    if (never_negative(from) && never_negative(rest)) {
      memcpy(start, n->attr[0].dims, (size_t)n->attr[0].count * sizeof *start);
      start[axis] = from;
      return sn_g_slice(b, inner->arg[i], start, n->attr[1].dims);
    }
    from = sn_dimx_sub(t, from, extent);
  }
  return 0;
}

/* A reduction over axes of extent 1 moves no data. */
static sn_val fold_reduce_ones(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_type *x = sn_g_type(b, arg[0]);
  for (int i = 0; i < n->attr[0].count; i++) {
    if (!sn_dimx_is_one(x->dim[n->attr[0].ints[i]])) return 0;
  }
  return sn_g_reshape(b, arg[0], n->type[0]->rank, n->type[0]->dim);
}

/* clang-format off */
const sn_rule sn_fold_rules[] = { /* table */
  {"fold.const",                SN_OP_NONE,      fold_const},
  {"fold.dim",                  SN_OP_DIM,       fold_dim},
  {"fold.iota_one",             SN_OP_IOTA,      fold_iota_one},
  {"fold.view_const",           SN_OP_NONE,      fold_view_const},
  {"fold.concat_const",         SN_OP_CONCAT,    fold_concat_const},
  {"fold.sum_zero",             SN_OP_SUM,       fold_sum_zero},
  {"fold.add_zero",             SN_OP_ADD,       fold_add_zero},
  {"fold.sub_zero",             SN_OP_SUB,       fold_sub_zero},
  {"fold.mul_one",              SN_OP_MUL,       fold_mul_one},
  {"fold.mul_zero",             SN_OP_MUL,       fold_mul_zero},
  {"fold.div_one",              SN_OP_DIV,       fold_div_one},
  {"fold.neg_neg",              SN_OP_NEG,       fold_twice},
  {"fold.not_not",              SN_OP_NOT,       fold_twice},
  {"fold.abs_neg",              SN_OP_ABS,       fold_abs_neg},
  {"fold.logic_const",          SN_OP_AND,       fold_logic_const},
  {"fold.logic_const",          SN_OP_OR,        fold_logic_const},
  {"fold.idempotent",           SN_OP_AND,       fold_idempotent},
  {"fold.idempotent",           SN_OP_OR,        fold_idempotent},
  {"fold.idempotent",           SN_OP_MIN,       fold_idempotent},
  {"fold.idempotent",           SN_OP_MAX,       fold_idempotent},
  {"fold.select_const",         SN_OP_SELECT,    fold_select_const},
  {"fold.select_same",          SN_OP_SELECT,    fold_select_same},
  {"fold.cast_same",            SN_OP_CAST,      fold_cast_same},
  {"fold.cast_cast",            SN_OP_CAST,      fold_cast_cast},
  {"fold.view_same",            SN_OP_NONE,      fold_view_same},
  {"fold.reshape_reshape",      SN_OP_RESHAPE,   fold_reshape_reshape},
  {"fold.transpose_transpose",  SN_OP_TRANSPOSE, fold_transpose_transpose},
  {"fold.transpose_ones",       SN_OP_TRANSPOSE, fold_transpose_ones},
  {"fold.concat_one",           SN_OP_CONCAT,    fold_concat_one},
  {"fold.concat_empty",         SN_OP_CONCAT,    fold_concat_empty},
  {"fold.slice_concat",         SN_OP_SLICE,     fold_slice_concat},
  {"fold.reduce_ones",          SN_OP_SUM,       fold_reduce_ones},
  {"fold.reduce_ones",          SN_OP_AMAX,      fold_reduce_ones},
  {"fold.reduce_ones",          SN_OP_AMIN,      fold_reduce_ones},
  {"fold.reduce_ones",          SN_OP_PROD,      fold_reduce_ones},
  {0},
};
/* clang-format on */

sn_code sn_pass_fold(sn_module *m, sn_pass_env *env) {
  env->rule_hits = 0;
  return sn_rewrite_with(m, env, "fold", sn_fold_rules);
}
