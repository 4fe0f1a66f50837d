/* The chunked matmul form of a recurrence over a matrix state, as ordinary graph nodes, so that gradients, fusion and
 * backends see nothing new.
 *
 *   1. Factors are made for all steps at once, and laid out as [batch.., N, C, ..]; steps that are missing in the last
 *      chunk change nothing: w = 1, all vectors 0.
 *   2. Chunks take the state through all steps, and read it by products (scan_chunk_state.c). The states before each
 *      chunk are the only ones that are kept.
 *   3. What the step makes of what was read is made for all steps at once. */
#include <string.h>

#include "passes/graph/scan_chunk_state.h"
#include "passes/graph/scan_cost.h"
#include "passes/graph/scan_lift.h"

/* DERIVED: a walk whose gradient takes four times as long, that of chunks three, and half as much again for states. */
enum { USUAL = 64, LEAST = 16, SHORT = 8, FEW_STATES = 4, FEW_CHUNKS = 4, DERIVED = 2 };

typedef struct former {
  sn_scan_try *t;
  sn_build *b;
  sn_scan_step step;
  sn_matrix_plan plan;
  sn_scan_lift lift;
  sn_chunks c;
  const sn_dimx *steps; /* T */
  bool derived, in_turn, channels, low_rank;
  double share; /* of the predicted cost of a walk; 0: not known */
} former;

typedef struct state {
  former *f;
  sn_chunk_state of;
} state;

static sn_types *types_of(const former *f) { return f->b->func->module->types; }
static const sn_dimx *number(const former *f, int64_t n) { return sn_dimx_const(types_of(f), n); }
static const sn_scan_layout *layout(const former *f) { return &f->step.l; }

/* ---- 1. layout -------------------------------------------------------------------------------------------------- */

static sn_val flipped(former *f, sn_val x, int axis) {
  const sn_attr at = {.set = true, .i = axis};
  return layout(f)->reverse ? sn_emit(f->b, SN_OP_FLIP, 1, &x, &at, NULL) : x;
}

/* [lead.., ..] -> [batch.., N, C, ..] */
static sn_val fold(former *f, sn_val x, double missing) {
  if (!x || f->b->failed) return 0;
  int lead = layout(f)->lead, time = layout(f)->time, n = 0;
  const sn_dimx *all = sn_dimx_mul(types_of(f), f->c.n, number(f, f->c.c)), *dim[2 * SN_RANK_MAX];
  int64_t perm[2 * SN_RANK_MAX];
  x = flipped(f, x, time);
  if (f->b->failed) return 0;
  const sn_type *t = sn_g_type(f->b, x);
  if (all != f->steps) {
    for (int i = 0; i < t->rank; i++) dim[i] = i == time ? sn_dimx_sub(types_of(f), all, f->steps) : t->dim[i];
    const sn_val part[2] = {x, sn_g_const(f->b, sn_type_of(types_of(f), t->elem, t->rank, dim), missing)};
    x = sn_g_concat(f->b, time, 2, part);
  }
  for (int i = 0; i < lead; i++)
    if (i != time) perm[n++] = i;
  perm[n++] = time;
  for (int i = lead; i < t->rank; i++) perm[n++] = i;
  x = sn_g_transpose(f->b, x, perm);
  if (f->b->failed) return 0;
  t = sn_g_type(f->b, x);
  for (int i = 0, k = 0; i < t->rank; i++) {
    if (i != lead - 1) {
      dim[k++] = t->dim[i];
      continue;
    }
    dim[k++] = f->c.n;
    dim[k++] = number(f, f->c.c);
  }
  return sn_g_reshape(f->b, x, t->rank + 1, dim);
}

/* [batch.., N, C, V] -> [lead.., V], or [lead..] */
static sn_val unfold(former *f, sn_val x, bool vector) {
  if (!x || f->b->failed) return 0;
  int lead = layout(f)->lead, time = layout(f)->time, n = 0;
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t perm[SN_RANK_MAX];
  const sn_type *t = sn_g_type(f->b, x);
  for (int i = 0; i < f->c.batch; i++) dim[n++] = t->dim[i];
  dim[n++] = sn_dimx_mul(types_of(f), f->c.n, number(f, f->c.c));
  if (vector) dim[n++] = t->dim[t->rank - 1];
  x = sn_g_reshape(f->b, x, n, dim);
  x = sn_g_slice_axis(f->b, x, lead - 1, number(f, 0), f->steps);
  for (int i = 0, k = 0; i < n; i++) perm[i] = i >= lead ? i : i == time ? lead - 1 : k++;
  return flipped(f, sn_g_transpose(f->b, x, perm), time);
}

static sn_val along(state *s, const sn_product *p, const sn_dimx *extent) {
  return fold(s->f, sn_scan_lift_product(&s->f->lift, p, extent), 0);
}

