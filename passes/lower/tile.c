/* Values of a group on one tile of its space: demand driven from the outputs, views folded into addresses. A value that
 * does not vary along rows or columns has extent 1 there; broadcasting is left to the consumer. */
#include "passes/lower/internal.h"

#include "ir/base/rng.h"

typedef struct entry {
  sn_val value;
  const sn_chain *chain;
  sn_kv tile;
} entry;

struct sn_tile_memo {
  sn_arena *arena;
  struct sn_tile_memo *outer;
  int count, capacity;
  entry *at;
};

struct sn_tile_memo *sn_tile_memo_new(sn_arena *arena, struct sn_tile_memo *outer) {
  struct sn_tile_memo *m = SN_NEW(arena, struct sn_tile_memo);
  m->arena = arena;
  m->outer = outer;
  return m;
}

static sn_kv recall(const struct sn_tile_memo *m, sn_val v, const sn_chain *chain) {
  for (; m; m = m->outer)
    for (int i = 0; i < m->count; i++)
      if (m->at[i].value == v && m->at[i].chain == chain) return m->at[i].tile;
  return 0;
}

static sn_kv remember(struct sn_tile_memo *m, sn_val v, const sn_chain *chain, sn_kv tile) {
  SN_GROW(m->arena, m->at, m->count, m->capacity);
  m->at[m->count++] = (entry){v, chain, tile};
  return tile;
}

void sn_tile_remember(sn_tile *t, sn_val v, const sn_chain *chain, sn_kv tile) { remember(t->memo, v, chain, tile); }

/* ---- windows ---------------------------------------------------------------------------------------------- */

static const sn_dimx *row_stride(const sn_tile *t, const sn_view *v) { return t->row < 0 ? NULL : v->stride[t->row]; }
static const sn_dimx *col_stride(const sn_tile *t, const sn_view *v) { return t->col < 0 ? NULL : v->stride[t->col]; }
static bool varies(const sn_dimx *stride) { return stride && !sn_dimx_is_zero(stride); }

/* The window of a view on this tile, and its natural extents. */
static sn_kwin window(sn_tile *t, const sn_view *v, int slot, int *r, int *c) {
  sn_kwin w = {.buf = sn_build_buffer(t->b, slot),
               .off = sn_build_offset(t->b, slot, sn_build_address(t->b, v, t->at))};
  *r = *c = 1;
  if (varies(row_stride(t, v))) {
    *r = t->r;
    w.rs = sn_build_dim(t->b, row_stride(t, v));
    w.nr = t->row_limit;
  }
  if (varies(col_stride(t, v))) {
    *c = t->c;
    w.cs = sn_build_dim(t->b, col_stride(t, v));
    w.nc = t->col_limit;
  }
  return w;
}

/* Do elements lie side by side along the rows rather than the columns? */
static bool is_turned(const sn_tile *t, const sn_view *v, int r, int c) {
  return r > 1 && c > 1 && sn_dimx_is_one(row_stride(t, v)) && !sn_dimx_is_one(col_stride(t, v));
}

static sn_kwin turned(sn_kwin w) {
  return (sn_kwin){.buf = w.buf, .off = w.off, .rs = w.cs, .cs = w.rs, .nr = w.nc, .nc = w.nr};
}

static int slot_of_arg(const sn_tile *t, sn_val v) {
  return t->b->c->arg_slot[sn_node_attr(sn_node_of(t->g->f, v), "index")->i];
}

static sn_kv compute_type(sn_tile *t, sn_kv v) {
  if (t->narrow) return v;
  return sn_k_cast(t->b->k, sn_compute_elem(sn_k_type(t->b->k, v).elem), v);
}

void sn_tile_store(sn_tile *t, const sn_group_output *o, sn_kv value) {
  int r, c;
  sn_kernel *k = t->b->k;
  int before = sn_build_at(t->b, sn_node_of(t->g->f, o->value));
  sn_kwin w = window(t, &o->view, o->slot, &r, &c);
  value = sn_k_cast(k, sn_lower_slot_type(t->b->c, o->slot)->elem, sn_k_bcast(k, r, c, value));
  if (is_turned(t, &o->view, r, c))
    sn_k_store(k, turned(w), sn_k_trans(k, value));
  else
    sn_k_store(k, w, value);
  k->here = before;
}

