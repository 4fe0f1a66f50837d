/* fused "contract" -> a kernel: a product of two operands with elementwise work on the result.
 *
 *   1. Letters become axes of one space: batch, rows (of the result's tile), columns, summed. Neighbours are joined
 * where every operand and store allows it; the largest axis of each class spans the tile, the others go to the grid or
 * to loops.
 *   2. Grid: batch, then columns, then rows, so that an instance's columns serve all rows that follow (KERNEL_IR A2);
 * rows in blocks that fit the cache where columns are packed ahead of time or the sum is walked in blocks.
 *   3. One product over the whole summed axis, or a loop over blocks of it; then the outputs on the result's tile.
 *   4. An operand that no graph changes is packed ahead of time (contract_pack.c). */
#include "passes/lower/contract.h"

#include <math.h>
#include <string.h>

#include "passes/plan/assemble.h"

enum {
  REGISTERS = 64, /* elements of a tile that one invocation of a GPU holds */
  WHOLE_K = 8192,
  THIN_K = 1 << 20,
  K_BLOCK = 256,
  MOST_COLUMNS = 256,
  ENOUGH_BLOCKS = 8,
  WIDE = 8,
  ROUNDED_EACH_TIME = 64,
  SHARED_ROWS = SN_CONTRACT_UNIT
};

/* ---- groups -------------------------------------------------------------------------------------------------- */

static bool fail(const char **why, const char *text) {
  *why = text;
  return false;
}

/* Elements that the result has for each one of the operand with these letters: how often it is read, one by one. */
static double times_read(const sn_func *f, const sn_node *product, const sn_contract_spec *s, const char *operand) {
  double n = 1;
  for (int i = 0; i < s->out_count; i++)
    if (!strchr(operand, s->out[i])) n *= (double)sn_dimx_max_value(sn_val_type(f, product->first)->dim[i]);
  return n;
}

/* Rounding in every tile costs as much as the product itself: it is done once, unless one tile reads all of the operand
 * or a frozen parameter is rounded while it is packed. */
