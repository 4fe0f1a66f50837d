/* Gradients against differences, and values against the source: what is wrong before the interpreter sees it.
 *
 *   1. Outputs that need no gradient, interpreted without any pass but `inline`, against the graph after the pass
 * `grad`.
 *   2. In f64 throughout, constants too, for each grad node: a graph of its loss alone, where every value that it
 * differentiates by has an input added to it, and what `stop` gives is an input with its value. Inner grads are left to
 * the pass.
 *   3. Along a random direction: (L(h) - L(-h)) / 2h for h and h / 2, against the sum of direction times gradient.
 *      The tolerance is what the two differences differ by, what those to either side do (a kink), and the bounds that
 *      the interpreter states for the rounding of the loss and of each gradient: these know of terms that cancel. Where
 *      differences do not settle (a jump) nothing is said. Wrong is what differs along two directions. */
#include <math.h>
#include <string.h>

#include "backends/faults/bisect.h"
#include "backends/faults/widen.h"
#include "ir/base/rng.h"
#include "ir/ops/ops.h"
#include "passes/passes.h"

typedef struct checking {
  const sn_case *c; /* of gradients: in f64 */
  bool wide;
  sn_arena *arena;
  sn_diags *diags;
  const char *what;
} checking;

static sn_code passes(const checking *x, sn_module *m, const char *last) {
  sn_target target;
  const sn_backend *none;
  const sn_compile_opt ref = {.target = "ref"};
  SN_TRY(sn_compile_target(&ref, x->diags, &target, &none));
  sn_pass_env env = {.arena = x->arena, .diags = x->diags, .target = &target};
  return sn_pipeline_run(m, &env, last, NULL, NULL);
}

static sn_code flat(const checking *x, sn_module *m) { return passes(x, m, "grad"); }

/* ---- a copy of the graph with other results ---------------------------------------------------------------------- */

typedef struct rebuilt {
  sn_module *m;
  sn_func *f; /* the source */
  sn_build b;
  sn_val *map; /* of values of f */
} rebuilt;

/* Inlined: the interpreter, and what differentiates by them, find the parameters of layers. */
static sn_code begin(const checking *x, rebuilt *r) {
  SN_TRY(sn_case_parse(x->c, x->arena, x->diags, &r->m));
  if (x->wide) SN_TRY(sn_module_widen(r->m, x->diags));
  SN_TRY(passes(x, r->m, "inline"));
  r->f = sn_module_find(r->m, x->c->graph);
  r->b = sn_build_begin(sn_func_successor(r->f), x->diags);
  r->map = SN_ARRAY(x->arena, r->f->value_count + 1, sn_val);
  return SN_OK;
}

static void copy_node(rebuilt *r, const sn_node *n, sn_arena *arena) {
  sn_val *arg = SN_ARRAY(arena, n->arg_count + 1, sn_val);
  for (int k = 0; k < n->arg_count; k++) arg[k] = r->map[n->arg[k]];
  sn_val v = sn_func_copy_node(r->b.func, n, arg);
  for (int k = 0; k < n->result_count; k++) r->map[n->first + (sn_val)k] = v + (sn_val)k;
}

static void finish(rebuilt *r) { r->f = sn_func_replace(r->f, r->b.func); }

static sn_val added_input(const checking *x, rebuilt *r, const sn_type *t, const char *prefix, int number) {
  const char *name = sn_name(r->m->names, sn_arena_printf(x->arena, "%s.%d", prefix, number));
  const sn_attr at[2] = {{.set = true, .s = name}};
  return sn_emit(&r->b, SN_OP_INPUT, 0, NULL, at, t);
}

/* ---- values without passes --------------------------------------------------------------------------------------- */

static bool *needs_grad(const sn_func *f, sn_arena *arena) {
  bool *needs = SN_ARRAY(arena, f->value_count + 1, bool);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    bool any = n->op == SN_OP_GRAD;
    for (int k = 0; k < n->arg_count; k++) any |= needs[n->arg[k]];
    for (int k = 0; k < n->result_count; k++) needs[n->first + (sn_val)k] = any;
  }
  return needs;
}

