/* Emits nodes with inferred types: what the DSL, the gradient rules, expansions and passes build graphs with. */
#include "ir/ops/rules.h"

#include <stdio.h>
#include <string.h>

sn_build sn_build_begin(sn_func *f, sn_diags *diags) { return (sn_build){.func = f, .diags = diags}; }

static sn_loc origin_loc(const sn_origin *o) { return o->loc_count > 0 ? o->locs[0] : (sn_loc){0}; }

sn_types *sn_b_types(const sn_build *b) { return b->func->module->types; }

void sn_b_fail(sn_build *b, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (!b->failed) b->failed = sn_fail(b->diags, SN_ERR_INPUT, origin_loc(&b->origin), "%s", text);
}

static bool attr_present(const sn_attr_info *info, const sn_attr *a) {
  switch (info->kind) {
    case 's': return a->s != NULL;
    case 'd': return a->d != NULL;
    case 'I': return a->count == 0 || a->ints != NULL;
    case 'D': return a->count == 0 || a->dims != NULL;
    case 'R': return a->region != NULL;
    default: return true;
  }
}

/* Is it an optional attribute with the value that absence stands for? */
static bool attr_default(const sn_op_info *op, int k, const sn_attr *a) {
  const sn_attr_info *info = &op->attr[k];
  if (!info->optional) return false;
  if (!a->set || !attr_present(info, a)) return true;
  return (info->kind == 'i' && a->i == 0) || (!strcmp(info->name, "smooth") && a->f == 0);
}

/* Attributes in their one form: names interned, defaults absent, what is required present. */
static sn_code normal_attrs(sn_build *b, sn_op op, const sn_attr *attr, sn_attr *out) {
  const sn_op_info *info = sn_op_get(op);
  for (int k = 0; k < info->attr_count; k++) {
    out[k] = attr ? attr[k] : (sn_attr){0};
    if (attr_default(info, k, &out[k])) {
      out[k] = (sn_attr){0};
      continue;
    }
    if (!attr || !attr_present(&info->attr[k], &out[k]))
      return sn_fail(b->diags, SN_ERR_USAGE, origin_loc(&b->origin), "`%s`: attribute `%s` is missing", info->name,
                     info->attr[k].name);
    out[k].set = true;
    if (info->attr[k].kind == 's') out[k].s = sn_name(b->func->module->names, out[k].s);
  }
  return SN_OK;
}

static sn_code emit(sn_build *b, sn_op op, int arg_count, const sn_val *arg, const sn_attr *attr, const sn_type *type,
                    sn_val *out) {
  const sn_op_info *info = sn_op_get(op);
  const sn_type *room[16], **types = room;
  if (arg_count > 16) types = SN_ARRAY(sn_types_arena(sn_b_types(b)), arg_count, const sn_type *);
  for (int i = 0; i < arg_count; i++) {
    if (!arg[i] || (int)arg[i] >= b->func->value_count)
      return sn_fail(b->diags, SN_ERR_USAGE, origin_loc(&b->origin), "`%s`: operand %d is missing", info->name, i + 1);
    types[i] = sn_g_type(b, arg[i]);
  }
  sn_attr norm[SN_ATTR_MAX];
  SN_TRY(normal_attrs(b, op, attr, norm));
  sn_infer in = {.module = b->func->module,
                 .diags = b->diags,
                 .op = op,
                 .loc = origin_loc(&b->origin),
                 .arg_count = arg_count,
                 .arg = types,
                 .attr = norm,
                 .leaf = type};
  SN_TRY(sn_op_infer(&in));
  *out = sn_func_add(b->func, op, arg_count, arg, norm, in.result_count, in.result, &b->origin);
  return SN_OK;
}

sn_val sn_emit(sn_build *b, sn_op op, int arg_count, const sn_val *arg, const sn_attr *attr, const sn_type *type) {
  if (b->failed) return 0;
  sn_val v = 0;
  b->failed = emit(b, op, arg_count, arg, attr, type, &v);
  return b->failed ? 0 : v;
}

/* ---- elementwise and leaves ---- */

sn_val sn_g1(sn_build *b, sn_op op, sn_val x) { return sn_emit(b, op, 1, &x, NULL, NULL); }

