/* sinter build: a native executable or an object with its header, for several feature levels of the processor; the
 * plan, or any stage as text. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/object.h"
#include "frontend/cli/tune.h"
#include "frontend/cli/levels.h"
#include "frontend/cli/rundir.h"
#include "ir/graph/text.h"
#include "runtime/io/file.h"

static const char *output_path(cli *c) { return cli_get(c, CLI_OUTPUT, NULL); }

static sn_code write_text(cli *c, const sn_text *t) {
  return sn_file_write_all(output_path(c), t->at, (size_t)t->count, c->diags);
}

/* The plan of a run folder, stored or compiled again. */
static sn_code plan_of(cli *c, const cli_rundir *r, sn_plan **out) {
  if (r->compiled) {
    *out = r->compiled->plan;
    return SN_OK;
  }
  return sn_plan_read(c->arena, c->diags, "plan", r->parts.part[SN_PAYLOAD_PLAN].data,
                      r->parts.part[SN_PAYLOAD_PLAN].bytes, out);
}

typedef struct folder_job {
  cli *c;
  const char *path;
  const cli_rundir *r;
} folder_job;

static sn_code compile_folder(void *user, const char *level, sn_plan **out) {
  const folder_job *f = user;
  return cli_rundir_level(f->c, f->path, f->r, level, out);
}

/* Of the wanted levels; the plan of this machine alone where none is named. */
static sn_code folder_plans(cli *c, const char *path, const cli_rundir *r, cli_levels *l) {
  folder_job f = {c, path, r};
  sn_plan *p;
  SN_TRY(plan_of(c, r, &p));
  if (l->count) return cli_levels_make(c, l, p, compile_folder, &f);
  *l = cli_levels_single(p);
  return SN_OK;
}

static sn_code build_executable(cli *c, const char *path, cli_levels *l) {
  cli_rundir r;
  char *program;
  unsigned char *plans;
  size_t bytes, plan_bytes;
  const char *runner = cli_tool(c, "sinter-run");
  SN_TRY(cli_rundir_read(c, path, &r));
  if (r.compiled && !sn_plan_is_native(r.compiled->plan))
    return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0}, "--emit exe: target %s has no native code",
                   r.compiled->target.name);
  SN_TRY(folder_plans(c, path, &r, l));
  SN_TRY(cli_levels_write(c, l, &plans, &plan_bytes));
  r.parts.part[SN_PAYLOAD_PLAN].data = plans;
  r.parts.part[SN_PAYLOAD_PLAN].bytes = plan_bytes;
  if (!runner) return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){0}, "libexec/sinter/sinter-run was not found");
  SN_TRY(cli_read_file(c, runner, (size_t)1 << 30, &program, &bytes));
  return sn_payload_write(output_path(c), program, bytes, &r.parts, c->diags);
}

/* The header, which all levels have in common: it counts on the order of symbols, inputs and outputs. */
static sn_code header_of(cli *c, const cli_levels *l, const char *name, sn_text *out) {
  sn_object_header(out, name, l->at[0].plan);
  for (int i = 1; i < l->count; i++) {
    sn_text other = sn_text_begin(c->arena);
    sn_object_header(&other, name, l->at[i].plan);
    if (strcmp(other.at, out->at) != 0)
      return sn_fail(c->diags, SN_ERR_FAIL, (sn_loc){0}, "levels %s and %s have other inputs, outputs or dims",
                     l->at[0].name, l->at[i].name);
  }
  return SN_OK;
}

/* X.o and X.h of plans. */
static sn_code write_object(cli *c, const cli_levels *l) {
  const char *out = output_path(c), *slash = strrchr(out, '/'),
             *name = sn_object_identifier(c->arena, slash ? slash + 1 : out);
  unsigned char *plans, *object;
  char *runtime;
  size_t plan_bytes, object_bytes, runtime_bytes;
  sn_text header = sn_text_begin(c->arena);
  SN_TRY(header_of(c, l, name, &header));
  SN_TRY(cli_levels_write(c, l, &plans, &plan_bytes));
  const char *rt = cli_tool(c, "sinter-rt.o");
  if (!rt) return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){0}, "libexec/sinter/sinter-rt.o was not found");
  SN_TRY(cli_read_file(c, rt, (size_t)1 << 30, &runtime, &runtime_bytes));
  SN_TRY(sn_object_write(c->arena, c->diags, name, runtime, runtime_bytes, plans, plan_bytes, &object, &object_bytes));
  SN_TRY(sn_file_write_all(sn_arena_printf(c->arena, "%s.o", out), object, object_bytes, c->diags));
  return sn_file_write_all(sn_arena_printf(c->arena, "%s.h", out), header.at, (size_t)header.count, c->diags);
}

static sn_code write_plans(cli *c, const cli_levels *l) {
  unsigned char *data;
  size_t bytes;
  SN_TRY(cli_levels_write(c, l, &data, &bytes));
  return sn_file_write_all(output_path(c), data, bytes, c->diags);
}

static sn_code emit_plans(cli *c, const char *kind, const cli_levels *l) {
  return strcmp(kind, "obj") ? write_plans(c, l) : write_object(c, l);
}

