/* Region -> its derivative by the first argument: reverse mode over a copy of the region, with the rules of ir/ops. */
#include "passes/lower/derive.h"

#include <string.h>

typedef struct derive {
  sn_build b;
  sn_val *adjoint; /* by value of the new function, 0: none */
  bool *live;      /* depends on the first argument */
  int value_count; /* of the forward part */
} derive;

static bool is_first(const sn_node *n) { return n->op == SN_OP_ARG && sn_node_attr(n, "index")->i == 0; }

/* The forward part, copied; `map` from values of the region to values of the copy. */
static void copy_forward(derive *d, const sn_func *region, sn_val *map) {
  for (int i = 0; i < region->node_count; i++) {
    const sn_node *n = region->node[i];
    sn_val arg[64];
    for (int k = 0; k < n->arg_count && k < 64; k++) arg[k] = map[n->arg[k]];
    sn_val first = sn_func_copy_node(d->b.func, n, arg);
    for (int r = 0; r < n->result_count; r++) map[n->first + (sn_val)r] = first + (sn_val)r;
  }
}

static void find_live(derive *d) {
  const sn_func *f = d->b.func;
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    bool live = is_first(n);
    for (int k = 0; k < n->arg_count; k++) live |= d->live[n->arg[k]];
    for (int r = 0; r < n->result_count; r++)
      d->live[n->first + (sn_val)r] = live && sn_elem_is_float(n->type[r]->elem);
  }
}

static void accumulate(derive *d, sn_val v, sn_val g) {
  d->adjoint[v] = d->adjoint[v] ? sn_g2(&d->b, SN_OP_ADD, d->adjoint[v], g) : g;
}

static sn_code step_back(derive *d, const sn_node *n) {
  sn_val d_arg[64] = {0}, d_result = d->adjoint[n->first], result = n->first;
  const sn_op_rules *rules = sn_op_rules_of(n->op);
  if (!d_result || n->op == SN_OP_STOP) return SN_OK;
  if (!rules->grad) {
    sn_loc loc = n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0};
    sn_fail(d->b.diags, SN_ERR_INPUT, loc, "%s in a score function has no gradient", sn_op_get(n->op)->name);
    sn_fail_found(d->b.diags, "%s", rules->why_no_grad ? rules->why_no_grad : "no rule");
    return SN_ERR_INPUT;
  }
  sn_grad_rule rule = {.b = &d->b, .node = n, .arg = n->arg, .result = &result, .d_result = &d_result, .d_arg = d_arg};
  rules->grad(&rule);
  for (int k = 0; k < n->arg_count; k++)
    if (d_arg[k] && d->live[n->arg[k]]) accumulate(d, n->arg[k], d_arg[k]);
  return d->b.failed;
}

static sn_val first_argument(const sn_func *f) {
  for (int i = 0; i < f->node_count; i++)
    if (is_first(f->node[i])) return f->node[i]->first;
  return 0;
}

/* Room for the adjoints: rules may add nodes, but only forward values are asked for. */
static void begin(derive *d, sn_lower_ctx *c, const sn_func *region, const char *name) {
  sn_func *f = sn_func_create(region->module, name, SN_FUNC_BODY);
  d->b = sn_build_begin(f, c->diags);
}

sn_code sn_derive_first(sn_lower_ctx *c, const sn_func *region, const sn_func **out) {
  derive d = {0};
  begin(&d, c, region, sn_arena_printf(c->arena, "%s.d", region->name));
  sn_val *map = SN_ARRAY(c->arena, region->value_count + 1, sn_val);
  copy_forward(&d, region, map);
  sn_func *f = d.b.func;
  int forward = f->node_count;
  d.value_count = f->value_count;
  d.adjoint = SN_ARRAY(c->arena, d.value_count + 1, sn_val);
  d.live = SN_ARRAY(c->arena, d.value_count + 1, bool);
  find_live(&d);
  sn_val result = map[region->result[0]], first = first_argument(f);
  sn_val zero = sn_g_const_like(&d.b, result, 0);
  if (!first || !d.live[result]) {
    sn_func_return(f, zero);
    sn_module_remove(f->module, f);
    *out = f;
    return d.b.failed;
  }
  d.adjoint[result] = sn_g_const_like(&d.b, result, 1);
  for (int i = forward - 1; i >= 0; i--)
    if (f->node[i]->result_count == 1 && d.live[f->node[i]->first]) SN_TRY(step_back(&d, f->node[i]));
  sn_func_return(f, d.adjoint[first] ? d.adjoint[first] : zero);
  sn_module_remove(f->module, f);
  *out = f;
  return d.b.failed;
}
