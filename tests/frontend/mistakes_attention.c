/* One mistake a graph; mistakes_attention.txt holds what is said about each. Line numbers matter: append only. */
#include "sinter.h"
/* clang-format off */

SN_SETTINGS(m0, (int, heads, 2, "heads"));

typedef struct { sn_t q, k, v, table; } in;
static in inputs(sn_scope m, const m0 *c) {
  sn_dim B = sn_sym(m, "B"), T = sn_sym(m, "T");
  return (in){sn_input(m, "q", SN_REAL, (B, T, c->heads, 8)), sn_input(m, "k", SN_REAL, (B, T, c->heads, 8)),
              sn_input(m, "v", SN_REAL, (B, T, c->heads, 4)), sn_input(m, "table", SN_REAL, (3, 5))};
}
#define TABLE (((const in *)opt)->table)
#define GRAPH(name, ...) static void name(sn_scope m, const m0 *c) { in i = inputs(m, c); sn_output(m, "y", sn_attention(i.q, i.k, i.v, .opt = &i, __VA_ARGS__)); }

static sn_t others(sn_t s, sn_site at, const void *opt) { (void)at; return sn_sub(s, sn_sum(sn_mul(s, TABLE), "hk->")); }
static sn_t all_keys(sn_t s, sn_site at, const void *opt) { (void)at; return sn_add(s, TABLE); }
static sn_t distance(sn_site at, const void *opt) { (void)opt; return sn_sub(at.q, at.k); }
static sn_t whole(sn_site at, const void *opt) { (void)at; return sn_lt(TABLE, 0); }
static sn_t one_index(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_index(TABLE, at.head)); }
static sn_t by_float(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_index(TABLE, at.head, s)); }
static sn_t too_far(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_index(TABLE, at.head, 5)); }
static sn_t before_0(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_index(TABLE, -1, at.head)); }
static sn_t short_table(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_index(TABLE, at.head, at.head)); }
static sn_t boolean(sn_t s, sn_site at, const void *opt) { (void)at, (void)opt; return sn_lt(s, 0); }
static sn_t rank(sn_t s, sn_site at, const void *opt) { (void)opt; return (void)s, at.k; }
static sn_t bad_op(sn_t s, sn_site at, const void *opt) { (void)at; return sn_add(s, sn_gather(TABLE, at.q)); }
static sn_t total_only(sn_t y, sn_t total, const void *opt) { (void)opt; return (void)y, total; }
static sn_t number(sn_t y, sn_t total, const void *opt) { (void)opt; return (void)y, (void)total, (sn_t){0}; }
static sn_t mismatch(sn_t y, sn_t total, const void *opt) { (void)total; return sn_mul(y, TABLE); }

GRAPH(other_keys, .score = others)
GRAPH(keys_at_once, .score = all_keys)
GRAPH(mask_number, .mask = distance)
GRAPH(mask_tensor, .mask = whole)
GRAPH(index_count, .score = one_index)
GRAPH(index_float, .score = by_float)
GRAPH(index_beyond, .score = too_far)
GRAPH(index_below, .score = before_0)
static void index_short(sn_scope m, const m0 *c) {
  m0 more = {4};
  in i = inputs(m, &more);
  (void)c;
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .opt = &i, .score = short_table));
}
GRAPH(score_type, .score = boolean)
GRAPH(accumulate_type, .normaliser = {.accumulate = rank})
GRAPH(accumulate_op, .normaliser = {.accumulate = bad_op})
GRAPH(finish_type, .normaliser = {.finish = total_only})
GRAPH(finish_number, .normaliser = {.finish = number})
GRAPH(finish_inside, .normaliser = {.finish = mismatch})
GRAPH(sink_shape, .normaliser = sn_softmax_sink(i.table))
static sn_t wide_row(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, TABLE, at.head)); }
static sn_t two_indices(sn_t s, sn_site at, const void *opt) { return sn_add(s, sn_dot_q(at, TABLE, at.head, at.k)); }
GRAPH(row_size, .score = wide_row)
GRAPH(row_indices, .score = two_indices)
static void row_outside(sn_scope m, const m0 *c) {
  in i = inputs(m, c);
  sn_site at = {i.q, i.q, i.q, i.q};
  sn_output(m, "y", sn_dot_q(at, i.table, 0));
}
#define PAGES(name, table_type, pages, ...) static void name(sn_scope m, const m0 *c) { sn_dim B = sn_sym(m, "B"); sn_output(m, "y", sn_cache(sn_with(m, .cache = 12), "k", sn_input(m, "x", SN_REAL, (B, 1, c->heads)), .table = sn_input(m, "pages", table_type, (B, pages)), __VA_ARGS__)); }
PAGES(pages_type, SN_REAL, 3, .pool = 8)
PAGES(pages_count, SN_I32, 5, .pool = 8)
PAGES(pages_pool, SN_I32, 3, .ring = false)
PAGES(pages_ring, SN_I32, 3, .ring = true, .pool = 8)
static void pages_alone(sn_scope m, const m0 *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), 1, c->heads));
  sn_output(m, "y", sn_cache(sn_with(m, .cache = 12), "k", x, .pool = 8));
}

SN_MODEL(attentions, m0, other_keys, keys_at_once, mask_number, mask_tensor, index_count, index_float, index_beyond, index_below,
         index_short, score_type, accumulate_type, accumulate_op, finish_type, finish_number, finish_inside, sink_shape,
         row_size, row_indices, row_outside,
         pages_type, pages_count, pages_pool, pages_ring, pages_alone);
