/* Training: gradients of a scalar, sn_minimize, and the stock rules. */
#include "frontend/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- derivatives ------------------------------------------------------------------------------------------ */

void sn_grad_at(sn_here here, sn_t loss, sn_list wrt, sn_t **out) {
  sn_t all[33] = {loss};
  int results = 0;
  while (out[results]) results++;
  for (int i = 0; i < wrt.count; i++) all[i + 1] = wrt.at[i].v;
  sn_call c = sn_call_on(here, wrt.count + 1, all);
  const sn_type *t = c.fn ? sn_need(&c, loss, "loss") : NULL;
  sn_val arg[33] = {0};
  if (t && (t->rank || !sn_elem_is_float(t->elem)))
    sn_mistake(&c, "a real scalar", sn_describe(&c, loss, sn_spelled(&c, 0)), "the loss does not fit");
  if (t && !c.poison && results != wrt.count)
    sn_mistake(&c, sn_texts(&c, "%d", wrt.count), sn_texts(&c, "%d", results), "another number of results");
  for (int i = 0; t && !c.poison && i <= wrt.count; i++) {
    if (sn_need(&c, all[i], "to differentiate by")) arg[i] = sn_bring(&c, all[i], "");
  }
  sn_t first = sn_result(&c, c.fn && !c.poison ? sn_emit(&c.fn->b, SN_OP_GRAD, wrt.count + 1, arg, NULL, NULL) : 0);
  for (int i = 0; i < results; i++) *out[i] = sn_is_poison(first) ? first : (sn_t){.u.id = first.u.id + i, .fn = c.fn};
}

/* ---- which parameters a loss depends on ---------------------------------------------------------------------- */

typedef struct name_list {
  int count, capacity;
  const char **at;
} name_list;

static void add_name(sn_arena *arena, name_list *l, const char *name) {
  for (int i = 0; i < l->count; i++) {
    if (!strcmp(l->at[i], name)) return;
  }
  SN_GROW(arena, l->at, l->count, l->capacity);
  l->at[l->count++] = name;
}

/* Names of the parameters that a gradient from the roots reaches, as the function calls them. Operands have smaller
 * ids: one sweep from the last node to the first. Nesting is that of sn_layers in the source. */
static void reach_params(sn_arena *arena, const sn_func *f, int count, const sn_val *roots, name_list *out) {
  bool *reached = SN_ARRAY(arena, f->value_count, bool);
  for (int i = 0; i < count; i++) reached[roots[i]] = true;
  for (int i = f->node_count - 1; i >= 0; i--) {
    const sn_node *n = f->node[i];
    bool any = false;
    for (int r = 0; r < n->result_count; r++) any |= reached[n->first + (sn_val)r];
    if (!any) continue;
    if (n->op == SN_OP_PARAM) add_name(arena, out, n->attr[0].s);
    if (n->op != SN_OP_CALL && !sn_op_passes_gradient(n->op)) continue;
    for (int k = 0; k < n->arg_count; k++) {
      if (sn_elem_is_float(sn_val_type(f, n->arg[k])->elem)) reached[n->arg[k]] = true;
    }
    if (n->op != SN_OP_CALL) continue;
    name_list inner = {0};
    const sn_func *body = sn_node_attr(n, "body")->region;
    reach_params(arena, body, body->result_count, body->result, &inner);
    for (int k = 0; k < inner.count; k++)
      add_name(arena, out, sn_unstar(arena, sn_node_attr(n, "with")->s, inner.at[k]));
  }
}

