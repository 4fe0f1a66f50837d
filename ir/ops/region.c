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

/* How the nodes of a region get into another function. */
typedef enum inlining {
  AS_THEY_ARE,
  FOR_GRADIENTS, /* what has a gradient only through its expansion is expanded */
  IN_STEPS       /* and all attention: inside a step it has no kernel */
} inlining;

static bool attention_expands(const sn_build *b, const sn_node *n, inlining how) {
  if (n->op != SN_OP_ATTENTION || how == AS_THEY_ARE) return false;
  bool *need = SN_ARRAY(b->func->arena, n->arg_count, bool);
  for (int i = 0; i < n->arg_count; i++) need[i] = true;
  return how == IN_STEPS || sn_attention_no_sums(n, need, b->func->module->types);
}

/* One node of a region in b->func. out[i]: its results */
static void inline_node(sn_build *b, const sn_node *n, const sn_val *arg, inlining how, sn_val *out) {
  const sn_op_rules *rules = sn_op_rules_of(n->op);
  if (attention_expands(b, n, how)) {
    out[0] = sn_attention_expand_lse(b, n, arg, &out[1]);
    return;
  }
  bool expands = how && rules->expand && !rules->grad;
  sn_val v = expands ? sn_emit_expansion(b, n, arg) : sn_func_copy_node(b->func, n, arg);
  for (int r = 0; r < n->result_count; r++) out[r] = v + (sn_val)r;
}

static void inline_nodes(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map,
                         inlining how) {
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
    inline_node(b, n, arg, how, map + n->first);
  }
}

void sn_region_inline(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map) {
  inline_nodes(b, body, arg_count, args, map, FOR_GRADIENTS);
}

void sn_region_inline_step(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map) {
  inline_nodes(b, body, arg_count, args, map, IN_STEPS);
}

void sn_region_copy(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map) {
  inline_nodes(b, body, arg_count, args, map, AS_THEY_ARE);
}
