/* Does a backend do what the rest relies on? Random tile programs with every kernel op, random graphs with every graph
 * op, and whole models, each against an interpreter. Built-in backends and loaded ones pass the same suite. */
#ifndef SN_BACKENDS_CONFORM_CONFORM_H
#define SN_BACKENDS_CONFORM_CONFORM_H

#include "backends/faults/check.h"

/* Reasons for which something was refused, with their numbers. */
typedef struct sn_refusals {
  int count, capacity;
  struct {
    const char *why;
    int64_t times;
  } *at;
} sn_refusals;

/* What one part of the suite found. */
typedef struct sn_conform {
  int64_t run;     /* compared with an interpreter */
  int64_t refused; /* by `supports`, before any code was made */
  int64_t failed;
  int seen, all;       /* ops that were in something that was compared, and those there are */
  const char *missing; /* the others, " a b"; "" when there are none */
  const char *first;   /* the first failure in words; NULL: none */
  sn_refusals refusals;
} sn_conform;

typedef struct sn_conform_opt {
  const sn_backend *backend;
  const sn_target *target;
  const char *name; /* of the target as sn_compile_opt.target; NULL when the backend was loaded */
  uint64_t seed;    /* the first */
  int count;        /* programs or graphs */
} sn_conform_opt;

/* Tile programs: on each, results of every element, guard words around every buffer, inputs untouched, and the same
 * bits for the grid at once and instance by instance backwards. Goes on beyond opt->count until every op was seen, but
 * not for long. Ops that kernels never hold when a backend sees them do not count. owns: arena */
void sn_conform_programs(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out);

/* Random graphs, nothing fused and everything, compared within the interpreter's bounds. owns: arena */
void sn_conform_graphs(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out);

/* One graph of a model, nothing fused and everything, compared within estimated bounds. needs: c->data drawn.
 * Adds to *out. owns: arena */
void sn_conform_model(const sn_conform_opt *opt, const sn_case *c, sn_arena *arena, sn_conform *out);

/* Private: one more refusal, one more failure. */
void sn_conform_refuse(sn_conform *out, const char *why, sn_arena *arena);
void sn_conform_fail(sn_conform *out, sn_arena *arena, const char *format, ...) SN_PRINTF(3, 4);

#endif