sn_val sn_g2(sn_build *b, sn_op op, sn_val x, sn_val y) {
  const sn_val arg[2] = {x, y};
  return sn_emit(b, op, 2, arg, NULL, NULL);
}

sn_val sn_g3(sn_build *b, sn_op op, sn_val x, sn_val y, sn_val z) {
  const sn_val arg[3] = {x, y, z};
  return sn_emit(b, op, 3, arg, NULL, NULL);
}

sn_val sn_g_const(sn_build *b, const sn_type *type, double value) {
  const sn_attr at = {.set = true, .f = value};
  return sn_emit(b, SN_OP_CONST, 0, NULL, &at, type);
}

sn_val sn_g_const_elem(sn_build *b, sn_val like, sn_elem e, double value) {
  if (b->failed || !like) return 0;
  return sn_g_const(b, sn_type_with_elem(sn_b_types(b), sn_g_type(b, like), e), value);
}

sn_val sn_g_const_like(sn_build *b, sn_val like, double value) {
  return b->failed || !like ? 0 : sn_g_const(b, sn_g_type(b, like), value);
}

sn_val sn_g_iota(sn_build *b, const sn_type *type, int axis) {
  const sn_attr at = {.set = true, .i = axis};
  return sn_emit(b, SN_OP_IOTA, 0, NULL, &at, type);
}

sn_val sn_g_cast(sn_build *b, sn_val x, sn_elem to) {
  if (b->failed || !x || sn_g_type(b, x)->elem == to) return x;
  const sn_attr at = {.set = true, .i = to};
  return sn_emit(b, SN_OP_CAST, 1, &x, &at, NULL);
}

sn_val sn_g_dim(sn_build *b, const sn_dimx *d) {
  const sn_attr at = {.set = true, .d = d};
  return sn_emit(b, SN_OP_DIM, 0, NULL, &at, sn_type_scalar(sn_b_types(b), SN_ELEM_I32));
}

/* ---- views ---- */

static bool same_dims(const sn_type *t, int rank, const sn_dimx *const *shape) {
  return t->rank == rank && (rank == 0 || !memcmp(t->dim, shape, (size_t)rank * sizeof *shape));
}

sn_val sn_g_reshape(sn_build *b, sn_val x, int rank, const sn_dimx *const *shape) {
  if (b->failed || !x || same_dims(sn_g_type(b, x), rank, shape)) return x;
  const sn_attr at = {.set = true, .dims = shape, .count = rank};
  return sn_emit(b, SN_OP_RESHAPE, 1, &x, &at, NULL);
}

sn_val sn_g_transpose(sn_build *b, sn_val x, const int64_t *perm) {
  if (b->failed || !x) return x;
  int rank = sn_g_type(b, x)->rank;
  bool identity = true;
  for (int i = 0; i < rank; i++) identity &= perm[i] == i;
  if (identity) return x;
  const sn_attr at = {.set = true, .ints = perm, .count = rank};
  return sn_emit(b, SN_OP_TRANSPOSE, 1, &x, &at, NULL);
}

sn_val sn_g_broadcast(sn_build *b, sn_val x, int rank, const sn_dimx *const *shape, const int64_t *axes) {
  if (b->failed || !x || same_dims(sn_g_type(b, x), rank, shape)) return x;
  const sn_attr at[2] = {{.set = true, .dims = shape, .count = rank},
                         {.set = true, .ints = axes, .count = sn_g_type(b, x)->rank}};
  return sn_emit(b, SN_OP_BROADCAST, 1, &x, at, NULL);
}

sn_val sn_g_expand_to(sn_build *b, sn_val x, const sn_type *type) {
  if (b->failed || !x) return x;
  int rank = sn_g_type(b, x)->rank;
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < rank; i++) axes[i] = type->rank - rank + i;
  return sn_g_broadcast(b, x, type->rank, type->dim, axes);
}

