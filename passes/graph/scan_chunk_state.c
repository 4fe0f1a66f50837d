/* What chunks do. With G the product of decays from the start of a chunk, for every step t of it,
 *
 *   S x_t  =  S0 (G x_t)  +  sum over j < t and sources of  z_j (y_j, x_t) w[j+1] .. w[t-1],   z = c p + v,  p = S a
 *
 * p depends on earlier p of its chunk: (I + L) p = S0 (G a) + M v, L = -M c. A chunk takes S0 to
 * S0 diag(all of w) + sum of z' Y.
 *
 *   in turn       a scan over the N chunks, whose step is all of that. Only S0 of each is kept, and made again is what
 *                 gradients need.
 *   side by side  p is S0 U + P: both right sides are solved for all chunks at once, and a scan carries S0 through
 *                 S0 diag(all of w) + S0 (c U)' Y + B. More work, N times as wide. */
#include <string.h>

#include "passes/graph/scan_chunk_state.h"

/* A state while its chunks are built. */
typedef struct chunk {
  sn_chunk_state *s;
  sn_chunks *c;
  sn_val pairs[SN_MATRIX_READS][SN_MATRIX_SOURCES];
  sn_val start; /* S0 of every chunk, [batch.., N, V, K] */
  sn_val u, p;  /* of the low rank */
} chunk;

static sn_types *types_of(const chunk *w) { return w->c->b->func->module->types; }
static const sn_dimx *number(const chunk *w, int64_t n) { return sn_dimx_const(types_of(w), n); }
static sn_val add(sn_build *b, sn_val x, sn_val y) { return !x ? y : !y ? x : sn_g2(b, SN_OP_ADD, x, y); }

/* c times x, row by row */
static sn_val by_number(chunk *w, sn_val c, sn_val x) { return sn_chunks_scale(w->c, x, c); }

static void begin(chunk *w) {
  const sn_matrix *m = w->s->m;
  sn_chunks_begin(w->c);
  for (int r = 0; r < m->read_count; r++)
    for (int i = 0; i < m->source_count; i++) w->pairs[r][i] = sn_chunks_pairs(w->c, w->s->x[r], w->s->y[i]);
}

/* ---- the low rank ----------------------------------------------------------------------------------------------- */

/* L */
static sn_val system_of(chunk *w) {
  sn_build *b = w->c->b;
  const sn_matrix *m = w->s->m;
  sn_val l = 0;
  for (int i = 0; i < m->source_count; i++) {
    sn_val pairs = w->pairs[m->low_rank][i];
    if (!w->s->by[i] || b->failed) continue;
    const sn_type *t = sn_g_type(b, pairs);
    int64_t axes[SN_RANK_MAX];
    for (int k = 0; k < t->rank - 1; k++) axes[k] = k <= w->c->batch ? k : k + 1;
    l = add(b, l, sn_g2(b, SN_OP_MUL, pairs, sn_g_broadcast(b, w->s->by[i], t->rank, t->dim, axes)));
  }
  return b->failed ? 0 : sn_g1(b, SN_OP_NEG, l);
}

/* M v; 0: none */
static sn_val known_of(chunk *w, int read) {
  sn_val sum = 0;
  for (int i = 0; i < w->s->m->source_count; i++)
    if (w->s->z[i]) sum = add(w->c->b, sum, sn_chunks_contract(w->c, "tj,jv->tv", w->pairs[read][i], w->s->z[i]));
  return sum;
}

static sn_val solved(chunk *w, sn_val l, sn_val right) {
  const sn_val arg[2] = {l, right};
  return w->c->b->failed ? 0 : sn_emit(w->c->b, SN_OP_SOLVE, 2, arg, NULL, NULL);
}

static sn_val scaled_read(chunk *w, int read) { return sn_chunks_scale(w->c, w->s->x[read], w->c->from_start); }

/* c p + v */
static sn_val source_with(chunk *w, int i, sn_val p) {
  bool has = w->s->by[i] && p;
  return has ? add(w->c->b, w->s->z[i], by_number(w, w->s->by[i], p)) : w->s->z[i];
}

static void set_sources(chunk *w, sn_val p) {
  w->p = p;
  for (int i = 0; i < w->s->m->source_count; i++) w->s->z[i] = source_with(w, i, p);
}

/* ---- reads and what is added ------------------------------------------------------------------------------------ */

static void read_all(chunk *w) {
  for (int r = 0; r < w->s->m->read_count && !w->c->b->failed; r++) {
    sn_val old = r == w->s->m->low_rank ? 0 : sn_chunks_contract(w->c, "vk,tk->tv", w->start, scaled_read(w, r));
    w->s->read[r] = r == w->s->m->low_rank ? w->p : add(w->c->b, old, known_of(w, r));
  }
}

