/* Schedule writers of `cond` and `while`: steps of the plan around the steps of their regions. The fused nodes of a
 * region are written by the writers of their kinds, as those of a graph; results are copied to where both branches, or
 * the next round, expect them. */
#include "passes/lower/internal.h"

#include "passes/plan/assemble.h"
#include "passes/plan/order.h"

/* One region: where its values lie. */
typedef struct region {
  sn_lower_ctx *c;
  const sn_func *f;
  int *slot_of; /* by value id */
} region;

/* Where operand k of the op lies. */
static int operand_slot(const sn_lower_ctx *c, const sn_node *n, int k) {
  sn_val v = sn_order_base(c->body, n->arg[k]);
  return c->arg_slot[sn_node_attr(sn_node_of(c->body, v), "index")->i];
}

/* Where the caller wants result r; -1: nowhere. */
static int result_slot(const sn_lower_ctx *c, const sn_node *n, int r) {
  for (int i = 0; i < c->result_count; i++)
    if (sn_order_base(c->body, c->body->result[i]) == n->first + (sn_val)r) return c->result_slot[i];
  return -1;
}

static void copy(const sn_lower_ctx *c, int from, int to) {
  const sn_type *type = sn_lower_slot_type(c, from);
  sn_step step = {.kind = SN_STEP_COPY, .from = from, .to = to, .kind_name = "copy", .ops = "copy"};
  step.flops = sn_dimx_const(c->types, 0);
  step.bytes_read = step.bytes_written =
      sn_dimx_mul(c->types, sn_type_count(c->types, type), sn_dimx_const(c->types, (int64_t)sn_elem_bytes(type->elem)));
  if (from != to) sn_assemble_step(c->plan, &step, false);
}

static int temp(sn_lower_ctx *c, const char *name, const sn_type *type) { return sn_lower_temp(c, name, type, NULL); }

/* ---- a region ---------------------------------------------------------------------------------------------------- */

static sn_code lower_node(region *r, const sn_node *n) {
  int *result = SN_ARRAY(r->c->arena, n->result_count, int);
  sn_lower_ctx c = sn_lower_node_ctx(r->c, r->f, n, r->slot_of, result);
  for (int i = 0; i < n->result_count; i++) {
    const sn_node *made = sn_node_of(c.body, c.body->result[i]);
    result[i] = r->slot_of[n->first + (sn_val)i] = temp(r->c, sn_op_get(made->op)->name, n->type[i]);
  }
  SN_TRY(sn_lower_group(&c));
  return c.failed;
}

/* The steps of a region on arguments in slots. -> result[i]: where its results lie */
static sn_code lower_region(sn_lower_ctx *c, const sn_func *f, const int *arg, int *result) {
  region r = {c, f, SN_ARRAY(c->arena, f->value_count, int)};
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    sn_op_class cls = sn_op_get(n->op)->cls;
    if (n->op == SN_OP_ARG)
      r.slot_of[n->first] = arg[sn_node_attr(n, "index")->i];
    else if (n->op == SN_OP_FUSED)
      SN_TRY(lower_node(&r, n));
    else if (cls != SN_CLASS_VIEW)
      return sn_lower_fail(c, "`%s` of a region was not fused", sn_op_get(n->op)->name);
  }
  for (int i = 0; i < f->result_count; i++) result[i] = r.slot_of[sn_order_base(f, f->result[i])];
  return SN_OK;
}

static sn_step control_step(const sn_lower_ctx *c, sn_step_kind kind, int flag) {
  const sn_dimx *zero = sn_dimx_const(c->types, 0);
  const sn_origin *o = &c->fused->origin;
  bool loop = kind == SN_STEP_WHILE;
  sn_step s = {.kind = kind,
               .from = flag,
               .to = -1,
               .kind_name = loop ? "while" : "choose",
               .ops = loop ? "while" : "cond",
               .where = o->layer,
               .flops = zero,
               .bytes_read = sn_dimx_const(c->types, 1),
               .bytes_written = zero};
  if (!s.where && o->loc_count && o->locs[0].file)
    s.where = sn_arena_printf(c->plan->arena, "%s:%d", o->locs[0].file, o->locs[0].line);
  return s;
}

