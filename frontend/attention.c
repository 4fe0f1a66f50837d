/* Attention: the user's score, normaliser and mask are traced into regions; caches of keys and values, and positions in
 * them.
 *
 * With a cache of N rows whose newest rows are start .. start + T - 1, the mask also excludes what is not written:
 *   plain: slot k holds position k, written when k < start + T
 *   ring:  slot s holds position p - (p - s) mod N with p = start + T - 1, the newest position; written when >= 0;
 *          score and mask see this position as at.k */
#include "frontend/trace.h"

#include <math.h>
#include <string.h>

#define NO_KEY (-1e30) /* what finish sees of a row without keys: its -inf would make NaN of differences */

/* ---- regions --------------------------------------------------------------------------------------------------- */

/* A region being traced: its site, and the score when it is one. */
typedef struct region {
  sn_fn *fn;
  sn_site at;
  sn_t score;
} region;

static const char *where_of(const sn_call *c, const char *what) {
  return sn_texts(c, "in the %s of sn_attention at %s:%d", what, sn_base_name(c->here.file), c->here.line);
}

/* below: what batch, head, query and key are less than. */
static region open_region(sn_call *c, const sn_attention_args *a, const char *name, const sn_type *score,
                          const sn_dimx *const below[4]) {
  region r = {.fn = sn_fn_open(c->trace, c->fn, name, SN_FUNC_BODY, c->here)};
  r.fn->queries = a->q, r.fn->start = a->start;
  r.fn->where = where_of(c, name);
  if (score) r.score = sn_fn_arg(r.fn, score);
  const sn_type *index = sn_type_scalar(sn_types_of(c), SN_ELEM_I32);
  sn_t *const at[4] = {&r.at.batch, &r.at.head, &r.at.q, &r.at.k};
  for (int i = 0; i < 4; i++) {
    *at[i] = sn_fn_arg(r.fn, index);
    sn_fact_of(r.fn, (sn_val)at[i]->u.id, true)->below = below[i];
  }
  return r;
}

/* start + T - back inside the region: back 0 is the end of what is written, 1 the newest position. */
static sn_t written(sn_call *c, const region *r, const sn_fact *cache, int back) {
  sn_types *types = sn_types_of(c);
  const sn_dimx *rows = sn_dimx_sub(types, cache->rows, sn_dimx_const(types, back));
  int64_t n;
  sn_t count = sn_num(0), start = cache->start;
  if (sn_dimx_is_const(rows, &n))
    count = sn_num((double)n);
  else
    count = (sn_t){.u.id = sn_g_dim(&r->fn->b, rows), .fn = r->fn};
  const sn_arg batch = {r->at.batch};
  if (!sn_is_number(start) && sn_rank(start) == 1) start = sn_index_at(c->here, start, (sn_list){1, &batch});
  return sn_is_number(count) && count.u.num == 0 ? start : sn_x_add(c->here, start, count);
}

/* The site as the user's function sees it: slots of a ring become positions. */
static sn_site seen_site(sn_call *c, const region *r, const sn_fact *cache) {
  sn_site at = r->at;
  if (!cache || !cache->ring) return at;
  sn_t newest = written(c, r, cache, 1);
  sn_t age = sn_x_mod(c->here, sn_x_sub(c->here, newest, at.k), sn_num((double)cache->cache));
  at.k = sn_x_sub(c->here, newest, age);
  return at;
}

/* What the function gave, as the type it must have; 0 after a mistake. */
static sn_val checked_result(sn_call *c, const region *r, sn_t y, const sn_type *want, const char *name) {
  sn_call inside = *c;
  inside.fn = r->fn;
  inside.fn->b.failed = SN_OK;
  if (sn_is_poison(y)) return c->poison = true, 0;
  if (sn_is_number(y)) return sn_g_const(&r->fn->b, want, y.u.num);
  if (sn_t_type(y) != want) {
    sn_mistake(c, sn_type_text(c->trace->arena, want), sn_describe(c, y, ""), "the %s function returns the wrong type",
               name);
    return 0;
  }
  sn_val v = sn_bring(&inside, y, "");
  c->poison |= inside.poison;
  return v;
}

