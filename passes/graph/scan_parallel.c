/* The associative form of a scan whose step is affine in its states: chunks of the steps are walked side by side.
 *
 *   inputs [b, t, h, ..] -> [b, n, t, h, ..]: n chunks, mapped like the other letters
 *   1. sums: every chunk from states of zero, with the product of the factors f of its steps
 *   2. joins: a scan over the n chunks: the states before each of them, and the last ones
 *   3. walk: the step itself, every chunk from its own first states: the outputs
 *
 * All are scans, so that gradients and kernels are those of scans. The work is three walks instead of one, n times as
 * wide. Factors are carried as F(i, k), the derivative of state i after some steps along state k before them. */
#include <string.h>

#include "passes/graph/scan_affine.h"

typedef struct form {
  sn_build *b;
  const sn_scan_affine *a;
  const sn_scan_make *s;
  sn_scan_cut cut;
  const char *axes; /* with the letter of chunks in front of t */
  sn_val *whole;    /* inputs in chunks */
  int chunk;
  bool recompute;
} form;

static bool reaches(const sn_scan_affine *a, int i, int k) { return a->reach[i] >> k & 1; }

/* The number of F(i, k) among the factors. */
static int factor_of(const sn_scan_affine *a, int state, int first) {
  int n = 0;
  for (int i = 0; i <= state; i++)
    for (int k = 0; k < a->states; k++) {
      if (i == state && k == first) return n;
      n += reaches(a, i, k);
    }
  return n;
}

static sn_types *types_of(const form *f) { return f->b->func->module->types; }

/* ---- derivatives ------------------------------------------------------------------------------------------------- */

/* The derivative of an affine value of the step along states that have the derivatives `of`; 0: none. */
typedef struct tangent {
  sn_build *x;
  const sn_func *step;
  const sn_val *map;
  const sn_val *of; /* by state */
  int states;
  sn_val *known; /* by value id */
} tangent;

static sn_val along(tangent *t, sn_val v);

static sn_val along_node(tangent *t, const sn_node *n) { /* table */
  sn_val d[3] = {0}, arg[3] = {0};
  for (int i = 0; i < n->arg_count && i < 3; i++) {
    d[i] = along(t, n->arg[i]);
    arg[i] = t->map[n->arg[i]];
  }
  sn_val any = d[0] ? d[0] : d[1] ? d[1] : d[2];
  if (!any || t->x->failed) return 0;
  switch (n->op) {
    case SN_OP_ADD: return d[0] && d[1] ? sn_g2(t->x, SN_OP_ADD, d[0], d[1]) : any;
    case SN_OP_SUB:
      if (!d[0]) return sn_g1(t->x, SN_OP_NEG, d[1]);
      return d[1] ? sn_g2(t->x, SN_OP_SUB, d[0], d[1]) : d[0];
    case SN_OP_RESHAPE: return d[0];
    case SN_OP_SELECT:
      for (int i = 1; i < 3; i++) arg[i] = d[i] ? d[i] : sn_g_const_like(t->x, any, 0);
      break;
    default:
      for (int i = 0; i < n->arg_count; i++)
        if (d[i]) arg[i] = d[i];
  }
  return sn_emit(t->x, n->op, n->arg_count, arg, n->attr, NULL);
}

static sn_val along(tangent *t, sn_val v) {
  const sn_node *n = sn_node_of(t->step, v);
  if (n->op == SN_OP_ARG) return n->attr[0].i < t->states ? t->of[n->attr[0].i] : 0;
  if (!t->known[v]) t->known[v] = 1 + along_node(t, n);
  return t->known[v] - 1;
}

/* ---- the three scans --------------------------------------------------------------------------------------------- */

/* Emits a scan over the steps of chunks; with one piece a chunk, where states inside are to be made again. */
static void emit_chunks(form *f, sn_scan_make *s, int outputs, sn_val *out) {
  if (f->recompute && sn_scan_in_pieces(f->b, s, f->chunk, out)) return;
  sn_val first = sn_scan_emit(f->b, s);
  for (int i = 0; i < s->states + outputs; i++) out[i] = first + (sn_val)i;
}