/* The sum of z' Y, [batch.., N, V, K]; 0: nothing is added */
static sn_val added(chunk *w, sn_val p) {
  sn_val sum = 0;
  for (int i = 0; i < w->s->m->source_count; i++) {
    sn_val z = source_with(w, i, p);
    if (!z) continue;
    sn_val y = sn_chunks_scale(w->c, w->s->y[i], w->c->to_end);
    sum = add(w->c->b, sum, sn_chunks_contract(w->c, "tv,tk->vk", z, y));
  }
  return sum;
}

/* ---- scans over chunks ------------------------------------------------------------------------------------------ */

/* "abt" */
static const char *axes_of(const chunk *w) {
  char axes[SN_RANK_MAX + 1] = {0};
  for (int i = 0; i < w->c->batch; i++) axes[i] = (char)('a' + i);
  axes[w->c->batch] = 't';
  return sn_name(w->c->b->func->module->names, axes);
}

/* The type inside the step of operand i: state, then inputs. */
static const sn_type *inner_type(const chunk *w, sn_val v, int i) {
  const sn_type *t = sn_g_type(w->c->b, v);
  int lead = w->c->batch + (i > 0);
  return sn_type_of(types_of(w), t->elem, t->rank - lead, t->dim + lead);
}

/* -> the first result: the last state */
static sn_val emit_scan(chunk *w, sn_map *own, const sn_func *step, int count, const sn_val *arg) {
  const sn_attr attr[5] = {{.set = true, .s = axes_of(w)},
                           {.set = true, .i = 1},
                           {.set = true, .i = count - 1},
                           {.set = true, .region = step},
                           {.set = false}};
  if (!step) return 0;
  sn_map_put(own, (uint64_t)(uintptr_t)step, (void *)(uintptr_t)step);
  return sn_emit(w->c->b, SN_OP_SCAN, count, arg, attr, NULL);
}

/* ---- side by side ----------------------------------------------------------------------------------------------- */

static sn_val concat_columns(chunk *w, sn_val x, sn_val y) {
  const sn_val part[2] = {x, y};
  return w->c->b->failed ? 0 : sn_g_concat(w->c->b, w->c->batch + 2, 2, part);
}

/* U and P */
static void solve_both(chunk *w) {
  int a = w->s->m->low_rank, axis = w->c->batch + 2;
  sn_val l = system_of(w), known = known_of(w, a), start = scaled_read(w, a);
  sn_val both = solved(w, l, known ? concat_columns(w, start, known) : start);
  if (!both) return;
  w->u = sn_g_slice_axis(w->c->b, both, axis, number(w, 0), w->s->k);
  w->p = known ? sn_g_slice_axis(w->c->b, both, axis, w->s->k, w->s->v) : 0;
}

