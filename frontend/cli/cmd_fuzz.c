/* sinter fuzz graph: random graphs on a target against the interpreter; what fails is reduced and written to files.
 * sinter reduce: the same reduction for a graph of the user's. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/faults/fuzz.h"
#include "runtime/io/json.h"
#include "backends/faults/reduce.h"
#include "backends/faults/save.h"
#include "frontend/cli/faults.h"

enum { REDUCE_SECONDS = 120 };

/* ---- reducing ---------------------------------------------------------------------------------------------------- */

typedef struct failure {
  sn_variant v;
  sn_outcome o; /* as it failed at first */
} failure;

static bool still_fails(void *user, const sn_case *c) {
  const failure *f = user;
  sn_outcome o = sn_fuzz_try(c, &f->v);
  return sn_outcome_same(&f->o, &o);
}

static sn_code reduce(cli *c, sn_case *k, failure *f) {
  const sn_reduce_opt opt = {still_fails, f, REDUCE_SECONDS};
  SN_TRY(sn_case_reduce(k, &opt, c->arena, c->diags));
  f->o = sn_fuzz_try(k, &f->v);
  return SN_OK;
}

static const char *default_output(cli *c, const char *file) {
  const char *slash = strrchr(file, '/');
  char *stem = sn_arena_strdup(c->arena, slash ? slash + 1 : file), *dot = strrchr(stem, '.');
  if (dot) *dot = 0;
  return sn_arena_printf(c->arena, "%s.small.sn", stem);
}

sn_code cli_reduce(cli *c) {
  sn_case k;
  failure f = {0};
  SN_TRY(cli_variant(c, &f.v));
  SN_TRY(cli_case(c, &k));
  const char *out = cli_get(c, CLI_OUTPUT, default_output(c, k.file));
  f.o = sn_fuzz_try(&k, &f.v);
  if (!sn_outcome_failed(&f.o)) {
    sn_fail(c->diags, SN_ERR_USAGE, (sn_loc){.file = k.file}, "nothing to reduce: graph %s agrees with the interpreter",
            k.graph);
    sn_fail_note(c->diags, "tried with %s", sn_variant_text(&f.v, c->arena));
    return SN_ERR_USAGE;
  }
  int before = sn_case_ops(&k);
  fprintf(stderr, "reducing: %s\n", f.o.text);
  SN_TRY(reduce(c, &k, &f));
  SN_TRY(sn_case_save(&k, &f.v, out, f.o.text, c->arena, c->diags));
  return cli_printf(c, "%d of %d ops are left: %s\n%s", sn_case_ops(&k), before, out, k.text);
}

/* ---- the campaign ------------------------------------------------------------------------------------------------ */

typedef struct fuzzing {
  cli *c;
  const sn_fuzz_opt *opt;
  const char *dir; /* where failures go */
  bool tty, json;
  double last_line;
  sn_code code; /* of writing */
} fuzzing;

/* The variant that fails, the case reduced, and both as files. */
static sn_code keep_failure(fuzzing *z, const sn_fuzz_sums *s, const sn_outcome *o) {
  cli *c = z->c;
  sn_case k;
  sn_variant v[SN_FUZZ_VARIANTS];
  failure f = {.o = *o};
  SN_TRY(sn_fuzz_case(s->pairs, o->seed, c->arena, c->diags, &k));
  int n = sn_fuzz_variants(z->opt, o->seed, v), i = 0;
  for (; i < n; i++) {
    f = (failure){v[i], sn_fuzz_try(&k, &v[i])};
    if (sn_outcome_failed(&f.o)) break;
  }
  if (i == n) {
    fprintf(stderr, "seed %llu failed once, and not again\n", (unsigned long long)o->seed);
    return SN_OK;
  }
  const char *file = sn_arena_printf(c->arena, "%s/seed%llu.sn", z->dir, (unsigned long long)o->seed);
  SN_TRY(sn_case_save(&k, &f.v, file, f.o.text, c->arena, c->diags));
  if (!cli_has(c, CLI_NO_REDUCE)) {
    SN_TRY(reduce(c, &k, &f));
    file = sn_arena_printf(c->arena, "%s/seed%llu.small.sn", z->dir, (unsigned long long)o->seed);
    SN_TRY(sn_case_save(&k, &f.v, file, f.o.text, c->arena, c->diags));
  }
  fprintf(stderr, "  %d ops: %s\n", sn_case_ops(&k), sn_case_command(&k, &f.v, file, c->arena));
  return SN_OK;
}

static const char *figures(sn_arena *arena, const sn_fuzz_sums *s) {
  double excluded = s->total ? 100.0 * (double)s->excluded / (double)s->total : 0;
  return sn_arena_printf(
      arena,
      "%lld graphs, %lld runs; %d ops in the median, %lld with gradients; pairs of ops %d of %d (%.1f %%); "
      "%lld elements, %.3f %% excluded; refused %lld; failed %lld",
      (long long)s->graphs, (long long)s->runs, sn_fuzz_median_ops(s), (long long)s->grads, s->pairs->seen_count,
      s->pairs->possible_count, 100.0 * s->pairs->seen_count / s->pairs->possible_count, (long long)s->total, excluded,
      (long long)s->refused, (long long)s->failed);
}

