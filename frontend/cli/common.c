/* What the subcommands share: loading a model or graph text, compiler options, dims, JSON text, files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/plugin.h"
#include "frontend/cli/cli.h"
#include "frontend/cli/guard.h"
#include "frontend/cli/progress.h"
#include "frontend/cli/teacher.h"
#include "frontend/sinter.h"
#include "ir/base/place.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "runtime/io/dir.h"
#include "runtime/io/file.h"

static bool ends_with(const char *s, const char *suffix) {
  size_t n = strlen(s), m = strlen(suffix);
  return n >= m && !strcmp(s + n - m, suffix);
}

static const char *stem_of(cli *c, const char *path) {
  const char *slash = strrchr(path, '/');
  char *name = sn_arena_strdup(c->arena, slash ? slash + 1 : path), *dot = strrchr(name, '.');
  if (dot && dot != name) *dot = 0;
  return name;
}

sn_code cli_print(cli *c, const sn_text *t) {
  return sn_file_print(stdout, "stdout", t->at, (size_t)t->count, c->diags);
}

sn_code cli_printf(cli *c, const char *format, ...) {
  sn_text t = sn_text_begin(c->arena);
  va_list args;
  va_start(args, format);
  sn_text_add_list(&t, format, args);
  va_end(args);
  return cli_print(c, &t);
}

void cli_hold(cli *c, void (*undo)(void *what), void *what) {
  c->held[c->held_count++] = (cli_held){undo, what}; /* before memory may run out: there is always room for one more */
  SN_GROW(c->arena, c->held, c->held_count, c->held_capacity);
}

sn_code cli_read_file(cli *c, const char *path, size_t max_bytes, char **out, size_t *out_bytes) {
  SN_TRY(sn_file_read(path, max_bytes, c->diags, out, out_bytes));
  cli_hold(c, free, *out);
  cli_debug(&c->log, CLI_DEBUG_FILES, "%s: %zu bytes", path, *out_bytes);
  return SN_OK;
}

enum { TEXT_BYTES_MAX = 1 << 30 };

static void unload(void *what) { sn_model_unload(what); }

static sn_code unreadable(cli *c, const char *path, int error) {
  sn_code code = error == ENOMEM ? SN_ERR_LIMIT : SN_ERR_INPUT;
  return sn_fail(c->diags, code, (sn_loc){0}, "%s cannot be read: %s", path, strerror(error));
}

/* A file or a pipe, to its end. */
static sn_code read_text(cli *c, const char *path, char **out, size_t *out_bytes) {
  FILE *f = fopen(path, "rb");
  if (!f) return unreadable(c, path, errno);
  size_t count = 0, room = 1 << 16;
  char *at = malloc(room), *more;
  for (size_t n; at && (n = fread(at + count, 1, room - count, f)) > 0;) {
    count += n;
    if (count < room) continue;
    if (!(more = count > TEXT_BYTES_MAX ? NULL : realloc(at, room *= 2))) free(at);
    at = more;
  }
  int error = count > TEXT_BYTES_MAX ? EFBIG : !at ? ENOMEM : ferror(f) ? EIO : 0;
  fclose(f);
  if (at) cli_hold(c, free, at);
  if (error) return unreadable(c, path, error);
  *out = at;
  *out_bytes = count;
  return SN_OK;
}

/* A graph without outputs and updates computes nothing: told at its last line. */
static sn_code check_results(cli *c, const char *path, const sn_func *f) {
  if (f->kind != SN_FUNC_GRAPH || f->output_count || f->update_count) return SN_OK;
  const sn_node *n = f->node_count ? f->node[f->node_count - 1] : NULL;
  (void)sn_fail(c->diags, SN_ERR_INPUT, n && n->origin.loc_count ? n->origin.locs[0] : (sn_loc){.file = path},
                "graph %s computes nothing", f->name);
  sn_fail_expected(c->diags, "an output: output \"name\" = %%x, or a state that is updated");
  sn_fail_found(c->diags, "%d operations, no output", f->node_count);
  return SN_ERR_INPUT;
}

