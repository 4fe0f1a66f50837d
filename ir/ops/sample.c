/* Draws random valid uses of every op: operand types, attributes, and domains of values. */
#include "ir/ops/sample.h"

#include <stdio.h>
#include <string.h>

#include "ir/ops/sample_draw.h"
#include "ir/ops/sample_region.h"

/* ---- elementwise ---- */

static void draw_unary(draw *d) {
  const sn_type *t = any_shape(d, d->real, 0);
  switch (d->op) {
    case SN_OP_LOG:
    case SN_OP_LOG2:
    case SN_OP_SQRT:
    case SN_OP_RSQRT: arg(d, t, 0.2, 4, 0); break;
    case SN_OP_LOG1P: arg(d, t, -0.8, 3, 0); break;
    case SN_OP_RECIPROCAL: arg(d, t, -2, 2, 0.3); break;
    case SN_OP_ABS:
    case SN_OP_SIGN:
    case SN_OP_RELU: arg(d, t, -2, 2, 0.01); break;
    case SN_OP_NOT:
      if (!d->s->elem) t = with_elem(d, t, below(d, 2) ? SN_ELEM_BOOL : SN_ELEM_I32);
      arg(d, t, 0, 2, 0);
      break;
    case SN_OP_POPCOUNT: arg(d, d->s->elem ? t : with_elem(d, t, SN_ELEM_I32), -100, 100, 0); break;
    case SN_OP_LEAKY_RELU:
    case SN_OP_ELU:
      attr(d, d->op == SN_OP_ELU ? "alpha" : "slope")->f = 0.125;
      arg(d, t, -2, 2, 0.01);
      break;
    default: float_arg(d, t); break;
  }
}

static void draw_cast(draw *d) {
  static const sn_elem to[] = {SN_ELEM_F32,    SN_ELEM_F64, SN_ELEM_BF16, SN_ELEM_F16, SN_ELEM_F8E4M3,
                               SN_ELEM_F8E5M2, SN_ELEM_I32, SN_ELEM_I8,   SN_ELEM_BOOL};
  static const sn_elem to_wide[] = {SN_ELEM_F64, SN_ELEM_F64};
  bool exact = d->real == SN_ELEM_F64; /* roundings hide derivatives */
  if (d->s->elem) exact = false;
  attr(d, "to")->i = exact ? to_wide[below(d, 2)] : to[below(d, 9)];
  float_arg(d, any_shape(d, d->real, 0));
}

static bool is_logic(sn_op op) { return op == SN_OP_AND || op == SN_OP_OR || op == SN_OP_XOR; }
static bool is_shift(sn_op op) { return op == SN_OP_SHL || op == SN_OP_SHR; }

/* bool for logic, i32 for what needs integers and now and then for the rest. */
static sn_elem binary_elem(draw *d) {
  if (d->s->elem) return d->s->elem;
  if (is_logic(d->op)) return SN_ELEM_BOOL;
  if (d->op == SN_OP_MOD || is_shift(d->op)) return SN_ELEM_I32;
  return d->op != SN_OP_POW && below(d, 4) == 0 ? SN_ELEM_I32 : d->real;
}

static void draw_binary(draw *d) {
  const sn_type *t = any_shape(d, d->real, 0);
  t = with_elem(d, t, binary_elem(d));
  bool divides = d->op == SN_OP_MOD || d->op == SN_OP_DIV;
  if (is_logic(d->op)) {
    arg(d, t, 0, 2, 0);
    arg(d, t, 0, 2, 0);
  } else if (!sn_elem_is_float(t->elem)) {
    arg(d, t, -20, 20, 0);
    arg(d, t, divides ? 1 : is_shift(d->op) ? -1 : -20, is_shift(d->op) ? 40 : 20, 0);
  } else {
    arg(d, t, d->op == SN_OP_POW ? 0.2 : -2, 3, 0);
    arg(d, t, -2, 2, d->op == SN_OP_DIV ? 0.3 : 0);
  }
}