sn_val sn_g_slice(sn_build *b, sn_val x, const sn_dimx *const *start, const sn_dimx *const *shape) {
  if (b->failed || !x) return x;
  int rank = sn_g_type(b, x)->rank;
  if (same_dims(sn_g_type(b, x), rank, shape)) return x;
  const sn_attr at[2] = {{.set = true, .dims = start, .count = rank}, {.set = true, .dims = shape, .count = rank}};
  return sn_emit(b, SN_OP_SLICE, 1, &x, at, NULL);
}

sn_val sn_g_slice_axis(sn_build *b, sn_val x, int axis, const sn_dimx *start, const sn_dimx *count) {
  if (b->failed || !x) return x;
  const sn_type *t = sn_g_type(b, x);
  const sn_dimx *from[SN_RANK_MAX], *shape[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) {
    from[i] = i == axis ? start : sn_dimx_const(sn_b_types(b), 0);
    shape[i] = i == axis ? count : t->dim[i];
  }
  return sn_g_slice(b, x, from, shape);
}

sn_val sn_g_concat(sn_build *b, int axis, int count, const sn_val *x) {
  if (count == 1) return x[0];
  const sn_attr at = {.set = true, .i = axis};
  return sn_emit(b, SN_OP_CONCAT, count, x, &at, NULL);
}

/* ---- reductions and contraction ---- */

static sn_val reduce(sn_build *b, sn_op op, sn_val x, int axis_count, const int64_t *axes) {
  if (b->failed || !x || axis_count == 0) return x;
  bool in[SN_RANK_MAX] = {false};
  int64_t sorted[SN_RANK_MAX];
  int n = 0, rank = sn_g_type(b, x)->rank;
  for (int i = 0; i < axis_count; i++)
    if (axes[i] >= 0 && axes[i] < rank) in[axes[i]] = true;
  for (int i = 0; i < rank; i++)
    if (in[i]) sorted[n++] = i;
  if (n != axis_count) {
    sn_b_fail(b, "`%s`: axes are out of range or repeat", sn_op_get(op)->name);
    return 0;
  }
  const sn_attr at = {.set = true, .ints = sorted, .count = n};
  return sn_emit(b, op, 1, &x, &at, NULL);
}

sn_val sn_g_sum(sn_build *b, sn_val x, int axis_count, const int64_t *axes) {
  return reduce(b, SN_OP_SUM, x, axis_count, axes);
}

sn_val sn_g_prod(sn_build *b, sn_val x, int axis_count, const int64_t *axes) {
  return reduce(b, SN_OP_PROD, x, axis_count, axes);
}

sn_val sn_g_amin(sn_build *b, sn_val x, int axis_count, const int64_t *axes) {
  return reduce(b, SN_OP_AMIN, x, axis_count, axes);
}

sn_val sn_g_amax(sn_build *b, sn_val x, int axis_count, const int64_t *axes) {
  return reduce(b, SN_OP_AMAX, x, axis_count, axes);
}

sn_val sn_g_unreduce(sn_build *b, sn_val reduced, sn_val like, int axis_count, const int64_t *axes) {
  if (b->failed || !reduced || !like) return 0;
  const sn_type *t = sn_g_type(b, like);
  int64_t kept[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < t->rank; i++) {
    bool gone = false;
    for (int k = 0; k < axis_count; k++) gone |= axes[k] == i;
    if (!gone) kept[n++] = i;
  }
  return sn_g_broadcast(b, reduced, t->rank, t->dim, kept);
}

sn_val sn_g_contract(sn_build *b, const char *spec, sn_val x, sn_val y) {
  return sn_g_contract_to(b, spec, x, y, SN_ELEM_NONE);
}

sn_val sn_g_contract_to(sn_build *b, const char *spec, sn_val x, sn_val y, sn_elem to) {
  const sn_attr at[2] = {{.set = true, .s = spec}, {.set = to != SN_ELEM_NONE, .i = to}};
  const sn_val arg[2] = {x, y};
  return sn_emit(b, SN_OP_CONTRACT, 2, arg, at, NULL);
}

sn_val sn_g_region_call(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, int result) {
  sn_val *map = SN_ARRAY(b->func->arena, body->value_count, sn_val);
  sn_region_copy(b, body, arg_count, args, map);
  return b->failed ? 0 : map[body->result[result]];
}
