/* The driver: module -> passes -> kernels -> code (in parallel, through the cache) -> plan. */
#include "backends/compile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/cache.h"
#include "backends/calibrate.h"
#include "backends/choose.h"
#include "backends/edited.h"
#include "backends/ref.h"
#include "backends/spirv/spirv_backend.h"
#include "backends/whole.h"
#include "ir/ref/kinterp.h"
#include "passes/lower/limits.h"
#include "ir/base/cpu.h"
#include "runtime/vulkan/vulkan.h"

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- target ----------------------------------------------------------------------------------- */

/* The position of its level; 0 for other processors. */
static int level_of(const sn_target *t) {
  sn_target level;
  for (int i = 0; sn_target_level(i, &level); i++)
    if (!strcmp(level.features, t->features)) return i;
  return 0;
}

/* The host as one of a lower level. */
static void lower_to(int level, sn_target *t) {
  sn_target lower;
  (void)sn_target_level(level, &lower);
  lower.threads = t->threads;
  lower.l1_bytes = t->l1_bytes, lower.l2_bytes = t->l2_bytes, lower.l3_bytes = t->l3_bytes;
  *t = lower;
}

static sn_code cap_isa(const sn_compile_opt *opt, sn_diags *diags, sn_target *t) {
  sn_target generic;
  int level = sn_target_find_level(opt->isa, &generic);
  if (level < 0)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0},
                   "unknown feature level %s: baseline, avx2, avx512, avx512bf16 or amx", opt->isa);
  if (opt->exact)
    *t = generic;
  else if (level_of(t) > level)
    lower_to(level, t);
  return SN_OK;
}

static sn_code cpu_target(const sn_compile_opt *opt, sn_diags *diags, sn_target *t, const sn_backend **backend) {
#if SN_HAVE_LLVM
  *backend = sn_backend_llvm();
  SN_TRY((*backend)->describe(t, diags));
  SN_TRY(sn_cpu_check(diags));
  while (level_of(t) > 0 && !sn_cpu_offers(t->features)) lower_to(level_of(t) - 1, t); /* as the runtime sees it */
  return opt->isa ? cap_isa(opt, diags, t) : SN_OK;
#else
  (void)opt, (void)t, (void)backend, (void)cap_isa;
  return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0},
                 "target cpu: this build has no code generator (LLVM was not found when it was configured); use "
                 "--target ref or template");
#endif
}

/* The first product of two factors of a type with such sums that the device's cooperative matrices offer. */
static sn_gpu_matrix matrix_of(const sn_vulkan_facts *f, const char *type, const char *sum, bool is_there) {
  for (int i = 0; is_there && i < f->matrix_count; i++) {
    const sn_vulkan_matrix *m = &f->matrix[i];
    if (!strcmp(m->a, type) && !strcmp(m->b, type) && !strcmp(m->c, sum) && !strcmp(m->r, sum))
      return (sn_gpu_matrix){m->m, m->n, m->k};
  }
  return (sn_gpu_matrix){0};
}

sn_gpu sn_vulkan_gpu(const sn_vulkan_facts *f) {
  bool matrices = f->shuffle && f->size_control && f->full_subgroups && f->memory_model && f->int16;
  return (sn_gpu){.subgroup = f->shuffle ? (int)f->subgroup : 0,
                  .subgroups = f->subgroup * f->subgroups < f->invocations ? (int)f->subgroups : 0,
                  .shared_bytes = (int)f->shared,
                  .invocations = (int)f->invocations,
                  .no_int64 = !f->int64,
                  .float64 = f->float64,
                  .storage8 = f->storage8,
                  .storage16 = f->storage16,
                  .f16 = matrix_of(f, "f16", "f32", matrices && f->float16),
                  .bf16 = matrix_of(f, "bf16", "f32", matrices && f->bf16),
                  .i8 = matrix_of(f, "i8", "i32", matrices && f->int8),
                  .keeps_nan = f->preserve32,
                  .keeps_nan64 = f->preserve64,
                  .idle_loads = !f->masked_loads};
}