/* A value for each chunk and mapped element: c, or zero. */
static sn_val first_value(form *f, int state, double c) {
  const sn_type *inner = sn_scan_inner_type(f->b, f->s, state);
  const sn_type *x = sn_g_type(f->b, f->whole[0]);
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int n = 0;
  for (int i = 0; f->axes[i]; i++)
    if (f->axes[i] != 't') dim[n++] = x->dim[i];
  for (int i = 0; i < inner->rank; i++) dim[n++] = inner->dim[i];
  return sn_g_const(f->b, sn_type_of(types_of(f), inner->elem, n, dim), c);
}

/* Does the step read operand i on the way to a next state? */
static void mark_read(const sn_func *step, int states, bool *read) {
  for (int i = 0; i < states; i++) read[step->result[i]] = true;
  for (int i = step->node_count; i-- > 0;) {
    const sn_node *n = step->node[i];
    bool on = false;
    for (int r = 0; r < n->result_count; r++) on |= read[n->first + (sn_val)r];
    for (int k = 0; on && k < n->arg_count; k++) read[n->arg[k]] = true;
  }
}

/* s.., F.., x.., captures -> next s.., next F.. */
static const sn_func *sums_step(form *f, int count, const sn_type *const *type, const int *place) {
  const sn_scan_affine *a = f->a;
  sn_arena *arena = f->b->func->arena;
  sn_val *in = SN_ARRAY(arena, count, sn_val), *arg = SN_ARRAY(arena, f->s->arg_count, sn_val);
  sn_val *map = SN_ARRAY(arena, a->step->value_count, sn_val), *factor = SN_ARRAY(arena, a->products, sn_val);
  sn_build x = sn_scan_body_begin(f->b, sn_arena_printf(arena, "%s.sums", a->step->name), count, type, in);
  for (int i = 0; i < f->s->arg_count; i++) arg[i] = place[i] < 0 ? 0 : in[place[i]];
  for (int i = 0; i < f->s->arg_count; i++)
    if (!arg[i]) arg[i] = sn_g_const(&x, sn_scan_inner_type(f->b, f->s, i), 0); /* not read */
  sn_region_copy(&x, a->step, f->s->arg_count, arg, map);
  for (int k = 0; k < a->states; k++) {
    sn_val of[16] = {0};
    for (int i = 0; i < a->states; i++)
      if (reaches(a, i, k)) of[i] = in[a->states + factor_of(a, i, k)];
    tangent t = {&x, a->step, map, of, a->states, SN_ARRAY(arena, a->step->value_count, sn_val)};
    for (int i = 0; i < a->states; i++) {
      if (!reaches(a, i, k)) continue;
      sn_val d = along(&t, a->step->result[i]);
      factor[factor_of(a, i, k)] = d ? d : sn_g_const(&x, sn_scan_inner_type(f->b, f->s, i), 0);
    }
  }
  for (int i = 0; i < a->states && !x.failed; i++) sn_func_return(x.func, map[a->step->result[i]]);
  for (int n = 0; n < a->products && !x.failed; n++) sn_func_return(x.func, factor[n]);
  return sn_scan_body_end(f->b, &x);
}