static sn_code check_values(checking *x) {
  rebuilt r;
  sn_oracle o;
  sn_tensor **values;
  sn_checked sum = {0};
  SN_TRY(begin(x, &r));
  bool *needs = needs_grad(r.f, x->arena);
  for (int i = 0; i < r.f->node_count; i++)
    if (!needs[r.f->node[i]->first]) copy_node(&r, r.f->node[i], x->arena);
  for (int i = 0; i < r.f->output_count; i++)
    if (!needs[r.f->output[i].value]) sn_func_output(r.b.func, r.f->output[i].name, r.map[r.f->output[i].value]);
  if (!r.b.func->output_count) return SN_OK;
  finish(&r);
  SN_TRY(sn_case_oracle(x->c, x->arena, x->diags, &o));
  SN_TRY(sn_case_interpret(x->c, r.f, true, x->arena, x->diags, &values));
  for (int i = 0; i < r.f->output_count; i++)
    for (int k = 0; k < o.f->output_count; k++) {
      if (strcmp(r.f->output[i].name, o.f->output[k].name)) continue;
      const sn_tensor *t = o.values[o.f->output[k].value];
      void *data = sn_arena_array(x->arena, (size_t)t->count + 1, sn_elem_bytes(t->elem));
      sn_tensor_store(t, data);
      sn_checked_add(&sum, x->arena, "output", r.f->output[i].name, values[r.f->output[i].value], data);
    }
  x->what = sum.first;
  return SN_OK;
}

/* ---- one grad node ----------------------------------------------------------------------------------------------- */

typedef struct loss {
  rebuilt r;
  sn_binding *data; /* of the case, then "d.N" and "stop.N" */
  int data_count;
  sn_val value; /* the loss, in the finished function */
} loss;

/* Values of every stop at the point itself. */
static sn_code stops(const checking *x, int grad, sn_tensor ***values) {
  rebuilt r;
  SN_TRY(begin(x, &r));
  for (int i = 0; i < grad; i++) copy_node(&r, r.f->node[i], x->arena);
  const sn_node **at = SN_ARRAY(x->arena, grad + 1, const sn_node *);
  int count = 0;
  for (int i = 0; i < grad; i++)
    if (r.f->node[i]->op == SN_OP_STOP) at[count++] = r.f->node[i];
  *values = SN_ARRAY(x->arena, r.f->value_count + 1, sn_tensor *);
  if (!count) return SN_OK;
  for (int i = 0; i < count; i++)
    sn_func_output(r.b.func, sn_name(r.m->names, sn_arena_printf(x->arena, "stop.%u", at[i]->first)),
                   r.map[at[i]->first]);
  finish(&r);
  SN_TRY(flat(x, r.m));
  const sn_func *f = sn_module_find(r.m, x->c->graph);
  sn_tensor **found;
  SN_TRY(sn_case_interpret(x->c, f, false, x->arena, x->diags, &found));
  for (int i = 0; i < count; i++)
    for (int k = 0; k < f->output_count; k++)
      if (!strcmp(f->output[k].name, sn_arena_printf(x->arena, "stop.%u", at[i]->first)))
        (*values)[at[i]->first] = found[f->output[k].value];
  return SN_OK;
}

/* The value that g differentiates by and v is: itself, or the leaf of that name; 0: none */
static sn_val wrt_of(const sn_func *f, const sn_node *g, sn_val v) {
  const char *leaf = sn_leaf_name(sn_node_of(f, v));
  for (int k = 1; k < g->arg_count; k++) {
    const char *name = sn_leaf_name(sn_node_of(f, g->arg[k]));
    if (g->arg[k] == v || (leaf && name == leaf)) return g->arg[k];
  }
  return 0;
}

static sn_code build_loss(const checking *x, int grad, loss *l) {
  sn_tensor **frozen;
  SN_TRY(stops(x, grad, &frozen));
  SN_TRY(begin(x, &l->r));
  rebuilt *r = &l->r;
  const sn_node *g = r->f->node[grad];
  sn_val *moved = SN_ARRAY(x->arena, r->f->value_count + 1, sn_val);
  l->data = SN_ARRAY(x->arena, x->c->data_count + r->f->value_count + 1, sn_binding);
  for (int i = 0; i < x->c->data_count; i++) l->data[l->data_count++] = x->c->data[i];
  for (int i = 0; i < grad; i++) {
    const sn_node *n = r->f->node[i];
    if (n->op == SN_OP_STOP && frozen[n->first]) {
      sn_val v = r->map[n->first] = added_input(x, r, n->type[0], "stop", (int)n->first);
      l->data[l->data_count++] = (sn_binding){sn_leaf_name(sn_node_of(r->b.func, v)), frozen[n->first]};
    } else {
      copy_node(r, n, x->arena);
    }
    for (int k = 0; k < n->result_count; k++) {
      sn_val v = n->first + (sn_val)k;
      sn_val w = wrt_of(r->f, g, v);
      if (!w) continue;
      if (!moved[w]) moved[w] = added_input(x, r, n->type[k], "d", (int)w);
      r->map[v] = sn_g2(&r->b, SN_OP_ADD, r->map[v], moved[w]);
    }
  }
  sn_func_output(r->b.func, "loss", r->map[g->arg[0]]);
  if (r->b.failed) return r->b.failed;
  finish(r);
  SN_TRY(flat(x, r->m));
  r->f = sn_module_find(r->m, x->c->graph);
  l->value = r->f->output[0].value;
  return SN_OK;
}

