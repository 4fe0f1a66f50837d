/* The chunked matmul form of a recurrence over a matrix state, as ordinary graph nodes, so that gradients, fusion and
 * backends see nothing new. With G the product of decays from the start of a chunk, for every step t of it,
 *
 *   S x_t  =  S0 (G x_t)  +  sum over j < t and sources of  z_j (y_j, x_t) w[j+1] .. w[t-1],   z = c p + v,  p = S a
 *
 *   1. Factors are made for all steps at once, and laid out as [batch.., N, C, ..]; steps that are missing in the last
 *      chunk change nothing: w = 1, all vectors 0.
 *   2. p depends on earlier p of its chunk: (I + L) p = S0 (G a) + M v, L = -M c. Both right sides are solved at once
 *      for all chunks: p = S0 U + P.
 *   3. A chunk takes S0 to S0 diag(all of w) + S0 (c U)' Y + B. A scan over the N chunks carries S0: these are the only
 *      states that are kept.
 *   4. What is read is made of S0 and z by products; what the step makes of it is made for all steps at once. */
#include <string.h>

#include "passes/graph/scan_lift.h"
#include "passes/graph/scan_pairs.h"

enum { USUAL = 64, LEAST = 16, SHORT = 8 };

typedef struct former {
  sn_scan_try *t;
  sn_build *b;
  sn_scan_step step;
  sn_matrix_plan plan;
  sn_scan_lift lift;
  sn_chunks c;
  const sn_dimx *steps; /* T */
  bool channels, low_rank;
} former;

/* A state in chunks: [batch.., N, C, ..] */
typedef struct state {
  former *f;
  sn_matrix *m;
  int number;
  const sn_dimx *k, *v; /* extents; v is 1 for a vector */
  sn_val x[SN_MATRIX_READS], y[SN_MATRIX_SOURCES], c[SN_MATRIX_SOURCES], z[SN_MATRIX_SOURCES]; /* z: v, then all of z */
  sn_val u, p;                                                                                 /* of the low rank */
  sn_val pairs[SN_MATRIX_READS][SN_MATRIX_SOURCES];
  sn_val start, end; /* S0 of every chunk, [batch.., N, V, K]; the last state */
} state;

static sn_types *types_of(const former *f) { return f->b->func->module->types; }
static const sn_dimx *number(const former *f, int64_t n) { return sn_dimx_const(types_of(f), n); }
static const sn_scan_layout *layout(const former *f) { return &f->step.l; }
static sn_val add(sn_build *b, sn_val x, sn_val y) { return !x ? y : !y ? x : sn_g2(b, SN_OP_ADD, x, y); }

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
  const sn_product_sum *w = &s->m->decay;
  f->c.decay = f->c.from_start = f->c.to_end = f->c.all = 0;
  f->c.channels = false;
  if (is_one(w)) return;
  for (int i = 0; i < w->count; i++) f->c.channels |= w->at[i].label != 0;
  sn_val v = sn_scan_lift_sum(&f->lift, w, f->c.channels ? s->k : NULL);
  if (!w->count) { /* nothing of the state stays */
    const sn_product none = {.coef = 0};
    v = sn_scan_lift_product(&f->lift, &none, NULL);
  }
  f->c.decay = fold(f, v, 1);
  f->channels |= f->c.channels;
  sn_chunks_begin(&f->c);
}

static void read_factors(state *s) {
  former *f = s->f;
  bool matrix = s->m->rank == 2;
  for (int i = 0; i < s->m->read_count; i++) s->x[i] = along(s, &s->m->read[i], s->k);
  for (int i = 0; i < s->m->source_count; i++) {
    const sn_source *from = &s->m->source[i];
    s->y[i] = along(s, &from->y, s->k);
    s->c[i] = from->c.count ? fold(f, sn_scan_lift_sum(&f->lift, &from->c, NULL), 0) : 0;
    if (!from->v.count) continue;
    s->z[i] = fold(f, sn_scan_lift_sum(&f->lift, &from->v, matrix ? s->v : NULL), 0);
    if (!matrix && s->z[i]) s->z[i] = one_more_axis(f, s->z[i]);
  }
}

