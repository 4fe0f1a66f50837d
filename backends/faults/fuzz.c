/* See fuzz.h. */
#include "backends/faults/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/faults/bisect.h"

int sn_fuzz_variants(const sn_fuzz_opt *opt, uint64_t seed, sn_variant out[SN_FUZZ_VARIANTS]) {
  static const char *const kinds[] = {"map", "rows", "contract", "attend", "index"},
                           *const pairs[] = {"map,rows", "map,contract", "rows,contract"},
                           *const isas[] = {"baseline", "avx2", "avx512"};
  sn_variant v = {.target = opt->target, .disabled = opt->disabled, .cache_dir = opt->cache_dir, .threads = 1};
  bool cpu = !strcmp(opt->target, "cpu");
  int n = 0;
  v.fuse = "none", out[n++] = v;
  v.fuse = "all", out[n++] = v;
  if (!opt->brief || seed % 3 == 0) v.threads = 2, out[n++] = v;
  v.threads = 1;
  for (uint64_t k = 0; k < 5; k++)
    if (!opt->brief || seed % 15 == k * 3) v.fuse = kinds[k], out[n++] = v;
  if (seed % 3 == 1) v.fuse = pairs[seed / 3 % 3], out[n++] = v;
  v.fuse = "all";
  if (cpu && seed % 4 == 1) v.isa = isas[seed / 4 % 3], out[n++] = v;
  if (cpu && seed % 4 == 3) v.target = "template", out[n++] = v;
  out[n++] = (sn_variant){.target = "ref", .source = true};
  return n;
}

sn_code sn_fuzz_case(sn_gpairs *pairs, uint64_t seed, sn_arena *arena, sn_diags *diags, sn_case *out) {
  sn_grandom g;
  SN_TRY(sn_grandom_make(pairs, seed, arena, diags, &g));
  *out = (sn_case){.file = "random.sn", .text = sn_module_text(g.module, arena), .graph = "g"};
  out->dim_count = sn_types_symbol_count(g.module->types);
  out->dims = sn_arena_copy(arena, g.dims, sizeof g.dims);
  return sn_case_draw(out, seed, SN_GRANDOM_INT_LIMIT, 1, arena, diags);
}

/* ---- in the child ------------------------------------------------------------------------------------------------ */

typedef struct trial {
  const sn_case *c;
  const sn_variant *v;
  const sn_oracle *o;
  sn_outcome *out;
  uint64_t hash;
} trial;

static void say(sn_outcome *o, sn_outcome_kind kind, const char *text) {
  o->kind = kind;
  snprintf(o->text, sizeof o->text, "%s", text);
}

/* Against the source, where the interpreter shares what is wrong. */
static sn_code try_source(const trial *t, sn_arena *arena, sn_diags *diags, sn_checked *r) {
  *r = (sn_checked){0};
  SN_TRY(sn_case_gradients(t->c, arena, diags, &r->first));
  r->mismatched = r->first != NULL;
  return SN_OK;
}

static int try_variant(void *arg) {
  trial *t = arg;
  sn_arena *arena = sn_arena_scratch();
  sn_diags *diags = sn_diags_scratch();
  sn_checked r;
  sn_code code = t->v->source ? try_source(t, arena, diags, &r) : sn_case_check(t->c, t->v, t->o, arena, diags, &r);
  t->hash = r.hash;
  t->out->runs++;
  t->out->total += r.total;
  t->out->excluded += r.excluded;
  t->out->code = code;
  const char *text = code ? sn_diags_print(diags, arena) : r.first;
  if (code && sn_lacks(code, text))
    say(t->out, SN_OUTCOME_REFUSED, text);
  else if (code)
    say(t->out, SN_OUTCOME_ERROR, text);
  else if (r.mismatched)
    say(t->out, SN_OUTCOME_WRONG, text);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return SN_OK;
}

static void protect(int (*fn)(void *), void *arg, sn_outcome *o) {
  if (!sn_protect(fn, arg) || sn_outcome_failed(o)) return;
  o->code = SN_ERR_LIMIT;
  say(o, SN_OUTCOME_ERROR, "error: out of memory or a limit of dims");
}

static bool fine(const sn_outcome *o) { return o->kind == SN_OUTCOME_RIGHT || o->kind == SN_OUTCOME_REFUSED; }

typedef struct seed_job {
  const sn_fuzz_opt *opt;
  sn_gpairs *pairs;
  uint64_t seed;
  sn_outcome *out;
} seed_job;

static void run_variants(const seed_job *j, const sn_case *c, const sn_oracle *o) {
  sn_variant v[SN_FUZZ_VARIANTS];
  int n = sn_fuzz_variants(j->opt, j->seed, v);
  uint64_t one = 0;
  bool refused = false;
  for (int i = 0; i < n && fine(j->out); i++) {
    trial t = {.c = c, .v = &v[i], .o = o, .out = j->out};
    j->out->kind = SN_OUTCOME_RIGHT;
    j->out->variant = i;
    protect(try_variant, &t, j->out);
    refused |= j->out->kind == SN_OUTCOME_REFUSED;
    if (i == 1) one = t.hash;
    if (v[i].threads > 1 && j->out->kind == SN_OUTCOME_RIGHT && one != t.hash)
      say(j->out, SN_OUTCOME_WRONG, "one and two threads give other bits");
  }
  if (refused && fine(j->out)) j->out->kind = SN_OUTCOME_REFUSED;
}

