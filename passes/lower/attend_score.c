/* Attention, shared by forward and backward: reading the node, windows of heads, scores with the user's regions inlined
 * on tiles. */
#include <math.h>

#include "passes/lower/attend.h"
#include "passes/lower/derive.h"

#define LOG2E 1.44269504088896340736
#define MASKED \
  (-3e38) /* far below the start value of the running maximum, so that masked entries weigh 0 even in empty rows */

static bool read_operand(sn_lower_ctx *c, sn_val v, sn_operand *out) {
  return sn_lower_source(c, v, &out->slot, &out->view);
}

static bool static_extent(const sn_dimx *d, int *out) {
  int64_t n;
  if (!sn_dimx_is_const(d, &n) || n < 1 || n > 1024) return false;
  *out = (int)n;
  return true;
}

static sn_code read_shapes(sn_lower_ctx *c, sn_attend *a) {
  const sn_type *q = sn_val_type(c->body, a->node->arg[0]), *k = sn_val_type(c->body, a->node->arg[1]);
  const sn_type *v = sn_val_type(c->body, a->node->arg[2]);
  int64_t group;
  int table = sn_attention_layout_of(a->node).pages;
  const sn_type *pages = table < 0 ? NULL : sn_val_type(c->body, a->node->arg[table]);
  a->B = q->dim[0], a->T = q->dim[1], a->H = q->dim[2], a->G = k->dim[2];
  a->S = sn_attention_keys(c->types, k, pages), a->pool = k->dim[0];
  if (pages && !static_extent(k->dim[1], &a->page))
    return sn_lower_fail(c, "attention: pages must have 1 to 1024 rows");
  if (!static_extent(q->dim[3], &a->d) || !static_extent(v->dim[3], &a->e))
    return sn_lower_fail(c, "attention: head sizes must be numbers from 1 to 1024");
  const sn_dimx *ratio = sn_dimx_exact_div(c->types, a->H, a->G);
  if (!ratio || !sn_dimx_is_const(ratio, &group))
    return sn_lower_fail(c, "attention: key heads must divide query heads");
  a->group = (int)group;
  return SN_OK;
}

int sn_attend_page_step(int block, int page) {
  int step = block;
  while (block % step || page % step) step--;
  return step;
}

int sn_attend_block(int block, const sn_dimx *extent) {
  int64_t max = sn_dimx_max_value(extent);
  while (block > 1 && block / 2 >= max) block /= 2;
  return block;
}

sn_code sn_attend_read(sn_lower_ctx *c, sn_attend *a) {
  *a = (sn_attend){.c = c, .node = a->node, .backward = a->node->op == SN_OP_ATTENTION_GRAD};
  const sn_node *n = a->node;
  sn_attention_layout l = sn_attention_layout_of(n);
  int fixed = a->backward ? 6 : 3;
  a->has_start = l.start >= 0, a->has_map = l.map >= 0, a->has_dtotal = l.dtotal >= 0;
  a->capture_count = l.capture_count;
  if (a->capture_count > SN_ATTEND_CAPTURES)
    return sn_lower_fail(c, "attention: more than %d captured tensors", SN_ATTEND_CAPTURES);
  sn_operand *to[] = {&a->q, &a->k, &a->v, &a->y, &a->lse, &a->dy};
  bool ok = true;
  for (int i = 0; i < fixed; i++) ok &= read_operand(c, n->arg[i], to[i]);
  for (int i = 0; i < a->capture_count; i++) ok &= read_operand(c, n->arg[l.first_capture + i], &a->capture[i]);
  if (a->has_start) ok &= read_operand(c, n->arg[l.start], &a->start);
  if (a->has_map) ok &= read_operand(c, n->arg[l.map], &a->map);
  if (l.pages >= 0) ok &= read_operand(c, n->arg[l.pages], &a->pages);
  if (a->has_dtotal) ok &= read_operand(c, n->arg[l.dtotal], &a->dtotal);
  if (!ok) return sn_lower_fail(c, "attention: an operand is not a strided view of a buffer");
  SN_TRY(read_shapes(c, a));
  a->scale = sn_node_attr(n, "scale")->f;
  a->weights = sn_node_attr(n, "weights")->i != 0;
  a->score = sn_node_attr(n, "score")->region;
  a->mask = sn_node_attr(n, "mask")->region;
  a->bq = sn_attend_block(c->target->bq, a->T);
  a->bk = sn_attend_block(a->bq == 1 && c->target->bkv_one ? c->target->bkv_one : c->target->bkv, a->S);
  const sn_attr *blocks = sn_node_attr(n, "blocks");
  if (a->has_map) a->bq = (int)blocks->ints[0], a->bk = (int)blocks->ints[1];
  a->step = a->page ? sn_attend_page_step(a->bk, a->page) : a->bk;
  if (!a->has_map) a->bk = a->step;
  if (a->score) SN_TRY(sn_attend_read_products(a));
  a->slopes = a->backward ? sn_node_attr(n, "slopes")->region : NULL;
  if (a->backward && a->score) SN_TRY(sn_derive_first(c, a->score, &a->dscore));
  return SN_OK;
}

