/* Scans in pieces of their steps.
 *
 *   inputs [b, t, h, ..]  ->  [b, n, h, p, ..]: n pieces of p steps, the steps of one side by side
 *   scan over n, mapped along b and h: its step is a scan over p
 *
 * Reverse mode stores what the outer scan carries, one state for each piece; the derivative of its step holds the inner
 * scan again, whose states live as long as one piece is at work. Steps that are left over are a scan behind it. */
#include "passes/graph/scan_pieces.h"

#include <string.h>

enum { LEAST_PIECE = 8, MOST_PIECE = 256, SHORT = 64, LARGE = 4 << 20 };

static sn_types *types_of(const sn_build *b) { return b->func->module->types; }

/* ---- making scans ------------------------------------------------------------------------------------------------ */

sn_scan_make sn_scan_make_of(const sn_node *n, const sn_val *arg) {
  sn_scan_layout l = sn_scan_layout_of(n);
  return (sn_scan_make){.axes = sn_node_attr(n, "axes")->s,
                        .states = l.states,
                        .inputs = l.inputs,
                        .arg_count = n->arg_count,
                        .arg = arg,
                        .step = l.step,
                        .reverse = l.reverse};
}

sn_val sn_scan_emit(sn_build *b, const sn_scan_make *s) {
  const sn_attr attr[5] = {{.set = true, .s = s->axes},
                           {.set = true, .i = s->states},
                           {.set = true, .i = s->inputs},
                           {.set = true, .region = s->step},
                           {.set = s->reverse, .i = s->reverse}};
  sn_val v = b->failed ? 0 : sn_emit(b, SN_OP_SCAN, s->arg_count, s->arg, attr, NULL);
  return v && s->stored ? sn_scan_store_states(b, sn_node_of(b->func, v), s->arg) : v;
}

const sn_type *sn_scan_inner_type(const sn_build *b, const sn_scan_make *s, int i) {
  const sn_type *t = sn_g_type(b, s->arg[i]);
  int lead = (int)strlen(s->axes), skip = i < s->states ? lead - 1 : i < s->states + s->inputs ? lead : 0;
  return sn_type_of(types_of(b), t->elem, t->rank - skip, t->dim + skip);
}

const sn_func *sn_scan_step_copy(sn_build *b, const sn_func *step, const char *what) {
  sn_arena *arena = b->func->arena;
  int count = 0;
  for (int i = 0; i < step->node_count; i++)
    if (step->node[i]->op == SN_OP_ARG && step->node[i]->attr[0].i >= count) count = (int)step->node[i]->attr[0].i + 1;
  sn_val *arg = SN_ARRAY(arena, count + 1, sn_val), *map = SN_ARRAY(arena, step->value_count, sn_val);
  sn_build x = sn_build_begin(
      sn_func_create(b->func->module, sn_arena_printf(arena, "%s.%s", step->name, what), SN_FUNC_BODY), b->diags);
  for (int i = 0; i < step->node_count; i++)
    if (step->node[i]->op == SN_OP_ARG) arg[step->node[i]->attr[0].i] = sn_func_copy_node(x.func, step->node[i], NULL);
  sn_region_copy(&x, step, count, arg, map);
  for (int i = 0; i < step->result_count && !x.failed; i++) sn_func_return(x.func, map[step->result[i]]);
  return sn_scan_body_end(b, &x);
}

/* ---- cutting ----------------------------------------------------------------------------------------------------- */

sn_scan_cut sn_scan_cut_of(const sn_build *b, const sn_scan_make *s, int piece) {
  sn_types *t = types_of(b);
  sn_scan_cut c = {.axis = (int)(strchr(s->axes, 't') - s->axes), .piece = sn_dimx_const(t, piece)};
  c.steps = sn_g_type(b, s->arg[s->states])->dim[c.axis];
  c.count = sn_dimx_floordiv(t, c.steps, c.piece);
  c.whole = sn_dimx_mul(t, c.count, c.piece);
  c.rest = sn_dimx_sub(t, c.steps, c.whole);
  c.whole_at = s->reverse ? c.rest : sn_dimx_const(t, 0);
  c.rest_at = s->reverse ? sn_dimx_const(t, 0) : c.whole;
  return c;
}

static bool is_none(const sn_dimx *d) {
  int64_t n;
  return sn_dimx_is_const(d, &n) && n == 0;
}

