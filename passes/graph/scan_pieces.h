/* Scans walked in pieces of their steps: what the forms of scans are made of. */
#ifndef SN_PASSES_GRAPH_SCAN_PIECES_H
#define SN_PASSES_GRAPH_SCAN_PIECES_H

#include "ir/ops/ops.h"

/* A scan that is to be emitted. */
typedef struct sn_scan_make {
  const char *axes;
  int states, inputs, arg_count;
  const sn_val *arg; /* states, inputs, captures */
  const sn_func *step;
  bool reverse;
  bool stored; /* its states before each step are further results, as gradients want them */
} sn_scan_make;

sn_scan_make sn_scan_make_of(const sn_node *n, const sn_val *arg);
/* -> its first result, 0 after an error */
sn_val sn_scan_emit(sn_build *b, const sn_scan_make *s);

/* The step as a function of its own under the name "step.WHAT". */
const sn_func *sn_scan_step_copy(sn_build *b, const sn_func *step, const char *what);
/* The type of operand i inside the step. */
const sn_type *sn_scan_inner_type(const sn_build *b, const sn_scan_make *s, int i);

/* Steps in pieces of `piece`: so many whole ones, and what is left over. With `reverse` the rest stands in front: it is
 * always walked last. */
typedef struct sn_scan_cut {
  int axis; /* of time among the letters */
  const sn_dimx *steps, *piece, *count, *whole, *rest;
  const sn_dimx *whole_at, *rest_at; /* first steps of both */
} sn_scan_cut;
sn_scan_cut sn_scan_cut_of(const sn_build *b, const sn_scan_make *s, int piece);
/* The whole pieces of an input [.., T, ..] -> [.., count, piece, ..]; the rest [.., rest, ..]. */
sn_val sn_scan_cut_whole(sn_build *b, const sn_scan_cut *c, sn_val x);
sn_val sn_scan_cut_rest(sn_build *b, const sn_scan_cut *c, sn_val x);
/* An output of the pieces [.., count, piece, ..] and one of the rest (0: there is none) -> [.., T, ..]. */
sn_val sn_scan_cut_join(sn_build *b, const sn_scan_cut *c, sn_val pieces, sn_val rest);
/* Walks the rest from these states; joins its outputs to those of the pieces. out: states, outputs */
void sn_scan_cut_finish(sn_build *b, const sn_scan_cut *c, const sn_scan_make *s, int outputs, const sn_val *state,
                        const sn_val *pieces, sn_val *out);

/* The same scan with its steps in pieces: a scan over the pieces, whose step walks one with a scan of its own. Its
 * gradient keeps the states before each piece, and makes those inside again.
 *   out: states, outputs. -> false: it has too many axes for that; nothing was added */
bool sn_scan_in_pieces(sn_build *b, const sn_scan_make *s, int piece, sn_val *out);

/* Steps of a piece: near the square root of the steps there may be. */
int sn_scan_piece_of(const sn_build *b, const sn_scan_make *s);
/* Are there more states in a step than twice what goes in and out of it? Then to store those of every step is what a
 * gradient costs in memory. */
bool sn_scan_states_dominate(const sn_build *b, const sn_scan_make *s);
/* Steps of a piece where the states of all steps are large in memory; 0: they may well be stored. forced: so many,
 * whatever they take; 0: none. */
int sn_scan_pieces_wanted(const sn_build *b, const sn_scan_make *s, int forced);

#endif
