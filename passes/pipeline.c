/* The pipeline: one table of passes in order, and the manager that runs it. Each row says what must hold before it,
 * what holds after it, and what it may break; the manager checks all of it on every graph. */
#include "passes/passes.h"

#include <string.h>
#include <time.h>

#include "ir/ops/ops.h"
#include "passes/graph/rewrite.h"

/* ---- attention without a kernel of its own ------------------------------------------------------------------- */

static bool attention_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if (n->op != SN_OP_ATTENTION || !sn_rule_enabled(r->env, "attention.expand")) return false;
  out[0] = sn_attention_expand_lse(b, n, arg, &out[1]);
  return true;
}

/* Products of queries with rows that kernels do not make block by block. */
static bool products_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if (n->op != SN_OP_ATTENTION || sn_attention_products_fit(n) || !sn_rule_enabled(r->env, "attention.products"))
    return false;
  out[0] = sn_attention_make_products(b, n, arg);
  out[1] = out[0] + 1;
  return out[0] != 0;
}

/* graph -> graph: where fusion has no attention kernels, attention becomes products, softmax and sums before it is
 * differentiated; where it has, it captures what they do not make. Terminates: the expansion holds no attention, and
 * products become fewer. */
static sn_code pass_attention(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "attention"};
  bool kernels = sn_fuse_wants(env, "attend");
  r.node = kernels ? products_node : attention_node;
  env->rule_hits = 0;
  return kernels && !(env->target && strcmp(env->target->name, "ref")) ? SN_OK : sn_rewrite_module(m, &r);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

enum { FLAT = SN_FACT_FLAT, PLAIN = SN_FACT_FLAT | SN_FACT_NO_GRAD, PRIMITIVE = PLAIN | SN_FACT_PRIMITIVE };

static const char calls[] = "no kernel and no interpreter has calls",
                  derivatives[] = "no kernel and no interpreter has grad",
                  expansions[] = "ops that stand for others have no kernels";

/* clang-format off */
const sn_pass sn_pipeline[] = {
  /* name        run              needs      gives             breaks          needed */
  {"inline",     sn_pass_inline,  0,         SN_FACT_FLAT,      0,             calls},
  {"attention",  pass_attention,  FLAT,      0,                 0,             NULL},
  {"chunk",      sn_pass_chunk,   FLAT,      0,                 0,             NULL},
  {"scan",       sn_pass_scan,   FLAT,      0,                 0,             NULL},
  {"grad",       sn_pass_grad,    FLAT,      SN_FACT_NO_GRAD,   SN_FACT_PRIMITIVE, derivatives},
  {"expand",     sn_pass_expand,  PLAIN,     SN_FACT_PRIMITIVE, 0,             expansions},
  {"canon",      sn_pass_canon,   PRIMITIVE, 0,                 0,             NULL},
  {"fold",       sn_pass_fold,    PRIMITIVE, 0,                 0,             NULL},
  {"cse",        sn_pass_cse,     PRIMITIVE, 0,                 0,             NULL},
  {"dce",        sn_pass_dce,     PRIMITIVE, 0,                 0,             NULL},
  {"precision",  sn_pass_precision, PRIMITIVE, 0,               0,             NULL},
  {"quantize",   sn_pass_quantize, PRIMITIVE, 0,                0,             NULL},
  {"blocks",     sn_pass_blocks,  PRIMITIVE, 0,                 0,             NULL},
  {"pages",      sn_pass_pages,   PRIMITIVE, 0,                 0,             NULL},
  {"canon2",     sn_pass_canon,   PRIMITIVE, 0,                 0,             NULL}, /* what the first round uncovered */
  {"fold2",      sn_pass_fold,    PRIMITIVE, 0,                 0,             NULL},
  {"cse2",       sn_pass_cse,     PRIMITIVE, 0,                 0,             NULL},
  {"dce2",       sn_pass_dce,     PRIMITIVE, 0,                 0,             NULL},
  {"fuse",       sn_pass_fuse,    PRIMITIVE, SN_FACT_FUSED,     SN_FACT_PRIMITIVE, NULL}, /* off: one op, one kernel */
  {NULL,         NULL,            0,         0,                 0,             NULL},
};

const sn_late_pass sn_late_passes[] = {
  {"order",    NULL}, /* off: no state is updated in place */
  {"memory",   NULL}, /* off: no storage is shared */
  {"simplify", NULL},
  {"math",     NULL}, /* off: elementary functions stay; the kernel interpreter has them, code generation refuses */
  {NULL,       NULL},
};
/* clang-format on */

