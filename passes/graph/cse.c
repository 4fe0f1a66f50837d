/* graph -> graph: merges what is computed twice. Equal nodes are one by construction; what is left are commutative ops
 * with their operands exchanged, and equal bodies under two names.
 *
 * Terminates: each replacement lowers the number of distinct nodes. */
#include "passes/graph/rewrite.h"

/* Commutative nodes of the function in the sweep, by op and operands in ascending order. */
typedef struct seen_node {
  const sn_node *node;
  struct seen_node *next;
} seen_node;

static void begin_func(sn_rewriter *r, const sn_func *f) {
  (void)f;
  r->data = sn_map_create(r->env->arena);
}

static bool same_exchanged(const sn_node *a, const sn_node *b) {
  return a->op == b->op && a->type[0] == b->type[0] && a->arg[0] == b->arg[1] && a->arg[1] == b->arg[0];
}

static bool merge_exchanged(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if (!(sn_op_get(n->op)->flags & SN_FLAG_COMM)) return false;
  const uint64_t key[3] = {(uint64_t)n->op, arg[0] < arg[1] ? arg[0] : arg[1], arg[0] < arg[1] ? arg[1] : arg[0]};
  uint64_t hash = sn_hash_bytes(key, sizeof key, 0);
  seen_node *head = sn_map_get(r->data, hash);
  const sn_node wanted = {.op = n->op, .arg_count = 2, .arg = arg, .type = n->type};
  for (const seen_node *s = head; s; s = s->next) {
    if (!same_exchanged(s->node, &wanted) || !sn_rule_enabled(r->env, "cse.exchanged")) continue;
    out[0] = sn_func_copy_node(b->func, n, s->node->arg); /* the node that is there; keeps both lines */
    return true;
  }
  seen_node *fresh = SN_NEW(r->env->arena, seen_node);
  sn_val v = sn_func_copy_node(b->func, n, arg);
  *fresh = (seen_node){.node = sn_node_of(b->func, v), .next = head};
  sn_map_put(r->data, hash, fresh);
  return false;
}

/* Later bodies that equal an earlier one are replaced by it. */
static sn_code merge_bodies(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "cse", .bodies = sn_map_create(env->arena)};
  for (int i = 0; i < m->func_count; i++) {
    for (int k = 0; k < i && m->func[i]->kind == SN_FUNC_BODY; k++) {
      if (!sn_func_equal(m->func[k], m->func[i]) || !sn_rule_enabled(env, "cse.bodies")) continue;
      sn_map_put(r.bodies, (uint64_t)(uintptr_t)m->func[i], m->func[k]);
      r.hits++;
      break;
    }
  }
  if (!r.hits) return SN_OK;
  SN_TRY(sn_rewrite_module(m, &r));
  sn_drop_unused_bodies(m);
  return SN_OK;
}

sn_code sn_pass_cse(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "cse", .node = merge_exchanged, .begin = begin_func};
  env->rule_hits = 0;
  SN_TRY(sn_rewrite_module(m, &r));
  return merge_bodies(m, env);
}
