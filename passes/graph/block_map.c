/* mask region -> map of blocks, by interval analysis: every value of the region becomes a pair of tensors [B, H, blocks
 * of queries, blocks of keys], the least and the greatest that it may be in the block. Of a bool these are "must be
 * true" and "may be true".
 *   1. what depends on queries alone, or on keys alone, is computed at each of them; the pair are its extremes in a
 * block (documents, ranks, residues). Index values themselves and what is monotone in them need no such tensor.
 *   2. what depends on both follows from the pairs of its operands (queries less keys; comparisons)
 *   3. a captured tensor that is indexed by the query and the key: its extremes over the block; by one of them, and by
 *      numbers that are the same for all others of the block: its extremes over the rows of the one; by numbers that
 *      depend on both: the element where they are the same in all of the block; else the extremes of all elements
 *   4. anything else may be anything
 * Comparisons are formed so that NaN leaves a block partial. Integers wrap: where static bounds (wraps.h) do not rule
 * that out, a pair of i32 is any number in blocks whose ends come near the limits; other types may be anything. */
#include "passes/graph/block_map.h"

#include "passes/graph/block_range.h"
#include "passes/graph/wraps.h"

/* what a value depends on; UNKNOWN: an operand that nothing is known of */
enum { BATCH = 1, HEAD = 2, QUERY = 4, KEY = 8, UNKNOWN = 16, BOTH = QUERY | KEY };
enum { ARG_BATCH, ARG_HEAD, ARG_QUERY, ARG_KEY, ARG_CAPTURE }; /* arguments of the region */

/* The region at every site of some space: all batch rows and heads, and .. */
typedef enum space {
  FLAT,    /* .. blocks: what depends on no row */
  QUERIES, /* .. queries, [B, H, blocks, bq] */
  KEYS,    /* .. keys, [B, H, blocks, bk] */
  PAIRS,   /* .. both, [B, H, blocks, bq, blocks, bk] */
  SPACES
} space;

typedef struct sites {
  sn_build *b;
  const sn_val *arg; /* of the node */
  const sn_func *mask;
  sn_attention_layout l;
  int bq, bk;
  const bool *unknown;           /* by operand; NULL: none */
  const sn_dimx *dim[4], *T, *S; /* of the map */
  int *deps;                     /* by value id of the region */
  const bool *wraps;
  sn_range *of;
  bool *done;
  sn_val *value[SPACES]; /* by value id, NULL: not made */
  sn_val row[SPACES][2]; /* numbers of queries and keys in QUERIES, KEYS, PAIRS */
} sites;

static sn_types *types_of(const sites *s) { return s->b->func->module->types; }
static int64_t arg_of(const sn_node *n) { return n->op == SN_OP_ARG ? sn_node_attr(n, "index")->i : -1; }
static sn_elem elem_of(const sites *s, sn_val v) { return sn_g_type(s->b, v)->elem; }

static sn_val and_of(const sites *s, sn_val x, sn_val y) { return sn_g2(s->b, SN_OP_AND, x, y); }

static const sn_type *map_type(const sites *s, sn_elem e) { return sn_type_of(types_of(s), e, 4, s->dim); }

/* ---- what values depend on ---- */

static bool is_unknown(const sites *s, int operand) { return s->unknown && operand >= 0 && s->unknown[operand]; }

/* start: what positions of queries depend on beside them */
static int own_deps(const sites *s, const sn_node *n, int start) {
  switch (arg_of(n)) {
    case -1: return 0;
    case ARG_BATCH: return BATCH;
    case ARG_HEAD: return HEAD;
    case ARG_QUERY: return QUERY | start;
    case ARG_KEY: return KEY;
    default: return is_unknown(s, s->l.first_capture + (int)arg_of(n) - ARG_CAPTURE) ? UNKNOWN : 0;
  }
}

static void find_deps(sites *s, int start) {
  for (int i = 0; i < s->mask->node_count; i++) {
    const sn_node *n = s->mask->node[i];
    int d = own_deps(s, n, start);
    for (int k = 0; k < n->arg_count; k++) d |= s->deps[n->arg[k]];
    for (int r = 0; r < n->result_count; r++) s->deps[n->first + (sn_val)r] = d;
  }
}

static bool reads_table(const sn_node *n) { return n->op == SN_OP_INDEX || n->op == SN_OP_GATHER; }