/* -> sums of each chunk, then factors, [b, n, h, ..] */
static void emit_sums(form *f, sn_val *out) {
  const sn_scan_affine *a = f->a;
  const sn_scan_make *s = f->s;
  sn_arena *arena = f->b->func->arena;
  int most = s->arg_count + a->products + 1, n = 0, inputs = 0;
  sn_val *arg = SN_ARRAY(arena, most, sn_val);
  const sn_type **type = SN_ARRAY(arena, most, const sn_type *);
  int *place = SN_ARRAY(arena, s->arg_count, int);
  bool *read = SN_ARRAY(arena, a->step->value_count, bool), *wanted = SN_ARRAY(arena, s->arg_count, bool);
  mark_read(a->step, a->states, read);
  for (int i = 0; i < a->step->node_count; i++)
    if (a->step->node[i]->op == SN_OP_ARG) wanted[a->step->node[i]->attr[0].i] = read[a->step->node[i]->first];
  for (int i = 0; i < a->states; i++)
    arg[n] = first_value(f, i, 0), type[n] = sn_scan_inner_type(f->b, s, i), place[i] = n++;
  for (int i = 0; i < a->states; i++)
    for (int j = 0; j < a->states; j++)
      if (reaches(a, i, j)) arg[n] = first_value(f, i, i == j), type[n++] = sn_scan_inner_type(f->b, s, i);
  for (int i = a->states; i < s->arg_count; i++) {
    bool input = i < a->states + s->inputs, keep = wanted[i] || (input && !inputs && i + 1 == a->states + s->inputs);
    place[i] = keep ? n : -1;
    if (!keep) continue;
    inputs += input;
    type[n] = sn_scan_inner_type(f->b, s, i);
    arg[n++] = input ? f->whole[i - a->states] : s->arg[i];
  }
  if (f->b->failed) return;
  sn_scan_make sums = {f->axes, a->states + a->products, inputs, n, arg, NULL, s->reverse, false};
  sums.step = sums_step(f, n, type, place);
  emit_chunks(f, &sums, 0, out);
}

/* x; 0 where it is no finite number and `other` is 0. */
static sn_val unless_zero(sn_build *x, sn_val v, sn_val other) {
  sn_val zero = sn_g_const_like(x, v, 0);
  sn_val none = sn_g2(x, SN_OP_EQ, other, sn_g_const_like(x, other, 0));
  return sn_g3(x, SN_OP_SELECT, none, sn_g3(x, SN_OP_SELECT, sn_g1(x, SN_OP_ISFINITE, v), v, zero), v);
}

/* F s. What a chunk forgets is gone, be it infinite; a state of 0 stays 0, be the product F too large for its type. The
 * operands are chosen, not the product, so that the gradient of neither is 0 times infinity. */
static sn_val joined(sn_build *x, sn_val factor, sn_val s) {
  if (x->failed) return 0;
  if (!sn_elem_is_float(sn_g_type(x, s)->elem)) return sn_g2(x, SN_OP_MUL, factor, s);
  return sn_g2(x, SN_OP_MUL, unless_zero(x, factor, s), unless_zero(x, s, factor));
}

/* s.., sums.., F.. -> next s.., s..: s(i) = sum(i) + F(i, k) s(k) */
static const sn_func *joins_step(form *f, int count, const sn_type *const *type) {
  const sn_scan_affine *a = f->a;
  sn_arena *arena = f->b->func->arena;
  sn_val *in = SN_ARRAY(arena, count, sn_val), next[16];
  sn_build x = sn_scan_body_begin(f->b, sn_arena_printf(arena, "%s.joins", a->step->name), count, type, in);
  for (int i = 0; i < a->states; i++) {
    next[i] = in[a->states + i];
    for (int k = 0; k < a->states; k++)
      if (reaches(a, i, k))
        next[i] = sn_g2(&x, SN_OP_ADD, next[i], joined(&x, in[2 * a->states + factor_of(a, i, k)], in[k]));
  }
  for (int i = 0; i < a->states && !x.failed; i++) sn_func_return(x.func, next[i]);
  for (int i = 0; i < a->states && !x.failed; i++) sn_func_return(x.func, in[i]);
  return sn_scan_body_end(f->b, &x);
}

