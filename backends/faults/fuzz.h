/* A campaign of random graphs: interpreter = unfused = each fusion kind alone = all fused; gradients = differences. */
#ifndef SN_BACKENDS_FAULTS_FUZZ_H
#define SN_BACKENDS_FAULTS_FUZZ_H

#include "backends/faults/check.h"
#include "backends/faults/isolate.h"
#include "ir/ref/grandom.h"

enum { SN_FUZZ_VARIANTS = 13, SN_FUZZ_SECONDS = 60 }; /* SECONDS: one graph may take */

/* What was run. */
typedef struct sn_fuzz_sums {
  int64_t graphs, runs, total, excluded, failed, refused, grads;
  int64_t ops[256]; /* graphs by number of ops */
  sn_gpairs *pairs;
  double seconds;
} sn_fuzz_sums;

typedef struct sn_fuzz_opt {
  const char *target;    /* "cpu", "template" */
  const char *disabled;  /* rules and passes switched off in every run; NULL: none */
  const char *cache_dir; /* of code; "": none */
  uint64_t seed;         /* the first */
  int64_t n;             /* graphs */
  double seconds;        /* stop after that long; 0: never */
  bool brief;            /* per graph only unfused and all fused; in turn two threads, or one kind alone */
  int64_t most_failures; /* stop after that many; 0: never */
  /* After each graph; o: what came of it. May be NULL. */
  void (*report)(void *user, const sn_fuzz_sums *s, const sn_outcome *o);
  void *user;
} sn_fuzz_opt;

/* The runs of a seed: nothing fused, everything with one and two threads, each kind alone; on the CPU lesser feature
 * levels in turn; and the source itself, gradients against differences. -> how many */
int sn_fuzz_variants(const sn_fuzz_opt *opt, uint64_t seed, sn_variant out[SN_FUZZ_VARIANTS]);

/* The graph of a seed and its data. owns: arena */
SN_MUST sn_code sn_fuzz_case(sn_gpairs *pairs, uint64_t seed, sn_arena *arena, sn_diags *diags, sn_case *out);

/* Tries seeds from opt->seed on, each in a child process. errors: SN_ERR_LIMIT no process */
SN_MUST sn_code sn_fuzz(const sn_fuzz_opt *opt, sn_arena *arena, sn_diags *diags, sn_fuzz_sums *out);

/* Half of the graphs have at most so many ops. */
int sn_fuzz_median_ops(const sn_fuzz_sums *s);

/* One variant of a case in a child process. */
sn_outcome sn_fuzz_try(const sn_case *c, const sn_variant *v);

#endif