/* Regions may see a captured tensor as something else: its products with the queries. */
static bool is_captured(const sn_func *f, const sn_attention_layout *l, const sn_val *arg, const sn_node *x) {
  int64_t i = arg_of(x) - ARG_CAPTURE;
  return i < 0 || (i < l->capture_count && sn_val_type(f, arg[l->first_capture + i]) == x->type[0]);
}

bool sn_block_map_fits(const sn_func *f, const sn_node *n, const sn_val *arg) {
  sites s = {.mask = sn_node_attr(n, "mask")->region, .l = sn_attention_layout_of(n)};
  sn_arena *arena = sn_arena_needed();
  bool fits = true;
  s.deps = SN_ARRAY(arena, s.mask->value_count, int);
  find_deps(&s, 0);
  for (int i = 0; i < s.mask->node_count; i++) {
    const sn_node *x = s.mask->node[i];
    if (x->op == SN_OP_ARG) fits &= is_captured(f, &s.l, arg, x);
    if (x->op == SN_OP_ARG || !s.deps[x->first]) continue;
    bool scalar = x->result_count == 1 && x->type[0]->rank == 0;
    bool known = sn_op_get(x->op)->cls == SN_CLASS_POINT || x->op == SN_OP_RESHAPE;
    if (reads_table(x)) known = !s.deps[x->arg[0]];
    fits &= scalar && known;
  }
  sn_arena_destroy(arena);
  return fits;
}

bool sn_block_map_reads(const sn_node *n, bool *operand) {
  const sn_func *mask = sn_node_attr(n, "mask")->region;
  sn_attention_layout l = sn_attention_layout_of(n);
  sn_arena *arena = sn_arena_needed();
  bool *used = SN_ARRAY(arena, mask->value_count, bool), any = false;
  used[mask->result[0]] = true;
  for (int i = mask->node_count - 1; i >= 0; i--) {
    const sn_node *x = mask->node[i];
    int64_t a = arg_of(x);
    for (int k = 0; k < x->arg_count; k++) used[x->arg[k]] |= used[x->first];
    int at = a >= ARG_CAPTURE ? l.first_capture + (int)a - ARG_CAPTURE : a == ARG_QUERY ? l.start : -1;
    if (at < 0 || !used[x->first]) continue;
    any = true;
    if (operand) operand[at] = true;
  }
  sn_arena_destroy(arena);
  return any;
}

/* ---- sites ---- */

/* Numbers of rows, of blocks along `axis` and within them along the next: those past the end are the last. */
static sn_val rows_of(const sites *s, const sn_type *t, int axis, int block, const sn_dimx *count) {
  sn_build *b = s->b;
  sn_val first = sn_g2(b, SN_OP_MUL, sn_g_iota(b, t, axis), sn_g_const(b, t, block));
  sn_val row = sn_g2(b, SN_OP_ADD, first, sn_g_iota(b, t, axis + 1));
  sn_val last = sn_g_dim(b, sn_dimx_sub(types_of(s), count, sn_dimx_const(types_of(s), 1)));
  return sn_g2(b, SN_OP_MIN, row, sn_g_expand_to(b, last, t));
}

static sn_val started(const sites *s, sn_val row) {
  const int64_t axes[1] = {0};
  if (s->l.start < 0 || s->b->failed) return row;
  const sn_type *t = sn_g_type(s->b, row);
  return sn_g2(s->b, SN_OP_ADD, row, sn_g_broadcast(s->b, s->arg[s->l.start], t->rank, t->dim, axes));
}

static const sn_type *space_type(const sites *s, space at) {
  sn_types *t = types_of(s);
  const sn_dimx *bq = sn_dimx_const(t, s->bq), *bk = sn_dimx_const(t, s->bk);
  const sn_dimx *queries[4] = {s->dim[0], s->dim[1], s->dim[2], bq}, *keys[4] = {s->dim[0], s->dim[1], s->dim[3], bk};
  const sn_dimx *pairs[6] = {s->dim[0], s->dim[1], s->dim[2], bq, s->dim[3], bk};
  if (at == PAIRS) return sn_type_of(t, SN_ELEM_I32, 6, pairs);
  return sn_type_of(t, SN_ELEM_I32, 4, at == QUERIES ? queries : at == KEYS ? keys : s->dim);
}

