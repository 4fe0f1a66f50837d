/* sinter dump, sinter opt: graphs, kernels and plan as text after any pass, and code as text. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/cli.h"
#include "ir/graph/text.h"
#include "passes/lower/lower.h"

/* Only the graph of --graph, when there is one. */
static sn_code keep_graph(cli *c, sn_module *m) {
  const char *only = cli_get(c, CLI_GRAPH, NULL);
  sn_func *f = only ? sn_module_find(m, only) : NULL;
  if (only && !f) return cli_usage_error(c, "--graph %s: no graph of that name", only);
  for (int i = m->func_count - 1; only && i >= 0; i--)
    if (m->func[i] != f && m->func[i]->kind == SN_FUNC_GRAPH) sn_module_remove(m, m->func[i]);
  return SN_OK;
}

static sn_code print_graphs(cli *c, sn_module *m) {
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(keep_graph(c, m));
  sn_module_print(&t, m, (sn_print_opt){.locations = true});
  return cli_print(c, &t);
}

/* ---- --pass ---------------------------------------------------------------------------------------------------- */

/* What comes behind the graphs: each is shown by doing without those after it. */
typedef struct late_row {
  const char *name, *without;
  bool plan; /* shows the plan, else the kernels */
} late_row;

static const late_row late[] = {{"lower", "simplify,math", false},
                                {"simplify", "math", false},
                                {"math", NULL, false},
                                {"order", "memory", true},
                                {"memory", NULL, true}};
enum { LATE = sizeof late / sizeof *late };

static const late_row *late_of(const char *pass) {
  for (int i = 0; i < LATE; i++)
    if (!strcmp(late[i].name, pass)) return &late[i];
  return NULL;
}

static sn_code unknown_pass(cli *c, const char *pass) {
  sn_text list = sn_text_begin(c->arena);
  for (const sn_pass *p = sn_pipeline; p->name; p++) sn_text_add(&list, " %s", p->name);
  sn_text_add(&list, "; behind the graphs:");
  for (int i = 0; i < LATE; i++) sn_text_add(&list, " %s", late[i].name);
  return cli_usage_error(c, "--pass %s: no pass of that name; there are: none%s", pass, list.at);
}

static sn_code make_env(cli *c, sn_target *target, sn_pass_env *env) {
  sn_compile_opt opt = {
      .target = cli_get(c, CLI_TARGET, "template"), .backend = c->backend, .isa = cli_get(c, CLI_ISA, NULL)};
  const sn_backend *backend;
  SN_TRY(sn_compile_target(&opt, c->diags, target, &backend));
  *env = (sn_pass_env){.arena = c->arena,
                       .diags = c->diags,
                       .target = target,
                       .disabled = cli_get(c, CLI_DISABLE, NULL),
                       .fuse = cli_get(c, CLI_FUSE, NULL)};
  SN_TRY(sn_compile_precision(cli_get(c, CLI_PRECISION, NULL), c->diags, &env->precision));
  SN_TRY(sn_compile_vocab(cli_get(c, CLI_VOCAB, NULL), c->diags, &env->vocab));
  SN_TRY(sn_compile_scan(cli_get(c, CLI_SCAN, NULL), c->diags, env));
  SN_TRY(sn_compile_quantize(cli_get(c, CLI_QUANTIZE, NULL), c->diags, &env->weights));
  return sn_pass_env_check(env);
}

static sn_code print_late(cli *c, sn_module *m, const late_row *r, sn_pass_env *env) {
  sn_lowered lowered;
  sn_text t = sn_text_begin(c->arena);
  if (r->without && env->disabled)
    env->disabled = sn_arena_printf(c->arena, "%s,%s", env->disabled, r->without);
  else if (r->without)
    env->disabled = r->without;
  SN_TRY(keep_graph(c, m));
  SN_TRY(sn_pipeline_run(m, env, NULL, NULL, NULL));
  SN_TRY(sn_lower(m, env, &lowered));
  for (int i = 0; !r->plan && i < lowered.kernel_count; i++) {
    sn_kernel_print(&t, lowered.kernel[i]);
    sn_text_char(&t, '\n');
  }
  if (!r->plan) return cli_print(c, &t);
  lowered.plan->model = lowered.plan->settings = "";
  lowered.plan->target = sn_arena_printf(c->arena, "%s %s", env->target->name, env->target->features);
  sn_plan_print(&t, lowered.plan, false);
  return cli_print(c, &t);
}

/* The program as it is after a pass: graphs, kernels or a plan. */
static sn_code print_after(cli *c, sn_module *m, const char *pass) {
  sn_target target;
  sn_pass_env env;
  SN_TRY(make_env(c, &target, &env));
  if (late_of(pass)) return print_late(c, m, late_of(pass), &env);
  bool known = !strcmp(pass, "none");
  for (const sn_pass *p = sn_pipeline; p->name; p++) known |= !strcmp(p->name, pass);
  if (!known) return unknown_pass(c, pass);
  if (strcmp(pass, "none")) SN_TRY(sn_pipeline_run(m, &env, pass, NULL, NULL));
  return print_graphs(c, m);
}

/* kernel, plan, llvm, asm, spirv of the compiled graphs */
sn_code cli_emit_text(cli *c, const cli_source *s, const char *what, sn_text *t) {
  sn_compiled compiled;
  sn_compile_opt opt = cli_compile_opt(c, s);
  SN_TRY(cli_compile(c, s->module, &opt, &compiled));
  if (!strcmp(what, "plan")) {
    sn_plan_print(t, compiled.plan, false);
    return SN_OK;
  }
  bool kernels = !strcmp(what, "kernel");
  bool spirv = !strcmp(compiled.target.name, "vulkan");
  if (!kernels && (!compiled.backend || !compiled.backend->show || spirv != !strcmp(what, "spirv")))
    return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0}, "target %s has no %s to show", compiled.target.name, what);
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
  if (!strcmp(what, "graph")) return print_after(c, s.module, cli_get(c, CLI_PASS, "none"));
  if (strcmp(what, "kernel") && strcmp(what, "plan") && strcmp(what, "llvm") && strcmp(what, "asm") &&
      strcmp(what, "spirv"))
    return cli_usage_error(c, "--emit %s: graph, kernel, plan, llvm, asm or spirv", what);
  if (cli_has(c, CLI_PASS))
    return cli_usage_error(
        c, "--pass and --emit %s: --pass lower, simplify, math, order and memory show kernels and plan", what);
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
  return print_after(c, s.module, cli_get(c, CLI_PASS, "fuse"));
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