/* The device of this machine that is chosen, or one that is described: "subgroup=32,shared=49152,16". */
static sn_code vulkan_target(const sn_compile_opt *opt, sn_diags *diags, sn_target *t) {
  sn_gpu gpu = {0};
  if (opt->isa) {
    SN_TRY(sn_gpu_read(opt->isa, diags, &gpu));
  } else {
    sn_vulkan_facts *f = calloc(1, sizeof *f);
    sn_code code = f ? sn_vulkan_facts_get(diags, f) : SN_ERR_LIMIT;
    if (!code) gpu = sn_vulkan_gpu(f);
    free(f);
    SN_TRY(code);
  }
  *t = sn_target_vulkan(&gpu);
  t->debug_info = opt->debug_info;
  return SN_OK;
}

sn_code sn_compile_target(const sn_compile_opt *opt, sn_diags *diags, sn_target *t, const sn_backend **backend) {
  const char *name = opt->target ? opt->target : "cpu";
  *backend = opt->backend;
  if (opt->debug_info && (opt->backend || strcmp(name, "vulkan")))
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "names and lines in code are for target vulkan");
  if (opt->backend) return opt->backend->describe(t, diags);
  if (!strcmp(name, "cpu")) return cpu_target(opt, diags, t, backend);
  if (!strcmp(name, "template")) {
    *backend = sn_backend_template();
    return (*backend)->describe(t, diags);
  }
  if (!strcmp(name, "vulkan")) {
    *backend = sn_backend_spirv();
    return vulkan_target(opt, diags, t);
  }
  *t = sn_target_cpu(SN_ISA_BASELINE);
  snprintf(t->name, sizeof t->name, "%s", name);
  if (!strcmp(name, "ref")) return SN_OK;
  return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "unknown target %s: cpu, vulkan, template or ref", name);
}

/* ---- code generation ---------------------------------------------------------------------------- */

typedef struct jobs {
  const sn_target *target;
  const sn_backend *backend;
  const sn_cache *cache;
  sn_kernel **kernel;
  sn_plan *plan;
  sn_arena **arena; /* per job: its blob */
  sn_diags **diags; /* per job */
  sn_code *code;    /* per job */
  bool *hit;        /* per job */
  int count, next, done;
  const sn_compile_opt *opt;
  pthread_mutex_t lock;
} jobs;

static void cache_key(const jobs *j, const sn_kernel *k, sn_text *key) {
  sn_text_add(key, "%s %s\n%s %s\n", j->backend->name, j->backend->version, j->target->name, j->target->features);
  sn_kernel_print(key, k);
  for (sn_kv v = 1; v < k->ins_count && j->target->debug_info; v++)
    sn_text_add(key, "%s:%d\n", sn_k_loc(k, v).file ? sn_k_loc(k, v).file : "", sn_k_loc(k, v).line);
}

typedef struct job {
  jobs *all;
  int i;
} job;

static int run_job(void *arg) {
  job *x = arg;
  jobs *j = x->all;
  sn_arena *arena = j->arena[x->i];
  sn_text key = sn_text_begin(arena);
  sn_code_blob *blob = &j->plan->code[x->i];
  const char *why = NULL;
  cache_key(j, j->kernel[x->i], &key);
  j->hit[x->i] = j->cache && sn_cache_get(j->cache, key.at, (size_t)key.count, arena, blob);
  if (j->hit[x->i]) return SN_OK;
  if (!j->backend->supports(j->target, j->kernel[x->i], arena, &why))
    return sn_fail(j->diags[x->i], SN_ERR_DEVICE, j->kernel[x->i]->loc, "target %s cannot run kernel %s: %s",
                   j->target->name, j->kernel[x->i]->name, why ? why : "no emission rule");
  SN_TRY(j->backend->emit(j->target, j->kernel[x->i], arena, j->diags[x->i], blob));
  if (j->cache) sn_cache_put(j->cache, key.at, (size_t)key.count, blob);
  return SN_OK;
}

