/* Limits of this machine -> the cache folder.
 *
 *   1. A module of six graphs is compiled: a product, the same of bf16, elementwise work, a sweep over memory, a chain
 *      of products so small that only their number counts, and one of products that all threads share.
 *   2. Each runs on one thread until its time is up; the best round counts: what else runs here only adds time.
 *   3. The sweep runs over data of the size of each cache and of memory, the last one also on all threads.
 *   4. What a step of the last chain takes on all threads beyond its share of the work is what their meeting takes.
 *   5. Figures that contradict each other are measured again, the better one of each counts; after that, defaults. */
#include "backends/calibrate.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/cache.h"
#include "ir/base/cpu.h"
#include "ir/base/memory.h"
#include "ir/graph/text.h"
#include "ir/kernel/work.h"

enum { SIDE = 256, POINTS = 16384, CHAIN = 16, ROUNDS_NS = 20000000, PORTS = 4, LEAST_ROUNDS = 8, TRIES = 3 };
enum { LINK_ROWS = 1024, LINK_COLS = 16 }; /* more than the runtime leaves to one thread, and several instances */

static const char text_head[] =
    "sinter 1\n"
    "dims { N: 1..67108864 }\n"
    "graph @product {\n"
    "  %1 = input name \"x\" : f32[256, 256]\n"
    "  %2 = param name \"w\" init \"normal\" a 0.02 : f32[256, 256]\n"
    "  %3 = contract %1, %2 spec \"mk,kn->mn\" : f32[256, 256]\n"
    "  output \"y\" = %3\n"
    "}\n"
    "graph @points {\n"
    "  %1 = input name \"x\" : f32[16384]\n"
    "  %2 = tanh %1 : f32[16384]\n"
    "  %3 = exp %2 : f32[16384]\n"
    "  output \"y\" = %3\n"
    "}\n"
    "graph @sweep {\n"
    "  %1 = input name \"x\" : f32[N]\n"
    "  %2 = input name \"z\" : f32[N]\n"
    "  %3 = add %1, %2 : f32[N]\n"
    "  output \"y\" = %3\n"
    "}\n";

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */

static const char *key_of(const sn_target *t, const sn_backend *b, sn_arena *arena) {
  char cpu[64];
  sn_cpu_name(cpu, sizeof cpu);
  return sn_arena_printf(arena, "limits 1\n%s\n%ld cores\n%s\n%s %s\ncaches %lld %lld %lld\n", cpu,
                         sysconf(_SC_NPROCESSORS_ONLN), b->version, t->name, t->features, (long long)t->l1_bytes,
                         (long long)t->l2_bytes, (long long)t->l3_bytes);
}

void sn_limits_find(const sn_target *t, const sn_backend *b, const char *cache_dir, sn_arena *scratch, sn_limits *out) {
  const char *why;
  size_t bytes;
  *out = sn_limits_default(t);
  if (!b || strcmp(t->name, "cpu")) return;
  const sn_cache *cache = sn_cache_open(scratch, cache_dir, &why);
  const char *text = cache ? sn_cache_get_text(cache, key_of(t, b, scratch), scratch, &bytes) : NULL;
  if (text) (void)sn_limits_read(text, bytes, out);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

typedef struct bench {
  sn_compiled compiled;
  sn_runtime *runtime[2]; /* one thread, all threads */
  sn_store *store[2];
  sn_diags *diags;
  int rounds; /* at least */
} bench;

/* Products, each of what the one before gave. */
static void add_chain(sn_text *t, const char *name, int rows) {
  sn_text_add(t,
              "graph @%s {\n  %%1 = param name \"v\" init \"normal\" a 0.2 : f32[%d, %d]\n"
              "  %%2 = input name \"x\" : f32[%d, %d]\n",
              name, LINK_COLS, LINK_COLS, rows, LINK_COLS);
  for (int i = 0; i < CHAIN; i++)
    sn_text_add(t, "  %%%d = contract %%%d, %%1 spec \"mk,kn->mn\" : f32[%d, %d]\n", i + 3, i + 2, rows, LINK_COLS);
  sn_text_add(t, "  output \"y\" = %%%d\n}\n", CHAIN + 2);
}

static const char *module_text(sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t, "%s", text_head);
  add_chain(&t, "chain", 16);
  add_chain(&t, "links", LINK_ROWS);
  return t.at;
}

