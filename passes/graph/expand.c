/* graph -> graph: softmax, norms, losses and the like become primitives by the rule of each op; the new nodes carry the
 * group "softmax#3", so that later stages still see what they came from; its number is new in the function. Where no
 * grad is left to be expanded, `stop` goes too: it is the identity. Bodies keep their stops, because score regions are
 * differentiated when they are lowered. Attention that no kernel does becomes products and a softmax, products of
 * integers that no kernel does become sums, and in steps of scans what stores at computed positions does
 * (expand_step.c).
 *
 * Terminates: an expansion holds no op that is expanded, and removing a stop adds nothing. */
#include <stdlib.h>
#include <string.h>

#include "passes/graph/expand_step.h"
#include "passes/graph/rewrite.h"

enum { MAX_GROUP = 1 << 30 }; /* written numbers above this are not ours */

/* Facts of the function in the sweep. */
typedef struct state {
  bool graph;          /* an entry, not a body */
  const sn_node *step; /* the scan whose step it is: attention has no kernel there; NULL: none */
  bool branch;         /* a region of cond or while: lowered like a graph */
  sn_map *steps;       /* name of a step -> its scan */
  sn_map *control;     /* names of regions of cond and while */
  bool keeps_stop;
  int next_group; /* above the numbers of all groups that are there */
} state;

static bool small_number(const sn_dimx *d) {
  int64_t n;
  return sn_dimx_is_const(d, &n) && n >= 1 && n <= 1024;
}

bool sn_attention_has_kernel(const sn_pass_env *env, const sn_type *q, const sn_type *v) {
  if (!env->target || !strcmp(env->target->name, "ref")) return true;
  return q->elem != SN_ELEM_F64 && small_number(q->dim[3]) && small_number(v->dim[3]);
}

/* Kernels multiply floats and i8, at least one. */
static bool product_has_kernel(const sn_pass_env *env, const sn_type *x) {
  if (!env->target || !strcmp(env->target->name, "ref")) return true;
  for (int i = 0; i < x->rank; i++)
    if (sn_dimx_max_value(x->dim[i]) == 0) return false;
  return sn_elem_is_float(x->elem) || x->elem == SN_ELEM_I8;
}

static int number_of_group(const char *group) {
  const char *mark = group ? strchr(group, '#') : NULL;
  long number = mark ? strtol(mark + 1, NULL, 10) : 0;
  return number > 0 && number < MAX_GROUP ? (int)number : 0;
}

static void begin_func(sn_rewriter *r, const sn_func *f) {
  state *s = r->data;
  s->graph = f->kind == SN_FUNC_GRAPH;
  s->branch = sn_map_get_str(s->control, f->name) != NULL;
  s->step = sn_map_get_str(s->steps, f->name);
  s->keeps_stop = !s->graph;
  s->next_group = 1;
  for (int i = 0; i < f->node_count; i++) {
    int number = number_of_group(f->node[i]->origin.group);
    if (number >= s->next_group) s->next_group = number + 1;
    s->keeps_stop |= f->node[i]->op == SN_OP_GRAD;
  }
}

/* Why; NULL: it is not. */
static const char *attention_expands(const sn_rewriter *r, const state *s, const sn_build *b, const sn_node *n,
                                     const sn_val *arg) {
  bool kernels = r->env->target && strcmp(r->env->target->name, "ref");
  bool there = s->graph || s->branch;
  if (kernels && there && !sn_attention_products_fit(n))
    return sn_arena_printf(r->env->arena, "products and softmax: %s", sn_attention_no_products);
  if (s->step) return "products and softmax: it is in the step of a scan";
  return there && !sn_attention_has_kernel(r->env, sn_g_type(b, arg[0]), sn_g_type(b, arg[2]))
             ? "products and softmax: there is no kernel for its types or sizes"
             : NULL;
}

static bool expand_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  state *s = r->data;
  if (n->op == SN_OP_STOP && !s->keeps_stop && sn_rule_enabled(r->env, "expand.stop")) {
    out[0] = arg[0];
    return true;
  }
  const char *why = n->op == SN_OP_ATTENTION ? attention_expands(r, s, b, n, arg) : NULL;
  if (why && sn_rule_enabled(r->env, "expand.attention")) {
    sn_pass_form_at(r->env, b->func->name, n, why);
    out[0] = sn_attention_expand_lse(b, n, arg, &out[1]);
    return true;
  }
  if (n->op == SN_OP_CONTRACT && !product_has_kernel(r->env, sn_g_type(b, arg[0])) &&
      sn_rule_enabled(r->env, "expand.contract") && (out[0] = sn_contract_expand(b, n, arg)) != 0)
    return true;
  sn_val stored = s->step ? sn_expand_store(b, n, arg, (int)sn_node_attr(s->step, "states")->i) : 0;
  if (stored && sn_rule_enabled(r->env, "expand.store")) {
    out[0] = stored;
    return true;
  }
  if (sn_op_get(n->op)->cls != SN_CLASS_EXPAND) return false;
  if (!sn_rule_enabled(r->env, sn_arena_printf(r->env->arena, "expand.%s", sn_op_get(n->op)->name))) return false;
  b->origin.group = sn_arena_printf(b->func->arena, "%s#%d", sn_op_get(n->op)->name, s->next_group++);
  out[0] = sn_op_rules_of(n->op)->expand(b, n, arg);
  return true;
}

sn_code sn_pass_expand(sn_module *m, sn_pass_env *env) {
  state s = {.steps = sn_map_create(env->arena), .control = sn_map_create(env->arena)};
  for (int i = 0; i < m->func_count; i++)
    for (int k = 0; k < m->func[i]->node_count; k++) {
      const sn_node *n = m->func[i]->node[k];
      if (n->op == SN_OP_SCAN) sn_map_put_str(s.steps, sn_node_attr(n, "step")->region->name, (void *)(uintptr_t)n);
      for (int r = 0; (n->op == SN_OP_COND || n->op == SN_OP_WHILE) && r < sn_op_get(n->op)->attr_count; r++)
        if (sn_op_get(n->op)->attr[r].kind == 'R') sn_map_put_str(s.control, n->attr[r].region->name, &s);
    }
  sn_rewriter r = {.env = env, .pass = "expand", .node = expand_node, .begin = begin_func, .data = &s};
  env->rule_hits = 0;
  return sn_rewrite_module(m, &r);
}
