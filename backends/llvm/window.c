/* Memory of tiles: windows of buffers with limits, and slots of the workspace.
 * A window element (r, c) is buf[off + r*rs + c*cs]. Rows in which all columns are valid are plain vector loads; limits
 * become masks, or for vectors that the level cannot mask, addresses of spare memory. */
#include "backends/llvm/cg.h"

ll_t cg_reg(cg *c, sn_elem e) {
  switch (e) {
    case SN_ELEM_F64: return c->g.f64;
    case SN_ELEM_F32: return c->g.f32;
    case SN_ELEM_BF16:
    case SN_ELEM_F16: return c->g.i16;
    case SN_ELEM_I64: return c->g.i64;
    case SN_ELEM_I32: return c->g.i32;
    case SN_ELEM_BOOL: return c->g.i1;
    default: return c->g.i8;
  }
}
ll_t cg_mem(cg *c, sn_elem e) { return e == SN_ELEM_BOOL ? c->g.i8 : cg_reg(c, e); }

static ll_v from_memory(cg *c, sn_elem e, ll_v v) {
  if (e != SN_ELEM_BOOL) return v;
  return ll_icmp(&c->g, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)));
}
static ll_v to_memory(cg *c, sn_elem e, ll_v v) {
  return e == SN_ELEM_BOOL ? LLVMBuildZExt(c->g.b, v, ll_vec(&c->g, c->g.i8), "") : v;
}

ll_v cg_splat_const(cg *c, sn_elem e, double v) {
  ll *g = &c->g;
  switch (e) {
    case SN_ELEM_F64:
    case SN_ELEM_F32: return ll_fconst(g, cg_reg(c, e), v);
    case SN_ELEM_BF16:
    case SN_ELEM_F16:
    case SN_ELEM_F8E4M3:
    case SN_ELEM_F8E5M2: return ll_iconst(g, cg_reg(c, e), sn_elem_pattern(e, v));
    case SN_ELEM_BOOL: return ll_iconst(g, g->i1, v != 0);
    default: return ll_iconst(g, cg_reg(c, e), (int64_t)v);
  }
}

/* ---- positions -------------------------------------------------------------------------------------- */

ll_v cg_row_number(cg *c, sn_ktype t) { return t.r == 1 ? ll_i(&c->g, 0) : c->row; }

ll_v cg_limit32(cg *c, ll_v limit) { return LLVMBuildTrunc(c->g.b, cg_clamp(c, limit, -1, 1 << 30), c->g.i32, ""); }

ll_v cg_column_numbers(cg *c, int j) {
  ll_v lanes = ll_lane_numbers(&c->g, (int64_t)j * c->g.lanes);
  if (!c->col) return lanes;
  return ll_add(&c->g, lanes, ll_splat(&c->g, LLVMBuildTrunc(c->g.b, c->col, c->g.i32, "")));
}

/* is the current row inside the window? NULL: yes */
static ll_v row_valid(cg *c, const sn_kins *x, sn_ktype t) {
  sn_kv limit = x->a[4];
  if (!limit || (c->rows && c->rows->bound == limit) || cg_limit_holds(c, limit, t.r)) return NULL;
  return ll_icmp(&c->g, LLVMIntSLT, cg_row_number(c, t), cg_index(c, limit));
}

/* valid columns of vector j, NULL: all; *some: is there any, NULL: yes */
static ll_v column_mask(cg *c, const sn_kins *x, sn_ktype t, int j, ll_v *some) {
  ll *g = &c->g;
  int lanes = g->lanes;
  bool limited = x->a[5] && !c->unlimited && !cg_limit_holds(c, x->a[5], t.c);
  ll_v end;
  *some = NULL;
  if (c->inside) return NULL;
  if (c->col_end) {
    end = limited ? ll_imin(g, c->col_end, cg_index(c, x->a[5])) : c->col_end;
  } else if (limited) {
    end = ll_imin(g, cg_index(c, x->a[5]), ll_i(g, t.c));
  } else if (!c->col) {
    int left = t.c - j * lanes;
    return left >= lanes ? NULL : ll_first_lanes(g, left > 0 ? left : 0);
  } else {
    if (t.c % lanes == 0) return NULL;
    end = ll_i(g, t.c);
  }
  ll_v first = ll_i(g, (int64_t)j * lanes);
  *some = ll_icmp(g, LLVMIntSLT, c->col ? ll_add(g, c->col, first) : first, end);
  return ll_icmp(g, LLVMIntSLT, cg_column_numbers(c, j), ll_splat(g, cg_limit32(c, end)));
}

