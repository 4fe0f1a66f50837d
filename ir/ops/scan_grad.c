/* Gradient of scan: a scan in the other direction over the stored states.
 *
 *   1. The states before every step are wanted as outputs; a scan that lacks them is made again with them.
 *   2. The derivative of one step, as a function of its own: from ds, dy, x, s to ds, dx and dc.
 *   3. The scan back carries ds. A derivative of a captured tensor c is the sum over all steps: a product of two
 * smaller tensors (that of a matrix with x) leaves the scan as its two factors, and one contraction outside sums it;
 * any other part is a state that adds up. Both are scans: second derivatives come from the same rule. */
#include "ir/ops/rules.h"

#include <string.h>

/* ---- 1. stored states -------------------------------------------------------------------------------------------- */

/* The ARG node of a body, 0 when it has none of that index. */
static sn_val arg_of(const sn_func *f, int index) {
  for (int i = 0; i < f->node_count; i++)
    if (f->node[i]->op == SN_OP_ARG && f->node[i]->attr[0].i == index) return f->node[i]->first;
  return 0;
}

/* The output that is state i before the step, -1: there is none. */
static int stored_output(const sn_scan_layout *l, int state) {
  sn_val v = arg_of(l->step, state);
  for (int k = 0; v && k < l->outputs; k++)
    if (l->step->result[l->states + k] == v) return k;
  return -1;
}

bool sn_scan_stores_states(const sn_node *n) {
  sn_scan_layout l = sn_scan_layout_of(n);
  for (int i = 0; i < l.states; i++)
    if (stored_output(&l, i) < 0) return false;
  return true;
}

/* The type that an operand of the scan has inside the step. */
static const sn_type *inner_type(sn_build *b, const sn_scan_layout *l, const sn_type *t, int operand) {
  int skip = operand < l->states ? l->lead - 1 : operand < l->states + l->inputs ? l->lead : 0;
  return sn_type_of(sn_b_types(b), t->elem, t->rank - skip, t->dim + skip);
}

sn_build sn_scan_body_begin(sn_build *b, const char *name, int count, const sn_type *const *type, sn_val *arg) {
  sn_build x = sn_build_begin(sn_func_create(b->func->module, name, SN_FUNC_BODY), b->diags);
  x.origin = b->origin;
  for (int i = 0; i < count; i++) {
    const sn_attr at = {.set = true, .i = i};
    arg[i] = sn_emit(&x, SN_OP_ARG, 0, NULL, &at, type[i]);
  }
  return x;
}

const sn_func *sn_scan_body_end(sn_build *b, sn_build *x) {
  if (x->failed) b->failed = x->failed;
  return b->failed ? NULL : sn_func_finish(x->func);
}

static sn_val emit_scan(sn_build *b, const sn_node *like, int states, int inputs, const sn_func *step, bool reverse,
                        int arg_count, const sn_val *arg) {
  const sn_attr attr[5] = {{.set = true, .s = sn_node_attr(like, "axes")->s},
                           {.set = true, .i = states},
                           {.set = true, .i = inputs},
                           {.set = true, .region = step},
                           {.set = reverse, .i = reverse}};
  return b->failed ? 0 : sn_emit(b, SN_OP_SCAN, arg_count, arg, attr, NULL);
}

sn_val sn_scan_store_states(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_scan_layout l = sn_scan_layout_of(n);
  sn_arena *arena = b->func->arena;
  const sn_type **type = SN_ARRAY(arena, n->arg_count, const sn_type *);
  sn_val *in = SN_ARRAY(arena, n->arg_count, sn_val), *map = SN_ARRAY(arena, l.step->value_count, sn_val);
  for (int i = 0; i < n->arg_count; i++) type[i] = inner_type(b, &l, sn_g_type(b, arg[i]), i);
  sn_build x = sn_scan_body_begin(b, l.step->name, n->arg_count, type, in);
  sn_region_copy(&x, l.step, n->arg_count, in, map);
  for (int i = 0; i < l.step->result_count && !x.failed; i++) sn_func_return(x.func, map[l.step->result[i]]);
  for (int i = 0; i < l.states; i++) sn_func_return(x.func, in[i]);
  const sn_func *step = sn_scan_body_end(b, &x);
  return emit_scan(b, n, l.states, l.inputs, step, l.reverse, n->arg_count, arg);
}

