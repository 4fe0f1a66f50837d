/* Columns of a product that no run changes, packed once after weights were loaded: panels [columns / bn][summed][bn],
 * zero padded; in pairs of rows where the target multiplies pairs. What is i8 in memory and multiplied in f32 stays i8:
 * few rows take the time of reading it, and backends widen it on the way. */
#include "passes/lower/contract.h"
#include "passes/plan/assemble.h"

enum { PACK_ROWS = 256 };

/* The frozen parameter under an operand, or what was made of such: its slot, -1 when the operand is anything else. */
static int frozen_slot(const sn_contraction *k, const sn_group *g) {
  int slot = -1;
  for (int i = 0; i < g->access_count; i++) {
    const sn_access *a = &g->access[i];
    if (a->kind != SN_ACCESS_BUFFER || slot >= 0) return -1;
    slot = k->c->arg_slot[sn_node_attr(sn_node_of(g->f, a->value), "index")->i];
  }
  if (slot < 0) return -1;
  const sn_slot *s = &k->c->plan->slot[slot];
  return s->role == SN_SLOT_PACKED || (s->role == SN_SLOT_PARAM && s->frozen) ? slot : -1;
}

/* The next cast at or below v of the operand with the columns; NULL: what lies in memory. */
static const sn_node *cast_below(const sn_contraction *k, sn_val v) {
  const sn_node *n = sn_node_of(k->b.f, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(k->b.f, n->arg[0]);
  return n->op == SN_OP_CAST ? n : NULL;
}

/* i8 where the operand is nothing but numbers of i8, widened */
static sn_elem panel_elem(const sn_contraction *k, int from) {
  const sn_node *cast = cast_below(k, k->b.anchor);
  bool widened = cast && cast->type[0]->elem == SN_ELEM_F32 && !cast_below(k, cast->arg[0]);
  bool narrow = k->c->plan->slot[from].type->elem == SN_ELEM_I8 && k->elem == SN_ELEM_F32;
  return narrow && widened ? SN_ELEM_I8 : k->elem;
}

bool sn_contract_may_pack(const sn_contraction *k) {
  int64_t n;
  if (!k->c->target->packed_b || k->c->inside || k->col < 0 || k->sum < 0 || frozen_slot(k, &k->b) < 0) return false;
  if (k->elem != SN_ELEM_F32 && k->elem != SN_ELEM_BF16) return false;
  for (int i = 0; i < k->out.space.rank; i++) {
    bool in_b = k->role[i] == BATCH || k->role[i] == COL || k->role[i] == SUM;
    if (in_b && i != k->col && i != k->sum) return false;
    if ((i == k->col || i == k->sum) && !sn_dimx_is_const(k->out.space.extent[i], &n)) return false;
  }
  return true;
}

static const char *pack_key(const sn_contraction *k, int slot) {
  sn_text t = sn_text_begin(k->c->plan->arena);
  const sn_view *v = NULL;
  for (int i = 0; i < k->b.access_count; i++) v = &k->b.access[i].view;
  sn_text_add(&t, "%d %s %d%s ", slot, sn_elem_name(k->panel), k->bn, k->vnni ? " vnni" : "");
  for (const sn_node *n = cast_below(k, k->b.anchor); n; n = cast_below(k, n->arg[0]))
    sn_text_add(&t, "of %s ", sn_elem_name(n->type[0]->elem));
  sn_dimx_print(&t, v->offset);
  for (int i = 0; i < v->rank; i++) {
    if (i != k->col && i != k->sum) continue;
    sn_text_add(&t, i == k->col ? " col " : " sum ");
    sn_dimx_print(&t, v->extent[i]);
    sn_text_add(&t, ":");
    sn_dimx_print(&t, v->stride[i]);
  }
  return t.at;
}

/* rows of one panel: every row, or (pairs) the even or odd ones, which alternate along the columns. */
static void pack_rows(sn_contraction *k, sn_build_kernel *b, int slot, int odd, sn_kv from) {
  sn_kernel *kk = b->k;
  int64_t depth = 0;
  sn_dimx_is_const(k->out.space.extent[k->sum], &depth);
  int rows = (int)(k->vnni ? (depth + 1 - odd) / 2 : depth), width = k->vnni ? 2 * k->bn : k->bn;
  sn_tile t = {
      .b = b, .g = &k->b, .memo = sn_tile_memo_new(k->c->arena, NULL), .row = k->sum, .col = k->col, .c = k->bn};
  t.r = rows < PACK_ROWS ? rows : PACK_ROWS;
  sn_kv left = sn_k_isub(kk, sn_k_i(kk, rows), from);
  t.at[k->col] = sn_k_imulc(kk, sn_k_gid(kk, 0), k->bn);
  sn_tile_limits(&t);
  t.at[k->sum] = k->vnni ? sn_k_iadd(kk, sn_k_imulc(kk, from, 2), sn_k_i(kk, odd)) : from;
  t.row_limit = rows % t.r ? left : 0;
  sn_view *v = NULL;
  for (int i = 0; i < k->b.access_count; i++) v = &k->b.access[i].view;
  const sn_dimx *stride = v->stride[k->sum];
  if (k->vnni) v->stride[k->sum] = sn_dimx_mul(k->c->types, stride, sn_dimx_const(k->c->types, 2));
  if (k->vnni) t.at[k->sum] = from;
  const sn_dimx *offset = v->offset;
  if (odd) v->offset = sn_dimx_add(k->c->types, offset, stride);
  sn_kv x = sn_contract_operand(k, &t, k->panel);
  v->stride[k->sum] = stride;
  v->offset = offset;
  sn_kv row = sn_k_iadd(kk, sn_k_imul(kk, sn_k_gid(kk, 0), sn_build_dim(b, sn_contract_panel_depth(k))), from);
  sn_kwin w = {.buf = sn_build_buffer(b, slot),
               .off = sn_k_iadd(kk, sn_k_imulc(kk, row, width), sn_k_i(kk, odd)),
               .rs = sn_k_i(kk, width),
               .cs = sn_k_i(kk, k->vnni ? 2 : 1),
               .nr = t.row_limit};
  sn_k_store(kk, w, x);
}

/* The odd row beyond the end of an odd number of rows. */
static void pack_zero_row(sn_contraction *k, sn_build_kernel *b, int slot, int64_t depth) {
  sn_kernel *kk = b->k;
  if (!k->vnni || depth % 2 == 0) return;
  sn_kv last = sn_k_iadd(kk, sn_k_imulc(kk, sn_k_gid(kk, 0), (depth + 1) / 2), sn_k_i(kk, depth / 2));
  sn_kwin w = {.buf = sn_build_buffer(b, slot),
               .off = sn_k_iadd(kk, sn_k_imulc(kk, last, 2 * k->bn), sn_k_i(kk, 1)),
               .cs = sn_k_i(kk, 2)};
  sn_k_store(kk, w, sn_k_const(kk, k->elem, 1, k->bn, 0));
}

static sn_code emit_pack(sn_contraction *k, int from, int to) {
  const sn_buffer_use use[2] = {{from, SN_K_IN}, {to, SN_K_OUT}};
  sn_build_kernel *b = sn_build_kernel_begin(k->c, "pack", 2, use);
  sn_types *t = k->c->types;
  int64_t depth = 0;
  sn_dimx_is_const(k->out.space.extent[k->sum], &depth);
  sn_build_grid(b, 1, sn_contract_ceil(k, k->out.space.extent[k->col], k->bn), NULL, NULL);
  sn_group_forget(&k->b);
  for (int odd = 0; odd <= (k->vnni ? 1 : 0); odd++) {
    int64_t rows = k->vnni ? (depth + 1 - odd) / 2 : depth;
    if (!rows) continue;
    sn_kv at = sn_k_for(b->k, sn_k_i(b->k, 0), sn_k_i(b->k, rows), rows < PACK_ROWS ? rows : PACK_ROWS, 0, NULL);
    pack_rows(k, b, to, odd, at);
    sn_k_end_for(b->k, 0, NULL);
  }
  pack_zero_row(k, b, to, depth);
  sn_group *groups[1] = {&k->b};
  const sn_slot *s = &k->c->plan->slot[to];
  sn_report report = {.kind = "copy", .ops = "pack", .prepare = true};
  report.bytes_read = sn_groups_bytes_read(k->c, 1, groups);
  report.bytes_written = sn_dimx_mul(t, s->elements, sn_dimx_const(t, (int64_t)sn_elem_bytes(k->panel)));
  return sn_build_kernel_end(b, &report);
}

sn_code sn_contract_pack(sn_contraction *k) {
  sn_plan_build *p = k->c->plan;
  sn_types *t = k->c->types;
  int from = frozen_slot(k, &k->b);
  k->vnni = k->c->target->vnni && k->elem == SN_ELEM_BF16;
  if (k->vnni && k->c->target->panel) k->bn = sn_contract_within(k, k->col, k->c->target->panel);
  if (k->vnni) k->bk += k->bk % 2; /* whole pairs; the row beyond the end is zero on both sides */
  k->tb = false;
  k->panel = panel_elem(k, from);
  const char *key = pack_key(k, from);
  const int *known = sn_map_get_str(p->packed, key);
  if (known) {
    k->packed = *known;
    return SN_OK;
  }
  const sn_dimx *dim[3] = {sn_contract_ceil(k, k->out.space.extent[k->col], k->bn), sn_contract_panel_depth(k),
                           sn_dimx_const(t, k->vnni ? 2 * k->bn : k->bn)};
  sn_slot s = {.role = SN_SLOT_PACKED,
               .type = sn_type_of(t, k->panel, 3, dim),
               .graph = -1,
               .first = -1,
               .last = -1,
               .alias = -1,
               .buddy = -1};
  s.name = sn_arena_printf(p->arena, "%s.packed%d", p->slot[from].name, sn_map_count(p->packed));
  s.elements = sn_type_count(t, s.type);
  k->packed = sn_assemble_slot(p, &s);
  sn_map_put_str(p->packed, key, sn_arena_copy(p->arena, &k->packed, sizeof k->packed));
  return emit_pack(k, from, k->packed);
}

/* ---- what a kernel reads ----------------------------------------------------------------------------------------- */

static int operand_buffers(const sn_contraction *k, const sn_group *g, int packed, sn_buffer_use *use, int count) {
  if (packed < 0) return sn_group_buffers(k->c, g, use, count);
  use[count] = (sn_buffer_use){packed, SN_K_IN};
  return count + 1;
}

int sn_contract_buffers(const sn_contraction *k, sn_buffer_use *use) {
  int count = operand_buffers(k, &k->a, k->packed_a, use, 0);
  return operand_buffers(k, &k->b, k->packed, use, count);
}

const sn_dimx *sn_contract_bytes_read(sn_contraction *k, bool epilogue) {
  sn_lower_ctx *c = k->c;
  sn_group *groups[3] = {&k->a, &k->b, &k->out};
  const int packed[2] = {k->packed_a, k->packed};
  const sn_dimx *bytes = sn_groups_bytes_read(c, epilogue ? 3 : 2, groups);
  for (int i = 0; i < 2; i++) {
    if (packed[i] < 0) continue;
    const sn_dimx *size = sn_dimx_const(c->types, (int64_t)sn_elem_bytes(k->panel));
    bytes = sn_dimx_add(c->types, bytes, sn_dimx_mul(c->types, c->plan->slot[packed[i]].elements, size));
  }
  return bytes;
}