/* The gradients that the pass makes: values of the results of the grad node, with bounds. */
static sn_code gradients_of(const checking *x, int grad, sn_tensor ***out) {
  rebuilt r;
  SN_TRY(begin(x, &r));
  const sn_node *g = r.f->node[grad];
  for (int i = 0; i <= grad; i++) copy_node(&r, r.f->node[i], x->arena);
  for (int k = 0; k < g->result_count; k++)
    sn_func_output(r.b.func, sn_name(r.m->names, sn_arena_printf(x->arena, "g.%03d", k)), r.map[g->first + (sn_val)k]);
  int count = g->result_count;
  finish(&r);
  SN_TRY(flat(x, r.m));
  const sn_func *f = sn_module_find(r.m, x->c->graph);
  sn_tensor **values;
  SN_TRY(sn_case_interpret(x->c, f, true, x->arena, x->diags, &values));
  *out = SN_ARRAY(x->arena, count + 1, sn_tensor *);
  for (int k = 0; k < count; k++) (*out)[k] = values[f->output[k].value]; /* outputs are sorted by name */
  return SN_OK;
}

typedef struct move {
  int wrt; /* operand of the grad node */
  const sn_tensor *along;
  double by;
} move;

/* The loss with a move added to one of the values that it is differentiated by. bound: of its rounding */
static sn_code loss_at(const checking *x, const loss *l, const sn_node *g, move m, double *out, double *bound) {
  sn_arena *scratch = sn_arena_scratch();
  sn_binding *data = SN_ARRAY(x->arena, l->data_count + g->arg_count + 1, sn_binding);
  int count = l->data_count;
  sn_code code = scratch ? SN_OK : SN_ERR_LIMIT;
  memcpy(data, l->data, (size_t)count * sizeof *data);
  for (int k = 1; k < g->arg_count && !code; k++) {
    const char *name = sn_arena_printf(x->arena, "d.%u", g->arg[k]);
    sn_tensor *t;
    int n = l->r.f->node_count, i = 0;
    while (i < n && !(sn_leaf_name(l->r.f->node[i]) && !strcmp(sn_leaf_name(l->r.f->node[i]), name))) i++;
    if (i == n) continue; /* the loss does not depend on it */
    int64_t extent[SN_RANK_MAX];
    const sn_type *type = l->r.f->node[i]->type[0];
    for (int d = 0; d < type->rank && !code; d++) code = sn_dimx_eval(type->dim[d], x->c->dims, &extent[d]);
    if (!code) code = sn_tensor_create(scratch, type->elem, type->rank, extent, &t);
    bool moves = g->arg[k] == g->arg[m.wrt];
    for (int64_t e = 0; !code && moves && e < t->count; e++) t->value[e] = m.by * m.along->value[e];
    if (!code) data[count++] = (sn_binding){name, t};
  }
  sn_case c = *x->c;
  c.data = data, c.data_count = count;
  sn_tensor **values;
  if (!code) code = sn_case_interpret(&c, l->r.f, true, scratch, x->diags, &values);
  if (!code) *out = values[l->value]->value[0];
  if (!code) *bound = values[l->value]->bound ? values[l->value]->bound[0] : 0;
  sn_arena_destroy(scratch);
  return code;
}

typedef struct slope {
  double value, error; /* error: INFINITY where it does not settle */
} slope;

