/* sinter dump, sinter opt: graphs as text after any pass, and kernels, plans and code as text. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/cli.h"
#include "ir/graph/text.h"

static sn_code print_graphs(cli *c, sn_module *m) {
  const char *only = cli_get(c, CLI_GRAPH, NULL);
  sn_text t = sn_text_begin(c->arena);
  if (only) {
    sn_func *f = sn_module_find(m, only);
    if (!f) return cli_usage_error(c, "--graph %s: no graph of that name", only);
    for (int i = m->func_count - 1; i >= 0; i--)
      if (m->func[i] != f && m->func[i]->kind == SN_FUNC_GRAPH) sn_module_remove(m, m->func[i]);
  }
  sn_module_print(&t, m, (sn_print_opt){.locations = true});
  return cli_print(c, &t);
}

static sn_code run_passes(cli *c, sn_module *m, const char *stop_after) {
  sn_compile_opt opt = {.target = cli_get(c, CLI_TARGET, "template"), .backend = c->backend};
  sn_target target;
  const sn_backend *backend;
  SN_TRY(sn_compile_target(&opt, c->diags, &target, &backend));
  sn_pass_env env = {.arena = c->arena,
                     .diags = c->diags,
                     .target = &target,
                     .disabled = cli_get(c, CLI_DISABLE, NULL),
                     .fuse = cli_get(c, CLI_FUSE, NULL)};
  SN_TRY(sn_compile_precision(cli_get(c, CLI_PRECISION, NULL), c->diags, &env.precision));
  bool known = !strcmp(stop_after, "none");
  for (const sn_pass *p = sn_pipeline; p->name; p++) known |= !strcmp(p->name, stop_after);
  if (!known) {
    sn_text list = sn_text_begin(c->arena);
    for (const sn_pass *p = sn_pipeline; p->name; p++) sn_text_add(&list, " %s", p->name);
    return cli_usage_error(c, "--pass %s: no pass of that name; there are: none%s", stop_after, list.at);
  }
  return strcmp(stop_after, "none") ? sn_pipeline_run(m, &env, stop_after, NULL, NULL) : SN_OK;
}

/* kernel, plan, llvm, asm of the compiled graphs */
sn_code cli_emit_text(cli *c, const cli_source *s, const char *what, sn_text *t) {
  sn_compiled compiled;
  sn_compile_opt opt = cli_compile_opt(c, s);
  SN_TRY(cli_compile(c, s->module, &opt, &compiled));
  if (!strcmp(what, "plan")) {
    sn_plan_print(t, compiled.plan, false);
    return SN_OK;
  }
  bool kernels = !strcmp(what, "kernel");
  if (!kernels && (!compiled.backend || !compiled.backend->show))
    return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0}, "target %s has no code to show", compiled.target.name);
  for (int i = 0; i < compiled.kernel_count; i++) {
    if (kernels)
      sn_kernel_print(t, compiled.kernel[i]);
    else
      SN_TRY(compiled.backend->show(&compiled.target, compiled.kernel[i], what, t, c->diags));
    sn_text_char(t, '\n');
  }
  return SN_OK;
}

sn_code cli_dump(cli *c) {
  const char *path, *what = cli_get(c, CLI_EMIT, "graph");
  cli_source s;
  SN_TRY(cli_word(c, "MODEL.c or FILE.sn", &path));
  SN_TRY(cli_load(c, path, cli_get(c, CLI_GRAPH, NULL), c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  if (!strcmp(what, "graph")) {
    SN_TRY(run_passes(c, s.module, cli_get(c, CLI_PASS, "none")));
    return print_graphs(c, s.module);
  }
  if (strcmp(what, "kernel") && strcmp(what, "plan") && strcmp(what, "llvm") && strcmp(what, "asm"))
    return cli_usage_error(c, "--emit %s: graph, kernel, plan, llvm or asm", what);
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(cli_emit_text(c, &s, what, &t));
  return cli_print(c, &t);
}

/* Kernel text, verified: numbered in program order, without what nothing needs. */
static sn_code opt_kernels(cli *c, const char *path, const char *text, size_t bytes) {
  sn_kernel **list;
  int count;
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(sn_kernel_parse_all(c->arena, c->diags, path, text, bytes, &count, &list));
  for (int i = 0; i < count; i++) {
    sn_kernel_print(&t, sn_kernel_finish(c->arena, list[i]));
    sn_text_char(&t, '\n');
  }
  return cli_print(c, &t);
}

/* Plan text, verified. */
static sn_code opt_plan(cli *c, const char *path, const char *text, size_t bytes) {
  sn_plan *p;
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(sn_plan_parse(c->arena, c->diags, path, text, bytes, &p));
  SN_TRY(sn_plan_check_hazards(p, c->diags));
  sn_plan_print(&t, p, true);
  return cli_print(c, &t);
}

static sn_code opt_graphs(cli *c, const char *path) {
  cli_source s;
  SN_TRY(cli_load(c, path, NULL, c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  SN_TRY(run_passes(c, s.module, cli_get(c, CLI_PASS, "fuse")));
  return print_graphs(c, s.module);
}

sn_code cli_opt(cli *c) {
  const char *path;
  char *text;
  size_t bytes;
  SN_TRY(cli_word(c, "FILE", &path));
  if (strlen(path) > 3 && !strcmp(path + strlen(path) - 3, ".sn")) return opt_graphs(c, path);
  SN_TRY(cli_read_file(c, path, (size_t)1 << 28, &text, &bytes));
  if (cli_text_begins(text, "kernel")) return opt_kernels(c, path, text, bytes);
  if (cli_text_begins(text, "plan")) return opt_plan(c, path, text, bytes);
  return opt_graphs(c, path);
}
