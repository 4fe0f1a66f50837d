/* Control flow in the graph interpreter. */
#include <string.h>

#include "ir/ref/eval.h"

static void keep(sn_tensor *to, const sn_tensor *from) {
  for (int64_t i = 0; i < to->count; i++) sn_copy_at(to, i, from, i);
}

/* An execution may have gone the other way: nothing is known of the results. */
static void doubt(sn_eval *e) {
  for (int i = 0; i < e->n->result_count; i++)
    for (int64_t k = 0; k < e->out[i]->count; k++) e->out[i]->bound[k] = INFINITY;
}

static bool is_doubtful(const sn_eval *e, const sn_tensor *condition) {
  return e->bounds && condition->bound && condition->bound[0] > 0;
}

sn_code sn_eval_cond(sn_eval *e) {
  const sn_func *body = sn_node_attr(e->n, sn_int_at(e->arg[0], 0) ? "yes" : "no")->region;
  sn_tensor **result = SN_ARRAY(e->in->arena, e->n->result_count, sn_tensor *);
  SN_TRY(sn_eval_quietly(e, body, e->n->arg_count - 1, e->arg + 1, result));
  for (int i = 0; i < e->n->result_count; i++) keep(e->out[i], result[i]);
  if (is_doubtful(e, e->arg[0])) doubt(e);
  return SN_OK;
}

/* Carried values are copied round by round: a body may return its arguments in another order. */
sn_code sn_eval_while(sn_eval *e) {
  const sn_func *test = sn_node_attr(e->n, "test")->region, *body = sn_node_attr(e->n, "body")->region;
  int carried = e->n->result_count;
  int64_t limit = sn_node_attr(e->n, "limit")->i;
  sn_tensor **arg = SN_ARRAY(e->in->arena, e->n->arg_count, sn_tensor *);
  sn_tensor **next = SN_ARRAY(e->in->arena, carried, sn_tensor *), *again;
  bool doubtful = false;
  memcpy(arg, e->arg, (size_t)e->n->arg_count * sizeof *arg);
  for (int64_t i = 0; i < limit; i++) {
    SN_TRY(sn_eval_quietly(e, test, e->n->arg_count, arg, &again));
    doubtful |= is_doubtful(e, again);
    if (!sn_int_at(again, 0)) break;
    SN_TRY(sn_eval_quietly(e, body, e->n->arg_count, arg, next));
    memcpy(arg, next, (size_t)carried * sizeof *arg);
  }
  for (int i = 0; i < carried; i++) keep(e->out[i], arg[i]);
  if (doubtful) doubt(e);
  return SN_OK;
}