/* The score, and what the normaliser makes of it. */
static sn_val trace_score(sn_call *c, const sn_attention_args *a, const region *r, const sn_fact *cache) {
  sn_site at = seen_site(c, r, cache);
  const sn_type *want = sn_t_type(r->score);
  sn_t s = a->score ? a->score(r->score, at, a->opt) : r->score;
  sn_val v = checked_result(c, r, s, want, "score");
  if (!v || !a->normaliser.accumulate) return v;
  const void *opt = a->normaliser.opt ? a->normaliser.opt : a->opt;
  r->fn->where = where_of(c, "normaliser");
  s = a->normaliser.accumulate((sn_t){.u.id = v, .fn = r->fn}, at, opt);
  return checked_result(c, r, s, want, "accumulate");
}

static sn_val trace_mask(sn_call *c, const sn_attention_args *a, const region *r, const sn_fact *cache) {
  sn_site at = seen_site(c, r, cache);
  const sn_type *want = sn_type_scalar(sn_types_of(c), SN_ELEM_BOOL);
  sn_t see = a->mask ? a->mask(at, a->opt) : sn_num(1);
  if (a->mask && !checked_result(c, r, see, want, "mask")) return 0;
  sn_t there = {0};
  if (cache && cache->ring)
    there = sn_x_le(c->here, sn_num(0), at.k);
  else if (cache && a->mask != sn_causal)
    there = sn_x_lt(c->here, at.k, written(c, r, cache, 0));
  if (!sn_is_number(there)) see = sn_is_number(see) && see.u.num != 0 ? there : sn_x_and(c->here, see, there);
  return checked_result(c, r, see, want, "mask");
}

/* Where the traced call of x stands, for functions that users pass by name. */
static sn_here here_of(sn_t x, const char *text) {
  if (!x.fn) return (sn_here){.text = text};
  return (sn_here){x.fn->loc.file, x.fn->loc.line, x.fn->loc.text};
}

/* The number of the query's row. */
static sn_t own_row(sn_here here, sn_site at) {
  sn_t start = at.q.fn->start;
  const sn_arg batch = {at.batch};
  if (sn_is_number(start)) return start.u.num == 0 ? at.q : sn_x_sub(here, at.q, start);
  if (sn_rank(start) == 1) start = sn_index_at(here, start, (sn_list){1, &batch});
  return sn_x_sub(here, at.q, start);
}

static bool check_rows(sn_call *c, sn_t table, int indices) {
  const sn_t queries = c->fn->queries;
  const sn_type *t = queries.fn ? sn_need(c, table, sn_spelled(c, 1)) : NULL;
  if (!queries.fn) sn_mistake(c, "the site that a score or mask was given", sn_spelled(c, 0), "there is no query here");
  if (!t) return false;
  const sn_dimx *d = sn_t_type(queries)->dim[3];
  bool rows = t->rank == indices + 1 && t->rank <= 5;
  if (rows && t->dim[indices] == d) return true;
  sn_mistake(c, rows ? sn_texts(c, "%s, as queries", sn_dim_text(c, d)) : "one index for each axis but the last",
             sn_describe(c, table, sn_spelled(c, 1)), rows ? "rows are not as long as queries" : "this is no row");
  return false;
}

sn_t sn_dot_q_at(sn_here here, sn_site at, sn_t table, sn_list index) {
  static const char *const letters[] = {"", "i", "ij", "ijk", "ijkl"};
  sn_call c = sn_call_on(here, 1, &at.q);
  if (!c.fn || c.poison || !check_rows(&c, table, index.count)) return sn_poison(&c);
  const sn_arg *first = index.at;
  bool heads = index.count == 2 && first->v.fn == at.head.fn && first->v.u.id == at.head.u.id;
  const char *l = letters[index.count], *spec = heads ? "bthd,hrd->bthr" : sn_texts(&c, "bthd,%sd->bth%s", l, l);
  const sn_arg both[2] = {{c.fn->queries}, {table}};
  sn_t all = sn_einsum_at(here, spec, (sn_list){2, both});
  if (sn_is_poison(all)) return all;
  sn_fact *fact = sn_fact_of(all.fn, (sn_val)all.u.id, true);
  if (heads || index.count == 1) fact->row_table = table, fact->row_queries = c.fn->queries;
  sn_arg place[8] = {{at.batch}, {own_row(here, at)}, {at.head}};
  for (int i = heads; i < index.count; i++) place[3 + i - heads] = index.at[i];
  return sn_index_at(here, all, (sn_list){3 + index.count - heads, place});
}

