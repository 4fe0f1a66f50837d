/* A kernel under construction: slots as buffers, symbols as sizes, dims as index values; at the end a launch step. */
#include "passes/lower/internal.h"

#include <stdio.h>
#include <string.h>

#include "passes/plan/assemble.h"

/* ---- symbols ------------------------------------------------------------------------------------------- */

static void mark_symbols(const sn_dimx_tree *t, bool *used) {
  if (t->kind == SN_DIMX_CONST) return;
  if (t->kind == SN_DIMX_SYMBOL) {
    used[t->value] = true;
    return;
  }
  mark_symbols(t->a, used);
  mark_symbols(t->b, used);
}

static void mark_dim(sn_types *t, const sn_dimx *d, bool *used) {
  int64_t n;
  if (!sn_dimx_is_const(d, &n)) mark_symbols(sn_dimx_as_tree(t, d), used);
}

static void mark_type(sn_types *t, const sn_type *type, bool *used) {
  for (int i = 0; i < type->rank; i++) mark_dim(t, type->dim[i], used);
}

static void mark_attrs(sn_types *t, const sn_node *n, bool *used) {
  const sn_op_info *info = sn_op_get(n->op);
  for (int i = 0; i < info->attr_count; i++) {
    if (info->attr[i].kind == 'd' && n->attr[i].d) mark_dim(t, n->attr[i].d, used);
    if (info->attr[i].kind == 'D')
      for (int k = 0; k < n->attr[i].count; k++) mark_dim(t, n->attr[i].dims[k], used);
  }
}

static void mark_body(sn_types *t, const sn_func *f, bool *used) {
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    for (int k = 0; k < n->result_count; k++) mark_type(t, n->type[k], used);
    mark_attrs(t, n, used);
    for (int k = 0; k < sn_op_get(n->op)->attr_count; k++)
      if (sn_op_get(n->op)->attr[k].kind == 'R' && n->attr[k].region) mark_body(t, n->attr[k].region, used);
  }
}

static void declare_symbols(sn_build_kernel *b) {
  sn_types *t = b->c->types;
  b->symbol_count = sn_types_symbol_count(t);
  b->symbol = SN_ARRAY(b->c->arena, b->symbol_count, sn_kv);
  bool *used = SN_ARRAY(b->c->arena, b->symbol_count, bool);
  mark_body(t, b->c->body, used);
  for (int i = 0; i < b->buffer_count; i++) {
    int slot = b->buffer[i].slot & ~SN_LOWER_WORDS;
    mark_type(t, sn_lower_slot_type(b->c, slot), used);
    mark_dim(t, b->c->plan->slot[slot].elements, used);
  }
  for (int i = 0; i < b->symbol_count; i++) {
    if (!used[i]) continue;
    const sn_dimx *s = sn_types_symbol(t, i);
    b->symbol[i] =
        sn_kernel_size(b->k, sn_dimx_symbol_name(s), sn_dimx_min_value(s), sn_dimx_max_value(s), sn_dimx_divisor(s));
  }
}

/* ---- beginning ------------------------------------------------------------------------------------------- */

static void add_buffer(sn_build_kernel *b, const sn_buffer_use *use) {
  for (int i = 0; i < b->buffer_count; i++)
    if (b->buffer[i].slot == use->slot) {
      if (b->buffer[i].role != use->role) b->buffer[i].role = SN_K_INOUT;
      return;
    }
  if (b->buffer_count == SN_LOWER_BUFFERS) {
    b->c->failed = sn_lower_fail(b->c, "a kernel would need more than %d buffers", SN_LOWER_BUFFERS);
    return;
  }
  b->buffer[b->buffer_count].slot = use->slot;
  b->buffer[b->buffer_count++].role = use->role;
}

int sn_build_at(const sn_build_kernel *b, const sn_node *n) {
  int before = b->k->here;
  if (n->origin.loc_count) sn_k_at(b->k, n->origin.locs[0]);
  return before;
}

/* A body inside an instance sees the buffers and sizes of that. */
static sn_build_kernel *begin_inside(sn_lower_ctx *c) {
  sn_build_kernel *b = SN_NEW(c->arena, sn_build_kernel);
  *b = *c->inside;
  b->c = c;
  b->grid_count = 0;
  sn_build_at(b, c->fused);
  return b;
}

