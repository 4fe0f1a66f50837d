/* Region -> its derivative by the first argument: reverse mode (ir/ops) over a copy of the region. */
#include "passes/lower/derive.h"

/* Values of the region in the copy. */
static sn_val copy_forward(sn_func *to, const sn_func *region, sn_val *map) {
  sn_val argument = 0;
  for (int i = 0; i < region->node_count; i++) {
    const sn_node *n = region->node[i];
    sn_val arg[64];
    for (int k = 0; k < n->arg_count && k < 64; k++) arg[k] = map[n->arg[k]];
    sn_val first = sn_func_copy_node(to, n, arg);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = first + (sn_val)r;
    if (n->op == SN_OP_ARG && !sn_node_attr(n, "index")->i) argument = first;
  }
  return argument;
}

sn_code sn_derive_first(sn_lower_ctx *c, const sn_func *region, const sn_func **out) {
  sn_func *f = sn_func_create(region->module, sn_arena_printf(c->arena, "%s.d", region->name), SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, c->diags);
  sn_val *map = SN_ARRAY(c->arena, region->value_count + 1, sn_val), argument = copy_forward(f, region, map), d = 0;
  sn_val result = map[region->result[0]], one = sn_g_const_like(&b, result, 1);
  if (argument) SN_TRY(sn_derive(&b, 1, &result, &one, 1, &argument, &d));
  sn_func_return(f, d ? d : sn_g_const_like(&b, result, 0));
  sn_module_remove(f->module, f);
  *out = f;
  return b.failed;
}

const sn_func *sn_region_part(sn_lower_ctx *c, const sn_func *region, sn_val value) {
  sn_func *f = sn_func_create(region->module, sn_arena_printf(c->arena, "%s.part", region->name), SN_FUNC_BODY);
  sn_val *map = SN_ARRAY(c->arena, region->value_count + 1, sn_val);
  (void)copy_forward(f, region, map);
  sn_func_return(f, map[value]);
  f = sn_func_finish(f);
  sn_module_remove(f->module, f);
  return f;
}