sn_t sn_causal(sn_site at, const void *opt) {
  (void)opt;
  return sn_x_le(here_of(at.k, "sn_causal"), at.k, at.q);
}

/* f32: whole steps of the logarithm stay whole. */
sn_t sn_log_bucket_at(sn_here here, sn_t d, int last, double far) {
  sn_call c = sn_call_on(here, 1, &d);
  int exact = (last + 1) / 2;
  if (!c.fn || c.poison) return sn_poison(&c);
  if (last < 1 || !(far > exact)) {
    sn_mistake(&c, "a last bucket from 1, and a distance beyond the exact ones",
               sn_texts(&c, "%d and %g, with %d exact ones", last, far, exact), "there are no such buckets");
    return sn_poison(&c);
  }
  sn_t ratio = sn_x_div(here, sn_x_max(here, d, sn_num(1)), sn_num(exact));
  sn_t steps = sn_x_div(here, sn_op1(here, "log", (sn_arg){ratio}), sn_num(log(far / exact) / exact));
  sn_t coarse = sn_cast_at(here, (sn_arg){sn_x_add(here, steps, sn_num(1e-4))}, SN_I32);
  coarse = sn_x_min(here, sn_x_add(here, coarse, sn_num(exact)), sn_num(last));
  return sn_x_where(here, sn_x_lt(here, d, sn_num(exact)), d, coarse);
}

/* ---- normalisers ------------------------------------------------------------------------------------------------ */

sn_t sn_sigmoid_weight(sn_t s, sn_site at, const void *opt) {
  (void)at, (void)opt;
  return sn_op1(here_of(s, "sn_sigmoid_weight"), "sigmoid", (sn_arg){s});
}

sn_t sn_relu2_weight(sn_t s, sn_site at, const void *opt) {
  sn_here here = here_of(s, "sn_relu2_weight");
  (void)at, (void)opt;
  return sn_x_square(here, sn_op1(here, "relu", (sn_arg){s}));
}

sn_t sn_score_weight(sn_t s, sn_site at, const void *opt) { return (void)at, (void)opt, s; }

static sn_t cast_to(sn_call *c, sn_t x, sn_elem e) {
  sn_val v = sn_bring(c, x, "");
  return v ? sn_result(c, sn_g_cast(&c->fn->b, v, e)) : sn_poison(c);
}

/* With z = exp(sink) among what p is divided by: y sum / (sum + z) = y sigmoid(log sum - sink).
 *   y, total: in the type that sums are taken in; given: the type of the attention's result
 *   source: Miller 2023 (z = 1); Xiao et al. 2023, section 3.2 */
