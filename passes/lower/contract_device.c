/* Tiles of products on devices of many instances: by how many tiles the result leaves; narrow ones where rows or
 * columns are few, and the other operand is read straight from memory, once for all of them. */
#include "passes/lower/contract.h"

#include <math.h>

/* Narrow tiles. Bytes side by side: most, and least, which memory still delivers whole; rows that lie apart. */
enum { WIDEST = 128, LEAST = 64, WIDEST_ROWS = 32, SPREAD = 8 };

/* ---- wide tiles -------------------------------------------------------------------------------------------------- */

/* An extent as it may be: symbolic ones go on for long, and are short in most runs. */
static double likely(const sn_dimx *d, int64_t most) {
  int64_t n;
  if (sn_dimx_is_const(d, &n)) return (double)n;
  n = sn_dimx_max_value(d);
  return (double)(n < most ? n : most);
}

static double likely_tiles(const sn_contraction *k, int bm, int bn) {
  double n = 1;
  for (int i = 0; i < k->out.space.rank; i++) {
    if (k->role[i] == SUM) continue;
    int block = i == k->row ? bm : i == k->col ? bn : 1;
    n *= ceil(likely(k->out.space.extent[i], k->role[i] == BATCH ? 8 : 1024) / block);
  }
  return n;
}

static bool by_matrices(const sn_contraction *k) {
  const sn_gpu *g = &k->c->target->gpu;
  return (k->elem == SN_ELEM_F16 && g->f16.m) || (k->elem == SN_ELEM_BF16 && g->bf16.m) ||
         (k->elem == SN_ELEM_I8 && g->i8.m);
}

void sn_contract_tiles(sn_contraction *k) {
  const sn_target *t = k->c->target;
  int bm = t->wide, bn = by_matrices(k) ? t->wide : t->wide / 2;
  while ((bm > t->bm || bn > t->bn) && likely_tiles(k, bm, bn) < t->tiles) {
    if (bm > bn)
      bm /= 2;
    else
      bn /= 2;
  }
  k->bm = k->row < 0 ? 1 : sn_block_of(k->out.space.extent[k->row], sn_contract_within(k, k->row, bm));
  k->bn = sn_contract_within(k, k->col, bn);
}

/* ---- few rows or columns ----------------------------------------------------------------------------------------- */

/* Blocks that the result has along the axes of a role; -1: elements. */
static double blocks(const sn_contraction *k, sn_contract_role r, int axis, int block) {
  double n = 1;
  for (int i = 0; i < k->out.space.rank; i++) {
    int64_t most = sn_dimx_max_value(k->out.space.extent[i]);
    if (k->role[i] == r) n *= (double)(i == axis ? (most + block - 1) / block : most);
  }
  return n;
}

/* Is the operand read as it lies in memory, but for conversions? */
static bool is_plain(const sn_group *g) {
  const sn_node *n = sn_node_of(g->f, g->anchor);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW || n->op == SN_OP_CAST) n = sn_node_of(g->f, n->arg[0]);
  return n->op == SN_OP_ARG && g->access_count == 1 && g->access[0].kind == SN_ACCESS_BUFFER;
}

/* Its tile is filled then, and zeros end it: nothing of it is only loaded. */
bool sn_contract_repeats(const sn_contraction *k, const sn_group *g) {
  if (k->sum < 0 || sn_dimx_max_value(k->out.space.extent[k->sum]) == 1) return false;
  for (int i = 0; i < g->access_count; i++)
    if (sn_dimx_is_zero(g->access[i].view.stride[k->sum])) return true;
  return false;
}

bool sn_contract_thin(const sn_contraction *k, sn_contract_role narrow) {
  const sn_target *t = k->c->target;
  int64_t depth;
  if (!t->thin || k->sum < 0 || !sn_dimx_is_const(k->out.space.extent[k->sum], &depth)) return false;
  if (depth > t->k_whole || blocks(k, SUM, -1, 1) > (double)depth || !is_plain(&k->a) || !is_plain(&k->b)) return false;
  bool few =
      k->rows == SN_CONTRACT_ANY ? blocks(k, narrow, -1, 1) <= t->thin : k->rows == SN_CONTRACT_FEW && narrow == ROW;
  return few && blocks(k, narrow == ROW ? COL : ROW, -1, 1) > t->thin;
}

int sn_contract_thin_width(const sn_contraction *k, sn_contract_role wide, int axis, bool side_by_side) {
  int bytes = (int)sn_elem_bytes(k->elem);
  int width = side_by_side ? WIDEST / bytes : WIDEST_ROWS, least = side_by_side ? LEAST / bytes : SPREAD;
  while (width > least && blocks(k, BATCH, -1, 1) * blocks(k, wide, axis, width) < k->c->target->thin_instances)
    width /= 2;
  return sn_contract_within(k, axis, width);
}

/* One symbol long, as a batch is: few in some runs and many in others. */
bool sn_contract_may_be_few(const sn_contraction *k) {
  if (k->c->inside || k->packed >= 0 || k->thin || k->row < 0) return false;
  const sn_dimx *m = k->out.space.extent[k->row];
  if (sn_dimx_symbol_index(m) < 0 || sn_dimx_min_value(m) > k->c->target->thin) return false;
  sn_contraction few = *k;
  few.rows = SN_CONTRACT_FEW;
  return blocks(k, ROW, -1, 1) == (double)sn_dimx_max_value(m) && sn_contract_thin(&few, ROW);
}

const sn_dimx *sn_contract_when(const sn_contraction *k) {
  sn_types *t = k->c->types;
  const sn_dimx *one = sn_dimx_const(t, 1), *limit = sn_dimx_const(t, k->c->target->thin + 1);
  const sn_dimx *many = sn_dimx_min(t, sn_dimx_floordiv(t, k->out.space.extent[k->row], limit), one);
  return k->rows == SN_CONTRACT_FEW ? sn_dimx_sub(t, one, many) : many;
}

void sn_contract_report_when(const sn_contraction *k, sn_report *r) {
  const sn_dimx **figure[3] = {&r->flops, &r->bytes_read, &r->bytes_written};
  for (int i = 0; i < 3 && k->when; i++) *figure[i] = sn_dimx_mul(k->c->types, *figure[i], k->when);
}