/* ---- 2. the derivative of one step ------------------------------------------------------------------------------- */

/* What the gradient of a scan is made of. Arguments of the derivative of one step, and of the step back:
 *   ds (float states), [sums of dc,] x.., s.., dy (outputs that have one), captures */
typedef struct backward {
  sn_grad_rule *g;
  sn_build *b;
  sn_scan_layout l;
  sn_val stored;              /* first result of the scan that stores its states */
  int float_count, *floating; /* states that have a derivative */
  int dy_count, *dy;          /* outputs that have one */
  int arg_count;              /* of the derivative */
  const sn_type **type;       /* of its arguments */
  const sn_func *derivative;  /* -> ds.., dx.., dc.. */
  int dx_count, *dx;          /* inputs, by result after the ds */
  int dc_count, *dc;          /* captures, by result after the dx */
} backward;

static const sn_type *operand_type(const backward *w, int i) {
  return inner_type(w->b, &w->l, sn_g_type(w->b, w->g->arg[i]), i);
}

static const sn_type *output_type(const backward *w, int k) {
  return sn_val_type(w->l.step, w->l.step->result[w->l.states + k]);
}

static void list_parts(backward *w) {
  const sn_scan_layout *l = &w->l;
  sn_arena *arena = w->b->func->arena;
  w->floating = SN_ARRAY(arena, l->states + 1, int);
  w->dy = SN_ARRAY(arena, l->outputs + 1, int);
  w->dx = SN_ARRAY(arena, l->inputs + 1, int);
  w->dc = SN_ARRAY(arena, l->captures + 1, int);
  for (int i = 0; i < l->states; i++)
    if (sn_elem_is_float(operand_type(w, i)->elem)) w->floating[w->float_count++] = i;
  for (int k = 0; k < l->outputs; k++)
    if (w->g->d_result[l->states + k]) w->dy[w->dy_count++] = k;
  w->arg_count = w->float_count + l->inputs + l->states + w->dy_count + l->captures;
  w->type = SN_ARRAY(arena, w->arg_count + 1, const sn_type *);
  int n = 0;
  for (int i = 0; i < w->float_count; i++) w->type[n++] = operand_type(w, w->floating[i]);
  for (int i = 0; i < l->inputs; i++) w->type[n++] = operand_type(w, l->states + i);
  for (int i = 0; i < l->states; i++) w->type[n++] = operand_type(w, i);
  for (int i = 0; i < w->dy_count; i++) w->type[n++] = output_type(w, w->dy[i]);
  for (int i = 0; i < l->captures; i++) w->type[n++] = operand_type(w, l->states + l->inputs + i);
}

/* Operand i of the forward step among the arguments of the derivative. */
static int place_of(const backward *w, int i) {
  const sn_scan_layout *l = &w->l;
  if (i < l->states) return w->float_count + l->inputs + i;
  if (i < l->states + l->inputs) return w->float_count + i - l->states;
  return w->float_count + w->dy_count + i;
}

/* Derivatives by `count` operands from `first` on that are wanted, as results; none where nothing flows. */
static int return_wanted(const backward *w, sn_build *x, int first, int count, const sn_val *d, int *list) {
  int n = 0;
  for (int i = 0; i < count; i++) {
    if (!w->g->need[first + i] || !d[first + i]) continue;
    sn_func_return(x->func, d[first + i]);
    list[n++] = i;
  }
  return n;
}

