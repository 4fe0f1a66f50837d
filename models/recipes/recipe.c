/* A run of a recipe: its options, checks, plots and end. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "models/recipes/inside.h"
#include "tests/oracles/stats.h"

bool recipe_is_quick(const recipe *r) { return r->opt->quick; }
int recipe_pick(const recipe *r, int full, int quick) { return r->opt->quick ? quick : full; }
void *recipe_alloc(recipe *r, size_t bytes) { return sn_arena_alloc(r->arena, bytes); }
const char *recipe_text(recipe *r, int64_t *out_bytes) {
  *out_bytes = r->opt->text_bytes;
  return r->opt->text;
}
bool recipe_has_failed(const recipe *r) { return r->code != SN_OK; }

uint64_t recipe_seed(const recipe *r, uint64_t use) { return sn_hash_bytes(&use, sizeof use, r->opt->seed); }

void recipe_threads(recipe *r, int threads) {
  sn_ctx *ctx;
  if (r->code) return;
  if (r->ctx_count == CTX_MAX) return recipe_fail(r, "threads are changed at most %d times", CTX_MAX);
  if ((r->code = sn_ctx_create(&(sn_ctx_opt){.threads = threads, .cache_dir = r->opt->cache_dir}, &ctx))) return;
  r->ctx_before[r->ctx_count++] = r->ctx;
  r->ctx = ctx;
}

void recipe_fail(recipe *r, const char *format, ...) {
  if (r->code) return;
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  r->code = sn_fail(r->diags, SN_ERR_FAIL, (sn_loc){0}, "%s", text);
}

/* The problems of the call become problems of the run. */
bool recipe_ok(recipe *r, sn_code code, const char *doing) {
  if (r->code) return false;
  if (!code) return true;
  r->code = code;
  sn_problem p;
  for (int i = 0; sn_ctx_problem(r->ctx, i, &p); i++) {
    sn_loc loc = {.file = p.file ? sn_arena_strdup(r->arena, p.file) : NULL, .line = p.line, .column = p.column};
    if (sn_fail(r->diags, code, loc, "%s: %s", doing, p.message) && p.expected)
      sn_fail_expected(r->diags, "%s", p.expected);
    if (p.found) sn_fail_found(r->diags, "%s", p.found);
    if (p.note) sn_fail_note(r->diags, "%s", p.note);
  }
  if (!r->diags->count) r->code = sn_fail(r->diags, code, (sn_loc){0}, "%s: %s", doing, sn_ctx_error(r->ctx));
  return false;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static void check(recipe *r, recipe_check c) {
  if (r->code) return;
  bool of_plan = c.kind & OF_PLAN, kept = c.at_least ? c.value >= c.bound : c.value <= c.bound;
  c.kind = (recipe_kind)(c.kind & ~OF_PLAN);
  if (of_plan && r->opt->target && !strcmp(r->opt->target, "ref")) c.skipped = "the interpreter has no kernels";
  c.pass = c.skipped || (isfinite(c.value) && kept == (c.kind != CONTROL));
  c.what = sn_arena_strdup(r->arena, c.what);
  SN_GROW(r->arena, r->check, r->check_count, r->check_capacity);
  r->check[r->check_count++] = c;
  if (r->opt->on_check) r->opt->on_check(r->opt->user, &c);
}

void recipe_at_most(recipe *r, recipe_kind kind, const char *what, double value, double bound) {
  check(r, (recipe_check){.kind = kind, .what = what, .value = value, .bound = bound});
}

void recipe_at_least(recipe *r, recipe_kind kind, const char *what, double value, double bound) {
  check(r, (recipe_check){.kind = kind, .what = what, .at_least = true, .value = value, .bound = bound});
}

static recipe_check share(recipe_kind kind, const char *what, double right, double of, double bound) {
  recipe_check c = {.kind = kind, .what = what, .bound = bound, .of = of, .share = right / of, .value = NAN};
  if (of >= 1 && right >= 0 && right <= of) stats_wilson(right, of, 3, &c.low, &c.high);
  return c;
}

void recipe_share(recipe *r, recipe_kind kind, const char *what, double right, double of, double bound) {
  recipe_check c = share(kind, what, right, of, bound);
  c.at_least = true;
  if (c.high > 0) c.value = kind == CONTROL ? c.high : c.low;
  check(r, c);
}

void recipe_share_no_leak(recipe *r, recipe_kind kind, const char *what, double right, double of, double best) {
  recipe_check c = share(kind, what, right, of, best);
  if (c.high > 0) c.value = c.low;
  check(r, c);
}

void recipe_note_trained(recipe *r, recipe_trained t) {
  SN_GROW(r->arena, r->trained, r->trained_count, r->trained_capacity);
  r->trained[r->trained_count++] = t;
  if (r->opt->on_trained) r->opt->on_trained(r->opt->user, &t);
}

/* ---- plots ------------------------------------------------------------------------------------------------------- */

static recipe_line *find_line(recipe *r, const char *title, const char *label) {
  for (int i = 0; i < r->line_count; i++)
    if (!strcmp(r->line[i].title, title) && !strcmp(r->line[i].label, label)) return &r->line[i];
  SN_GROW(r->arena, r->line, r->line_count, r->line_capacity);
  r->line[r->line_count] =
      (recipe_line){.title = sn_arena_strdup(r->arena, title), .label = sn_arena_strdup(r->arena, label)};
  return &r->line[r->line_count++];
}

void recipe_point(recipe *r, const char *title, const char *label, double x, double y) {
  recipe_line *l = find_line(r, title, label);
  int count = l->count, capacity = l->capacity;
  SN_GROW(r->arena, l->x, count, capacity);
  SN_GROW(r->arena, l->y, l->count, l->capacity);
  l->x[l->count] = x;
  l->y[l->count++] = y;
}

void recipe_plot(recipe *r, const char *title, const char *label, int count, const double *x, const double *y) {
  for (int i = 0; i < count && !r->code; i++) recipe_point(r, title, label, x[i], y[i]);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

const recipe_row *recipe_row_at(int i) {
#define SECONDS(id, seconds)
#define ROWS(file) extern const recipe_row recipe_rows_##file[];
#include "recipes.def"
#undef ROWS
  static const recipe_row *const files[] = {
#define ROWS(file) recipe_rows_##file,
#include "recipes.def"
#undef ROWS
#undef SECONDS
      NULL};
  for (int f = 0; files[f]; f++)
    for (const recipe_row *row = files[f]; row->id; row++)
      if (!i--) return row;
  return NULL;
}

double recipe_row_seconds(const recipe_row *row) {
#define SECONDS(id_, seconds_) {id_, seconds_},
#define ROWS(file)
  static const struct {
    const char *id;
    double seconds;
  } known[] = {
#include "recipes.def"
      {NULL, 0}};
#undef ROWS
#undef SECONDS
  for (int i = 0; known[i].id; i++)
    if (!strcmp(known[i].id, row->id)) return known[i].seconds;
  return 0;
}

typedef struct job {
  const recipe_row *row;
  recipe *r;
} job;

static int run(void *arg) {
  job *j = arg;
  recipe *r = j->r;
  sn_ctx_opt o = {.threads = r->opt->threads, .cache_dir = r->opt->cache_dir};
  sn_code code = sn_ctx_create(&o, &r->ctx);
  if (code) return code;
  j->row->run(r);
  return r->code;
}

double recipe_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

sn_code recipe_run(const recipe_row *row, const recipe_options *o, sn_arena *arena, sn_diags *diags,
                   recipe_result *out) {
  recipe r = {.opt = o, .arena = arena, .diags = diags};
  job j = {row, &r};
  double start = recipe_clock();
  sn_code code = (sn_code)sn_protect(run, &j); /* what it made is freed below, also when memory runs out */
  sn_ctx_destroy(r.ctx);
  while (r.ctx_count) sn_ctx_destroy(r.ctx_before[--r.ctx_count]);
  *out = (recipe_result){.check_count = r.check_count,
                         .trained_count = r.trained_count,
                         .line_count = r.line_count,
                         .check = r.check,
                         .trained = r.trained,
                         .line = r.line,
                         .seconds = recipe_clock() - start,
                         .pass = !code && r.check_count > 0};
  for (int i = 0; i < r.check_count; i++) out->pass = out->pass && r.check[i].pass;
  return code;
}