/* ---- numbers that are affine in the coordinates ------------------------------------------------------------------ */

/* i32: what the address of each element adds to that of the first. 0: nothing. */
static sn_kv steps_along(sn_tile *t, const sn_dimx *stride, int axis) {
  sn_kernel *k = t->b->k;
  int n = axis ? t->c : t->r;
  bool own = axis && t->col_at;
  if (!varies(stride) || (n == 1 && !own)) return 0;
  sn_kv i = own ? t->col_at : sn_k_iota(k, axis ? 1 : n, axis ? n : 1, axis, sn_k_i(k, 0));
  if (sn_dimx_is_one(stride)) return i;
  sn_kv s = sn_k_isplat(k, 1, 1, sn_build_dim(t->b, stride));
  return sn_k_bin(k, SN_K_MUL, i, s);
}

static sn_kv sum_of(sn_kernel *k, sn_kv a, sn_kv b) { return a && b ? sn_k_bin(k, SN_K_ADD, a, b) : a ? a : b; }

static sn_kv address_steps(sn_tile *t, const sn_view *v) {
  sn_kv rows = steps_along(t, row_stride(t, v), 0);
  sn_kv cols = steps_along(t, col_stride(t, v), 1);
  return sum_of(t->b->k, rows, cols);
}

/* Are there numbers along the axis that the type does not hold as they are? */
static bool iota_wraps(const sn_tile *t, const sn_access *a) {
  const sn_type *type = sn_val_type(t->g->f, a->value);
  const sn_node *n = sn_node_of(t->g->f, a->value);
  int64_t most = sn_dimx_max_value(type->dim[sn_node_attr(n, "axis")->i]);
  return type->elem != sn_compute_elem(type->elem) && most > 128; /* i8 holds 127, bf16 256 */
}

static sn_kv emit_iota(sn_tile *t, const sn_access *a) {
  sn_kernel *k = t->b->k;
  sn_kv base = sn_build_address(t->b, &a->view, t->at), x;
  bool by_row = varies(row_stride(t, &a->view)), by_col = varies(col_stride(t, &a->view));
  if (by_row && !by_col && sn_dimx_is_one(row_stride(t, &a->view)))
    x = sn_k_iota(k, t->r, 1, 0, base);
  else if (by_col && !by_row && sn_dimx_is_one(col_stride(t, &a->view)))
    x = sn_k_iota(k, 1, t->c, 1, base);
  else {
    sn_kv first = sn_k_isplat(k, 1, 1, base);
    x = sum_of(k, first, address_steps(t, &a->view));
  }
  sn_elem e = sn_val_type(t->g->f, a->value)->elem;
  if (iota_wraps(t, a)) x = sn_k_cast(k, e, x);
  return sn_k_cast(k, sn_compute_elem(e), x);
}

/* Low and high words of the element numbers. */
static void element_words(sn_tile *t, const sn_access *a, sn_kv *low, sn_kv *high) {
  sn_kernel *k = t->b->k;
  sn_kv base = sn_build_address(t->b, &a->view, t->at), steps = address_steps(t, &a->view);
  sn_kv first = sn_k_isplat(k, 1, 1, base);
  *low = sum_of(k, first, steps);
  const sn_dimx *count = sn_type_count(t->b->c->types, sn_val_type(t->g->f, a->value));
  if (sn_dimx_max_value(count) <= INT64_C(0x7fffffff)) {
    *high = sn_k_const(k, SN_ELEM_I32, 1, 1, 0);
    return;
  }
  *high = sn_k_isplat(k, 1, 1, sn_k_ibin(k, SN_K_IDIV, base, sn_k_i(k, INT64_C(1) << 32)));
  if (!steps) return;
  sn_kv flip = sn_k_const(k, SN_ELEM_I32, 1, 1, INT32_MIN); /* unsigned order */
  sn_kv sum = sn_k_bin(k, SN_K_XOR, *low, flip);
  sn_kv start = sn_k_bin(k, SN_K_XOR, first, flip);
  sn_kv carry = sn_k_cast(k, SN_ELEM_I32, sn_k_bin(k, SN_K_LT, sum, start));
  *high = sn_k_bin(k, SN_K_ADD, *high, carry);
}