static void use(sn_buffer_use *list, int *count, const sn_operand *o) {
  list[(*count)++] = (sn_buffer_use){o->slot, SN_K_IN};
}

static int uses_of(const sn_attend *a, sn_buffer_use *list) {
  int count = 0;
  use(list, &count, &a->q), use(list, &count, &a->k), use(list, &count, &a->v);
  for (int i = 0; i < a->capture_count; i++) use(list, &count, &a->capture[i]);
  if (a->has_start) use(list, &count, &a->start);
  if (a->has_map) use(list, &count, &a->map);
  if (a->page) use(list, &count, &a->pages);
  return count;
}

int sn_attend_unique(sn_buffer_use *list, int count) {
  int kept = 0;
  for (int i = 0; i < count; i++) {
    bool seen = false;
    for (int j = 0; j < kept; j++) seen |= list[j].slot == list[i].slot && list[j].role == list[i].role;
    if (!seen) list[kept++] = list[i];
  }
  return kept;
}

sn_build_kernel *sn_attend_kernel(const sn_attend *a, const char *name, int count, const sn_buffer_use *more) {
  sn_buffer_use *list = SN_ARRAY(a->c->arena, SN_ATTEND_CAPTURES + 6 + count, sn_buffer_use); /* before they are one */
  int n = uses_of(a, list);
  for (int i = 0; i < count; i++) list[n++] = more[i];
  sn_build_kernel *b = sn_build_kernel_begin(a->c, name, sn_attend_unique(list, n), list);
  if (a->product_count) b->skew = sn_k_local(b->k, SN_ELEM_F32, (int64_t)a->bq * (a->bq + a->bk));
  return b;
}

static sn_kwin window(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row0, sn_kv head, sn_kv limit) {
  sn_kv at[SN_VIEW_RANK] = {batch, row0, head, 0};
  return (sn_kwin){.buf = sn_build_buffer(b, o->slot),
                   .off = sn_build_address(b, &o->view, at),
                   .rs = sn_build_dim(b, o->view.stride[1]),
                   .cs = sn_build_dim(b, o->view.stride[3]),
                   .nr = limit};
}

static sn_kv stored_rows(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row0, sn_kv head, int rows,
                         int cols, const sn_dimx *extent) {
  sn_kv limit = extent ? sn_build_limit(b, extent, rows, row0) : 0;
  return sn_k_load(b->k, rows, cols, window(b, o, batch, row0, head, limit), 0);
}

sn_kv sn_attend_rows(const sn_attend *a, sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row0, sn_kv head,
                     int rows, int cols, const sn_dimx *extent) {
  (void)a;
  return sn_k_cast(b->k, SN_ELEM_F32, stored_rows(b, o, batch, row0, head, rows, cols, extent));
}

sn_kv sn_attend_factor(const sn_attend *a, sn_build_kernel *b, const sn_operand *o, const sn_operand *with, sn_kv batch,
                       sn_kv row0, sn_kv head, int rows, int cols, const sn_dimx *extent) {
  sn_kv tile = stored_rows(b, o, batch, row0, head, rows, cols, extent);
  bool narrow = a->c->target->vnni && sn_k_type(b->k, tile).elem == SN_ELEM_BF16 &&
                sn_lower_slot_type(a->c, with->slot)->elem == SN_ELEM_BF16;
  return narrow ? tile : sn_k_cast(b->k, SN_ELEM_F32, tile);
}

/* The page that holds the keys at s->k0; tables may hold anything. */
static sn_kv page_of(const sn_site_block *s) {
  const sn_attend *a = s->a;
  sn_kernel *k = s->b->k;
  sn_kv at[SN_VIEW_RANK] = {s->batch, sn_k_ibin(k, SN_K_IDIV, s->k0, sn_k_i(k, a->page))};
  sn_kv page = sn_k_iload(k, sn_build_buffer(s->b, a->pages.slot), sn_build_address(s->b, &a->pages.view, at));
  sn_kv last = sn_k_isub(k, sn_build_dim(s->b, a->pool), sn_k_i(k, 1));
  return sn_k_ibin(k, SN_K_IMAX, sn_k_ibin(k, SN_K_IMIN, page, last), sn_k_i(k, 0));
}