static void draw_select(draw *d) {
  const sn_type *t = any_shape(d, d->real, 0);
  arg(d, with_elem(d, t, SN_ELEM_BOOL), 0, 2, 0);
  float_arg(d, t);
  float_arg(d, t);
}

/* ---- leaves ---- */

static void draw_leaf(draw *d) {
  const sn_type *t = any_shape(d, d->real, d->op == SN_OP_IOTA);
  if (d->op == SN_OP_DIM) {
    attr(d, "dim")->d = extent(d);
    t = sn_type_scalar(d->m->types, SN_ELEM_I32);
  } else if (d->op == SN_OP_IOTA) {
    attr(d, "axis")->i = below(d, t->rank);
    if (!d->s->elem) t = with_elem(d, t, SN_ELEM_I32);
  } else if (d->op == SN_OP_CONST) {
    attr(d, "value")->f = sn_rng_f64(d->rng) * 4 - 2;
  } else if (d->op == SN_OP_ARG) {
    attr(d, "index")->i = 0;
  } else {
    attr(d, "name")->s = "leaf";
    if (d->op != SN_OP_INPUT) attr(d, "init")->s = "zeros";
  }
  d->s->leaf = t;
}

/* ---- views ---- */

static void draw_reshape(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  const sn_dimx *dim[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < t->rank; i++) { /* axes are merged, or an axis of 1 is put in */
    if (n && below(d, 2)) {
      dim[n - 1] = sn_dimx_mul(d->m->types, dim[n - 1], t->dim[i]);
    } else {
      if (below(d, 3) == 0) dim[n++] = number(d, 1);
      dim[n++] = t->dim[i];
    }
  }
  set_dims(d, "shape", n, dim);
  float_arg(d, t);
}

static void draw_transpose(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  int64_t perm[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) perm[i] = i;
  for (int i = t->rank - 1; i > 0; i--) {
    int64_t k = below(d, i + 1), p = perm[i];
    perm[i] = perm[k];
    perm[k] = p;
  }
  set_ints(d, "perm", t->rank, perm);
  float_arg(d, t);
}

static void draw_broadcast(draw *d) {
  const sn_type *t = shaped(d, d->real, 1 + (int)below(d, 3));
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t axes[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < t->rank; i++) {
    dim[i] = t->dim[i];
    if (below(d, 2)) continue;
    axes[n] = i;
    dim[n++] = below(d, 3) ? t->dim[i] : number(d, 1);
  }
  set_dims(d, "shape", t->rank, t->dim);
  set_ints(d, "axes", n, axes);
  float_arg(d, sn_type_of(d->m->types, d->real, n, dim));
}

static void draw_slice(draw *d) {
  const sn_dimx *dim[SN_RANK_MAX], *start[SN_RANK_MAX], *shape[SN_RANK_MAX];
  int rank = 1 + (int)below(d, 3);
  for (int i = 0; i < rank; i++) { /* extent = start + shape + rest */
    shape[i] = extent(d);
    start[i] = number(d, below(d, 3));
    dim[i] = sn_dimx_add(d->m->types, sn_dimx_add(d->m->types, shape[i], start[i]), number(d, below(d, 3)));
  }
  set_dims(d, "start", rank, start);
  set_dims(d, "shape", rank, shape);
  float_arg(d, sn_type_of(d->m->types, d->real, rank, dim));
}

static void draw_concat(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  int64_t axis = below(d, t->rank), count = 1 + below(d, 3);
  attr(d, "axis")->i = axis;
  for (int64_t k = 0; k < count; k++) {
    const sn_dimx *dim[SN_RANK_MAX];
    for (int i = 0; i < t->rank; i++) dim[i] = i == axis ? extent(d) : t->dim[i];
    float_arg(d, sn_type_of(d->m->types, d->real, t->rank, dim));
  }
}

static void draw_pad(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  const sn_dimx *before[SN_RANK_MAX], *after[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) before[i] = number(d, below(d, 3)), after[i] = number(d, below(d, 3));
  set_dims(d, "before", t->rank, before);
  set_dims(d, "after", t->rank, after);
  bool negative = d->real != SN_ELEM_U8 && d->real != SN_ELEM_BOOL;
  attr(d, "value")->f = (double)below(d, 2 + negative) - negative;
  float_arg(d, t);
}

