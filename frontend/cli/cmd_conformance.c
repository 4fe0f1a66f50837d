/* sinter conformance: the suite that every backend passes, for built-in targets and for --backend FILE.so. */
#include <stdio.h>
#include <string.h>

#include "backends/conform/conform.h"
#include "frontend/cli/cli.h"
#include "ir/base/place.h"
#include "ir/graph/text.h"
#include "ir/base/cpu.h"

/* Values that make a model small, for the settings that it declares. */
static const char *const small_settings[] = {"layers=1",  "heads=2",  "kv_heads=1", "width=16", "hidden=24",
                                             "context=8", "vocab=17", "head_dim=8", "experts=2"};
enum { SMALL_COUNT = sizeof small_settings / sizeof small_settings[0], SAMPLE_B = 2, SAMPLE_T = 5, SAMPLE_IDS = 4 };

static int small_for(const cli_source *s, const char **set) {
  int count = 0;
  for (int i = 0; i < SMALL_COUNT; i++) {
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(small_settings[i], "="), small_settings[i]);
    if (cli_declares(s, name)) set[count++] = small_settings[i];
  }
  return count;
}

static void small_dims(const sn_types *types, int64_t *dims) {
  for (int i = 0; i < sn_types_symbol_count(types); i++) {
    const sn_dimx *d = sn_types_symbol(types, i);
    int64_t wanted = strcmp(sn_dimx_symbol_name(d), "B") ? SAMPLE_T : SAMPLE_B, max = sn_dimx_max_value(d);
    dims[i] = wanted > max ? max : wanted < sn_dimx_min_value(d) ? sn_dimx_min_value(d) : wanted;
  }
}

static const char *module_text(cli *c, const sn_module *m) {
  sn_text t = sn_text_begin(c->arena);
  sn_module_print(&t, m, (sn_print_opt){0});
  return t.at;
}

/* Every graph of a model. Ids are below SAMPLE_IDS, which every model has; positions in caches at 0. */
static sn_code one_model(cli *c, const sn_conform_opt *opt, const char *path, sn_conform *out) {
  cli_source s;
  const char *set[SMALL_COUNT];
  SN_TRY(cli_load(c, path, NULL, 0, NULL, &s));
  int set_count = small_for(&s, set);
  if (s.file) SN_TRY(cli_load(c, path, NULL, set_count, set, &s));
  sn_case k = {.file = path, .text = module_text(c, s.module), .dim_count = sn_types_symbol_count(s.module->types)};
  int64_t *dims = SN_ARRAY(c->arena, k.dim_count + 1, int64_t);
  small_dims(s.module->types, dims);
  k.dims = dims;
  for (int i = 0; i < s.module->func_count; i++) {
    const sn_func *f = s.module->func[i];
    if (f->kind != SN_FUNC_GRAPH) continue;
    sn_case one = k;
    bool caches = !strcmp(f->name, "prefill") || !strcmp(f->name, "decode");
    one.graph = f->name;
    SN_TRY(sn_case_draw(&one, opt->seed, caches ? 1 : SAMPLE_IDS, 0.3, c->arena, c->diags));
    sn_conform_model(opt, &one, c->arena, out);
  }
  return SN_OK;
}

static sn_code models(cli *c, const sn_conform_opt *opt, sn_conform *out) {
  static const char *const shipped[] = {"gpt.c", "llama.c", "mlp.sn"};
  *out = (sn_conform){.missing = ""};
  for (int i = 0; i < c->word.count; i++) SN_TRY(one_model(c, opt, c->word.at[i], out));
  for (size_t i = 0; !c->word.count && i < sizeof shipped / sizeof shipped[0]; i++) {
    const char *path = sn_place_find(c->arena, sn_arena_printf(c->arena, "share/sinter/models/%s", shipped[i]));
    if (!path) return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){0}, "share/sinter/models/%s was not found", shipped[i]);
    SN_TRY(one_model(c, opt, path, out));
  }
  return SN_OK;
}

/* ---- report ------------------------------------------------------------------------------------------------------ */

static void report(cli *c, sn_text *t, const char *part, const sn_conform *r) {
  if (cli_has(c, CLI_JSON)) {
    sn_text_add(t,
                "\"%s\": {\"run\": %lld, \"refused\": %lld, \"failed\": %lld, \"ops\": %d, \"ops_seen\": %d, "
                "\"there\": %lld}, ",
                part, (long long)r->run, (long long)r->refused, (long long)r->failed, r->all, r->seen,
                (long long)r->there);
    return;
  }
  sn_text_add(t, "%-9s %6lld run, %lld failed, %lld refused", part, (long long)r->run, (long long)r->failed,
              (long long)r->refused);
  if (r->there) sn_text_add(t, ", of a list of %lld", (long long)r->there);
  if (r->all) sn_text_add(t, "; %d of %d ops%s%s", r->seen, r->all, *r->missing ? ", not" : "", r->missing);
  sn_text_char(t, '\n');
  if (r->first) sn_text_add(t, "          %s\n", r->first);
  for (int i = 0; i < r->refusals.count; i++)
    sn_text_add(t, "          refused %lld: %s\n", (long long)r->refusals.at[i].times, r->refusals.at[i].why);
}

