/* Random uses of ops with bodies: calls, attention with its regions, gradients. */
#include <math.h>

#include "ir/ref/grandom_impl.h"

/* ---- bodies ---- */

static sn_val body_arg(sn_build *b, int index, const sn_type *t) {
  const sn_attr at = {.set = true, .i = index};
  return sn_emit(b, SN_OP_ARG, 0, NULL, &at, t);
}

static sn_val use_call(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_FLOAT, 0, 4);
  sn_val arg[2] = {x, x ? sn_gr_partner(g, sn_gr_t(g, x)) : 0};
  if (!arg[1]) return 0;
  static const sn_op unary[] = {SN_OP_TANH, SN_OP_SIGMOID, SN_OP_GELU, SN_OP_SIN},
                     binary[] = {SN_OP_ADD, SN_OP_MUL, SN_OP_SUB, SN_OP_MAX};
  sn_func *f = sn_func_create(g->m, "layer", SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, g->b.diags);
  sn_val p = body_arg(&b, 0, sn_gr_t(g, x)), q = body_arg(&b, 1, sn_gr_t(g, x));
  sn_val h = sn_g1(&b, unary[sn_gr_below(g, 4)], p);
  h = sn_g2(&b, binary[sn_gr_below(g, 4)], h, q);
  sn_func_return(f, sn_g1(&b, unary[sn_gr_below(g, 4)], h));
  if (sn_gr_chance(g, 40)) sn_func_return(f, h);
  const sn_attr at[2] = {{.set = true, .region = f},
                         {.set = true, .s = sn_arena_printf(g->arena, "h.%d", g->bodies++)}};
  if (b.failed) g->b.failed = b.failed;
  return sn_gr_apply(g, SN_OP_CALL, 2, arg, at, g->fact[x].size * g->fact[arg[1]].size + 3);
}

/* Site of a region: score when there is one, batch, head, query, key; then captures. */
typedef struct site {
  sn_build b;
  sn_val score, batch, head, query, key, capture;
  const sn_type *captured;
} site;

static site site_begin(sn_ggen *g, sn_func *f, sn_elem acc, const sn_type *capture) {
  site s = {.b = sn_build_begin(f, g->b.diags), .captured = capture};
  const sn_type *i32 = sn_type_scalar(g->m->types, SN_ELEM_I32);
  int n = 0;
  if (acc) s.score = body_arg(&s.b, n++, sn_type_scalar(g->m->types, acc));
  s.batch = body_arg(&s.b, n++, i32);
  s.head = body_arg(&s.b, n++, i32);
  s.query = body_arg(&s.b, n++, i32);
  s.key = body_arg(&s.b, n++, i32);
  if (capture) s.capture = body_arg(&s.b, n++, capture);
  return s;
}

static sn_val int_const(site *s, int64_t n) {
  return sn_g_const(&s->b, sn_type_scalar(s->b.func->module->types, SN_ELEM_I32), (double)n);
}

typedef enum capture { NO_CAPTURE, PER_HEAD, PER_KEY, PER_BATCH_KEY } capture;

static sn_val captured(site *s, capture kind) {
  const sn_val at[3] = {s->capture, kind == PER_HEAD ? s->head : kind == PER_KEY ? s->key : s->batch, s->key};
  return sn_emit(&s->b, SN_OP_INDEX, kind == PER_BATCH_KEY ? 3 : 2, at, NULL, NULL);
}

static const sn_func *score_region(sn_ggen *g, sn_elem acc, capture kind, const sn_type *type) {
  sn_func *f = sn_func_create(g->m, "score", SN_FUNC_BODY);
  site s = site_begin(g, f, acc, type);
  sn_val v = s.score;
  if (sn_gr_chance(g, 40)) v = sn_g1(&s.b, SN_OP_TANH, v);
  if (sn_gr_chance(g, 40)) {
    sn_val gap = sn_g_cast(&s.b, sn_g2(&s.b, SN_OP_SUB, s.query, s.key), acc);
    v = sn_g2(&s.b, SN_OP_SUB, v, sn_g2(&s.b, SN_OP_MUL, gap, sn_g_const_like(&s.b, gap, 0.125)));
  }
  if (kind) v = sn_g2(&s.b, SN_OP_ADD, v, captured(&s, kind));
  sn_func_return(f, v == s.score ? sn_g2(&s.b, SN_OP_MUL, v, sn_g_const_like(&s.b, v, 0.5)) : v);
  if (s.b.failed) g->b.failed = s.b.failed;
  return f;
}

