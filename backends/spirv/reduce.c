/* Reductions: registers of an invocation by halving, then invocations pair by pair, in the order of the bits of their
 * number. Bits inside a subgroup are exchanged by shuffles, the others through shared memory, several at a time: the
 * tree is the same wherever the border lies. */
#include <math.h>

#include "backends/spirv/sg.h"

/* What is reduced: a number, or a number with its column. */
typedef struct item {
  spv_id value, column;
} item;

typedef struct reduction {
  sg *g;
  const sn_kins *x;
  sn_elem elem; /* of the operand */
  spv_id type, neutral;
  bool pairs; /* rargmax */
} reduction;

static double neutral_of(sn_kop op, sn_elem e) {
  if (op == SN_K_RSUM) return 0;
  if (op == SN_K_RPROD) return 1;
  return sn_elem_is_float(e) ? -INFINITY : e == SN_ELEM_I64 ? -0x1p63 : (double)INT32_MIN;
}

/* The greater of two numbers with their columns; the first column of equals. */
static item greater(const reduction *r, item a, item b) {
  sg *g = r->g;
  bool real = sn_elem_is_float(r->elem);
  spv_id more = sg_compare(g, r->elem, real ? SpvOpFOrdGreaterThan : SpvOpSGreaterThan, b.value, a.value);
  spv_id same = sg_compare(g, r->elem, real ? SpvOpFOrdEqual : SpvOpIEqual, b.value, a.value);
  spv_id earlier = sg_test(g, SpvOpULessThan, b.column, a.column);
  same = sg_both(g, same, earlier);
  spv_id second = sg_test(g, SpvOpLogicalOr, more, same);
  item y;
  y.value = sg_select(g, r->type, second, b.value, a.value);
  y.column = sg_select(g, spv_uint(g->s, 32), second, b.column, a.column);
  return y;
}

static item combine(const reduction *r, item a, item b) {
  if (r->pairs) return greater(r, a, b);
  sn_kop op = r->x->op == SN_K_RSUM ? SN_K_ADD : r->x->op == SN_K_RPROD ? SN_K_MUL : SN_K_MAX;
  return (item){sg_binary(r->g, op, r->elem, a.value, b.value), 0};
}

/* ---- registers --------------------------------------------------------------------------------------------------- */

static item fold(const reduction *r, item *x, uint32_t count) {
  while (count > 1) {
    uint32_t half = (count + 1) / 2;
    for (uint32_t i = half; i < count; i++) x[i - half] = combine(r, x[i - half], x[i]);
    count = half;
  }
  return x[0];
}

/* A NaN is never the greatest, except in the first column, where nothing is greater. */
static spv_id ranked(const reduction *r, spv_id value, spv_id column) {
  sg *g = r->g;
  if (!sn_elem_is_float(r->elem)) return value;
  spv_id least = sg_const(g, r->elem, -INFINITY), most = sg_const(g, r->elem, INFINITY);
  spv_id first = sg_testc(g, SpvOpIEqual, column, 0), number = sg_test(g, SpvOpFOrdEqual, value, value);
  spv_id instead = sg_select(g, r->type, first, most, least);
  return sg_select(g, r->type, number, value, instead);
}

static item element(const reduction *r, sg_axis a, bool rows, uint32_t j, spv_id value) {
  sg *g = r->g;
  bool all = sg_padded(a) == a.extent;
  spv_id at = all && !r->pairs ? 0 : sg_coordinate(g, a, rows, j);
  if (r->pairs) value = ranked(r, value, at);
  if (!all) value = sg_select(g, r->type, sg_inside(g, a, at), value, r->neutral);
  return (item){value, at};
}

/* ---- invocations ------------------------------------------------------------------------------------------------- */

static spv_id from_lane(sg *g, spv_id type, spv_id x, uint32_t bit);

/* Of 64 bits: devices need not shuffle them, so it is two words. */
static spv_id wide_from_lane(sg *g, sn_elem e, spv_id x, uint32_t bit) {
  spv_id word = spv_uint(g->s, 32), pair = spv_vector(g->s, word, 2), half[2];
  x = sg_words(g, e, x);
  for (uint32_t i = 0; i < 2; i++) {
    half[i] = spv_op2(g->s, SpvOpCompositeExtract, word, x, i);
    half[i] = from_lane(g, word, half[i], bit);
  }
  x = spv_op2(g->s, SpvOpCompositeConstruct, pair, half[0], half[1]);
  return sg_of_words(g, e, x);
}

