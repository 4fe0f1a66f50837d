/* Branches and loops: the user's functions are traced into two regions that share their captures. */
#include "frontend/trace.h"

enum { MOST = 16, DEFAULT_LIMIT = 1 << 20 };

/* Operands, by value or by address. -> false after a mistake */
static bool read_operands(sn_call *c, int count, const sn_t *x) {
  for (int i = 0; i < count; i++)
    if (!sn_need(c, x[i], sn_texts(c, "%d", i))) return false;
  return true;
}

static bool too_many(sn_call *c, int count) {
  if (count <= MOST) return false;
  sn_mistake(c, sn_texts(c, "at most %d", MOST), sn_texts(c, "%d", count), "too many operands");
  return true;
}

static void give_args(sn_fn *fn, int count, const sn_t *x, sn_t *out) {
  for (int i = 0; i < count; i++) out[i] = sn_fn_arg(fn, sn_t_type(x[i]));
}

/* The call in the innermost function: what the regions capture may be only there. */
static sn_call begin(sn_here here, int count, const sn_t *x) {
  sn_call c = sn_call_on(here, count, x);
  if (!c.fn || c.poison) return c;
  return sn_call_in(here, (sn_scope){.fn = c.trace->inner}, 0, NULL);
}

/* ---- cond ------------------------------------------------------------------------------------------------------- */

static sn_val trace_branch(sn_call *c, const char *name, sn_fwd branch, int count, const sn_t *x, const void *opt,
                           const sn_type *want, sn_fn **fn) {
  sn_t in[MOST];
  *fn = sn_region_open(c, name, sn_texts(c, "%s branch", name));
  give_args(*fn, count, x, in);
  sn_t y = branch(in, opt);
  sn_region_leave(c);
  return sn_region_result(
      c, *fn, y, want,
      want ? "the branches return different types" : sn_texts(c, "the %s branch returns no tensor", name));
}

static sn_val emit_cond(sn_call *c, sn_t pred, int count, const sn_t *x, const sn_closed closed[2]) {
  int n = 1 + count + closed[0].captured_count, at = 0;
  sn_val *arg = SN_ARRAY(c->trace->arena, n, sn_val);
  arg[at++] = sn_bring(c, pred, sn_spelled(c, 0));
  for (int i = 0; i < count; i++) arg[at++] = sn_bring(c, x[i], "");
  for (int i = 0; i < closed[0].captured_count; i++) arg[at++] = closed[0].captured[i];
  const sn_attr attr[2] = {{.set = true, .region = closed[0].func}, {.set = true, .region = closed[1].func}};
  return c->poison ? 0 : sn_emit(&c->fn->b, SN_OP_COND, n, arg, attr, NULL);
}

static bool check_pred(sn_call *c, sn_t pred) {
  const sn_type *t = sn_need(c, pred, "pred");
  if (!t) return false;
  if (t == sn_type_scalar(sn_types_of(c), SN_ELEM_BOOL)) return true;
  sn_mistake(c, "bool[]", sn_describe(c, pred, sn_spelled(c, 0)), "the predicate is not one truth value");
  return false;
}

sn_t sn_cond_at(sn_here here, sn_t pred, sn_fwd yes, sn_fwd no, sn_list xs, const void *opt) {
  sn_t x[MOST + 1] = {pred};
  int count = xs.count < MOST ? xs.count : MOST;
  for (int i = 0; i < count; i++) x[1 + i] = xs.at[i].v;
  sn_call c = begin(here, 1 + count, x);
  sn_fn *fn[2];
  sn_val result[2];
  if (!c.fn || c.poison || too_many(&c, xs.count)) return sn_poison(&c);
  if (!yes || !no) sn_mistake(&c, "two functions", "NULL", "a branch is missing");
  if (c.poison || !check_pred(&c, pred) || !read_operands(&c, count, x + 1)) return sn_poison(&c);
  if (!(result[0] = trace_branch(&c, "yes", yes, count, x + 1, opt, NULL, &fn[0]))) return sn_poison(&c);
  const sn_type *want = sn_val_type(fn[0]->b.func, result[0]);
  if (!(result[1] = trace_branch(&c, "no", no, count, x + 1, opt, want, &fn[1]))) return sn_poison(&c);
  sn_closed closed[2];
  const sn_val *const lists[2] = {&result[0], &result[1]};
  sn_fn_close_pair(fn, (const int[2]){1, 1}, lists, closed);
  return sn_result(&c, emit_cond(&c, pred, count, x + 1, closed));
}