/* ---- reductions, contraction ---- */

static void draw_reduce(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  int64_t axes[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < t->rank; i++)
    if (below(d, 2)) axes[n++] = i;
  if (n == 0) axes[n++] = 0;
  bool logic = (d->op == SN_OP_ANY || d->op == SN_OP_ALL) && !d->s->elem;
  if (d->op == SN_OP_ARGMAX || d->op == SN_OP_ARGMIN)
    attr(d, "axis")->i = axes[0];
  else
    set_ints(d, "axes", n, axes);
  if (logic)
    arg(d, with_elem(d, t, SN_ELEM_BOOL), 0, 2, 0);
  else
    float_arg(d, t);
}

/* Each of up to five letters is batch, of one operand only, or summed. */
static void draw_contract(draw *d) {
  char a[SN_RANK_MAX + 1] = "", b[SN_RANK_MAX + 1] = "", out[SN_RANK_MAX + 1] = "";
  const sn_dimx *da[SN_RANK_MAX], *db[SN_RANK_MAX];
  int na = 0, nb = 0, no = 0, letters = 1 + (int)below(d, 5);
  for (int i = 0; i < letters; i++) {
    int64_t kind = below(d, 4); /* 0 batch, 1 left, 2 right, 3 summed */
    const sn_dimx *n = extent(d);
    char c = (char)('a' + i);
    if (kind != 2) da[na] = n, a[na++] = c;
    if (kind != 1) db[nb] = n, b[nb++] = c;
    if (kind != 3) out[no++] = c;
  }
  for (int i = no - 1; i > 0; i--) {
    int64_t k = below(d, i + 1);
    char c = out[i];
    out[i] = out[k];
    out[k] = c;
  }
  attr(d, "spec")->s = sn_name(d->m->names, sn_arena_printf(d->m->arena, "%s,%s->%s", a, b, out));
  bool narrow = d->real == SN_ELEM_BF16 || d->real == SN_ELEM_F16;
  if (narrow && below(d, 2)) *attr(d, "to") = (sn_attr){.set = true, .i = SN_ELEM_F32};
  float_arg(d, sn_type_of(d->m->types, d->real, na, da));
  float_arg(d, sn_type_of(d->m->types, d->real, nb, db));
}

/* ---- indexing ---- */

/* batch axes, then `middle`, then trailing axes, joined. */
static const sn_type *joined(draw *d, sn_elem e, const sn_type *x, const sn_type *y, const sn_type *z) {
  const sn_dimx *dim[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < x->rank; i++) dim[n++] = x->dim[i];
  for (int i = 0; i < y->rank; i++) dim[n++] = y->dim[i];
  for (int i = 0; i < z->rank; i++) dim[n++] = z->dim[i];
  return sn_type_of(d->m->types, e, n, dim);
}

static void draw_gather(draw *d) {
  const sn_type *batch = shaped(d, d->real, (int)below(d, 2)), *rest = shaped(d, d->real, (int)below(d, 2));
  const sn_type *rows = shaped(d, d->real, 1), *picks = shaped(d, d->real, (int)below(d, 3));
  const sn_type *none = sn_type_scalar(d->m->types, d->real);
  const sn_type *idx = joined(d, SN_ELEM_I32, batch, picks, none);
  if (batch->rank) attr(d, "batch")->i = batch->rank;
  if (d->op == SN_OP_GATHER) {
    float_arg(d, joined(d, d->real, batch, rows, rest));
    index_arg(d, idx, rows->dim[0]);
  } else {
    attr(d, "rows")->d = rows->dim[0];
    index_arg(d, idx, rows->dim[0]);
    float_arg(d, joined(d, d->real, idx, rest, none));
  }
}

