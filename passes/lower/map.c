/* fused "map" -> one kernel: elementwise work over one space, any number of outputs, views folded into addresses. */
#include "passes/lower/internal.h"

/* An axis along which some operand is contiguous while it is not along the columns: worth rows of its own. */
static int turning_axis(const sn_group *g, int col) {
  for (int i = 0; i < g->access_count; i++) {
    const sn_access *a = &g->access[i];
    if (a->kind != SN_ACCESS_BUFFER || sn_dimx_is_one(a->view.stride[col]) || sn_dimx_is_zero(a->view.stride[col]))
      continue;
    for (int k = 0; k < col; k++)
      if (sn_dimx_is_one(a->view.stride[k])) return k;
  }
  return -1;
}

/* Bytes of the widest elements that are read or written. */
static int widest(const sn_lower_ctx *c, const sn_group *g) {
  size_t most = 1;
  for (int i = 0; i < g->access_count; i++) {
    const sn_access *a = &g->access[i];
    size_t n = sn_elem_bytes(sn_val_type(g->f, a->value)->elem);
    if ((a->kind == SN_ACCESS_BUFFER || a->kind == SN_ACCESS_GATHER) && n > most) most = n;
  }
  for (int i = 0; i < g->output_count; i++) {
    size_t n = sn_elem_bytes(sn_lower_slot_type(c, g->output[i].slot)->elem);
    if (n > most) most = n;
  }
  return (int)most;
}

/* Elements of a tile: where that is a number of bytes, more of narrow ones. */
static int budget_of(const sn_lower_ctx *c, const sn_group *g) {
  const sn_target *t = c->target;
  return t->tile_bytes ? t->tile_bytes / widest(c, g) : t->rows * t->cols;
}

/* Tile extents: long rows where there are any, else several rows; square when something is transposed. */
static void choose_tile(sn_tile *t, int budget) {
  const sn_shape *s = &t->g->space;
  t->col = s->rank - 1;
  t->row = t->col < 0 ? -1 : turning_axis(t->g, t->col);
  bool turn = t->row >= 0;
  if (turn)
    budget = 32 * 32;
  else
    t->row = t->col - 1;
  t->c = t->col < 0 ? 1 : sn_block_for(t->b->c->target, s->extent[t->col], turn ? 32 : budget);
  t->r = t->row < 0 ? 1 : sn_block_of(s->extent[t->row], budget / t->c > 0 ? budget / t->c : 1);
}

static void set_grid(sn_tile *t) {
  sn_axis_block a[SN_VIEW_RANK];
  int n = 0;
  for (int i = 0; i < t->g->space.rank; i++)
    if (i != t->row && i != t->col) a[n++] = (sn_axis_block){.axis = i, .block = 1};
  if (t->row >= 0) a[n++] = (sn_axis_block){.axis = t->row, .block = t->r};
  if (t->col >= 0) a[n++] = (sn_axis_block){.axis = t->col, .block = t->c};
  sn_tile_grid(t, n, a);
}

void sn_tile_limits(sn_tile *t) {
  const sn_shape *s = &t->g->space;
  sn_kv zero = sn_k_i(t->b->k, 0);
  if (t->row >= 0) t->row_limit = sn_build_limit(t->b, s->extent[t->row], t->r, t->at[t->row] ? t->at[t->row] : zero);
  if (t->col >= 0) t->col_limit = sn_build_limit(t->b, s->extent[t->col], t->c, t->at[t->col] ? t->at[t->col] : zero);
}

void sn_tile_outputs(sn_tile *t, const bool *which) {
  sn_group *g = t->g;
  sn_kv *value = SN_ARRAY(g->arena, g->output_count, sn_kv);
  for (int i = 0; i < g->output_count; i++)
    if (!which || which[i]) value[i] = sn_tile_value(t, g->output[i].value, g->output[i].chain);
  for (int i = 0; i < g->output_count; i++)
    if (!which || which[i]) sn_tile_store(t, &g->output[i], value[i]);
}

void sn_group_slots(const sn_lower_ctx *c, sn_group *g) {
  for (int i = 0; i < g->output_count; i++) g->output[i].slot = c->result_slot[i];
}

sn_code sn_map_emit(sn_lower_ctx *c, sn_group *g, const char *name, const sn_report *report) {
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(c, g, use, 0);
  for (int i = 0; i < g->output_count && count < SN_LOWER_BUFFERS; i++)
    use[count++] = (sn_buffer_use){g->output[i].slot, SN_K_OUT};
  sn_build_kernel *b = sn_build_kernel_begin(c, name, count, use);
  sn_tile t = {.b = b, .g = g, .memo = sn_tile_memo_new(c->arena, NULL)};
  sn_group_forget(g);
  choose_tile(&t, sn_wanted(c->want.cols, budget_of(c, g)));
  sn_schedule_made(c, 1, t.r * t.c);
  set_grid(&t);
  sn_tile_limits(&t);
  sn_tile_outputs(&t, NULL);
  sn_report full = *report;
  full.bytes_read = sn_groups_bytes_read(c, 1, &g);
  full.bytes_written = sn_outputs_bytes(c, g);
  return sn_build_kernel_end(b, &full);
}

sn_code sn_lower_map(sn_lower_ctx *c, const sn_node *fused) {
  sn_group g;
  (void)fused;
  if (!sn_group_of_body(&g, c->arena, c->body)) return sn_lower_fail(c, "no map kernel: %s", g.why);
  sn_group_merge(&g);
  sn_group_slots(c, &g);
  sn_report report = {.flops = sn_body_flops(c)};
  return sn_map_emit(c, &g, sn_kernel_name_of(c, "map"), &report);
}
