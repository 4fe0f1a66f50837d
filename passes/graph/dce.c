/* graph -> graph: drops nodes that no output, update or guard needs, and bodies that no graph uses. Inputs stay: they
 * are the signature. Terminates: one walk. */
#include "passes/graph/rewrite.h"

/* Does something depend on every node, but for inputs? */
static bool all_needed(const sn_func *f, sn_arena *scratch) {
  bool *needed = SN_ARRAY(scratch, f->value_count, bool);
  for (int i = 0; i < f->output_count; i++) needed[f->output[i].value] = true;
  for (int i = 0; i < f->update_count; i++) needed[f->update[i].state] = needed[f->update[i].next] = true;
  needed[f->guard] = true;
  for (int i = f->node_count; i-- > 0;) {
    const sn_node *n = f->node[i];
    bool any = n->op == SN_OP_INPUT;
    for (int r = 0; r < n->result_count; r++) any |= needed[n->first + (sn_val)r];
    if (!any) return false;
    for (int k = 0; k < n->arg_count; k++) needed[n->arg[k]] = true;
  }
  return true;
}

sn_code sn_pass_dce(sn_module *m, sn_pass_env *env) {
  env->rule_hits = 0;
  if (!sn_rule_enabled(env, "dce.nodes")) return SN_OK;
  for (int i = 0; i < m->func_count; i++) {
    sn_func *f = m->func[i];
    if (f->kind == SN_FUNC_GRAPH && !all_needed(f, env->arena))
      env->rule_hits += f->node_count - sn_func_finish(f)->node_count;
  }
  env->rule_hits += sn_drop_unused_bodies(m);
  return SN_OK;
}
