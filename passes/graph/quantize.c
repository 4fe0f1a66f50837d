/* graph -> graph: with env->weights i8, products read weights that no graph updates as whole numbers from -127 to 127,
 * with one f32 scale for every channel of the result: w[k, n] is scale[n] * q[k, n].
 *
 *   quantize.contract         contract(x, w) is contract(x, cast q) * scale
 *
 * A weight is a float parameter, maybe behind views and rounding to a narrower float; what is looked up by rows stays
 * as it is. Scales commute with the sum, so they are applied to the result; q is exact in f32 and in bf16. Both are
 * written in ordinary ops that depend on the parameter only:
 *
 *   scale = amax(|w|) / 127 over the summed axes        q = round(w / scale), halves to the even number
 *
 * A channel of zeros has scale 0 and q 0; one that holds a NaN or an infinity gives NaN. Fusion and lowering make them
 * once, after weights were loaded (fuse_ahead.c). Terminates: what the rule makes reads no parameter directly. */
#include <string.h>

#include "passes/graph/rewrite.h"

enum { MOST = 127 };

/* ---- weights ----------------------------------------------------------------------------------------------------- */

bool sn_param_is_frozen(const sn_module *m, const sn_node *param) {
  for (int i = 0; i < m->func_count; i++)
    for (int u = 0; u < m->func[i]->update_count; u++)
      if (sn_leaf_name(sn_node_of(m->func[i], m->func[i]->update[u].state)) == sn_leaf_name(param)) return false;
  return true;
}

static bool is_static(const sn_type *t) {
  int64_t n;
  for (int i = 0; i < t->rank; i++)
    if (!sn_dimx_is_const(t->dim[i], &n)) return false;
  return true;
}

static bool is_weight_elem(sn_elem e) { return e == SN_ELEM_F32 || e == SN_ELEM_BF16 || e == SN_ELEM_F16; }

static bool moves(sn_op op) { return op == SN_OP_RESHAPE || op == SN_OP_TRANSPOSE || op == SN_OP_SLICE; }

/* The parameter seen through views, without what rounds it to a narrower float; 0: v is no weight. */
static sn_val weight(sn_build *b, sn_val v) {
  const sn_node *n = sn_node_of(b->func, v);
  if (!is_static(n->type[0]) || !is_weight_elem(n->type[0]->elem)) return 0;
  if (n->op == SN_OP_PARAM) return sn_param_is_frozen(b->func->module, n) ? v : 0;
  if (n->op == SN_OP_CAST) return weight(b, n->arg[0]);
  sn_val below = moves(n->op) ? weight(b, n->arg[0]) : 0;
  return below ? sn_emit(b, n->op, 1, &below, n->attr, NULL) : 0;
}

/* ---- one product ------------------------------------------------------------------------------------------------- */

/* One operand of a product: its letters, those of the other one and of the result. */
typedef struct side {
  const char *own, *other, *out;
  int summed;
  int64_t axis[SN_RANK_MAX]; /* of the operand: those that the product sums over */
} side;

/* -> is there something to sum, and a channel that the other operand does not have? */
static bool side_of(const sn_contract_spec *s, int operand, side *x) {
  *x = (side){.own = operand ? s->b : s->a, .other = operand ? s->a : s->b, .out = s->out};
  bool channels = false;
  for (int i = 0; x->own[i]; i++) {
    bool kept = strchr(x->out, x->own[i]) != NULL;
    if (!kept) x->axis[x->summed++] = i;
    channels |= kept && !strchr(x->other, x->own[i]);
  }
  return channels && x->summed;
}