static sn_code load_text(cli *c, const char *path, cli_source *out) {
  char *text = NULL;
  size_t bytes = 0;
  SN_TRY(read_text(c, path, &text, &bytes));
  SN_TRY(sn_module_parse(c->arena, c->diags, path, text, bytes, &out->module));
  for (int i = 0; i < out->module->func_count; i++) {
    SN_TRY(check_results(c, path, out->module->func[i]));
    SN_TRY(sn_func_verify(out->module->func[i], c->diags));
    SN_TRY(sn_ops_check(out->module->func[i], c->diags));
  }
  out->settings = "";
  return SN_OK;
}

/* With --teacher, for the commands that look at a program: the student's with the teacher in it. */
static sn_code join_teacher(cli *c, cli_source *s) {
  cli_teacher t;
  if (!cli_has(c, CLI_TEACHER) || !strcmp(c->command, "distill")) return SN_OK;
  SN_TRY(cli_teacher_read(c, &t));
  return cli_teacher_join(c, &t, s->module, &s->module);
}

/* The graph that a command takes where none is named: the only one, else train. */
static const char *main_graph(const sn_graph *g) { return g->name && !g[1].name ? g->name : "train"; }

typedef struct model_job {
  cli *c;
  const char *path;
  sn_model_opt opt;
  cli_source *out;
} model_job;

/* Runs code of the model. */
static sn_code build_model(void *arg) {
  model_job *j = arg;
  cli *c = j->c;
  SN_TRY(sn_model_load(j->path, cli_has(c, CLI_NO_CACHE) ? "" : NULL, c->diags, &j->out->file));
  cli_hold(c, unload, j->out->file);
  const struct sn_model *model = sn_model_of(j->out->file);
  if (j->opt.graphs && !*j->opt.graphs) j->opt.graphs = main_graph(model->graphs);
  if (model->name) j->out->name = sn_arena_strdup(c->arena, model->name);
  SN_TRY(sn_model_settings(model, &j->opt, c->arena, c->diags, &j->out->settings));
  return sn_model_build(model, &j->opt, c->arena, c->diags, &j->out->module);
}

static sn_code load_model(cli *c, const char *path, const char *graphs, int set_count, const char *const *set,
                          cli_source *out) {
  if (access(path, R_OK)) return unreadable(c, path, errno);
  model_job j = {c, path, {.set_count = set_count, .set = set, .graphs = graphs, .real = SN_ELEM_F32}, out};
  j.opt.trainable = cli_get(c, CLI_TRAINABLE, NULL);
  SN_TRY(cli_guarded(path, c->diags, build_model, &j));
  return join_teacher(c, out);
}

sn_code cli_load(cli *c, const char *path, const char *graphs, int set_count, const char *const *set, cli_source *out) {
  *out = (cli_source){.path = path, .name = stem_of(c, path)};
  if (ends_with(path, ".sn")) return load_text(c, path, out);
  if (ends_with(path, ".c")) return load_model(c, path, graphs, set_count, set, out);
  return cli_usage_error(c, "%s: expected a model (.c) or a graph text (.sn); run and bench take a plan too", path);
}

bool cli_declares(const cli_source *s, const char *setting) {
  if (!s->file) return false;
  for (const sn_setting *x = sn_model_of(s->file)->settings; x->name; x++)
    if (!strcmp(x->name, setting)) return true;
  return false;
}

static void unload_backend(void *what) { sn_backend_unload(what); }

sn_code cli_use_backend(cli *c) {
  sn_loaded_backend *b;
  if (c->backend || !cli_has(c, CLI_BACKEND)) return SN_OK;
  if (cli_has(c, CLI_TARGET)) return cli_usage_error(c, "--backend and --target: one of them decides");
  SN_TRY(sn_backend_load(cli_get(c, CLI_BACKEND, NULL), c->diags, &b));
  cli_hold(c, unload_backend, b);
  c->backend = sn_backend_of(b);
  return SN_OK;
}

const char *cli_tool(cli *c, const char *name) {
  return sn_place_find(c->arena, sn_arena_printf(c->arena, "libexec/sinter/%s", name));
}

sn_code cli_check_target(cli *c) {
  sn_compile_opt o = {.target = cli_get(c, CLI_TARGET, NULL)};
  sn_target target;
  const sn_backend *backend;
  return o.target ? sn_compile_target(&o, c->diags, &target, &backend) : SN_OK;
}