static const sn_func *mask_region(sn_ggen *g, capture kind, const sn_type *type) {
  sn_func *f = sn_func_create(g->m, "mask", SN_FUNC_BODY);
  site s = site_begin(g, f, SN_ELEM_NONE, type);
  sn_build *b = &s.b;
  sn_val causal = sn_g2(b, SN_OP_LE, s.key, s.query), v = causal, n;
  switch (sn_gr_below(g, 5)) {
    case 0: break;
    case 1:
      n = int_const(&s, 1 + sn_gr_below(g, 20));
      v = sn_g2(b, SN_OP_AND, causal, sn_g2(b, SN_OP_LT, sn_g2(b, SN_OP_SUB, s.query, s.key), n));
      break;
    case 2: v = sn_g2(b, SN_OP_OR, causal, sn_g2(b, SN_OP_LT, s.key, int_const(&s, sn_gr_below(g, 9)))); break;
    case 3:
      n = int_const(&s, 0);
      v = sn_g2(b, SN_OP_EQ, sn_g2(b, SN_OP_MOD, s.key, int_const(&s, 2 + sn_gr_below(g, 3))), n);
      break;
    default: v = sn_g1(b, SN_OP_NOT, sn_g2(b, SN_OP_EQ, s.key, s.query)); break;
  }
  if (kind && sn_gr_chance(g, 50)) {
    sn_val c = captured(&s, kind);
    if (c) v = sn_g2(b, SN_OP_AND, v, sn_g2(b, SN_OP_LT, sn_g_const_like(b, c, -1), c));
  }
  sn_func_return(f, v);
  if (s.b.failed) g->b.failed = s.b.failed;
  return f;
}

static sn_val use_attention(sn_ggen *g) {
  sn_val q = sn_gr_pick(g, SN_GR_FLOAT, 4, 4);
  if (!q || !(q = sn_gr_tame(g, q, 6))) return 0;
  const sn_type *t = sn_gr_t(g, q);
  int64_t heads, groups = 1;
  const sn_dimx *S = sn_gr_chance(g, 50) ? t->dim[1] : sn_gr_extent(g), *G = t->dim[2],
                *E = sn_gr_chance(g, 60) ? t->dim[3] : sn_gr_extent(g);
  if (sn_dimx_is_const(G, &heads)) {
    for (int64_t k = 2; k <= heads; k++)
      if (heads % k == 0 && sn_gr_chance(g, 40)) groups = k;
    G = sn_gr_number(g, heads / groups);
  }
  const sn_dimx *dk[4] = {t->dim[0], S, G, t->dim[3]}, *dv[4] = {t->dim[0], S, G, E};
  const sn_type *tk = sn_gr_type(g, t->elem, 4, dk), *tv = sn_gr_type(g, t->elem, 4, dv);
  int64_t scores =
      sn_gr_value_of(g, t->dim[0]) * sn_gr_value_of(g, t->dim[1]) * sn_gr_value_of(g, t->dim[2]) * sn_gr_value_of(g, S);
  if (sn_gr_elements(g, tk) > SN_GR_MOST || sn_gr_elements(g, tv) > SN_GR_MOST || scores > 20000) return 0;
  sn_val arg[5] = {q, sn_gr_tame(g, sn_gr_partner(g, tk), 6), sn_gr_tame(g, sn_gr_partner(g, tv), 20)};
  int n = 3;
  if (!arg[1] || !arg[2]) return 0;
  sn_elem acc = t->elem == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32;
  capture kind = (capture)sn_gr_below(g, 8);
  const sn_dimx *dc[2] = {kind == PER_HEAD ? t->dim[2] : kind == PER_KEY ? S : t->dim[0], S};
  const sn_type *tc =
      kind >= PER_HEAD && kind <= PER_BATCH_KEY ? sn_gr_type(g, acc, kind == PER_BATCH_KEY ? 2 : 1, dc) : NULL;
  if (!tc) kind = NO_CAPTURE;
  if (tc && !(arg[n++] = sn_gr_tame(g, sn_gr_leaf(g, tc), 10))) return 0;
  sn_attr at[SN_ATTR_MAX] = {{.set = true, .f = 1 / sqrt((double)sn_gr_value_of(g, t->dim[3]))}};
  if (sn_gr_chance(g, 30)) {
    const sn_type *ts = sn_gr_type(g, SN_ELEM_I32, sn_gr_chance(g, 50), t->dim);
    sn_val start = sn_gr_indices(g, ts, sn_gr_number(g, 1 + sn_gr_below(g, 9)));
    if (start && sn_gr_t(g, start) == ts) arg[n++] = start, at[1] = (sn_attr){.set = true, .i = 1};
  }
  if (kind || sn_gr_chance(g, 40)) at[2] = (sn_attr){.set = true, .region = score_region(g, acc, kind, tc)};
  if (sn_gr_chance(g, 70)) at[3] = (sn_attr){.set = true, .region = mask_region(g, kind, tc)};
  double size = g->fact[arg[2]].size;
  if (sn_gr_chance(g, 20)) {
    at[sn_op_attr(SN_OP_ATTENTION, "weights")] = (sn_attr){.set = true, .i = 1};
    size *= 50 * sqrt((double)sn_gr_value_of(g, t->dim[3])) * (double)sn_gr_value_of(g, S);
  }
  return sn_gr_apply(g, SN_OP_ATTENTION, n, arg, at, size);
}

