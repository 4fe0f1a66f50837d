/* graph -> graph: drops nodes that no output, update or guard needs, and bodies that no graph uses. Inputs stay: they
 * are the signature. Terminates: one walk. */
#include "passes/graph/rewrite.h"

sn_code sn_pass_dce(sn_module *m, sn_pass_env *env) {
  env->rule_hits = 0;
  if (!sn_rule_enabled(env, "dce.nodes")) return SN_OK;
  for (int i = 0; i < m->func_count; i++) {
    sn_func *f = m->func[i];
    if (f->kind == SN_FUNC_GRAPH) env->rule_hits += f->node_count - sn_func_finish(f)->node_count;
  }
  env->rule_hits += sn_drop_unused_bodies(m);
  return SN_OK;
}
