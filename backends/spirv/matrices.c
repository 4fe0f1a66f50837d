/* Products by cooperative matrices of subgroups. The result is cut over the subgroups and stays in matrices while k is
 * walked; it leaves through shared memory, since nobody knows which invocation holds which element of a matrix. */
#include "backends/spirv/product.h"

typedef struct matrices {
  sg *g;
  const sn_kins *x;
  sn_gpu_matrix m;
  sg_grid grid;
  sg_factor a, b;
  spv_id row, col; /* of the first matrix of this subgroup: u32 */
  spv_id type_a, type_b, type_sum;
  spv_id *sum;    /* variables, r * c */
  int leaving;    /* slot */
  uint32_t piece; /* rows that go through it at once */
  bool integers;  /* of bytes, with sums of 32 bits; else floats */
} matrices;

static spv_id matrix_type(sg *g, spv_id component, int rows, int cols, uint32_t use) {
  spv_id scope = spv_u32(g->s, SpvScopeSubgroup), r = spv_u32(g->s, (uint32_t)rows), c = spv_u32(g->s, (uint32_t)cols);
  spv_id role = spv_u32(g->s, use);
  return spv_intern(g->s, SpvOpTypeCooperativeMatrixKHR, 0, 5, (uint32_t[]){component, scope, r, c, role});
}

/* Properties of devices name the sign, and so do the types of matrices; nothing else has it. */
static spv_id signed_int(sg *g, uint32_t bits) { return spv_intern(g->s, SpvOpTypeInt, 0, 2, (uint32_t[]){bits, 1}); }

static spv_id component_of(sg *g, sn_elem e) {
  if (e == SN_ELEM_I8) {
    spv_capability(g->s, SpvCapabilityInt8);
    return signed_int(g, 8);
  }
  if (e == SN_ELEM_F16) return spv_float(g->s, 16);
  spv_capability(g->s, SpvCapabilityBFloat16TypeKHR);
  spv_capability(g->s, SpvCapabilityBFloat16CooperativeMatrixKHR);
  return spv_intern(g->s, SpvOpTypeFloat, 0, 2, (uint32_t[]){16, SpvFPEncodingBFloat16KHR});
}

static void find_place(matrices *p) {
  sg *g = p->g;
  uint32_t cols = (uint32_t)__builtin_ctz(p->grid.cols);
  spv_id r = sg_intc(g, SpvOpShiftRightLogical, g->subgroup, cols);
  spv_id c = sg_intc(g, SpvOpBitwiseAnd, g->subgroup, p->grid.cols - 1);
  p->row = sg_mul(g, r, p->grid.r * (uint32_t)p->m.m);
  p->col = sg_mul(g, c, p->grid.c * (uint32_t)p->m.n);
}

/* ---- the sum: in, out --------------------------------------------------------------------------------------------
 * It goes through shared memory in pieces of rows: those of matrices of some subgroups, and of each invocation some. */

static uint32_t leaving_pitch(const matrices *p) { return (uint32_t)p->x->type.c / 4 * 4 + 4; }

/* Where matrix (i, j) of this subgroup lies in the piece that begins at row `first`. */
static spv_id place_of(matrices *p, uint32_t i, uint32_t j, uint32_t first) {
  sg *g = p->g;
  spv_id r = sg_add(g, p->row, i * (uint32_t)p->m.m - first), c = sg_add(g, p->col, j * (uint32_t)p->m.n);
  spv_id line = sg_mul(g, r, leaving_pitch(p));
  spv_id at = sg_int(g, SpvOpIAdd, line, c);
  return sg_quad(g, p->leaving, at);
}

static spv_id load_matrix(sg *g, spv_id type, spv_id pointer, uint32_t layout, uint32_t pitch) {
  spv_id order = spv_u32(g->s, layout), stride = spv_u32(g->s, pitch);
  return spv_op(g->s, SpvOpCooperativeMatrixLoadKHR, type, 4,
                (uint32_t[]){pointer, order, stride, SpvMemoryAccessNonPrivatePointerMask});
}

static void store_matrix(sg *g, spv_id pointer, spv_id value, uint32_t pitch) {
  spv_id order = spv_u32(g->s, SpvCooperativeMatrixLayoutRowMajorKHR), stride = spv_u32(g->s, pitch);
  spv_do(g->s, SpvOpCooperativeMatrixStoreKHR, 5,
         (uint32_t[]){pointer, value, order, stride, SpvMemoryAccessNonPrivatePointerMask});
}

