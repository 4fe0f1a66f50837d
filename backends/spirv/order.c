/* Which buffers of a kernel need barriers between their accesses: those whose elements may pass from the hands of one
 * invocation to those of another. */
#include "backends/spirv/sg.h"

/* ---- rounds of loops --------------------------------------------------------------------------------------------- */

enum { STEPS = 64, MUCH = 1 << 30 }; /* of looking at one expression; elements that count as any number */

typedef struct search {
  const sn_kernel *k;
  sn_kv iv;
  int left;
} search;

/* Does an index value change with the loop variable? true as well when that is not found out. */
static bool depends(search *s, sn_kv v) {
  if (!v) return false;
  if (v == s->iv || --s->left < 0) return true;
  const sn_kins *x = &s->k->ins[v];
  if (x->op == SN_K_IV) return depends(s, s->k->ins[x->a[0]].a[0]); /* it begins there */
  if (sn_kop_class(x->op) != SN_KCLASS_IDX || x->count != 2) return false;
  return depends(s, x->a[0]) || depends(s, x->a[1]);
}

/* *sum += scale * what v grows by when the loop variable does by 1. -> false: not known */
static bool grows(search *s, sn_kv v, int64_t scale, int64_t *sum) {
  const sn_kins *x = &s->k->ins[v];
  int64_t c, by;
  if (!v || --s->left < 0) return !v;
  if (v == s->iv) return !__builtin_add_overflow(*sum, scale, sum);
  if (x->op == SN_K_IV) return grows(s, s->k->ins[x->a[0]].a[0], scale, sum);
  if (x->op == SN_K_IADD || x->op == SN_K_ISUB)
    return grows(s, x->a[0], scale, sum) && grows(s, x->a[1], x->op == SN_K_ISUB ? -scale : scale, sum);
  if (x->op == SN_K_IMUL && sn_k_is_const(s->k, x->a[1], &c) && !__builtin_mul_overflow(scale, c, &by))
    return by != INT64_MIN && grows(s, x->a[0], by, sum);
  return !depends(s, v);
}

static int64_t sum_of(int64_t a, int64_t b) { return a > MUCH || b > MUCH || a + b > MUCH ? MUCH : a + b; }

static int64_t product_of(int64_t a, int64_t b) { return a && b > MUCH / a ? MUCH : a * b; }

/* Elements of memory that a window spans. line: of one row; all: of all of it; MUCH: not known. */
typedef struct span {
  int64_t line, all, row; /* row: from row to row, at least */
} span;

static bool span_of(const sn_kernel *k, const sn_kins *store, span *out) {
  sn_ktype t = k->ins[store->a[6]].type;
  int64_t row, row_most, col, col_most;
  sn_k_bounds(k, store->a[2], &row, &row_most);
  sn_k_bounds(k, store->a[3], &col, &col_most);
  if ((t.r > 1 && row < 0) || (t.c > 1 && col < 0)) return false;
  int64_t line = t.c == 1 ? 1 : sum_of(product_of(col_most > MUCH ? MUCH : col_most, t.c - 1), 1);
  int64_t rows = t.r == 1 ? 0 : product_of(row_most > MUCH ? MUCH : row_most, t.r - 1);
  *out = (span){line, sum_of(rows, line), row};
  return true;
}

/* Do the windows of two rounds of a loop never share an element? Afterwards the span is that of all rounds. A window
 * that stays where it is puts each element into the same hands in every round. */
static bool rounds_apart(const sn_kernel *k, const sn_kins *store, const sn_kins *loop, span *w) {
  int64_t by = 0, step, lo, hi, none;
  search s = {k, loop->iv, STEPS};
  if (depends(&s, store->a[2]) || depends(&s, store->a[3]) || !grows(&s, store->a[1], 1, &by)) return false;
  if (!by) return true;
  if (!sn_k_is_const(k, loop->a[2], &step) || step < 1) return false;
  if (__builtin_mul_overflow(by < 0 ? -by : by, step, &by)) return false;
  sn_k_bounds(k, loop->a[0], &lo, &none);
  sn_k_bounds(k, loop->a[1], &none, &hi);
  bool counted = lo > -MUCH && hi < MUCH && hi > lo;
  int64_t rounds = hi <= lo ? 1 : counted ? (hi - lo + step - 1) / step : MUCH, reach = product_of(by, rounds - 1);
  bool beside = by >= w->line && sum_of(reach, w->line) < MUCH && sum_of(reach, w->line) <= w->row;
  if (!beside && (by < w->all || w->all == MUCH)) return false;
  w->all = sum_of(w->all, reach);
  w->line = beside ? sum_of(w->line, reach) : w->all;
  return true;
}

/* Is there a store to the buffer in a loop whose rounds write an element from different hands? */
static bool rounds_meet(const sn_kernel *k, const sn_kblock *b, sn_kv buffer, const sn_kins **loop, int depth) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = &k->ins[b->ins[j]];
    span w;
    if (x->op == SN_K_STORE && x->a[0] == buffer && depth) {
      bool apart = span_of(k, x, &w);
      for (int d = depth; apart && d-- > 0;) apart = rounds_apart(k, x, loop[d], &w);
      if (!apart) return true;
    }
    if (x->op == SN_K_FOR) loop[depth] = x;
    for (int side = 0; side < 2 && x->body[side]; side++)
      if (rounds_meet(k, x->body[side], buffer, loop, depth + (x->op == SN_K_FOR))) return true;
  }
  return false;
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

/* Does every invocation hold elements of its own of such a tile? */
static bool is_spread(const sg *g, sn_ktype t) {
  return sg_axis_of((uint32_t)t.r, g->TY).threads == g->TY && sg_axis_of((uint32_t)t.c, g->TX).threads == g->TX;
}

/* Do both touch each element by the same invocation: one window, one shape, no copies? */
static bool same_hands(const sg *g, const sn_kins *x, const sn_kins *y) {
  sn_ktype s = x->op == SN_K_STORE ? sg_ins(g, x->a[6])->type : x->type;
  sn_ktype t = y->op == SN_K_STORE ? sg_ins(g, y->a[6])->type : y->type;
  bool window = x->a[1] == y->a[1] && x->a[2] == y->a[2] && x->a[3] == y->a[3];
  return window && s.r == t.r && s.c == t.c && x->op != SN_K_GATHER && y->op != SN_K_GATHER && is_spread(g, s);
}

bool sg_is_ordered(const sg *g, sn_kv buffer) {
  const sn_kins *first = NULL, *loop[SN_K_DEPTH + 1];
  int stores = 0, loads = 0;
  bool differ = false;
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    if (sn_kop_class(x->op) != SN_KCLASS_MEM || x->op == SN_K_LOCAL || x->a[0] != buffer) continue;
    stores += x->op == SN_K_STORE, loads += x->op != SN_K_STORE;
    if (!first) first = x;
    bool dealt = x->op == SN_K_LOAD && !g->value[v].registers; /* straight to its slot, in another order */
    differ |= dealt || !same_hands(g, first, x);
  }
  return stores > 1 || (stores && loads && differ) || (stores && rounds_meet(g->k, g->k->body, buffer, loop, 0));
}
