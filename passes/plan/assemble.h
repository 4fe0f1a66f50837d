/* A plan under construction: slots, kernels without duplicates, graphs with their steps. */
#ifndef SN_PASSES_PLAN_ASSEMBLE_H
#define SN_PASSES_PLAN_ASSEMBLE_H

#include "ir/graph/graph.h"
#include "ir/kernel/kernel.h"
#include "ir/plan/plan.h"
#include "ir/types/target.h"
#include "passes/lower/lower.h"

typedef struct sn_plan_build {
  sn_arena *arena; /* of the result */
  sn_diags *diags;
  const sn_target *target;
  const sn_pass_env *env; /* rules that are off; NULL: none */
  sn_types *types;
  int slot_count, slot_capacity;
  sn_slot *slot;
  int kernel_count, kernel_capacity;
  sn_kernel **kernel;     /* finished; position = code of the plan */
  sn_map *kernel_of_text; /* printed text -> position + 1 */
  sn_map *name_uses;      /* kernel name -> kernels that wanted it */
  int graph_count, graph_capacity;
  sn_plan_graph *graph;
  int step_count, step_capacity;
  sn_step *step;  /* of the graph being built */
  bool preparing; /* steps go to the prepare steps, temporaries last */
  int prepare_count, prepare_capacity;
  sn_step *prepare;
  sn_map *packed; /* what is packed, as text -> slot + 1 */
  int temps;      /* numbered per graph */
  int ahead;      /* values made while preparing */
} sn_plan_build;

void sn_assemble_begin(sn_plan_build *p, sn_arena *arena, sn_diags *diags, const sn_target *target, sn_types *types);
/* -> position of the slot. Strings are kept as they are. */
int sn_assemble_slot(sn_plan_build *p, const sn_slot *s);
/* A temporary of the graph being built; while preparing, a packed slot. */
int sn_assemble_temp(sn_plan_build *p, const char *name, const sn_type *type, const sn_dimx *elements);
/* Expands elementary functions, simplifies, finishes; -> position of the equal kernel. errors: SN_ERR_FAIL a broken
 * kernel */
SN_MUST sn_code sn_assemble_kernel(sn_plan_build *p, sn_kernel *k, int *out);
/* Appends a copy of the step to the graph being built, or to the prepare steps; while preparing, always to those. */
void sn_assemble_step(sn_plan_build *p, const sn_step *s, bool prepare);
/* A CHOOSE or WHILE step, whose blocks are the steps appended until each is ended. -> its number */
int sn_assemble_begin_blocks(sn_plan_build *p, const sn_step *s);
void sn_assemble_end_block(sn_plan_build *p, int step, int block);
/* Closes the graph: lifetimes of its temporaries, its steps. */
void sn_assemble_graph(sn_plan_build *p, const char *name, int refusal_count, const sn_refusal *refusal);
sn_plan *sn_assemble_end(sn_plan_build *p);

#endif
