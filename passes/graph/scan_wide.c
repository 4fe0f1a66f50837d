/* A step of single numbers, mapped along an axis behind t, becomes a step of rows along it:
 *
 *   x [b, t, d] under "btd", step of x []  ->  x [b, t, d / w, w] under "btd", step of x [w]
 *
 * w divides the axis and is at most WIDEST; where it is the whole axis, its letter goes. Every element does what it
 * did; an instance does w of them at once. Terminates: such a step has no single numbers any more. */
#include <string.h>

#include "passes/graph/scan_form.h"
#include "passes/graph/scan_pieces.h"

enum { WIDEST = 64, NARROWEST = 4 };

bool sn_scan_is_pointwise(sn_op op) { /* table */
  switch (op) {
    case SN_OP_SQUARE:
    case SN_OP_RECIPROCAL:
    case SN_OP_SIGMOID:
    case SN_OP_LOGSIGMOID:
    case SN_OP_SOFTPLUS:
    case SN_OP_RELU:
    case SN_OP_LEAKY_RELU:
    case SN_OP_ELU:
    case SN_OP_GELU:
    case SN_OP_GELU_TANH:
    case SN_OP_SILU: return true;
    default: return sn_op_get(op)->cls == SN_CLASS_POINT;
  }
}

/* The only element of a captured tensor, as a number. */
static bool takes_out(const sn_func *step, const sn_node *n) {
  return n->op == SN_OP_RESHAPE && sn_val_type(step, n->arg[0])->rank > 0;
}

/* Is every value a number, made element by element? Captured tensors that nothing reads do no harm. */
static bool is_single(const sn_func *step, int operands) {
  for (int i = 0; i < step->node_count; i++) {
    const sn_node *n = step->node[i];
    bool captured = n->op == SN_OP_ARG && n->attr[0].i >= operands;
    bool number = n->op == SN_OP_CONST || n->op == SN_OP_DIM || n->op == SN_OP_RESHAPE || n->op == SN_OP_ARG;
    if ((n->type[0]->rank && !captured) || takes_out(step, n)) return false;
    if (!number && !sn_scan_is_pointwise(n->op)) return false;
  }
  return true;
}

/* Elements of a row; 0: none is wide enough. */
static int64_t width_of(const sn_dimx *extent) {
  int64_t n;
  if (!sn_dimx_is_const(extent, &n)) n = sn_dimx_divisor(extent);
  for (int64_t w = WIDEST; w >= NARROWEST; w--)
    if (n % w == 0) return w;
  return 0;
}

typedef struct wide {
  sn_build *b;
  const sn_scan_make *s;
  int lead;   /* letters */
  bool drops; /* the letter goes: one row is the axis */
  const sn_dimx *row, *rows;
} wide;

static sn_val split_last(const wide *w, sn_val x) {
  const sn_dimx *dim[SN_RANK_MAX + 1];
  const sn_type *t = sn_g_type(w->b, x);
  if (w->drops) return x;
  for (int i = 0; i < t->rank; i++) dim[i] = t->dim[i];
  dim[t->rank - 1] = w->rows, dim[t->rank] = w->row;
  return sn_g_reshape(w->b, x, t->rank + 1, dim);
}

static sn_val join_last(const wide *w, sn_val x) {
  if (w->drops || w->b->failed) return x;
  const sn_type *t = sn_g_type(w->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i + 1 < t->rank; i++) dim[i] = t->dim[i];
  dim[t->rank - 2] = sn_dimx_mul(w->b->func->module->types, w->rows, w->row);
  return sn_g_reshape(w->b, x, t->rank - 1, dim);
}

/* A number repeated along a row. */
static sn_val as_row(const wide *w, sn_build *x, sn_val v) {
  if (x->failed || sn_g_type(x, v)->rank) return v;
  return sn_g_broadcast(x, v, 1, &w->row, NULL);
}

static void widen_node(const wide *w, sn_build *x, const sn_node *n, sn_val *map) {
  sn_val arg[3] = {0};
  bool any = false;
  x->origin = n->origin;
  for (int k = 0; k < n->arg_count && !x->failed; k++) {
    arg[k] = map[n->arg[k]];
    any |= sn_g_type(x, arg[k])->rank > 0;
  }
  for (int k = 0; k < n->arg_count && any; k++) arg[k] = as_row(w, x, arg[k]);
  if (n->op == SN_OP_RESHAPE)
    map[n->first] = arg[0];
  else
    map[n->first] =
        n->arg_count ? sn_emit(x, n->op, n->arg_count, arg, n->attr, NULL) : sn_func_copy_node(x->func, n, NULL);
}

static const sn_func *wide_step(const wide *w, const sn_scan_make *to) {
  const sn_func *step = w->s->step;
  sn_arena *arena = w->b->func->arena;
  const sn_type **type = SN_ARRAY(arena, to->arg_count, const sn_type *);
  sn_val *in = SN_ARRAY(arena, to->arg_count, sn_val), *map = SN_ARRAY(arena, step->value_count, sn_val);
  for (int i = 0; i < to->arg_count; i++) type[i] = sn_scan_inner_type(w->b, to, i);
  sn_build x = sn_scan_body_begin(w->b, sn_arena_printf(arena, "%s.rows", step->name), to->arg_count, type, in);
  for (int i = 0; i < step->node_count && !x.failed; i++) {
    const sn_node *n = step->node[i];
    if (n->op == SN_OP_ARG)
      map[n->first] = in[n->attr[0].i];
    else
      widen_node(w, &x, n, map);
  }
  for (int i = 0; i < step->result_count && !x.failed; i++) sn_func_return(x.func, as_row(w, &x, map[step->result[i]]));
  return sn_scan_body_end(w->b, &x);
}

bool sn_scan_widen(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  sn_scan_make s = sn_scan_make_of(n, arg), to = s;
  wide w = {.b = b, .s = &s, .lead = (int)strlen(s.axes)};
  sn_types *types = b->func->module->types;
  if (s.axes[w.lead - 1] == 't' || !is_single(s.step, s.states + s.inputs)) return false;
  const sn_dimx *extent = sn_g_type(b, arg[s.states])->dim[w.lead - 1];
  int64_t width = width_of(extent);
  if (!width) return false;
  w.row = sn_dimx_const(types, width);
  w.rows = sn_dimx_exact_div(types, extent, w.row);
  if (!w.rows) return false;
  w.drops = sn_dimx_is_one(w.rows);
  if (!w.drops && w.lead == SN_RANK_MAX) return false;
  sn_val *wider = SN_ARRAY(b->func->arena, s.arg_count, sn_val);
  for (int i = 0; i < s.arg_count; i++) wider[i] = i < s.states + s.inputs ? split_last(&w, arg[i]) : arg[i];
  to.arg = wider;
  if (w.drops) to.axes = sn_arena_printf(b->func->arena, "%.*s", w.lead - 1, s.axes);
  if (b->failed) return true;
  to.step = wide_step(&w, &to);
  sn_val first = sn_scan_emit(b, &to);
  for (int i = 0; i < n->result_count && !b->failed; i++) out[i] = join_last(&w, first + (sn_val)i);
  return true;
}