static void draw_index(draw *d) {
  const sn_type *x = shaped(d, d->real, 1 + (int)below(d, 3)), *s = any_shape(d, SN_ELEM_I32, 0);
  if (d->op == SN_OP_INDEX) {
    float_arg(d, x);
  } else {
    set_dims(d, "shape", x->rank, x->dim);
    float_arg(d, with_elem(d, s, d->real));
  }
  for (int i = 0; i < x->rank; i++) index_arg(d, s, x->dim[i]);
}

static void draw_rows(draw *d) {
  const sn_type *t = shaped(d, d->real, 1 + (int)below(d, 3));
  int64_t axis = below(d, t->rank);
  bool write = d->op == SN_OP_DYN_WRITE, ring = write && below(d, 2);
  const sn_dimx *dim[SN_RANK_MAX], *slack = number(d, below(d, 3));
  for (int i = 0; i < t->rank; i++) dim[i] = i == axis ? sn_dimx_add(d->m->types, t->dim[i], slack) : t->dim[i];
  const sn_type *x = sn_type_of(d->m->types, d->real, t->rank, dim);
  bool per_row = axis > 0 && below(d, 2);
  const sn_type *start = sn_type_of(d->m->types, SN_ELEM_I32, per_row, per_row ? &x->dim[0] : NULL);
  attr(d, "axis")->i = axis;
  float_arg(d, x);
  if (write)
    float_arg(d, t);
  else
    attr(d, "count")->d = t->dim[axis];
  if (ring) attr(d, "ring")->i = 1;
  index_arg(d, start, ring ? x->dim[axis] : sn_dimx_add(d->m->types, slack, number(d, 1)));
}

static void draw_uniform(draw *d) {
  const sn_type *t = any_shape(d, SN_ELEM_F32, 0);
  set_dims(d, "shape", t->rank, t->dim);
  attr(d, "stream")->s = "drop";
  arg(d, sn_type_scalar(d->m->types, SN_ELEM_I64), 0, 1000000, 0);
  arg(d, sn_type_scalar(d->m->types, SN_ELEM_I32), 0, 1000, 0);
}

/* ---- expansions along an axis ---- */

static void draw_expansion(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  if (sn_op_attr(d->op, "axis") >= 0) attr(d, "axis")->i = below(d, t->rank);
  if (sn_op_attr(d->op, "eps") >= 0) attr(d, "eps")->f = 0.1;
  if (sn_op_attr(d->op, "smooth") >= 0 && below(d, 2)) attr(d, "smooth")->f = 0.1;
  float_arg(d, t);
  if (d->op == SN_OP_DIVERGENCE) {
    int kinds;
    const char *const *kind = sn_divergence_kinds(&kinds);
    attr(d, "kind")->s = kind[below(d, kinds)];
    float_arg(d, t);
  }
  if (d->op == SN_OP_PICK || d->op == SN_OP_CROSS_ENTROPY)
    index_arg(d, sn_type_of(d->m->types, SN_ELEM_I32, t->rank - 1, t->dim), t->dim[t->rank - 1]);
}

/* One to three groups of equal size. */
static void draw_group_norm(draw *d) {
  const sn_type *t = any_shape(d, d->real, 1);
  const sn_dimx *dim[SN_RANK_MAX];
  int64_t groups = 1 + below(d, 3);
  for (int i = 0; i < t->rank; i++) dim[i] = t->dim[i];
  dim[t->rank - 1] = sn_dimx_mul(d->m->types, dim[t->rank - 1], number(d, groups));
  attr(d, "groups")->i = groups;
  attr(d, "eps")->f = 0.1;
  float_arg(d, sn_type_of(d->m->types, d->real, t->rank, dim));
}

/* ---- structured ---- */

/* (x, y) -> x * y, x + y */
static const sn_func *small_body(draw *d, const sn_type *t) {
  sn_func *f = sn_func_create(d->m, "sample_body", SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, NULL);
  sn_val x = body_arg(&b, 0, t), y = body_arg(&b, 1, t);
  sn_func_return(f, sn_g2(&b, SN_OP_MUL, x, y));
  sn_func_return(f, sn_g2(&b, SN_OP_ADD, x, y));
  return f;
}