static bool rounds_often(const sn_func *f, const sn_node *product, const sn_contract_spec *s, int operand,
                         const bool *member) {
  sn_val v = product->arg[operand];
  const sn_node *n = sn_node_of(f, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(f, n->arg[0]);
  if (n->op != SN_OP_CAST || !member[n->first] || n->type[0]->elem != SN_ELEM_BF16) return false;
  if (sn_elem_bytes(sn_val_type(f, n->arg[0])->elem) < sn_elem_bytes(SN_ELEM_BF16)) return false; /* widened */
  if (times_read(f, product, s, operand ? s->b : s->a) <= ROUNDED_EACH_TIME) return false;
  n = sn_node_of(f, n->arg[0]);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(f, n->arg[0]);
  return n->op != SN_OP_PARAM || !sn_param_is_frozen(f->module, n);
}

/* Members below an operand that are worth computing again in every tile: casts. */
static bool is_cheap(const sn_func *f, sn_val v, const bool *member) {
  const sn_node *n = sn_node_of(f, v);
  sn_op_class cls = sn_op_get(n->op)->cls;
  if (cls == SN_CLASS_LEAF) return true;
  if (cls == SN_CLASS_VIEW) return is_cheap(f, n->arg[0], member);
  if (member && !member[n->first]) return true;
  return n->op == SN_OP_CAST && is_cheap(f, n->arg[0], member);
}

/* Element type in which operands are multiplied: f8 in f32. */
static sn_elem product_elem(sn_elem e) { return e == SN_ELEM_F8E4M3 || e == SN_ELEM_F8E5M2 ? SN_ELEM_F32 : e; }

static bool build_groups(sn_contraction *k, sn_arena *arena, const sn_func *f, int node_count,
                         const sn_node *const *node, const bool *member, const bool *stored, int output_count,
                         const sn_val *output, const char **why) {
  k->node = NULL;
  for (int i = 0; i < node_count; i++)
    if (node[i]->op == SN_OP_CONTRACT && (!member || member[node[i]->first])) k->node = node[i];
  const sn_val x = k->node->arg[0], y = k->node->arg[1];
  if (sn_contract_parse(sn_node_attr(k->node, "spec")->s, &k->spec)) return fail(why, "a malformed spec");
  if (!sn_group_build(&k->out, arena, f, node_count, node, member, stored, output_count, output))
    return fail(why, k->out.why);
  if (k->out.reduce_count) return fail(why, "reduction over whole rows of a product");
  if (!sn_group_build_at(&k->a, arena, f, node_count, node, member, stored, x, 1, &x)) return fail(why, k->a.why);
  if (!sn_group_build_at(&k->b, arena, f, node_count, node, member, stored, y, 1, &y)) return fail(why, k->b.why);
  if (member && (rounds_often(f, k->node, &k->spec, 0, member) || rounds_often(f, k->node, &k->spec, 1, member)))
    return fail(why, "an operand is rounded once, not in every tile");
  if (!is_cheap(f, x, member) || !is_cheap(f, y, member)) return fail(why, "would recompute an expensive op");
  sn_elem e = product_elem(sn_val_type(f, x)->elem);
  if (e != SN_ELEM_F32 && e != SN_ELEM_BF16 && e != SN_ELEM_F16 && e != SN_ELEM_F64 && e != SN_ELEM_I8)
    return fail(why, "products of this element type have no kernel");
  return true;
}

bool sn_contract_fits(sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node, const bool *member,
                      const bool *stored, int output_count, const sn_val *output, const char **why) {
  sn_contraction k = {0};
  return build_groups(&k, arena, f, node_count, node, member, stored, output_count, output, why);
}

/* ---- one space --------------------------------------------------------------------------------------------------- */

static bool has(const char *letters, char c) { return strchr(letters, c) != NULL; }

static sn_contract_role role_of(const sn_contraction *k, char c) {
  const sn_contract_spec *s = &k->spec;
  if (!has(s->out, c)) return SUM;
  if (has(s->a, c) && has(s->b, c)) return BATCH;
  return has(k->swapped ? s->b : s->a, c) ? ROW : COL;
}

/* The columns of the tile should be contiguous in the first store. */
static bool should_swap(const sn_contraction *k) {
  const sn_view *v = &k->out.output[0].view;
  for (int i = 0; i < k->spec.out_count; i++)
    if (sn_dimx_is_one(v->stride[i])) return has(k->spec.a, k->spec.out[i]) && !has(k->spec.b, k->spec.out[i]);
  return false;
}

static const sn_dimx *extent_of(const sn_contraction *k, char c) {
  const char *p = strchr(k->spec.a, c);
  const sn_val x = k->node->arg[0], y = k->node->arg[1];
  if (p) return sn_val_type(k->out.f, x)->dim[p - k->spec.a];
  return sn_val_type(k->out.f, y)->dim[strchr(k->spec.b, c) - k->spec.b];
}

static void remap(sn_group *g, const char *letters, const char *order, const sn_shape *space) {
  int axis_of[SN_RANK_MAX];
  for (int i = 0; letters[i]; i++) axis_of[i] = (int)(strchr(order, letters[i]) - order);
  sn_group_remap(g, space, axis_of);
}

/* Letters by role: of the result in its order, then the summed ones in the order of the operand with the rows. */
static void unify(sn_contraction *k) {
  const char *lists[4] = {k->spec.out, k->spec.out, k->spec.out, k->swapped ? k->spec.b : k->spec.a};
  char order[SN_VIEW_RANK + 1] = {0};
  sn_shape space = {0};
  for (int r = BATCH; r <= SUM; r++)
    for (const char *p = lists[r]; *p; p++) {
      if (role_of(k, *p) != (sn_contract_role)r) continue;
      order[space.rank] = *p;
      k->role[space.rank] = (sn_contract_role)r;
      space.extent[space.rank++] = extent_of(k, *p);
    }
  sn_group a = k->swapped ? k->b : k->a, b = k->swapped ? k->a : k->b;
  k->a = a, k->b = b;
  remap(&k->out, k->spec.out, order, &space);
  remap(&k->a, k->swapped ? k->spec.b : k->spec.a, order, &space);
  remap(&k->b, k->swapped ? k->spec.a : k->spec.b, order, &space);
}

static void join_axes(sn_contraction *k) {
  sn_group *g[3] = {&k->out, &k->a, &k->b};
  for (int i = k->out.space.rank - 2; i >= 0; i--) {
    if (k->role[i] != k->role[i + 1]) continue;
    if (!sn_group_may_join(g[0], i) || !sn_group_may_join(g[1], i) || !sn_group_may_join(g[2], i)) continue;
    for (int j = 0; j < 3; j++) sn_group_join(g[j], i);
    for (int j = i + 1; j < k->out.space.rank; j++) k->role[j] = k->role[j + 1];
  }
}

/* The axis of a class with the largest extent; the later of equal ones. */
static int widest(const sn_contraction *k, sn_contract_role r) {
  int best = -1;
  const sn_shape *s = &k->out.space;
  for (int i = 0; i < s->rank; i++)
    if (k->role[i] == r && (best < 0 || sn_dimx_max_value(s->extent[i]) >= sn_dimx_max_value(s->extent[best])))
      best = i;
  return best;
}

/* ---- tiles
 * ------------------------------------------------------------------------------------------------------------- */

int sn_contract_within(const sn_contraction *k, int axis, int most) {
  if (axis < 0) return 1;
  int64_t n = sn_dimx_max_value(k->out.space.extent[axis]);
  return n < most ? (n < 1 ? 1 : (int)n) : most;
}

/* Columns of tiles of pairs: whole blocks of the multiplier; many where both operands are packed in every instance. */
static int columns_of_pairs(const sn_contraction *k) {
  int64_t most = 4 * k->c->target->lanes;
  double result = 1;
  for (int i = 0; i < k->out.space.rank; i++)
    if (k->role[i] != SUM) result *= (double)sn_dimx_max_value(k->out.space.extent[i]);
  while (k->loop && most < MOST_COLUMNS && result >= ENOUGH_BLOCKS * (double)(4 * most * most)) most *= 2;
  return sn_contract_within(k, k->col, (int)most);
}

/* By tiles: vectors of pairs take the shapes that vectors of f32 do. */
static bool is_pairs(const sn_contraction *k) { return k->c->target->panel && k->elem == SN_ELEM_BF16; }

/* Blocks that the result has along axes of one role. */
static double blocks_along(const sn_contraction *k, sn_contract_role r, int axis, int block) {
  double n = 1;
  for (int i = 0; i < k->out.space.rank; i++)
    if (k->role[i] == r) n *= ceil((double)sn_dimx_max_value(k->out.space.extent[i]) / (i == axis ? block : 1));
  return n;
}

/* Columns: the target's, or a near multiple of its vectors that divides the extent. */
static int columns(const sn_contraction *k) {
  const sn_target *t = k->c->target;
  int bn = sn_contract_within(k, k->col, t->bn);
  int64_t divisor = k->col < 0 ? 1 : sn_dimx_divisor(k->out.space.extent[k->col]);
  if (divisor % bn == 0) return bn;
  for (int n = 4 * t->lanes; n >= 2 * t->lanes; n -= t->lanes)
    if (divisor % n == 0 && n <= 2 * t->bn) return n;
  return bn;
}

/* When the summed axis is walked in blocks, each block of b is read once per row block: taller ones read it less often.
 */
static int rows_of(const sn_contraction *k) {
  int most = k->loop && !k->made ? is_pairs(k) ? 4 * k->c->target->bm : 3 * k->c->target->bm : k->c->target->bm;
  if (k->loop && is_pairs(k) && k->bn < most) most = k->bn < k->c->target->bm ? k->c->target->bm : k->bn;
  const int64_t room = k->c->target->gpu.invocations * (int64_t)REGISTERS;
  while (room && most > k->c->target->bm && (int64_t)most * k->bn > room) most -= k->c->target->bm;
  return k->row < 0 ? 1 : sn_block_of(k->out.space.extent[k->row], sn_contract_within(k, k->row, most));
}

/* Do blocks of K of both operands, and the result, fit the second level cache? */
static bool fits_cache(const sn_contraction *k, int bm, int bn) {
  int64_t bytes = (int64_t)sn_elem_bytes(k->elem);
  return ((int64_t)(bm + bn) * K_BLOCK + (int64_t)bm * bn) * bytes <= k->c->target->l2_bytes;
}

/* Where both operands may have to be copied in every instance, wide tiles read them less often: as many columns as
 * leave enough blocks, and no more than a sixteenth of the last one empty. */
static int columns_of_loop(const sn_contraction *k, int least) {
  int64_t n = sn_dimx_max_value(k->out.space.extent[k->col]), divisor = sn_dimx_divisor(k->out.space.extent[k->col]);
  double others = blocks_along(k, BATCH, -1, 1) * blocks_along(k, ROW, k->row, k->bm);
  for (int wide = WIDE * least; wide > least; wide -= least) {
    int64_t blocks = (n + wide - 1) / wide;
    bool fits = divisor == n ? 16 * blocks * wide <= 17 * n : divisor % wide == 0;
    if (fits && fits_cache(k, k->bm, wide) && others * (double)blocks >= ENOUGH_BLOCKS) return wide;
  }
  return least;
}

/* Where the whole sum is one product, an instance's columns of b are brought into panels once for all its rows: as many
 * columns as 5/16 of the second level cache hold, so that rows of a are read, and rows of the result written, in long
 * pieces. */
static void widen(sn_contraction *k) {
  const sn_target *t = k->c->target;
  if (k->loop || k->made || k->thin || t->tiles || k->col < 0 || k->row < 0 || is_pairs(k)) return;
  const sn_dimx *extent = k->out.space.extent[k->col];
  int64_t n = sn_dimx_max_value(extent), divisor = sn_dimx_divisor(extent), depth = k->bk;
  if (sn_dimx_max_value(k->out.space.extent[k->row]) < 2 * k->bm) return;
  for (int wide = 4 * k->bn; wide > k->bn; wide -= k->bn) {
    int64_t blocks = (n + wide - 1) / wide;
    bool fits = divisor == n ? 16 * blocks * wide <= 17 * n : divisor % wide == 0;
    if (!fits || wide * depth * (int64_t)sn_elem_bytes(k->elem) > t->l2_bytes * 5 / 16) continue;
    while (k->bm > 32 && k->bm * wide > 96 * 64) k->bm /= 2;
    k->bn = wide;
    return;
  }
}

/* Does the operand lie side by side along axis x and not along y? */
static bool contiguous_along(const sn_group *g, int x, int y) {
  for (int i = 0; i < g->access_count; i++) {
    const sn_view *v = &g->access[i].view;
    if (g->access[i].kind != SN_ACCESS_BUFFER) continue;
    return x >= 0 && y >= 0 && sn_dimx_is_one(v->stride[x]) && !sn_dimx_is_one(v->stride[y]);
  }
  return false;
}

/* Is the operand more than what lies in memory? */
static bool is_made(const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  while (sn_op_get(n->op)->cls == SN_CLASS_VIEW) n = sn_node_of(f, n->arg[0]);
  return n->op != SN_OP_ARG || product_elem(n->type[0]->elem) != n->type[0]->elem;
}

/* Steps of the summed axis in one product, at most, and in one of several. */
static void depths(const sn_contraction *k, int *whole, int *block) {
  const sn_target *t = k->c->target;
  int width = t->bm > t->bn ? t->bm : t->bn, most = width < t->made ? t->made / width : 1;
  *whole = t->bk        ? t->bk
           : t->k_whole ? t->k_whole
                        : WHOLE_K,
  *block = t->bk        ? t->bk
           : t->k_block ? t->k_block
                        : K_BLOCK;
  if (k->made && *whole > most) *whole = most;
  if (k->made && *block > most) *block = most;
}

static void choose_tiles(sn_contraction *k) {
  k->row = widest(k, ROW), k->col = widest(k, COL), k->sum = widest(k, SUM);
  bool made = is_made(k->out.f, k->node->arg[0]) || is_made(k->out.f, k->node->arg[1]);
  k->made = k->c->target->made && (made || sn_contract_repeats(k, &k->a) || sn_contract_repeats(k, &k->b));
  const sn_dimx *depth = k->sum < 0 ? NULL : k->out.space.extent[k->sum];
  int64_t n;
  bool few_rows = sn_contract_thin(k, ROW), few_cols = !few_rows && sn_contract_thin(k, COL);
  k->thin = few_rows || few_cols, k->made &= !k->thin;
  int whole, block;
  depths(k, &whole, &block);
  k->bk = 1;
  if (depth && sn_dimx_is_const(depth, &n) && n <= whole)
    k->bk = (int)n;
  else if (depth)
    k->bk = sn_block_of(depth, block);
  k->loop = depth && !(sn_dimx_is_const(depth, &n) && n <= k->bk);
  k->elem = product_elem(sn_val_type(k->out.f, k->node->arg[0])->elem);
  k->bn = is_pairs(k) ? columns_of_pairs(k) : columns(k), k->bm = rows_of(k);
  if (k->c->target->tiles && !k->made)
    sn_contract_tiles(k);
  else if (k->loop && !k->made && k->col >= 0 && !is_pairs(k))
    k->bn = columns_of_loop(k, k->bn);
  k->ta = contiguous_along(&k->a, k->row, k->sum);
  k->tb = contiguous_along(&k->b, k->sum, k->col);
  if (few_rows) k->bm = sn_contract_within(k, k->row, k->c->target->thin);
  if (few_rows) k->bn = sn_contract_thin_width(k, COL, k->col, !k->tb);
  if (few_cols) k->bm = sn_contract_thin_width(k, ROW, k->row, k->ta);
}

/* ---- operands
 * ------------------------------------------------------------------------------------------------------------ */

/* Zero where the tile reaches beyond the summed axis: loads are, computed values need not be. */
static sn_kv within_sum(const sn_contraction *k, const sn_tile *t, sn_kv x) {
  sn_kernel *kk = t->b->k;
  bool rows = t->row == k->sum;
  sn_kv limit = k->sum < 0 ? 0 : rows ? t->row_limit : t->col_limit;
  if (!limit) return x;
  sn_kv i = sn_k_iota(kk, rows ? t->r : 1, rows ? 1 : t->c, !rows, sn_k_i(kk, 0));
  sn_kv inside = sn_k_bin(kk, SN_K_LT, i, sn_k_isplat(kk, 1, 1, limit));
  return sn_k_select(kk, inside, x, sn_k_const(kk, sn_k_type(kk, x).elem, 1, 1, 0));
}

sn_kv sn_contract_operand(sn_contraction *k, sn_tile *t, sn_elem to) {
  const sn_func *f = t->g->f;
  sn_val v = t->g->anchor;
  const sn_chain *chain = NULL;
  sn_step_map m;
  while (sn_op_get(sn_node_of(f, v)->op)->cls == SN_CLASS_VIEW && sn_step_of(f, sn_node_of(f, v), false, &m)) {
    chain = sn_chain_add(&t->g->chains, &m, chain);
    v = sn_node_of(f, v)->arg[0];
  }
  if (sn_node_of(f, v)->op == SN_OP_CAST && sn_val_type(f, v)->elem == k->elem &&
      !(sn_elem_is_float(sn_val_type(f, sn_node_of(f, v)->arg[0])->elem) && k->elem == SN_ELEM_I8))
    v = sn_node_of(f, v)->arg[0];
  t->narrow = sn_node_of(f, v)->op == SN_OP_ARG;
  sn_kv x = sn_tile_value(t, v, chain);
  sn_ktype natural = sn_k_type(t->b->k, x);
  bool padded = t->narrow && (k->sum < 0 || (t->row == k->sum ? natural.r == t->r : natural.c == t->c));
  t->narrow = false;
  if (sn_k_type(t->b->k, x).elem == SN_ELEM_BOOL) x = sn_k_cast(t->b->k, SN_ELEM_F32, x);
  x = sn_k_bcast(t->b->k, t->r, t->c, sn_k_cast(t->b->k, to, x));
  return padded ? x : within_sum(k, t, x);
}

static sn_kv operand_tile(sn_contraction *k, const sn_tile *out, sn_group *g, const sn_kv *at, bool is_a) {
  sn_tile t = {.b = out->b, .g = g, .memo = sn_tile_memo_new(k->c->arena, NULL)};
  memcpy(t.at, at, sizeof t.at);
  int across = is_a ? k->row : k->col, width = is_a ? k->bm : k->bn;
  bool sum_first = is_a ? k->ta : !k->tb;
  t.row = sum_first ? k->sum : across, t.r = sum_first ? k->bk : width;
  t.col = sum_first ? across : k->sum, t.c = sum_first ? width : k->bk;
  sn_tile_limits(&t);
  if (is_a && k->overshoot) *(sum_first ? &t.col_limit : &t.row_limit) = out->row_limit;
  return sn_contract_operand(k, &t, k->elem);
}

const sn_dimx *sn_contract_panel_depth(const sn_contraction *k) {
  const sn_dimx *d = k->out.space.extent[k->sum];
  return k->vnni ? sn_dimx_ceildiv(k->c->types, d, sn_dimx_const(k->c->types, 2)) : d;
}

static sn_kv packed_tile(sn_contraction *k, const sn_tile *out, const sn_kv *at) {
  sn_build_kernel *b = out->b;
  int width = k->vnni ? 2 * k->bn : k->bn, depth = k->vnni ? (k->bk + 1) / 2 : k->bk;
  sn_kv panel =
      k->col >= 0 && at[k->col] ? sn_k_ibin(b->k, SN_K_IDIV, at[k->col], sn_k_i(b->k, k->bn)) : sn_k_i(b->k, 0);
  sn_kv row = at[k->sum] ? at[k->sum] : sn_k_i(b->k, 0);
  if (k->vnni) row = sn_k_ibin(b->k, SN_K_IDIV, row, sn_k_i(b->k, 2));
  sn_kv first = sn_k_iadd(b->k, sn_k_imul(b->k, panel, sn_build_dim(b, sn_contract_panel_depth(k))), row);
  sn_kwin w = {.buf = sn_build_buffer(b, k->packed), .off = sn_k_imulc(b->k, first, width), .rs = sn_k_i(b->k, width)};
  w.nr = k->loop ? sn_build_limit(b, sn_contract_panel_depth(k), depth, row) : 0;
  return sn_k_cast(b->k, k->elem, sn_k_load(b->k, depth, width, w, 0));
}

/* ---- the kernel
 * ------------------------------------------------------------------------------------------------------------ */

static sn_kv multiply(sn_contraction *k, sn_tile *out, const sn_kv *at, sn_kv acc) {
  sn_kv a = k->packed_a >= 0 ? sn_contract_packed_rows(k, out->b, at) : operand_tile(k, out, &k->a, at, true);
  sn_kv b = k->packed >= 0 ? packed_tile(k, out, at) : operand_tile(k, out, &k->b, at, false);
  int flags =
      (k->ta ? SN_K_TA : 0) | (k->tb && k->packed < 0 ? SN_K_TB : 0) | (k->packed >= 0 && k->vnni ? SN_K_VNNI : 0);
  return sn_k_mma(out->b->k, acc, a, b, flags);
}

/* Loops over the summed axes that no tile spans, then over blocks of the one that it does. */
static sn_kv sum_loops(sn_contraction *k, sn_tile *out, sn_kv *at, int axis, sn_kv acc) {
  sn_kernel *kk = out->b->k;
  while (axis < k->out.space.rank && (k->role[axis] != SUM || axis == k->sum)) axis++;
  bool last = axis == k->out.space.rank;
  int along = last ? k->sum : axis;
  sn_kv carry[1] = {acc}, lo = sn_k_i(kk, 0), hi = 0;
  if (last && k->parts) at[along] = lo = sn_contract_range(k, out->b, &hi);
  if (last && !k->loop) return multiply(k, out, at, acc);
  if (!hi) hi = sn_build_dim(out->b, k->out.space.extent[along]);
  at[along] = sn_k_for(kk, lo, hi, last ? k->bk : 1, 1, carry);
  carry[0] = last ? multiply(k, out, at, carry[0]) : sum_loops(k, out, at, axis + 1, carry[0]);
  sn_k_end_for(kk, 1, carry);
  at[along] = 0;
  return carry[0];
}

sn_elem sn_contract_sum_elem(const sn_contraction *k) {
  return k->elem == SN_ELEM_F64 ? SN_ELEM_F64 : k->elem == SN_ELEM_I8 ? SN_ELEM_I32 : SN_ELEM_F32;
}

sn_kv sn_contract_product(sn_tile *t, sn_val v, void *user) {
  sn_contraction *k = user;
  (void)v;
  if (k->product) return k->product;
  sn_kv at[SN_VIEW_RANK];
  memcpy(at, t->at, sizeof at);
  return k->product = sum_loops(k, t, at, 0, sn_k_const(t->b->k, sn_contract_sum_elem(k), k->bm, k->bn, 0));
}

/* Rows of the first operand that stay in half of the second level cache while panels pass. Where all rows share the
 * panels of an instance's columns, rows stream past them, and their number does not matter. */
static int64_t rows_in_cache(const sn_contraction *k) {
  if ((k->packed < 0 && !k->loop) || k->c->target->tiles) return INT64_MAX;
  int64_t depth = k->sum < 0 ? 1 : sn_dimx_max_value(k->out.space.extent[k->sum]);
  int64_t row_bytes = (depth < 1 ? 1 : depth > 65536 ? 65536 : depth) * (int64_t)sn_elem_bytes(k->elem);
  int64_t blocks = k->c->target->l2_bytes / 2 / row_bytes / k->bm;
  return (blocks < 1 ? 1 : blocks) * k->bm;
}

const sn_dimx *sn_contract_ceil(const sn_contraction *k, const sn_dimx *d, int64_t by) {
  return sn_dimx_ceildiv(k->c->types, d, sn_dimx_const(k->c->types, by));
}

/* Tall tiles that are few share the rows evenly: with whole tiles and a rest, one worker would wait for the other. Rows
 * of a tile that are used, in whole vectors; NULL: all, since that is known to be even or tiles are not tall. */
static const sn_dimx *shared_rows(const sn_contraction *k) {
  sn_types *types = k->c->types;
  int64_t n;
  const sn_dimx *m = k->row >= 0 ? k->out.space.extent[k->row] : NULL;
  if (!m || !k->loop || k->c->target->tiles || k->bm < 2 * k->c->target->bm || sn_dimx_is_const(m, &n)) return NULL;
  if (k->bm % SHARED_ROWS || sn_dimx_divisor(m) % k->bm == 0)
    return NULL; /* tiles of the extent's own divisor are even */
  const sn_dimx *per = sn_dimx_ceildiv(types, m, sn_contract_ceil(k, m, k->bm));
  return sn_dimx_mul(types, sn_contract_ceil(k, per, SHARED_ROWS), sn_dimx_const(types, SHARED_ROWS));
}

/* Coordinates of axes that have a grid dimension in common, the last one fastest. */
static void set_grid(sn_contraction *k, sn_tile *t) {
  sn_types *types = k->c->types;
  sn_kernel *kk = t->b->k;
  const sn_shape *s = &k->out.space;
  const sn_dimx *one = sn_dimx_const(types, 1), *lead = one;
  const sn_dimx *m = k->row >= 0 ? s->extent[k->row] : one, *n = k->col >= 0 ? s->extent[k->col] : one;
  int64_t cached = rows_in_cache(k);
  bool split = sn_dimx_max_value(m) > cached;
  k->share = shared_rows(k);
  const sn_dimx *tiles = sn_contract_ceil(k, m, k->bm), *big = one;
  if (split) big = k->share ? tiles : sn_contract_ceil(k, m, cached);
  const sn_dimx *per = !split ? tiles : k->share ? one : sn_dimx_ceildiv(types, tiles, big);
  for (int i = 0; i < s->rank; i++)
    if (k->role[i] != SUM && i != k->row && i != k->col) lead = sn_dimx_mul(types, lead, s->extent[i]);
  if (k->when) lead = sn_dimx_mul(types, lead, k->when);
  if (k->parts) lead = sn_dimx_mul(types, lead, k->parts);
  sn_build_grid(t->b, 3, sn_dimx_mul(types, lead, big), sn_contract_ceil(k, n, k->bn), per);
  sn_kv id = sn_build_id(t->b, 0), blocks = sn_build_dim(t->b, big);
  sn_kv row = sn_build_id(t->b, 2);
  if (split) {
    sn_kv block = sn_dimx_is_one(lead) ? id : sn_k_ibin(kk, SN_K_IMOD, id, blocks);
    row = sn_k_iadd(kk, row, sn_k_imul(kk, block, sn_build_dim(t->b, per)));
    id = sn_k_ibin(kk, SN_K_IDIV, id, blocks);
  }
  for (int i = s->rank - 1; i >= 0; i--) {
    if (k->role[i] == SUM || i == k->row || i == k->col) continue;
    sn_kv e = sn_build_dim(t->b, s->extent[i]);
    t->at[i] = sn_k_ibin(kk, SN_K_IMOD, id, e);
    id = sn_k_ibin(kk, SN_K_IDIV, id, e);
  }
  k->range = id;
  if (k->row >= 0)
    t->at[k->row] = k->share ? sn_k_imul(kk, row, sn_build_dim(t->b, k->share)) : sn_k_imulc(kk, row, k->bm);
  if (k->col >= 0) t->at[k->col] = sn_k_imulc(kk, sn_build_id(t->b, 1), k->bn);
}

static bool shared_evenly(const sn_dimx *m, int64_t cached, int bm) {
  int64_t n, blocks;
  if (!sn_dimx_is_const(m, &n) || n % bm) return false;
  blocks = (n + cached - 1) / cached;
  return n / bm % blocks == 0;
}

/* Blocks of rows need not share the tiles evenly: then a tile may start beyond the end. */
void sn_contract_place(sn_contraction *k, sn_tile *t) {
  set_grid(k, t);
  sn_tile_limits(t);
  if (k->row < 0) return;
  int64_t cached = rows_in_cache(k);
  const sn_dimx *m = k->out.space.extent[k->row];
  k->overshoot = k->share || (sn_dimx_max_value(m) > cached && !shared_evenly(m, cached, k->bm));
  if (k->overshoot) t->row_limit = sn_k_isub(t->b->k, sn_build_dim(t->b, m), t->at[k->row]);
  if (k->share) t->row_limit = sn_k_ibin(t->b->k, SN_K_IMIN, t->row_limit, sn_build_dim(t->b, k->share));
}

const sn_dimx *sn_contract_flops(const sn_contraction *k) {
  sn_types *t = k->c->types;
  const sn_dimx *n = sn_dimx_const(t, 2);
  for (int i = 0; i < k->out.space.rank; i++) n = sn_dimx_mul(t, n, k->out.space.extent[i]);
  return n;
}

/* ---- the writer
 * ------------------------------------------------------------------------------------------------------------------ */

static void arrange(sn_contraction *k) {
  unify(k);
  join_axes(k);
  choose_tiles(k);
}

/* Orientation: a frozen operand to the columns, else whatever makes the columns of the store contiguous. */
static sn_code orient(sn_contraction *k, const char **why) {
  const sn_func *f = k->c->body;
  sn_contraction first = *k;
  for (int turn = 0; turn < 2; turn++) {
    *k = first;
    if (!build_groups(k, k->c->arena, f, f->node_count, f->node, NULL, NULL, f->result_count, f->result, why))
      return sn_lower_fail(k->c, "no contract kernel: %s", *why);
    k->swapped = should_swap(k) != (turn == 1);
    arrange(k);
    if (!sn_contract_may_pack(k)) continue;
    sn_contract_retile(k, true);
    return sn_contract_pack(k);
  }
  *k = first;
  if (!build_groups(k, k->c->arena, f, f->node_count, f->node, NULL, NULL, f->result_count, f->result, why))
    return SN_ERR_FAIL;
  k->swapped = should_swap(k);
  arrange(k);
  if (sn_contract_may_pack_once(k)) return sn_contract_pack_once(k, columns(k));
  widen(k);
  sn_contract_retile(k, false);
  return SN_OK;
}

static sn_code write_kernel(sn_contraction *k) {
  sn_lower_ctx *c = k->c;
  sn_buffer_use use[SN_LOWER_BUFFERS];
  int count = sn_group_buffers(c, &k->out, use, sn_contract_buffers(k, use));
  count = sn_result_buffers(c, use, count);
  sn_group_slots(c, &k->out);
  if (k->parts) return sn_contract_in_parts(k);
  sn_build_kernel *b =
      sn_build_kernel_begin(c, sn_kernel_name_of(c, k->rows == SN_CONTRACT_FEW ? "thin" : "gemm"), count, use);
  sn_tile t = {.b = b,
               .g = &k->out,
               .memo = sn_tile_memo_new(c->arena, NULL),
               .row = k->row,
               .col = k->col,
               .r = k->bm,
               .c = k->bn,
               .inner = sn_contract_product,
               .user = k};
  sn_group_forget(&k->out), sn_group_forget(&k->a), sn_group_forget(&k->b);
  sn_contract_place(k, &t);
  sn_tile_outputs(&t, NULL);
  sn_report report = {.flops = sn_dimx_add(c->types, sn_contract_flops(k), sn_body_flops(c)),
                      .bytes_read = sn_contract_bytes_read(k, true),
                      .bytes_written = sn_result_bytes(c)};
  sn_contract_report_when(k, &report);
  return sn_build_kernel_end(b, &report);
}

sn_code sn_lower_contract(sn_lower_ctx *c, const sn_node *fused) {
  sn_contraction k = {.c = c, .packed = -1, .packed_a = -1};
  const char *why = "";
  (void)fused;
  SN_TRY(orient(&k, &why));
  sn_contraction whole = k;
  sn_contract_split(&k);
  if (k.when) {
    whole.when = sn_dimx_sub(c->types, sn_dimx_const(c->types, 1), k.when);
    SN_TRY(write_kernel(&whole));
  }
  if (k.parts || !sn_contract_may_be_few(&k)) return write_kernel(&k);
  for (int i = 0; i < 2; i++) {
    k = (sn_contraction){.c = c, .packed = -1, .packed_a = -1, .rows = i ? SN_CONTRACT_MANY : SN_CONTRACT_FEW};
    SN_TRY(orient(&k, &why));
    k.when = sn_contract_when(&k);
    SN_TRY(write_kernel(&k));
  }
  return SN_OK;
}