sn_build_kernel *sn_build_kernel_begin(sn_lower_ctx *c, const char *name, int count, const sn_buffer_use *use) {
  if (c->inside) return begin_inside(c);
  sn_build_kernel *b = SN_NEW(c->arena, sn_build_kernel);
  b->inner = SN_NEW(c->arena, sn_inner);
  b->c = c;
  b->k = sn_kernel_create(c->arena, name);
  sn_build_at(b, c->fused);
  for (int i = 0; i < count; i++) add_buffer(b, &use[i]);
  for (int i = 0; i < b->buffer_count; i++) {
    char text[16];
    snprintf(text, sizeof text, "b%d", i);
    sn_elem e = b->buffer[i].slot & SN_LOWER_WORDS ? SN_ELEM_I32 : sn_lower_slot_type(c, b->buffer[i].slot)->elem;
    b->buffer[i].value = sn_kernel_buffer(b->k, text, e, b->buffer[i].role);
  }
  declare_symbols(b);
  return b;
}

int sn_inner_add(sn_build_kernel *b, const sn_type *type, sn_kv buffer, sn_kv base) {
  sn_inner *x = b->inner;
  SN_GROW(b->c->arena, x->at, x->count, x->capacity);
  x->at[x->count] = (struct sn_inner_slot){type, buffer, base};
  return SN_LOWER_INNER + x->count++;
}

int sn_inner_local(sn_build_kernel *b, const sn_type *type) {
  enum { MOST = 1 << 24 };
  int64_t n = sn_dimx_max_value(sn_type_count(b->c->types, type));
  if (n <= MOST) return sn_inner_add(b, type, sn_k_local(b->k, type->elem, n < 1 ? 1 : n), 0);
  if (!b->c->failed)
    b->c->failed =
        sn_lower_fail(b->c, "a value inside an instance has up to %lld elements, at most %d fit", (long long)n, MOST);
  return 0;
}

static const struct sn_inner_slot *inner_slot(const sn_build_kernel *b, int slot) {
  return slot >= SN_LOWER_INNER ? &b->inner->at[(slot & ~SN_LOWER_WORDS) - SN_LOWER_INNER] : NULL;
}

sn_kv sn_build_offset(const sn_build_kernel *b, int slot, sn_kv off) {
  const struct sn_inner_slot *x = inner_slot(b, slot);
  return x && x->base ? sn_k_iadd(b->k, off, x->base) : off;
}

sn_kv sn_build_buffer(const sn_build_kernel *b, int slot) {
  const struct sn_inner_slot *x = inner_slot(b, slot);
  if (x) return x->buffer;
  for (int i = 0; i < b->buffer_count; i++)
    if (b->buffer[i].slot == slot) return b->buffer[i].value;
  return 0;
}

/* ---- index values ------------------------------------------------------------------------------------------ */

static sn_kv from_tree(sn_build_kernel *b, const sn_dimx_tree *t) { /* table */
  if (t->kind == SN_DIMX_CONST) return sn_k_i(b->k, t->value);
  if (t->kind == SN_DIMX_SYMBOL) return b->symbol[t->value];
  sn_kv x = from_tree(b, t->a), y = from_tree(b, t->b);
  switch (t->kind) {
    case SN_DIMX_ADD: return sn_k_iadd(b->k, x, y);
    case SN_DIMX_MUL: return sn_k_imul(b->k, x, y);
    case SN_DIMX_FLOORDIV: return sn_k_ibin(b->k, SN_K_IDIV, x, y);
    case SN_DIMX_MOD: return sn_k_ibin(b->k, SN_K_IMOD, x, y);
    case SN_DIMX_MIN: return sn_k_ibin(b->k, SN_K_IMIN, x, y);
    default: return sn_k_ibin(b->k, SN_K_IMAX, x, y);
  }
}

sn_kv sn_build_dim(sn_build_kernel *b, const sn_dimx *d) { return from_tree(b, sn_dimx_as_tree(b->c->types, d)); }

void sn_build_grid(sn_build_kernel *b, int count, const sn_dimx *e0, const sn_dimx *e1, const sn_dimx *e2) {
  b->grid_count = count;
  b->grid[0] = e0, b->grid[1] = count > 1 ? e1 : NULL, b->grid[2] = count > 2 ? e2 : NULL;
  sn_kv g[3] = {0};
  for (int i = 0; i < count; i++) g[i] = sn_build_dim(b, b->grid[i]);
  if (b->c->inside) {
    for (int i = 0; i < count; i++) {
      b->loop[i] = !sn_dimx_is_one(b->grid[i]);
      b->id[i] = b->loop[i] ? sn_k_for(b->k, sn_k_i(b->k, 0), g[i], 1, 0, NULL) : sn_k_i(b->k, 0);
    }
    return;
  }
  sn_kernel_grid(b->k, count, g[0], g[1], g[2]);
}

sn_kv sn_build_id(const sn_build_kernel *b, int i) { return b->c->inside ? b->id[i] : sn_k_gid(b->k, i); }

