/* graph -> graph: with env->precision bf16, products and attention of f32 read their operands as bf16. Products still
 * give f32, and everything between them (weights, norms, softmax, losses, the optimiser) stays as it is.
 *
 *   precision.contract        contract(x, y) is contract(bf16 x, bf16 y) to f32
 *   precision.attention       attention of bf16 q, k, v; its result is widened. Of a single query only when keys and
 *                             values are bf16 already: it reads each once, and rounding them all would cost more
 *   precision.attention_grad  the same of its gradient
 *   precision.concat          narrow pieces are put together before they are widened
 *   precision.state           a state in which rows are written, and which only products and attention read, maybe
 *                             gathered, is stored as bf16: caches of keys and values. It is one in every graph of the
 * module, or in none
 *
 * A value that was widened gives what it was widened from, and views are taken of what is narrow, so that a value is
 * rounded once where it is made. Terminates: every rule lowers the number of f32 operands of products, attention and
 * concat, or of f32 states; what it adds are casts and views. */
#include "passes/graph/rewrite.h"

static bool is_f32(const sn_build *b, sn_val v) { return sn_g_type(b, v)->elem == SN_ELEM_F32; }

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

static bool contract(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if (!is_f32(b, arg[0]) || !is_f32(b, arg[1])) return false;
  sn_val x = narrowed(b, arg[0]), y = narrowed(b, arg[1]);
  out[0] = sn_g_contract_to(b, sn_node_attr(n, "spec")->s, x, y, SN_ELEM_F32);
  return true;
}

/* fixed: q k v, in gradients also y, total (or dy again, where it is not read) and dy; captures and the start follow.
 * Results of q's type are widened. */
