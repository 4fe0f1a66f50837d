/* solve_lower -> a kernel: substitution in blocks of 16 rows. The systems and blocks of columns run in parallel. What
 * the solved blocks contribute is one product each; within a block row follows row. Solved rows stay in scratch. */
#include "passes/lower/internal.h"

enum { ROWS = 16, COLUMNS = 64, MOST = 4096, PLACES = 8 };

typedef struct solver {
  sn_lower_ctx *c;
  sn_build_kernel *b;
  sn_kernel *k;
  sn_group space; /* only its extents: those of x */
  sn_tile t;      /* coordinates of the instance */
  int rank, slot[2];
  sn_view view[2]; /* of l and x */
  int place_count;
  sn_group_output place[PLACES];
  bool transposed;
  sn_elem elem; /* of the arithmetic */
  sn_kv solved; /* scratch [N][columns] */
  sn_kv n, end; /* N, and N rounded up to whole blocks */
} solver;

static sn_kv number(const solver *s, int64_t n) { return sn_k_i(s->k, n); }

/* Elements of l from (row, column) on; what lies outside is 0. */
static sn_kv load_l(solver *s, sn_kv row, sn_kv column, int r, int c) {
  const sn_view *v = &s->view[0];
  sn_kv at[SN_VIEW_RANK] = {0};
  for (int i = 0; i < s->rank - 2; i++) at[i] = s->t.at[i];
  at[s->rank - 2] = row, at[s->rank - 1] = column;
  sn_kwin w = {.buf = sn_build_buffer(s->b, s->slot[0]),
               .off = sn_build_offset(s->b, s->slot[0], sn_build_address(s->b, v, at))};
  w.rs = sn_build_dim(s->b, v->stride[s->rank - 2]);
  w.cs = sn_build_dim(s->b, v->stride[s->rank - 1]);
  w.nr = sn_k_isub(s->k, s->n, row);
  w.nc = sn_k_isub(s->k, s->n, column);
  return sn_k_cast(s->k, s->elem, sn_k_load(s->k, r, c, w, 0));
}

/* Rows of x or of a result. */
static sn_kwin rows_window(solver *s, int slot, const sn_view *v, sn_kv row) {
  sn_kv at[SN_VIEW_RANK] = {0};
  for (int i = 0; i < s->rank; i++) at[i] = i == s->rank - 2 ? row : s->t.at[i];
  return (sn_kwin){.buf = sn_build_buffer(s->b, slot),
                   .off = sn_build_offset(s->b, slot, sn_build_address(s->b, v, at)),
                   .rs = sn_build_dim(s->b, v->stride[s->rank - 2]),
                   .cs = sn_build_dim(s->b, v->stride[s->rank - 1]),
                   .nr = sn_k_isub(s->k, s->n, row),
                   .nc = s->t.col_limit};
}

static sn_kwin solved_window(solver *s, sn_kv row) {
  return (sn_kwin){.buf = s->solved, .off = sn_k_imulc(s->k, row, s->t.c), .rs = number(s, s->t.c), .cs = number(s, 1)};
}

/* What the blocks that are solved contribute to the rows from `row` on. */
static sn_kv known_part(solver *s, sn_kv row) {
  sn_kernel *k = s->k;
  sn_kv sum = sn_k_const(k, s->elem, ROWS, s->t.c, 0);
  sn_kv lo = s->transposed ? sn_k_iadd(k, row, number(s, ROWS)) : number(s, 0), hi = s->transposed ? s->end : row;
  sn_kv j = sn_k_for(k, lo, hi, ROWS, 1, &sum);
  sn_kv l = s->transposed ? load_l(s, j, row, ROWS, ROWS) : load_l(s, row, j, ROWS, ROWS);
  sn_kv y = sn_k_load(k, ROWS, s->t.c, solved_window(s, j), 0);
  sn_kv next = sn_k_mma(k, sum, l, y, s->transposed ? SN_K_TA : 0);
  sn_k_end_for(k, 1, &next);
  return next;
}

/* Row `number` of the order in which rows of the block are solved. */
static sn_kv row_of(solver *s, sn_kv block, sn_kv i) {
  return sn_k_iadd(s->k, block, s->transposed ? sn_k_isub(s->k, number(s, ROWS - 1), i) : i);
}

static void solve_block(solver *s, sn_kv block) {
  sn_kernel *k = s->k;
  sn_kv i = sn_k_for(k, number(s, 1), number(s, ROWS), 1, 0, NULL);
  sn_kv row = row_of(s, block, i);
  sn_kv sum = sn_k_load(k, 1, s->t.c, solved_window(s, row), 0);
  sn_kv j = sn_k_for(k, number(s, 0), i, 1, 1, &sum);
  sn_kv other = row_of(s, block, j);
  sn_kv l = s->transposed ? load_l(s, other, row, 1, 1) : load_l(s, row, other, 1, 1);
  sn_kv factor = sn_k_bcast(k, 1, s->t.c, sn_k_un(k, SN_K_NEG, l));
  sn_kv next = sn_k_fma(k, factor, sn_k_load(k, 1, s->t.c, solved_window(s, other), 0), sum);
  sn_k_end_for(k, 1, &next);
  sn_k_store(k, solved_window(s, row), next);
  sn_k_end_for(k, 0, NULL);
}

