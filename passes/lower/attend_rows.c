/* Products of queries with captured rows whose number is a function of query - key, on one block. The block reads
 * bq + bk - 1 rows, as the difference descends: one product gives each query with all of them, [bq, bq + bk], of which
 * the keys of query i read those from column bq - 1 - i on. Rows of scratch that are read one element further than the
 * row before are the tile [bq, bk]. */
#include "passes/lower/attend.h"
#include "passes/lower/derive.h"

sn_code sn_attend_read_products(sn_attend *a) {
  const sn_attr *products = sn_node_attr(a->node, "products");
  for (int i = 0; i < products->count; i++) {
    sn_val number = i < 4 ? sn_attention_row_number(a->node, (int)products->ints[i]) : 0;
    if (!number) return sn_lower_fail(a->c, "attention: products of queries with rows that no block has side by side");
    a->product[a->product_count].capture = (int)products->ints[i];
    a->product[a->product_count++].number = sn_region_part(a->c, a->score, number);
  }
  return SN_OK;
}

static sn_kv number_tile(const sn_site_block *s, sn_kv index) { return sn_k_isplat(s->b->k, 1, 1, index); }

/* The rows that the differences of the block have, descending: those of queries at the block's first key, that before
 * the first query come after it. [bq + bk, 1] */
static sn_code numbers(const sn_site_block *s, int i, sn_kv *out) {
  sn_kernel *k = s->b->k;
  sn_region_arg arg[SN_ATTEND_CAPTURES + 5];
  int n = 0, width = s->bq + s->bk;
  sn_kv q0 = s->start ? sn_k_iadd(k, s->q0, s->start) : s->q0;
  sn_kv far = number_tile(s, sn_k_iadd(k, q0, sn_k_i(k, s->bq - 1)));
  arg[n++] = (sn_region_arg){.tile = sn_k_const(k, SN_ELEM_F32, 1, 1, 0), .slot = -1};
  const sn_kv at[4] = {number_tile(s, s->batch), number_tile(s, s->head),
                       sn_k_bin(k, SN_K_SUB, far, sn_k_iota(k, width, 1, 0, sn_k_i(k, 0))), number_tile(s, s->k0)};
  for (int j = 0; j < 4; j++) arg[n++] = (sn_region_arg){.tile = at[j], .slot = -1};
  for (int j = 0; j < s->a->capture_count; j++)
    arg[n++] = (sn_region_arg){.slot = s->a->capture[j].slot, .view = s->a->capture[j].view};
  SN_TRY(sn_region_emit(s->b, s->a->product[i].number, n, arg, out));
  *out = sn_k_bcast(k, width, 1, sn_k_cast(k, SN_ELEM_I32, *out));
  return SN_OK;
}

sn_code sn_attend_captured_rows(const sn_site_block *s, int i, sn_kv *out) {
  const sn_attend *a = s->a;
  const sn_operand *o = &a->capture[a->product[i].capture];
  const sn_view *v = &o->view;
  sn_kernel *k = s->b->k;
  int width = s->bq + s->bk, axis = v->rank - 2;
  sn_kv row;
  SN_TRY(numbers(s, i, &row));
  sn_kv last = number_tile(s, sn_k_iadd(k, sn_build_dim(s->b, v->extent[axis]), sn_k_i(k, -1)));
  row = sn_k_binc(k, SN_K_MAX, sn_k_bin(k, SN_K_MIN, row, last), 0); /* beyond the sequence there may be none */
  sn_kv at[SN_VIEW_RANK] = {axis ? s->head : 0};
  sn_kwin w = {.buf = sn_build_buffer(s->b, o->slot),
               .off = sn_build_address(s->b, v, at),
               .rs = sn_build_dim(s->b, v->stride[axis]),
               .cs = sn_build_dim(s->b, v->stride[axis + 1])};
  *out = sn_k_cast(k, SN_ELEM_F32, sn_k_gather(k, width, a->d, w, row, 0));
  return SN_OK;
}

sn_kwin sn_attend_skewed(const sn_site_block *s, sn_kv scratch) {
  sn_kernel *k = s->b->k;
  return (sn_kwin){.buf = scratch, .off = sn_k_i(k, s->bq - 1), .rs = sn_k_i(k, s->bq + s->bk - 1)};
}

static sn_code make_product(const sn_site_block *s, int i) {
  const sn_attend *a = s->a;
  sn_kernel *k = s->b->k;
  int width = s->bq + s->bk;
  sn_kv rows, q = sn_attend_rows(a, s->b, &a->q, s->batch, s->q0, s->head, s->bq, a->d, a->T);
  SN_TRY(sn_attend_captured_rows(s, i, &rows));
  sn_kv all = sn_k_mma(k, sn_k_const(k, SN_ELEM_F32, s->bq, width, 0), q, rows, SN_K_TB);
  sn_k_store(k, (sn_kwin){.buf = s->b->skew, .rs = sn_k_i(k, width)}, all);
  sn_kv tile = sn_k_load(k, s->bq, s->bk, sn_attend_skewed(s, s->b->skew), 0);
  s->b->product[i] = s->keys_major ? sn_k_trans(k, tile) : tile;
  return SN_OK;
}

sn_code sn_attend_make_products(const sn_site_block *s) {
  for (int i = 0; i < s->a->product_count; i++) SN_TRY(make_product(s, i));
  return SN_OK;
}