/* ---- 2. the low rank -------------------------------------------------------------------------------------------- */

static sn_val concat_columns(former *f, sn_val x, sn_val y) {
  const sn_val part[2] = {x, y};
  return f->b->failed ? 0 : sn_g_concat(f->b, f->c.batch + 2, 2, part);
}

static void solve(state *s) {
  former *f = s->f;
  int a = s->m->low_rank;
  sn_val l = 0, known = 0;
  for (int i = 0; i < s->m->source_count; i++) {
    if (s->z[i]) known = add(f->b, known, sn_chunks_contract(&f->c, "tj,jv->tv", s->pairs[a][i], s->z[i]));
    if (!s->c[i] || f->b->failed) continue;
    const sn_type *t = sn_g_type(f->b, s->pairs[a][i]);
    int64_t axes[SN_RANK_MAX];
    for (int k = 0; k < t->rank - 1; k++) axes[k] = k <= f->c.batch ? k : k + 1;
    sn_val by = sn_g_broadcast(f->b, s->c[i], t->rank, t->dim, axes);
    l = add(f->b, l, sn_g2(f->b, SN_OP_MUL, s->pairs[a][i], by));
  }
  sn_val start = sn_chunks_scale(&f->c, s->x[a], f->c.from_start);
  if (f->b->failed) return;
  const sn_val arg[2] = {sn_g1(f->b, SN_OP_NEG, l), known ? concat_columns(f, start, known) : start};
  sn_val both = sn_emit(f->b, SN_OP_SOLVE, 2, arg, NULL, NULL);
  int axis = f->c.batch + 2;
  s->u = sn_g_slice_axis(f->b, both, axis, number(f, 0), s->k);
  s->p = known ? sn_g_slice_axis(f->b, both, axis, s->k, s->v) : 0;
}

/* c times x, row by row */
static sn_val by_number(former *f, sn_val c, sn_val x) { return sn_chunks_scale(&f->c, x, c); }

/* ---- 3. states of chunks ---------------------------------------------------------------------------------------- */

/* The sum of (c U)' Y, [batch.., N, K, K]: what a chunk changes of S0 besides its decay. */
static sn_val correction(state *s) {
  former *f = s->f;
  sn_val a = 0;
  for (int i = 0; i < s->m->source_count; i++) {
    if (!s->c[i]) continue;
    sn_val y = sn_chunks_scale(&f->c, s->y[i], f->c.to_end);
    a = add(f->b, a, sn_chunks_contract(&f->c, "td,tk->dk", by_number(f, s->c[i], s->u), y));
  }
  return a;
}

/* What a chunk adds: sum of z' Y without S0, [batch.., N, V, K] */
static sn_val added(state *s) {
  former *f = s->f;
  sn_val sum = 0;
  for (int i = 0; i < s->m->source_count; i++) {
    sn_val z = s->z[i];
    if (s->c[i] && s->p) z = add(f->b, z, by_number(f, s->c[i], s->p));
    if (!z) continue;
    sn_val y = sn_chunks_scale(&f->c, s->y[i], f->c.to_end);
    sum = add(f->b, sum, sn_chunks_contract(&f->c, "tv,tk->vk", z, y));
  }
  return sum;
}

static sn_val step_arg(sn_build *x, int index, const sn_type *type) {
  const sn_attr at = {.set = true, .i = index};
  return sn_emit(x, SN_OP_ARG, 0, NULL, &at, type);
}

/* What the walk over chunks reads, by argument; 0: nothing. */
typedef struct places {
  int kept, low, plus; /* all of w, (c U)' Y, B */
} places;