static sn_kv load_word(sn_tile *t, sn_kv buffer, int i) {
  return sn_k_load(t->b->k, 1, 1, (sn_kwin){.buf = buffer, .off = sn_k_i(t->b->k, i)}, 0);
}

static sn_kv emit_uniform(sn_tile *t, const sn_node *n, const sn_access *a, const sn_chain *chain) {
  sn_kernel *k = t->b->k;
  sn_kv low, high, seed_low, seed_high;
  sn_shape out = sn_shape_of(n->type[0]);
  sn_step_map m = {.op = SN_OP_BROADCAST, .to = out};
  const sn_chain *scalar = sn_chain_add(&t->g->chains, &m, chain);
  element_words(t, a, &low, &high);
  sn_kv words = sn_node_of(t->g->f, n->arg[0])->op == SN_OP_ARG
                    ? sn_build_buffer(t->b, slot_of_arg(t, n->arg[0]) | SN_LOWER_WORDS)
                    : 0;
  if (words) {
    sn_group_access(t->g, SN_ACCESS_BUFFER, n->arg[0], scalar)->used = true;
    seed_low = load_word(t, words, 0);
    seed_high = load_word(t, words, 1);
  } else {
    seed_low = sn_k_cast(k, SN_ELEM_I32, sn_tile_value(t, n->arg[0], scalar));
    seed_high = sn_k_binc(k, SN_K_SAR, seed_low, 31);
  }
  sn_kv step = sn_tile_value(t, n->arg[1], scalar);
  return sn_uniform_emit(t->b, sn_stream_of(sn_node_attr(n, "stream")->s), seed_low, seed_high, step, low, high);
}

/* ---- indexing ---------------------------------------------------------------------------------------------------- */

/* Row number within the table: an index out of range never reads outside. */
static sn_kv clamped(sn_tile *t, sn_kv x, const sn_dimx *extent) {
  sn_kernel *k = t->b->k;
  x = sn_k_cast(k, SN_ELEM_I32, x);
  sn_kv last = sn_k_isplat(k, 1, 1, sn_k_iadd(k, sn_build_dim(t->b, extent), sn_k_i(k, -1)));
  x = sn_k_bin(k, SN_K_MIN, x, last);
  return sn_k_binc(k, SN_K_MAX, x, 0);
}

static int table_slot(sn_tile *t, sn_access *a) {
  a->used = true;
  return slot_of_arg(t, a->base);
}

/* One index per row of the tile: rows of a table. */
static sn_kv gather_rows(sn_tile *t, sn_access *a, sn_kv index, int r) {
  sn_kernel *k = t->b->k;
  int unused, c;
  sn_kwin w = window(t, &a->view, table_slot(t, a), &unused, &c);
  w.rs = sn_build_dim(t->b, a->row[0]);
  w.nr = r > 1 ? t->row_limit : 0;
  return compute_type(t, sn_k_gather(k, r, c, w, sn_k_bcast(k, r, 1, index), t->pad));
}

/* Elements that lie these steps behind the first one. */
static sn_kv load_points(sn_tile *t, const sn_view *v, int slot, sn_kv address) {
  sn_kernel *k = t->b->k;
  sn_ktype type = sn_k_type(k, address);
  sn_kwin w = {.buf = sn_build_buffer(t->b, slot),
               .off = sn_build_offset(t->b, slot, sn_build_address(t->b, v, t->at)),
               .rs = sn_k_i(k, 1),
               .cs = sn_k_i(k, 0)};
  w.nr = type.r > 1 ? t->row_limit : 0;
  w.nc = type.c > 1 ? t->col_limit : 0;
  return compute_type(t, sn_k_gather(k, type.r, type.c, w, address, t->pad));
}

