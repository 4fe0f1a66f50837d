/* graph -> graph: brings equal meanings to one form, which later passes look for.
 *
 *   constants stand right of commutative ops; x - c is x + (-c), x / 2^k is x * 2^-k; negations are absorbed by their
 * users; views of views are one view; a sum of zero-padded pieces (the gradients of slices) is one concat.
 *
 * Each rule is exact but for the sign of zero. Terminates: no rule undoes another, and each lowers, in this order, the
 * number of (1) sub, div, neg, not and select nodes on constants or negations, (2) add of concats, (3) views, (4)
 * commutative nodes with a constant on the left. add_neg trades an add of a neg for a sub, which only a constant or
 * another neg could turn back, and then the neg is gone. */
#include <math.h>
#include <string.h>

#include "ir/base/plant.h"
#include "passes/graph/rewrite.h"
#include "passes/graph/scalar.h"

static sn_types *types_of(const sn_build *b) { return b->func->module->types; }

static bool is_const(const sn_build *b, sn_val v, double *out) { return sn_val_is_const(b->func, v, out); }

/* ---- arithmetic ----------------------------------------------------------------------------------------- */

static sn_val canon_const_right(sn_build *b, const sn_node *n, const sn_val *arg) {
  if (!(sn_op_get(n->op)->flags & SN_FLAG_COMM)) return 0;
  if (!is_const(b, arg[0], NULL) || is_const(b, arg[1], NULL)) return 0;
  return sn_g2(b, n->op, arg[1], arg[0]);
}

static sn_val canon_sub_const(sn_build *b, const sn_node *n, const sn_val *arg) {
  double c, minus;
  if (!is_const(b, arg[1], &c) || is_const(b, arg[0], NULL)) return 0;
  if (!sn_scalar_round(n->type[0]->elem, sn_elem_is_float(n->type[0]->elem) ? -c : 0 - c, &minus)) return 0;
  return sn_g2(b, SN_OP_ADD, arg[0], sn_g_const(b, n->type[0], minus));
}

/* Is 1 / c a normal number of this type, so that x * (1 / c) = x / c to the bit? */
static bool has_exact_inverse(sn_elem e, double c) {
  int exponent, least = e == SN_ELEM_F16 || e == SN_ELEM_F8E5M2 ? -14
                        : e == SN_ELEM_F8E4M3                   ? -6
                        : e == SN_ELEM_F64                      ? -1022
                                                                : -126;
  if (!isfinite(c) || fabs(frexp(c, &exponent)) != 0.5) return false;
  return 1 - exponent >= least && exponent - 1 >= least; /* c = 2^(exponent - 1) */
}

static sn_val canon_div_pow2(sn_build *b, const sn_node *n, const sn_val *arg) {
  double c;
  if (!sn_elem_is_float(n->type[0]->elem) || !is_const(b, arg[1], &c) || is_const(b, arg[0], NULL)) return 0;
  if (!has_exact_inverse(n->type[0]->elem, c)) return 0;
  return sn_g2(b, SN_OP_MUL, arg[0], sn_g_const(b, n->type[0], 1 / c));
}

/* x + -y, -x + y */
static sn_val canon_add_neg(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  const sn_node *left = sn_node_if(b, arg[0], SN_OP_NEG), *right = sn_node_if(b, arg[1], SN_OP_NEG);
  if (right) return sn_g2(b, SN_OP_SUB, arg[0], right->arg[0]);
  if (left && !is_const(b, arg[1], NULL)) return sn_g2(b, SN_OP_SUB, arg[1], left->arg[0]);
  return 0;
}

/* x - -y */
static sn_val canon_sub_neg(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  const sn_node *right = sn_node_if(b, arg[1], SN_OP_NEG);
  return right ? sn_g2(b, SN_OP_ADD, arg[0], right->arg[0]) : 0;
}