/* A start of each batch row is broadcast along the batch, which is an axis then. */
static void set_rows(sites *s, space at) {
  const sn_type *t = space_type(s, at);
  sn_val none = sn_g_const(s->b, t, 0);
  bool queries = at == QUERIES || at == PAIRS, keys = at == KEYS || at == PAIRS;
  s->row[at][0] = queries ? started(s, rows_of(s, t, 2, s->bq, s->T)) : none;
  s->row[at][1] = keys ? rows_of(s, t, at == PAIRS ? 4 : 2, s->bk, s->S) : none;
}

/* Values of the region at the sites of a space, as lifting leaves them. */
static const sn_val *values_at(sites *s, space at) {
  sn_build *b = s->b;
  const sn_type *t = space_type(s, at);
  int count = ARG_CAPTURE + s->l.capture_count;
  if (s->value[at]) return s->value[at];
  sn_val *args = SN_ARRAY(b->func->arena, count, sn_val);
  bool *lifted = SN_ARRAY(b->func->arena, count, bool);
  set_rows(s, at);
  args[ARG_BATCH] = sn_g_iota(b, t, 0), args[ARG_HEAD] = sn_g_iota(b, t, 1);
  args[ARG_QUERY] = s->row[at][0], args[ARG_KEY] = s->row[at][1];
  for (int i = 0; i < ARG_CAPTURE; i++) lifted[i] = true;
  for (int i = ARG_CAPTURE; i < count; i++) args[i] = s->arg[s->l.first_capture + i - ARG_CAPTURE];
  return s->value[at] = sn_region_lift_values(b, s->mask, count, args, lifted, t);
}

static sn_val value_at(sites *s, space at, sn_val v) {
  sn_val x = values_at(s, at)[v];
  if (s->b->failed || !x) return 0;
  return sn_g_expand_to(s->b, x, sn_type_with_elem(types_of(s), space_type(s, at), elem_of(s, x)));
}

/* ---- 1: one side ---- */

static sn_val wide(const sites *s, sn_val x) {
  return s->b->failed || elem_of(s, x) != SN_ELEM_BOOL ? x : sn_g_cast(s->b, x, SN_ELEM_I32);
}

static sn_val narrow(const sites *s, sn_val x, sn_elem e) {
  if (s->b->failed || e != SN_ELEM_BOOL || elem_of(s, x) == e) return x;
  return sn_g2(s->b, SN_OP_NE, x, sn_g_const_like(s->b, x, 0));
}

static sn_range point(sn_val x) { return (sn_range){x, x}; }

/* Extremes of a value of a space over its rows. */
static sn_range extremes(sites *s, space at, sn_val x) {
  sn_build *b = s->b;
  const int64_t over[2] = {3, 5}, to_queries[3] = {0, 1, 2}, to_keys[3] = {0, 1, 3};
  sn_elem e = b->failed ? SN_ELEM_I32 : elem_of(s, x);
  sn_val y = wide(s, x), end[2];
  for (int i = 0; i < 2; i++) {
    int count = at == PAIRS ? 2 : 1;
    end[i] = i ? sn_g_amax(b, y, count, over) : sn_g_amin(b, y, count, over);
    if (at != PAIRS) end[i] = sn_g_broadcast(b, end[i], 4, s->dim, at == QUERIES ? to_queries : to_keys);
    end[i] = narrow(s, end[i], e);
  }
  return (sn_range){end[0], end[1]};
}

static sn_range computed(sites *s, sn_val v) {
  int side = s->deps[v] & BOTH;
  space at = !side ? FLAT : side == QUERY ? QUERIES : side == KEY ? KEYS : PAIRS;
  sn_val x = value_at(s, at, v);
  return side ? extremes(s, at, x) : point(x);
}

static bool is_number(const sn_node *n) { return n->op == SN_OP_CONST || n->op == SN_OP_DIM; }
/* The value of a constant; 0 for others. */
static double number_of(const sn_node *n) { return n->op == SN_OP_CONST ? sn_node_attr(n, "value")->f : 0; }

static bool widens(const sn_node *n, const sn_type *from) {
  sn_elem to = n->type[0]->elem;
  bool index = from->elem == SN_ELEM_I32 || from->elem == SN_ELEM_BOOL;
  return index && (to == SN_ELEM_I32 || to == SN_ELEM_I64 || to == SN_ELEM_F32 || to == SN_ELEM_F64);
}

