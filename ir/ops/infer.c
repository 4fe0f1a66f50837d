/* What type rules share: messages with expected and found, results; and the check of whole functions. */
#include "ir/ops/rules.h"

#include <stdio.h>
#include <string.h>

sn_types *sn_infer_types(const sn_infer *in) { return in->module->types; }

const char *sn_infer_text(const sn_infer *in, const sn_type *t) {
  return sn_type_text(sn_types_arena(sn_infer_types(in)), t);
}

sn_code sn_infer_fail(sn_infer *in, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return sn_fail(in->diags, SN_ERR_INPUT, in->loc, "`%s`: %s", sn_op_get(in->op)->name, text);
}

sn_code sn_infer_want(sn_infer *in, int k, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  sn_code code = sn_infer_fail(in, "operand %d does not fit", k + 1);
  sn_fail_expected(in->diags, "%s", text);
  sn_fail_found(in->diags, "%s", sn_infer_text(in, in->arg[k]));
  return code;
}

sn_code sn_infer_one(sn_infer *in, const sn_type *t) {
  sn_infer_results(in, 1);
  in->result[0] = t;
  return SN_OK;
}

void sn_infer_results(sn_infer *in, int count) {
  in->result_count = count;
  in->result = count <= 4 ? in->room : SN_ARRAY(sn_types_arena(sn_infer_types(in)), count, const sn_type *);
}

const sn_attr *sn_infer_attr(const sn_infer *in, const char *name) { return &in->attr[sn_op_attr(in->op, name)]; }

sn_code sn_infer_shape(sn_infer *in, sn_elem e, const sn_attr *shape, const sn_type **out) {
  if (shape->count > SN_RANK_MAX)
    return sn_infer_fail(in, "rank %d is above the limit of %d", shape->count, SN_RANK_MAX);
  for (int i = 0; i < shape->count; i++) {
    if (sn_dimx_min_value(shape->dims[i]) >= 0) continue;
    sn_text t = sn_text_begin(sn_types_arena(sn_infer_types(in)));
    sn_dimx_print(&t, shape->dims[i]);
    return sn_infer_fail(in, "extent %d, %s, may be negative", i, t.at);
  }
  *out = sn_type_of(sn_infer_types(in), e, shape->count, shape->dims);
  return SN_OK;
}

sn_code sn_op_infer(sn_infer *in) {
  const sn_op_info *info = sn_op_get(in->op);
  if (info->operands >= 0 && in->arg_count != info->operands)
    return sn_infer_fail(in, "takes %d operand%s, %d given", info->operands, info->operands == 1 ? "" : "s",
                         in->arg_count);
  in->result_count = 0;
  in->result = in->room;
  return sn_op_rules_of(in->op)->infer(in);
}

/* Types of one node as stated against what its rule says. */
static sn_code check_node(const sn_func *f, const sn_node *n, sn_diags *diags) {
  sn_arena *scratch = sn_types_arena(f->module->types);
  const sn_type *room[16], **types = room;
  if (n->arg_count > 16) types = SN_ARRAY(scratch, n->arg_count, const sn_type *);
  for (int i = 0; i < n->arg_count; i++) types[i] = sn_val_type(f, n->arg[i]);
  sn_infer in = {
      .module = f->module, .diags = diags, .op = n->op, .arg_count = n->arg_count, .arg = types, .attr = n->attr};
  if (n->origin.loc_count > 0) in.loc = n->origin.locs[0];
  if (sn_op_get(n->op)->cls == SN_CLASS_LEAF) in.leaf = n->type[0];
  SN_TRY(sn_op_infer(&in));
  if (in.result_count != n->result_count)
    return sn_infer_fail(&in, "has %d results, %d stated", in.result_count, n->result_count);
  for (int i = 0; i < n->result_count; i++) {
    if (in.result[i] == n->type[i]) continue;
    sn_code code = sn_infer_fail(&in, "result %d is stated with another type", i);
    sn_fail_expected(diags, "%s", sn_infer_text(&in, in.result[i]));
    sn_fail_found(diags, "%s", sn_infer_text(&in, n->type[i]));
    return code;
  }
  return SN_OK;
}

/* A value of another type than is needed, at its line. */
static sn_code fail_value(const sn_func *f, sn_val v, const char *expected, const char *what, sn_diags *diags) {
  const sn_origin *o = &sn_node_of(f, v)->origin;
  (void)sn_fail(diags, SN_ERR_INPUT, o->loc_count ? o->locs[0] : (sn_loc){0}, "%s", what);
  sn_fail_expected(diags, "%s", expected);
  sn_fail_found(diags, "%s", sn_type_text(f->arena, sn_val_type(f, v)));
  return SN_ERR_INPUT;
}

/* Nesting of regions is bounded by the parser and by the builders. */
static sn_code check_func(const sn_func *f, sn_diags *diags, int depth) {
  if (depth > 64) {
    (void)sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "the regions in `%s` nest too deep", f->name);
    sn_fail_expected(diags, "at most 64 levels");
    sn_fail_found(diags, "more");
    return SN_ERR_LIMIT;
  }
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    const sn_op_info *info = sn_op_get(n->op);
    for (int k = 0; k < info->attr_count; k++)
      if (info->attr[k].kind == 'R' && n->attr[k].region) SN_TRY(check_func(n->attr[k].region, diags, depth + 1));
    SN_TRY(check_node(f, n, diags));
  }
  if (f->guard) {
    const sn_type *t = sn_val_type(f, f->guard);
    if (t->elem != SN_ELEM_BOOL || t->rank != 0)
      return fail_value(f, f->guard, "bool[]", sn_arena_printf(f->arena, "the type of the guard of `%s`", f->name),
                        diags);
  }
  for (int i = 0; i < f->update_count; i++) {
    const sn_type *t = sn_val_type(f, f->update[i].state);
    if (t != sn_val_type(f, f->update[i].next))
      return fail_value(f, f->update[i].next, sn_type_text(f->arena, t),
                        sn_arena_printf(f->arena, "the type of update %d of `%s`", i, f->name), diags);
  }
  return SN_OK;
}

sn_code sn_ops_check(const sn_func *f, sn_diags *diags) { return check_func(f, diags, 0); }
