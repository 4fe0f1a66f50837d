/* Graph interpreter: the oracle. f64 arithmetic, and per element a running error bound for an execution in the declared
 * types (any order of summation, fused or not). Executes any function, before or after any pass. */
#ifndef SN_IR_REF_INTERP_H
#define SN_IR_REF_INTERP_H

#include "ir/base/rng.h"
#include "ir/graph/graph.h"
#include "ir/ref/tensor.h"

typedef struct sn_binding {
  const char *name;
  const sn_tensor *tensor;
} sn_binding;

typedef struct sn_interp {
  sn_arena *arena; /* results live here */
  sn_diags *diags;
  const int64_t *dims; /* value of each symbol of the module */
  int leaf_count;
  const sn_binding *leaf;   /* inputs, parameters, states by name; a scalar input may be left to its default */
  bool no_bounds;           /* values only: faster */
  bool round;               /* no bounds; instead an execution in the declared types: every result is rounded to its */
                            /* type, sums run in a shuffled order: to test that bounds hold */
  double noise;             /* with round: results also move by up to this many roundoffs at random; 0: none */
  sn_rng shuffle;           /* with round: where orders of summation come from */
  bool find_nonfinite;      /* stop at the first node with a NaN or a magnitude above its type's maximum */
  const sn_node *nonfinite; /* out: that node */
  void (*on_node)(void *user, const sn_func *f, const sn_node *n, sn_tensor *const *results); /* NULL: none */
  void *user;
  sn_map *cache; /* private, NULL at first: bodies of expansions by node, kept for further runs */
  int depth;     /* private, 0 at first: bodies being run */
} sn_interp;

/* Runs a graph. values[v] for every value id of f is set (array allocated in the arena).
 * errors: SN_ERR_INPUT missing or misshapen leaf, gather index out of range (at the node's line);
 *         SN_ERR_NUMERIC with find_nonfinite. */
SN_MUST sn_code sn_interp_run(sn_interp *in, const sn_func *f, sn_tensor ***values);
/* Like sn_interp_run, with estimated bounds: 8 times the largest deviation among `runs` executions in the declared
 * types with random roundings and orders, plus the rounding of the last operation. An estimate, not a proof; for whole
 * models, where proven bounds multiply with every layer. What differs in kind between executions (integers, bools, NaN)
 * has an infinite bound. runs: 4 or more. Needs no more memory than two runs. */
SN_MUST sn_code sn_interp_run_spread(sn_interp *in, const sn_func *f, int runs, sn_tensor ***values);
/* A graph run again and again, each time on the states that its run before left. Bounds are estimated as above, from
 * executions that go their own way from the first step on: what a curve of many steps may differ by. */
typedef struct sn_rollout sn_rollout;
/* in: leaves as they are before the first step; other leaves than states are read anew in each step.
 * keeps: in->arena and in->leaf. owns: in->arena. */
SN_MUST sn_code sn_rollout_create(const sn_interp *in, const sn_func *f, int runs, sn_rollout **out);
/* values[v] as of sn_interp_run_spread, in `arena`. A step whose guard is false leaves the states as they are. */
SN_MUST sn_code sn_rollout_step(sn_rollout *r, sn_arena *arena, sn_tensor ***values);
/* Runs a body on arguments; results in order. */
SN_MUST sn_code sn_interp_call(sn_interp *in, const sn_func *body, int arg_count, sn_tensor *const *args,
                               sn_tensor **results);

#endif