/* Is it an index value, or monotone in one? Its pair is exact without computing it at every row. */
static bool is_plain(const sites *s, sn_val v) {
  const sn_node *n = sn_node_of(s->mask, v), *x = n->arg_count ? sn_node_of(s->mask, n->arg[0]) : NULL;
  const sn_node *y = n->arg_count > 1 ? sn_node_of(s->mask, n->arg[1]) : NULL;
  if (s->wraps[v]) return false;
  switch (n->op) {
    case SN_OP_ARG:
    case SN_OP_CONST:
    case SN_OP_DIM: return n->type[0]->rank == 0 && arg_of(n) < ARG_CAPTURE;
    case SN_OP_NEG: return is_plain(s, n->arg[0]);
    case SN_OP_CAST: return widens(n, x->type[0]) && is_plain(s, n->arg[0]);
    case SN_OP_DIV: return sn_elem_is_int(n->type[0]->elem) && number_of(y) > 0 && is_plain(s, n->arg[0]);
    case SN_OP_ADD:
    case SN_OP_SUB:
    case SN_OP_MUL:
    case SN_OP_MIN:
    case SN_OP_MAX: return (is_number(x) && is_plain(s, n->arg[1])) || (is_number(y) && is_plain(s, n->arg[0]));
    default: return false;
  }
}

/* ---- 2: rules ---- */

static sn_range bound(sites *s, sn_val v);

static sn_range anything(const sites *s, const sn_node *n) {
  if (n->type[0]->elem != SN_ELEM_BOOL) return (sn_range){0};
  const sn_type *t = map_type(s, SN_ELEM_BOOL);
  return (sn_range){sn_g_const(s->b, t, 0), sn_g_const(s->b, t, 1)};
}

static sn_range rows(sites *s, bool queries) {
  sn_build *b = s->b;
  const sn_type *t = map_type(s, SN_ELEM_I32);
  int block = queries ? s->bq : s->bk;
  sn_val first = sn_g2(b, SN_OP_MUL, sn_g_iota(b, t, queries ? 2 : 3), sn_g_const(b, t, block));
  sn_val last = sn_g_dim(b, sn_dimx_sub(types_of(s), queries ? s->T : s->S, sn_dimx_const(types_of(s), 1)));
  sn_val end = sn_g2(b, SN_OP_ADD, first, sn_g_const(b, t, block - 1));
  end = sn_g2(b, SN_OP_MIN, end, sn_g_expand_to(b, last, t));
  return queries ? (sn_range){started(s, first), started(s, end)} : (sn_range){first, end};
}

static sn_range leaf(sites *s, const sn_node *n) {
  const sn_type *t = map_type(s, n->type[0]->elem);
  if (n->op == SN_OP_CONST) return point(sn_g_const(s->b, t, sn_node_attr(n, "value")->f));
  if (n->op == SN_OP_DIM) {
    sn_val d = sn_g_dim(s->b, sn_node_attr(n, "dim")->d);
    return point(sn_g_expand_to(s->b, sn_g_cast(s->b, d, n->type[0]->elem), t));
  }
  int64_t i = arg_of(n);
  return i == ARG_QUERY || i == ARG_KEY ? rows(s, i == ARG_QUERY) : point(sn_g_iota(s->b, t, (int)i));
}

static sn_range arithmetic(sites *s, const sn_node *n, sn_range x, sn_range y) {
  if (s->wraps[n->first] && n->type[0]->elem != SN_ELEM_I32) return anything(s, n);
  sn_range r = sn_range_exact(s->b, n->op, x, y);
  return s->wraps[n->first]
             ? sn_range_unless_wrapped(s->b, r,
                                       sn_range_exact(s->b, n->op, sn_range_floats(s->b, x), sn_range_floats(s->b, y)))
             : r;
}

/* ---- 3: captured tensors indexed by both ---- */

static bool is_row(const sites *s, sn_val v) {
  int64_t i = arg_of(sn_node_of(s->mask, v));
  return i == ARG_QUERY || i == ARG_KEY;
}

/* Is each number of the index that of the query, of the key, or the same in all of the block? */
static bool indexed_by_rows(const sites *s, const sn_node *n) {
  for (int k = 1; k < n->arg_count; k++)
    if ((s->deps[n->arg[k]] & BOTH) && !is_row(s, n->arg[k])) return false;
  return true;
}

