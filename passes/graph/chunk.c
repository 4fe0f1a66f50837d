/* graph -> graph: a loss over a large vocabulary is made part by part, so that neither the logits nor their gradients
 * exist whole. Before differentiation:
 *
 *   rows [B, T] = cross_entropy(product [B, T, V], targets)
 *   ->  concat over T of  cross_entropy(product of a part of T, that part of the targets)
 *
 * The same for divergence. It applies where the last axis is a number of at least LARGE, the logits are a contraction
 * of rows with a matrix (behind elementwise ops), and an axis of the rows divides by 2 or more. A row's loss does not
 * depend on other rows, so the values are the same; sums of gradients over rows are made of one sum per part.
 * On demand the product and the loss are fused instead (chunk_fused.c).
 * Terminates: a loss of parts is not parted again, and a fused one is no loss any more. */
#include <string.h>

#include "passes/graph/chunk.h"

enum { LARGE = 8192, PARTS_MAX = 8, DEPTH_MAX = 16 };

typedef struct part {
  sn_build *b;
  int axis; /* of the logits and rows */
  const sn_dimx *from, *count;
} part;

static bool is_point(sn_op op) { return sn_op_get(op)->cls == SN_CLASS_POINT; }

/* ---- where ----------------------------------------------------------------------------------------------------- */

/* The contraction behind elementwise ops, through the operand that is no repeated number. NULL: none. */
static const sn_node *product_of(const sn_build *b, sn_val v) {
  for (int depth = 0; depth < DEPTH_MAX; depth++) {
    const sn_node *n = sn_node_of(b->func, v);
    if (n->op == SN_OP_CONTRACT) return n;
    if (!is_point(n->op)) return NULL;
    sn_val next = 0;
    for (int i = 0; i < n->arg_count; i++) {
      sn_op op = sn_node_of(b->func, n->arg[i])->op;
      if (op == SN_OP_CONTRACT || is_point(op)) next = n->arg[i];
    }
    if (!next) return NULL;
    v = next;
  }
  return NULL;
}

/* The operand of a product, and the axis in it, that output axis `axis` is; the other operand lacks it. -1: neither. */
static int owner_of(const sn_node *product, int axis, int *at) {
  sn_contract_spec s;
  if (sn_contract_parse(sn_node_attr(product, "spec")->s, &s) || axis >= s.out_count) return -1;
  const char *a = strchr(s.a, s.out[axis]), *b = strchr(s.b, s.out[axis]);
  if (!a == !b) return -1;
  *at = (int)(a ? a - s.a : b - s.b);
  return a ? 0 : 1;
}

static int parts_of(sn_types *types, const sn_dimx *d) {
  for (int parts = PARTS_MAX; parts > 1; parts--)
    if (sn_dimx_exact_div(types, d, sn_dimx_const(types, parts))) return parts;
  return 1;
}

/* Are these logits of a large vocabulary, made by a product? */
static bool is_large(const sn_build *b, sn_val logits) {
  const sn_type *t = sn_g_type(b, logits);
  int64_t v = 0;
  return t->rank >= 2 && sn_dimx_is_const(t->dim[t->rank - 1], &v) && v >= LARGE && product_of(b, logits);
}

/* The axis to part, -1: none. *parts: how many. */
static int find_axis(const sn_build *b, const sn_val *arg, int *parts) {
  const sn_type *t = sn_g_type(b, arg[0]);
  const sn_node *product = product_of(b, arg[0]);
  int at;
  if (!is_large(b, arg[0])) return -1;
  for (int axis = t->rank - 2; axis >= 0; axis--) {
    int owner = owner_of(product, axis, &at);
    if (owner < 0 || owner == owner_of(product, t->rank - 1, &at)) continue;
    if (sn_node_of(b->func, product->arg[owner])->op == SN_OP_SLICE) continue; /* a part already */
    if ((*parts = parts_of(b->func->module->types, t->dim[axis])) > 1) return axis;
  }
  return -1;
}

/* ---- parts of values --------------------------------------------------------------------------------------------- */

static sn_val value_part(const part *p, sn_val v, int depth);

