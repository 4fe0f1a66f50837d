/* Services for schedule writers: where operands and results of a body lie, temporaries, regions on tiles, messages. */
#include <stdio.h>

#include "passes/lower/internal.h"
#include "passes/plan/assemble.h"

int sn_lower_temp(sn_lower_ctx *c, const char *name, const sn_type *type, const sn_dimx *elements) {
  return sn_assemble_temp(c->plan, name, type, elements ? elements : sn_type_count(c->types, type));
}

const sn_type *sn_lower_slot_type(const sn_lower_ctx *c, int slot) {
  return slot >= SN_LOWER_INNER ? c->inside->inner->at[slot - SN_LOWER_INNER].type : c->plan->slot[slot].type;
}

sn_code sn_lower_fail(sn_lower_ctx *c, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const sn_origin *o = &c->fused->origin;
  return sn_fail(c->diags, SN_ERR_DEVICE, o->loc_count ? o->locs[0] : (sn_loc){0}, "%s", text);
}

bool sn_lower_source(const sn_lower_ctx *c, sn_val v, int *slot, sn_view *view) {
  sn_val base;
  if (!sn_view_resolve(c->body, v, &base, view) || sn_node_of(c->body, base)->op != SN_OP_ARG) return false;
  *slot = c->arg_slot[sn_node_attr(sn_node_of(c->body, base), "index")->i];
  return true;
}

/* ---- sinks ------------------------------------------------------------------------------------------------- */

static bool find_sink(const sn_lower_ctx *c, sn_val at, sn_view view, sn_val v, int *nth, sn_view *out);

/* The part of a concatenation that operand k fills. */
static bool sink_in_part(const sn_lower_ctx *c, const sn_node *n, const sn_view *view, sn_val v, int *nth,
                         sn_view *out) {
  int axis = (int)sn_node_attr(n, "axis")->i;
  const sn_dimx *start = sn_dimx_const(c->types, 0);
  for (int k = 0; k < n->arg_count; k++) {
    const sn_type *part = sn_val_type(c->body, n->arg[k]);
    sn_step_map m = {.op = SN_OP_SLICE, .from = sn_shape_of(n->type[0]), .to = sn_shape_of(part)};
    for (int i = 0; i < part->rank; i++) m.start[i] = i == axis ? start : sn_dimx_const(c->types, 0);
    sn_view inner = *view;
    if (sn_view_step(c->types, &inner, &m) && find_sink(c, n->arg[k], inner, v, nth, out)) return true;
    start = sn_dimx_add(c->types, start, part->dim[axis]);
  }
  return false;
}

static bool find_sink(const sn_lower_ctx *c, sn_val at, sn_view view, sn_val v, int *nth, sn_view *out) {
  const sn_node *n = sn_node_of(c->body, at);
  sn_step_map m;
  if (at == v) {
    *out = view;
    return (*nth)-- == 0;
  }
  if (n->op == SN_OP_CONCAT) return sink_in_part(c, n, &view, v, nth, out);
  if (sn_op_get(n->op)->cls != SN_CLASS_VIEW || !sn_step_of(c->body, n, true, &m)) return false;
  return sn_view_step(c->types, &view, &m) && find_sink(c, n->arg[0], view, v, nth, out);
}

bool sn_lower_sink(const sn_lower_ctx *c, sn_val v, int nth, int *slot, sn_view *view) {
  for (int i = 0; i < c->result_count; i++) {
    sn_shape s = sn_shape_of(sn_val_type(c->body, c->body->result[i]));
    *slot = c->result_slot[i];
    if (find_sink(c, c->body->result[i], sn_view_of(c->types, &s), v, &nth, view)) return true;
  }
  return false;
}

/* ---- regions ------------------------------------------------------------------------------------------------- */

static sn_kv load_scalar(sn_build_kernel *b, const sn_region_arg *a) {
  sn_kv v =
      sn_k_load(b->k, 1, 1, (sn_kwin){.buf = sn_build_buffer(b, a->slot), .off = sn_build_dim(b, a->view.offset)}, 0);
  return sn_k_cast(b->k, sn_compute_elem(sn_k_type(b->k, v).elem), v);
}