/* Is row i of matrices of this subgroup in the piece? 0: surely */
static spv_id in_piece(matrices *p, uint32_t i, uint32_t first) {
  sg *g = p->g;
  if (p->piece == (uint32_t)p->x->type.r) return 0;
  spv_id r = sg_add(g, p->row, i * (uint32_t)p->m.m - first);
  return sg_testc(g, SpvOpULessThan, r, p->piece);
}

static void piece_in(matrices *p, uint32_t first) {
  sg *g = p->g;
  for (uint32_t i = 0; i < p->grid.r; i++) {
    spv_id there = in_piece(p, i, first), merge = there ? spv_if(g->s, there) : 0;
    for (uint32_t j = 0; j < p->grid.c; j++) {
      spv_id from = place_of(p, i, j, first);
      spv_id x = load_matrix(g, p->type_sum, from, SpvCooperativeMatrixLayoutRowMajorKHR, leaving_pitch(p) / 4);
      spv_store(g->s, p->sum[i * p->grid.c + j], x, 0);
    }
    if (merge) spv_end_if(g->s, merge);
  }
}

static void piece_out(matrices *p, uint32_t first) {
  sg *g = p->g;
  for (uint32_t i = 0; i < p->grid.r; i++) {
    spv_id there = in_piece(p, i, first), merge = there ? spv_if(g->s, there) : 0;
    for (uint32_t j = 0; j < p->grid.c; j++) {
      spv_id x = spv_load(g->s, p->type_sum, p->sum[i * p->grid.c + j], 0);
      spv_id to = place_of(p, i, j, first);
      store_matrix(g, to, x, leaving_pitch(p) / 4);
    }
    if (merge) spv_end_if(g->s, merge);
  }
}

/* The registers whose rows the piece holds: how many rows of each invocation, and where they lie. */
static uint32_t rows_of(const matrices *p, sg_tile t) { return p->piece == (uint32_t)p->x->type.r ? t.r.per : t.r.vec; }

static spv_id place_of_register(matrices *p, sg_tile t, uint32_t i, uint32_t j, uint32_t first) {
  sg *g = p->g;
  spv_id row = sg_clipped(g, t.r, true, i), col = sg_clipped(g, t.c, false, j);
  row = sg_add(g, row, 0u - first);
  spv_id line = sg_mul(g, row, leaving_pitch(p));
  return sg_int(g, SpvOpIAdd, line, col);
}

/* Columns that are moved at once: four where they lie side by side and none is beyond the tile. */
static uint32_t together(sg_tile t) { return t.c.vec == 4 && sg_padded(t.c) == t.c.extent ? 4 : 1; }

static void registers_out(matrices *p, sg_tile t, uint32_t first, uint32_t from) {
  sg *g = p->g;
  spv_id number = spv_float(g->s, 32);
  uint32_t n = together(t);
  for (uint32_t i = from; i < from + rows_of(p, t); i++)
    for (uint32_t j = 0; j < t.c.per; j += n) {
      spv_id at = place_of_register(p, t, i, j, first), x[4];
      if (n == 4)
        sg_quad_load(g, p->leaving, at, x);
      else
        x[0] = spv_load_shared(g->s, spv_uint(g->s, 32), sg_quad_word(g, p->leaving, at));
      for (uint32_t q = 0; q < n; q++) t.e[i * t.c.per + j + q] = p->integers ? x[q] : sg_bits(g, number, x[q]);
    }
}

static void registers_in(matrices *p, sg_tile t, uint32_t first, uint32_t from) {
  sg *g = p->g;
  spv_id word = spv_uint(g->s, 32), owner = sg_owner(g, t), merge = owner ? spv_if(g->s, owner) : 0;
  for (uint32_t i = from; i < from + rows_of(p, t); i++)
    for (uint32_t j = 0; j < t.c.per; j++) {
      spv_id row = sg_coordinate(g, t.r, true, i), col = sg_coordinate(g, t.c, false, j);
      spv_id row_ok = sg_inside(g, t.r, row), col_ok = sg_inside(g, t.c, col), ok = sg_both(g, row_ok, col_ok);
      spv_id inner = ok ? spv_if(g->s, ok) : 0, at = place_of_register(p, t, i, j, first);
      spv_id x = t.e[i * t.c.per + j], bits = p->integers ? x : sg_bits(g, word, x);
      spv_store_shared(g->s, sg_quad_word(g, p->leaving, at), bits);
      if (inner) spv_end_if(g->s, inner);
    }
  if (merge) spv_end_if(g->s, merge);
}