static void derive_step(backward *w) {
  const sn_scan_layout *l = &w->l;
  sn_arena *arena = w->b->func->arena;
  int operands = l->states + l->inputs + l->captures, outs = 0;
  sn_val *in = SN_ARRAY(arena, w->arg_count + 1, sn_val), *arg = SN_ARRAY(arena, operands, sn_val);
  sn_val *map = SN_ARRAY(arena, l->step->value_count, sn_val), *d = SN_ARRAY(arena, operands, sn_val);
  sn_val *out = SN_ARRAY(arena, w->float_count + w->dy_count + 1, sn_val),
         *d_out = SN_ARRAY(arena, w->arg_count + 1, sn_val);
  sn_build x = sn_scan_body_begin(w->b, sn_arena_printf(arena, "%s.d", l->step->name), w->arg_count, w->type, in);
  for (int i = 0; i < operands; i++) arg[i] = in[place_of(w, i)];
  sn_region_inline_step(&x, l->step, operands, arg, map);
  for (int i = 0; i < w->float_count; i++, outs++) {
    out[outs] = map[l->step->result[w->floating[i]]];
    d_out[outs] = in[i];
  }
  for (int i = 0; i < w->dy_count; i++, outs++) {
    out[outs] = map[l->step->result[l->states + w->dy[i]]];
    d_out[outs] = in[w->float_count + l->inputs + l->states + i];
  }
  sn_val *wrt = SN_ARRAY(arena, operands, sn_val), *d_wrt = SN_ARRAY(arena, operands, sn_val);
  int *which = SN_ARRAY(arena, operands, int), n = 0;
  for (int i = 0; i < operands; i++)
    if (sn_elem_is_float(sn_val_type(x.func, arg[i])->elem) && (i < l->states || w->g->need[i])) {
      wrt[n] = arg[i];
      which[n++] = i;
    }
  if (!x.failed) x.failed = sn_derive(&x, outs, out, d_out, n, wrt, d_wrt);
  for (int i = 0; i < n && !x.failed; i++) d[which[i]] = d_wrt[i];
  for (int i = 0; i < w->float_count && !x.failed; i++) {
    sn_val s = w->floating[i];
    sn_func_return(x.func, d[s] ? d[s] : sn_b_zeros(&x, arg[s]));
  }
  w->dx_count = return_wanted(w, &x, l->states, l->inputs, d, w->dx);
  w->dc_count = return_wanted(w, &x, l->states + l->inputs, l->captures, d, w->dc);
  if (!x.func->result_count) sn_func_return(x.func, sn_g_const(&x, sn_type_scalar(sn_b_types(w->b), SN_ELEM_F32), 0));
  w->derivative = sn_scan_body_end(w->b, &x);
}

/* ---- 3. the scan back -------------------------------------------------------------------------------------------- */

/* How the derivative by one captured tensor leaves the scan. */
typedef struct capture_sum {
  bool factors; /* as the factors of products; else as a sum in a state */
  int term_count;
  const sn_node
      *term[8]; /* of the derivative: contractions without a letter that both operands hold and the result lacks */
} capture_sum;

static int64_t most_elements(sn_build *b, const sn_type *t) {
  return sn_dimx_max_value(sn_type_count(sn_b_types(b), t));
}

/* Is the value a product whose factors are together smaller than it? */
static bool is_product(const backward *w, const sn_node *n) {
  const sn_func *f = w->derivative;
  if (n->op != SN_OP_CONTRACT) return false;
  const sn_type *p = sn_val_type(f, n->arg[0]), *q = sn_val_type(f, n->arg[1]);
  if (p->rank + w->l.lead > SN_RANK_MAX || q->rank + w->l.lead > SN_RANK_MAX) return false;
  if (p->elem != n->type[0]->elem) return false;
  return most_elements(w->b, p) + most_elements(w->b, q) < most_elements(w->b, n->type[0]);
}

static bool add_terms(const backward *w, sn_val v, capture_sum *out) {
  const sn_node *n = sn_node_of(w->derivative, v);
  if (n->op == SN_OP_ADD) return add_terms(w, n->arg[0], out) && add_terms(w, n->arg[1], out);
  if (out->term_count == 8 || !is_product(w, n)) return false;
  out->term[out->term_count++] = n;
  return true;
}