static sn_code open_bench(const sn_compile_opt *base, const char *precision, sn_arena *arena, bench *b) {
  sn_module *m;
  sn_compile_opt opt = {.target = "cpu", .isa = base->isa, .cache_dir = base->cache_dir, .precision = precision};
  const char *text = module_text(arena);
  SN_TRY(sn_module_parse(arena, b->diags, "limits", text, strlen(text), &m));
  for (int i = 0; i < m->func_count; i++) SN_TRY(sn_func_verify(m->func[i], b->diags));
  SN_TRY(sn_compile(m, &opt, arena, b->diags, &b->compiled));
  for (int i = 0; i < 2; i++) {
    sn_runtime_opt run = sn_compile_runtime_opt(&b->compiled, i ? 0 : 1);
    SN_TRY(sn_runtime_create(b->compiled.plan, &run, b->diags, &b->runtime[i]));
    SN_TRY(sn_store_create(b->runtime[i], 1, NULL, b->diags, &b->store[i]));
  }
  return SN_OK;
}

static void close_bench(bench *b) {
  for (int i = 0; i < 2; i++) sn_store_destroy(b->store[i]), sn_runtime_destroy(b->runtime[i]);
}

static sn_code time_runs(bench *b, int all, const char *graph, int count, const sn_buffer *at, double *out_ns) {
  double start = now_ns(), best = 0;
  for (int i = 0; i < b->rounds || now_ns() - start < ROUNDS_NS; i++) {
    double begin = now_ns();
    SN_TRY(sn_run(b->runtime[all], b->store[all], graph, count, at, b->diags));
    double ns = now_ns() - begin;
    if (i && (!best || ns < best)) best = ns;
  }
  *out_ns = best > 1 ? best : 1;
  return SN_OK;
}