static spv_id from_lane(sg *g, spv_id type, spv_id x, uint32_t bit) {
  spv_id scope = spv_u32(g->s, SpvScopeSubgroup), mask = spv_u32(g->s, (uint32_t)1 << bit);
  return spv_op3(g->s, SpvOpGroupNonUniformShuffleXor, type, scope, x, mask);
}

static item across_lanes(const reduction *r, item x, uint32_t bit) {
  sg *g = r->g;
  item y = {0};
  y.value = sg_is_wide(r->elem) ? wide_from_lane(g, r->elem, x.value, bit) : from_lane(g, r->type, x.value, bit);
  if (r->pairs) y.column = from_lane(g, spv_uint(g->s, 32), x.column, bit);
  return combine(r, x, y);
}

/* What `count` registers of every invocation hold, for the others to read. */
static void publish(const reduction *r, const item *x, uint32_t count, int slot) {
  sg *g = r->g;
  uint32_t each = g->NT, words = sg_is_wide(r->elem) ? 2 : 1;
  sg_will(g, -1, -1, slot);
  for (uint32_t i = 0; i < count; i++) {
    sg_slot_store(g, slot, r->elem, sg_add(g, g->tid, i * each), x[i].value);
    if (r->pairs) sg_slot_store(g, slot, SN_ELEM_I32, sg_add(g, g->tid, (SG_BATCH * words + i) * each), x[i].column);
  }
  sg_will(g, slot, -1, -1);
}

static item published(const reduction *r, uint32_t i, spv_id invocation, int slot) {
  sg *g = r->g;
  uint32_t each = g->NT, words = sg_is_wide(r->elem) ? 2 : 1;
  item y = {sg_slot_load(g, slot, r->elem, sg_add(g, invocation, i * each)), 0};
  if (r->pairs) y.column = sg_slot_load(g, slot, SN_ELEM_I32, sg_add(g, invocation, (SG_BATCH * words + i) * each));
  return y;
}

/* Exchanges with the invocations whose number differs in bits lo to hi: each reads what all of them published, and
 * folds it pair by pair in the order of the bits. */
static void across_memory(const reduction *r, item *x, uint32_t count, uint32_t lo, uint32_t hi, int slot) {
  sg *g = r->g;
  uint32_t group = (uint32_t)1 << (hi - lo);
  item part[1 << SG_BITS];
  publish(r, x, count, slot);
  for (uint32_t i = 0; i < count; i++) {
    for (uint32_t q = 0; q < group; q++) {
      spv_id other = q ? sg_intc(g, SpvOpBitwiseXor, g->tid, q << lo) : g->tid;
      part[q] = q ? published(r, i, other, slot) : x[i];
    }
    for (uint32_t step = 1; step < group; step *= 2)
      for (uint32_t q = 0; q < group; q += 2 * step) part[q] = combine(r, part[q], part[q + step]);
    x[i] = part[0];
  }
}

static void across(const reduction *r, item *x, uint32_t count, uint32_t lo, uint32_t hi) {
  uint32_t lanes = sg_log2(r->g->S);
  int turn = 0;
  for (uint32_t bit = lo; bit < hi && bit < lanes; bit++)
    for (uint32_t i = 0; i < count; i++) x[i] = across_lanes(r, x[i], bit);
  for (uint32_t bit = lo > lanes ? lo : lanes, end; bit < hi; bit = end) {
    end = bit + SG_BITS < hi ? bit + SG_BITS : hi;
    for (uint32_t i = 0; i < count; i += SG_BATCH, turn++)
      across_memory(r, x + i, count - i < SG_BATCH ? count - i : SG_BATCH, bit, end, r->g->reduce_slot + turn % 2);
  }
}

