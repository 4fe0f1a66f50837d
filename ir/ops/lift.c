/* Region -> tensors: a scalar region applied to every element of tensors of one shape. */
#include "ir/ops/rules.h"

typedef struct lift {
  sn_build *b;
  const sn_type *shape; /* extents of what stands for a scalar */
  sn_val *value;        /* by value id of the body */
  bool *varying;        /* is it a tensor that stands for a scalar */
} lift;

static sn_val spread(lift *l, sn_val v, bool varying) {
  return varying ? v : sn_g_expand_to(l->b, v, sn_type_with_elem(sn_b_types(l->b), l->shape, sn_g_type(l->b, v)->elem));
}

static bool elementwise(const sn_node *n) {
  const sn_op_info *info = sn_op_get(n->op);
  return info->cls == SN_CLASS_POINT || (info->cls == SN_CLASS_EXPAND && info->operands == 1);
}

static bool can_lift(const lift *l, const sn_func *body, const sn_node *n) {
  for (int i = 0; i < n->arg_count; i++)
    if (l->varying[n->arg[i]] && sn_val_type(body, n->arg[i])->rank != 0) return false;
  if (n->type[0]->rank != 0) return false;
  if (n->op == SN_OP_INDEX) return !l->varying[n->arg[0]];
  if (n->op == SN_OP_GATHER) return !l->varying[n->arg[0]];
  return elementwise(n) || n->op == SN_OP_RESHAPE;
}

static sn_val lift_node(lift *l, const sn_node *n) {
  sn_build *b = l->b;
  sn_val arg[SN_RANK_MAX + 1];
  bool table = n->op == SN_OP_INDEX || n->op == SN_OP_GATHER; /* operand 0 is taken whole */
  for (int i = 0; i < n->arg_count; i++) {
    sn_val v = l->value[n->arg[i]];
    arg[i] = table && i == 0 ? v : spread(l, v, l->varying[n->arg[i]]);
  }
  if (n->op == SN_OP_RESHAPE) return arg[0];
  if (sn_op_get(n->op)->cls == SN_CLASS_EXPAND) return sn_op_rules_of(n->op)->expand(b, n, arg);
  return sn_emit(b, n->op, n->arg_count, arg, n->attr, NULL);
}

static void step(lift *l, const sn_func *body, const sn_node *n) {
  bool varying = false;
  for (int i = 0; i < n->arg_count; i++) varying |= l->varying[n->arg[i]];
  if (!varying) {
    sn_val *arg = SN_ARRAY(l->b->func->arena, n->arg_count, sn_val);
    for (int i = 0; i < n->arg_count; i++) arg[i] = l->value[n->arg[i]];
    sn_val v = sn_func_copy_node(l->b->func, n, arg);
    for (int r = 0; r < n->result_count; r++) l->value[n->first + (sn_val)r] = v + (sn_val)r;
    return;
  }
  if (!can_lift(l, body, n)) {
    l->b->failed = sn_fail(l->b->diags, SN_ERR_INPUT, n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0},
                           "`%s` cannot stand in the region `%s` on values that differ from element to element",
                           sn_op_get(n->op)->name, body->name);
    sn_fail_expected(l->b->diags, "elementwise ops, and index or gather of a captured tensor, giving scalars");
    return;
  }
  l->value[n->first] = lift_node(l, n);
  l->varying[n->first] = true;
}

static lift lift_body(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, const bool *lifted,
                      const sn_type *shape) {
  lift l = {.b = b, .shape = shape};
  l.value = SN_ARRAY(b->func->arena, body->value_count, sn_val);
  l.varying = SN_ARRAY(b->func->arena, body->value_count, bool);
  for (int i = 0; i < body->node_count && !b->failed; i++) {
    const sn_node *n = body->node[i];
    if (n->op != SN_OP_ARG) {
      step(&l, body, n);
      continue;
    }
    int64_t k = sn_node_attr(n, "index")->i;
    if (k < arg_count) {
      l.value[n->first] = args[k];
      l.varying[n->first] = lifted[k];
    } else {
      sn_b_fail(b, "the region `%s` takes an argument %lld of %d", body->name, (long long)k, arg_count);
    }
  }
  return l;
}

sn_val *sn_region_lift_values(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, const bool *lifted,
                              const sn_type *shape) {
  return lift_body(b, body, arg_count, args, lifted, shape).value;
}

sn_val sn_region_lift(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, const bool *lifted,
                      const sn_type *shape, int result) {
  lift l = lift_body(b, body, arg_count, args, lifted, shape);
  if (b->failed) return 0;
  sn_val r = body->result[result];
  return spread(&l, l.value[r], l.varying[r]);
}