static void solve(solver *s) {
  sn_kernel *k = s->k;
  sn_kv i = sn_k_for(k, number(s, 0), s->end, ROWS, 0, NULL);
  sn_kv row = s->transposed ? sn_k_isub(k, sn_k_isub(k, s->end, number(s, ROWS)), i) : i;
  sn_kv known = known_part(s, row);
  sn_kv x = sn_k_load(k, ROWS, s->t.c, rows_window(s, s->slot[1], &s->view[1], row), 0);
  sn_k_store(k, solved_window(s, row), sn_k_bin(k, SN_K_SUB, sn_k_cast(k, s->elem, x), known));
  solve_block(s, row);
  sn_kv y = sn_k_load(k, ROWS, s->t.c, solved_window(s, row), 0);
  for (int p = 0; p < s->place_count; p++)
    sn_k_store(k, rows_window(s, s->place[p].slot, &s->place[p].view, row),
               sn_k_cast(k, sn_lower_slot_type(s->c, s->place[p].slot)->elem, y));
  sn_k_end_for(k, 0, NULL);
}

static sn_code find_memory(solver *s, const sn_node *n) {
  for (int i = 0; i < 2; i++)
    if (!sn_lower_source(s->c, n->arg[i], &s->slot[i], &s->view[i]))
      return sn_lower_fail(s->c, "`solve_lower`: operands must lie in memory");
  sn_group_output o = {.value = n->first};
  for (; sn_lower_sink(s->c, o.value, s->place_count, &o.slot, &o.view); s->place_count++) {
    if (s->place_count == PLACES)
      return sn_lower_fail(s->c, "`solve_lower` would be stored to more than %d places", PLACES);
    s->place[s->place_count] = o;
  }
  return SN_OK;
}

static void make_grid(solver *s) {
  sn_axis_block a[SN_VIEW_RANK];
  int n = 0;
  s->t = (sn_tile){.b = s->b, .g = &s->space, .row = -1, .col = s->rank - 1, .r = 1};
  s->t.c = sn_block_of(s->space.space.extent[s->rank - 1], COLUMNS);
  for (int i = 0; i < s->rank; i++)
    if (i != s->rank - 2) a[n++] = (sn_axis_block){.axis = i, .block = i == s->t.col ? s->t.c : 1};
  sn_tile_grid(&s->t, n, a);
  sn_tile_limits(&s->t);
}

static const sn_dimx *bytes(sn_types *t, const sn_type *type) {
  return sn_dimx_mul(t, sn_type_count(t, type), sn_dimx_const(t, (int64_t)sn_elem_bytes(type->elem)));
}

sn_code sn_lower_solve(sn_lower_ctx *c, const sn_node *n) {
  const sn_type *type = n->type[0];
  solver s = {.c = c, .rank = type->rank, .transposed = sn_node_attr(n, "transposed")->i != 0};
  sn_types *t = c->types;
  const sn_dimx *extent = type->dim[s.rank - 2], *block = sn_dimx_const(t, ROWS);
  s.space.space = sn_shape_of(type);
  s.elem = type->elem == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32;
  if (sn_dimx_max_value(extent) > MOST)
    return sn_lower_fail(c, "`solve_lower` of more than %d rows is not supported", MOST);
  SN_TRY(find_memory(&s, n));
  sn_buffer_use use[SN_LOWER_BUFFERS] = {{s.slot[0], SN_K_IN}, {s.slot[1], SN_K_IN}};
  int count = sn_result_buffers(c, use, 2);
  s.b = sn_build_kernel_begin(c, sn_kernel_name_of(c, "solve"), count, use);
  s.k = s.b->k;
  make_grid(&s);
  s.n = sn_build_dim(s.b, extent);
  s.end = sn_build_dim(s.b, sn_dimx_mul(t, sn_dimx_ceildiv(t, extent, block), block));
  int64_t rows = (sn_dimx_max_value(extent) + ROWS - 1) / ROWS * ROWS;
  s.solved = sn_k_local(s.k, s.elem, (rows > 0 ? rows : ROWS) * s.t.c);
  solve(&s);
  sn_report report = {.kind = "index", .flops = sn_dimx_mul(t, sn_type_count(t, type), extent)};
  report.bytes_read = sn_dimx_add(t, bytes(t, sn_val_type(c->body, n->arg[0])), bytes(t, type));
  report.bytes_written = sn_result_bytes(c);
  return sn_build_kernel_end(s.b, &report);
}
