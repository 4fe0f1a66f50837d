/* The pipeline: one table of passes, run in order, each checked before and after. */
#include <string.h>
#include <time.h>

#include "ir/ops/ops.h"
#include "passes/passes.h"

/* clang-format off */
const sn_pass sn_pipeline[] = {
  /* name     run              needs                                                  gives                breaks */
  {"inline",  sn_pass_inline,  0,                                                     SN_FACT_FLAT,        0},
  {"grad",    sn_pass_grad,    SN_FACT_FLAT,                                          SN_FACT_NO_GRAD,     0},
  {"expand",  sn_pass_expand,  SN_FACT_FLAT | SN_FACT_NO_GRAD,                        SN_FACT_PRIMITIVE,   0},
  {"canon",   sn_pass_canon,   SN_FACT_PRIMITIVE,                                     0,                   0},
  {"fold",    sn_pass_fold,    SN_FACT_PRIMITIVE,                                     0,                   0},
  {"cse",     sn_pass_cse,     SN_FACT_PRIMITIVE,                                     0,                   0},
  {"dce",     sn_pass_dce,     SN_FACT_PRIMITIVE,                                     0,                   0},
  {"fuse",    sn_pass_fuse,    SN_FACT_FLAT | SN_FACT_NO_GRAD | SN_FACT_PRIMITIVE,    SN_FACT_FUSED,       0},
  {0}
};
/* clang-format on */

static int facts_of_node(const sn_node *n, int facts) {
  sn_op_class cls = sn_op_get(n->op)->cls;
  if (n->op == SN_OP_CALL) facts &= ~SN_FACT_FLAT;
  if (n->op == SN_OP_GRAD) facts &= ~SN_FACT_NO_GRAD;
  if (cls == SN_CLASS_EXPAND || n->op == SN_OP_STOP) facts &= ~SN_FACT_PRIMITIVE;
  if (n->op != SN_OP_FUSED && cls != SN_CLASS_LEAF && cls != SN_CLASS_VIEW) facts &= ~SN_FACT_FUSED;
  return facts;
}

/* What holds of every graph function. */
static int facts_of(const sn_module *m) {
  int facts = SN_FACT_FLAT | SN_FACT_NO_GRAD | SN_FACT_PRIMITIVE | SN_FACT_FUSED;
  for (int i = 0; i < m->func_count; i++)
    for (int k = 0; m->func[i]->kind == SN_FUNC_GRAPH && k < m->func[i]->node_count; k++)
      facts = facts_of_node(m->func[i]->node[k], facts);
  return facts;
}

static sn_code verify(const sn_module *m, sn_diags *diags) {
  for (int i = 0; i < m->func_count; i++) {
    SN_TRY(sn_func_verify(m->func[i], diags));
    SN_TRY(sn_ops_check(m->func[i], diags));
  }
  return SN_OK;
}

static sn_code run_pass(const sn_pass *p, sn_module *m, sn_pass_env *env) {
  int missing = p->needs & ~facts_of(m);
  if (missing)
    return sn_fail(env->diags, SN_ERR_FAIL, (sn_loc){0}, "pass %s needs what no pass before it gave (facts %d)",
                   p->name, missing);
  env->rule_hits = 0;
  SN_TRY(p->run(m, env));
  sn_code code = verify(m, env->diags);
  if (code) {
    sn_fail_note(env->diags, "after pass %s", p->name);
    return SN_ERR_FAIL;
  }
  missing = p->gives & ~facts_of(m);
  if (missing && !sn_rule_listed(env->disabled, p->name))
    return sn_fail(env->diags, SN_ERR_FAIL, (sn_loc){0}, "pass %s did not give what it promises (facts %d)", p->name,
                   missing);
  return SN_OK;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

sn_code sn_pipeline_run(sn_module *m, sn_pass_env *env, const char *stop_after,
                        void (*after)(void *user, const char *pass, const sn_module *m, double ms), void *user) {
  SN_TRY(verify(m, env->diags));
  for (const sn_pass *p = sn_pipeline; p->name; p++) {
    double start = now_ms();
    SN_TRY(run_pass(p, m, env));
    if (after) after(user, p->name, m, now_ms() - start);
    if (stop_after && !strcmp(stop_after, p->name)) return SN_OK;
  }
  return SN_OK;
}