sn_code cli_needs_kernels(cli *c, const char *purpose) {
  if (strcmp(cli_get(c, CLI_TARGET, "cpu"), "ref")) return SN_OK;
  return cli_usage_error(c, "--target ref: the interpreter has no kernels to %s", purpose);
}

sn_compile_opt cli_compile_opt(cli *c, const cli_source *s) {
  return (sn_compile_opt){.target = cli_get(c, CLI_TARGET, "cpu"),
                          .backend = c->backend,
                          .isa = cli_get(c, CLI_ISA, NULL),
                          .precision = s->precision ? s->precision : cli_get(c, CLI_PRECISION, NULL),
                          .quantize = cli_get(c, CLI_QUANTIZE, NULL),
                          .vocab = c->vocab ? c->vocab : cli_get(c, CLI_VOCAB, NULL),
                          .scan = cli_get(c, CLI_SCAN, NULL),
                          .disabled = cli_get(c, CLI_DISABLE, NULL),
                          .fuse = cli_get(c, CLI_FUSE, NULL),
                          .model = s->name,
                          .settings = s->settings,
                          .debug_info = cli_has(c, CLI_DEBUG_INFO),
                          .cache_dir = cli_has(c, CLI_NO_CACHE) ? "" : NULL};
}

typedef struct compiling {
  cli *c;
  cli_progress progress, passing;
  int passes; /* done */
} compiling;

static void on_kernel(void *user, const char *kernel, bool cached, int done, int count) {
  compiling *x = user;
  cli_debug(&x->c->log, CLI_DEBUG_KERNELS, "%s: %s", kernel, cached ? "from the cache" : "compiled");
  cli_progress_at(&x->progress, done, count);
}

static void after_pass(void *user, const char *pass, const sn_module *m, double ms) {
  compiling *x = user;
  int nodes = 0;
  for (int i = 0; i < m->func_count; i++) nodes += m->func[i]->node_count;
  int count = 0;
  while (sn_pipeline[count].name) count++;
  cli_progress_at(&x->passing, ++x->passes, count);
  cli_debug(&x->c->log, CLI_DEBUG_PASSES, "%-10s %9.3f ms  %4d functions %6d nodes", pass, ms, m->func_count, nodes);
}

/* Steps of each kind of a graph, its buffers, what was not fused. */
static void debug_plan(cli *c, const sn_plan *p) {
  for (int g = 0; g < p->graph_count && cli_debugs(&c->log, CLI_DEBUG_PLAN); g++) {
    const sn_plan_graph *x = &p->graph[g];
    sn_text kinds = sn_text_begin(c->arena);
    int buffers = 0, refused = 0;
    for (int i = 0; i < x->refusal_count; i++) refused += !sn_refusal_is_form(&x->refusal[i]);
    for (int i = 0; i < x->step_count; i++) {
      const char *kind = x->step[i].kind_name ? x->step[i].kind_name : "other";
      int same = 0, before = 0;
      for (int k = 0; k < x->step_count; k++)
        if (!strcmp(x->step[k].kind_name ? x->step[k].kind_name : "other", kind)) same++, before += k < i;
      if (!before) sn_text_add(&kinds, " %d %s", same, kind);
    }
    for (int i = 0; i < p->slot_count; i++) buffers += p->slot[i].role == SN_SLOT_TEMP && p->slot[i].graph == g;
    cli_debug(&c->log, CLI_DEBUG_PLAN, "%s: %d steps:%s; %d buffers; %d fusions refused", x->name, x->step_count,
              kinds.at, buffers, refused);
  }
}

bool cli_text_begins(const char *text, const char *word) {
  for (;;) {
    text += strspn(text, " \t\r\n");
    if (strncmp(text, "//", 2)) break;
    text += strcspn(text, "\n");
  }
  size_t n = strlen(word);
  return !strncmp(text, word, n) && (text[n] == ' ' || text[n] == '\t');
}