/* The contraction of stacked factors: letters that the spec does not use stand for the leading axes. */
static const char *stacked_spec(sn_arena *arena, const char *spec, int lead) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  char free_letters[SN_RANK_MAX + 1] = "";
  sn_contract_spec s;
  if (sn_contract_parse(spec, &s)) return spec;
  for (int i = 0, n = 0; n < lead; i++)
    if (!strchr(s.a, letters[i]) && !strchr(s.b, letters[i])) free_letters[n++] = letters[i];
  return sn_arena_printf(arena, "%s%s,%s%s->%s", free_letters, s.a, free_letters, s.b, s.out);
}

/* The step back under construction. */
typedef struct step_back {
  backward *w;
  sn_build x;
  capture_sum *sum; /* per dc */
  int sum_count;    /* of dc that are states */
  int factor_count; /* outputs that are factors */
  const sn_type **type;
  sn_val *in;
} step_back;

static void plan_sums(step_back *k) {
  backward *w = k->w;
  k->sum = SN_ARRAY(w->b->func->arena, w->dc_count + 1, capture_sum);
  for (int i = 0; i < w->dc_count; i++) {
    sn_val v = w->derivative->result[w->float_count + w->dx_count + i];
    k->sum[i].factors = add_terms(w, v, &k->sum[i]);
    k->sum_count += !k->sum[i].factors;
  }
}

/* ds.., sums.., x.., s.., dy.., captures -> ds.., sums.., dx.., factors.. */
static const sn_func *make_step(step_back *k) {
  backward *w = k->w;
  const sn_func *d = w->derivative;
  sn_arena *arena = w->b->func->arena;
  int first_dc = w->float_count + w->dx_count, n = 0, at = w->float_count;
  k->type = SN_ARRAY(arena, w->arg_count + k->sum_count + 1, const sn_type *);
  k->in = SN_ARRAY(arena, w->arg_count + k->sum_count + 1, sn_val);
  for (int i = 0; i < w->float_count; i++) k->type[n++] = w->type[i];
  for (int i = 0; i < w->dc_count; i++)
    if (!k->sum[i].factors) k->type[n++] = sn_val_type(d, d->result[first_dc + i]);
  for (int i = w->float_count; i < w->arg_count; i++) k->type[n++] = w->type[i];
  k->x = sn_scan_body_begin(w->b, sn_arena_printf(arena, "%s.back", w->l.step->name), n, k->type, k->in);
  sn_val *arg = SN_ARRAY(arena, w->arg_count + 1, sn_val), *map = SN_ARRAY(arena, d->value_count, sn_val);
  for (int i = 0; i < w->arg_count; i++) arg[i] = k->in[i < w->float_count ? i : i + k->sum_count];
  sn_region_copy(&k->x, d, w->arg_count, arg, map);
  for (int i = 0; i < w->float_count && !k->x.failed; i++) sn_func_return(k->x.func, map[d->result[i]]);
  for (int i = 0; i < w->dc_count; i++)
    if (!k->sum[i].factors)
      sn_func_return(k->x.func, sn_g2(&k->x, SN_OP_ADD, k->in[at++], map[d->result[first_dc + i]]));
  for (int i = 0; i < w->dx_count; i++) sn_func_return(k->x.func, map[d->result[w->float_count + i]]);
  for (int i = 0; i < w->dc_count; i++)
    for (int t = 0; k->sum[i].factors && t < k->sum[i].term_count; t++) {
      sn_func_return(k->x.func, map[k->sum[i].term[t]->arg[0]]);
      sn_func_return(k->x.func, map[k->sum[i].term[t]->arg[1]]);
    }
  return sn_scan_body_end(w->b, &k->x);
}

/* Zeros for a sum: one per element of the mapped axes. 0: too many axes. */
static sn_val first_sum(const backward *w, const sn_type *t) {
  const sn_type *x = sn_g_type(w->b, w->g->arg[w->l.states]);
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  if (w->l.lead - 1 + t->rank > SN_RANK_MAX) {
    sn_b_fail(w->b, "the derivative by a captured tensor of a scan has more than %d axes", SN_RANK_MAX);
    return 0;
  }
  for (int i = 0; i < w->l.lead; i++)
    if (i != w->l.time) dim[n++] = x->dim[i];
  for (int i = 0; i < t->rank; i++) dim[n++] = t->dim[i];
  return sn_g_const(w->b, sn_type_of(sn_b_types(w->b), t->elem, n, dim), 0);
}

