/* graph -> graph: each call becomes the nodes of its body, under the name of its layer. First pass of the pipeline.
 *
 *   with "h.0"                       leaf "h.*.attn.w"     -> "h.0.attn.w"
 *   with "h.*.sub.3" (in a body)     leaf "h.*.sub.*.w"    -> "h.*.sub.3.w", later "h.0.sub.3.w"
 *
 * Bodies are made flat before their users, so one level of calls is replaced at a time. Terminates: a flat function
 * holds no call, and bodies do not use themselves. Bodies that nobody uses any more are dropped. */
#include <string.h>

#include "passes/graph/rewrite.h"

enum { MAX_NODES = 4 << 20 };

static int stars(const char *s) {
  int count = 0;
  for (; *s; s++) count += *s == '*';
  return count;
}

/* The name with its prefix up to and including star n + 1 replaced by `with`, n the stars of `with`; names with fewer
 * stars are the body's business no more and stay. */
static const char *renamed(sn_module *m, const char *name, const char *with) {
  int left = stars(with) + 1;
  for (const char *at = name; *at; at++) {
    if (*at == '*' && --left == 0) return sn_name(m->names, sn_arena_printf(m->arena, "%s%s", with, at + 1));
  }
  return name;
}

/* Index of the attribute that holds a name to be completed, -1: none. */
static int name_attr(const sn_node *n) {
  return sn_leaf_name(n) ? 0 : n->op == SN_OP_UNIFORM ? sn_op_attr(n->op, "stream") : -1;
}

static sn_code leaf_conflict(sn_build *b, const sn_node *n, const char *name, const sn_type *there) {
  b->failed = sn_fail(b->diags, SN_ERR_INPUT, n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0},
                      "%s \"%s\" has two types", sn_op_get(n->op)->name, name);
  sn_fail_expected(b->diags, "%s", sn_type_text(b->func->arena, there));
  sn_fail_found(b->diags, "%s", sn_type_text(b->func->arena, n->type[0]));
  return b->failed;
}

/* Copies one node of a body under the name of the layer. -> its first result */
static sn_val copy_named(sn_build *b, const sn_node *n, const sn_val *arg, const char *with) {
  sn_module *m = b->func->module;
  sn_attr attr[SN_ATTR_MAX];
  int count = sn_op_get(n->op)->attr_count, named = name_attr(n);
  for (int i = 0; i < count; i++) attr[i] = n->attr[i];
  sn_origin origin = n->origin;
  if (with[0]) {
    if (named >= 0) attr[named].s = renamed(m, attr[named].s, with);
    origin.layer = origin.layer ? renamed(m, origin.layer, with) : with;
  }
  sn_val there = sn_leaf_name(n) ? sn_func_leaf(b->func, n->op, attr[0].s) : 0;
  if (there && sn_val_type(b->func, there) != n->type[0]) {
    (void)leaf_conflict(b, n, attr[0].s, sn_val_type(b->func, there));
    return 0;
  }
  return sn_func_add(b->func, n->op, n->arg_count, arg, attr, n->result_count, n->type, &origin);
}

static bool inline_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if (n->op != SN_OP_CALL || !sn_rule_enabled(r->env, "inline.call")) return false;
  const sn_func *body = sn_node_attr(n, "body")->region, *flat = sn_map_get(r->bodies, (uint64_t)(uintptr_t)body);
  const char *with = sn_node_attr(n, "with")->s;
  if (flat) body = flat;
  sn_val *map = SN_ARRAY(r->env->arena, body->value_count, sn_val);
  for (int i = 0; i < body->node_count && !b->failed; i++) {
    const sn_node *inner = body->node[i];
    if (inner->op == SN_OP_ARG) {
      map[inner->first] = arg[inner->attr[0].i];
      continue;
    }
    sn_val *args = SN_ARRAY(r->env->arena, inner->arg_count, sn_val);
    for (int k = 0; k < inner->arg_count; k++) args[k] = map[inner->arg[k]];
    sn_val first = copy_named(b, inner, args, with);
    for (int k = 0; k < inner->result_count; k++) map[inner->first + (sn_val)k] = first + (sn_val)k;
    if (b->func->node_count > MAX_NODES) {
      b->failed = sn_fail(b->diags, SN_ERR_LIMIT, (sn_loc){0}, "@%s has more than %d nodes", b->func->name, MAX_NODES);
    }
  }
  for (int i = 0; i < n->result_count && !b->failed; i++) out[i] = map[body->result[i]];
  return true;
}

sn_code sn_pass_inline(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "inline", .node = inline_node};
  env->rule_hits = 0;
  SN_TRY(sn_rewrite_module(m, &r));
  sn_drop_unused_bodies(m);
  return SN_OK;
}