/* An element of a captured tensor per element of the tile; positions out of range are moved to the border. */
static sn_kv emit_index(sn_build_kernel *b, const sn_region_arg *table, int count, const sn_kv *index) {
  sn_kernel *k = b->k;
  sn_kv address = sn_k_const(k, SN_ELEM_I32, 1, 1, 0);
  for (int i = 0; i < count; i++) {
    sn_kv last = sn_k_isplat(k, 1, 1, sn_k_iadd(k, sn_build_dim(b, table->view.extent[i]), sn_k_i(k, -1)));
    sn_kv x = sn_k_bin(k, SN_K_MIN, sn_k_cast(k, SN_ELEM_I32, index[i]), last);
    x = sn_k_binc(k, SN_K_MAX, x, 0);
    sn_kv stride = sn_k_isplat(k, 1, 1, sn_build_dim(b, table->view.stride[i]));
    address = sn_k_bin(k, SN_K_ADD, sn_k_bin(k, SN_K_MUL, x, stride), address);
  }
  sn_ktype type = sn_k_type(k, address);
  sn_kwin w = {.buf = sn_build_buffer(b, table->slot),
               .off = sn_build_dim(b, table->view.offset),
               .rs = sn_k_i(k, 1),
               .cs = sn_k_i(k, 0)};
  sn_kv v = sn_k_gather(k, type.r, type.c, w, address, 0);
  return sn_k_cast(k, sn_compute_elem(sn_k_type(k, v).elem), v);
}

typedef struct region {
  sn_build_kernel *b;
  const sn_func *f;
  const sn_region_arg *arg;
  sn_kv *tile; /* by value id; 0: not yet */
} region;

static const sn_region_arg *captured(const region *r, sn_val v) {
  const sn_node *n = sn_node_of(r->f, v);
  const sn_region_arg *a = n->op == SN_OP_ARG ? &r->arg[sn_node_attr(n, "index")->i] : NULL;
  return a && !a->tile ? a : NULL;
}

static sn_code emit_node(region *r, const sn_node *n) { /* table */
  sn_kernel *k = r->b->k;
  sn_elem e = sn_compute_elem(n->type[0]->elem);
  sn_kv arg[SN_RANK_MAX + 1], *out = &r->tile[n->first];
  const sn_region_arg *a = n->op == SN_OP_INDEX ? captured(r, n->arg[0]) : NULL;
  for (int i = 0; i < n->arg_count && i <= SN_RANK_MAX; i++) arg[i] = r->tile[n->arg[i]];
  switch (n->op) {
    case SN_OP_ARG:
      a = &r->arg[sn_node_attr(n, "index")->i];
      *out = a->tile ? a->tile : n->type[0]->rank ? 0 : load_scalar(r->b, a);
      return SN_OK;
    case SN_OP_CONST: *out = sn_k_const(k, e, 1, 1, sn_node_attr(n, "value")->f); return SN_OK;
    case SN_OP_DIM:
      *out = sn_k_cast(k, e, sn_k_isplat(k, 1, 1, sn_build_dim(r->b, sn_node_attr(n, "dim")->d)));
      return SN_OK;
    case SN_OP_INDEX:
      if (!a) break;
      if (a->element) {
        *out = a->element;
        return SN_OK;
      }
      *out = emit_index(r->b, a, n->arg_count - 1, arg + 1);
      return SN_OK;
    default: break;
  }
  sn_op_class cls = sn_op_get(n->op)->cls;
  if (n->type[0]->rank || (cls != SN_CLASS_POINT && cls != SN_CLASS_VIEW))
    return sn_lower_fail(r->b->c, "`%s` in a region that works on single elements", sn_op_get(n->op)->name);
  *out = cls == SN_CLASS_VIEW ? arg[0] : sn_point_emit(r->b, r->f, n, arg);
  return r->b->c->failed;
}

sn_code sn_region_emit(sn_build_kernel *b, const sn_func *f, int arg_count, const sn_region_arg *arg, sn_kv *result) {
  region r = {b, f, arg, SN_ARRAY(b->c->arena, f->value_count, sn_kv)};
  (void)arg_count;
  int before = b->k->here;
  for (int i = 0; i < f->node_count; i++) {
    sn_build_at(b, f->node[i]);
    SN_TRY(emit_node(&r, f->node[i]));
  }
  b->k->here = before;
  for (int i = 0; i < f->result_count; i++) result[i] = r.tile[f->result[i]];
  return SN_OK;
}
