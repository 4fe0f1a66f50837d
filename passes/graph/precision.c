/* graph -> graph: with env->precision bf16, products and attention of f32 read their operands as bf16. Products still
 * give f32, and everything between them (weights, norms, softmax, losses, the optimiser) stays as it is.
 *
 *   precision.contract        contract(x, y) is contract(bf16 x, bf16 y) to f32
 *   precision.attention       attention of bf16 q, k, v; its result is widened. Not of a single query: it reads each
 * key once, and rounding them all would cost more than it saves precision.attention_grad  the same of its gradient
 *   precision.concat          narrow pieces are put together before they are widened
 *
 * A value that was widened gives what it was widened from, and views are taken of what is narrow, so that a value is
 * rounded once where it is made. Terminates: every rule lowers the number of f32 operands of products, attention and
 * concat; what it adds are casts and views. */
#include "passes/graph/rewrite.h"

/* The operand of a cast from bf16 to f32, through views; 0: the value was not widened. */
static sn_val unwidened(sn_build *b, sn_val v) {
  const sn_node *n = sn_node_of(b->func, v);
  if (n->op == SN_OP_CAST && sn_g_type(b, n->arg[0])->elem == SN_ELEM_BF16) return n->arg[0];
  if (sn_op_get(n->op)->cls != SN_CLASS_VIEW) return 0;
  sn_val below = unwidened(b, n->arg[0]);
  return below ? sn_emit(b, n->op, 1, &below, n->attr, NULL) : 0;
}

/* Is it better to round what the view is of? A slice may show little of it. */
static bool narrow_below(const sn_build *b, const sn_node *n) {
  if (n->op != SN_OP_SLICE) return sn_op_get(n->op)->cls == SN_CLASS_VIEW;
  const sn_node *of = sn_node_of(b->func, n->arg[0]);
  while (of->op == SN_OP_RESHAPE || of->op == SN_OP_TRANSPOSE) of = sn_node_of(b->func, of->arg[0]);
  return of->op == SN_OP_CONTRACT; /* the parts of one product: query, key and value */
}

static sn_val narrowed(sn_build *b, sn_val v) {
  sn_val known = unwidened(b, v);
  if (known) return known;
  const sn_node *n = sn_node_of(b->func, v);
  if (!narrow_below(b, n)) return sn_g_cast(b, v, SN_ELEM_BF16);
  sn_val below = narrowed(b, n->arg[0]);
  return sn_emit(b, n->op, 1, &below, n->attr, NULL);
}

static bool is_f32(const sn_build *b, sn_val v) { return sn_g_type(b, v)->elem == SN_ELEM_F32; }

static bool contract(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if (!is_f32(b, arg[0]) || !is_f32(b, arg[1])) return false;
  sn_val x = narrowed(b, arg[0]), y = narrowed(b, arg[1]);
  out[0] = sn_g_contract_to(b, sn_node_attr(n, "spec")->s, x, y, SN_ELEM_F32);
  return true;
}

/* fixed: q k v, in gradients also y lse dy; captures and the start follow. Results of q's type are widened. */
static bool attention(sn_build *b, const sn_node *n, const sn_val *arg, int fixed, sn_val *out) {
  if (!is_f32(b, arg[0])) return false;
  if (n->op == SN_OP_ATTENTION && sn_dimx_is_one(sn_g_type(b, arg[0])->dim[1])) return false;
  sn_val *narrow = SN_ARRAY(b->func->arena, n->arg_count, sn_val);
  for (int i = 0; i < n->arg_count; i++) narrow[i] = i < fixed && i != 4 ? narrowed(b, arg[i]) : arg[i];
  sn_val first = sn_emit(b, n->op, n->arg_count, narrow, n->attr, NULL);
  for (int r = 0; r < n->result_count && first; r++) out[r] = sn_g_cast(b, first + (sn_val)r, SN_ELEM_F32);
  return true;
}

static bool concat(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_val *piece = SN_ARRAY(b->func->arena, n->arg_count, sn_val);
  for (int i = 0; i < n->arg_count; i++)
    if (!is_f32(b, arg[i]) || !(piece[i] = unwidened(b, arg[i]))) return false;
  sn_val whole = sn_emit(b, SN_OP_CONCAT, n->arg_count, piece, n->attr, NULL);
  out[0] = sn_g_cast(b, whole, SN_ELEM_F32);
  return true;
}

static bool narrow_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  switch (n->op) {
    case SN_OP_CONTRACT: return contract(b, n, arg, out) && sn_rule_enabled(r->env, "precision.contract");
    case SN_OP_ATTENTION: return attention(b, n, arg, 3, out) && sn_rule_enabled(r->env, "precision.attention");
    case SN_OP_ATTENTION_GRAD:
      return attention(b, n, arg, 6, out) && sn_rule_enabled(r->env, "precision.attention_grad");
    case SN_OP_CONCAT: return concat(b, n, arg, out) && sn_rule_enabled(r->env, "precision.concat");
    default: return false;
  }
}

sn_code sn_pass_precision(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "precision", .node = narrow_node};
  env->rule_hits = 0;
  return env->precision == SN_ELEM_BF16 ? sn_rewrite_module(m, &r) : SN_OK;
}