/* ---- gradients ---- */

/* Floats pass, but no gradient: it would be an error on a path. */
static bool refuses_gradient(sn_op op) {
  const sn_op_rules *r = sn_op_rules_of(op);
  return !r->grad && !r->expand && op != SN_OP_GRAD && op != SN_OP_CALL && sn_op_passes_gradient(op);
}

/* Does y depend on x in a way that can be differentiated? */
static bool depends_on(const sn_ggen *g, sn_val y, sn_val x) {
  bool *on = SN_ARRAY(g->arena, g->f->value_count, bool), *refused = SN_ARRAY(g->arena, g->f->value_count, bool);
  on[x] = true;
  for (int i = 0; i < g->f->node_count; i++) {
    const sn_node *n = g->f->node[i];
    bool any = false, bad = false;
    for (int k = 0; k < n->arg_count; k++) {
      bool carries = on[n->arg[k]] && sn_elem_is_float(sn_gr_t(g, n->arg[k])->elem);
      any |= carries;
      bad |= carries && (refused[n->arg[k]] || refuses_gradient(n->op));
    }
    for (int k = 0; any && k < n->result_count; k++) {
      on[n->first + (sn_val)k] = true;
      refused[n->first + (sn_val)k] = bad;
    }
  }
  return on[y] && !refused[y];
}

/* Sum of a value, scaled; or a scalar as it is. */
static sn_val loss_of(sn_ggen *g, sn_val x) {
  const sn_type *t = sn_gr_t(g, x);
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) axes[i] = i;
  if (t->elem == SN_ELEM_BF16) {
    const sn_attr at = {.set = true, .i = SN_ELEM_F32};
    x = sn_gr_apply(g, SN_OP_CAST, 1, &x, &at, g->fact[x].size);
  }
  if (!x || !t->rank) return x;
  sn_val weighted[2] = {x, sn_gr_chance(g, 50) ? sn_gr_leaf(g, sn_gr_t(g, x)) : sn_gr_const(g, sn_gr_t(g, x), 0.5)};
  x = sn_gr_apply(g, SN_OP_MUL, 2, weighted, NULL, g->fact[x].size);
  const sn_attr at = {.set = true, .ints = axes, .count = t->rank};
  return x ? sn_gr_apply(g, SN_OP_SUM, 1, &x, &at, 10) : 0;
}

static sn_val use_grad(sn_ggen *g) {
  sn_val x = sn_gr_pick(g, SN_GR_FLOAT, 0, 5), loss = x ? loss_of(g, x) : 0, arg[5] = {loss};
  int n = 1;
  if (!loss) return 0;
  for (int i = 0; i < g->f->node_count && n < 4; i++) {
    const sn_node *node = g->f->node[i];
    bool learned = node->op == SN_OP_PARAM || node->op == SN_OP_STATE, given = node->op == SN_OP_INPUT;
    if (!sn_elem_is_float(node->type[0]->elem) || !sn_gr_chance(g, learned ? 90 : given ? 40 : 4)) continue;
    if (depends_on(g, loss, node->first)) arg[n++] = node->first;
  }
  if (n == 1) arg[n++] = x;
  sn_val v = sn_gr_apply(g, SN_OP_GRAD, n, arg, NULL, 10);
  for (int i = 1; v && i + 1 < n; i++) {
    sn_val d = sn_gr_tame(g, v + (sn_val)i, 5);
    if (d && g->count < SN_GR_POOL) g->pool[g->count++] = d;
  }
  return v;
}

/* ---- dispatch ---- */

sn_val sn_gr_use_body(sn_ggen *g, sn_op op) {
  if (op == SN_OP_GRAD) return use_grad(g);
  return op == SN_OP_CALL ? use_call(g) : use_attention(g);
}