static void *worker(void *arg) {
  jobs *j = arg;
  for (;;) {
    pthread_mutex_lock(&j->lock);
    int i = j->next < j->count ? j->next++ : -1;
    pthread_mutex_unlock(&j->lock);
    if (i < 0) return NULL;
    job x = {j, i};
    const char *name = j->plan->code[i].name;
    j->code[i] = (sn_code)sn_protect(run_job, &x);
    j->plan->code[i].name = name;
    pthread_mutex_lock(&j->lock);
    j->done++;
    if (j->opt->on_kernel) j->opt->on_kernel(j->opt->kernel_user, name, j->hit[i], j->done, j->count);
    pthread_mutex_unlock(&j->lock);
  }
}

static void run_workers(jobs *j, int threads) {
  pthread_t thread[64];
  int started = 0;
  if (threads <= 0) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (threads > 64) threads = 64;
  while (started < threads - 1 && started < j->count - 1 && !pthread_create(&thread[started], NULL, worker, j))
    started++;
  worker(j);
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

/* Copies a job's blob into the plan's arena; its first diagnostic into the caller's list. */
static void collect(jobs *j, int i, sn_arena *arena) {
  sn_code_blob *b = &j->plan->code[i];
  if (b->bytes) b->bytes = sn_arena_copy(arena, b->bytes, (size_t)b->byte_count);
  b->features = b->features ? sn_arena_strdup(arena, b->features) : "";
}

static sn_code first_failure(const jobs *j, sn_diags *diags) {
  for (int i = 0; i < j->count; i++) {
    if (!j->code[i]) continue;
    const sn_diags *d = j->diags[i];
    if (!d->count)
      return sn_fail(diags, j->code[i], j->kernel[i]->loc, "kernel %s: %s", j->kernel[i]->name,
                     j->code[i] == SN_ERR_LIMIT ? "out of memory" : "code generation failed");
    (void)sn_fail(diags, j->code[i], d->at[0].loc, "%s", d->at[0].message);
    if (d->at[0].expected) sn_fail_expected(diags, "%s", d->at[0].expected);
    if (d->at[0].found) sn_fail_found(diags, "%s", d->at[0].found);
    return j->code[i];
  }
  return SN_OK;
}

static sn_code generate(sn_compiled *c, const sn_compile_opt *opt, sn_diags *diags) {
  int n = c->kernel_count;
  const char *why;
  jobs j = {.target = &c->target,
            .backend = c->backend,
            .cache = sn_cache_open(c->arena, opt->cache_dir, &why),
            .kernel = c->kernel,
            .plan = c->plan,
            .count = n,
            .opt = opt};
  j.arena = SN_ARRAY(c->arena, n + 1, sn_arena *);
  j.diags = SN_ARRAY(c->arena, n + 1, sn_diags *);
  j.code = SN_ARRAY(c->arena, n + 1, sn_code);
  j.hit = SN_ARRAY(c->arena, n + 1, bool);
  bool ready = true;
  for (int i = 0; i < n; i++) {
    j.arena[i] = sn_arena_scratch();
    j.diags[i] = SN_NEW(c->arena, sn_diags);
    j.diags[i]->arena = sn_arena_scratch();
    ready &= j.arena[i] && j.diags[i]->arena;
  }
  pthread_mutex_init(&j.lock, NULL);
  if (ready) run_workers(&j, opt->threads);
  pthread_mutex_destroy(&j.lock);
  for (int i = 0; i < n && ready; i++) {
    collect(&j, i, c->arena);
    c->cache_hits += j.hit[i];
    c->cache_misses += !j.hit[i];
  }
  sn_code code = ready ? first_failure(&j, diags) : sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  for (int i = 0; i < n; i++) sn_arena_destroy(j.arena[i]), sn_arena_destroy(j.diags[i]->arena);
  return code;
}

/* ---- driver ---------------------------------------------------------------------------------------- */

/* A module that shares types and names, with the graphs as they are now: later passes replace functions of `m` only. */
static sn_module *snapshot(const sn_module *m, sn_arena *arena) {
  sn_module *copy = SN_NEW(arena, sn_module);
  *copy = *m;
  copy->func = SN_ARRAY(arena, m->func_count + 1, sn_func *);
  copy->func_capacity = m->func_count + 1;
  memcpy(copy->func, m->func, (size_t)m->func_count * sizeof *m->func);
  return copy;
}

typedef struct watch {
  const sn_compile_opt *opt;
  sn_compiled *c;
  sn_chooser *chooser;
} watch;

static void after_pass(void *user, const char *pass, const sn_module *m, double ms) {
  watch *w = user;
  w->c->pass_ms += ms;
  bool last = !w->c->backend && !strcmp(pass, "quantize"); /* the interpreter runs what the pass made */
  if (!strcmp(pass, "grad") || last) w->c->flat = snapshot(m, w->c->arena);
  if (w->opt->after) w->opt->after(w->opt->user, pass, m, ms);
}

static const char *target_text(const sn_compiled *c) {
  return sn_arena_printf(c->arena, "%s %s", c->target.name, c->target.features);
}

static const char *settings_of(const sn_compile_opt *opt) { return opt->settings ? opt->settings : ""; }

static sn_code compile_ref(sn_module *m, sn_pass_env *env, watch *w) {
  if (w->opt->kernels) SN_TRY(sn_edited_kernels(w->c, w->opt->kernels, env->diags));
  if (w->opt->plan) SN_TRY(sn_edited_plan(w->c, w->opt->plan, "", "", env->diags));
  env->precision = SN_ELEM_F32; /* it computes in f64 */
  SN_TRY(sn_pipeline_run(m, env, env->weights == SN_ELEM_I8 ? "quantize" : "grad", after_pass, w));
  return sn_ref_plan(m, w->c->arena, &w->c->plan);
}

/* Kernel text of a loaded backend is what runs, not the kernel that it was made from. */
static sn_code read_texts(sn_compiled *c, sn_diags *diags) {
  for (int i = 0; i < c->kernel_count; i++) {
    const sn_code_blob *b = &c->plan->code[i];
    if (b->kind != SN_CODE_KERNEL_TEXT) continue;
    SN_TRY(sn_kernel_parse(c->arena, diags, b->name, (const char *)b->bytes, (size_t)b->byte_count, &c->kernel[i]));
    SN_TRY(sn_kernel_verify(c->kernel[i], diags));
  }
  return SN_OK;
}

/* The chooser of a compilation for this machine; code for another one has its usual kernels. */
static void begin_choosing(sn_compiled *c, const sn_compile_opt *opt, sn_chooser *chooser) {
  const char *why;
  *chooser = (sn_chooser){.arena = c->arena, .target = &c->target, .backend = c->backend, .forced = opt->schedule - 1};
  bool here = !opt->exact && !opt->backend && !strcmp(c->target.name, "cpu");
  if (opt->schedule < 0 || !here) return;
  const sn_cache *cache = sn_cache_open(c->arena, opt->cache_dir, &why);
  sn_limits_find(&c->target, c->backend, opt->cache_dir, c->arena, &chooser->limits);
  sn_tuned_read(cache, &c->target, c->backend, c->arena, &chooser->tuned);
  chooser->chooses = true;
}

static void end_choosing(sn_compiled *c, const sn_chooser *chooser) {
  c->choice = SN_ARRAY(c->arena, c->kernel_count + 1, const sn_choice *);
  for (int i = 0; i < chooser->count; i++) c->choice[chooser->code[i]] = &chooser->at[i];
}

static sn_code compile_device(sn_module *m, sn_pass_env *env, watch *w) {
  sn_compiled *c = w->c;
  SN_TRY(sn_pipeline_run(m, env, NULL, after_pass, w));
  double start = now_ms();
  sn_lowered lowered;
  SN_TRY(sn_lower(m, env, &lowered));
  c->plan = lowered.plan;
  c->kernel = lowered.kernel;
  c->kernel_count = lowered.kernel_count;
  end_choosing(c, w->chooser);
  c->edited = SN_ARRAY(c->arena, c->kernel_count + 1, bool);
  c->fused = m;
  c->mark = lowered.mark;
  c->mark_count = lowered.mark_count;
  c->lower_ms = now_ms() - start;
  if (w->opt->kernels) SN_TRY(sn_edited_kernels(c, w->opt->kernels, env->diags));
  if (w->opt->plan) SN_TRY(sn_edited_plan(c, w->opt->plan, target_text(c), settings_of(w->opt), env->diags));
  start = now_ms();
  SN_TRY(generate(c, w->opt, env->diags));
  if (w->opt->backend) SN_TRY(read_texts(c, env->diags));
  c->code_ms = now_ms() - start;
  return SN_OK;
}

sn_code sn_compile_precision(const char *name, sn_diags *diags, sn_elem *out) {
  *out = name && !strcmp(name, "bf16") ? SN_ELEM_BF16 : SN_ELEM_F32;
  if (!name || *out == SN_ELEM_BF16 || !strcmp(name, "f32")) return SN_OK;
  return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "unknown precision %s: f32 or bf16", name);
}