/* An address per element. */
static sn_kv gather_points(sn_tile *t, sn_access *a, int count, const sn_kv *index) {
  sn_kernel *k = t->b->k;
  sn_kv address = address_steps(t, &a->view);
  for (int i = 0; i < count; i++) {
    sn_kv stride = sn_k_isplat(k, 1, 1, sn_build_dim(t->b, a->row[i]));
    address = sum_of(k, sn_k_bin(k, SN_K_MUL, index[i], stride), address);
  }
  return load_points(t, &a->view, table_slot(t, a), address);
}

/* A start that the kernel can load as an index makes a plain window. */
static sn_kv uniform_start(sn_tile *t, sn_val v, const sn_chain *chain) {
  sn_access *a = sn_group_access(t->g, SN_ACCESS_BUFFER, v, chain);
  if (!a || sn_val_type(t->g->f, v)->elem != SN_ELEM_I32 || varies(row_stride(t, &a->view)) ||
      varies(col_stride(t, &a->view)))
    return 0;
  int slot = slot_of_arg(t, v);
  sn_kv buffer = sn_build_buffer(t->b, slot);
  const sn_kins *x = sn_k_ins(t->b->k, buffer);
  if (x->op != SN_K_PARAM || t->b->k->param[x->i].role != SN_K_IN) return 0;
  a->used = true;
  return sn_k_iload(t->b->k, buffer, sn_build_offset(t->b, slot, sn_build_address(t->b, &a->view, t->at)));
}

static sn_kv load_at_start(sn_tile *t, sn_access *a, sn_kv start) {
  sn_kernel *k = t->b->k;
  int r, c;
  sn_kwin w = window(t, &a->view, table_slot(t, a), &r, &c);
  sn_kv last = sn_k_iadd(k, sn_build_dim(t->b, a->rows[0]), sn_k_i(k, -1));
  start = sn_k_ibin(k, SN_K_IMAX, sn_k_ibin(k, SN_K_IMIN, start, last), sn_k_i(k, 0));
  w.off = sn_k_iadd(k, w.off, sn_k_imul(k, start, sn_build_dim(t->b, a->row[0])));
  if (is_turned(t, &a->view, r, c)) return sn_k_trans(k, compute_type(t, sn_k_load(k, c, r, turned(w), t->pad)));
  return compute_type(t, sn_k_load(k, r, c, w, t->pad));
}

static sn_kv emit_gather(sn_tile *t, const sn_node *n, sn_access *a, const sn_chain *chain) {
  sn_kv index[SN_RANK_MAX];
  sn_shape out = sn_shape_of(n->type[0]);
  int count = n->op == SN_OP_INDEX ? n->arg_count - 1 : 1;
  for (int i = 0; i < count; i++) {
    sn_step_map m = {.op = SN_OP_BROADCAST, .from = sn_shape_of(sn_val_type(t->g->f, n->arg[i + 1])), .to = out};
    for (int j = 0; j < m.from.rank; j++) m.at[j] = j;
    const sn_chain *c = n->op == SN_OP_INDEX ? chain : sn_chain_add(&t->g->chains, &m, chain);
    sn_kv start = count == 1 ? uniform_start(t, n->arg[1], c) : 0;
    if (start) return load_at_start(t, a, start);
    index[i] = clamped(t, sn_tile_value(t, n->arg[i + 1], c), a->rows[i]);
  }
  sn_ktype type = sn_k_type(t->b->k, index[0]);
  if (count == 1 && type.c == 1 && !varies(row_stride(t, &a->view))) return gather_rows(t, a, index[0], type.r);
  return gather_points(t, a, count, index);
}