static sn_val product_part(const part *p, const sn_node *n) {
  int at = 0, owner = owner_of(n, p->axis, &at);
  if (owner < 0) return 0;
  sn_val arg[2] = {n->arg[0], n->arg[1]};
  arg[owner] = sn_g_slice_axis(p->b, arg[owner], at, p->from, p->count);
  return sn_emit(p->b, SN_OP_CONTRACT, 2, arg, n->attr, NULL);
}

static sn_val point_part(const part *p, const sn_node *n, int depth) {
  sn_val arg[3];
  for (int i = 0; i < n->arg_count; i++) arg[i] = value_part(p, n->arg[i], depth + 1);
  return sn_emit(p->b, n->op, n->arg_count, arg, n->attr, NULL);
}

/* A repeated value of the shape of the part. 0: it is not repeated along the axis. */
static sn_val repeat_part(const part *p, const sn_node *n) {
  const sn_attr *axes = sn_node_attr(n, "axes");
  const sn_type *t = n->type[0];
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < axes->count; i++)
    if (axes->ints[i] == p->axis) return 0;
  for (int i = 0; i < t->rank; i++) dim[i] = i == p->axis ? p->count : t->dim[i];
  return sn_g_broadcast(p->b, n->arg[0], t->rank, dim, axes->ints);
}

/* The part of a value of the shape of the logits or rows: made of parts where that is possible, else a slice. */
static sn_val value_part(const part *p, sn_val v, int depth) {
  const sn_node *n = p->b->failed ? NULL : sn_node_of(p->b->func, v);
  sn_val made = 0;
  if (!n) return 0;
  p->b->origin = n->origin;
  if (n->op == SN_OP_CONTRACT) made = product_part(p, n);
  if (n->op == SN_OP_BROADCAST) made = repeat_part(p, n);
  if (is_point(n->op) && n->arg_count <= 3 && depth < DEPTH_MAX) made = point_part(p, n, depth);
  return made ? made : sn_g_slice_axis(p->b, v, p->axis, p->from, p->count);
}

static bool part_loss(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_val rows[PARTS_MAX];
  int parts = 1, axis;
  if (n->op != SN_OP_CROSS_ENTROPY && n->op != SN_OP_DIVERGENCE) return false;
  if (r->env->vocab == SN_VOCAB_FUSED && is_large(b, arg[0])) {
    const char *why = sn_chunk_fused(b, r->env, *(const bool *)r->data, n, arg, out);
    if (!why && sn_rule_enabled(r->env, "chunk.fused")) return true;
    if (why)
      sn_pass_refuse(r->env, b->func->name, sn_arena_printf(r->env->arena, "contract -> %s", sn_op_get(n->op)->name),
                     why);
  }
  axis = find_axis(b, arg, &parts);
  if (axis < 0 || !sn_rule_enabled(r->env, "chunk.loss")) return false;
  sn_types *types = b->func->module->types;
  const sn_dimx *count = sn_dimx_exact_div(types, sn_g_type(b, arg[0])->dim[axis], sn_dimx_const(types, parts));
  sn_origin origin = b->origin;
  for (int i = 0; i < parts; i++) {
    part p = {b, axis, sn_dimx_mul(types, count, sn_dimx_const(types, i)), count};
    const sn_val of[2] = {value_part(&p, arg[0], 0), value_part(&p, arg[1], 0)};
    b->origin = origin;
    rows[i] = sn_emit(b, n->op, 2, of, n->attr, NULL);
  }
  out[0] = sn_g_concat(b, axis, parts, rows);
  return true;
}

static void find_grad(sn_rewriter *r, const sn_func *f) {
  bool *derived = r->data;
  *derived = false;
  for (int i = 0; i < f->node_count; i++) *derived |= f->node[i]->op == SN_OP_GRAD;
}

sn_code sn_pass_chunk(sn_module *m, sn_pass_env *env) {
  bool derived = false;
  sn_rewriter r = {.env = env, .pass = "chunk", .node = part_loss, .begin = find_grad, .data = &derived};
  env->rule_hits = 0;
  if (env->vocab == SN_VOCAB_WHOLE) return SN_OK;
  return sn_fuse_wants(env, "rows") ? sn_rewrite_module(m, &r) : SN_OK;
}