/* -x * c is x * -c; -x * -y is x * y. */
static sn_val canon_mul_neg(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *left = sn_node_if(b, arg[0], SN_OP_NEG), *right = sn_node_if(b, arg[1], SN_OP_NEG);
  double c;
  if (left && right) return sn_g2(b, SN_OP_MUL, left->arg[0], right->arg[0]);
  if (!left || !sn_elem_is_float(n->type[0]->elem) || !is_const(b, arg[1], &c)) return 0;
  return sn_g2(b, SN_OP_MUL, left->arg[0], sn_g_const(b, n->type[0], -c));
}

/* -(x * c) */
static sn_val canon_neg_mul(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_MUL);
  double c;
  if (!inner || !sn_elem_is_float(n->type[0]->elem) || !is_const(b, inner->arg[1], &c)) return 0;
  return sn_g2(b, SN_OP_MUL, inner->arg[0], sn_g_const(b, n->type[0], -c));
}

static sn_val canon_select_not(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  const sn_node *c = sn_node_if(b, arg[0], SN_OP_NOT);
  return c ? sn_g3(b, SN_OP_SELECT, c->arg[0], arg[2], arg[1]) : 0;
}

/* ---- views ------------------------------------------------------------------------------------------------ */

static sn_val canon_broadcast_broadcast(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_BROADCAST);
  int64_t axes[SN_RANK_MAX];
  if (!inner) return 0;
  for (int i = 0; i < inner->attr[1].count; i++) axes[i] = n->attr[1].ints[inner->attr[1].ints[i]];
  for (int i = 0; i < inner->attr[1].count && SN_PLANTED(BROADCASTS); i++)
    if (n->type[0]->dim[i] == n->type[0]->dim[axes[i]] && (!i || axes[i - 1] < i)) axes[i] = i;
  return sn_g_broadcast(b, inner->arg[0], n->type[0]->rank, n->type[0]->dim, axes);
}

/* A reshape that only adds axes of extent 1 before a broadcast: the broadcast can place the axes itself. */
static sn_val canon_broadcast_reshape(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_RESHAPE);
  int64_t axes[SN_RANK_MAX];
  if (!inner) return 0;
  const sn_type *x = sn_g_type(b, inner->arg[0]), *wide = inner->type[0];
  int k = 0;
  for (int i = 0; i < wide->rank; i++) {
    if (k < x->rank && x->dim[k] == wide->dim[i])
      axes[k++] = n->attr[1].ints[i];
    else if (!sn_dimx_is_one(wide->dim[i]))
      return 0;
  }
  return k == x->rank ? sn_g_broadcast(b, inner->arg[0], n->type[0]->rank, n->type[0]->dim, axes) : 0;
}

static sn_val canon_slice_slice(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *inner = sn_node_if(b, arg[0], SN_OP_SLICE);
  const sn_dimx *start[SN_RANK_MAX];
  if (!inner) return 0;
  const sn_type *x = sn_g_type(b, inner->arg[0]);
  for (int i = 0; i < x->rank; i++) {
    start[i] = sn_dimx_add(types_of(b), n->attr[0].dims[i], inner->attr[0].dims[i]);
    const sn_dimx *end = sn_dimx_add(types_of(b), start[i], n->attr[1].dims[i]);
    if (sn_dimx_min_value(start[i]) < 0 || sn_dimx_min_value(sn_dimx_sub(types_of(b), x->dim[i], end)) < 0) return 0;
  }
  return sn_g_slice(b, inner->arg[0], start, n->attr[1].dims);
}

/* concat(.., concat(a, b), ..) along one axis */
static sn_val canon_concat_concat(sn_build *b, const sn_node *n, const sn_val *arg) {
  enum { MOST = 256 };
  sn_val flat[MOST];
  int count = 0;
  for (int i = 0; i < n->arg_count; i++) {
    const sn_node *inner = sn_node_if(b, arg[i], SN_OP_CONCAT);
    bool same = inner && inner->attr[0].i == n->attr[0].i;
    int more = same ? inner->arg_count : 1;
    if (count + more > MOST) return 0;
    memcpy(flat + count, same ? inner->arg : &arg[i], (size_t)more * sizeof *flat);
    count += more;
  }
  return count > n->arg_count ? sn_g_concat(b, (int)n->attr[0].i, count, flat) : 0;
}