static bool attention(sn_build *b, const sn_node *n, const sn_val *arg, int fixed, sn_val *out) {
  if (!is_f32(b, arg[0])) return false;
  bool one = n->op == SN_OP_ATTENTION && sn_dimx_is_one(sn_g_type(b, arg[0])->dim[1]);
  if (one && !(unwidened(b, arg[1]) && unwidened(b, arg[2]))) return false;
  sn_val *narrow = SN_ARRAY(b->func->arena, n->arg_count, sn_val);
  for (int i = 0; i < n->arg_count; i++)
    narrow[i] = i < fixed && (i != 4 || arg[4] == arg[5]) ? narrowed(b, arg[i]) : arg[i];
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

/* ---- states ------------------------------------------------------------------------------------------------- */

/* What a value is written into, row by row: the state, else NULL. */
static const sn_node *written_state(const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  while (n->op == SN_OP_DYN_WRITE) n = sn_node_of(f, n->arg[0]);
  return n->op == SN_OP_STATE ? n : NULL;
}

static bool is_view(const sn_node *n) { return sn_op_get(n->op)->cls == SN_CLASS_VIEW; }
/* Pages of a cache are gathered. */
static bool shows(const sn_node *n) { return is_view(n) || n->op == SN_OP_GATHER; }

/* The state, through rows that are written, views and gathers, that operand `arg` of n is of; NULL: none. */
static const sn_node *state_under(const sn_func *f, const sn_node *n, int arg) {
  const sn_node *x = sn_node_of(f, n->arg[arg]);
  while (shows(x)) x = sn_node_of(f, x->arg[0]);
  return written_state(f, x->first);
}

/* May operand `arg` of n be a state in bf16? */
static bool reads_narrow(const sn_func *f, const sn_node *n, int arg) {
  if (n->op == SN_OP_DYN_WRITE) return arg == 0 && !shows(sn_node_of(f, n->arg[0]));
  bool keys = n->op == SN_OP_ATTENTION && (arg == 1 || arg == 2);
  return is_view(n) || (n->op == SN_OP_GATHER && arg == 0) || n->op == SN_OP_CONTRACT || keys;
}

static void refuse(sn_map *wide, const sn_node *state) {
  if (state) sn_map_put_str(wide, sn_leaf_name(state), wide);
}

/* Names of states that must stay f32, as far as this graph says: all that are not caches. */
static void find_wide(const sn_func *f, sn_map *wide) {
  for (int i = 0; i < f->node_count; i++)
    for (int k = 0; k < f->node[i]->arg_count; k++)
      if (!reads_narrow(f, f->node[i], k)) refuse(wide, state_under(f, f->node[i], k));
  for (int i = 0; i < f->output_count; i++) {
    const sn_node *n = sn_node_of(f, f->output[i].value);
    while (shows(n)) n = sn_node_of(f, n->arg[0]);
    refuse(wide, written_state(f, n->first));
  }
  for (int i = 0; i < f->node_count; i++) { /* one that no row is written in, or that becomes anything else */
    const sn_node *n = f->node[i];
    bool written = false;
    if (n->op != SN_OP_STATE) continue;
    for (int u = 0; u < f->update_count; u++)
      written |=
          f->update[u].state == n->first && f->update[u].next != n->first && written_state(f, f->update[u].next) == n;
    if (!written) refuse(wide, n);
  }
  for (int u = 0; u < f->update_count; u++) { /* also of another state's */
    const sn_node *n = written_state(f, f->update[u].next);
    if (n && n->first != f->update[u].state) refuse(wide, n);
  }
}

static bool is_cache(const sn_rewriter *r, const sn_node *state) {
  return state && !sn_map_get_str(r->data, sn_leaf_name(state));
}

static bool state(sn_rewriter *r, sn_build *b, const sn_node *n, sn_val *out) {
  if (n->type[0]->elem != SN_ELEM_F32 || !is_cache(r, n) || !sn_rule_enabled(r->env, "precision.state")) return false;
  const sn_type *narrow = sn_type_with_elem(b->func->module->types, n->type[0], SN_ELEM_BF16);
  out[0] = sn_g_cast(b, sn_emit(b, SN_OP_STATE, 0, NULL, n->attr, narrow), SN_ELEM_F32);
  return true;
}

static bool dynamic_write(const sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_val below = is_f32(b, arg[0]) ? unwidened(b, arg[0]) : 0;
  if (!below || !is_cache(r, written_state(b->func, below))) return false;
  sn_val narrow[3] = {below, narrowed(b, arg[1]), arg[2]};
  out[0] = sn_g_cast(b, sn_emit(b, n->op, 3, narrow, n->attr, NULL), SN_ELEM_F32);
  return true;
}

static bool gather(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_val below = is_f32(b, arg[0]) ? unwidened(b, arg[0]) : 0;
  const sn_val narrow[2] = {below, arg[1]};
  if (!below) return false;
  out[0] = sn_g_cast(b, sn_emit(b, n->op, 2, narrow, n->attr, NULL), SN_ELEM_F32);
  return true;
}

static void narrow_update(sn_build *b, sn_val *state, sn_val *next) {
  sn_val narrow = is_f32(b, *state) ? unwidened(b, *state) : 0;
  if (narrow) *state = narrow, *next = unwidened(b, *next);
}

/* ---- the pass ------------------------------------------------------------------------------------------------ */

static bool narrow_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  switch (n->op) {
    case SN_OP_CONTRACT: return contract(b, n, arg, out) && sn_rule_enabled(r->env, "precision.contract");
    case SN_OP_ATTENTION: return attention(b, n, arg, 3, out) && sn_rule_enabled(r->env, "precision.attention");
    case SN_OP_ATTENTION_GRAD:
      return attention(b, n, arg, 6, out) && sn_rule_enabled(r->env, "precision.attention_grad");
    case SN_OP_STATE: return state(r, b, n, out);
    case SN_OP_DYN_WRITE: return dynamic_write(r, b, n, arg, out);
    case SN_OP_GATHER: return gather(b, n, arg, out);
    case SN_OP_CONCAT: return concat(b, n, arg, out) && sn_rule_enabled(r->env, "precision.concat");
    default: return false;
  }
}

sn_code sn_pass_precision(sn_module *m, sn_pass_env *env) {
  sn_map *wide = sn_map_create(env->arena);
  sn_rewriter r = {.env = env, .pass = "precision", .node = narrow_node, .update = narrow_update, .data = wide};
  env->rule_hits = 0;
  if (env->precision != SN_ELEM_BF16) return SN_OK;
  for (int i = 0; i < m->func_count; i++) find_wide(m->func[i], wide);
  return sn_rewrite_module(m, &r);
}
