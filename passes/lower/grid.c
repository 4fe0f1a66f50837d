/* What schedule writers share: blocks of axes -> grid, buffers of a group, figures for the report. */
#include "passes/lower/internal.h"

#include <string.h>

/* ---- grid ------------------------------------------------------------------------------------------------- */

/* Extents multiplied into one grid dimension; the coordinates are digits of it. */
static void decode(sn_tile *t, int count, const sn_axis_block *a, sn_kv id) {
  sn_kernel *k = t->b->k;
  for (int i = count - 1; i >= 0; i--) {
    sn_kv blocks = sn_build_dim(t->b, a[i].blocks);
    sn_kv digit = i ? sn_k_ibin(k, SN_K_IMOD, id, blocks) : id;
    t->at[a[i].axis] = sn_k_imulc(k, digit, a[i].block);
    if (i) id = sn_k_ibin(k, SN_K_IDIV, id, blocks);
  }
}

void sn_tile_grid(sn_tile *t, int count, sn_axis_block *a) {
  sn_types *types = t->b->c->types;
  const sn_dimx *one = sn_dimx_const(types, 1), *first = one;
  int n = 0;
  for (int i = 0; i < count; i++) {
    a[i].blocks = sn_dimx_ceildiv(types, t->g->space.extent[a[i].axis], sn_dimx_const(types, a[i].block));
    t->at[a[i].axis] = 0;
    if (!sn_dimx_is_one(a[i].blocks)) a[n++] = a[i];
  }
  if (!n) {
    sn_build_grid(t->b, 1, one, NULL, NULL);
    return;
  }
  int lead = n > 3 ? n - 2 : 1, dims = n > 3 ? 3 : n;
  for (int i = 0; i < lead; i++) first = sn_dimx_mul(types, first, a[i].blocks);
  sn_build_grid(t->b, dims, first, dims > 1 ? a[lead].blocks : NULL, dims > 2 ? a[lead + 1].blocks : NULL);
  decode(t, lead, a, sn_build_id(t->b, 0));
  for (int i = 1; i < dims; i++) decode(t, 1, &a[lead + i - 1], sn_build_id(t->b, i));
}

/* ---- block sizes --------------------------------------------------------------------------------------------- */

int sn_block_of(const sn_dimx *extent, int wanted) {
  int64_t n, d = sn_dimx_divisor(extent);
  if (sn_dimx_max_value(extent) <= wanted) wanted = (int)sn_dimx_max_value(extent);
  if (wanted < 1) wanted = 1;
  if (sn_dimx_is_const(extent, &n)) {
    if (n <= wanted) return n < 1 ? 1 : (int)n;
    for (int b = wanted; 2 * b > wanted; b--)
      if (n % b == 0) return b;
    return wanted;
  }
  for (int b = wanted; 2 * b > wanted && b > 1; b--)
    if (d % b == 0) return b;
  return wanted;
}

int sn_block_for(const sn_target *target, const sn_dimx *extent, int wanted) {
  int64_t n, unit = target->unit;
  if (unit <= 1 || wanted % unit || sn_dimx_max_value(extent) <= wanted) return sn_block_of(extent, wanted);
  int64_t d = sn_dimx_is_const(extent, &n) ? n : sn_dimx_divisor(extent);
  for (int64_t b = wanted; 2 * b > wanted && d; b -= unit)
    if (d % b == 0) return (int)b;
  return wanted;
}

/* ---- buffers -------------------------------------------------------------------------------------------------- */

static void use(sn_buffer_use *list, int *count, int slot, sn_krole role) {
  for (int i = 0; i < *count; i++)
    if (list[i].slot == slot && list[i].role == role) return;
  if (*count < SN_LOWER_BUFFERS) list[(*count)++] = (sn_buffer_use){slot, role};
}

static int arg_index(const sn_group *g, sn_val v) { return (int)sn_node_attr(sn_node_of(g->f, v), "index")->i; }

/* Is the value read only as the seed of random numbers? */
static bool is_seed(const sn_group *g, sn_val v, bool *otherwise) {
  bool seed = false;
  for (int i = 0; i < g->f->node_count; i++) {
    const sn_node *n = g->f->node[i];
    for (int k = 0; k < n->arg_count; k++) {
      if (n->arg[k] != v) continue;
      if (n->op == SN_OP_UNIFORM && k == 0)
        seed = true;
      else
        *otherwise = true;
    }
  }
  return seed;
}

int sn_group_buffers(const sn_lower_ctx *c, const sn_group *g, sn_buffer_use *list, int count) {
  for (int i = 0; i < g->access_count; i++) {
    const sn_access *a = &g->access[i];
    if (a->kind != SN_ACCESS_BUFFER && a->kind != SN_ACCESS_GATHER) continue;
    sn_val v = a->kind == SN_ACCESS_GATHER ? a->base : a->value;
    bool otherwise = false, seed = is_seed(g, v, &otherwise);
    int slot = c->arg_slot[arg_index(g, v)];
    if (seed) use(list, &count, slot | SN_LOWER_WORDS, SN_K_IN);
    if (!seed || otherwise) use(list, &count, slot, SN_K_IN);
  }
  return count;
}

