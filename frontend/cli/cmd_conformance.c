/* sinter conformance: the suite that every backend passes, for built-in targets and for --backend FILE.so. */
#include <stdio.h>
#include <string.h>

#include "backends/conform/conform.h"
#include "frontend/cli/cli.h"
#include "ir/base/place.h"
#include "ir/graph/text.h"

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

/* ---- report ---------------------------------------------------------------------------------------------------------
 */

static void report(cli *c, sn_text *t, const char *part, const sn_conform *r) {
  if (cli_has(c, CLI_JSON)) {
    sn_text_add(t, "\"%s\": {\"run\": %lld, \"refused\": %lld, \"failed\": %lld, \"ops\": %d, \"ops_seen\": %d}, ",
                part, (long long)r->run, (long long)r->refused, (long long)r->failed, r->all, r->seen);
    return;
  }
  sn_text_add(t, "%-9s %6lld run, %lld failed, %lld refused", part, (long long)r->run, (long long)r->failed,
              (long long)r->refused);
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

sn_code cli_conformance(cli *c) {
  static const char *const part[] = {"programs", "graphs", "models"};
  sn_target target;
  const sn_backend *backend;
  sn_conform r[3];
  int64_t count, seed;
  SN_TRY(cli_int(c, CLI_COUNT, 200, 1, INT64_C(1) << 24, &count));
  SN_TRY(cli_int(c, CLI_SEED, 1, 0, INT64_MAX, &seed));
  const sn_compile_opt o = {
      .target = cli_get(c, CLI_TARGET, "cpu"), .backend = c->backend, .isa = cli_get(c, CLI_ISA, NULL)};
  SN_TRY(sn_compile_target(&o, c->diags, &target, &backend));
  if (!backend) return cli_usage_error(c, "--target %s is an interpreter of graphs: it has no backend", o.target);
  sn_conform_opt opt = {backend, &target, c->backend ? NULL : o.target, (uint64_t)seed, (int)count};
  sn_conform_programs(&opt, c->arena, &r[0]);
  opt.count = (int)count / 2 + 1;
  sn_conform_graphs(&opt, c->arena, &r[1]);
  SN_TRY(models(c, &opt, &r[2]));
  sn_text t = sn_text_begin(c->arena);
  if (cli_has(c, CLI_JSON)) sn_text_add(&t, "{\"backend\": \"%s\", ", backend->name);
  for (int i = 0; i < 3; i++) {
    weigh(c, part[i], &r[i]);
    report(c, &t, part[i], &r[i]);
  }
  sn_code code = judge(c, backend->name, r, 3);
  if (cli_has(c, CLI_JSON))
    sn_text_add(&t, "\"conforms\": %s}\n", code ? "false" : "true");
  else if (!code)
    sn_text_add(&t, "backend %s (%s) conforms\n", backend->name, backend->version);
  sn_code printed = cli_print(c, &t);
  return code ? code : printed;
}