sn_kv sn_attend_keys(const sn_site_block *s, const sn_operand *o, const sn_operand *with, sn_kv head, int cols) {
  const sn_attend *a = s->a;
  const sn_dimx *exist = s->whole_keys || a->page ? NULL : a->S;
  sn_kv batch = a->page ? page_of(s) : s->batch, row = s->k0;
  if (a->page) row = sn_k_ibin(s->b->k, SN_K_IMOD, row, sn_k_i(s->b->k, a->page));
  if (with) return sn_attend_factor(a, s->b, o, with, batch, row, head, s->bk, cols, exist);
  return sn_attend_rows(a, s->b, o, batch, row, head, s->bk, cols, exist);
}

void sn_attend_store(const sn_attend *a, sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row0, sn_kv head,
                     const sn_dimx *extent, sn_kv tile) {
  int rows = sn_k_type(b->k, tile).r;
  sn_elem elem = sn_lower_slot_type(a->c, o->slot)->elem;
  sn_kwin w = window(b, o, batch, row0, head, sn_build_limit(b, extent, rows, row0));
  sn_k_store(b->k, w, sn_k_cast(b->k, elem, tile));
}

static sn_kwin head_window(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row, sn_kv head) {
  sn_kwin w = window(b, o, batch, row, head, 0);
  w.rs = sn_build_dim(b, o->view.stride[2]);
  return w;
}

sn_kv sn_attend_heads(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row, sn_kv head, int heads,
                      int cols) {
  return sn_k_cast(b->k, SN_ELEM_F32, sn_k_load(b->k, heads, cols, head_window(b, o, batch, row, head), 0));
}

void sn_attend_store_heads(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row, sn_kv head, sn_kv tile) {
  sn_elem elem = sn_lower_slot_type(b->c, o->slot)->elem;
  sn_k_store(b->k, head_window(b, o, batch, row, head), sn_k_cast(b->k, elem, tile));
}

sn_kv sn_attend_stat(const sn_site_block *s, const sn_operand *o, double pad) {
  sn_build_kernel *b = s->b;
  sn_kv at[SN_VIEW_RANK] = {s->batch, s->head, s->q0}, limit = sn_build_limit(b, s->a->T, s->bq, s->q0);
  sn_kwin w = {.buf = sn_build_buffer(b, o->slot), .off = sn_build_address(b, &o->view, at)};
  sn_kv stride = sn_build_dim(b, o->view.stride[2]);
  if (s->keys_major) {
    w.cs = stride, w.nc = limit;
    return sn_k_load(b->k, 1, s->bq, w, pad);
  }
  w.rs = stride, w.nr = limit;
  return sn_k_load(b->k, s->bq, 1, w, pad);
}

sn_kv sn_attend_start(const sn_site_block *s) {
  const sn_attend *a = s->a;
  if (!a->has_start) return 0;
  sn_kv at[SN_VIEW_RANK] = {a->start.view.rank ? s->batch : 0};
  return sn_k_iload(s->b->k, sn_build_buffer(s->b, a->start.slot), sn_build_address(s->b, &a->start.view, at));
}

/* ---- the site ------------------------------------------------------------------------------------------------ */

static sn_kv key_tile(const sn_site_block *s) {
  return s->keys_major ? sn_k_iota(s->b->k, s->bk, 1, 0, s->k0) : sn_k_iota(s->b->k, 1, s->bk, 1, s->k0);
}

static sn_kv query_tile(const sn_site_block *s) {
  sn_kv base = s->start ? sn_k_iadd(s->b->k, s->q0, s->start) : s->q0;
  if (s->heads) return sn_k_isplat(s->b->k, 1, 1, base);
  return s->keys_major ? sn_k_iota(s->b->k, 1, s->bq, 1, base) : sn_k_iota(s->b->k, s->bq, 1, 0, base);
}

/* Arguments of a region from `first` on: batch, head, q, k, captures. */
static int site_args(const sn_site_block *s, sn_region_arg *arg, int first) {
  sn_kernel *k = s->b->k;
  int n = first;
  arg[n++] = (sn_region_arg){.tile = sn_k_isplat(k, 1, 1, s->batch), .slot = -1};
  sn_kv head = s->heads > 1 ? sn_k_iota(k, s->heads, 1, 0, s->head) : sn_k_isplat(k, 1, 1, s->head);
  arg[n++] = (sn_region_arg){.tile = head, .slot = -1};
  arg[n++] = (sn_region_arg){.tile = query_tile(s), .slot = -1};
  arg[n++] = (sn_region_arg){.tile = key_tile(s), .slot = -1};
  for (int i = 0; i < s->a->capture_count; i++)
    arg[n++] = (sn_region_arg){.slot = s->a->capture[i].slot, .view = s->a->capture[i].view};
  for (int i = 0; i < s->a->product_count; i++) arg[first + 4 + s->a->product[i].capture].element = s->b->product[i];
  return n;
}

