/* How the graph passes rebuild functions: node by node into a successor, asking for replacements. */
#ifndef SN_PASSES_GRAPH_REWRITE_H
#define SN_PASSES_GRAPH_REWRITE_H

#include "ir/ops/ops.h"
#include "passes/passes.h"

/* A local rule: from a node of one result to an equal value of the same type. */
typedef struct sn_rule {
  const char *name; /* "fold.add_zero" */
  sn_op op;         /* the op it looks at; SN_OP_NONE: every op */
  /* arg: the operands in b->func. -> the replacement, built in b->func; 0: does not apply */
  sn_val (*apply)(sn_build *b, const sn_node *n, const sn_val *arg);
} sn_rule;

/* Those of canon.c and fold.c; end with a NULL name. */
extern const sn_rule sn_canon_rules[], sn_fold_rules[];

typedef struct sn_rewriter sn_rewriter;
struct sn_rewriter {
  sn_pass_env *env;
  const char *pass; /* for messages */
  /* Sets out[0 .. n->result_count) in b->func and returns true, or returns false: the node is copied. NULL: always
   * copied. */
  bool (*node)(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out);
  /* An update of the successor may be of other values of one type; NULL: it stays. */
  void (*update)(sn_build *b, sn_val *state, sn_val *next);
  /* Called before each sweep over a function; may be NULL. */
  void (*begin)(sn_rewriter *r, const sn_func *f);
  const sn_rule *rules; /* used when `node` is NULL; ends with a NULL name */
  void *data;           /* of the pass */
  sn_map *bodies;       /* body by address -> the body that takes its place; set by sn_rewrite_module unless given */
  int hits;             /* replacements so far */
};

/* Rewrites every body and then every graph of the module until nothing applies; functions that stay as they are are
 * kept. Adds to env->rule_hits.   errors: SN_ERR_FAIL when a replacement has another type or the rules do not settle.
 */
SN_MUST sn_code sn_rewrite_module(sn_module *m, sn_rewriter *r);
/* The same with a table of rules. */
SN_MUST sn_code sn_rewrite_with(sn_module *m, sn_pass_env *env, const char *pass, const sn_rule *rules);

/* Drops bodies that no graph uses any more. -> how many */
int sn_drop_unused_bodies(sn_module *m);

/* The node that defines `v` when it is one of `op`, else NULL. */
static inline const sn_node *sn_node_if(const sn_build *b, sn_val v, sn_op op) {
  const sn_node *n = sn_node_of(b->func, v);
  return n->op == op ? n : NULL;
}

/* Does attention of these queries and values have a kernel on the target? Its heads must have sizes that are small
 * numbers, its scores be f32. Interpreters (target ref or none) need no kernel. */
bool sn_attention_has_kernel(const sn_pass_env *env, const sn_type *q, const sn_type *v);

#endif