static void begin(matrices *p) {
  sg *g = p->g;
  const sn_kins *start = sg_ins(g, p->x->a[0]);
  uint32_t n = p->grid.r * p->grid.c, rows = (uint32_t)p->x->type.r;
  p->sum = SN_ARRAY(g->arena, n + 1, spv_id);
  for (uint32_t e = 0; e < n; e++) p->sum[e] = spv_variable(g->s, p->type_sum);
  if (start->op == SN_K_CONST) {
    int32_t whole = p->integers ? (int32_t)start->f : 0;
    spv_id number = p->integers ? spv_intern(g->s, SpvOpConstant, signed_int(g, 32), 1, (uint32_t[]){(uint32_t)whole})
                                : spv_f32(g->s, (float)start->f);
    spv_id all = spv_intern(g->s, SpvOpConstantComposite, p->type_sum, 1, &number);
    for (uint32_t e = 0; e < n; e++) spv_store(g->s, p->sum[e], all, 0);
    return;
  }
  sg_tile t = g->tile[p->x->a[0]];
  for (uint32_t first = 0, from = 0; first < rows; first += p->piece, from += rows_of(p, t)) {
    sg_will(g, -1, -1, p->leaving);
    registers_in(p, t, first, from);
    sg_will(g, p->leaving, -1, -1);
    piece_in(p, first);
  }
}

static sg_tile leave(matrices *p) {
  sg *g = p->g;
  sg_tile y = sg_tile_new(g, p->x->type.r, p->x->type.c);
  for (uint32_t first = 0, from = 0; first < (uint32_t)p->x->type.r; first += p->piece, from += rows_of(p, y)) {
    sg_will(g, -1, -1, p->leaving);
    piece_out(p, first);
    sg_will(g, p->leaving, -1, -1);
    registers_out(p, y, first, from);
  }
  return y;
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

/* Matrix number i along the kept axis of a factor, at step k. side 0: rows of the first, 1: columns of the second. */
static spv_id factor_at(matrices *p, const sg_factor *f, int side, uint32_t i, spv_id k) {
  sg *g = p->g;
  spv_id kept = sg_add(g, side ? p->col : p->row, i * (uint32_t)(side ? p->m.n : p->m.m));
  uint32_t log = f->packed ? (uint32_t)__builtin_ctz(f->packed / 4) : 0; /* elements of a word */
  if (f->k_over_rows)
    kept = log ? sg_intc(g, SpvOpShiftRightLogical, kept, log) : kept;
  else
    k = log ? sg_intc(g, SpvOpShiftRightLogical, k, log) : k;
  spv_id line = sg_mul(g, f->k_over_rows ? k : kept, f->pitch);
  spv_id at = sg_int(g, SpvOpIAdd, line, f->k_over_rows ? kept : k);
  spv_id pointer = f->packed ? sg_quad(g, f->slot, at) : sg_slot_narrow(g, f->slot, at);
  bool rows_first = f->k_over_rows == (side == 1); /* is a row of the matrix a row of the slot? */
  return load_matrix(g, side ? p->type_b : p->type_a, pointer,
                     rows_first ? SpvCooperativeMatrixLayoutRowMajorKHR : SpvCooperativeMatrixLayoutColumnMajorKHR,
                     g->slot[f->slot].array == SG_QUADS ? f->pitch / 4 : f->pitch);
}

enum {
  SIGNED = SpvCooperativeMatrixOperandsMatrixASignedComponentsKHRMask |
           SpvCooperativeMatrixOperandsMatrixBSignedComponentsKHRMask |
           SpvCooperativeMatrixOperandsMatrixCSignedComponentsKHRMask |
           SpvCooperativeMatrixOperandsMatrixResultSignedComponentsKHRMask
};

static void one_step(matrices *p, spv_id k_a, spv_id k_b) {
  sg *g = p->g;
  spv_id *b = SN_ARRAY(g->arena, p->grid.c + 1, spv_id);
  for (uint32_t j = 0; j < p->grid.c; j++) b[j] = factor_at(p, &p->b, 1, j, k_b);
  for (uint32_t i = 0; i < p->grid.r; i++) {
    spv_id a = factor_at(p, &p->a, 0, i, k_a);
    for (uint32_t j = 0; j < p->grid.c; j++) {
      spv_id variable = p->sum[i * p->grid.c + j], sum = spv_load(g->s, p->type_sum, variable, 0);
      sum = spv_op(g->s, SpvOpCooperativeMatrixMulAddKHR, p->type_sum, p->integers ? 4 : 3,
                   (uint32_t[]){a, b[j], sum, SIGNED});
      spv_store(g->s, variable, sum, 0);
    }
  }
}

/* for k = 0 to limit: k0 is where the steps of factors that are not walked begin; 0: at 0 */
static void inner(matrices *p, spv_id limit, spv_id k0) {
  sg *g = p->g;
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), step = spv_u32(g->s, (uint32_t)p->m.k);
  sg_will(g, p->a.slot, p->b.slot, -1);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  spv_loop_body(g->s, &l, limit, step);
  spv_id far = k0 ? sg_int(g, SpvOpIAdd, l.counter, k0) : l.counter;
  one_step(p, p->a.walked ? l.counter : far, p->b.walked ? l.counter : far);
  spv_loop_next(g->s, &l);
  spv_loop_end(g->s, &l);
}