static sn_val one_more_axis(former *f, sn_val x) {
  const sn_type *t = f->b->failed ? NULL : sn_g_type(f->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; t && i < t->rank; i++) dim[i] = t->dim[i];
  if (t) dim[t->rank] = number(f, 1);
  return t ? sn_g_reshape(f->b, x, t->rank + 1, dim) : 0;
}

static bool is_one(const sn_product_sum *w) { return w->count == 1 && !w->at[0].count && w->at[0].coef == 1; }

static void read_decay(state *s) {
  former *f = s->f;
  sn_chunks *c = &s->of.c;
  const sn_product_sum *w = &s->of.m->decay;
  if (is_one(w)) return;
  for (int i = 0; i < w->count; i++) c->channels |= w->at[i].label != 0;
  sn_val v = sn_scan_lift_sum(&f->lift, w, c->channels ? s->of.k : NULL);
  if (!w->count) { /* nothing of the state stays */
    const sn_product none = {.coef = 0};
    v = sn_scan_lift_product(&f->lift, &none, NULL);
  }
  c->decay = fold(f, v, 1);
  f->channels |= c->channels;
}

static void read_factors(state *s) {
  former *f = s->f;
  sn_chunk_state *of = &s->of;
  bool matrix = of->m->rank == 2;
  for (int i = 0; i < of->m->read_count; i++) of->x[i] = along(s, &of->m->read[i], of->k);
  for (int i = 0; i < of->m->source_count; i++) {
    const sn_source *from = &of->m->source[i];
    of->y[i] = along(s, &from->y, of->k);
    of->by[i] = from->c.count ? fold(f, sn_scan_lift_sum(&f->lift, &from->c, NULL), 0) : 0;
    if (!from->v.count) continue;
    of->z[i] = fold(f, sn_scan_lift_sum(&f->lift, &from->v, matrix ? of->v : NULL), 0);
    if (!matrix && of->z[i]) of->z[i] = one_more_axis(f, of->z[i]);
  }
}

/* ---- 2. chunks --------------------------------------------------------------------------------------------------- */