sn_kv sn_build_address(sn_build_kernel *b, const sn_view *v, const sn_kv *coordinate) {
  sn_kv sum = sn_build_dim(b, v->offset);
  for (int i = 0; i < v->rank; i++) {
    if (!coordinate[i] || sn_dimx_is_zero(v->stride[i])) continue;
    sn_kv stride = sn_build_dim(b, v->stride[i]);
    sum = sn_k_iadd(b->k, sum, sn_k_imul(b->k, coordinate[i], stride));
  }
  return sum;
}

sn_kv sn_build_limit(sn_build_kernel *b, const sn_dimx *extent, int block, sn_kv at) {
  int64_t divisor = sn_dimx_divisor(extent);
  bool may_be_empty = sn_dimx_min_value(extent) < 1 && sn_dimx_max_value(extent) <= block; /* in its one tile */
  if ((block == 1 || divisor % block == 0) && !may_be_empty) return 0;
  sn_kv e = sn_build_dim(b, extent);
  return sn_k_isub(b->k, e, at);
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

static const char *body_ops(const sn_lower_ctx *c) {
  sn_text t = sn_text_begin(c->plan->arena);
  for (int i = 0; i < c->body->node_count; i++) {
    const sn_node *n = c->body->node[i];
    sn_op_class cls = sn_op_get(n->op)->cls;
    if (cls == SN_CLASS_LEAF || cls == SN_CLASS_VIEW) continue;
    sn_text_add(&t, "%s%s", t.count ? " " : "", sn_node_called(c->plan->arena, n));
  }
  if (!t.count) sn_text_add(&t, "copy");
  return t.at;
}

const char *sn_build_where(const sn_lower_ctx *c) {
  const sn_origin *o = &c->fused->origin;
  if (o->layer) return o->layer;
  if (o->loc_count && o->locs[0].file)
    return sn_arena_printf(c->plan->arena, "%s:%d", o->locs[0].file, o->locs[0].line);
  return NULL;
}

static sn_plan_arg arg_of(const sn_build_kernel *b, int i) {
  if (i < b->buffer_count) return (sn_plan_arg){true, b->buffer[i].slot & ~SN_LOWER_WORDS};
  int symbol = 0;
  for (int left = i - b->buffer_count; !b->symbol[symbol] || left--; symbol++) continue;
  return (sn_plan_arg){false, symbol};
}

/* A body inside an instance ends with its loops. */
static void end_inside(sn_build_kernel *b) {
  for (int i = b->grid_count - 1; i >= 0; i--)
    if (b->loop[i]) sn_k_end_for(b->k, 0, NULL);
}

/* Those that add to what lies in the result say so. */
static const char *step_ops(const sn_build_kernel *b, const sn_report *report) {
  const sn_lower_ctx *c = b->c;
  const char *ops = report->ops ? report->ops : body_ops(c);
  for (int i = 0; i < b->buffer_count && c->accumulates; i++)
    if (b->buffer[i].slot == c->result_slot[0] && b->buffer[i].role == SN_K_INOUT)
      return sn_arena_printf(c->plan->arena, "%s, accumulated", ops);
  return ops;
}

sn_code sn_build_kernel_end(sn_build_kernel *b, const sn_report *report) {
  sn_lower_ctx *c = b->c;
  if (c->failed) return c->failed;
  if (c->inside) return end_inside(b), SN_OK;
  if (c->trial && !report->prepare) {
    c->trial->kernel = sn_kernel_finish(c->arena, b->k);
    c->trial->kernels++;
    return SN_OK;
  }
  sn_step s = {.kind = SN_STEP_LAUNCH, .arg_count = b->k->param_count, .from = -1, .to = -1};
  sn_plan_arg arg[SN_K_PARAMS];
  for (int i = 0; i < s.arg_count; i++) arg[i] = arg_of(b, i);
  for (int i = 0; i < b->buffer_count; i++)
    if (b->buffer[i].role != SN_K_IN) s.writes |= UINT64_C(1) << i;
  s.arg = arg;
  memcpy(s.grid, b->grid, sizeof s.grid);
  s.kind_name = report->kind ? report->kind : sn_node_attr(c->fused, "kind")->s;
  s.ops = step_ops(b, report);
  s.where = sn_build_where(c);
  const sn_dimx *zero = sn_dimx_const(c->types, 0);
  s.flops = report->flops ? report->flops : zero;
  s.bytes_read = report->bytes_read ? report->bytes_read : zero;
  s.bytes_written = report->bytes_written ? report->bytes_written : zero;
  SN_TRY(sn_assemble_kernel(c->plan, b->k, &s.code));
  sn_assemble_step(c->plan, &s, report->prepare);
  return SN_OK;
}
