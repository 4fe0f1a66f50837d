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

static bool has_word(const char *list, const char *name) {
  size_t bytes = strlen(name);
  for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    if (!strncmp(p, name, bytes) && (p[bytes] == ',' || !p[bytes])) return true;
  return false;
}

bool sn_fuse_wants(const sn_pass_env *env, const char *kind) {
  return !env->fuse || has_word(env->fuse, "all") || has_word(env->fuse, kind);
}