static void walk(matrices *p, uint32_t depth, uint32_t step) {
  sg *g = p->g;
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), all = spv_u32(g->s, depth), by = spv_u32(g->s, step);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  spv_loop_body(g->s, &l, all, by);
  sg_factor_was_read(g, &p->a), sg_factor_was_read(g, &p->b);
  sg_factor_bring(g, &p->a, l.counter);
  sg_factor_bring(g, &p->b, l.counter);
  spv_id left = sg_int(g, SpvOpISub, all, l.counter);
  spv_id limit = depth % step ? spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){left, by}) : by;
  inner(p, limit, l.counter);
  spv_loop_next(g->s, &l);
  spv_loop_end(g->s, &l);
}

enum { UNROLLED = 4 };

/* A round: its steps one after the other in one block, or in a loop where they are many. */
static void steps_of_quads(matrices *p, uint32_t step) {
  sg *g = p->g;
  uint32_t m = (uint32_t)p->m.k, most = UNROLLED * m;
  bool rolled = step > most;
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), end = spv_u32(g->s, step), by = spv_u32(g->s, m);
  spv_loop l = rolled ? spv_loop_begin(g->s, word, zero) : (spv_loop){0};
  if (rolled) spv_loop_body(g->s, &l, end, by);
  for (uint32_t k = 0; k < (rolled ? m : step); k += m) {
    spv_id at = rolled ? l.counter : spv_u32(g->s, k);
    one_step(p, at, at);
  }
  if (rolled) spv_loop_next(g->s, &l), spv_loop_end(g->s, &l);
}

/* Both factors in quads. */
static void walk_quads(matrices *p, uint32_t depth, uint32_t step) {
  sg *g = p->g;
  sg_walk *w = SN_NEW(g->arena, sg_walk);
  *w = (sg_walk){.f = {&p->a, &p->b}, .step = step, .depth = depth};
  sg_walk_begin(g, w);
  sg_walk_body(g, w);
  steps_of_quads(p, step);
  sg_walk_next(g, w);
  sg_walk_end(g, w);
}

void sg_matrices(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sn_ktype ta = sg_ins(g, x->a[1])->type;
  uint32_t depth = (uint32_t)(x->i & SN_K_TA ? ta.r : ta.c), step = sg_step_of(g, v);
  matrices p = {.g = g, .x = x, .m = sg_matrix_of(g, ta.elem), .grid = sg_grid_of(g, v)};
  p.leaving = g->leaving[v], p.piece = sg_piece_of(g, v);
  p.a = sg_factor_of(g, v, 0, step), p.b = sg_factor_of(g, v, 1, step);
  p.integers = ta.elem == SN_ELEM_I8;
  spv_id component = component_of(g, ta.elem), number = p.integers ? signed_int(g, 32) : spv_float(g->s, 32);
  p.type_a = matrix_type(g, component, p.m.m, p.m.k, SpvCooperativeMatrixUseMatrixAKHR);
  p.type_b = matrix_type(g, component, p.m.k, p.m.n, SpvCooperativeMatrixUseMatrixBKHR);
  p.type_sum = matrix_type(g, number, p.m.m, p.m.n, SpvCooperativeMatrixUseMatrixAccumulatorKHR);
  find_place(&p);
  begin(&p);
  if (g->quads[v]) {
    walk_quads(&p, depth, step);
  } else if (p.a.walked || p.b.walked) {
    walk(&p, depth, step);
  } else {
    spv_id limit = spv_u32(g->s, depth);
    inner(&p, limit, 0);
  }
  g->tile[v] = leave(&p);
}