/* ---- while ------------------------------------------------------------------------------------------------------ */

typedef struct loop {
  int count;
  sn_t *place[MOST]; /* where the user keeps the carried values */
  sn_t x[MOST];
  sn_fn *fn[2]; /* test, body */
  sn_val result[1 + MOST];
} loop;

static bool trace_test(sn_call *c, loop *l, sn_fwd test, const void *opt) {
  sn_t in[MOST];
  l->fn[0] = sn_region_open(c, "test", "test");
  l->fn[0]->repeats = true;
  give_args(l->fn[0], l->count, l->x, in);
  sn_t y = test(in, opt);
  sn_region_leave(c);
  const sn_type *want = sn_type_scalar(sn_types_of(c), SN_ELEM_BOOL);
  l->result[0] = sn_region_result(c, l->fn[0], y, want, "the test returns the wrong type");
  return l->result[0] != 0;
}

static bool trace_body(sn_call *c, loop *l, sn_round body, const void *opt) {
  sn_t in[MOST];
  l->fn[1] = sn_region_open(c, "body", "body");
  l->fn[1]->repeats = true;
  give_args(l->fn[1], l->count, l->x, in);
  body(in, opt);
  sn_region_leave(c);
  for (int i = 0; i < l->count; i++) {
    const char *wrong = sn_texts(c, "the body changes the type of value %d", i);
    l->result[1 + i] = sn_region_result(c, l->fn[1], in[i], sn_t_type(l->x[i]), wrong);
    if (!l->result[1 + i]) return false;
  }
  return true;
}

static sn_val emit_while(sn_call *c, const loop *l, const sn_closed closed[2], int64_t limit) {
  int n = l->count + closed[0].captured_count;
  sn_val *arg = SN_ARRAY(c->trace->arena, n, sn_val);
  for (int i = 0; i < l->count; i++) arg[i] = sn_bring(c, l->x[i], "");
  for (int i = 0; i < closed[0].captured_count; i++) arg[l->count + i] = closed[0].captured[i];
  const sn_attr attr[4] = {{.set = true, .i = l->count},
                           {.set = true, .region = closed[0].func},
                           {.set = true, .region = closed[1].func},
                           {.set = true, .i = limit}};
  return c->poison ? 0 : sn_emit(&c->fn->b, SN_OP_WHILE, n, arg, attr, NULL);
}

static sn_val build_while(sn_call *c, loop *l, sn_fwd test, sn_round body, sn_while_opt o) {
  int64_t limit = o.limit ? o.limit : DEFAULT_LIMIT;
  if (!test || !body) sn_mistake(c, "two functions", "NULL", "the test or the body is missing");
  if (limit < 1 || limit > INT32_MAX / 2)
    sn_mistake(c, "1 to 2^30", sn_texts(c, "%lld", (long long)limit), "the limit is out of range");
  if (c->poison || !read_operands(c, l->count, l->x)) return 0;
  if (!trace_test(c, l, test, o.opt) || !trace_body(c, l, body, o.opt)) return 0;
  sn_closed closed[2];
  const int counts[2] = {1, l->count};
  const sn_val *const lists[2] = {l->result, l->result + 1};
  sn_fn_close_pair(l->fn, counts, lists, closed);
  return emit_while(c, l, closed, limit);
}

void sn_while_at(sn_here here, sn_fwd test, sn_round body, sn_t **carried, sn_while_opt o) {
  loop l = {0};
  int count = 0;
  while (carried[count]) count++;
  for (int i = 0; i < count && i < MOST; i++) l.place[i] = carried[i], l.x[i] = *carried[i];
  l.count = count < MOST ? count : MOST;
  sn_call c = begin(here, l.count, l.x);
  if (!c.fn) return;
  sn_val v = 0;
  if (!c.poison && !too_many(&c, count)) v = build_while(&c, &l, test, body, o);
  sn_t first = v ? sn_result(&c, v) : sn_poison(&c);
  for (int i = 0; i < l.count; i++)
    *l.place[i] = sn_is_poison(first) ? first : (sn_t){.u.id = v + (sn_val)i, .fn = c.fn};
}