static void report(void *user, const sn_fuzz_sums *s, const sn_outcome *o) {
  fuzzing *z = user;
  if (sn_outcome_failed(o)) {
    fprintf(stderr, "seed %llu: %s\n", (unsigned long long)o->seed, o->text);
    if (!z->code) z->code = keep_failure(z, s, o);
  }
  if (o->kind == SN_OUTCOME_REFUSED && !z->json)
    fprintf(stderr, "seed %llu is refused: %s\n", (unsigned long long)o->seed, o->text);
  if (z->json || s->seconds - z->last_line < (z->tty ? 0.5 : 10)) return;
  z->last_line = s->seconds;
  sn_arena *arena = sn_arena_scratch();
  double left = s->seconds / (double)s->graphs * (double)(z->opt->n - s->graphs);
  if (arena)
    fprintf(stderr, "%s%s; %.0f s left%s", z->tty ? "\r" : "", figures(arena, s), left, z->tty ? "\033[K" : "\n");
  sn_arena_destroy(arena);
}

static sn_code print_json(cli *c, const sn_fuzz_opt *opt, const sn_fuzz_sums *s) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, "{\"target\": ");
  sn_json_quote(&t, opt->target);
  sn_text_add(&t, ", \"disabled\": ");
  sn_json_quote(&t, opt->disabled ? opt->disabled : "");
  sn_text_add(&t,
              ", \"graphs\": %lld, \"runs\": %lld, \"median_ops\": %d, \"gradients\": %lld, \"pairs_seen\": %d, "
              "\"pairs_possible\": %d, \"elements\": %lld, \"excluded\": %lld, \"refused\": %lld, \"failed\": %lld, "
              "\"seconds\": %.1f}\n",
              (long long)s->graphs, (long long)s->runs, sn_fuzz_median_ops(s), (long long)s->grads,
              s->pairs->seen_count, s->pairs->possible_count, (long long)s->total, (long long)s->excluded,
              (long long)s->refused, (long long)s->failed, s->seconds);
  return cli_print(c, &t);
}

static sn_code campaign(cli *c, sn_fuzz_opt *opt, int64_t *failed) {
  sn_fuzz_sums s;
  fuzzing z = {
      .c = c, .opt = opt, .dir = cli_get(c, CLI_FAILURES, "."), .tty = isatty(2), .json = cli_has(c, CLI_JSON)};
  opt->report = report, opt->user = &z;
  SN_TRY(sn_fuzz(opt, c->arena, c->diags, &s));
  if (z.tty && !z.json && z.last_line > 0) fputc('\n', stderr);
  sn_code printed = z.json ? print_json(c, opt, &s)
                           : cli_printf(c, "%s%s%s: %s; %.0f s\n", opt->target, opt->disabled ? " without " : "",
                                        opt->disabled ? opt->disabled : "", figures(c->arena, &s), s.seconds);
  *failed += s.failed;
  return z.code ? z.code : printed;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
  (void)st, (void)kind, (void)at;
  return remove(path);
}

static void remove_tree(void *path) { (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* An object cache of this campaign: runs of one graph share kernels. "": none */
static const char *scratch_cache(cli *c) {
  const char *tmp = getenv("TMPDIR");
  char *dir = sn_arena_printf(c->arena, "%s/sinter-fuzz-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(dir)) return "";
  cli_hold(c, remove_tree, dir);
  return dir;
}

/* Failures are written when they come: before, it is known that they can be. */
static sn_code check_failures(cli *c) {
  struct stat st;
  const char *dir = cli_get(c, CLI_FAILURES, ".");
  int reason = stat(dir, &st) ? errno : !S_ISDIR(st.st_mode) ? ENOTDIR : access(dir, W_OK | X_OK) ? errno : 0;
  if (!reason) return SN_OK;
  return cli_usage_error(c, "--failures takes a folder that can be written, found %s: %s", dir, strerror(reason));
}

sn_code cli_fuzz(cli *c) {
  const char *what, *passes[40];
  int64_t seed, failed = 0;
  SN_TRY(cli_word(c, "what to fuzz: graph", &what));
  if (strcmp(what, "graph")) return cli_usage_error(c, "sinter fuzz %s: there is graph", what);
  SN_TRY(check_failures(c));
  sn_fuzz_opt opt = {.target = cli_get(c, CLI_TARGET, SN_HAVE_LLVM ? "cpu" : "template"),
                     .disabled = cli_get(c, CLI_DISABLE, NULL),
                     .cache_dir = scratch_cache(c),
                     .brief = cli_has(c, CLI_BRIEF)};
  SN_TRY(cli_int(c, CLI_SEED, 0, 0, INT64_MAX, &seed));
  SN_TRY(cli_int(c, CLI_COUNT, 1000, 1, INT64_MAX / 2, &opt.n));
  SN_TRY(cli_int(c, CLI_MOST, 0, 0, INT64_MAX, &opt.most_failures));
  opt.seed = (uint64_t)seed;
  const sn_pass_env env = {.arena = c->arena, .diags = c->diags, .disabled = opt.disabled};
  SN_TRY(sn_pass_env_check(&env));
  if (!cli_has(c, CLI_EACH_PASS)) {
    SN_TRY(campaign(c, &opt, &failed));
  } else {
    int n = sn_passes_optional(passes, 40);
    for (int i = 0; i < n; i++) {
      opt.disabled = passes[i];
      SN_TRY(campaign(c, &opt, &failed));
    }
  }
  if (!failed) return SN_OK;
  return sn_fail(c->diags, SN_ERR_NUMERIC, (sn_loc){0}, "%lld graphs failed", (long long)failed);
}