sn_code sn_compile_quantize(const char *name, sn_diags *diags, sn_elem *out) {
  *out = name && !strcmp(name, "int8") ? SN_ELEM_I8 : SN_ELEM_NONE;
  if (!name || *out == SN_ELEM_I8 || !strcmp(name, "none")) return SN_OK;
  return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "unknown quantization %s: int8 or none", name);
}

sn_code sn_compile_vocab(const char *name, sn_diags *diags, sn_vocab *out) {
  static const char *const names[] = {
      [SN_VOCAB_AUTO] = "auto", [SN_VOCAB_WHOLE] = "whole", [SN_VOCAB_PARTS] = "parts", [SN_VOCAB_FUSED] = "fused"};
  *out = SN_VOCAB_AUTO;
  for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
    *out = (sn_vocab)i;
    if (!strcmp(name, names[i])) return SN_OK;
  }
  if (!name) return SN_OK;
  return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "unknown form %s of losses: auto, whole, parts or fused", name);
}

sn_code sn_compile_scan(const char *name, sn_diags *diags, sn_pass_env *env) {
  static const char *const names[] = {[SN_SCAN_AUTO] = "auto",
                                      [SN_SCAN_SEQUENTIAL] = "sequential",
                                      [SN_SCAN_CHUNKED] = "chunked",
                                      [SN_SCAN_ASSOCIATIVE] = "associative"};
  const char *colon = name ? strchr(name, ':') : NULL;
  size_t bytes = colon ? (size_t)(colon - name) : name ? strlen(name) : 0;
  char *end = NULL;
  long steps = colon ? strtol(colon + 1, &end, 10) : 0;
  env->scan = SN_SCAN_AUTO, env->scan_chunk = 0;
  for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
    if (bytes != strlen(names[i]) || memcmp(name, names[i], bytes)) continue;
    if (colon && (i == SN_SCAN_AUTO || end == colon + 1 || *end || steps < 1 || steps > 1024)) break;
    env->scan = (sn_scan_form)i, env->scan_chunk = (int)steps;
    return SN_OK;
  }
  if (!name) return SN_OK;
  (void)sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "unknown form %s of recurrences", name);
  sn_fail_expected(diags, "auto, sequential, associative or chunked; all but auto with :N, 1 to 1024 steps a chunk");
  return SN_ERR_USAGE;
}

