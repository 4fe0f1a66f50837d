/* One graph with its data and one way to run it, compared with the interpreter: what fuzz, reduce and bisect try. */
#ifndef SN_BACKENDS_FAULTS_CHECK_H
#define SN_BACKENDS_FAULTS_CHECK_H

#include "backends/compile.h"
#include "ir/ref/interp.h"

/* A graph as text and everything that its results depend on. */
typedef struct sn_case {
  const char *file;       /* for messages */
  const char *text;       /* of the module */
  const char *graph;      /* its name */
  int dim_count;          /* symbols of the module */
  const int64_t *dims;    /* their values */
  int data_count;         /* inputs, parameters and states of the graph */
  const sn_binding *data; /* by name */
} sn_case;

/* How it is compiled and run. */
typedef struct sn_variant {
  const sn_backend *backend;                  /* as sn_compile_opt.backend; NULL: target decides */
  const char *backend_file;                   /* where `backend` came from: for what is printed; NULL: none */
  const char *target, *fuse, *isa, *disabled; /* as sn_compile_opt; NULL: default */
  const char *vocab, *scan;                   /* the same */
  int threads;                                /* 0: 1 */
  const sn_stage_text *kernels;               /* as sn_compile_opt; NULL: none */
  bool interpret;                             /* as sn_compile_opt */
  bool source;  /* nothing is compiled: values without any pass, gradients against differences (sn_case_gradients) */
  sn_map *hits; /* as sn_compile_opt; NULL: none */
  const char *cache_dir; /* "": none */
} sn_variant;

/* Values and bounds of every result, by the graph interpreter. */
typedef struct sn_oracle {
  sn_module *module;  /* without call and grad */
  const sn_func *f;   /* the graph */
  sn_tensor **values; /* by value id */
} sn_oracle;

typedef struct sn_checked {
  int64_t total, excluded, mismatched; /* elements of outputs and states */
  const char *first;                   /* the first mismatch in words; NULL: none */
  const char *name;                    /* of the output or state that it is in */
  uint64_t hash;                       /* of all outputs and states, bit by bit */
} sn_checked;

/* The module of a text, verified. */
SN_MUST sn_code sn_case_parse(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_module **out);

/* Draws values for the leaves that have none yet: floats normal times `scale`, integers below `int_limit`, states and
 * scalars with a default as they start. A leaf's values depend on the seed and its name. owns: arena */
SN_MUST sn_code sn_case_draw(sn_case *c, uint64_t seed, int64_t int_limit, double scale, sn_arena *arena,
                             sn_diags *diags);

/* errors: those of the graph and its data. */
SN_MUST sn_code sn_case_oracle(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_oracle *out);

/* The same with estimated bounds (sn_interp_run_spread): for whole models, whose proven ones are infinite. */
SN_MUST sn_code sn_case_estimate(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_oracle *out);

/* Values of any graph function of the same leaves and outputs, without bounds. */
SN_MUST sn_code sn_case_interpret(const sn_case *c, const sn_func *f, bool bounds, sn_arena *arena, sn_diags *diags,
                                  sn_tensor ***values);

/* Compiles and runs the case as v says and compares every output and state with the oracle.
 * errors: those of compiling and running; a mismatch is none. */
SN_MUST sn_code sn_case_check(const sn_case *c, const sn_variant *v, const sn_oracle *o, sn_arena *arena,
                              sn_diags *diags, sn_checked *out);

/* Did an error say that the target lacks something? -> what; NULL: no. text: of the error */
const char *sn_lacks(sn_code code, const char *text);

/* Sees a run of one thread: once before it, then after each step of the graph. */
typedef struct sn_watcher {
  void (*begin)(void *user, const sn_compiled *c, sn_runtime *r);
  void (*step)(void *user, int step); /* -1: the run has ended well */
  void *user;
} sn_watcher;

/* Compiles and runs the case under a watcher; compares nothing. errors: those of compiling and running */
SN_MUST sn_code sn_case_watch(const sn_case *c, const sn_variant *v, const sn_watcher *w, sn_arena *arena,
                              sn_diags *diags);

/* Adds one comparison to the sums. found: elements stored in the type of `oracle`. */
void sn_checked_add(sn_checked *out, sn_arena *arena, const char *what, const char *name, const sn_tensor *oracle,
                    const void *found);

/* "--target cpu --fuse none ..": the options of `sinter run` that say the same. owns: arena */
const char *sn_variant_text(const sn_variant *v, sn_arena *arena);

/* The module as text. owns: arena */
const char *sn_module_text(const sn_module *m, sn_arena *arena);

#endif