static sn_range all_elements(sites *s, sn_val table) {
  sn_build *b = s->b;
  int64_t axes[SN_RANK_MAX];
  const sn_type *t = sn_g_type(b, table);
  for (int i = 0; i < t->rank; i++) axes[i] = i;
  sn_val x = wide(s, table), lo = sn_g_amin(b, x, t->rank, axes), hi = sn_g_amax(b, x, t->rank, axes);
  if (b->failed) return (sn_range){0};
  const sn_type *to = map_type(s, elem_of(s, lo));
  return (sn_range){narrow(s, sn_g_expand_to(b, lo, to), t->elem), narrow(s, sn_g_expand_to(b, hi, to), t->elem)};
}

/* The number i, or the nearest that there is along an axis of the table. */
static sn_val within(const sites *s, sn_val i, sn_val table, int axis) {
  sn_build *b = s->b;
  if (b->failed) return 0;
  sn_val last = sn_g_dim(b, sn_dimx_sub(types_of(s), sn_g_type(b, table)->dim[axis], sn_dimx_const(types_of(s), 1)));
  last = sn_g_expand_to(b, sn_g_cast(b, last, elem_of(s, i)), sn_g_type(b, i));
  return sn_g2(b, SN_OP_MAX, sn_g2(b, SN_OP_MIN, i, last), sn_g_const_like(b, i, 0));
}

static sn_range element(sites *s, const sn_node *n) {
  sn_build *b = s->b;
  sn_val arg[SN_RANK_MAX + 1] = {values_at(s, FLAT)[n->arg[0]]}, one = 0;
  const sn_type *table = b->failed ? NULL : sn_g_type(b, arg[0]);
  if (!table || n->arg_count != table->rank + 1) return anything(s, n);
  for (int k = 1; k < n->arg_count; k++) {
    sn_range i = bound(s, n->arg[k]);
    if (!i.lo) return all_elements(s, arg[0]);
    sn_val same = sn_g2(b, SN_OP_EQ, i.lo, i.hi);
    arg[k] = within(s, i.lo, arg[0], k - 1);
    one = one ? and_of(s, one, same) : same;
  }
  sn_val x = sn_emit(b, SN_OP_INDEX, n->arg_count, arg, NULL, NULL);
  sn_range all = all_elements(s, arg[0]);
  return (sn_range){sn_g3(b, SN_OP_SELECT, one, x, all.lo), sn_g3(b, SN_OP_SELECT, one, x, all.hi)};
}

/* The side whose row itself is among the numbers of the index, while the other's are made of it; 0: neither or both. */
static int varied_side(const sites *s, const sn_node *n) {
  int plain = 0;
  for (int k = 1; k < n->arg_count; k++) {
    int side = s->deps[n->arg[k]] & BOTH;
    if (side == BOTH) return 0;
    if (is_row(s, n->arg[k])) plain |= side;
  }
  return plain == BOTH ? 0 : plain;
}

/* Extremes over the rows of one side, where the other numbers are the same in all of the block. The element of every
 * row is in [B, H, blocks, rows, blocks] or, of keys, [B, H, blocks, blocks, rows]. */
static sn_range along_side(sites *s, const sn_node *n, int side) {
  sn_build *b = s->b;
  bool queries = side == QUERY;
  const int64_t rows[2][4] = {{0, 1, 3, 4}, {0, 1, 2, 3}}, blocks[2][4] = {{0, 1, 2, 3}, {0, 1, 2, 4}};
  const sn_dimx *block = sn_dimx_const(types_of(s), queries ? s->bq : s->bk);
  const sn_dimx *dim[5] = {s->dim[0], s->dim[1], s->dim[2], queries ? block : s->dim[3], queries ? s->dim[3] : block};
  sn_val arg[SN_RANK_MAX + 1] = {values_at(s, FLAT)[n->arg[0]]}, one = sn_g_const(b, map_type(s, SN_ELEM_BOOL), 1);
  for (int k = 1; k < n->arg_count; k++) {
    bool varied = s->deps[n->arg[k]] & side;
    sn_range i = varied ? point(value_at(s, queries ? QUERIES : KEYS, n->arg[k])) : bound(s, n->arg[k]);
    if (!i.lo || b->failed) return all_elements(s, arg[0]);
    if (!varied) one = and_of(s, one, sn_g2(b, SN_OP_EQ, i.lo, i.hi)), i.lo = within(s, i.lo, arg[0], k - 1);
    arg[k] = sn_g_broadcast(b, i.lo, 5, dim, (varied ? rows : blocks)[queries]);
  }
  const int64_t over[1] = {queries ? 3 : 4};
  sn_val x = wide(s, sn_emit(b, SN_OP_INDEX, n->arg_count, arg, NULL, NULL));
  sn_range all = all_elements(s, arg[0]), end = {sn_g_amin(b, x, 1, over), sn_g_amax(b, x, 1, over)};
  if (b->failed) return (sn_range){0};
  end.lo = narrow(s, end.lo, elem_of(s, all.lo)), end.hi = narrow(s, end.hi, elem_of(s, all.lo));
  return (sn_range){sn_g3(b, SN_OP_SELECT, one, end.lo, all.lo), sn_g3(b, SN_OP_SELECT, one, end.hi, all.hi)};
}