/* More refusals than comparisons: the backend does not do its work. */
static void weigh(cli *c, const char *part, sn_conform *r) {
  if (r->run <= r->refused)
    sn_conform_fail(r, c->arena, "%s: %lld refused, %lld run", part, (long long)r->refused, (long long)r->run);
}

static sn_code judge(cli *c, const char *name, const sn_conform *r, int count) {
  bool failed = false;
  for (int i = 0; i < count; i++) failed |= r[i].failed > 0;
  return failed ? sn_fail(c->diags, SN_ERR_NUMERIC, (sn_loc){0}, "backend %s does not conform", name) : SN_OK;
}

/* ---- the parts --------------------------------------------------------------------------------------------------- */

enum { PROGRAMS, LAWS, KERNELS, GRAPHS, MODELS, PARTS };
static const char *const part_names[PARTS] = {"programs", "laws", "kernels", "graphs", "models"};

/* Which of them --part names; all without. */
static sn_code chosen(cli *c, bool *on) {
  const char *at = cli_get(c, CLI_PART, NULL);
  for (int i = 0; i < PARTS; i++) on[i] = !at;
  while (at && *at) {
    size_t length = strcspn(at, ",");
    int i = 0;
    while (i < PARTS && (strlen(part_names[i]) != length || strncmp(at, part_names[i], length) != 0)) i++;
    if (i == PARTS)
      return cli_usage_error(c, "--part takes programs, laws, kernels, graphs and models, found %.*s", (int)length, at);
    on[i] = true;
    at += length + (at[length] == ',');
  }
  return SN_OK;
}

/* Lists begin at 0 unless --seed says otherwise; without -n each op has its law once, each kernel one pair of extents.
 */
static sn_code run_part(cli *c, int part, sn_conform_opt opt, sn_conform *out) {
  if (part == LAWS || part == KERNELS) opt.seed = cli_has(c, CLI_SEED) ? opt.seed : 0;
  switch (part) {
    case PROGRAMS: sn_conform_programs(&opt, c->arena, out); break;
    case LAWS: sn_conform_laws(&opt, c->arena, out); break;
    case KERNELS: sn_conform_kernels(&opt, c->arena, out); break;
    case GRAPHS:
      if (!opt.exactly) opt.count = opt.count / 2 + 1;
      sn_conform_graphs(&opt, c->arena, out);
      break;
    default: return models(c, &opt, out);
  }
  return SN_OK;
}

/* Is the described target another machine? There is no such Vulkan device. */
static bool is_elsewhere(const sn_target *t) {
  return !strcmp(t->name, "vulkan") || (!strcmp(t->name, "cpu") && !sn_cpu_offers(t->features));
}

sn_code cli_conformance(cli *c) {
  sn_target target;
  const sn_backend *backend;
  sn_conform r[PARTS];
  int64_t count, seed;
  bool on[PARTS];
  int n = 0;
  SN_TRY(chosen(c, on));
  SN_TRY(cli_int(c, CLI_COUNT, 200, 1, INT64_C(1) << 24, &count));
  SN_TRY(cli_int(c, CLI_SEED, 1, 0, INT64_MAX / 2, &seed));
  const sn_compile_opt o = {
      .target = cli_get(c, CLI_TARGET, "cpu"), .backend = c->backend, .isa = cli_get(c, CLI_ISA, NULL), .exact = true};
  SN_TRY(sn_compile_target(&o, c->diags, &target, &backend));
  if (!backend) return cli_usage_error(c, "--target %s is an interpreter of graphs: it has no backend", o.target);
  const sn_conform_opt opt = {.backend = backend,
                              .target = &target,
                              .name = c->backend ? NULL : o.target,
                              .isa = o.isa,
                              .made = o.isa && is_elsewhere(&target),
                              .seed = (uint64_t)seed,
                              .count = (int)count,
                              .exactly = cli_has(c, CLI_PART)};
  sn_text t = sn_text_begin(c->arena);
  if (cli_has(c, CLI_JSON)) sn_text_add(&t, "{\"backend\": \"%s\", ", backend->name);
  for (int i = 0; i < PARTS; i++) {
    if (!on[i]) continue;
    SN_TRY(run_part(c, i, opt, &r[n]));
    weigh(c, part_names[i], &r[n]);
    report(c, &t, part_names[i], &r[n++]);
  }
  sn_code code = judge(c, backend->name, r, n);
  if (cli_has(c, CLI_JSON))
    sn_text_add(&t, "\"conforms\": %s}\n", code ? "false" : "true");
  else if (!code)
    sn_text_add(&t, opt.made ? "backend %s (%s): the code was made, not run\n" : "backend %s (%s) conforms\n",
                backend->name, backend->version);
  sn_code printed = cli_print(c, &t);
  return code ? code : printed;
}
