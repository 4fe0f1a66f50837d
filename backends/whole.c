/* Whole plans in the object cache: module and options -> the plan that they became before. For callers that want
 * nothing else of a compilation; passes, lowering and kernels are then not run again.
 *
 * The key is all that decides about a plan: this state of the compiler, the facts of the target, the options, and the
 * module as text with its lines. What comes from a loaded backend or from texts of the user is not kept. */
#include "backends/whole.h"

#include "generator.h"
#include "ir/base/plant.h"
#include "ir/graph/text.h"

static const char *text_or_none(const char *s) { return s ? s : ""; }

static bool may_keep(const sn_compile_opt *opt, const sn_compiled *c) {
  if (SN_PLANTED_ANY) return false; /* a planted mistake is no part of the key */
  return opt->plan_only && c->backend && !opt->backend && !opt->hits && !opt->kernels && !opt->plan;
}

static void add_key(sn_text *key, const sn_module *m, const sn_compile_opt *opt, const sn_compiled *c,
                    const sn_chooser *chooser) {
  sn_text_add(key, "plan by compiler %s, %s %s\n", SN_GENERATOR, c->backend->name, c->backend->version);
  sn_target_print(key, &c->target);
  sn_text_add(key, "%d threads\n%d %d %s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n", c->target.threads, opt->interpret,
              opt->debug_info, text_or_none(opt->precision), text_or_none(opt->quantize), text_or_none(opt->vocab),
              text_or_none(opt->scan), text_or_none(opt->disabled), opt->fuse ? opt->fuse : "all",
              text_or_none(opt->model), text_or_none(opt->settings));
  sn_chooser_print(key, chooser);
  sn_module_print(key, m, (sn_print_opt){.locations = true});
}

/* An entry that is not sound any more counts as none. */
static sn_plan *read_plan(const sn_whole *w, sn_arena *arena) {
  const unsigned char *data;
  size_t bytes;
  sn_plan *p = NULL;
  sn_diags *quiet = sn_diags_scratch();
  bool sound = quiet && sn_cache_get_plan(w->cache, w->key.at, (size_t)w->key.count, arena, &data, &bytes) &&
               !sn_plan_read(arena, quiet, "cache", data, bytes, &p) && !sn_plan_check_hazards(p, quiet);
  sn_diags_destroy(quiet);
  return sound ? p : NULL;
}

static void report(const sn_compile_opt *opt, const sn_plan *p) {
  for (int i = 0; i < p->code_count && opt->on_kernel; i++)
    opt->on_kernel(opt->kernel_user, p->code[i].name, true, i + 1, p->code_count);
}

bool sn_whole_find(const sn_module *m, const sn_compile_opt *opt, sn_compiled *c, const sn_chooser *chooser,
                   sn_whole *out) {
  const char *why;
  *out = (sn_whole){0};
  if (!may_keep(opt, c)) return false;
  out->cache = sn_cache_open(c->arena, opt->cache_dir, &why);
  if (!out->cache) return false;
  out->key = sn_text_begin(c->arena);
  add_key(&out->key, m, opt, c, chooser);
  c->plan = read_plan(out, c->arena);
  if (!c->plan) return false;
  c->kernel_count = c->cache_hits = c->plan->code_count;
  report(opt, c->plan);
  return true;
}

void sn_whole_keep(const sn_whole *w, const sn_compiled *c) {
  unsigned char *data;
  size_t bytes;
  if (!w->cache || sn_plan_write(c->arena, c->plan, &data, &bytes)) return;
  sn_cache_put_plan(w->cache, w->key.at, (size_t)w->key.count, data, bytes);
}