static sn_val emit_back(step_back *k, const sn_func *step) {
  backward *w = k->w;
  const sn_scan_layout *l = &w->l;
  int count = w->arg_count + k->sum_count, n = 0;
  sn_val *arg = SN_ARRAY(w->b->func->arena, count + 1, sn_val);
  for (int i = 0; i < w->float_count; i++) {
    sn_val d = w->g->d_result[w->floating[i]];
    arg[n++] = d ? d : sn_b_zeros(w->b, w->g->arg[w->floating[i]]);
  }
  for (int i = 0; i < w->dc_count; i++)
    if (!k->sum[i].factors)
      arg[n++] = first_sum(w, sn_val_type(w->derivative, w->derivative->result[w->float_count + w->dx_count + i]));
  for (int i = 0; i < l->inputs; i++) arg[n++] = w->g->arg[l->states + i];
  const sn_node *stored = sn_node_of(w->b->func, w->stored);
  sn_scan_layout s = sn_scan_layout_of(stored);
  for (int i = 0; i < l->states; i++) arg[n++] = w->stored + (sn_val)(l->states + stored_output(&s, i));
  for (int i = 0; i < w->dy_count; i++) arg[n++] = w->g->d_result[l->states + w->dy[i]];
  for (int i = 0; i < l->captures; i++) arg[n++] = w->g->arg[l->states + l->inputs + i];
  return emit_scan(w->b, w->g->node, w->float_count + k->sum_count, l->inputs + l->states + w->dy_count, step,
                   !l->reverse, n, arg);
}

/* The derivative by a captured tensor from its factors, from result `at` on. -> results used */
static int sum_factors(backward *w, const capture_sum *sum, sn_val at, sn_val *out) {
  for (int t = 0; t < sum->term_count; t++) {
    const char *spec = stacked_spec(w->b->func->arena, sn_node_attr(sum->term[t], "spec")->s, w->l.lead);
    sn_val part = sn_g_contract(w->b, spec, at + (sn_val)(2 * t), at + (sn_val)(2 * t + 1));
    *out = *out ? sn_g2(w->b, SN_OP_ADD, *out, part) : part;
  }
  return 2 * sum->term_count;
}

static void take_results(step_back *k, sn_val first) {
  backward *w = k->w;
  const sn_scan_layout *l = &w->l;
  sn_val at = first;
  const int64_t mapped[SN_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
  for (int i = 0; i < w->float_count; i++) w->g->d_arg[w->floating[i]] = at++;
  for (int i = 0; i < w->dc_count; i++)
    if (!k->sum[i].factors) w->g->d_arg[l->states + l->inputs + w->dc[i]] = sn_g_sum(w->b, at++, l->lead - 1, mapped);
  for (int i = 0; i < w->dx_count; i++) w->g->d_arg[l->states + w->dx[i]] = at++;
  for (int i = 0; i < w->dc_count && !w->b->failed; i++)
    if (k->sum[i].factors) at += (sn_val)sum_factors(w, &k->sum[i], at, &w->g->d_arg[l->states + l->inputs + w->dc[i]]);
}

void sn_scan_grad(sn_grad_rule *g) {
  backward w = {.g = g, .b = g->b, .l = sn_scan_layout_of(g->node), .stored = g->result[0]};
  if (!sn_scan_stores_states(g->node)) w.stored = sn_scan_store_states(g->b, g->node, g->arg);
  if (g->b->failed) return;
  list_parts(&w);
  derive_step(&w);
  if (g->b->failed) return;
  step_back k = {.w = &w};
  plan_sums(&k);
  const sn_func *step = make_step(&k);
  sn_module_remove(g->b->func->module, w.derivative);
  sn_val back = step && (w.float_count || w.dx_count || w.dc_count) ? emit_back(&k, step) : 0;
  if (back) take_results(&k, back);
}
