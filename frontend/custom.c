/* Custom ops: the user's forward and gradient functions, traced into two regions that share their captures. */
#include "frontend/trace.h"

enum { MOST_INPUTS = SN_RANK_MAX }; /* operands that may have a gradient: entries of one list attribute */

typedef struct custom {
  int count;
  sn_t x[MOST_INPUTS];
  sn_fn *body, *grad; /* grad NULL: no operand has a gradient */
  sn_val result[1 + MOST_INPUTS];
  int wrt_count;
  int64_t wrt[MOST_INPUTS]; /* operands with a gradient, ascending */
} custom;

static void give_args(sn_fn *fn, const custom *u, sn_t *out) {
  for (int i = 0; i < u->count; i++) out[i] = sn_fn_arg(fn, sn_t_type(u->x[i]));
}

static bool trace_body(sn_call *c, custom *u, const char *name, sn_fwd fwd, const void *opt) {
  sn_t x[MOST_INPUTS];
  u->body = sn_region_open(c, name, "forward function");
  give_args(u->body, u, x);
  u->result[0] = sn_region_result(c, u->body, fwd(x, opt), NULL, "the forward function returns no tensor");
  sn_region_leave(c);
  return u->result[0] != 0;
}

/* Gradients that the function sets; a number 0, as before the call, is none. */
static bool trace_grad(sn_call *c, custom *u, const char *name, sn_bwd bwd, const void *opt) {
  sn_t x[MOST_INPUTS], dx[MOST_INPUTS] = {{.fn = NULL}};
  const sn_type *t = sn_val_type(u->body->b.func, u->result[0]);
  u->grad = sn_region_open(c, sn_texts(c, "%s.grad", name), "gradient function");
  give_args(u->grad, u, x);
  sn_t y = sn_fn_arg(u->grad, t), dy = sn_fn_arg(u->grad, t);
  bwd(x, y, dy, dx, opt);
  sn_region_leave(c);
  for (int i = 0; i < u->count; i++) {
    if (sn_is_number(dx[i]) && dx[i].u.num == 0) continue;
    const char *wrong = sn_texts(c, "the gradient function gives operand %d another type", i);
    sn_val v = sn_region_result(c, u->grad, dx[i], sn_t_type(u->x[i]), wrong);
    if (!v) return false;
    u->wrt[u->wrt_count++] = i;
    u->result[u->wrt_count] = v;
  }
  return true;
}

static sn_val emit_custom(sn_call *c, const custom *u, const char *name, const sn_closed closed[2]) {
  const sn_closed *any = &closed[0];
  sn_val *arg = SN_ARRAY(c->trace->arena, u->count + any->captured_count, sn_val);
  for (int i = 0; i < u->count; i++) arg[i] = sn_bring(c, u->x[i], "");
  for (int i = 0; i < any->captured_count; i++) arg[u->count + i] = any->captured[i];
  bool has = u->wrt_count > 0;
  const sn_attr attr[5] = {{.set = true, .s = name},
                           {.set = true, .i = u->count},
                           {.set = true, .region = closed[0].func},
                           {.set = has, .region = has ? closed[1].func : NULL},
                           {.set = has, .ints = u->wrt, .count = u->wrt_count}};
  return c->poison ? 0 : sn_emit(&c->fn->b, SN_OP_CUSTOM, u->count + any->captured_count, arg, attr, NULL);
}

static bool check_operands(sn_call *c, custom *u, sn_list xs) {
  if (xs.count > MOST_INPUTS) {
    sn_mistake(c, sn_texts(c, "at most %d", MOST_INPUTS), sn_texts(c, "%d", xs.count), "too many operands");
    return false;
  }
  u->count = xs.count;
  for (int i = 0; i < xs.count; i++) {
    u->x[i] = xs.at[i].v;
    if (!sn_need(c, u->x[i], sn_texts(c, "%d", i))) return false;
  }
  return true;
}

sn_t sn_custom_at(sn_here here, const char *name, sn_fwd fwd, sn_bwd bwd, sn_list xs, const void *opt) {
  custom u = {0};
  sn_t x[MOST_INPUTS];
  for (int i = 0; i < xs.count && i < MOST_INPUTS; i++) x[i] = xs.at[i].v;
  sn_call c = sn_call_on(here, xs.count < MOST_INPUTS ? xs.count : MOST_INPUTS, x);
  if (!c.fn || c.poison) return sn_poison(&c);
  c = sn_call_in(here, (sn_scope){.fn = c.trace->inner}, 0, NULL); /* what the regions capture may be only here */
  if (!name || !*name) sn_mistake(&c, "a name", "nothing", "a custom op needs a name");
  if (!fwd) sn_mistake(&c, "a function", "NULL", "there is no forward function");
  if (c.poison || !check_operands(&c, &u, xs)) return sn_poison(&c);
  if (!trace_body(&c, &u, name, fwd, opt) || (bwd && !trace_grad(&c, &u, name, bwd, opt))) return sn_poison(&c);
  if (!u.wrt_count) u.grad = NULL;
  const int counts[2] = {1, u.wrt_count};
  const sn_val *const results[2] = {u.result, u.result + 1};
  sn_closed closed[2];
  sn_fn_close_pair((sn_fn *const[2]){u.body, u.grad}, counts, results, closed);
  return sn_result(&c, emit_custom(&c, &u, name, closed));
}