/* ---- the walk ---- */

static sn_range unary(sites *s, const sn_node *n) {
  sn_range x = bound(s, n->arg[0]);
  if (!x.lo) return anything(s, n);
  switch (n->op) {
    case SN_OP_NEG:
    case SN_OP_ABS: return arithmetic(s, n, x, (sn_range){0});
    case SN_OP_NOT: return sn_range_map(s->b, n->op, sn_range_swapped(x));
    case SN_OP_FLOOR:
    case SN_OP_CEIL:
    case SN_OP_ROUND:
    case SN_OP_TRUNC:
    case SN_OP_SIGN: return sn_range_map(s->b, n->op, x);
    case SN_OP_CAST:
      return widens(n, sn_val_type(s->mask, n->arg[0])) ? sn_range_cast(s->b, x, n->type[0]->elem) : anything(s, n);
    default: return anything(s, n);
  }
}

static sn_range binary(sites *s, const sn_node *n) {
  sn_range x = bound(s, n->arg[0]), y = bound(s, n->arg[1]);
  double by = number_of(sn_node_of(s->mask, n->arg[1]));
  bool logic = sn_val_type(s->mask, n->arg[0])->elem == SN_ELEM_BOOL;
  if (!x.lo || !y.lo) return anything(s, n);
  switch (n->op) {
    case SN_OP_ADD:
    case SN_OP_SUB:
    case SN_OP_MUL: return arithmetic(s, n, x, y);
    case SN_OP_MIN:
    case SN_OP_MAX: return sn_range_each_end(s->b, n->op, x, y);
    case SN_OP_DIV: return by > 0 ? sn_range_each_end(s->b, n->op, x, y) : anything(s, n);
    case SN_OP_MOD: return by > 0 ? sn_range_mod(s->b, x, y, by) : anything(s, n);
    case SN_OP_AND:
    case SN_OP_OR: return logic ? sn_range_each_end(s->b, n->op, x, y) : anything(s, n);
    case SN_OP_XOR:
      return logic ? sn_range_map(s->b, SN_OP_NOT, sn_range_swapped(sn_range_same(s->b, x, y))) : anything(s, n);
    case SN_OP_EQ:
    case SN_OP_NE:
    case SN_OP_LT:
    case SN_OP_LE: return sn_range_compare(s->b, n->op, x, y);
    default: return anything(s, n);
  }
}

static sn_range read_of(sites *s, const sn_node *n) {
  int side = n->op == SN_OP_INDEX ? varied_side(s, n) : 0;
  if (n->op == SN_OP_INDEX && indexed_by_rows(s, n)) return computed(s, n->first);
  return side ? along_side(s, n, side) : element(s, n);
}

static sn_range by_rule(sites *s, const sn_node *n) {
  sn_range c, x, y;
  if (reads_table(n) && (s->deps[n->first] & UNKNOWN)) return anything(s, n);
  if (reads_table(n)) return read_of(s, n);
  if (n->arg_count == 0) return leaf(s, n);
  if (n->op == SN_OP_RESHAPE) return bound(s, n->arg[0]);
  if (n->arg_count == 1) return unary(s, n);
  if (n->arg_count == 2) return binary(s, n);
  if (n->op != SN_OP_SELECT) return anything(s, n);
  c = bound(s, n->arg[0]), x = bound(s, n->arg[1]), y = bound(s, n->arg[2]);
  return x.lo && y.lo ? sn_range_select(s->b, c, x, y) : anything(s, n);
}