static const sn_node *node_of(const sn_lower_ctx *c, sn_op op) {
  for (int i = 0; i < c->body->node_count; i++)
    if (c->body->node[i]->op == op) return c->body->node[i];
  return NULL;
}

/* ---- cond
 * ------------------------------------------------------------------------------------------------------------ */

sn_code sn_lower_cond(sn_lower_ctx *c, const sn_node *fused) {
  static const char *const branch[2] = {"yes", "no"};
  const sn_node *n = node_of(c, SN_OP_COND);
  (void)fused;
  if (!n) return sn_lower_fail(c, "cond: the group holds no cond");
  int *arg = SN_ARRAY(c->arena, n->arg_count, int), *result = SN_ARRAY(c->arena, n->result_count, int);
  for (int i = 1; i < n->arg_count; i++) arg[i - 1] = operand_slot(c, n, i);
  sn_step choose = control_step(c, SN_STEP_CHOOSE, operand_slot(c, n, 0));
  int step = sn_assemble_begin_blocks(c->plan, &choose);
  for (int side = 0; side < 2; side++) {
    SN_TRY(lower_region(c, sn_node_attr(n, branch[side])->region, arg, result));
    for (int r = 0; r < n->result_count; r++)
      if (result_slot(c, n, r) >= 0) copy(c, result[r], result_slot(c, n, r));
    sn_assemble_end_block(c->plan, step, side);
  }
  return c->failed;
}

/* ---- while
 * ----------------------------------------------------------------------------------------------------------- */

/* Carried values that the body only hands on are saved before any of them is written. */
static void next_round(sn_lower_ctx *c, const sn_node *n, const int *arg, int *next) {
  int carried = n->result_count;
  for (int i = 0; i < carried; i++)
    for (int k = 0; k < carried; k++) {
      if (next[i] != arg[k] || i == k) continue;
      int saved = temp(c, "old", n->type[i]);
      copy(c, next[i], saved);
      next[i] = saved;
      break;
    }
  bool idle = true;
  for (int i = 0; i < carried; i++) {
    idle &= next[i] == arg[i];
    copy(c, next[i], arg[i]);
  }
  if (idle) copy(c, arg[0], temp(c, "idle", n->type[0])); /* a block has at least one step */
}

sn_code sn_lower_while(sn_lower_ctx *c, const sn_node *fused) {
  const sn_node *n = node_of(c, SN_OP_WHILE);
  (void)fused;
  if (!n) return sn_lower_fail(c, "while: the group holds no while");
  int *arg = SN_ARRAY(c->arena, n->arg_count, int), *next = SN_ARRAY(c->arena, n->result_count, int), test;
  int flag = temp(c, "again", sn_type_scalar(c->types, SN_ELEM_BOOL));
  for (int i = 0; i < n->arg_count; i++) {
    arg[i] = operand_slot(c, n, i);
    if (i >= n->result_count) continue;
    int to = result_slot(c, n, i);
    if (to < 0) to = temp(c, "carried", n->type[i]);
    copy(c, arg[i], to);
    arg[i] = to;
  }
  sn_step loop = control_step(c, SN_STEP_WHILE, flag);
  loop.limit = sn_node_attr(n, "limit")->i;
  int step = sn_assemble_begin_blocks(c->plan, &loop);
  SN_TRY(lower_region(c, sn_node_attr(n, "test")->region, arg, &test));
  copy(c, test, flag);
  sn_assemble_end_block(c->plan, step, 0);
  SN_TRY(lower_region(c, sn_node_attr(n, "body")->region, arg, next));
  next_round(c, n, arg, next);
  sn_assemble_end_block(c->plan, step, 1);
  return c->failed;
}
