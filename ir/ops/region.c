/* Regions of structured ops: the types of their arguments and results, and their nodes put in place of the op. */
#include "ir/ops/rules.h"

#include <stdio.h>

sn_code sn_infer_region_args(sn_infer *in, const char *name, int count, const sn_type *const *want) {
  const sn_func *body = sn_infer_attr(in, name)->region;
  for (int i = 0; i < body->node_count; i++) {
    const sn_node *n = body->node[i];
    if (n->op != SN_OP_ARG) continue;
    int64_t k = sn_node_attr(n, "index")->i;
    bool exists = k >= 0 && k < count;
    if (exists && want[k] == n->type[0]) continue;
    sn_code code = sn_infer_fail(in, "argument %lld of the %s region does not fit", (long long)k, name);
    sn_fail_expected(in->diags, "%s", exists ? sn_infer_text(in, want[k]) : "no such argument");
    sn_fail_found(in->diags, "%s", sn_infer_text(in, n->type[0]));
    return code;
  }
  return SN_OK;
}

sn_code sn_infer_region_count(sn_infer *in, const char *name, int count) {
  const sn_func *body = sn_infer_attr(in, name)->region;
  if (body->result_count == count) return SN_OK;
  sn_code code = sn_infer_fail(in, "the %s region has the wrong number of results", name);
  sn_fail_expected(in->diags, "%d", count);
  sn_fail_found(in->diags, "%d", body->result_count);
  return code;
}

sn_code sn_infer_region_result(sn_infer *in, const char *name, int k, const sn_type *want) {
  const sn_func *body = sn_infer_attr(in, name)->region;
  const sn_type *found = sn_val_type(body, body->result[k]);
  if (found == want) return SN_OK;
  sn_code code = sn_infer_fail(in, "result %d of the %s region does not fit", k, name);
  sn_fail_expected(in->diags, "%s", sn_infer_text(in, want));
  sn_fail_found(in->diags, "%s", sn_infer_text(in, found));
  return code;
}

/* One node of a region in b->func. expand: ops that have a gradient only through their expansion are expanded. */
static sn_val inline_node(sn_build *b, const sn_node *n, const sn_val *arg, bool expand) {
  const sn_op_rules *rules = sn_op_rules_of(n->op);
  if (expand && rules->expand && !rules->grad) return sn_emit_expansion(b, n, arg);
  return sn_func_copy_node(b->func, n, arg);
}

static void inline_nodes(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map,
                         bool expand) {
  for (int i = 0; i < body->node_count && !b->failed; i++) {
    const sn_node *n = body->node[i];
    if (n->op == SN_OP_ARG) {
      int64_t k = sn_node_attr(n, "index")->i;
      if (k < arg_count)
        map[n->first] = args[k];
      else
        sn_b_fail(b, "`%s` is called with %d arguments", body->name, arg_count);
      continue;
    }
    sn_val *arg = SN_ARRAY(b->func->arena, n->arg_count, sn_val);
    for (int k = 0; k < n->arg_count; k++) arg[k] = map[n->arg[k]];
    sn_val v = inline_node(b, n, arg, expand);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = v + (sn_val)r;
  }
}

void sn_region_inline(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map) {
  inline_nodes(b, body, arg_count, args, map, true);
}

void sn_region_copy(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map) {
  inline_nodes(b, body, arg_count, args, map, false);
}