static ll_v both(cg *c, ll_v row, ll_v columns) { /* validity of a vector; NULL: all valid */
  if (!row) return columns;
  row = ll_splat(&c->g, row);
  return columns ? ll_and(&c->g, columns, row) : row;
}

/* validity of the one element of a [R,1] window; NULL: valid */
static ll_v scalar_valid(cg *c, const sn_kins *x, sn_ktype t) {
  ll_v row = row_valid(c, x, t);
  if (!x->a[5] || cg_limit_holds(c, x->a[5], 1)) return row;
  ll_v column = ll_icmp(&c->g, LLVMIntSGT, cg_index(c, x->a[5]), ll_i(&c->g, 0));
  return row ? ll_and(&c->g, row, column) : column;
}

/* address of column 0 of the current row, or of the row that a gather names */
static ll_v row_address(cg *c, const sn_kins *x, sn_ktype t, sn_elem e) {
  ll *g = &c->g;
  ll_v bytes = ll_i(g, (int64_t)sn_elem_bytes(e));
  ll_v base = ll_gep(g, cg_buffer(c, x->a[0]), ll_mul(g, cg_index(c, x->a[1]), bytes)), row = cg_row_number(c, t);
  if (x->op == SN_K_GATHER) {
    if (cg_type(c, x->a[6]).c > 1) return base;
    row = LLVMBuildSExt(g->b, ll_lane0(g, cg_get(c, x->a[6], 0)), g->i64, "");
  } else if (t.r == 1) {
    return base;
  }
  return ll_gep(g, base, ll_mul(g, ll_mul(g, row, cg_index(c, x->a[2])), bytes));
}

static bool points(const cg *c, const sn_kins *x) { return x->op == SN_K_GATHER && cg_type(c, x->a[6]).c > 1; }

static ll_v to_column(cg *c, ll_v row, int j, sn_elem e) { /* unit column stride */
  int64_t bytes = (int64_t)sn_elem_bytes(e);
  if (c->col) row = ll_gep(&c->g, row, ll_mul(&c->g, c->col, ll_i(&c->g, bytes)));
  return j ? ll_gep(&c->g, row, ll_i(&c->g, j * bytes * c->g.lanes)) : row;
}

ll_v cg_window_place(cg *c, sn_kv v, int j) {
  const sn_kins *x = cg_ins(c, v);
  sn_elem e = cg_type(c, x->a[0]).elem;
  return to_column(c, row_address(c, x, cg_shape(c->k, v), e), j, e);
}

/* one address per lane: columns further apart than one element, or a point per element */
static ll_v lane_addresses(cg *c, const sn_kins *x, ll_v row, int j, sn_elem e) {
  ll *g = &c->g;
  ll_t wide = ll_vec(g, g->i64);
  ll_v number = points(c, x) ? cg_get(c, x->a[6], j) : cg_column_numbers(c, j);
  ll_v step = ll_mul(g, cg_index(c, x->a[points(c, x) ? 2 : 3]), ll_i(g, (int64_t)sn_elem_bytes(e)));
  ll_v offset = ll_mul(g, LLVMBuildSExt(g->b, number, wide, ""), ll_splat(g, step));
  return LLVMBuildGEP2(g->b, g->i8, row, &offset, 1, "");
}

/* addresses of invalid lanes become spare memory, so that no mask is needed */
static ll_v spare_lanes(cg *c, ll_v addresses, ll_v mask) {
  if (!mask) return addresses;
  return ll_select(&c->g, mask, addresses, ll_splat(&c->g, cg_ws_at(c, c->spare)));
}