sn_val sn_scan_cut_whole(sn_build *b, const sn_scan_cut *c, sn_val x) {
  const sn_dimx *dim[SN_RANK_MAX + 1];
  if (!is_none(c->rest)) x = sn_g_slice_axis(b, x, c->axis, c->whole_at, c->whole);
  if (b->failed) return 0;
  const sn_type *t = sn_g_type(b, x);
  for (int i = 0; i < t->rank; i++) dim[i + (i > c->axis)] = t->dim[i];
  dim[c->axis] = c->count;
  dim[c->axis + 1] = c->piece;
  return sn_g_reshape(b, x, t->rank + 1, dim);
}

sn_val sn_scan_cut_rest(sn_build *b, const sn_scan_cut *c, sn_val x) {
  return sn_g_slice_axis(b, x, c->axis, c->rest_at, c->rest);
}

sn_val sn_scan_cut_join(sn_build *b, const sn_scan_cut *c, sn_val pieces, sn_val rest) {
  const sn_dimx *dim[SN_RANK_MAX];
  if (b->failed) return 0;
  const sn_type *t = sn_g_type(b, pieces);
  for (int i = 0; i + 1 < t->rank; i++) dim[i] = t->dim[i + (i > c->axis)];
  dim[c->axis] = c->whole;
  sn_val part[2] = {sn_g_reshape(b, pieces, t->rank - 1, dim), rest};
  if (!rest) return part[0];
  if (c->rest_at != c->whole) part[1] = part[0], part[0] = rest;
  return sn_g_concat(b, c->axis, 2, part);
}

void sn_scan_cut_finish(sn_build *b, const sn_scan_cut *c, const sn_scan_make *s, int outputs, const sn_val *state,
                        const sn_val *pieces, sn_val *out) {
  sn_val first = 0;
  if (!is_none(c->rest)) {
    sn_val *arg = SN_ARRAY(b->func->arena, s->arg_count, sn_val);
    for (int i = 0; i < s->arg_count; i++) arg[i] = s->arg[i];
    for (int i = 0; i < s->states; i++) arg[i] = state[i];
    for (int i = 0; i < s->inputs; i++) arg[s->states + i] = sn_scan_cut_rest(b, c, s->arg[s->states + i]);
    sn_scan_make rest = *s;
    rest.arg = arg;
    first = sn_scan_emit(b, &rest);
  }
  for (int i = 0; i < s->states; i++) out[i] = first ? first + (sn_val)i : state[i];
  for (int i = 0; i < outputs && !b->failed; i++)
    out[s->states + i] = sn_scan_cut_join(b, c, pieces[i], first ? first + (sn_val)(s->states + i) : 0);
}

/* ---- a scan over pieces ------------------------------------------------------------------------------------------ */

/* [.., n, p, h.., inner..] -> [.., n, h.., p, inner..], or back. */
static sn_val move_piece(sn_build *b, sn_val x, int axis, int lead, bool back) {
  int64_t perm[SN_RANK_MAX];
  if (b->failed) return 0;
  int rank = sn_g_type(b, x)->rank, from = back ? lead : axis + 1, to = back ? axis + 1 : lead;
  if (from == to) return x;
  for (int i = 0, k = 0; i < rank; i++) {
    if (k == from) k++;
    perm[i] = i == to ? from : k++;
  }
  return sn_g_transpose(b, x, perm);
}

/* The step of the outer scan: states.., rows of a piece.., captures -> states.., rows of outputs.. */
static const sn_func *piece_step(sn_build *b, const sn_scan_make *outer, const sn_func *step) {
  sn_arena *arena = b->func->arena;
  const sn_type **type = SN_ARRAY(arena, outer->arg_count, const sn_type *);
  sn_val *arg = SN_ARRAY(arena, outer->arg_count, sn_val);
  for (int i = 0; i < outer->arg_count; i++) type[i] = sn_scan_inner_type(b, outer, i);
  sn_build x = sn_scan_body_begin(b, sn_arena_printf(arena, "%s.pieces", step->name), outer->arg_count, type, arg);
  sn_scan_make inner = *outer;
  inner.axes = "t", inner.arg = arg, inner.step = step, inner.stored = false;
  sn_val first = sn_scan_emit(&x, &inner);
  for (int i = 0; i < step->result_count && !x.failed; i++) sn_func_return(x.func, first + (sn_val)i);
  return sn_scan_body_end(b, &x);
}

