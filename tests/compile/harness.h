/* Compiles a graph, runs it, and compares every output and state with the interpreter within its running bound. */
#ifndef SN_TESTS_COMPILE_HARNESS_H
#define SN_TESTS_COMPILE_HARNESS_H

#include "backends/compile.h"
#include "ir/ref/interp.h"

#ifndef CHECK_SAMPLE
#define CHECK_SAMPLE 1 /* every how manieth case; more of them are left out under sanitizers */
#endif

typedef struct check_opt {
  sn_compile_opt compile; /* cache_dir: check_cache() unless set */
  const char *graph;
  const int64_t *dims; /* by symbol of the module */
  int threads;         /* 0: 1 */
  uint64_t seed;       /* of inputs, parameters and states */
  int64_t int_limit;   /* integer inputs are in [0, int_limit); 0: 2 */
  double scale;        /* standard deviation of float inputs; 0: 1 */
  double factor;       /* of the bound; 0: 1 */
  int spread; /* 0: proven bounds; else bounds estimated from that many noisy executions: for whole models, where proven
                 ones multiply with every layer */
  bool keep_store; /* parameters and states keep their initial values */
} check_opt;

typedef struct check_result {
  sn_compiled compiled;
  int64_t total, excluded, mismatched;
  const char *first; /* "output loss element 3: expected .. found .. bound .."; NULL: none */
  uint64_t hash;     /* of all outputs and states, bit by bit */
} check_result;

/* Everything lives in `arena`; consumes the module. */
SN_MUST sn_code check_graph(sn_module *m, const check_opt *opt, sn_arena *arena, sn_diags *diags, check_result *out);

/* Folder of this process's object cache: a kernel that many cases share is made once. */
const char *check_cache(void);

/* Is there a Vulkan device? Says why not. */
bool check_has_vulkan(void);

/* A module from text; fails the running cmocka test on errors. */
sn_module *check_parse(sn_arena *arena, sn_diags *diags, const char *text);

#endif