/* h: from the point to either side; half of it for the narrower difference. */
static sn_code slope_of(const checking *x, const loss *l, const sn_node *g, move m, slope *out) {
  double at[5], h = m.by, bound, most = 0;
  for (int i = 0; i < 5; i++) {
    m.by = (i - 2) * h / 2;
    SN_TRY(loss_at(x, l, g, m, &at[i], &bound));
    most = fmax(most, bound);
  }
  double wide = (at[4] - at[0]) / (2 * h), narrow = (at[3] - at[1]) / h;
  double left = (at[2] - at[1]) / (h / 2), right = (at[3] - at[2]) / (h / 2);
  double noise = 2 * most / h + 4 * sn_elem_roundoff(SN_ELEM_F64) * fabs(narrow);
  out->value = narrow;
  out->error = 4 * fabs(wide - narrow) + fabs(left - right) + noise;
  if (!isfinite(narrow + noise) || fabs(left - right) > 0.1 * (fabs(left) + fabs(right)) + 4 * noise)
    out->error = INFINITY;
  return SN_OK;
}

typedef enum verdict { AGREES, DIFFERS, UNSETTLED } verdict;

/* Near kinks that are not at the point the smaller step decides. */
static sn_code judge(checking *x, const loss *l, const sn_node *g, int wrt, const sn_tensor *v, const sn_tensor *grad,
                     verdict *out, const char **what) {
  slope s;
  double sum = 0, size = 0, rounding = 0, unit = sn_elem_roundoff(SN_ELEM_F64);
  for (int64_t i = 0; i < v->count; i++) {
    sum += v->value[i] * grad->value[i];
    size += fabs(v->value[i] * grad->value[i]);
    if (grad->bound) rounding += fabs(v->value[i]) * grad->bound[i];
  }
  rounding += (double)v->count * unit * size;
  *out = isfinite(sum + rounding) ? DIFFERS : UNSETTLED;
  for (double h = 1e-4; h > 1e-7 && *out == DIFFERS; h *= 1e-2) {
    SN_TRY(slope_of(x, l, g, (move){wrt, v, h}, &s));
    if (isinf(s.error)) *out = UNSETTLED;
    if (fabs(sum - s.value) <= s.error + rounding) *out = AGREES;
  }
  if (*out == DIFFERS)
    *what = sn_arena_printf(x->arena, "gradient %d of a grad node: along a direction %.9g, by differences %.9g +- %.2g",
                            wrt, sum, s.value, s.error + rounding);
  return SN_OK;
}

/* Wrong is what differs along two directions, and agrees along none before: kinks at the point may lie either way. */
static sn_code check_wrt(checking *x, const loss *l, const sn_node *g, int wrt, const sn_tensor *grad) {
  sn_tensor *v;
  int wrong = 0;
  SN_TRY(sn_tensor_create(x->arena, SN_ELEM_F64, grad->rank, grad->extent, &v));
  for (int turn = 0; turn < 4 && wrong < 2; turn++) {
    const char *what;
    verdict how;
    sn_rng rng = {.seed = 7, .stream = (uint64_t)(turn * 64 + wrt)};
    for (int64_t i = 0; i < v->count; i++) v->value[i] = sn_rng_normal(&rng);
    SN_TRY(judge(x, l, g, wrt, v, grad, &how, &what));
    if (how == AGREES) return SN_OK;
    if (how == DIFFERS && ++wrong == 2) x->what = what;
  }
  return SN_OK;
}

static sn_code check_grad(checking *x, const sn_func *f, int grad) {
  loss l = {0};
  sn_tensor **found;
  const sn_node *g = f->node[grad];
  SN_TRY(build_loss(x, grad, &l));
  SN_TRY(gradients_of(x, grad, &found));
  for (int k = 1; k < g->arg_count && !x->what; k++) SN_TRY(check_wrt(x, &l, g, k, found[k - 1]));
  return SN_OK;
}

sn_code sn_case_gradients(const sn_case *c, sn_arena *arena, sn_diags *diags, const char **what) {
  const sn_case wide = sn_case_widen(c, arena);
  checking x = {.c = c, .arena = arena, .diags = diags};
  rebuilt r;
  SN_TRY(check_values(&x));
  x.c = &wide, x.wide = true;
  SN_TRY(begin(&x, &r));
  for (int i = 0; i < r.f->node_count && !x.what; i++)
    if (r.f->node[i]->op == SN_OP_GRAD) SN_TRY(check_grad(&x, r.f, i));
  *what = x.what;
  return SN_OK;
}