/* What the invocation whose number differs in one bit holds: lanes are asked, others publish a few at a time. */
static void exchange(const reduction *r, item *x, uint32_t count, uint32_t bit, int *turn) {
  sg *g = r->g;
  for (uint32_t i = 0; i < count && bit < sg_log2(g->S); i++)
    x[i].value =
        sg_is_wide(r->elem) ? wide_from_lane(g, r->elem, x[i].value, bit) : from_lane(g, r->type, x[i].value, bit);
  if (bit < sg_log2(g->S)) return;
  spv_id other = sg_intc(g, SpvOpBitwiseXor, g->tid, (uint32_t)1 << bit);
  for (uint32_t i = 0; i < count; i += SG_BATCH, ++*turn) {
    uint32_t some = count - i < SG_BATCH ? count - i : SG_BATCH;
    int slot = g->reduce_slot + *turn % 2;
    publish(r, x + i, some, slot);
    for (uint32_t q = 0; q < some; q++) x[i + q] = published(r, q, other, slot);
  }
}

/* Each of two invocations adds up one half of the numbers of both. */
static void halve(const reduction *r, item *x, uint32_t half, uint32_t bit, int *turn, spv_id *first) {
  sg *g = r->g;
  spv_id word = spv_uint(g->s, 32), mine = sg_intc(g, SpvOpBitwiseAnd, g->tid, (uint32_t)1 << bit);
  spv_id upper = sg_testc(g, SpvOpINotEqual, mine, 0), none = spv_u32(g->s, 0), by = spv_u32(g->s, half);
  item *given = SN_ARRAY(g->arena, half + 1, item);
  for (uint32_t i = 0; i < half; i++) {
    given[i].value = sg_select(g, r->type, upper, x[i].value, x[i + half].value);
    x[i].value = sg_select(g, r->type, upper, x[i + half].value, x[i].value);
  }
  exchange(r, given, half, bit, turn);
  for (uint32_t i = 0; i < half; i++) x[i] = combine(r, x[i], given[i]);
  by = sg_select(g, word, upper, by, none);
  *first = sg_int(g, SpvOpIAdd, *first, by);
}

uint32_t sg_sum_across(sg *g, sn_elem e, spv_id *x, uint32_t count, uint32_t lo, uint32_t hi, spv_id *first,
                       uint32_t *copies) {
  static const sn_kins sum = {.op = SN_K_RSUM};
  reduction r = {.g = g, .x = &sum, .elem = e, .type = sg_type(g, e)};
  uint32_t bit = lo;
  int turn = 0;
  item *in = SN_ARRAY(g->arena, count + 1, item);
  for (uint32_t i = 0; i < count; i++) in[i].value = x[i];
  *first = spv_u32(g->s, 0), *copies = 0;
  for (; bit < hi && count % 2 == 0 && (bit < sg_log2(g->S) || count > SG_BATCH); bit++)
    halve(&r, in, count /= 2, bit, &turn, first);
  across(&r, in, count, bit, hi);
  for (; bit < hi; bit++) *copies |= (uint32_t)1 << bit;
  for (uint32_t i = 0; i < count; i++) x[i] = in[i].value;
  return count;
}

void sg_reduce(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_tile in = g->tile[x->a[0]], out = sg_tile_new(g, x->type.r, x->type.c);
  bool rows = x->i == 0;
  sg_axis a = rows ? in.r : in.c, kept = rows ? in.c : in.r;
  reduction r = {.g = g, .x = x, .elem = sg_ins(g, x->a[0])->type.elem, .pairs = x->op == SN_K_RARGMAX};
  r.type = sg_type(g, r.elem), r.neutral = sg_const(g, r.elem, neutral_of(x->op, r.elem));
  item *line = SN_ARRAY(g->arena, a.per + 1, item), *sum = SN_ARRAY(g->arena, kept.per + 1, item);
  for (uint32_t i = 0; i < kept.per; i++) {
    for (uint32_t j = 0; j < a.per; j++)
      line[j] = element(&r, a, rows, j, in.e[rows ? j * in.c.per + i : i * in.c.per + j]);
    sum[i] = fold(&r, line, a.per);
  }
  uint32_t lo = rows ? sg_log2(g->TX) : 0;
  across(&r, sum, kept.per, lo, lo + sg_log2(a.threads));
  for (uint32_t i = 0; i < kept.per; i++) out.e[i] = r.pairs ? sum[i].column : sum[i].value;
  g->tile[v] = out;
}