sn_code cli_stage(cli *c, cli_option o, const sn_stage_text **out) {
  const char *path = cli_get(c, o, NULL);
  char *text;
  size_t bytes;
  *out = NULL;
  if (!path) return SN_OK;
  SN_TRY(cli_read_file(c, path, (size_t)1 << 28, &text, &bytes));
  sn_stage_text *t = SN_NEW(c->arena, sn_stage_text);
  *t = (sn_stage_text){path, text, bytes};
  *out = t;
  return SN_OK;
}

/* Which kernels are not those that were lowered. */
static void say_edited(cli *c, const sn_compile_opt *opt, const sn_compiled *k) {
  sn_text names = sn_text_begin(c->arena);
  for (int i = 0; i < k->kernel_count; i++)
    if (k->edited[i]) sn_text_add(&names, "%s%s", names.count ? ", " : "", k->kernel[i]->name);
  fprintf(stderr, "sinter: %s: %s\n", opt->kernels->file,
          k->edited_count ? sn_arena_printf(c->arena, "in place of the lowered kernels: %s", names.at)
                          : "no kernel differs from the lowered ones");
}

sn_code cli_compile(cli *c, sn_module *m, sn_compile_opt *opt, sn_compiled *out) {
  SN_TRY(cli_stage(c, CLI_KERNELS, &opt->kernels));
  SN_TRY(cli_stage(c, CLI_PLAN, &opt->plan));
  if (opt->plan && !strncmp(opt->plan->text, "SNPLAN1", 8))
    return cli_usage_error(c,
                           "--plan takes a plan text, of dump --emit plan; found a plan in binary form: run it alone, "
                           "sinter run %s",
                           opt->plan->file);
  compiling x = {
      .c = c, .progress = cli_progress_begin("compile", "kernels"), .passing = cli_progress_begin("compile", "passes")};
  opt->on_kernel = on_kernel;
  opt->kernel_user = &x;
  opt->after = after_pass;
  opt->user = &x;
  sn_code code = sn_compile(m, opt, c->arena, c->diags, out);
  cli_progress_end(&x.progress, code ? 0 : out->kernel_count);
  if (code) return code;
  cli_log(&c->log, CLI_LOG_INFO,
          "compiled %d kernels, %d of them from the cache: passes %.3f s, lowering %.3f s, code %.3f s",
          out->kernel_count, out->cache_hits, out->pass_ms * 1e-3, out->lower_ms * 1e-3, out->code_ms * 1e-3);
  if (opt->kernels) say_edited(c, opt, out);
  if (opt->plan) fprintf(stderr, "sinter: %s: in place of the plan\n", opt->plan->file);
  debug_plan(c, out->plan);
  return SN_OK;
}