/* ---- sums of padded pieces ----------------------------------------------------------------------------------- */

enum { MAX_PIECES = 64 };

/* Operands of a concat along one axis, walked from the left. */
typedef struct pieces {
  const sn_node *concat;
  int at;              /* operand at hand */
  const sn_dimx *left; /* its extent not yet used */
} pieces;

static bool is_zero(const sn_build *b, sn_val v) {
  double x;
  return is_const(b, v, &x) && x == 0;
}

static const sn_dimx *extent_of(const sn_build *b, sn_val v, int64_t axis) { return sn_g_type(b, v)->dim[axis]; }

static bool is_empty(const sn_dimx *d) {
  int64_t n;
  return sn_dimx_is_const(d, &n) && n == 0;
}

static bool is_at_least(sn_build *b, const sn_dimx *x, const sn_dimx *y) {
  return sn_dimx_min_value(sn_dimx_sub(types_of(b), x, y)) >= 0;
}

/* Uses `extent` of the operand at hand and goes on to the next when it is used up. */
static void use(sn_build *b, pieces *p, const sn_dimx *extent) {
  p->left = sn_dimx_sub(types_of(b), p->left, extent);
  if (!is_empty(p->left) || ++p->at == p->concat->arg_count) return;
  p->left = extent_of(b, p->concat->arg[p->at], p->concat->attr[0].i);
}

/* Zeros in the type of `like` but for the extent of one axis. */
static sn_val zeros(sn_build *b, const sn_type *like, int64_t axis, const sn_dimx *extent) {
  const sn_dimx *dim[SN_RANK_MAX];
  memcpy(dim, like->dim, (size_t)like->rank * sizeof *dim);
  dim[axis] = extent;
  return sn_g_const(b, sn_type_of(types_of(b), like->elem, like->rank, dim), 0);
}

/* The next piece of the sum, where one side is zero throughout; *extent is what it covers. 0: neither is, or no proof.
 */
static sn_val next_piece(sn_build *b, const pieces *x, const pieces *y, const sn_type *type, const sn_dimx **extent) {
  int64_t axis = x->concat->attr[0].i;
  const pieces *side[2] = {x, y};
  sn_val v[2] = {x->concat->arg[x->at], y->concat->arg[y->at]};
  bool zero[2] = {is_zero(b, v[0]), is_zero(b, v[1])};
  if (zero[0] && zero[1]) {
    *extent = is_at_least(b, y->left, x->left) ? x->left : y->left;
    return is_at_least(b, x->left, *extent) && is_at_least(b, y->left, *extent) ? zeros(b, type, axis, *extent) : 0;
  }
  for (int i = 0; i < 2; i++) {
    *extent = extent_of(b, v[i], axis);
    if (zero[1 - i] && side[i]->left == *extent && is_at_least(b, side[1 - i]->left, *extent)) return v[i];
  }
  return 0;
}

static pieces pieces_of(const sn_build *b, const sn_node *concat) {
  return (pieces){.concat = concat, .left = extent_of(b, concat->arg[0], concat->attr[0].i)};
}

/* concat(a, zeros) + concat(zeros, b) = concat(a, b), for any number of pieces of which no two overlap. */
static sn_val canon_add_concat(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_node *left = sn_node_if(b, arg[0], SN_OP_CONCAT), *right = sn_node_if(b, arg[1], SN_OP_CONCAT);
  if (!left || !right || left->attr[0].i != right->attr[0].i) return 0;
  pieces x = pieces_of(b, left), y = pieces_of(b, right);
  sn_val list[MAX_PIECES];
  int count = 0;
  while (x.at < left->arg_count && y.at < right->arg_count) {
    const sn_dimx *extent;
    if (count == MAX_PIECES || is_empty(x.left) || is_empty(y.left)) return 0;
    sn_val v = next_piece(b, &x, &y, n->type[0], &extent);
    if (!v) return 0;
    list[count++] = v;
    use(b, &x, extent);
    use(b, &y, extent);
  }
  return sn_g_concat(b, (int)left->attr[0].i, count, list);
}

