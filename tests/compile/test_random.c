/* Random graphs, compiled: the interpreter, unfused, each fusion kind alone and all fused, one and two threads agree;
 * gradients are what differences say.
 *
 * 1200 graphs on the template target, the first 60 of them on the CPU; of the kinds one alone per graph, in turn.
 * SN_RANDOM_N: that many on each; SN_RANDOM_SEED: the first. A failing graph is reduced and printed. `sinter fuzz
 * graph` does the same by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/faults/fuzz.h"
#include "backends/faults/reduce.h"
#include "tests/compile/harness.h"

static char cache[64];  /* object cache of this run */
static int64_t refused; /* graphs of a campaign that a target lacks something for */

static int64_t setting(const char *name, int64_t missing) {
  const char *s = getenv(name);
  return s && *s ? strtoll(s, NULL, 10) : missing;
}

typedef struct failure {
  sn_variant v;
  sn_outcome o;
} failure;

static bool still_fails(void *user, const sn_case *c) {
  const failure *f = user;
  sn_outcome o = sn_fuzz_try(c, &f->v);
  return sn_outcome_same(&f->o, &o);
}

/* Prints what failed and its smallest form. */
static void report(void *user, const sn_fuzz_sums *s, const sn_outcome *o) {
  const sn_fuzz_opt *opt = user;
  sn_variant v[SN_FUZZ_VARIANTS];
  sn_case c;
  if (o->kind == SN_OUTCOME_REFUSED) {
    printf("seed %llu is refused: %s\n", (unsigned long long)o->seed, o->text);
    refused++;
  }
  if (!sn_outcome_failed(o)) return;
  printf("seed %llu fails: %s\n", (unsigned long long)o->seed, o->text);
  if (s->failed > 3) return;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  if (!sn_fuzz_case(s->pairs, o->seed, arena, diags, &c)) {
    int n = sn_fuzz_variants(opt, o->seed, v);
    for (int i = 0; i < n; i++) {
      failure f = {v[i], sn_fuzz_try(&c, &v[i])};
      if (!sn_outcome_failed(&f.o)) continue;
      const sn_reduce_opt ro = {still_fails, &f, 60};
      if (sn_case_reduce(&c, &ro, arena, diags)) continue;
      printf("  %s: %s\n%s\n", sn_variant_text(&v[i], arena), sn_fuzz_try(&c, &v[i]).text, c.text);
      break;
    }
  }
  fflush(stdout);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

enum { SAMPLE = 500 }; /* graphs from which on a share of them is not noise */

/* Pairs of ops that so many graphs meet at least, if each meets six that are drawn at random; 90 % are enough. */
static double least_pairs(const sn_fuzz_sums *s) {
  double possible = s->pairs->possible_count;
  return possible * fmin(0.9, 1 - exp(-6 * (double)s->graphs / possible));
}

static void check_sums(const sn_fuzz_sums *s, int64_t graphs) {
  assert_int_equal(s->failed, 0);
  assert_int_equal(s->graphs, graphs);
  if (s->graphs < SAMPLE) return;
  assert_true(sn_fuzz_median_ops(s) >= 8);
  assert_true(s->grads * 2 >= s->graphs);
  assert_true(s->excluded * 100 <= s->total);
  assert_true(refused * 100 <= s->graphs);
  assert_true(s->pairs->seen_count >= least_pairs(s));
}

/* count: graphs, unless SN_RANDOM_N says how many. */
static void campaign(const char *target, int64_t count) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_fuzz_sums s;
  sn_fuzz_opt opt = {.target = target,
                     .cache_dir = cache,
                     .seed = (uint64_t)setting("SN_RANDOM_SEED", 0),
                     .n = setting("SN_RANDOM_N", count),
                     .brief = true,
                     .report = report};
  opt.user = &opt, refused = 0;
  assert_int_equal(sn_fuzz(&opt, arena, diags, &s), SN_OK);
  printf(
      "random graphs: %lld on %s, %lld runs, %.0f s; ops in the median %d, with gradients %lld; refused %lld; elements "
      "%lld, excluded %.3f %%; op pairs %d of %d (%.1f %%)\n",
      (long long)s.graphs, target, (long long)s.runs, s.seconds, sn_fuzz_median_ops(&s), (long long)s.grads,
      (long long)s.refused, (long long)s.total, s.total ? 100.0 * (double)s.excluded / (double)s.total : 0,
      s.pairs->seen_count, s.pairs->possible_count, 100.0 * s.pairs->seen_count / s.pairs->possible_count);
  check_sums(&s, opt.n);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void graphs_agree_on_the_template(void **state) { (void)state, campaign("template", SN_RANDOM_GRAPHS); }

static void graphs_agree_on_the_cpu(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  campaign("cpu", 60 / CHECK_SAMPLE);
}

static int make_cache(void **state) {
  (void)state;
  snprintf(cache, sizeof cache, "/tmp/sinter-random-XXXXXX");
  if (!mkdtemp(cache)) cache[0] = 0;
  return 0;
}

static int remove_cache(void **state) {
  char command[100];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s", cache);
  return cache[0] ? system(command) : 0;
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const struct CMUnitTest tests[] = {cmocka_unit_test(graphs_agree_on_the_template),
                                     cmocka_unit_test(graphs_agree_on_the_cpu)};
  return cmocka_run_group_tests(tests, make_cache, remove_cache);
}