static sn_kv load(sn_tile *t, const sn_view *v, int slot) {
  int r, c;
  if (t->col_at && varies(col_stride(t, v))) return load_points(t, v, slot, address_steps(t, v));
  sn_kwin w = window(t, v, slot, &r, &c);
  sn_kernel *k = t->b->k;
  if (is_turned(t, v, r, c)) return sn_k_trans(k, compute_type(t, sn_k_load(k, c, r, turned(w), t->pad)));
  return compute_type(t, sn_k_load(k, r, c, w, t->pad));
}

/* ---- values
 * ---------------------------------------------------------------------------------------------------------- */

static sn_kv emit_point(sn_tile *t, const sn_node *n, const sn_chain *chain) {
  sn_kv arg[3] = {0};
  for (int i = 0; i < n->arg_count; i++) arg[i] = sn_tile_value(t, n->arg[i], chain);
  return sn_point_emit(t->b, t->g->f, n, arg);
}

static sn_kv emit_arg(sn_tile *t, sn_val v, sn_access *a) {
  a->used = true;
  return load(t, &a->view, slot_of_arg(t, v));
}

/* The number that the type of a constant holds. */
static double constant(sn_elem e, double x) {
  switch (e) {
    case SN_ELEM_I8: return (double)(int8_t)(uint8_t)(uint64_t)(int64_t)x;
    case SN_ELEM_U8: return (double)(uint8_t)(uint64_t)(int64_t)x;
    default: return sn_elem_nearest(e, x);
  }
}

/* Sums of i8 and u8 wrap, as their elements do. */
static sn_kv emit_inner(sn_tile *t, const sn_node *n, sn_val v) {
  sn_elem e = n->type[0]->elem;
  sn_kv x = t->inner(t, v, t->user);
  return e == SN_ELEM_I8 || e == SN_ELEM_U8 ? sn_point_round(t->b, e, x) : x;
}

static sn_kv emit_value(sn_tile *t, const sn_node *n, sn_val v, const sn_chain *chain) { /* table */
  sn_kernel *k = t->b->k;
  sn_elem e = sn_compute_elem(sn_val_type(t->g->f, v)->elem);
  switch (n->op) {
    case SN_OP_CONST: return sn_k_const(k, e, 1, 1, constant(n->type[0]->elem, sn_node_attr(n, "value")->f));
    case SN_OP_DIM: return sn_k_cast(k, e, sn_k_isplat(k, 1, 1, sn_build_dim(t->b, sn_node_attr(n, "dim")->d)));
    case SN_OP_IOTA: return emit_iota(t, sn_group_access(t->g, SN_ACCESS_IOTA, v, chain));
    case SN_OP_ARG: return emit_arg(t, v, sn_group_access(t->g, SN_ACCESS_BUFFER, v, chain));
    case SN_OP_UNIFORM: return emit_uniform(t, n, sn_group_access(t->g, SN_ACCESS_UNIFORM, v, chain), chain);
    case SN_OP_GATHER:
    case SN_OP_INDEX:
    case SN_OP_DYN_SLICE: return emit_gather(t, n, sn_group_access(t->g, SN_ACCESS_GATHER, v, chain), chain);
    case SN_OP_CONTRACT: return emit_inner(t, n, v);
    default: break;
  }
  return sn_op_get(n->op)->cls == SN_CLASS_REDUCE ? emit_inner(t, n, v) : emit_point(t, n, chain);
}

sn_kv sn_tile_value(sn_tile *t, sn_val v, const sn_chain *chain) {
  const sn_node *n = sn_node_of(t->g->f, v);
  sn_step_map m;
  sn_kv known = recall(t->memo, v, chain);
  if (known) return known;
  if (sn_op_get(n->op)->cls == SN_CLASS_VIEW && sn_step_of(t->g->f, n, false, &m))
    return sn_tile_value(t, n->arg[0], sn_chain_add(&t->g->chains, &m, chain));
  int before = sn_build_at(t->b, n);
  sn_kv tile = emit_value(t, n, v, chain);
  t->b->k->here = before;
  return remember(t->memo, v, chain, tile);
}