static bool is_second_round(const sn_pass *p) {
  for (const sn_pass *q = sn_pipeline; q < p; q++)
    if (q->run == p->run) return true;
  return false;
}

int sn_passes_optional(const char **out, int most) {
  int n = 0;
  for (const sn_pass *p = sn_pipeline; p->name && n < most; p++)
    if (!p->needed && !is_second_round(p)) out[n++] = p->name;
  for (const sn_late_pass *p = sn_late_passes; p->name && n < most; p++)
    if (!p->needed) out[n++] = p->name;
  return n;
}

/* ---- facts
 * ----------------------------------------------------------------------------------------------------------- */

static bool breaks_fact(const sn_node *n, int fact) {
  sn_op_class cls = sn_op_get(n->op)->cls;
  switch (fact) {
    case SN_FACT_FLAT: return n->op == SN_OP_CALL;
    case SN_FACT_NO_GRAD: return n->op == SN_OP_GRAD;
    case SN_FACT_PRIMITIVE: return cls == SN_CLASS_EXPAND || n->op == SN_OP_STOP;
    default: return cls != SN_CLASS_LEAF && cls != SN_CLASS_VIEW && n->op != SN_OP_FUSED;
  }
}

static const char *fact_name(int fact) {
  switch (fact) {
    case SN_FACT_FLAT: return "no call";
    case SN_FACT_NO_GRAD: return "no grad";
    case SN_FACT_PRIMITIVE: return "no op that is expanded";
    default: return "nothing but fused nodes";
  }
}

static sn_code check_facts(const sn_module *m, const sn_pass_env *env, int facts, const char *when, const char *pass) {
  for (int i = 0; i < m->func_count && facts; i++) {
    const sn_func *f = m->func[i];
    for (int k = 0; f->kind == SN_FUNC_GRAPH && k < f->node_count; k++)
      for (int fact = 1; fact <= SN_FACT_FUSED; fact *= 2) {
        if (!(facts & fact) || !breaks_fact(f->node[k], fact)) continue;
        (void)sn_fail(env->diags, SN_ERR_FAIL, f->node[k]->origin.loc_count ? f->node[k]->origin.locs[0] : (sn_loc){0},
                      "%s pass %s: graph %s holds `%s`", when, pass, f->name, sn_op_get(f->node[k]->op)->name);
        sn_fail_expected(env->diags, "%s", fact_name(fact));
        return SN_ERR_FAIL;
      }
  }
  return SN_OK;
}

/* sound: the functions that were checked; they do not change. */
static sn_code check_module(const sn_module *m, const sn_pass_env *env, sn_map *sound, const char *when,
                            const char *pass) {
  for (int i = 0; i < m->func_count; i++) {
    uint64_t key = (uint64_t)(uintptr_t)m->func[i];
    if (sn_map_get(sound, key)) continue;
    sn_code code = sn_func_verify(m->func[i], env->diags);
    if (!code) code = sn_ops_check(m->func[i], env->diags);
    if (code) sn_fail_note(env->diags, "%s pass %s", when, pass);
    SN_TRY(code);
    sn_map_put(sound, key, m->func[i]);
  }
  return SN_OK;
}

/* ---- the manager
 * ------------------------------------------------------------------------------------------------------- */

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

sn_code sn_pipeline_run(sn_module *m, sn_pass_env *env, const char *stop_after,
                        void (*after)(void *user, const char *pass, const sn_module *m, double ms), void *user) {
  int facts = 0; /* that were found to hold */
  sn_map *sound = sn_map_create(env->arena);
  SN_TRY(sn_pass_env_check(env));
  SN_TRY(sn_quantize_check(m, env));
  if (sn_pipeline[0].name) SN_TRY(check_module(m, env, sound, "before", sn_pipeline[0].name));
  for (const sn_pass *p = sn_pipeline; p->name; p++) {
    SN_TRY(check_facts(m, env, p->needs & ~facts, "before", p->name));
    double start = now_ms();
    SN_TRY(p->run(m, env));
    double ms = now_ms() - start;
    facts = (facts & ~p->breaks) | p->gives;
    SN_TRY(check_module(m, env, sound, "after", p->name));
    SN_TRY(check_facts(m, env, facts, "after", p->name));
    if (after) after(user, p->name, m, ms);
    if (stop_after && !strcmp(stop_after, p->name)) break;
  }
  return SN_OK;
}