static int run_seed(void *arg) {
  seed_job *j = arg;
  sn_arena *arena = sn_arena_scratch();
  sn_diags *diags = sn_diags_scratch();
  sn_case c;
  sn_oracle o;
  sn_code code = sn_fuzz_case(j->pairs, j->seed, arena, diags, &c);
  if (!code) code = sn_case_oracle(&c, arena, diags, &o);
  j->out->code = code;
  j->out->variant = -1;
  j->out->kind = SN_OUTCOME_RIGHT;
  if (code)
    say(j->out, SN_OUTCOME_ERROR, sn_arena_printf(arena, "generator: %s", sn_diags_print(diags, arena)));
  else
    run_variants(j, &c, &o);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return SN_OK;
}

static void seed_main(void *user, uint64_t seed, sn_outcome *out) {
  seed_job j = *(const seed_job *)user;
  j.seed = seed, j.out = out;
  protect(run_seed, &j, out);
}

/* ---- the campaign ------------------------------------------------------------------------------------------------ */

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct campaign {
  const sn_fuzz_opt *opt;
  sn_fuzz_sums *s;
  double start;
} campaign;

/* What the graph is made of; in this process, so that it is known whatever becomes of the graph. */
static void count_graph(sn_fuzz_sums *s, uint64_t seed) {
  sn_arena *arena = sn_arena_scratch();
  sn_grandom g;
  if (arena && !sn_grandom_make(s->pairs, seed, arena, NULL, &g)) {
    sn_gpairs_add(s->pairs, g.module);
    s->ops[g.ops < 255 ? g.ops : 255]++;
    s->grads += g.grad;
  }
  sn_arena_destroy(arena);
}

static bool take(void *user, const sn_outcome *o) {
  campaign *c = user;
  sn_fuzz_sums *s = c->s;
  s->graphs++;
  s->runs += o->runs;
  s->total += o->total;
  s->excluded += o->excluded;
  s->refused += o->kind == SN_OUTCOME_REFUSED;
  s->failed += sn_outcome_failed(o);
  s->seconds = seconds_now() - c->start;
  count_graph(s, o->seed);
  if (c->opt->report) c->opt->report(c->opt->user, s, o);
  if (c->opt->most_failures && s->failed >= c->opt->most_failures) return false;
  return !(c->opt->seconds > 0 && s->seconds >= c->opt->seconds);
}

sn_code sn_fuzz(const sn_fuzz_opt *opt, sn_arena *arena, sn_diags *diags, sn_fuzz_sums *out) {
  *out = (sn_fuzz_sums){.pairs = sn_gpairs_create(arena)};
  campaign c = {opt, out, seconds_now()};
  seed_job child = {.opt = opt, .pairs = out->pairs};
  if (sn_isolate_range(seed_main, &child, opt->seed, opt->seed + (uint64_t)opt->n, SN_FUZZ_SECONDS, take, &c))
    return SN_OK;
  return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no process can be started");
}

int sn_fuzz_median_ops(const sn_fuzz_sums *s) {
  int64_t n = 0;
  for (int i = 0; i < 256; i++)
    if ((n += s->ops[i]) * 2 >= s->graphs) return i;
  return 255;
}

/* ---- one variant ------------------------------------------------------------------------------------------------- */

static int run_one(void *arg) {
  trial *t = arg;
  sn_arena *arena = sn_arena_scratch();
  sn_diags *diags = sn_diags_scratch();
  sn_oracle o;
  sn_code code = sn_case_oracle(t->c, arena, diags, &o);
  t->out->kind = SN_OUTCOME_RIGHT;
  t->out->code = code;
  t->o = &o;
  if (code)
    say(t->out, SN_OUTCOME_ERROR, sn_arena_printf(arena, "oracle: %s", sn_diags_print(diags, arena)));
  else
    try_variant(t);
  if (!code && t->out->kind == SN_OUTCOME_RIGHT && t->v->threads > 1) { /* the same bits as with one */
    sn_variant one = *t->v;
    trial u = *t;
    one.threads = 1, u.v = &one;
    try_variant(&u);
    if (t->out->kind == SN_OUTCOME_RIGHT && u.hash != t->hash)
      say(t->out, SN_OUTCOME_WRONG, "one and two threads give other bits");
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return SN_OK;
}

static void one_main(void *user, uint64_t seed, sn_outcome *out) {
  trial t = *(trial *)user;
  (void)seed;
  t.out = out;
  protect(run_one, &t, out);
}

sn_outcome sn_fuzz_try(const sn_case *c, const sn_variant *v) {
  sn_outcome o = {0};
  trial t = {.c = c, .v = v};
  if (!sn_isolate(one_main, &t, 0, SN_FUZZ_SECONDS, &o)) snprintf(o.text, sizeof o.text, "no process can be started");
  return o;
}
