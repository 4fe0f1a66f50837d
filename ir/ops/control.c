/* Rules of control flow: cond runs one of two regions, while repeats one.
 *
 *   cond:   pred bool[], x..               yes(x..), no(x..) -> results of equal types
 *   while:  carried.., captured..          test(carried.., captured..) -> bool[];  body(carried.., captured..) -> next
 *           carried..; the results are the carried values when the test fails, or after `limit` rounds
 * The gradient of cond is a cond over the gradients of its regions. */
#include "ir/ops/rules.h"

#include <string.h>

enum { MOST_ROUNDS = 1 << 30 };

/* ---- cond -------------------------------------------------------------------------------------------------------- */

static sn_code infer_cond(sn_infer *in) {
  const sn_func *yes = sn_infer_attr(in, "yes")->region;
  if (in->arg_count < 1) return sn_infer_fail(in, "takes a predicate first");
  if (in->arg[0] != sn_type_scalar(sn_infer_types(in), SN_ELEM_BOOL)) return sn_infer_want(in, 0, "bool[]");
  SN_TRY(sn_infer_region_args(in, "yes", in->arg_count - 1, in->arg + 1));
  SN_TRY(sn_infer_region_args(in, "no", in->arg_count - 1, in->arg + 1));
  SN_TRY(sn_infer_region_count(in, "no", yes->result_count));
  sn_infer_results(in, yes->result_count);
  for (int i = 0; i < yes->result_count; i++) {
    in->result[i] = sn_val_type(yes, yes->result[i]);
    SN_TRY(sn_infer_region_result(in, "no", i, in->result[i]));
  }
  return SN_OK;
}

/* What both gradient regions take and give: arguments x.. and dy.. of results that have one; results dx.. that are
 * wanted. */
typedef struct branches {
  sn_grad_rule *g;
  int x_count, dy_count, dx_count;
  const sn_type **type; /* of the arguments */
  int *dy, *dx;
} branches;

static void list_parts(branches *w) {
  const sn_node *n = w->g->node;
  sn_arena *arena = w->g->b->func->arena;
  w->x_count = n->arg_count - 1;
  w->type = SN_ARRAY(arena, w->x_count + n->result_count + 1, const sn_type *);
  w->dy = SN_ARRAY(arena, n->result_count, int);
  w->dx = SN_ARRAY(arena, n->arg_count, int);
  for (int i = 0; i < w->x_count; i++) {
    w->type[i] = sn_g_type(w->g->b, w->g->arg[1 + i]);
    if (w->g->need[1 + i]) w->dx[w->dx_count++] = i;
  }
  for (int i = 0; i < n->result_count; i++) {
    if (!w->g->d_result[i]) continue;
    w->type[w->x_count + w->dy_count] = n->type[i];
    w->dy[w->dy_count++] = i;
  }
}

static const sn_func *derive_branch(branches *w, const sn_func *body) {
  sn_build *b = w->g->b;
  sn_arena *arena = b->func->arena;
  int count = w->x_count + w->dy_count;
  sn_val *in = SN_ARRAY(arena, count + 1, sn_val), *map = SN_ARRAY(arena, body->value_count, sn_val);
  sn_val *out = SN_ARRAY(arena, w->dy_count + 1, sn_val), *wrt = SN_ARRAY(arena, w->dx_count + 1, sn_val);
  sn_val *d = SN_ARRAY(arena, w->dx_count + 1, sn_val);
  sn_build x = sn_build_begin(sn_func_create(b->func->module, sn_arena_printf(arena, "%s.d", body->name), SN_FUNC_BODY),
                              b->diags);
  x.origin = b->origin;
  for (int i = 0; i < count; i++) {
    const sn_attr at = {.set = true, .i = i};
    in[i] = sn_emit(&x, SN_OP_ARG, 0, NULL, &at, w->type[i]);
  }
  sn_region_inline(&x, body, w->x_count, in, map);
  for (int i = 0; i < w->dy_count; i++) out[i] = map[body->result[w->dy[i]]];
  for (int i = 0; i < w->dx_count; i++) wrt[i] = in[w->dx[i]];
  if (!x.failed) x.failed = sn_derive(&x, w->dy_count, out, in + w->x_count, w->dx_count, wrt, d);
  for (int i = 0; i < w->dx_count && !x.failed; i++) sn_func_return(x.func, d[i] ? d[i] : sn_b_zeros(&x, wrt[i]));
  if (x.failed) b->failed = x.failed;
  return b->failed ? NULL : sn_func_finish(x.func);
}

static void grad_cond(sn_grad_rule *g) {
  branches w = {.g = g};
  list_parts(&w);
  if (!w.dx_count) return;
  const sn_func *yes = derive_branch(&w, sn_node_attr(g->node, "yes")->region);
  const sn_func *no = yes ? derive_branch(&w, sn_node_attr(g->node, "no")->region) : NULL;
  if (!no) return;
  sn_val *arg = SN_ARRAY(g->b->func->arena, 1 + w.x_count + w.dy_count, sn_val);
  for (int i = 0; i <= w.x_count; i++) arg[i] = g->arg[i];
  for (int i = 0; i < w.dy_count; i++) arg[1 + w.x_count + i] = g->d_result[w.dy[i]];
  const sn_attr attr[2] = {{.set = true, .region = yes}, {.set = true, .region = no}};
  sn_val v = sn_emit(g->b, SN_OP_COND, 1 + w.x_count + w.dy_count, arg, attr, NULL);
  for (int i = 0; v && i < w.dx_count; i++) g->d_arg[1 + w.dx[i]] = v + (sn_val)i;
}

/* ---- while ------------------------------------------------------------------------------------------------------- */

static sn_code infer_while(sn_infer *in) {
  int64_t carried = sn_infer_attr(in, "carried")->i, limit = sn_infer_attr(in, "limit")->i;
  if (carried < 1 || carried > in->arg_count)
    return sn_infer_fail(in, "`carried` must be from 1 to the number of operands, %d", in->arg_count);
  if (limit < 1 || limit > MOST_ROUNDS) return sn_infer_fail(in, "`limit` must be from 1 to %d", MOST_ROUNDS);
  SN_TRY(sn_infer_region_args(in, "test", in->arg_count, in->arg));
  SN_TRY(sn_infer_region_args(in, "body", in->arg_count, in->arg));
  SN_TRY(sn_infer_region_count(in, "test", 1));
  SN_TRY(sn_infer_region_result(in, "test", 0, sn_type_scalar(sn_infer_types(in), SN_ELEM_BOOL)));
  SN_TRY(sn_infer_region_count(in, "body", (int)carried));
  sn_infer_results(in, (int)carried);
  for (int i = 0; i < carried; i++) {
    SN_TRY(sn_infer_region_result(in, "body", i, in->arg[i]));
    in->result[i] = in->arg[i];
  }
  return SN_OK;
}

const sn_op_rules sn_rules_COND = {
    infer_cond, grad_cond, .doc = "the results of `yes` on the operands after the first if that is true, else of `no`"};
const sn_op_rules sn_rules_WHILE = {
    infer_while, .why_no_grad = "the number of rounds is not known before; use scan",
    .doc = "the first operands after `body` while `test` is true, at most `limit` times; the others are captured"};