/* "context=64" in the settings text. */
static int64_t setting_value(const char *settings, const char *name) {
  size_t n = strlen(name);
  for (const char *p = settings; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
    if (!strncmp(p, name, n) && p[n] == '=') return atoll(p + n + 1);
  return 0;
}

static int64_t default_dim(const sn_dimx *symbol, const char *settings) {
  const char *name = sn_dimx_symbol_name(symbol);
  int64_t max = sn_dimx_max_value(symbol), context = setting_value(settings, "context");
  if (!strcmp(name, "B")) return max < 12 ? max : 12;
  if (!strcmp(name, "T") && context && context <= max) return context;
  return max;
}

sn_code cli_dims(cli *c, const sn_types *types, const char *settings, int64_t **out) {
  int count = sn_types_symbol_count(types);
  int64_t *value = SN_ARRAY(c->arena, count + 1, int64_t);
  for (int i = 0; i < count; i++) value[i] = default_dim(sn_types_symbol(types, i), settings);
  for (int i = 0; i < c->value[CLI_DIM].count; i++) {
    const char *name, *rest;
    int64_t n;
    SN_TRY(cli_pair(c, CLI_DIM, c->value[CLI_DIM].at[i], &name, &rest));
    const sn_dimx *d = sn_dimx_find_symbol(types, name);
    if (!d) return cli_usage_error(c, "--dim %s: the model has no dim of that name", name);
    if (!sn_int_in(rest, sn_dimx_min_value(d), sn_dimx_max_value(d), &n))
      return cli_usage_error(c, "--dim %s takes a whole number from %lld to %lld, found \"%s\"", name,
                             (long long)sn_dimx_min_value(d), (long long)sn_dimx_max_value(d), rest);
    value[sn_dimx_symbol_index(d)] = n;
  }
  *out = value;
  return SN_OK;
}

sn_code cli_graph(cli *c, const sn_plan *p, int *out) {
  const char *name = cli_get(c, CLI_GRAPH, p->graph_count == 1 ? p->graph[0].name : "train");
  *out = sn_plan_find_graph(p, name);
  if (*out >= 0) return SN_OK;
  sn_text list = sn_text_begin(c->arena);
  for (int i = 0; i < p->graph_count; i++) sn_text_add(&list, " %s", p->graph[i].name);
  return cli_usage_error(c, "--graph %s: no graph of that name; there are:%s", name, list.at);
}

const char *cli_human(sn_arena *arena, double x, const char *unit) {
  static const char prefix[] = " kMGT";
  int i = 0;
  for (; x >= 1000 && i < 4; i++) x /= 1000;
  bool whole = x >= 100 || x == (double)(int64_t)x;
  const char *gap = i || *unit ? " " : "";
  return sn_arena_printf(arena, "%.*f%s%.*s%s", whole ? 0 : 2, x, gap, i > 0, &prefix[i], unit);
}

const char *cli_init_file(cli *c) {
  struct stat st;
  const char *path = cli_get(c, CLI_INIT, NULL);
  return path && !stat(path, &st) && S_ISDIR(st.st_mode) ? sn_dir_of(c->arena, path).weights : path;
}

static void on_warning(void *user, const char *message) {
  const cli *c = user;
  cli_log(&c->log, CLI_LOG_WARN, "warning: %s", message);
}

sn_code cli_check_memory(cli *c, sn_runtime *r, int64_t batch, int64_t window, const char *graph, const char *other) {
  const sn_types *types = sn_runtime_plan(r)->types;
  int count = sn_types_symbol_count(types);
  int64_t *dims = SN_ARRAY(c->arena, count + 1, int64_t);
  for (int i = 0; i < count; i++) {
    const char *name = sn_dimx_symbol_name(sn_types_symbol(types, i));
    bool is_batch = !strcmp(name, "B"), is_window = !strcmp(name, "T");
    dims[i] = is_batch ? batch : is_window ? window : sn_dimx_max_value(sn_types_symbol(types, i));
  }
  const sn_planned_run runs[] = {{graph, dims}, {other, dims}};
  return sn_runtime_check_memory(r, NULL, other ? 2 : 1, runs, c->diags);
}

bool cli_fuse_losses(cli *c, sn_code code) {
  if (code != SN_ERR_LIMIT || !c->memory_limit || c->vocab || strcmp(cli_get(c, CLI_VOCAB, "auto"), "auto"))
    return false;
  if (cli_has(c, CLI_RESUME)) return false; /* the run goes on in the form that it began with */
  c->vocab = "fused";
  c->refusals = c->diags->count;
  return true;
}

/* Neither form fits: the refusal that asks for less is left. */
static void keep_lesser(cli *c) {
  sn_diags *d = c->diags;
  sn_diag *parts = &d->at[c->refusals - 1], fused = d->at[d->count - 1];
  d->count = c->refusals;
  long long least = fused.found ? atoll(fused.found) : 0, before = parts->found ? atoll(parts->found) : 0;
  if (least >= before) return;
  *parts = fused;
  sn_fail_note(d, "this is with fused losses (--vocab fused); in parts: %lld bytes", before);
}

sn_code cli_fused_losses(cli *c, sn_code code) {
  if (code == SN_ERR_LIMIT) keep_lesser(c), c->vocab = NULL;
  if (code) return code;
  c->diags->count = c->refusals - 1;
  cli_log(&c->log, CLI_LOG_WARN,
          "losses are fused with the product before them (--vocab fused): only so the plan fits --mem-limit");
  return SN_OK;
}

sn_runtime_opt cli_runtime_opt(cli *c, sn_compiled *k, int threads) {
  sn_runtime_opt o = {.threads = threads};
  if (k) o = sn_compile_runtime_opt(k, threads);
  o.memory_limit = c->memory_limit;
  o.on_warning = on_warning;
  o.warning_user = c;
  return o;
}
