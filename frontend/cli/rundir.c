/* Run folder -> parts. */
#include "frontend/cli/rundir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/cli/ports.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "runtime/loop/voice.h"

/* Drops every graph that serving does not need. */
static void keep_serving(sn_module *m) {
  for (int i = m->func_count - 1; i >= 0; i--) {
    const sn_func *f = m->func[i];
    if (f->kind == SN_FUNC_GRAPH && strcmp(f->name, "prefill") && strcmp(f->name, "decode") &&
        strcmp(f->name, "logits"))
      sn_module_remove(m, f);
  }
}

static void keep_graph(sn_module *m, const char *graph) {
  for (int i = m->func_count - 1; i >= 0; i--)
    if (m->func[i]->kind == SN_FUNC_GRAPH && strcmp(m->func[i]->name, graph)) sn_module_remove(m, m->func[i]);
}

sn_code cli_compile_serving(cli *c, sn_module *m, sn_compile_opt *opt, sn_compiled *out) {
  keep_serving(m);
  return cli_compile(c, m, opt, out);
}

static sn_code read_part(cli *c, sn_payload *p, sn_payload_part part, const char *path) {
  char *data;
  size_t bytes;
  SN_TRY(cli_read_file(c, path, (size_t)1 << 40, &data, &bytes));
  p->part[part].data = data;
  p->part[part].bytes = bytes;
  return SN_OK;
}

static void say_not_used(const char *path, const char *why) {
  fprintf(stderr, "sinter: %s is not used, graph.sn is compiled again: %s\n", path, why);
}

/* The plan of the folder. A damaged one is compiled again, which is said. */
static bool read_plan(cli *c, const cli_rundir *r, const char *path, sn_diags *quiet, sn_plan **out) {
  const sn_payload *parts = &r->parts;
  if (!sn_plan_read(c->arena, quiet, "plan", parts->part[SN_PAYLOAD_PLAN].data, parts->part[SN_PAYLOAD_PLAN].bytes,
                    out))
    return true;
  say_not_used(path, quiet->count ? quiet->at[quiet->count - 1].message : "unreadable");
  return false;
}

/* Are stages fed back, or weights wanted in another form? Then the stored plan is not what is wanted. */
static bool is_other(const cli *c) {
  return cli_has(c, CLI_KERNELS) || cli_has(c, CLI_PLAN) || cli_has(c, CLI_QUANTIZE);
}

/* Is the stored plan for the wanted target? Its hash of code is checked when it is read. */
static bool plan_fits(cli *c, const cli_rundir *r, const char *path) {
  sn_plan *p;
  sn_target t;
  const sn_backend *backend;
  sn_diags *quiet = sn_diags_scratch();
  sn_compile_opt opt = {.target = cli_get(c, CLI_TARGET, "cpu"), .isa = cli_get(c, CLI_ISA, NULL)};
  bool written = r->parts.part[SN_PAYLOAD_PLAN].bytes > 0; /* not for the interpreter */
  bool fits = written && !c->backend && !is_other(c) && !strcmp(opt.target, "cpu") &&
              read_plan(c, r, path, quiet, &p) && !sn_compile_target(&opt, quiet, &t, &backend) &&
              !strcmp(p->target, sn_arena_printf(c->arena, "%s %s", t.name, t.features));
  if (!SN_HAVE_LLVM && !c->backend && !is_other(c) && !strcmp(opt.target, "cpu"))
    fits = r->parts.part[SN_PAYLOAD_PLAN].bytes > 0; /* the runtime says what is missing */
  sn_diags_destroy(quiet);
  return fits;
}

/* The graphs that the model was trained with, checked. */
static sn_code read_graphs(cli *c, const sn_dir *d, sn_module **out) {
  char *text;
  size_t bytes;
  SN_TRY(cli_read_file(c, d->graph, (size_t)1 << 30, &text, &bytes));
  SN_TRY(sn_module_parse(c->arena, c->diags, d->graph, text, bytes, out));
  for (int i = 0; i < (*out)->func_count; i++) {
    SN_TRY(sn_func_verify((*out)->func[i], c->diags));
    SN_TRY(sn_ops_check((*out)->func[i], c->diags));
  }
  return SN_OK;
}

static sn_compile_opt options_of(cli *c, const cli_rundir *r) {
  cli_source s = {.name = r->settings.model, .settings = r->settings.settings, .precision = r->settings.precision};
  return cli_compile_opt(c, &s);
}