/* Rows [n] and updates [n, rest..] of a scatter without batches. */
static void flat_scatter(sn_build *b, const sn_node *n, sn_val *index, sn_val *update) {
  sn_types *types = b->func->module->types;
  const sn_type *i = sn_g_type(b, n->arg[0]), *u = sn_g_type(b, n->arg[1]);
  const sn_dimx *dim[SN_RANK_MAX] = {sn_type_count(types, i)};
  for (int k = i->rank; k < u->rank; k++) dim[k - i->rank + 1] = u->dim[k];
  *index = sn_g_reshape(b, n->arg[0], 1, dim);
  *update = sn_g_reshape(b, n->arg[1], u->rank - i->rank + 1, dim);
}

static const sn_node *plain_scatter(const sn_build *b, sn_val v) {
  const sn_node *n = sn_node_if(b, v, SN_OP_SCATTER);
  return n && !n->attr[0].i ? n : NULL;
}

static sn_val joined_scatter(sn_build *b, const sn_node *x, const sn_node *y) {
  sn_val index[2], update[2];
  if (x == y || sn_g_type(b, x->arg[0])->elem != sn_g_type(b, y->arg[0])->elem) return 0;
  flat_scatter(b, x, &index[0], &update[0]);
  flat_scatter(b, y, &index[1], &update[1]);
  const sn_val arg[2] = {sn_g_concat(b, 0, 2, index), sn_g_concat(b, 0, 2, update)};
  return b->failed ? 0 : sn_emit(b, SN_OP_SCATTER, 2, arg, x->attr, NULL);
}

/* scatter(i, u) + scatter(j, v) = scatter(i j, u v), also with another term between: one tensor of all rows less, as in
 * the gradient of a table that is read twice. */
static sn_val canon_add_scatter(sn_build *b, const sn_node *n, const sn_val *arg) {
  (void)n;
  for (int i = 0; i < 2; i++) {
    const sn_node *x = plain_scatter(b, arg[i]), *y = plain_scatter(b, arg[1 - i]);
    const sn_node *sum = sn_node_if(b, arg[1 - i], SN_OP_ADD);
    if (x && y) return joined_scatter(b, y, x);
    for (int k = 0; x && sum && k < 2; k++) {
      if (!(y = plain_scatter(b, sum->arg[k]))) continue;
      sn_val rest = sum->arg[1 - k], both = joined_scatter(b, y, x);
      return both ? sn_g2(b, SN_OP_ADD, rest, both) : 0;
    }
  }
  return 0;
}

/* clang-format off */
const sn_rule sn_canon_rules[] = { /* table */
  {"canon.const_right",         SN_OP_NONE,      canon_const_right},
  {"canon.sub_const",           SN_OP_SUB,       canon_sub_const},
  {"canon.div_pow2",            SN_OP_DIV,       canon_div_pow2},
  {"canon.add_neg",             SN_OP_ADD,       canon_add_neg},
  {"canon.sub_neg",             SN_OP_SUB,       canon_sub_neg},
  {"canon.mul_neg",             SN_OP_MUL,       canon_mul_neg},
  {"canon.neg_mul",             SN_OP_NEG,       canon_neg_mul},
  {"canon.select_not",          SN_OP_SELECT,    canon_select_not},
  {"canon.broadcast_broadcast", SN_OP_BROADCAST, canon_broadcast_broadcast},
  {"canon.broadcast_reshape",   SN_OP_BROADCAST, canon_broadcast_reshape},
  {"canon.slice_slice",         SN_OP_SLICE,     canon_slice_slice},
  {"canon.concat_concat",       SN_OP_CONCAT,    canon_concat_concat},
  {"canon.add_concat",          SN_OP_ADD,       canon_add_concat},
  {"canon.add_scatter",         SN_OP_ADD,       canon_add_scatter},
  {0},
};
/* clang-format on */

sn_code sn_pass_canon(sn_module *m, sn_pass_env *env) {
  env->rule_hits = 0;
  return sn_rewrite_with(m, env, "canon", sn_canon_rules);
}
