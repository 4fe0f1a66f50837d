/* Rules of passes by name: which are switched off. */
#include <string.h>

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
  static const char *const kinds[] = {"all", "none", "map", "rows", "contract", "attend"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (is_word(at, bytes, kinds[i])) return true;
  return false;
}

/* A pass of the pipeline, or one of the passes behind it. */
static bool is_pass(const char *at, size_t bytes) {
  static const char *const later[] = {"order", "memory", "simplify", "math"};
  for (size_t i = 0; i < sizeof later / sizeof *later; i++)
    if (is_word(at, bytes, later[i])) return true;
  for (const sn_pass *p = sn_pipeline; p->name; p++)
    if (is_word(at, bytes, p->name)) return true;
  return false;
}

sn_code sn_pass_env_check(const sn_pass_env *env) {
  for (const char *p = env->fuse; p && *p; p += strcspn(p, ","), p += *p == ',') {
    size_t bytes = strcspn(p, ",");
    if (is_fusion(p, bytes)) continue;
    return sn_fail(env->diags, SN_ERR_USAGE, (sn_loc){0},
                   "unknown kind of fusion \"%.*s\": all, none or map, rows, contract, attend", (int)bytes, p);
  }
  for (const char *p = env->disabled; p && *p; p += strcspn(p, ","), p += *p == ',') {
    size_t bytes = strcspn(p, ",.");
    if (is_pass(p, bytes)) continue;
    sn_text passes = sn_text_begin(env->arena);
    for (const sn_pass *x = sn_pipeline; x->name; x++) sn_text_add(&passes, "%s ", x->name);
    return sn_fail(env->diags, SN_ERR_USAGE, (sn_loc){0},
                   "rule %.*s to switch off is of no pass; there are: %sorder memory simplify math",
                   (int)strcspn(p, ","), p, passes.at);
  }
  return SN_OK;
}

bool sn_fuse_wants(const sn_pass_env *env, const char *kind) {
  return !env->fuse || has_word(env->fuse, "all") || has_word(env->fuse, kind);
}