/* -> last states [b, h, ..], then those before each chunk [b, n, h, ..] */
static void emit_joins(form *f, const sn_val *sums, sn_val *out) {
  const sn_scan_affine *a = f->a;
  int count = 2 * a->states + a->products;
  sn_val *arg = SN_ARRAY(f->b->func->arena, count, sn_val);
  const sn_type **type = SN_ARRAY(f->b->func->arena, count, const sn_type *);
  for (int i = 0; i < a->states; i++) arg[i] = f->s->arg[i];
  for (int i = 0; i < a->states + a->products; i++) arg[a->states + i] = sums[i];
  sn_scan_make joins = {f->s->axes, a->states, a->states + a->products, count, arg, NULL, f->s->reverse, false};
  if (f->b->failed) return;
  for (int i = 0; i < count; i++) type[i] = sn_scan_inner_type(f->b, &joins, i);
  joins.step = joins_step(f, count, type);
  sn_val first = sn_scan_emit(f->b, &joins);
  for (int i = 0; i < 2 * a->states; i++) out[i] = first + (sn_val)i;
}

/* -> outputs [b, n, t, h, ..]; the last states of the chunks are not needed */
static void emit_walk(form *f, const sn_func *step, const sn_val *before, sn_val *out) {
  const sn_scan_make *s = f->s;
  sn_val *arg = SN_ARRAY(f->b->func->arena, s->arg_count, sn_val);
  for (int i = 0; i < s->arg_count; i++) {
    bool input = i >= s->states && i < s->states + s->inputs;
    arg[i] = i < s->states ? before[i] : input ? f->whole[i - s->states] : s->arg[i];
  }
  sn_scan_make walk = {f->axes, s->states, s->inputs, s->arg_count, arg, step, s->reverse, false};
  emit_chunks(f, &walk, step->result_count - s->states, out);
}

/* ---- the form ---------------------------------------------------------------------------------------------------- */

/* "bnth": a letter that is not among those of the scan. */
static const char *chunk_axes(sn_arena *arena, const char *axes) {
  char letter = 'a';
  while (strchr(axes, letter)) letter++;
  int at = (int)(strchr(axes, 't') - axes);
  return sn_arena_printf(arena, "%.*s%c%s", at, axes, letter, axes + at);
}

static bool has_room(const sn_build *b, const sn_scan_make *s) {
  int lead = (int)strlen(s->axes);
  if (lead >= SN_RANK_MAX) return false;
  for (int i = 0; i < s->states + s->inputs; i++)
    if (sn_g_type(b, s->arg[i])->rank >= SN_RANK_MAX) return false;
  for (int i = s->states; i < s->step->result_count; i++)
    if (lead + sn_val_type(s->step, s->step->result[i])->rank >= SN_RANK_MAX) return false;
  return true;
}

bool sn_scan_affine_emit(sn_build *b, const sn_scan_affine *a, const sn_scan_make *s, int chunk, bool recompute,
                         sn_val *out) {
  sn_arena *arena = b->func->arena;
  int outputs = s->step->result_count - s->states;
  if (!has_room(b, s)) return false;
  form f = {.b = b, .a = a, .s = s, .cut = sn_scan_cut_of(b, s, chunk), .chunk = chunk, .recompute = recompute};
  f.axes = chunk_axes(arena, s->axes);
  f.whole = SN_ARRAY(arena, s->inputs, sn_val);
  for (int i = 0; i < s->inputs; i++) f.whole[i] = sn_scan_cut_whole(b, &f.cut, s->arg[s->states + i]);
  sn_val *sums = SN_ARRAY(arena, a->states + a->products, sn_val), *joined = SN_ARRAY(arena, 2 * a->states, sn_val);
  sn_val *walked = SN_ARRAY(arena, s->step->result_count, sn_val);
  if (b->failed) return true;
  emit_sums(&f, sums);
  emit_joins(&f, sums, joined);
  const sn_func *step = sn_scan_step_copy(b, s->step, "walk");
  if (b->failed) return true;
  if (outputs) emit_walk(&f, step, joined + a->states, walked);
  sn_scan_make rest = *s;
  rest.step = step;
  sn_scan_cut_finish(b, &f.cut, &rest, outputs, joined, walked + s->states, out);
  return true;
}