static ll_v consecutive(cg *c, ll_v p, sn_elem e) { /* addresses of the lanes of one vector */
  ll_v offsets[LL_LANES];
  for (int i = 0; i < c->g.lanes; i++) offsets[i] = ll_i(&c->g, i * (int64_t)sn_elem_bytes(e));
  ll_v offset = LLVMConstVector(offsets, (unsigned)c->g.lanes);
  return LLVMBuildGEP2(c->g.b, c->g.i8, p, &offset, 1, "");
}

/* may a masked access of this type be emitted as such? constant masks always may */
static bool can_mask(const cg *c, sn_elem e, ll_v mask) {
  return c->g.isa.masks || LLVMIsConstant(mask) || (c->g.isa.level >= SN_ISA_AVX2 && sn_elem_bytes(e) >= 4);
}

static bool unit_columns(const cg *c, const sn_kins *x) {
  int64_t cs;
  return !points(c, x) && sn_k_is_const(c->k, x->a[3], &cs) && cs == 1;
}
static bool one_column(const cg *c, const sn_kins *x) { /* every column is the same element */
  int64_t cs;
  return !points(c, x) && sn_k_is_const(c->k, x->a[3], &cs) && cs == 0;
}

/* ---- windows ---------------------------------------------------------------------------------------- */

static ll_v and_valid(cg *c, ll_v a, ll_v b) { return a && b ? ll_and(&c->g, a, b) : a ? a : b; }

/* Vectors outside of the window are addressed in spare memory: masks would do, but a masked access of an unmapped page,
 * though it does not fault, costs hundreds of cycles. */
static ll_v valid_or_spare(cg *c, ll_v valid, ll_v p) {
  return valid ? ll_select(&c->g, valid, p, cg_ws_at(c, c->spare)) : p;
}

static ll_v plain_load(cg *c, const sn_kins *x, ll_t t, ll_v p, sn_elem e) {
  int align = (int)sn_elem_bytes(e);
  return cg_buffer_role(c->k, x->a[0]) == SN_K_IN ? ll_load_invariant(&c->g, t, p, align) : ll_load(&c->g, t, p, align);
}

static ll_v load_scalar(cg *c, const sn_kins *x, ll_v p, ll_v valid, sn_elem e) {
  ll *g = &c->g;
  if (!valid) return from_memory(c, e, ll_splat(g, plain_load(c, x, cg_mem(c, e), p, e)));
  ll_v v = ll_load(g, cg_mem(c, e), valid_or_spare(c, valid, p), (int)sn_elem_bytes(e));
  v = from_memory(c, e, ll_splat(g, v));
  return ll_select(g, ll_splat(g, valid), v, cg_splat_const(c, e, x->f));
}

static ll_v gather_lanes(cg *c, const sn_kins *x, ll_v addresses, ll_v mask, sn_elem e) {
  ll *g = &c->g;
  ll_t t = ll_vec(g, cg_mem(c, e));
  ll_v all = ll_first_lanes(g, g->lanes);
  ll_v v = ll_gather(g, t, spare_lanes(c, addresses, mask), (int)sn_elem_bytes(e), all, LLVMGetPoison(t));
  v = from_memory(c, e, v);
  return mask ? ll_select(g, mask, v, cg_splat_const(c, e, x->f)) : v;
}

/* Validity of a vector; NULL: valid. */
typedef struct validity {
  ll_v row, columns; /* of the row; of each column */
  ll_v some;         /* of any column */
} validity;

static validity validity_of(cg *c, const sn_kins *x, sn_ktype t, int j) {
  validity v = {.row = row_valid(c, x, t)};
  v.columns = column_mask(c, x, t, j, &v.some);
  return v;
}

/* one vector of consecutive elements */
static ll_v load_vector(cg *c, const sn_kins *x, ll_v p, validity is, sn_elem e) {
  ll *g = &c->g;
  ll_t t = ll_vec(g, cg_mem(c, e));
  int align = (int)sn_elem_bytes(e);
  ll_v pad = cg_splat_const(c, e, x->f), v;
  if (!is.columns && !is.row) return from_memory(c, e, plain_load(c, x, t, p, e));
  p = valid_or_spare(c, and_valid(c, is.row, is.some), p);
  v = is.columns ? ll_masked_load(g, t, p, align, is.columns, to_memory(c, e, pad)) : ll_load(g, t, p, align);
  v = from_memory(c, e, v);
  return is.row ? ll_select(g, ll_splat(g, is.row), v, pad) : v;
}