static int text_order(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int decl_order(const void *a, const void *b) {
  return strcmp((*(const sn_leaf_decl *const *)a)->name, (*(const sn_leaf_decl *const *)b)->name);
}

/* Does the user leave it to be trained? Those left out are remembered. */
static bool is_wanted(sn_trace *t, const char *name) {
  if (!t->trainable || sn_pattern_match(t->trainable, name)) return true;
  SN_GROW(t->arena, t->left_out_name, t->left_out, t->left_out_capacity);
  t->left_out_name[t->left_out++] = name;
  return false;
}

/* The parameters to train, by name. trainable: names the pattern had to choose from. */
static int select_params(sn_call *c, sn_val loss, const char *on, const sn_leaf_decl **out, name_list *trainable) {
  const sn_fn *g = c->trace->graph;
  name_list reached = {0};
  int count = 0;
  reach_params(c->trace->arena, g->b.func, 1, &loss, &reached);
  for (int i = 0; i < g->param_count; i++) {
    const sn_leaf_decl *d = g->param[i].decl;
    bool used = false;
    for (int k = 0; k < reached.count && !used; k++) used = !strcmp(reached.at[k], d->name);
    if (!used || g->param[i].frozen || !sn_elem_is_float(d->type->elem)) continue;
    add_name(c->trace->arena, trainable, d->name);
    if (sn_pattern_match(on, d->name) && is_wanted(c->trace, d->name)) out[count++] = d;
  }
  if (count) qsort(out, (size_t)count, sizeof *out, decl_order);
  if (trainable->count) qsort(trainable->at, (size_t)trainable->count, sizeof *trainable->at, text_order);
  return count;
}

/* The start of a name up to as many points as the pattern has before its first '*'. */
static const char *name_start(sn_arena *arena, const char *name, const char *on) {
  int points = 0;
  for (const char *s = on; *s && *s != '*' && *s != '|'; s++) points += *s == '.';
  const char *end = name;
  for (; *end && (*end != '.' || points-- > 1); end++) {}
  return sn_arena_printf(arena, "%.*s", (int)(end - name), name);
}

const char *sn_pattern_near(sn_arena *arena, const char *pattern, int count, const char *const *names) {
  const char **starts = SN_ARRAY(arena, count + 1, const char *);
  for (int i = 0; i < count; i++) starts[i] = name_start(arena, names[i], pattern);
  return sn_nearest(name_start(arena, pattern, pattern), starts, count);
}

static void nothing_selected(sn_call *c, const char *on, const name_list *trainable) {
  const char *found = "no parameter that the loss depends on and that is not frozen";
  if (trainable->count) found = sn_texts(c, "%d names, the first \"%s\"", trainable->count, trainable->at[0]);
  const char *near = sn_pattern_near(c->trace->arena, on, trainable->count, trainable->at);
  if (near) found = sn_texts(c, "%s; did you mean \"%s\"?", found, near);
  sn_mistake(c, sn_texts(c, "\"%s\" to match a trainable parameter", on), found, "no parameter is selected");
}

/* ---- sn_minimize ------------------------------------------------------------------------------------------------- */

typedef struct minimize {
  sn_call *c;
  sn_here here;
  const sn_minimize_args *a;
  int count;
  const sn_leaf_decl **decl;
  sn_t *w, *g;
  sn_t step, every; /* the state "step"; runs per update (number 0: one) */
} minimize;

static sn_t graph_value(const minimize *m, sn_val v) { return (sn_t){.u.id = v, .fn = m->c->fn}; }

static bool take_gradients(minimize *m, sn_val loss) {
  sn_arena *arena = m->c->trace->arena;
  sn_val *arg = SN_ARRAY(arena, m->count + 1, sn_val);
  m->w = SN_ARRAY(arena, m->count, sn_t);
  m->g = SN_ARRAY(arena, m->count, sn_t);
  arg[0] = loss;
  for (int i = 0; i < m->count; i++) {
    arg[i + 1] = sn_graph_leaf(m->c->trace, m->decl[i]);
    m->w[i] = graph_value(m, arg[i + 1]);
  }
  sn_t first = sn_result(m->c, sn_emit(&m->c->fn->b, SN_OP_GRAD, m->count + 1, arg, NULL, NULL));
  if (sn_is_poison(first)) return false;
  for (int i = 0; i < m->count; i++) m->g[i] = graph_value(m, (sn_val)first.u.id + (sn_val)i);
  return true;
}

/* Sums of gradients are states; in the last run of each group they are averaged, applied and cleared. */
static void accumulate(minimize *m) {
  sn_here h = m->here;
  sn_fn *graph = m->c->fn;
  sn_t last_index = sn_x_sub(h, m->every, sn_num(1));
  sn_t last = sn_op2(h, "eq", (sn_arg){sn_x_mod(h, m->step, m->every)}, (sn_arg){last_index});
  for (int i = 0; i < m->count; i++) {
    sn_scope scope = sn_root_scope(m->c->trace, m->decl[i]->name, m->a->m);
    sn_t sum = sn_state_like_at(h, scope, "grad_sum", m->w[i]);
    sn_t total = sn_x_add(h, sum, m->g[i]);
    sn_update_at(h, sum, (sn_arg){sn_x_where(h, last, sn_num(0), total)});
    m->g[i] = sn_x_div(h, total, m->every);
  }
  graph->apply = (sn_val)last.u.id;
  graph->rule_step = sn_op2(h, "floordiv", (sn_arg){m->step}, (sn_arg){m->every});
}

/* Sum of squares of all gradients, in order of name. */
static sn_t square_norm(minimize *m) {
  sn_t total = {0};
  for (int i = 0; i < m->count; i++) {
    sn_t squares = sn_x_square(m->here, m->g[i]);
    sn_call c = sn_call_on(m->here, 1, &squares);
    sn_val v = sn_bring(&c, squares, "");
    sn_t sum = sn_result(&c, sn_reduce_axes(&c, SN_OP_SUM, v, (1u << sn_rank(squares)) - 1));
    total = i ? sn_x_add(m->here, total, sum) : sum;
  }
  return total;
}

static void clip(minimize *m, sn_t norm) {
  sn_here h = m->here;
  sn_t limit = m->a->clip;
  if (sn_is_number(limit) && limit.u.num <= 0) return;
  sn_t over = sn_x_lt(h, limit, norm);
  if (!sn_is_number(limit)) over = sn_x_and(h, over, sn_x_lt(h, sn_num(0), limit));
  sn_t factor = sn_x_where(h, over, sn_x_div(h, limit, norm), sn_num(1));
  for (int i = 0; i < m->count; i++) m->g[i] = sn_x_mul(h, m->g[i], factor);
}

static void guard(minimize *m, sn_t square) {
  sn_fn *graph = m->c->fn;
  sn_t fine = sn_x_and(m->here, sn_op1(m->here, "isfinite", (sn_arg){m->a->loss}),
                       sn_op1(m->here, "isfinite", (sn_arg){square}));
  if (graph->b.func->guard) fine = sn_x_and(m->here, graph_value(m, graph->b.func->guard), fine);
  graph->b.func->guard = (sn_val)fine.u.id;
}

static void add_output(minimize *m, const char *name, sn_t x) {
  const sn_func *f = m->c->fn->b.func;
  for (int i = 0; i < f->output_count; i++) {
    if (!strcmp(f->output[i].name, name)) return;
  }
  sn_output_at(m->here, sn_root_scope(m->c->trace, "", m->a->m), name, (sn_arg){x});
}

static void run_rule(minimize *m) {
  sn_fn *graph = m->c->fn;
  graph->rule_here = m->here;
  for (int i = 0; i < m->count; i++)
    m->a->rule(sn_root_scope(m->c->trace, m->decl[i]->name, m->a->m), m->w[i], m->g[i], m->a->opt);
  graph->rule_here = (sn_here){0};
  graph->apply = 0;
  graph->rule_step = sn_num(0);
  if (!graph->counted) sn_update_at(m->here, m->step, (sn_arg){sn_x_add(m->here, m->step, sn_num(1))});
  graph->counted = true;
}

static bool check_minimize(sn_call *c, const sn_minimize_args *a) {
  const sn_type *t = sn_need(c, a->loss, "loss");
  if (!t) return false;
  if (t->rank || !sn_elem_is_float(t->elem))
    sn_mistake(c, "a real scalar", sn_describe(c, a->loss, sn_spelled(c, 1)), "the loss does not fit");
  else if (c->fn != c->trace->graph)
    sn_mistake(c, "a loss and a scope of the graph", sn_describe(c, a->loss, sn_spelled(c, 1)),
               "training stands inside a layer");
  else if (!a->rule)
    sn_mistake(c, "a rule such as sn_adamw", "nothing", "the rule is missing");
  return !c->poison;
}

void sn_minimize_at(sn_here here, sn_minimize_args a) {
  const sn_t values[3] = {a.loss, a.clip, a.accumulate};
  sn_call c = sn_call_in(here, a.m, 3, values);
  if (!check_minimize(&c, &a)) return;
  sn_val loss = sn_bring(&c, a.loss, sn_spelled(&c, 1));
  const char *on = a.on ? a.on : "*";
  name_list trainable = {0};
  minimize m = {.c = &c, .here = here, .a = &a};
  m.decl = SN_ARRAY(c.trace->arena, c.fn->param_count + 1, const sn_leaf_decl *);
  int left_out = c.trace->left_out;
  m.count = select_params(&c, loss, on, m.decl, &trainable);
  if (!m.count && c.trace->left_out > left_out) { /* another sn_minimize of the graph may train something */
    add_output(&m, "loss", a.loss);
    return;
  }
  if (!m.count) {
    nothing_selected(&c, on, &trainable);
    return;
  }
  c.fn->trains = true;
  if (!take_gradients(&m, loss)) return;
  m.step = sn_root_state(c.trace, here, "step", SN_ELEM_I32);
  bool many = !sn_is_number(a.accumulate) || a.accumulate.u.num > 1;
  m.every = sn_is_number(a.accumulate) ? a.accumulate : sn_x_max(here, a.accumulate, sn_num(1));
  if (many) accumulate(&m);
  sn_t square = square_norm(&m), norm = sn_x_sqrt(here, square);
  clip(&m, norm);
  guard(&m, square);
  run_rule(&m);
  add_output(&m, "loss", a.loss);
  add_output(&m, "grad_norm", norm);
}

sn_t sn_step_count_at(sn_here here, sn_scope m) {
  sn_trace *t = m.fn->trace;
  return t->graph->rule_step.fn ? t->graph->rule_step : sn_root_state(t, here, "step", SN_ELEM_I32);
}

/* ---- stock rules
 * ----------------------------------------------------------------------------------------------------- */

static sn_t or_default(sn_t x, double value) { return sn_is_number(x) && x.u.num == 0 ? sn_num(value) : x; }

static sn_t half_wave(sn_here h, sn_t done) {
  return sn_x_mul(h, sn_num(.5), sn_x_add(h, sn_num(1), sn_x_cos(h, sn_x_mul(h, sn_num(SN_PI), done))));
}

/* lr t / warmup up to update `warmup`; then min_lr + (lr - min_lr) left, left from 1 to 0 at `steps`: (1 + cos(pi
 * done)) / 2 or 1 - done. */
static sn_t scheduled(sn_here h, const sn_adamw_opt *o, sn_t lr, sn_t t) {
  bool warms = !sn_is_number(o->warmup) || o->warmup.u.num > 0, decays = !sn_is_number(o->steps) || o->steps.u.num > 0;
  sn_t now = lr;
  if (decays) {
    sn_t span = sn_x_max(h, sn_x_sub(h, o->steps, o->warmup), sn_num(1));
    sn_t done = sn_x_div(h, sn_x_sub(h, t, o->warmup), span);
    done = sn_x_min(h, sn_x_max(h, done, sn_num(0)), sn_num(1));
    sn_t left = o->linear ? sn_x_sub(h, sn_num(1), done) : half_wave(h, done);
    now = sn_x_add(h, o->min_lr, sn_x_mul(h, sn_x_sub(h, lr, o->min_lr), left));
  }
  if (!warms) return now;
  sn_t ramp = sn_x_mul(h, lr, sn_x_div(h, t, sn_x_max(h, o->warmup, sn_num(1))));
  return sn_x_where(h, sn_x_le(h, t, o->warmup), ramp, now);
}

/* a + (1 - rate) (x - a): a moment that moves towards x. */
static sn_t move(sn_here h, sn_t a, sn_t x, sn_t rate) {
  return sn_x_add(h, sn_x_mul(h, rate, a), sn_x_mul(h, sn_x_sub(h, sn_num(1), rate), x));
}

/* By a factor: a division per element would take longer than its memory. */
static sn_t unbiased(sn_here h, sn_t moment, sn_t rate, sn_t t) {
  sn_t factor = sn_x_div(h, sn_num(1), sn_x_sub(h, sn_num(1), sn_x_pow(h, rate, t)));
  return sn_x_mul(h, moment, factor);
}

void sn_adamw(sn_scope m, sn_t w, sn_t g, const void *opt) {
  static const sn_adamw_opt plain = {0};
  const sn_adamw_opt *o = opt ? opt : &plain;
  sn_here h = m.fn->trace->graph->rule_here;
  sn_t lr = or_default(o->lr, 1e-3), beta1 = or_default(o->beta1, .9), beta2 = or_default(o->beta2, .999);
  sn_t t = sn_x_add(h, sn_step_count_at(h, m), sn_num(1));
  sn_t mean = sn_state_like_at(h, m, "adam_m", w), power = sn_state_like_at(h, m, "adam_v", w);
  sn_t mean1 = sn_update_at(h, mean, (sn_arg){move(h, mean, g, beta1)});
  sn_t power1 = sn_update_at(h, power, (sn_arg){move(h, power, sn_x_square(h, g), beta2)});
  if (!o->no_correction) mean1 = unbiased(h, mean1, beta1, t), power1 = unbiased(h, power1, beta2, t);
  sn_t step = sn_x_div(h, mean1, sn_x_add(h, sn_x_sqrt(h, power1), or_default(o->eps, 1e-8)));
  bool decays = sn_rank(w) > 1 && (!sn_is_number(o->weight_decay) || o->weight_decay.u.num != 0);
  if (decays) step = sn_x_add(h, step, sn_x_mul(h, o->weight_decay, w));
  sn_update_at(h, w, (sn_arg){sn_x_sub(h, w, sn_x_mul(h, scheduled(h, o, lr, t), step))});
}

void sn_sgd(sn_scope m, sn_t w, sn_t g, const void *opt) {
  const sn_sgd_opt *o = opt;
  sn_here h = m.fn->trace->graph->rule_here;
  sn_t lr = or_default(o ? o->lr : sn_num(0), 1e-2);
  sn_update_at(h, w, (sn_arg){sn_x_sub(h, w, sn_x_mul(h, lr, g))});
}