/* S all(w) + S (c U)' Y + B. The decay stays out of the product, whose operands may be narrowed at every chunk. */
static sn_val next_state(sn_build *x, const sn_val *arg, const places *at) {
  if (x->failed) return 0;
  sn_val s = arg[0], next = s;
  const sn_type *t = sn_g_type(x, s);
  const int64_t last[1] = {1};
  if (at->kept) next = sn_g2(x, SN_OP_MUL, s, sn_g_broadcast(x, arg[at->kept], 2, t->dim, last));
  if (at->low) next = add(x, next, sn_g_contract(x, sn_name(x->func->module->names, "vd,dk->vk"), s, arg[at->low]));
  return at->plus ? add(x, next, arg[at->plus]) : next;
}

static const sn_func *chunk_step(former *f, int count, const sn_type *const *type, const places *at) {
  sn_build x = sn_build_begin(sn_func_create(f->b->func->module, "chunk", SN_FUNC_BODY), f->b->diags);
  sn_val arg[4] = {0};
  x.origin = f->b->origin;
  for (int i = 0; i < count; i++) arg[i] = step_arg(&x, i, type[i]);
  sn_val next = next_state(&x, arg, at);
  if (x.failed) f->b->failed = x.failed;
  if (f->b->failed) return NULL;
  sn_func_return(x.func, next);
  sn_func_return(x.func, arg[0]);
  sn_func *body = sn_func_finish(x.func);
  sn_map_put(f->t->own, (uint64_t)(uintptr_t)body, body);
  return body;
}

static const sn_type *inner(former *f, sn_val v, int lead) {
  const sn_type *t = sn_g_type(f->b, v);
  return sn_type_of(types_of(f), t->elem, t->rank - lead, t->dim + lead);
}

/* Walks the chunks: S0 of each, and the last state. first [batch.., V, K] */
static void walk(state *s, sn_val first) {
  former *f = s->f;
  sn_val low = s->m->low_rank >= 0 ? correction(s) : 0, plus = added(s), arg[4] = {first};
  const sn_type *type[4];
  char axes[SN_RANK_MAX + 1] = {0};
  places at = {0};
  int n = 1;
  if (f->c.all) arg[at.kept = n++] = f->c.all;
  if (low) arg[at.low = n++] = low;
  if (plus) arg[at.plus = n++] = plus;
  if (f->b->failed) return;
  if (n == 1) { /* nothing ever changes */
    arg[n++] = sn_g_const(f->b, sn_g_type(f->b, s->x[0] ? s->x[0] : first), 0);
  }
  for (int i = 0; i < n; i++) type[i] = inner(f, arg[i], f->c.batch + (i > 0));
  for (int i = 0; i < f->c.batch; i++) axes[i] = (char)('a' + i);
  axes[f->c.batch] = 't';
  const sn_func *step = chunk_step(f, n, type, &at);
  const sn_attr attr[5] = {{.set = true, .s = sn_name(f->b->func->module->names, axes)},
                           {.set = true, .i = 1},
                           {.set = true, .i = n - 1},
                           {.set = true, .region = step},
                           {.set = false}};
  if (!step) return;
  s->end = sn_emit(f->b, SN_OP_SCAN, n, arg, attr, NULL);
  s->start = s->end ? s->end + 1 : 0;
}