sn_code sn_compile(sn_module *m, const sn_compile_opt *opt, sn_arena *arena, sn_diags *diags, sn_compiled *out) {
  sn_compiled *c = out;
  *c = (sn_compiled){.arena = arena, .disabled = opt->disabled};
  SN_TRY(sn_compile_target(opt, diags, &c->target, &c->backend));
  if (opt->interpret && c->backend) c->backend = sn_backend_template();
  sn_pass_env env = {.arena = arena,
                     .diags = diags,
                     .target = &c->target,
                     .disabled = opt->disabled,
                     .fuse = opt->fuse,
                     .hits = opt->hits};
  SN_TRY(sn_compile_precision(opt->precision, diags, &env.precision));
  SN_TRY(sn_compile_quantize(opt->quantize, diags, &env.weights));
  SN_TRY(sn_compile_vocab(opt->vocab, diags, &env.vocab));
  SN_TRY(sn_compile_scan(opt->scan, diags, &env));
  sn_whole whole;
  sn_chooser chooser;
  begin_choosing(c, opt, &chooser);
  if (sn_whole_find(m, opt, c, &chooser, &whole)) return SN_OK;
  if (chooser.chooses) env.choose = sn_choose, env.chose = sn_chose, env.choose_user = &chooser;
  watch w = {opt, c, &chooser};
  SN_TRY(c->backend ? compile_device(m, &env, &w) : compile_ref(m, &env, &w));
  c->plan->model = opt->model ? opt->model : "";
  c->plan->settings = settings_of(opt);
  c->plan->target = target_text(c);
  if (c->flat) sn_plan_find_limits(c->flat, c->plan);
  SN_TRY(sn_plan_verify(c->plan, diags));
  SN_TRY(sn_plan_check_hazards(c->plan, diags));
  sn_whole_keep(&whole, c);
  return SN_OK;
}