ll_v cg_load_window(cg *c, sn_kv id, int j) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, id);
  sn_ktype t = x->type;
  sn_elem e = t.elem;
  ll_v p = row_address(c, x, t, e);
  if (t.c == 1) return load_scalar(c, x, p, scalar_valid(c, x, t), e);
  validity is = validity_of(c, x, t, j);
  if (one_column(c, x)) {
    ll_v v = load_scalar(c, x, p, is.row, e);
    return is.columns ? ll_select(g, is.columns, v, cg_splat_const(c, e, x->f)) : v;
  }
  if (!unit_columns(c, x)) return gather_lanes(c, x, lane_addresses(c, x, p, j, e), both(c, is.row, is.columns), e);
  p = to_column(c, p, j, e);
  if (!is.columns || can_mask(c, e, is.columns)) return load_vector(c, x, p, is, e);
  return gather_lanes(c, x, consecutive(c, p, e), both(c, is.row, is.columns), e);
}

static void store_scalar(cg *c, ll_v value, ll_v p, ll_v valid, sn_elem e) {
  ll_store(&c->g, ll_lane0(&c->g, to_memory(c, e, value)), valid_or_spare(c, valid, p), (int)sn_elem_bytes(e));
}

void cg_store_window(cg *c, sn_kv id, ll_v value, int j) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, id);
  sn_ktype t = cg_type(c, x->a[6]);
  sn_elem e = t.elem;
  int align = (int)sn_elem_bytes(e);
  ll_v p = row_address(c, x, t, e);
  if (t.c == 1) {
    store_scalar(c, value, p, scalar_valid(c, x, t), e);
    return;
  }
  validity is = validity_of(c, x, t, j);
  ll_v columns = is.columns, v = to_memory(c, e, value);
  bool unit = unit_columns(c, x);
  if (unit && (!columns || can_mask(c, e, columns))) {
    p = valid_or_spare(c, and_valid(c, is.row, is.some), to_column(c, p, j, e));
    if (columns)
      ll_masked_store(g, v, p, align, columns);
    else if (is.row || is.some || !cg_stream_store(c, x, v, p))
      ll_store(g, v, p, align);
    return;
  }
  ll_v to = unit ? consecutive(c, to_column(c, p, j, e), e) : lane_addresses(c, x, p, j, e);
  ll_scatter(g, v, spare_lanes(c, to, both(c, is.row, columns)), align, ll_first_lanes(g, g->lanes));
}

/* ---- slots: row-major, whole vectors, a column vector is contiguous ------------------------------------ */

static ll_v slot_address(cg *c, ll_v base, sn_ktype t, int ld, int j) {
  ll *g = &c->g;
  int64_t bytes = (int64_t)sn_elem_bytes(t.elem);
  ll_v p = t.r == 1 ? base : ll_gep(g, base, ll_mul(g, c->row, ll_i(g, ld * bytes)));
  return t.c == 1 ? p : to_column(c, p, j, t.elem);
}

ll_v cg_slot_load(cg *c, ll_v base, sn_ktype t, int ld, int j) {
  ll_v p = slot_address(c, base, t, ld, j);
  int align = (int)sn_elem_bytes(t.elem);
  if (t.c == 1) return from_memory(c, t.elem, ll_splat(&c->g, ll_load(&c->g, cg_mem(c, t.elem), p, align)));
  return from_memory(c, t.elem, ll_load(&c->g, ll_vec(&c->g, cg_mem(c, t.elem)), p, align));
}

void cg_slot_store(cg *c, ll_v value, ll_v base, sn_ktype t, int ld, int j) {
  ll_v p = slot_address(c, base, t, ld, j), v = to_memory(c, t.elem, value);
  ll_store(&c->g, t.c == 1 ? ll_lane0(&c->g, v) : v, p, (int)sn_elem_bytes(t.elem));
}