int sn_result_buffers(const sn_lower_ctx *c, sn_buffer_use *list, int count) {
  for (int i = 0; i < c->result_count; i++) use(list, &count, c->result_slot[i], SN_K_OUT);
  return count;
}

/* ---- report ------------------------------------------------------------------------------------------------------ */

static const sn_dimx *bytes_of(sn_types *t, const sn_dimx *elements, sn_elem e) {
  return sn_dimx_mul(t, elements, sn_dimx_const(t, (int64_t)sn_elem_bytes(e)));
}

/* Rows that are named by a tensor: as many as the result has, at most the whole table. */
static const sn_dimx *gathered(sn_types *t, const sn_group *g, const sn_access *a, const sn_dimx *whole) {
  return sn_dimx_min(t, sn_type_count(t, sn_val_type(g->f, a->value)), whole);
}

/* Elements of argument i that the groups read; NULL: none. */
static const sn_dimx *elements_read(sn_types *t, int count, sn_group *const *g, int i, const sn_type **type) {
  const sn_view *view[64];
  int views = 0;
  const sn_dimx *rows = NULL;
  *type = NULL;
  for (int n = 0; n < count; n++)
    for (int k = 0; k < g[n]->access_count; k++) {
      const sn_access *a = &g[n]->access[k];
      bool table = a->kind == SN_ACCESS_GATHER;
      sn_val v = table ? a->base : a->value;
      if (!a->used || (a->kind != SN_ACCESS_BUFFER && !table) || arg_index(g[n], v) != i) continue;
      *type = sn_val_type(g[n]->f, v);
      if (table)
        rows = gathered(t, g[n], a, sn_type_count(t, *type));
      else if (views < 64)
        view[views++] = &a->view;
    }
  return views ? sn_footprint(t, views, view, sn_type_count(t, *type)) : rows;
}

const sn_dimx *sn_groups_bytes_read(const sn_lower_ctx *c, int count, sn_group *const *g) {
  const sn_dimx *sum = sn_dimx_const(c->types, 0);
  const sn_type *type;
  for (int i = 0; i < c->arg_count; i++) {
    const sn_dimx *elements = elements_read(c->types, count, g, i, &type);
    if (elements) sum = sn_dimx_add(c->types, sum, bytes_of(c->types, elements, type->elem));
  }
  return sum;
}

const sn_dimx *sn_outputs_bytes(const sn_lower_ctx *c, const sn_group *g) {
  const sn_dimx *sum = sn_dimx_const(c->types, 0);
  for (int i = 0; i < g->output_count; i++) {
    const sn_type *type = sn_val_type(g->f, g->output[i].value);
    sum = sn_dimx_add(c->types, sum, bytes_of(c->types, sn_type_count(c->types, type), type->elem));
  }
  return sum;
}

const sn_dimx *sn_result_bytes(const sn_lower_ctx *c) {
  const sn_dimx *sum = sn_dimx_const(c->types, 0);
  for (int i = 0; i < c->result_count; i++) {
    const sn_type *type = sn_val_type(c->body, c->body->result[i]);
    sum = sn_dimx_add(c->types, sum, bytes_of(c->types, sn_type_count(c->types, type), type->elem));
  }
  return sum;
}

const sn_dimx *sn_body_flops(const sn_lower_ctx *c) {
  const sn_dimx *sum = sn_dimx_const(c->types, 0);
  for (int i = 0; i < c->body->node_count; i++) {
    const sn_node *n = c->body->node[i];
    sn_op_class cls = sn_op_get(n->op)->cls;
    if (n->op == SN_OP_CAST || (cls != SN_CLASS_POINT && cls != SN_CLASS_REDUCE)) continue;
    const sn_type *type = cls == SN_CLASS_REDUCE ? sn_val_type(c->body, n->arg[0]) : n->type[0];
    sum = sn_dimx_add(c->types, sum, sn_type_count(c->types, type));
  }
  return sum;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

const char *sn_kernel_name_of(const sn_lower_ctx *c, const char *kind) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, "%s", kind);
  int shown = 0, more = 0;
  for (int i = 0; i < c->body->node_count; i++) {
    const sn_node *n = c->body->node[i];
    sn_op_class cls = sn_op_get(n->op)->cls;
    if (cls == SN_CLASS_LEAF || cls == SN_CLASS_VIEW) continue;
    if (shown < 4)
      sn_text_add(&t, "_%s", sn_op_get(n->op)->name);
    else
      more++;
    shown++;
  }
  if (more) sn_text_add(&t, "_%d", more);
  if (!shown) sn_text_add(&t, "_copy");
  return t.at;
}