static sn_code build_folder(cli *c, const char *kind, const char *path, cli_levels *l) {
  cli_rundir r;
  if (!strcmp(kind, "exe")) return build_executable(c, path, l);
  SN_TRY(cli_rundir_read(c, path, &r));
  if (!strcmp(kind, "obj") || !strcmp(kind, "plan")) {
    SN_TRY(folder_plans(c, path, &r, l));
    return emit_plans(c, kind, l);
  }
  cli_source s;
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(cli_load(c, sn_arena_printf(c->arena, "%s/graph.sn", path), NULL, 0, NULL, &s));
  if (!strcmp(kind, "graph"))
    sn_module_print(&t, s.module, (sn_print_opt){.locations = true});
  else
    SN_TRY(cli_emit_text(c, &s, kind, &t));
  return write_text(c, &t);
}

/* Compiling consumes a module: each level has its own, read from the text. */
typedef struct source_job {
  cli *c;
  const cli_source *s;
  sn_text text;
} source_job;

static sn_code compile_source(void *user, const char *level, sn_plan **out) {
  const source_job *j = user;
  sn_module *m;
  sn_compiled k;
  sn_compile_opt opt = cli_compile_opt(j->c, j->s);
  opt.isa = level, opt.exact = true;
  opt.plan_only = !cli_debugs(&j->c->log, CLI_DEBUG_PASSES);
  SN_TRY(sn_module_parse(j->c->arena, j->c->diags, j->s->path, j->text.at, (size_t)j->text.count, &m));
  SN_TRY(cli_compile(j->c, m, &opt, &k));
  *out = k.plan;
  return SN_OK;
}

static sn_code source_plans(cli *c, const cli_source *s, cli_levels *l) {
  sn_compiled k;
  source_job j = {c, s, sn_text_begin(c->arena)};
  if (l->count) {
    sn_module_print(&j.text, s->module, (sn_print_opt){.locations = true});
    return cli_levels_make(c, l, NULL, compile_source, &j);
  }
  sn_compile_opt opt = cli_compile_opt(c, s);
  opt.plan_only = !cli_debugs(&c->log, CLI_DEBUG_PASSES);
  SN_TRY(cli_compile(c, s->module, &opt, &k));
  *l = cli_levels_single(k.plan);
  return SN_OK;
}

static sn_code build_model(cli *c, const char *kind, const char *path, cli_levels *l) {
  cli_source s;
  sn_text t = sn_text_begin(c->arena);
  const cli_tune_model model = cli_tune_model_of(c, path);
  SN_TRY(cli_tune_first(c, &model));
  SN_TRY(cli_load(c, path, cli_get(c, CLI_GRAPH, NULL), c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  if (!strcmp(kind, "graph")) {
    sn_module_print(&t, s.module, (sn_print_opt){.locations = true});
    return write_text(c, &t);
  }
  if (strcmp(kind, "obj") && strcmp(kind, "plan")) {
    SN_TRY(cli_emit_text(c, &s, kind, &t));
    return write_text(c, &t);
  }
  SN_TRY(source_plans(c, &s, l));
  return emit_plans(c, kind, l);
}

/* Before anything is compiled. */
static sn_code check_output(cli *c, const char *kind) {
  const char *out = output_path(c);
  if (strcmp(kind, "obj")) return sn_file_check(out, c->diags);
  SN_TRY(sn_file_check(sn_arena_printf(c->arena, "%s.o", out), c->diags));
  return sn_file_check(sn_arena_printf(c->arena, "%s.h", out), c->diags);
}

/* What is built for other machines, or before kernels are chosen, has the usual ones. */
static sn_code check_tune(cli *c, const char *kind, bool folder, const cli_levels *l) {
  if (folder) return cli_tune_refuse(c, "a run folder is packed, not tuned: build --emit plan of the model can be");
  if (!strcmp(kind, "graph")) return cli_tune_refuse(c, "--emit graph has no kernels yet: give --emit plan");
  if (l->count)
    return cli_tune_refuse(c, "code for several levels has its usual kernels: give --levels native as well");
  return SN_OK;
}

sn_code cli_build(cli *c) {
  const char *path, *kind = cli_get(c, CLI_EMIT, "exe");
  static const char *const kinds[] = {"exe", "obj", "plan", "llvm", "asm", "spirv", "kernel", "graph"};
  struct stat st;
  bool known = false;
  cli_levels levels;
  SN_TRY(cli_word(c, "MODEL.c or DIR", &path));
  if (!output_path(c)) return cli_usage_error(c, "sinter build needs -o OUT");
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) known |= !strcmp(kind, kinds[i]);
  if (!known) return cli_usage_error(c, "--emit %s: exe, obj, plan, llvm, asm, spirv, kernel or graph", kind);
  bool folder = !stat(path, &st) && S_ISDIR(st.st_mode);
  if (!folder && !strcmp(kind, "exe"))
    return cli_usage_error(
        c, "--emit exe packs a trained model: give the folder that `sinter train --out DIR` wrote, found %s", path);
  SN_TRY(cli_levels_wanted(c, kind, &levels));
  SN_TRY(check_tune(c, kind, folder, &levels));
  SN_TRY(check_output(c, kind));
  return folder ? build_folder(c, kind, path, &levels) : build_model(c, kind, path, &levels);
}
