/* Rules of passes by name: which are switched off. */
#include <string.h>

#include "ir/plan/plan.h"
#include "passes/graph/rewrite.h"
#include "passes/passes.h"

/* Does the comma separated list hold `rule`, or the pass it belongs to? */
bool sn_rule_listed(const char *list, const char *rule) {
  size_t pass = strcspn(rule, ".");
  for (const char *p = list; p && *p;) {
    size_t n = strcspn(p, ",");
    if ((n == strlen(rule) || n == pass) && !strncmp(p, rule, n)) return true;
    p += n + (p[n] == ',');
  }
  return false;
}

bool sn_rule_enabled(const sn_pass_env *env, const char *rule) {
  if (sn_rule_listed(env->disabled, rule)) return false;
  ((sn_pass_env *)env)->rule_hits++;
  if (env->hits) sn_map_put_str(env->hits, rule, (void *)(uintptr_t)rule);
  return true;
}

static bool is_word(const char *at, size_t bytes, const char *word) {
  return bytes == strlen(word) && !memcmp(at, word, bytes);
}

static bool has_word(const char *list, const char *name) {
  for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    if (is_word(p, strcspn(p, ","), name)) return true;
  return false;
}

static bool is_fusion(const char *at, size_t bytes) {
  static const char *const kinds[] = {"all", "none", "map", "rows", "contract", "attend", "index"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (is_word(at, bytes, kinds[i])) return true;
  return false;
}

/* ---- all rules --------------------------------------------------------------------------------------------------- */

/* Those that are in no table of their own. Rules of `expand` are also the names of the ops that it expands. */
/* clang-format off */
static const char *const rules[] = { /* table */
  "inline.call", "attention.expand", "attention.products", "chunk.loss", "chunk.fused", "scan.rows", "scan.chunked", "scan.in_turn", "scan.associative",
  "grad.apart", "grad.derive", "grad.attention", "grad.scan", "grad.pieces", "grad.expand",
  "expand.stop", "expand.attention", "expand.store",
  "cse.exchanged", "cse.bodies", "dce.nodes",
  "precision.contract", "precision.attention", "precision.attention_grad", "precision.concat",
  "precision.state",
  "quantize.contract",
  "blocks.map", "pages.read",
  "fuse.inline_numbers", "fuse.multiply_add", "fuse.siblings", "fuse.equal_forms", "fuse.recompute",
  "fuse.attend_into_concat", "fuse.index_into_copy", "fuse.map_into_index", "fuse.map_into_contract_epilogue",
  "fuse.map_into_contract_prologue", "fuse.map_into_map", "fuse.map_into_rows", "fuse.rows_into_map",
  "fuse.rows_into_rows", "fuse.ahead",
  "fuse.scatter_onto_sum", "order.in_place", "order.accumulate", "memory.reuse",
  "simplify.fold", "simplify.narrow", "simplify.cse", "simplify.loads", "simplify.control", "simplify.hoist",
  "simplify.fma", "math.expand",
};
/* clang-format on */

/* Rule i of all, NULL after the last. */
static const char *rule_at(sn_arena *arena, int i) {
  const int own = sizeof rules / sizeof *rules;
  if (i < own) return rules[i];
  i -= own;
  for (const sn_rule *r = sn_canon_rules; r->name; r++)
    if (!i--) return r->name;
  for (const sn_rule *r = sn_fold_rules; r->name; r++)
    if (!i--) return r->name;
  for (int op = 0; op < SN_OP_COUNT; op++)
    if (sn_op_get((sn_op)op)->cls == SN_CLASS_EXPAND && !i--)
      return sn_arena_printf(arena, "expand.%s", sn_op_get((sn_op)op)->name);
  return NULL;
}

/* The name of a rule, or of a pass that has one. */
static bool is_known(sn_arena *arena, const char *at, size_t bytes) {
  const char *rule;
  for (int i = 0; (rule = rule_at(arena, i)); i++)
    if (is_word(at, bytes, rule) || is_word(at, bytes, sn_arena_printf(arena, "%.*s", (int)strcspn(rule, "."), rule)))
      return true;
  return false;
}

static sn_code unknown_rule(const sn_pass_env *env, const char *at, size_t bytes) {
  const char *rule, *pass = "", *word = sn_arena_printf(env->arena, "%.*s", (int)bytes, at), *names[512];
  sn_text passes = sn_text_begin(env->arena);
  int count = 0;
  for (int i = 0; (rule = rule_at(env->arena, i)); i++) {
    const char *of = sn_arena_printf(env->arena, "%.*s", (int)strcspn(rule, "."), rule);
    if (count < 500) names[count++] = rule;
    if (!strcmp(of, pass) || strstr(passes.at, of)) continue;
    sn_text_add(&passes, " %s", of);
    if (count < 500) names[count++] = of;
    pass = of;
  }
  (void)sn_fail(env->diags, SN_ERR_USAGE, (sn_loc){0}, "no rule %s can be switched off", word);
  const char *near = sn_nearest(word, names, count);
  sn_fail_expected(env->diags, "a rule, PASS.RULE, or a pass:%s", passes.at);
  sn_fail_found(env->diags, "%s%s%s%s", word, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
  return SN_ERR_USAGE;
}

/* Of a whole pass: why graphs cannot do without it; NULL: they can. */
static const char *needed(const char *at, size_t bytes) {
  for (const sn_pass *p = sn_pipeline; p->name; p++)
    if (is_word(at, bytes, p->name)) return p->needed;
  for (const sn_late_pass *p = sn_late_passes; p->name; p++)
    if (is_word(at, bytes, p->name)) return p->needed;
  return NULL;
}

static sn_code check_disabled(const sn_pass_env *env, const char *at, size_t bytes) {
  const char *why = needed(at, bytes);
  if (!is_known(env->arena, at, bytes)) return unknown_rule(env, at, bytes);
  if (!why) return SN_OK;
  return sn_fail(env->diags, SN_ERR_USAGE, (sn_loc){0}, "pass %.*s cannot be switched off: %s", (int)bytes, at, why);
}

sn_code sn_pass_env_check(const sn_pass_env *env) {
  for (const char *p = env->fuse; p && *p; p += strcspn(p, ","), p += *p == ',') {
    size_t bytes = strcspn(p, ",");
    if (is_fusion(p, bytes)) continue;
    return sn_fail(env->diags, SN_ERR_USAGE, (sn_loc){0},
                   "unknown kind of fusion \"%.*s\": all, none or map, rows, contract, attend, index", (int)bytes, p);
  }
  for (const char *p = env->disabled; p && *p; p += strcspn(p, ","), p += *p == ',')
    SN_TRY(check_disabled(env, p, strcspn(p, ",")));
  return SN_OK;
}

bool sn_fuse_wants(const sn_pass_env *env, const char *kind) {
  return !env->fuse || has_word(env->fuse, "all") || has_word(env->fuse, kind);
}

void sn_pass_refuse(sn_pass_env *env, const char *graph, const char *ops, const char *reason) {
  for (int i = 0; i < env->refusal_count; i++) {
    const sn_fuse_refusal *r = &env->refusal[i];
    if (!strcmp(r->graph, graph) && !strcmp(r->ops, ops) && !strcmp(r->reason, reason)) return;
  }
  SN_GROW(env->arena, env->refusal, env->refusal_count, env->refusal_capacity);
  env->refusal[env->refusal_count++] = (sn_fuse_refusal){graph, ops, reason};
}

void sn_pass_form(sn_pass_env *env, const char *graph, const char *what, const char *form) {
  sn_pass_refuse(env, graph, sn_arena_printf(env->arena, SN_REFUSAL_FORM "%s", what), form);
}

void sn_pass_form_at(sn_pass_env *env, const char *graph, const sn_node *n, const char *form) {
  const sn_loc *at = n->origin.loc_count ? n->origin.locs : NULL;
  if (!at || !at->file) return;
  const char *what = sn_arena_printf(env->arena, "%s at %s:%d", sn_op_get(n->op)->name, at->file, at->line);
  sn_pass_form(env, graph, what, form);
}