static void draw_call(draw *d) {
  const sn_type *t = any_shape(d, d->real, 0);
  attr(d, "body")->region = small_body(d, t);
  attr(d, d->op == SN_OP_CALL ? "with" : "kind")->s = d->op == SN_OP_CALL ? "h.0" : "map";
  float_arg(d, t);
  float_arg(d, t);
}

static void draw_grad(draw *d) {
  float_arg(d, sn_type_scalar(d->m->types, d->real));
  float_arg(d, any_shape(d, d->real, 0));
}

/* ---- dispatch ---- */

typedef void (*draw_fn)(draw *d);

static draw_fn by_op(sn_op op) { /* table */
  switch (op) {
    case SN_OP_CAST: return draw_cast;
    case SN_OP_SELECT: return draw_select;
    case SN_OP_RESHAPE: return draw_reshape;
    case SN_OP_TRANSPOSE: return draw_transpose;
    case SN_OP_BROADCAST: return draw_broadcast;
    case SN_OP_SLICE: return draw_slice;
    case SN_OP_CONCAT: return draw_concat;
    case SN_OP_ANY:
    case SN_OP_ALL: return draw_reduce;
    case SN_OP_PAD: return draw_pad;
    case SN_OP_GROUP_NORM: return draw_group_norm;
    case SN_OP_LEAKY_RELU:
    case SN_OP_ELU: return draw_unary;
    case SN_OP_CONTRACT: return draw_contract;
    case SN_OP_GATHER:
    case SN_OP_SCATTER: return draw_gather;
    case SN_OP_INDEX:
    case SN_OP_INDEX_ADD: return draw_index;
    case SN_OP_DYN_SLICE:
    case SN_OP_DYN_WRITE: return draw_rows;
    case SN_OP_CUMSUM:
    case SN_OP_CUMPROD:
    case SN_OP_CUMMAX:
    case SN_OP_RECUR: return sn_draw_prefix;
    case SN_OP_SORT: return sn_draw_sort;
    case SN_OP_SOLVE: return sn_draw_solve;
    case SN_OP_SEARCHSORTED: return sn_draw_search;
    case SN_OP_CONV1D: return sn_draw_conv;
    case SN_OP_UNIFORM:
    case SN_OP_NORMAL: return draw_uniform;
    case SN_OP_CALL:
    case SN_OP_FUSED: return draw_call;
    case SN_OP_GRAD: return draw_grad;
    case SN_OP_ATTENTION:
    case SN_OP_ATTENTION_GRAD: return sn_draw_attention;
    default: return NULL;
  }
}

static draw_fn by_class(sn_op op) {
  const sn_op_info *info = sn_op_get(op);
  if (info->cls == SN_CLASS_LEAF) return draw_leaf;
  if (info->cls == SN_CLASS_POINT) return info->operands == 1 ? draw_unary : info->operands == 2 ? draw_binary : NULL;
  if (info->cls == SN_CLASS_REDUCE) return draw_reduce;
  if (info->cls == SN_CLASS_EXPAND) return info->attr_count || info->operands == 2 ? draw_expansion : draw_unary;
  return NULL;
}

sn_code sn_op_sample(sn_rng *rng, sn_module *m, sn_op op, sn_sample *out) {
  sn_elem real = out->elem ? out->elem : out->real ? out->real : SN_ELEM_F32;
  draw d = {.rng = rng, .m = m, .op = op, .s = out, .real = real};
  *out = (sn_sample){.real = real, .elem = out->elem, .extent_count = out->extent_count, .extents = out->extents};
  if (sn_sample_region(rng, m, op, out)) return SN_OK;
  draw_fn fn = by_op(op);
  if (!fn) fn = by_class(op);
  if (!fn) return SN_ERR_FAIL;
  fn(&d);
  return SN_OK;
}

bool sn_sample_is_built(const sn_sample *s) {
  for (int i = 0; i < SN_ATTR_MAX; i++) {
    const sn_func *body = s->attr[i].region;
    for (int k = 0; body && k < body->result_count; k++)
      if (!body->result[k]) return false;
  }
  return true;
}