/* Nanoseconds of a run of a graph with ports of `count` elements each. */
static sn_code time_graph(bench *b, int all, const char *graph, int64_t count, double *out_ns) {
  static const char *const names[] = {"x", "y", "z"};
  const sn_plan *p = b->compiled.plan;
  sn_buffer at[PORTS];
  int n = 0, index = sn_plan_find_graph(p, graph);
  sn_code code = SN_OK;
  for (int i = 0; i < 3 && !code; i++) {
    int slot = sn_plan_find_slot(p, index, names[i]);
    if (slot < 0) continue;
    const sn_type *type = p->slot[slot].type;
    at[n] = (sn_buffer){.name = names[i], .rank = type->rank, .data = sn_block_alloc((size_t)count * 4 + 64)};
    for (int d = 0; d < type->rank; d++)
      if (!sn_dimx_is_const(type->dim[d], &at[n].extent[d])) at[n].extent[d] = count;
    if (!at[n].data) code = sn_fail(b->diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory to measure this machine with");
    for (int64_t k = 0; !code && k < count; k++) ((float *)at[n].data)[k] = (float)(k % 7) * 0.125f - 0.25f;
    n++;
  }
  if (!code) code = time_runs(b, all, graph, n, at, out_ns);
  for (int i = 0; i < n; i++) sn_block_free(at[i].data);
  return code;
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static sn_code rate_of_points(bench *b, double *out) {
  const sn_plan *p = b->compiled.plan;
  const sn_plan_graph *g = &p->graph[sn_plan_find_graph(p, "points")];
  int64_t size[SN_K_PARAMS] = {0};
  double ns, points = 0;
  for (int i = 0; i < g->step_count; i++) {
    sn_work w = {0};
    if (g->step[i].kind == SN_STEP_LAUNCH)
      sn_kernel_work(b->compiled.kernel[g->step[i].code], b->compiled.arena, size, &w);
    points += w.points;
  }
  SN_TRY(time_graph(b, 0, "points", POINTS, &ns));
  *out = points / ns * 1e9;
  return SN_OK;
}

/* Bytes per second of a sweep over so many bytes in all. */
static sn_code rate_of_sweep(bench *b, int all, double bytes, double *out) {
  double ns;
  int64_t count = (int64_t)(bytes / 12) / 64 * 64;
  SN_TRY(time_graph(b, all, "sweep", count, &ns));
  *out = (double)count * 12 / ns * 1e9;
  return SN_OK;
}

static double smaller(double a, double b) { return a < b ? a : b; }

static void keep_larger(double *x, double other) { *x = other > *x ? other : *x; }

/* A step of all threads takes its share of the work, and the meeting. */
static sn_code rate_of_meetings(bench *b, sn_limits *l) {
  double alone, all, threads = b->compiled.target.threads > 0 ? b->compiled.target.threads : 1;
  SN_TRY(time_graph(b, 0, "links", LINK_ROWS * LINK_COLS, &alone));
  SN_TRY(time_graph(b, 1, "links", LINK_ROWS * LINK_COLS, &all));
  l->meet_ns = (all - (alone - CHAIN * l->launch_ns) / threads) / CHAIN;
  keep_larger(&l->meet_ns, l->launch_ns);
  return SN_OK;
}

static sn_code measure(bench *b, sn_limits *l) {
  const sn_target *t = &b->compiled.target;
  double ns, l2 = (double)t->l2_bytes, l3 = (double)t->l3_bytes, free_bytes = (double)sn_memory_available();
  double large = smaller(4 * l3, 256e6);
  if (free_bytes > 0) large = smaller(large, free_bytes / 4);
  SN_TRY(time_graph(b, 0, "product", SIDE * SIDE, &ns));
  l->product = l->pairs = (double)SIDE * SIDE * SIDE / ns * 1e9;
  SN_TRY(rate_of_points(b, &l->point));
  SN_TRY(rate_of_sweep(b, 0, l2 / 2, &l->l2));
  SN_TRY(rate_of_sweep(b, 0, smaller(8 * l2, l3 / 2), &l->l3));
  SN_TRY(rate_of_sweep(b, 0, large, &l->memory));
  SN_TRY(rate_of_sweep(b, 1, large, &l->together));
  SN_TRY(time_graph(b, 0, "chain", 16 * 16, &ns));
  l->launch_ns = ns / CHAIN;
  return rate_of_meetings(b, l);
}

/* Disturbances only make slower. */
static void keep_better(sn_limits *l, const sn_limits *other) {
  keep_larger(&l->product, other->product);
  keep_larger(&l->pairs, other->pairs);
  keep_larger(&l->point, other->point);
  keep_larger(&l->l2, other->l2);
  keep_larger(&l->l3, other->l3);
  keep_larger(&l->memory, other->memory);
  keep_larger(&l->together, other->together);
  l->launch_ns = smaller(l->launch_ns, other->launch_ns);
  l->meet_ns = smaller(l->meet_ns, other->meet_ns);
}

static sn_code measure_soundly(bench *b, sn_limits *l) {
  SN_TRY(measure(b, l));
  for (int i = 1; i < TRIES && !sn_limits_sound(l); i++) {
    sn_limits again = *l;
    b->rounds *= 2;
    SN_TRY(measure(b, &again));
    keep_better(l, &again);
  }
  return SN_OK;
}

static sn_code calibrate(const sn_compile_opt *opt, sn_arena *arena, sn_diags *diags, sn_limits *out) {
  bench f32 = {.diags = diags, .rounds = LEAST_ROUNDS}, bf16 = f32;
  sn_limits l = {.measured = true};
  double ns;
  sn_code code = open_bench(opt, "f32", arena, &f32);
  if (!code) code = measure_soundly(&f32, &l);
  if (!code && f32.compiled.target.vnni) {
    code = open_bench(opt, "bf16", arena, &bf16);
    if (!code) code = time_graph(&bf16, 0, "product", SIDE * SIDE, &ns);
    if (!code) l.pairs = (double)SIDE * SIDE * SIDE / ns * 1e9;
  }
  const char *why;
  bool sound = sn_limits_sound(&l);
  const sn_cache *cache = code || !sound ? NULL : sn_cache_open(arena, opt->cache_dir, &why);
  sn_text t = sn_text_begin(arena);
  sn_limits_print(&t, &l);
  if (cache) sn_cache_put_text(cache, key_of(&f32.compiled.target, f32.compiled.backend, arena), t.at);
  close_bench(&f32);
  close_bench(&bf16);
  if (!sound) *out = sn_limits_default(&f32.compiled.target);
  if (!code && sound && !sn_limits_read(t.at, (size_t)t.count, out)) /* as the next program will read it */
    code = sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "what was measured here is not what machines can do:\n%s", t.at);
  return code;
}

sn_code sn_calibrate(const sn_compile_opt *opt, sn_diags *diags, sn_limits *out) {
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_code code = calibrate(opt, arena, diags, out);
  sn_arena_destroy(arena);
  return code;
}
