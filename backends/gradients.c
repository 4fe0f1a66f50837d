/* See gradients.h. */
#include "backends/gradients.h"

#include <string.h>

#include "ir/ops/ops.h"
#include "passes/passes.h"

sn_val sn_func_output_value(const sn_func *f, const char *name) {
  for (int i = 0; i < f->output_count; i++)
    if (!strcmp(f->output[i].name, name)) return f->output[i].value;
  return 0;
}

sn_code sn_gradient_outputs(sn_module *m, sn_func *f, sn_val loss, int count, const char *const *name,
                            const sn_val *leaf, sn_diags *diags) {
  sn_val *arg = SN_ARRAY(m->arena, count + 1, sn_val);
  arg[0] = loss;
  memcpy(arg + 1, leaf, sizeof *leaf * (size_t)count);
  sn_build b = sn_build_begin(f, diags);
  sn_val first = sn_emit(&b, SN_OP_GRAD, count + 1, arg, NULL, NULL);
  if (b.failed) return b.failed;
  for (int i = 0; i < count; i++)
    sn_func_output(f, sn_name(m->names, sn_arena_printf(m->arena, "grad.%s", name[i])), first + (sn_val)i);
  return SN_OK;
}

static sn_code of_graph(sn_module *m, sn_func *f, const char *loss, sn_arena *arena, sn_diags *diags) {
  const char **name = SN_ARRAY(arena, f->node_count + 1, const char *);
  sn_val *leaf = SN_ARRAY(arena, f->node_count + 1, sn_val);
  int count = 0;
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    if (n->op != SN_OP_PARAM || !sn_elem_is_float(n->type[0]->elem)) continue;
    name[count] = sn_leaf_name(n);
    leaf[count++] = n->first;
  }
  return count ? sn_gradient_outputs(m, f, sn_func_output_value(f, loss), count, name, leaf, diags) : SN_OK;
}

sn_code sn_gradients_of(sn_module *m, const char *loss, sn_arena *arena, sn_diags *diags) {
  sn_pass_env env = {.arena = arena, .diags = diags};
  int found = 0;
  SN_TRY(sn_pass_inline(m, &env)); /* parameters of layers have their full names only here */
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i]->kind != SN_FUNC_GRAPH || !sn_func_output_value(m->func[i], loss)) continue;
    SN_TRY(of_graph(m, m->func[i], loss, arena, diags));
    found++;
  }
  if (found) return SN_OK;
  return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "derivatives of \"%s\": no graph has an output of that name", loss);
}