static sn_kv mask_out(const sn_site_block *s, sn_kv live, sn_kv x, double hidden) {
  return sn_k_select(s->b->k, live, x, sn_k_const(s->b->k, SN_ELEM_F32, 1, 1, hidden));
}

static sn_code apply_mask(const sn_site_block *s, double hidden, sn_kv *x) {
  const sn_attend *a = s->a;
  sn_kernel *k = s->b->k;
  sn_region_arg arg[SN_ATTEND_CAPTURES + 5];
  if (a->mask) {
    sn_kv live;
    SN_TRY(sn_region_emit(s->b, a->mask, site_args(s, arg, 0), arg, &live));
    *x = mask_out(s, live, *x, hidden);
  }
  if (sn_dimx_divisor(a->S) % s->bk) {
    sn_kv end = sn_k_isplat(k, 1, 1, sn_build_dim(s->b, a->S));
    *x = mask_out(s, sn_k_bin(k, SN_K_LT, key_tile(s), end), *x, hidden);
  }
  return SN_OK;
}

double sn_attend_unit(const sn_attend *a) { return a->score || a->weights ? a->scale : a->scale * LOG2E; }

sn_code sn_attend_scores(const sn_site_block *s, sn_kv products, bool masked, sn_kv *out) {
  sn_region_arg arg[SN_ATTEND_CAPTURES + 5];
  sn_kv score = products;
  SN_TRY(sn_attend_make_products(s));
  if (s->a->score) {
    arg[0] = (sn_region_arg){.tile = products, .slot = -1};
    SN_TRY(sn_region_emit(s->b, s->a->score, site_args(s, arg, 1), arg, &score));
    if (!s->a->weights) score = sn_k_binc(s->b->k, SN_K_MUL, score, LOG2E);
  }
  if (masked) SN_TRY(apply_mask(s, s->a->weights ? 0 : MASKED, &score));
  *out = score;
  return SN_OK;
}

sn_kv sn_attend_own_rows(const sn_site_block *s, sn_kv tile) {
  sn_kernel *k = s->b->k;
  if (sn_dimx_divisor(s->a->T) % s->bq == 0) return tile;
  sn_kv row = s->keys_major ? sn_k_iota(k, 1, s->bq, 1, s->q0) : sn_k_iota(k, s->bq, 1, 0, s->q0);
  return mask_out(s, sn_k_bin(k, SN_K_LT, row, sn_k_isplat(k, 1, 1, sn_build_dim(s->b, s->a->T))), tile, 0);
}

sn_code sn_attend_hide(const sn_site_block *s, bool masked, sn_kv *tile) {
  *tile = sn_attend_own_rows(s, *tile);
  return masked ? apply_mask(s, 0, tile) : SN_OK;
}

sn_code sn_attend_dscores(const sn_site_block *s, sn_kv products, bool masked, sn_kv ds, sn_kv *out) {
  const sn_func *d = s->a->dscore;
  sn_region_arg arg[SN_ATTEND_CAPTURES + 5];
  sn_kv slope;
  *out = ds;
  if (d) {
    arg[0] = (sn_region_arg){.tile = products, .slot = -1};
    SN_TRY(sn_region_emit(s->b, d, site_args(s, arg, 1), arg, &slope));
    *out = sn_k_bin(s->b->k, SN_K_MUL, ds, slope);
  }
  bool steady = !d || sn_val_is_const(d, d->result[0], NULL);
  if (steady && !s->a->weights) return SN_OK; /* the weight is 0 there, and so is ds */
  return sn_attend_hide(s, masked, out);
}

sn_code sn_attend_slopes(const sn_site_block *s, sn_kv products, sn_kv *out) {
  sn_region_arg arg[SN_ATTEND_CAPTURES + 5];
  arg[0] = (sn_region_arg){.tile = products, .slot = -1};
  return sn_region_emit(s->b, s->a->slopes, site_args(s, arg, 1), arg, out);
}

sn_code sn_attend_numbers(const sn_site_block *s, const sn_func *f, sn_kv *out) {
  sn_region_arg arg[SN_ATTEND_CAPTURES + 5];
  arg[0] = (sn_region_arg){.tile = sn_k_const(s->b->k, SN_ELEM_F32, 1, 1, 0), .slot = -1};
  return sn_region_emit(s->b, f, site_args(s, arg, 1), arg, out);
}