/* The state between its own axes and [V, K]. */
static sn_val turn(state *s, sn_val x, bool back) {
  former *f = s->f;
  int batch = f->c.batch;
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t perm[SN_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
  if (f->b->failed) return 0;
  const sn_type *t = sn_g_type(f->b, x);
  if (s->m->rank == 2 && s->m->k_axis == 1) return x;
  if (s->m->rank == 2) {
    perm[batch] = batch + 1, perm[batch + 1] = batch;
    return sn_g_transpose(f->b, x, perm);
  }
  for (int i = 0; i < batch; i++) dim[i] = t->dim[i];
  if (!back) dim[batch] = number(f, 1);
  dim[batch + !back] = s->k;
  return sn_g_reshape(f->b, x, batch + 1 + !back, dim);
}

/* ---- 4. reads --------------------------------------------------------------------------------------------------- */

static void read_all(state *s) {
  former *f = s->f;
  if (s->m->low_rank >= 0) {
    sn_val p = add(f->b, sn_chunks_contract(&f->c, "vk,tk->tv", s->start, s->u), s->p);
    for (int i = 0; i < s->m->source_count; i++)
      if (s->c[i]) s->z[i] = add(f->b, s->z[i], by_number(f, s->c[i], p));
    s->p = p;
  }
  for (int r = 0; r < s->m->read_count && !f->b->failed; r++) {
    sn_val sum = s->p;
    if (r != s->m->low_rank) {
      sum = sn_chunks_contract(&f->c, "vk,tk->tv", s->start, sn_chunks_scale(&f->c, s->x[r], f->c.from_start));
      for (int i = 0; i < s->m->source_count; i++)
        if (s->z[i]) sum = add(f->b, sum, sn_chunks_contract(&f->c, "tj,jv->tv", s->pairs[r][i], s->z[i]));
    }
    f->lift.read[s->number].at[r] = unfold(f, sum, s->m->rank == 2);
  }
}

static bool chunk_state(former *f, int i) {
  state s = {.f = f, .m = &f->plan.state[i], .number = i};
  const sn_type *t = sn_val_type(f->step.f, f->step.f->result[i]);
  s.k = t->dim[s.m->k_axis];
  s.v = s.m->rank == 2 ? t->dim[1 - s.m->k_axis] : number(f, 1);
  read_decay(&s);
  read_factors(&s);
  if (f->step.why || f->b->failed) return false;
  for (int r = 0; r < s.m->read_count; r++)
    for (int u = 0; u < s.m->source_count; u++) s.pairs[r][u] = sn_chunks_pairs(&f->c, s.x[r], s.y[u]);
  if (s.m->low_rank >= 0) solve(&s);
  f->low_rank |= s.m->low_rank >= 0;
  walk(&s, turn(&s, f->t->arg[i], false));
  if (f->b->failed) return false;
  read_all(&s);
  f->t->out[i] = turn(&s, s.end, true);
  return !f->b->failed;
}

/* ---- the form --------------------------------------------------------------------------------------------------- */

/* C: as asked; else USUAL, less for short sequences. 0: too short. */
static int steps_of_chunk(const former *f) {
  int64_t most = sn_dimx_max_value(f->steps);
  if (f->t->chunk) return f->t->chunk;
  if (most < SHORT && f->t->env->scan == SN_SCAN_AUTO) return 0;
  int c = LEAST;
  while (c < USUAL && c < most) c *= 2;
  return c;
}

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

const char *sn_scan_chunked(sn_scan_try *t) {
  sn_scan_layout l = sn_scan_layout_of(t->node);
  former f = {.t = t, .b = t->b, .steps = sn_g_type(t->b, t->arg[l.states])->dim[l.time]};
  if (!sn_scan_step_read(t->env->arena, &l, &f.step) || !sn_matrix_plan_make(&f.step, &f.plan)) return f.step.why;
  int c = steps_of_chunk(&f);
  if (!c) return "there are few steps";
  if (l.lead + 4 > SN_RANK_MAX) return "the state is mapped along too many axes";
  f.c = (sn_chunks){.b = t->b, .batch = l.lead - 1, .c = c};
  f.c.n = sn_dimx_ceildiv(types_of(&f), f.steps, number(&f, c));
  f.lift = sn_scan_lift_begin(t->b, &f.plan, t->node, t->arg);
  const char *why = built(&f);
  t->done = sn_arena_printf(t->env->arena, "%d steps a chunk, of which one state is kept%s%s", c,
                            f.channels ? "; decay by channel" : "", f.low_rank ? "; low rank solved in the chunk" : "");
  return why;
}