static sn_range bound(sites *s, sn_val v) {
  if (s->done[v] || s->b->failed) return s->of[v];
  if ((s->deps[v] & UNKNOWN) && ((s->deps[v] & BOTH) != BOTH || arg_of(sn_node_of(s->mask, v)) >= 0))
    return anything(s, sn_node_of(s->mask, v));
  bool rule = (s->deps[v] & BOTH) == BOTH || is_plain(s, v);
  sn_range r = rule ? by_rule(s, sn_node_of(s->mask, v)) : computed(s, v);
  s->done[v] = true;
  return s->of[v] = r;
}

/* The last block of keys has room for some that do not exist. */
static sn_val without_tail(sites *s, sn_val full) {
  sn_build *b = s->b;
  const sn_type *t = map_type(s, SN_ELEM_I32);
  if (sn_dimx_divisor(s->S) % s->bk == 0) return full;
  sn_val end = sn_g2(b, SN_OP_MUL, sn_g_iota(b, t, 3), sn_g_const(b, t, s->bk));
  end = sn_g2(b, SN_OP_ADD, end, sn_g_const(b, t, s->bk));
  return and_of(s, full, sn_g2(b, SN_OP_LE, end, sn_g_expand_to(b, sn_g_dim(b, s->S), t)));
}

/* Positions of queries may wrap where the start is none that bounds hold for: then nothing is known of any block. */
static sn_val some_unless_small(sites *s, sn_val map) {
  sn_build *b = s->b;
  const sn_type *t = map_type(s, SN_ELEM_I32);
  if (s->l.start < 0 || b->failed) return map;
  sn_val start = started(s, sn_g_const(b, t, 0));
  sn_val small = and_of(s, sn_g2(b, SN_OP_LE, sn_g_const(b, t, 0), start),
                        sn_g2(b, SN_OP_LE, start, sn_g_const(b, t, SN_START_MAX)));
  return sn_g3(b, SN_OP_SELECT, small, map, sn_g_const(b, t, 1));
}

sn_val sn_block_map(sn_build *b, const sn_block_map_of *of) {
  const sn_func *mask = sn_node_attr(of->n, "mask")->region;
  sn_arena *arena = b->func->arena;
  sites s = {.b = b, .arg = of->arg, .mask = mask, .l = sn_attention_layout_of(of->n), .bq = of->bq, .bk = of->bk};
  sn_types *t = types_of(&s);
  s.unknown = of->unknown, s.T = of->q->dim[1];
  s.S = sn_attention_keys(t, of->k, s.l.pages < 0 ? NULL : sn_g_type(b, of->arg[s.l.pages]));
  s.wraps = sn_region_wraps(arena, mask, (const sn_dimx *[]){of->q->dim[0], of->q->dim[2], s.T, s.S}, s.l.start >= 0);
  s.deps = SN_ARRAY(arena, mask->value_count, int), s.of = SN_ARRAY(arena, mask->value_count, sn_range);
  s.done = SN_ARRAY(arena, mask->value_count, bool);
  int start = is_unknown(&s, s.l.start) ? UNKNOWN : 0;
  if (!start && s.l.start >= 0 && sn_g_type(b, of->arg[s.l.start])->rank) start = BATCH;
  find_deps(&s, start);
  int deps = s.deps[mask->result[0]];
  s.dim[0] = deps & BATCH ? of->q->dim[0] : sn_dimx_const(t, 1);
  s.dim[1] = deps & HEAD ? of->q->dim[2] : sn_dimx_const(t, 1);
  s.dim[2] = sn_dimx_ceildiv(t, s.T, sn_dimx_const(t, s.bq)),
  s.dim[3] = sn_dimx_ceildiv(t, s.S, sn_dimx_const(t, s.bk));
  sn_range live = bound(&s, mask->result[0]);
  sn_val full = without_tail(&s, live.lo);
  sn_val map = sn_g2(b, SN_OP_ADD, sn_g_cast(b, full, SN_ELEM_I32), sn_g_cast(b, live.hi, SN_ELEM_I32));
  return deps & QUERY && !(deps & UNKNOWN) ? some_unless_small(&s, map) : map;
}
