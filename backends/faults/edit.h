/* Steps of reducing: a case -> one with less in it. A step that gives no valid graph fails quietly. */
#ifndef SN_BACKENDS_FAULTS_EDIT_H
#define SN_BACKENDS_FAULTS_EDIT_H

#include "backends/faults/check.h"

typedef enum sn_cut {
  SN_CUT_INPUT,   /* an input that holds the value */
  SN_CUT_CONST,   /* 0.5, 1 or true everywhere */
  SN_CUT_OPERAND, /* the operand of that number, which has its type */
} sn_cut;

typedef struct sn_edit {
  int from, to; /* nodes of the graph that are cut */
  sn_cut how;
  int operand;
  int output, update; /* dropped; -1: none */
  bool below;         /* the output is not dropped, but becomes the operand of that number of its node */
  bool guard;         /* dropped */
} sn_edit;

static inline sn_edit sn_edit_none(void) { return (sn_edit){.output = -1, .update = -1}; }

/* named: numbers the inputs that take the place of nodes. owns: arena
 * errors: SN_ERR_FAIL when the result is no graph, or nothing changes */
SN_MUST sn_code sn_case_edit(const sn_case *c, const sn_edit *e, int *named, sn_arena *arena, sn_case *out);

/* Extent i of the case: symbols first, then the constants that its types mention; -1: there are no more. */
int64_t sn_case_extent(const sn_case *c, int i);
/* The case with `to` in place of extent i. errors: as above */
SN_MUST sn_code sn_case_shrink(const sn_case *c, int i, int64_t to, sn_arena *arena, sn_case *out);

typedef enum sn_case_part { SN_CASE_NODES, SN_CASE_OUTPUTS, SN_CASE_UPDATES } sn_case_part;
int sn_case_count(const sn_case *c, sn_case_part part);

/* Everything of it in another arena. */
void sn_case_copy(sn_case *to, const sn_case *from, sn_arena *arena);

#endif