static bool has_room(const sn_build *b, const sn_scan_make *s) {
  int lead = (int)strlen(s->axes);
  for (int i = 0; i < s->inputs; i++)
    if (sn_g_type(b, s->arg[s->states + i])->rank >= SN_RANK_MAX) return false;
  for (int i = s->states; i < s->step->result_count; i++)
    if (lead + sn_val_type(s->step, s->step->result[i])->rank >= SN_RANK_MAX) return false;
  return true;
}

bool sn_scan_in_pieces(sn_build *b, const sn_scan_make *s, int piece, sn_val *out) {
  sn_arena *arena = b->func->arena;
  int lead = (int)strlen(s->axes), outputs = s->step->result_count - s->states;
  if (!has_room(b, s)) return false;
  sn_scan_cut c = sn_scan_cut_of(b, s, piece);
  sn_val *arg = SN_ARRAY(arena, s->arg_count, sn_val), *state = SN_ARRAY(arena, s->states + 1, sn_val);
  sn_val *pieces = SN_ARRAY(arena, outputs + 1, sn_val);
  sn_scan_make outer = *s;
  for (int i = 0; i < s->arg_count; i++) arg[i] = s->arg[i];
  for (int i = s->states; i < s->states + s->inputs; i++)
    arg[i] = move_piece(b, sn_scan_cut_whole(b, &c, s->arg[i]), c.axis, lead, false);
  outer.arg = arg;
  if (b->failed) return true;
  outer.step = piece_step(b, &outer, s->step);
  sn_val first = sn_scan_emit(b, &outer);
  for (int i = 0; i < s->states; i++) state[i] = first + (sn_val)i;
  for (int i = 0; i < outputs; i++) pieces[i] = move_piece(b, first + (sn_val)(s->states + i), c.axis, lead, true);
  sn_scan_cut_finish(b, &c, s, outputs, state, pieces, out);
  return true;
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

static int64_t most_steps(const sn_build *b, const sn_scan_make *s) {
  return sn_dimx_max_value(sn_g_type(b, s->arg[s->states])->dim[strchr(s->axes, 't') - s->axes]);
}

int sn_scan_piece_of(const sn_build *b, const sn_scan_make *s) {
  int64_t steps = most_steps(b, s), piece = LEAST_PIECE;
  while (piece < MOST_PIECE && piece * piece < steps) piece *= 2;
  return (int)piece;
}

/* Bytes of one element of the mapped axes; the least, where extents are symbols. */
static double bytes_of(const sn_build *b, const sn_type *t) {
  int64_t n = sn_dimx_min_value(sn_type_count(types_of(b), t));
  return (double)(n < 1 ? 1 : n) * (double)sn_elem_bytes(t->elem);
}

static double state_bytes(const sn_build *b, const sn_scan_make *s) {
  double sum = 0;
  for (int i = 0; i < s->states; i++) sum += bytes_of(b, sn_scan_inner_type(b, s, i));
  return sum;
}

bool sn_scan_states_dominate(const sn_build *b, const sn_scan_make *s) {
  double other = 0;
  for (int i = s->states; i < s->states + s->inputs; i++) other += bytes_of(b, sn_scan_inner_type(b, s, i));
  for (int i = s->states; i < s->step->result_count; i++)
    other += bytes_of(b, sn_val_type(s->step, s->step->result[i]));
  return state_bytes(b, s) > 2 * other;
}

int sn_scan_pieces_wanted(const sn_build *b, const sn_scan_make *s, int forced) {
  if (forced) return most_steps(b, s) > forced ? forced : 0;
  const sn_type *x = sn_g_type(b, s->arg[s->states]);
  double bytes = state_bytes(b, s) * (double)most_steps(b, s);
  for (int i = 0; s->axes[i]; i++)
    if (s->axes[i] != 't' && sn_dimx_min_value(x->dim[i]) > 1) bytes *= (double)sn_dimx_min_value(x->dim[i]);
  if (most_steps(b, s) <= SHORT || bytes < LARGE || !sn_scan_states_dominate(b, s)) return 0;
  return sn_scan_piece_of(b, s);
}