/* Numbers in place of the weight, and their scale: of the shape of its axes that are kept. */
static sn_val quantized(sn_build *b, sn_val w, const side *x, sn_val *scale) {
  w = sn_g_cast(b, w, SN_ELEM_F32);
  sn_val most = sn_g_amax(b, sn_g1(b, SN_OP_ABS, w), x->summed, x->axis);
  *scale = sn_g2(b, SN_OP_DIV, most, sn_g_const_like(b, most, MOST));
  sn_val some = sn_g2(b, SN_OP_LT, sn_g_const_like(b, most, 0), *scale);
  sn_val step = sn_g3(b, SN_OP_SELECT, some, *scale, sn_g_const_like(b, most, 1));
  sn_val steps = sn_g2(b, SN_OP_DIV, w, sn_g_unreduce(b, step, w, x->summed, x->axis));
  return sn_g_cast(b, sn_g1(b, SN_OP_ROUND, steps), SN_ELEM_I8);
}

/* The scale repeated over the result: its letters in the order that they have there. */
static sn_val spread(sn_build *b, sn_val scale, const side *x, const sn_type *result) {
  int64_t perm[SN_RANK_MAX] = {0}, axes[SN_RANK_MAX] = {0};
  int n = 0;
  for (int i = 0; x->out[i]; i++) {
    const char *p = strchr(x->own, x->out[i]);
    if (!p) continue;
    int64_t at = 0; /* among the axes that are kept */
    for (const char *q = x->own; q < p; q++) at += strchr(x->out, *q) != NULL;
    axes[n] = i, perm[n++] = at;
  }
  return sn_g_broadcast(b, sn_g_transpose(b, scale, perm), result->rank, result->dim, axes);
}

static bool contract(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_contract_spec s;
  side x;
  sn_elem e = sn_g_type(b, arg[0])->elem;
  if (!is_weight_elem(e) || sn_contract_parse(sn_node_attr(n, "spec")->s, &s)) return false;
  sn_val w[2] = {weight(b, arg[0]), weight(b, arg[1])}, scale, operand[2] = {arg[0], arg[1]};
  if (!w[0] == !w[1]) return false; /* neither; or all of the product is made once */
  int i = w[1] != 0;
  if (!side_of(&s, i, &x)) return false;
  operand[i] = sn_g_cast(b, quantized(b, w[i], &x, &scale), e);
  sn_elem to = e == SN_ELEM_F32 ? SN_ELEM_NONE : SN_ELEM_F32;
  sn_val product = sn_g_contract_to(b, sn_node_attr(n, "spec")->s, operand[0], operand[1], to);
  if (b->failed) return false;
  product = sn_g2(b, SN_OP_MUL, product, spread(b, scale, &x, sn_g_type(b, product)));
  out[0] = sn_g_cast(b, product, n->type[0]->elem);
  return true;
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

static bool quantize_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  return n->op == SN_OP_CONTRACT && contract(b, n, arg, out) && sn_rule_enabled(r->env, "quantize.contract");
}

sn_code sn_pass_quantize(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "quantize", .node = quantize_node};
  env->rule_hits = 0;
  return env->weights == SN_ELEM_I8 ? sn_rewrite_module(m, &r) : SN_OK;
}

static sn_code refuse(const sn_pass_env *env, const sn_func *f, const sn_node *n, const char *what) {
  sn_loc at = n->origin.loc_count ? n->origin.locs[0] : (sn_loc){0};
  (void)sn_fail(env->diags, SN_ERR_USAGE, at, "weights in int8 cannot be trained: graph %s %s", f->name, what);
  sn_fail_expected(env->diags, "graphs that only read weights, such as eval, prefill and decode");
  return SN_ERR_USAGE;
}

sn_code sn_quantize_check(const sn_module *m, const sn_pass_env *env) {
  for (int i = 0; i < m->func_count && env->weights == SN_ELEM_I8; i++) {
    const sn_func *f = m->func[i];
    for (int k = 0; k < f->node_count; k++)
      if (f->node[k]->op == SN_OP_GRAD) return refuse(env, f, f->node[k], "differentiates");
    for (int u = 0; u < f->update_count; u++) {
      const sn_node *state = sn_node_of(f, f->update[u].state);
      if (state->op == SN_OP_PARAM)
        return refuse(env, f, state, sn_arena_printf(env->arena, "updates \"%s\"", sn_leaf_name(state)));
    }
  }
  return SN_OK;
}
