/* Does a backend do what the rest relies on? Random tile programs with every kernel op, the laws of every graph op, odd
 * extents of every kind of kernel, random graphs, and whole models, each against an interpreter. Built-in backends and
 * loaded ones pass the same suite. For a device that is only described, code is made and not run. */
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
  int64_t there;   /* of a list that has an end: how long it is; else 0 */
  int64_t run;     /* compared with an interpreter, or only made */
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
  const char *isa;  /* as sn_compile_opt: a feature level, or a device that is described; NULL: this machine */
  bool made;        /* this machine is not like that: code is made and not run */
  uint64_t seed;    /* the first */
  int count;        /* programs, graphs, entries of a list */
  bool exactly;     /* so many and no more, whatever ops were in them */
} sn_conform_opt;

/* Tile programs: on each, results of every element, guard words around every buffer, inputs untouched, and the same
 * bits for the grid at once and instance by instance backwards. Goes on beyond opt->count until every op was seen, but
 * not for long. Ops that kernels never hold when a backend sees them do not count. owns: arena */
void sn_conform_programs(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out);

/* Every op of the table on every element type that it takes and on shapes of odd extents, forward and backward; nothing
 * fused, everything fused. A list: opt->seed is where to begin in it, from 0; it begins with each op once. owns: arena
 */
void sn_conform_laws(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out);

/* Every kind of kernel, forward and backward, at extents around the tiles of schedules. A list, as above. owns: arena
 */
void sn_conform_kernels(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out);

/* Random graphs, nothing fused and everything, compared within the interpreter's bounds. owns: arena */
void sn_conform_graphs(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out);

/* One graph of a model, nothing fused and everything, compared within estimated bounds. needs: c->data drawn.
 * Adds to *out. owns: arena */
void sn_conform_model(const sn_conform_opt *opt, const sn_case *c, sn_arena *arena, sn_conform *out);

/* Private: one graph in one way. what: its name in failures; shows: they hold its text. -> was it compared? */
typedef struct sn_conform_trial {
  const sn_conform_opt *opt;
  sn_arena *arena, *kept; /* of the trial, of the result */
  sn_diags *diags;
  sn_conform *out;
} sn_conform_trial;
bool sn_conform_case(const sn_conform_trial *t, const sn_case *c, const sn_oracle *o, const char *fuse,
                     const char *what, bool shows);

/* Private: runs fn(&trial, user) with an arena and diagnostics of its own; its errors are failures. */
void sn_conform_try(const sn_conform_opt *opt, sn_arena *kept, sn_conform *out,
                    sn_code (*fn)(const sn_conform_trial *t, void *user), void *user);

/* Private: which of the ops that there are were in something that was compared. counts: by op; NULL: all */
void sn_conform_seen(sn_conform *out, sn_arena *arena, const int64_t *ops, bool (*counts)(const void *user, int op),
                     const void *user);

/* Private: one more refusal, one more failure. */
void sn_conform_refuse(sn_conform *out, const char *why, sn_arena *arena);
void sn_conform_fail(sn_conform *out, sn_arena *arena, const char *format, ...) SN_PRINTF(3, 4);

#endif
