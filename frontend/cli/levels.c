/* --levels -> names -> plans, compiled for one level after the other -> one piece of a file. */
#include "frontend/cli/levels.h"

#include <string.h>

/* The features that a plan names behind its target; NULL: it is not of a processor. */
static const char *features_of(const sn_plan *p) { return strncmp(p->target, "cpu ", 4) ? NULL : p->target + 4; }

static void add(cli_levels *l, const char *name) {
  l->at[l->count].name = name;
  l->at[l->count++].plan = NULL;
}

static sn_code unknown_level(cli *c, const char *word, size_t length) {
  return cli_usage_error(
      c,
      "--levels takes all, native, or levels between commas: baseline, avx2, avx512, avx512bf16, amx; found \"%.*s\"",
      (int)length, word);
}

static bool names(const char *list, const char *level) {
  size_t n = strlen(level);
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && !memcmp(p, level, n)) return true;
  return false;
}

static sn_code check_list(cli *c, const char *list) {
  if (!*list) return unknown_level(c, list, 0);
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
    size_t n = strcspn(p, ",");
    bool known = false;
    for (int i = 0; sn_target_level(i, NULL); i++)
      known |= strlen(sn_target_level(i, NULL)) == n && !memcmp(sn_target_level(i, NULL), p, n);
    if (!known) return unknown_level(c, p, n);
  }
  return SN_OK;
}

/* What decides about the code of one plan. */
static cli_option other_choice(const cli *c) {
  static const cli_option options[] = {CLI_ISA, CLI_BACKEND, CLI_KERNELS, CLI_PLAN};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (cli_has(c, options[i])) return options[i];
  return strcmp(cli_get(c, CLI_TARGET, "cpu"), "cpu") ? CLI_TARGET : CLI_OPTION_COUNT;
}

sn_code cli_levels_wanted(cli *c, const char *kind, cli_levels *out) {
  const char *list = cli_get(c, CLI_LEVELS, NULL);
  bool shipped = !strcmp(kind, "exe") || !strcmp(kind, "obj");
  cli_option other = other_choice(c);
  *out = (cli_levels){.is_asked = list};
  if (list && !shipped && strcmp(kind, "plan") != 0)
    return cli_usage_error(c, "--levels: --emit %s is of one level, which --isa chooses", kind);
  if (list && other != CLI_OPTION_COUNT)
    return cli_usage_error(c, "--levels and --%s: one of them decides", cli_option_name(other));
  if (!list) list = shipped && other == CLI_OPTION_COUNT && SN_HAVE_LLVM ? "all" : "native";
  if (!strcmp(list, "native")) return SN_OK;
  bool all = !strcmp(list, "all");
  if (!all) SN_TRY(check_list(c, list));
  for (int i = 0; sn_target_level(i, NULL); i++)
    if (all || names(list, sn_target_level(i, NULL))) add(out, sn_target_level(i, NULL));
  return SN_OK;
}

static bool is_of(const sn_plan *p, const char *level) {
  sn_target t;
  const char *features = features_of(p);
  return sn_target_find_level(level, &t) >= 0 && features && !strcmp(features, t.features);
}

/* No code can be made for the level: that is said, and the messages of the attempt are taken back. */
static void leave_out(cli *c, const char *name, int message_count) {
  sn_diags *d = c->diags;
  cli_log(&c->log, CLI_LOG_WARN, "warning: level %s is left out: %s", name,
          d->count > message_count ? d->at[message_count].message : "no code generator");
  d->count = message_count;
}

sn_code cli_levels_make(cli *c, cli_levels *l, sn_plan *made, cli_level_fn compile, void *user) {
  int count = 0;
  for (int i = 0; i < l->count; i++) {
    int messages = c->diags->count;
    const char *name = l->at[i].name;
    sn_plan *p = made && is_of(made, name) ? made : NULL;
    sn_code code = p ? SN_OK : compile(user, name, &p);
    if (code && (code != SN_ERR_DEVICE || l->is_asked || !made)) return code;
    if (code)
      leave_out(c, name, messages);
    else
      l->at[count].name = name, l->at[count++].plan = p;
  }
  l->count = count;
  if (!count) *l = cli_levels_single(made);
  return SN_OK;
}

cli_levels cli_levels_single(sn_plan *p) { return (cli_levels){.count = 1, .at = {{"", p}}}; }

sn_code cli_levels_write(cli *c, const cli_levels *l, unsigned char **out, size_t *out_bytes) {
  sn_levels set = {.count = l->count};
  for (int i = 0; i < l->count; i++) {
    unsigned char *data;
    sn_level *x = &set.at[i];
    *x = (sn_level){.name = l->at[i].name, .features = features_of(l->at[i].plan)};
    SN_TRY(sn_plan_write(c->arena, l->at[i].plan, &data, &x->bytes));
    x->plan = data;
    *out = data;
    *out_bytes = x->bytes;
    if (!*x->name) return SN_OK;
    if (!x->features)
      return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0}, "level %s: the plan is for target %s", x->name,
                     l->at[i].plan->target);
  }
  sn_levels_write(c->arena, &set, out, out_bytes);
  return SN_OK;
}
