/* What the schedules of ops along an axis share: operands on tiles, places of results, buffers and figures. */
#include "passes/lower/along.h"

const sn_dimx *sn_along_extent(const sn_along *x) { return x->g[0]->space.extent[x->axis]; }

static sn_code find_operands(sn_along *x) {
  const sn_func *f = x->c->body;
  for (int i = 0; i < x->n->arg_count && i < SN_ALONG_OPERANDS; i++) {
    x->g[i] = SN_NEW(x->c->arena, sn_group);
    sn_val v = x->n->arg[i];
    if (!sn_group_build_at(x->g[i], x->c->arena, f, f->node_count, f->node, NULL, NULL, v, 1, &v))
      return sn_lower_fail(x->c, "no kernel for `%s`: %s", sn_op_get(x->n->op)->name, x->g[i]->why);
  }
  return SN_OK;
}

/* Every place of every result: one that is joined twice is stored twice. */
static sn_code find_places(sn_along *x) {
  for (int r = 0; r < x->n->result_count; r++) {
    sn_group_output o = {.value = x->n->first + (sn_val)r};
    for (int nth = 0; sn_lower_sink(x->c, o.value, nth, &o.slot, &o.view); nth++) {
      if (x->place_count == SN_ALONG_PLACES)
        return sn_lower_fail(x->c, "`%s` would be stored to more than %d places", sn_op_get(x->n->op)->name,
                             SN_ALONG_PLACES);
      x->place[x->place_count].result = r;
      x->place[x->place_count++].at = o;
    }
  }
  return SN_OK;
}

sn_code sn_along_begin(sn_along *x, sn_lower_ctx *c, const sn_node *n, const char *name) {
  *x = (sn_along){.c = c, .n = n, .axis = (int)sn_node_attr(n, "axis")->i};
  SN_TRY(find_operands(x));
  SN_TRY(find_places(x));
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = 0;
  for (int i = 0; i < n->arg_count; i++) count = sn_group_buffers(c, x->g[i], use, count);
  count = sn_result_buffers(c, use, count);
  x->b = sn_build_kernel_begin(c, sn_kernel_name_of(c, name), count, use);
  x->k = x->b->k;
  x->t = (sn_tile){.b = x->b, .g = x->g[0], .row = -1, .col = -1, .r = 1, .c = 1};
  return c->failed;
}

sn_kv sn_along_value(sn_along *x, int k) {
  sn_tile t = x->t;
  t.g = x->g[k];
  t.memo = sn_tile_memo_new(x->c->arena, NULL);
  sn_kv v = sn_tile_value(&t, t.g->output[0].value, t.g->output[0].chain);
  return sn_k_bcast(x->k, t.r, t.c, v);
}

sn_kv sn_along_exists(const sn_along *x) {
  if (!x->t.col_limit) return 0;
  sn_kv i = sn_k_iota(x->k, 1, x->t.c, 1, sn_k_i(x->k, 0));
  return sn_k_bin(x->k, SN_K_LT, i, sn_k_isplat(x->k, 1, 1, x->t.col_limit));
}

void sn_along_store(sn_along *x, int result, sn_kv value) {
  for (int i = 0; i < x->place_count; i++)
    if (x->place[i].result == result) sn_tile_store(&x->t, &x->place[i].at, value);
}

sn_code sn_along_end(sn_along *x, const sn_dimx *flops) {
  sn_report report = {.kind = "index", .flops = flops, .bytes_written = sn_result_bytes(x->c)};
  report.bytes_read = sn_groups_bytes_read(x->c, x->n->arg_count, x->g);
  return sn_build_kernel_end(x->b, &report);
}