/* The state between its own axes and [V, K]. */
static sn_val turn(state *s, sn_val x, bool back) {
  former *f = s->f;
  int batch = f->c.batch;
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t perm[SN_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
  if (f->b->failed) return 0;
  const sn_type *t = sn_g_type(f->b, x);
  if (s->of.m->rank == 2 && s->of.m->k_axis == 1) return x;
  if (s->of.m->rank == 2) {
    perm[batch] = batch + 1, perm[batch + 1] = batch;
    return sn_g_transpose(f->b, x, perm);
  }
  for (int i = 0; i < batch; i++) dim[i] = t->dim[i];
  if (!back) dim[batch] = number(f, 1);
  dim[batch + !back] = s->of.k;
  return sn_g_reshape(f->b, x, batch + 1 + !back, dim);
}

static bool chunk_state(former *f, int i) {
  state s = {.f = f, .of = {.c = f->c, .m = &f->plan.state[i]}};
  const sn_matrix *m = s.of.m;
  const sn_type *t = sn_val_type(f->step.f, f->step.f->result[i]);
  s.of.k = t->dim[m->k_axis];
  s.of.v = m->rank == 2 ? t->dim[1 - m->k_axis] : number(f, 1);
  read_decay(&s);
  read_factors(&s);
  if (f->step.why || f->b->failed) return false;
  f->low_rank |= m->low_rank >= 0;
  (f->in_turn ? sn_chunks_in_turn : sn_chunks_side_by_side)(&s.of, f->t->own, turn(&s, f->t->arg[i], false));
  if (f->b->failed) return false;
  for (int r = 0; r < m->read_count; r++) f->lift.read[i].at[r] = unfold(f, s.of.read[r], m->rank == 2);
  f->t->out[i] = turn(&s, s.of.end, true);
  return !f->b->failed;
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

/* Few cores have work enough where a state or two each are walked, chunk by chunk. */
static bool in_turn(const sn_scan_try *t, const sn_scan_layout *l) {
  const sn_target *target = t->env->target;
  if (!target || target->instances > 1 || sn_scan_instances(t, l) < FEW_STATES) return false;
  return !sn_rule_listed(t->env->disabled, "scan.in_turn") && sn_rule_enabled(t->env, "scan.in_turn");
}

/* Of a walk; 0: not known. Side by side chunks are more work, on more cores. Devices that want many instances have
 * their own measure: a walk keeps few of them busy, and all wait at every step. */
static double share_of(const former *f, int c) {
  const sn_target *target = f->t->env->target;
  double walk = sn_scan_walk_cost(&f->plan), chunks = sn_scan_chunk_cost(&f->plan, c, f->derived);
  if (!target || target->instances > 1 || !walk) return 0;
  return chunks / walk;
}

/* Steps of a chunk: as asked; else those that are predicted to cost least. Short sequences have smaller chunks: side by
 * side there shall be some, and decays by channel take kernels for every halving. */
static int steps_of_chunk(const former *f) {
  int64_t most = sn_dimx_max_value(f->steps);
  if (f->t->chunk) return f->t->chunk;
  int best = LEAST, usual = USUAL;
  for (int c = LEAST; f->in_turn && c <= USUAL; c *= 2)
    if (share_of(f, c) < share_of(f, best)) best = c;
  if (f->in_turn && share_of(f, best)) usual = best;
  int c = LEAST;
  while (c < usual && (f->in_turn ? c : FEW_CHUNKS * c) < most) c *= 2;
  return c;
}

/* Why the walk is better; NULL: it is not. Its gradient takes longer, and keeps the states of all steps. */
static const char *walk_is_better(former *f) {
  double least = f->derived ? DERIVED : 1;
  if (f->t->env->scan != SN_SCAN_AUTO) return NULL;
  if (sn_dimx_max_value(f->steps) < SHORT) return "there are few steps";
  if (f->share <= least) return NULL;
  return sn_arena_printf(f->t->env->arena,
                         "though the step has the form: chunks of %d steps are predicted at %.1f times the walk",
                         f->c.c, f->share);
}

/* ---- the form --------------------------------------------------------------------------------------------------- */

/* A state that shifts ends as what the last step made of it. */
static sn_val last_of(former *f, int i) {
  int time = layout(f)->time, n = 0;
  sn_val v = sn_scan_lift_value(&f->lift, f->step.f->result[i]);
  if (!v || f->b->failed) return 0;
  const sn_type *t = sn_g_type(f->b, v);
  if (sn_dimx_min_value(f->steps) < 1) return f->step.why = "there may be no step", 0;
  const sn_dimx *one = number(f, 1), *dim[SN_RANK_MAX];
  const sn_dimx *at = layout(f)->reverse ? number(f, 0) : sn_dimx_sub(types_of(f), f->steps, one);
  v = sn_g_slice_axis(f->b, v, time, at, one);
  for (int k = 0; k < t->rank; k++)
    if (k != time) dim[n++] = t->dim[k];
  return sn_g_reshape(f->b, v, n, dim);
}

static bool build(former *f) {
  const sn_scan_layout *l = layout(f);
  sn_origin origin = f->b->origin;
  for (int i = 0; i < l->states; i++) {
    bool fine = f->step.shifts[i] ? (f->t->out[i] = last_of(f, i)) != 0 : chunk_state(f, i);
    if (!fine) return false;
  }
  for (int r = l->states; r < f->step.f->result_count; r++) {
    f->t->out[r] = sn_scan_lift_value(&f->lift, f->step.f->result[r]);
    if (!f->t->out[r]) return false;
  }
  f->b->origin = origin;
  return !f->b->failed;
}

/* Nodes that cannot be made, of too many axes say, are a reason and no mistake of the user. Where nothing was said of
 * it, a product has too many axes. */
static const char *built(former *f) {
  const sn_diags *d = f->b->diags;
  int before = d->count;
  bool made = build(f);
  if (!f->b->failed) return made ? NULL : f->step.why ? f->step.why : "a value of the step cannot be made";
  const char *said = d->count > before ? d->at[before].message : "its nodes have too many axes";
  f->b->failed = SN_OK;
  f->b->diags->count = before;
  return sn_arena_printf(f->t->env->arena, "%s", said);
}

static const char *description(const former *f) {
  sn_text t = sn_text_begin(f->t->env->arena);
  int matrices = 0;
  for (int i = 0; i < layout(f)->states; i++) matrices += !f->step.shifts[i];
  sn_text_add(&t, "%d steps a chunk, of which one state is kept", f->c.c);
  if (f->in_turn) sn_text_add(&t, "; in turn, in one kernel%s", matrices > 1 ? " a state" : "");
  if (f->channels) sn_text_add(&t, "; decay by channel");
  if (f->low_rank) sn_text_add(&t, "; low rank solved in the chunk");
  if (f->share) sn_text_add(&t, "; predicted at %.2f of a walk", f->share);
  return t.at;
}

const char *sn_scan_chunked(sn_scan_try *t) {
  sn_scan_layout l = sn_scan_layout_of(t->node);
  former f = {.t = t, .b = t->b, .steps = sn_g_type(t->b, t->arg[l.states])->dim[l.time]};
  if (!sn_scan_step_read(t->env->arena, &l, &f.step) || !sn_matrix_plan_make(&f.step, &f.plan)) return f.step.why;
  if (l.lead + 4 > SN_RANK_MAX) return "the state is mapped along too many axes";
  f.in_turn = in_turn(t, &l), f.derived = sn_scan_is_derived(t->b);
  f.c = (sn_chunks){.b = t->b, .batch = l.lead - 1, .c = steps_of_chunk(&f)};
  f.c.n = sn_dimx_ceildiv(types_of(&f), f.steps, number(&f, f.c.c));
  f.share = share_of(&f, f.c.c);
  const char *why = walk_is_better(&f);
  if (why) return why;
  f.lift = sn_scan_lift_begin(t->b, &f.plan, t->node, t->arg);
  why = built(&f);
  t->done = description(&f);
  return why;
}