static sn_t with_sink(sn_call *c, sn_t y, sn_t total, sn_t sink, const sn_type *given) {
  const sn_type *t = sn_t_type(sink), *ty = given;
  if (sn_is_poison(sink)) return sink;
  if (t && (t->elem != ty->elem || t->rank > 1 || (t->rank == 1 && t->dim[0] != ty->dim[2]))) {
    const char *elem = sn_elem_name(ty->elem);
    sn_mistake(c, sn_texts(c, "%s[] or %s[%s], one for each head", elem, elem, sn_dim_text(c, ty->dim[2])),
               sn_describe(c, sink, ""), "the sink does not fit");
    return sn_poison(c);
  }
  if (t) sink = cast_to(c, sink, sn_t_type(total)->elem);
  if (t && t->rank) sink = sn_rearrange_at(c->here, (sn_axes){.x = sink, .spec = "h->h1"});
  return sn_x_mul(c->here, y, sn_op1(c->here, "sigmoid", (sn_arg){sn_x_sub(c->here, total, sink)}));
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

static bool agree(sn_call *c, const sn_t *x, int i, int ai, int k, int ak, const char *what) {
  const sn_dimx *a = sn_t_type(x[i])->dim[ai], *b = sn_t_type(x[k])->dim[ak];
  const char *names = "qkv";
  if (a == b) return true;
  sn_mistake(c, sn_texts(c, "%s, from %s", sn_dim_text(c, a), sn_describe(c, x[i], sn_spelled(c, i))),
             sn_texts(c, "%s, from %s", sn_dim_text(c, b), sn_describe(c, x[k], sn_spelled(c, k))),
             "%c and %c differ in %s", names[i], names[k], what);
  return false;
}

static bool check_operands(sn_call *c, const sn_t *x) {
  const char *const names[3] = {"q", "k", "v"};
  for (int i = 0; i < 3; i++) {
    const sn_type *t = sn_need(c, x[i], names[i]);
    if (!t) return false;
    if (t->rank == 4 && sn_elem_is_float(t->elem) && t->elem == sn_t_type(x[0])->elem) continue;
    sn_mistake(c, i ? sn_texts(c, "%s[B, S, G, d]", sn_elem_name(sn_t_type(x[0])->elem)) : "floats [B, T, H, d]",
               sn_describe(c, x[i], sn_spelled(c, i)), "operand %s does not fit", names[i]);
    return false;
  }
  if (!agree(c, x, 0, 3, 1, 3, "head size") || !agree(c, x, 0, 0, 1, 0, "batch")) return false;
  if (!agree(c, x, 1, 0, 2, 0, "batch") || !agree(c, x, 1, 1, 2, 1, "length")) return false;
  if (!agree(c, x, 1, 2, 2, 2, "heads")) return false;
  if (sn_dimx_exact_div(sn_types_of(c), sn_t_type(x[0])->dim[2], sn_t_type(x[1])->dim[2])) return true;
  sn_mistake(c, sn_texts(c, "a divisor of the heads of %s", sn_describe(c, x[0], sn_spelled(c, 0))),
             sn_describe(c, x[1], sn_spelled(c, 1)), "heads of k do not divide those of q");
  return false;
}

static double scale_of(sn_call *c, const sn_attention_args *a) {
  int64_t d = 1;
  if (a->scale != 0) return a->scale;
  if (!sn_dimx_is_const(sn_t_type(a->q)->dim[3], &d))
    sn_mistake(c, "a number", sn_describe(c, a->q, sn_spelled(c, 0)), "the default scale needs a fixed head size");
  return 1 / sqrt((double)d);
}

static bool check_start(sn_call *c, const sn_attention_args *a) {
  const sn_type *t = sn_t_type(a->start);
  if (sn_is_number(a->start)) return true;
  if (t && t->elem == SN_ELEM_I32 && (t->rank == 0 || (t->rank == 1 && t->dim[0] == sn_t_type(a->q)->dim[0])))
    return true;
  sn_mistake(c, "i32[] or i32[B]", sn_describe(c, a->start, ".start"), "the start does not fit");
  return false;
}

/* Captured tensors after arg[n]; of products of the queries with rows, the rows: kernels make the products that they
 * need. -> how many; ints: which */
static int take_rows(sn_call *c, const sn_closed *any, sn_val *arg, int n, int64_t *ints) {
  int count = 0;
  for (int i = 0; i < any->captured_count; i++) {
    const sn_fact *fact = sn_fact_of(c->fn, any->captured[i], false);
    bool rows = fact && fact->row_table.fn && sn_bring(c, fact->row_queries, "q") == arg[0];
    arg[n + i] = rows ? sn_bring(c, fact->row_table, "table") : any->captured[i];
    if (rows) ints[count++] = i;
  }
  return count;
}

static sn_val emit_attention(sn_call *c, const sn_attention_args *a, const sn_closed body[2]) {
  const sn_closed *any = body[0].func ? &body[0] : &body[1];
  bool started = !sn_is_number(a->start) || a->start.u.num != 0;
  sn_val *arg = SN_ARRAY(c->trace->arena, any->captured_count + 4, sn_val);
  int64_t *ints = SN_ARRAY(c->trace->arena, any->captured_count + 1, int64_t);
  const sn_t x[3] = {a->q, a->k, a->v};
  int n = 0;
  for (int i = 0; i < 3; i++) arg[n++] = sn_bring(c, x[i], sn_spelled(c, i));
  int products = take_rows(c, any, arg, n, ints);
  n += any->captured_count;
  if (started) arg[n++] = sn_start_value(c, a->start);
  const sn_attr attr[SN_ATTR_MAX] = {{.set = true, .f = scale_of(c, a)},
                                     {.set = started, .i = started},
                                     {.set = body[0].func != NULL, .region = body[0].func},
                                     {.set = body[1].func != NULL, .region = body[1].func},
                                     {.set = a->name != NULL, .s = a->name},
                                     {.set = a->normaliser.accumulate != NULL, .i = 1},
                                     {.set = products > 0, .ints = ints, .count = products}};
  return c->poison ? 0 : sn_emit(&c->fn->b, SN_OP_ATTENTION, n, arg, attr, NULL);
}

/* total [B, H, T] as the user's function sees it: in the type of the scores, since bf16 has few digits for a sum. */
static sn_t seen_total(sn_call *c, const sn_attention_args *a, const sn_type *y, sn_val total) {
  sn_build *b = &c->fn->b;
  const int64_t perm[3] = {0, 2, 1};
  const sn_dimx *dim[4] = {y->dim[0], y->dim[1], y->dim[2], sn_dimx_const(sn_types_of(c), 1)};
  if (!a->normaliser.accumulate) total = sn_g2(b, SN_OP_MAX, total, sn_g_const_like(b, total, NO_KEY));
  return sn_result(c, sn_g_reshape(b, sn_g_transpose(b, total, perm), 4, dim));
}

static sn_t finish(sn_call *c, const sn_attention_args *a, sn_t y, sn_val total) {
  const sn_type *given = sn_t_type(y);
  const void *opt = a->normaliser.opt ? a->normaliser.opt : a->opt;
  sn_t sum = seen_total(c, a, given, total);
  y = sn_is_poison(sum) ? sum : cast_to(c, y, sn_t_type(sum)->elem);
  if (sn_is_poison(y)) return y;
  const sn_type *want = sn_t_type(y);
  bool sink = a->normaliser.has_sink;
  sn_t out = sink ? with_sink(c, y, sum, a->normaliser.sink.v, given) : a->normaliser.finish(y, sum, opt);
  if (sn_is_poison(out)) return sn_poison(c);
  if (sn_t_type(out) == want) return cast_to(c, out, given->elem);
  sn_mistake(c, sn_type_text(c->trace->arena, want), sn_describe(c, out, ""),
             "the finish function returns the wrong type");
  return sn_poison(c);
}

sn_t sn_attention_at(sn_here here, sn_attention_args a) {
  const sn_t x[4] = {a.q, a.k, a.v, a.start};
  sn_call c = sn_call_on(here, 4, x);
  if (!c.fn || c.poison) return sn_poison(&c);
  sn_scope innermost = {.fn = c.trace->inner};
  c = sn_call_in(here, innermost, 0, NULL); /* score and mask may capture what only this function has */
  if (!check_operands(&c, x) || !check_start(&c, &a)) return sn_poison(&c);
  const sn_fact *cache = sn_fact_of(a.k.fn, (sn_val)a.k.u.id, false);
  if (cache && !cache->cache) cache = NULL;
  if (cache && sn_is_number(a.start)) a.start = cache->start;
  sn_elem acc = sn_t_type(a.q)->elem == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32;
  const sn_type *tq = sn_t_type(a.q);
  const sn_dimx *below[4] = {tq->dim[0], tq->dim[2], tq->dim[1], sn_t_type(a.k)->dim[1]};
  region score = {0}, mask = {0};
  sn_val results[2] = {0};
  if (a.score || a.normaliser.accumulate) {
    score = open_region(&c, &a, "score", sn_type_scalar(sn_types_of(&c), acc), below);
    results[0] = trace_score(&c, &a, &score, cache);
  }
  if ((a.mask || cache) && !c.poison) {
    mask = open_region(&c, &a, "mask", NULL, below);
    results[1] = trace_mask(&c, &a, &mask, cache);
  }
  if (c.poison || (score.fn && !results[0]) || (mask.fn && !results[1])) return sn_poison(&c);
  sn_closed body[2];
  const sn_val *const lists[2] = {&results[0], &results[1]};
  sn_fn_close_pair((sn_fn *const[2]){score.fn, mask.fn}, (const int[2]){1, 1}, lists, body);
  sn_val v = emit_attention(&c, &a, body);
  sn_t y = sn_result(&c, v);
  bool finishes = a.normaliser.finish || a.normaliser.has_sink;
  return finishes && !sn_is_poison(y) ? finish(&c, &a, y, v + 1) : y;
}