/* The sum of (c U)' Y, [batch.., N, K, K]: what a chunk changes of S0 besides its decay. */
static sn_val correction(chunk *w) {
  sn_val a = 0;
  for (int i = 0; i < w->s->m->source_count; i++) {
    if (!w->s->by[i]) continue;
    sn_val y = sn_chunks_scale(w->c, w->s->y[i], w->c->to_end);
    a = add(w->c->b, a, sn_chunks_contract(w->c, "td,tk->dk", by_number(w, w->s->by[i], w->u), y));
  }
  return a;
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

static const sn_func *walk_step(chunk *w, int count, const sn_type *const *type, const places *at) {
  sn_val arg[4] = {0};
  sn_build x = sn_scan_body_begin(w->c->b, "chunk", count, type, arg);
  sn_val next = next_state(&x, arg, at);
  if (!x.failed) sn_func_return(x.func, next), sn_func_return(x.func, arg[0]);
  return sn_scan_body_end(w->c->b, &x);
}

/* Walks the chunks: S0 of each, and the last state. */
static void walk(chunk *w, sn_map *own, sn_val first) {
  sn_val low = w->s->m->low_rank >= 0 ? correction(w) : 0, plus = added(w, w->p), arg[4] = {first};
  const sn_type *type[4];
  places at = {0};
  int n = 1;
  if (w->c->all) arg[at.kept = n++] = w->c->all;
  if (low) arg[at.low = n++] = low;
  if (plus) arg[at.plus = n++] = plus;
  if (w->c->b->failed) return;
  if (n == 1) { /* nothing ever changes */
    sn_val like = w->s->x[0] ? w->s->x[0] : first;
    arg[n++] = sn_g_const(w->c->b, sn_g_type(w->c->b, like), 0);
  }
  for (int i = 0; i < n; i++) type[i] = inner_type(w, arg[i], i);
  w->s->end = emit_scan(w, own, walk_step(w, n, type, &at), n, arg);
  w->start = w->s->end ? w->s->end + 1 : 0;
}

void sn_chunks_side_by_side(sn_chunk_state *s, sn_map *own, sn_val first) {
  chunk w = {.s = s, .c = &s->c};
  begin(&w);
  if (s->m->low_rank >= 0) solve_both(&w);
  walk(&w, own, first);
  if (s->m->low_rank >= 0 && !s->c.b->failed)
    set_sources(&w, add(s->c.b, sn_chunks_contract(w.c, "vk,tk->tv", w.start, w.u), w.p));
  read_all(&w);
}

/* ---- in turn ---------------------------------------------------------------------------------------------------- */

enum { MOST_INPUTS = 2 + SN_MATRIX_READS + 3 * SN_MATRIX_SOURCES };

/* Operands of the scan: the state, then every factor once. */
typedef struct operands {
  int count;
  sn_val at[MOST_INPUTS];
} operands;

/* Its number; 0: there is none. */
static int operand_of(operands *o, sn_val v) {
  if (!v) return 0;
  for (int i = 1; i < o->count; i++)
    if (o->at[i] == v) return i;
  o->at[o->count] = v;
  return o->count++;
}

/* [..] as [1, ..], or back: chunks have an axis N. */
static sn_val with_one(sn_build *b, sn_val v, bool back) {
  if (b->failed) return 0;
  const sn_type *t = sn_g_type(b, v);
  const sn_dimx *dim[SN_RANK_MAX + 1] = {sn_dimx_const(b->func->module->types, 1)};
  for (int i = back; i < t->rank; i++) dim[i + 1 - 2 * back] = t->dim[i];
  return sn_g_reshape(b, v, t->rank + 1 - 2 * back, dim);
}

/* S0 diag(all of w) + z' Y, [1, V, K] */
static sn_val next_of(chunk *w) {
  sn_build *b = w->c->b;
  sn_val next = w->start, plus = added(w, 0);
  if (b->failed) return 0;
  const sn_type *t = sn_g_type(b, next);
  const int64_t last[2] = {0, 2};
  if (w->c->all) next = sn_g2(b, SN_OP_MUL, next, sn_g_broadcast(b, w->c->all, 3, t->dim, last));
  return add(b, next, plus);
}

static void one_chunk(chunk *w, sn_val first) {
  int a = w->s->m->low_rank;
  w->start = first;
  begin(w);
  if (a >= 0) {
    sn_val l = system_of(w), start = sn_chunks_contract(w->c, "vk,tk->tv", first, scaled_read(w, a));
    set_sources(w, solved(w, l, add(w->c->b, start, known_of(w, a))));
  }
  read_all(w);
  w->s->end = next_of(w);
}

/* The same state, inside of the step: one chunk. */
static sn_chunk_state inner_state(const sn_chunk_state *s, sn_build *x, operands *o, const sn_val *arg) {
  sn_chunk_state in = *s;
  in.c = (sn_chunks){.b = x, .n = sn_dimx_const(x->func->module->types, 1), .c = s->c.c, .channels = s->c.channels};
  in.c.decay = arg[operand_of(o, s->c.decay)];
  for (int r = 0; r < s->m->read_count; r++) in.x[r] = arg[operand_of(o, s->x[r])];
  for (int i = 0; i < s->m->source_count; i++) {
    in.y[i] = arg[operand_of(o, s->y[i])];
    in.by[i] = arg[operand_of(o, s->by[i])];
    in.z[i] = arg[operand_of(o, s->z[i])];
  }
  return in;
}

static void list_operands(const sn_chunk_state *s, operands *o) {
  (void)operand_of(o, s->c.decay);
  for (int r = 0; r < s->m->read_count; r++) (void)operand_of(o, s->x[r]);
  for (int i = 0; i < s->m->source_count; i++)
    (void)operand_of(o, s->y[i]), (void)operand_of(o, s->by[i]), (void)operand_of(o, s->z[i]);
}

/* state, factors.. -> next state, reads.. */
static const sn_func *turn_step(chunk *w, operands *o) {
  const sn_type *type[MOST_INPUTS];
  sn_val arg[MOST_INPUTS] = {0};
  for (int i = 0; i < o->count; i++) type[i] = inner_type(w, o->at[i], i);
  sn_build x = sn_scan_body_begin(w->c->b, "chunk", o->count, type, arg);
  sn_val first = with_one(&x, arg[0], false);
  for (int i = 1; i < o->count; i++) arg[i] = with_one(&x, arg[i], false);
  arg[0] = 0; /* no operand */
  sn_chunk_state in = inner_state(w->s, &x, o, arg);
  chunk inner = {.s = &in, .c = &in.c};
  one_chunk(&inner, first);
  for (int r = -1; r < in.m->read_count && !x.failed; r++) {
    sn_val v = with_one(&x, r < 0 ? in.end : in.read[r], true);
    if (!x.failed) sn_func_return(x.func, v);
  }
  return sn_scan_body_end(w->c->b, &x);
}

void sn_chunks_in_turn(sn_chunk_state *s, sn_map *own, sn_val first) {
  chunk w = {.s = s, .c = &s->c};
  operands o = {.count = 1, .at = {first}};
  list_operands(s, &o);
  if (s->c.b->failed) return;
  if (o.count == 1) {
    sn_chunks_side_by_side(s, own, first);
    return;
  }
  sn_val v = emit_scan(&w, own, turn_step(&w, &o), o.count, o.at);
  if (!v) return;
  s->end = v;
  for (int r = 0; r < s->m->read_count; r++) s->read[r] = v + 1 + (sn_val)r;
}
