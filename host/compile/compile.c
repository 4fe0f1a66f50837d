/* Model -> program: the half of the interface that has the compiler inside. */
#include "host/inside.h"

#include <string.h>

#include "backends/compile.h"
#include "backends/gradients.h"
#include "backends/plugin.h"
#include "frontend/build.h"
#include "frontend/sinter.h"

/* ---- models ------------------------------------------------------------------------------------------------------ */

typedef struct loading {
  sn_ctx *c;
  const char *path;
  sn_model_file *file;
} loading;

static void unload(void *file) { sn_model_unload(file); }

static int load(void *arg) {
  loading *x = arg;
  const char *dir = x->c->opt.cache_dir;
  sn_owned *owned = SN_NEW(x->c->arena, sn_owned);
  SN_TRY(sn_model_load(x->path, dir && *dir ? dir : NULL, x->c->diags, &x->file));
  *owned = (sn_owned){x->c->owned, unload, x->file};
  x->c->owned = owned;
  return SN_OK;
}

sn_code sn_v1_model_load(sn_ctx *c, const char *path, const sn_model **out) {
  loading x = {c, path, NULL};
  sn_code code = sn_host_call(c, load, &x);
  if (!code) *out = sn_model_of(x.file);
  return code;
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

typedef struct job {
  sn_ctx *c;
  const sn_model *model;
  size_t opt_bytes;
  const void *given;
  sn_v1_compile_opt opt;
  sn_program *p;
} job;

static void release(void *backend) { sn_backend_unload(backend); }

/* "layers=4 heads=2" -> its words */
static int split(sn_arena *arena, const char *text, const char *const **out) {
  int count = 0, capacity = 0;
  const char **at = NULL;
  for (; text && *text;) {
    int length = (int)strcspn(text, " ,");
    SN_GROW(arena, at, count, capacity);
    if (length) at[count++] = sn_arena_printf(arena, "%.*s", length, text);
    text += length + (text[length] != 0);
  }
  *out = at;
  return count;
}

static sn_code build(job *x, sn_module **module, const char **settings) {
  sn_arena *arena = x->p->arena;
  sn_model_opt o = {.graphs = x->opt.graphs ? sn_arena_strdup(arena, x->opt.graphs) : NULL, .real = SN_ELEM_F32};
  if (x->opt.real && !strcmp(x->opt.real, "f64"))
    o.real = SN_ELEM_F64;
  else if (x->opt.real && strcmp(x->opt.real, "f32"))
    return sn_fail(x->c->diags, SN_ERR_USAGE, (sn_loc){0}, "real %s: a model computes in f32 or f64", x->opt.real);
  o.trainable = x->opt.trainable;
  o.set_count = split(arena, x->opt.set, &o.set);
  SN_TRY(sn_model_settings(x->model, &o, arena, x->c->diags, settings));
  SN_TRY(sn_model_build(x->model, &o, arena, x->c->diags, module));
  return x->opt.grad ? sn_gradients_of(*module, x->opt.grad, arena, x->c->diags) : SN_OK;
}

static sn_code load_backend(job *x, sn_compile_opt *o) {
  sn_loaded_backend *loaded;
  if (!x->opt.backend) return SN_OK;
  if (x->opt.target)
    return sn_fail(x->c->diags, SN_ERR_USAGE, (sn_loc){0}, "a target and a backend are given: one of them decides");
  SN_TRY(sn_backend_load(x->opt.backend, x->c->diags, &loaded));
  x->p->release = release;
  x->p->backend = loaded;
  o->backend = sn_backend_of(loaded);
  return SN_OK;
}

static int compile(void *arg) {
  job *x = arg;
  sn_module *module;
  const char *settings;
  SN_TRY(sn_host_options(x->c->diags, &x->opt, sizeof x->opt, x->given, x->opt_bytes));
  x->p = sn_host_program(x->c);
  if (!x->p) return SN_ERR_LIMIT;
  SN_TRY(build(x, &module, &settings));
  sn_compile_opt o = {.target = x->opt.target,
                      .isa = x->opt.isa,
                      .disabled = x->opt.disable,
                      .fuse = x->opt.fuse,
                      .vocab = x->opt.vocab,
                      .model = x->model->name,
                      .settings = settings,
                      .cache_dir = x->c->opt.cache_dir,
                      .threads = x->c->opt.threads};
  SN_TRY(load_backend(x, &o));
  sn_compiled *c = SN_NEW(x->p->arena, sn_compiled);
  SN_TRY(sn_compile(module, &o, x->p->arena, x->c->diags, c));
  sn_host_log(x->c, "%s: %d kernels (%d from the cache) for %s, %.0f ms", x->model->name, c->kernel_count,
              c->cache_hits, c->target.name, c->pass_ms + c->lower_ms + c->code_ms);
  sn_runtime_opt ro = sn_compile_runtime_opt(c, x->c->opt.threads);
  ro.memory_limit = x->c->opt.memory_limit;
  return sn_host_program_start(x->p, c->plan, &ro);
}

sn_code SN_API(compile)(size_t opt_bytes, sn_ctx *c, const sn_model *model, const sn_v1_compile_opt *opt,
                        sn_program **out) {
  job x = {.c = c, .model = model, .opt_bytes = opt_bytes, .given = opt};
  sn_code code = sn_host_call(c, compile, &x);
  if (code)
    sn_program_destroy(x.p);
  else
    *out = x.p;
  return code;
}