/* missing: why there is no plan; 0: there is one, and what is wrong with it was said. */
static sn_code compile_again(cli *c, const sn_dir *d, int missing, cli_rundir *r) {
  sn_module *m;
  SN_TRY(read_graphs(c, d, &m));
  if (!sn_module_find(m, "prefill") && !sn_module_find(m, "decode") && !sn_module_find(m, "logits"))
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = d->graph},
                   "the model has no graph prefill, decode or logits: it writes no text");
  SN_TRY(cli_check_ports(c, m, "prefill", d->graph));
  SN_TRY(cli_check_ports(c, m, "decode", d->graph));
  const char *graph, *given = cli_given_state(m, &graph);
  if (given) {
    (void)sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = d->graph},
                  "a prompt is not enough: the graph decode reads %s, which the graph %s makes", given, graph);
    sn_fail_note(c->diags, "in a program of your own both run: sinter build MODEL.c --emit obj, or the C API");
    return SN_ERR_INPUT;
  }
  if (missing) say_not_used(d->plan, strerror(missing));
  sn_compile_opt opt = options_of(c, r);
  r->compiled = SN_NEW(c->arena, sn_compiled);
  return cli_compile_serving(c, m, &opt, r->compiled);
}

/* Everything but the plan. */
static sn_code read_parts(cli *c, const sn_dir *d, cli_rundir *r) {
  struct stat st;
  *r = (cli_rundir){0};
  if (stat(d->path, &st) || !S_ISDIR(st.st_mode))
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){0}, "%s is no folder of a trained model", d->path);
  SN_TRY(read_part(c, &r->parts, SN_PAYLOAD_SETTINGS, d->settings));
  SN_TRY(read_part(c, &r->parts, SN_PAYLOAD_TOKENIZER, d->tokenizer));
  SN_TRY(read_part(c, &r->parts, SN_PAYLOAD_WEIGHTS, d->weights));
  return sn_run_settings_parse(c->arena, c->diags, d->settings, r->parts.part[SN_PAYLOAD_SETTINGS].data,
                               r->parts.part[SN_PAYLOAD_SETTINGS].bytes, &r->settings);
}

sn_code cli_rundir_read(cli *c, const char *path, cli_rundir *r) {
  sn_dir d = sn_dir_of(c->arena, path);
  SN_TRY(read_parts(c, &d, r));
  if (access(d.plan, F_OK)) return compile_again(c, &d, errno, r);
  SN_TRY(read_part(c, &r->parts, SN_PAYLOAD_PLAN, d.plan));
  return plan_fits(c, r, d.plan) ? SN_OK : compile_again(c, &d, 0, r);
}

sn_code cli_rundir_level(cli *c, const char *path, const cli_rundir *r, const char *level, sn_plan **out) {
  sn_dir d = sn_dir_of(c->arena, path);
  sn_module *m;
  sn_compiled k;
  sn_compile_opt opt = options_of(c, r);
  opt.isa = level, opt.exact = true;
  SN_TRY(read_graphs(c, &d, &m));
  SN_TRY(cli_compile_serving(c, m, &opt, &k));
  *out = k.plan;
  return SN_OK;
}

/* The line of what generation lacks, where the stored plan lacks it. */
static sn_code explain_lack(cli *c, const sn_dir *d) {
  sn_module *m;
  SN_TRY(read_graphs(c, d, &m));
  SN_TRY(cli_check_ports(c, m, "prefill", d->graph));
  return cli_check_ports(c, m, "decode", d->graph);
}

sn_code cli_rundir_serves(cli *c, const char *path, const sn_plan *p) {
  sn_dir d = sn_dir_of(c->arena, path);
  sn_diags *quiet = sn_diags_scratch();
  bool serves = !sn_generate_check(p, quiet);
  sn_diags_destroy(quiet);
  if (serves) return SN_OK;
  SN_TRY(explain_lack(c, &d));
  return sn_generate_check(p, c->diags);
}

sn_code cli_rundir_graph(cli *c, const char *path, const char *graph, cli_rundir *r, sn_module **out) {
  sn_dir d = sn_dir_of(c->arena, path);
  SN_TRY(read_parts(c, &d, r));
  SN_TRY(read_graphs(c, &d, out));
  if (!sn_module_find(*out, graph))
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = d.graph}, "the model has no graph %s", graph);
  keep_graph(*out, graph);
  return SN_OK;
}

sn_code cli_rundir_tokenizer(cli *c, const char *path, const cli_rundir *r, sn_tokenizer **out) {
  sn_dir d = sn_dir_of(c->arena, path);
  SN_TRY(sn_tokenizer_parse(c->arena, c->diags, d.tokenizer, r->parts.part[SN_PAYLOAD_TOKENIZER].data,
                            r->parts.part[SN_PAYLOAD_TOKENIZER].bytes, out));
  return sn_run_settings_check_ids(&r->settings, c->diags, d.tokenizer, sn_tokenizer_vocab(*out), 0);
}