/* ---- hooks for the runtime ----------------------------------------------------------------------------- */

static int kernel_of(const sn_compiled *c, const sn_code_blob *blob) {
  ptrdiff_t i = blob - c->plan->code;
  return i >= 0 && i < c->kernel_count ? (int)i : -1;
}

/* Kernel text blobs are run by the kernel interpreter; blobs of other plans are parsed. */
static sn_code run_kernel_text(void *user, const sn_code_blob *blob, const void *args, int64_t lo, int64_t hi,
                               sn_diags *diags) {
  sn_compiled *c = user;
  int i = kernel_of(c, blob);
  int64_t elements[SN_K_PARAMS]; /* the runtime knows them, the ABI does not carry them */
  for (int k = 0; k < SN_K_PARAMS; k++) elements[k] = INT64_MAX >> 8;
  sn_kinterp in = {.diags = diags, .args = args, .elements = elements, .round = true, .lo = lo, .hi = hi};
  if (i >= 0) return sn_kinterp_run(&in, c->kernel[i]);
  sn_arena *arena = sn_arena_scratch();
  sn_kernel *k;
  sn_code code = sn_kernel_parse(arena, diags, blob->name, (const char *)blob->bytes, (size_t)blob->byte_count, &k);
  if (!code) code = sn_kinterp_run(&in, k);
  sn_arena_destroy(arena);
  return code;
}

sn_runtime_opt sn_compile_runtime_opt(sn_compiled *c, int threads) {
  return (sn_runtime_opt){.threads = threads, .host = sn_ref_host, .kernel_text = run_kernel_text, .user = c};
}

sn_code sn_compile_blame(sn_compiled *c, const char *graph, const int64_t *dims, void *const *slot_data,
                         sn_diags *diags) {
  sn_func *f = sn_module_find(c->flat, graph);
  sn_arena *arena = sn_arena_scratch();
  if (!f || !arena) {
    sn_arena_destroy(arena);
    return SN_OK;
  }
  sn_interp in = {.arena = arena, .diags = diags, .no_bounds = true, .find_nonfinite = true};
  sn_tensor **values;
  sn_code code = sn_ref_bind(c->plan, sn_plan_find_graph(c->plan, graph), f, dims, slot_data, arena, &in);
  if (!code) code = sn_interp_run(&in, f, &values);
  sn_arena_destroy(arena);
  return code;
}
