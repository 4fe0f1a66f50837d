/* Teacher and student in one program: the student's training graph with the distance from a frozen teacher in its loss.
 *
 *   loss = cross entropy + kd_weight t^2 D(softmax(student / t), softmax(teacher / t))
 *
 * kd_weight and temperature are scalar inputs of the graph, so that runs may change them without compiling again. The
 * weight may move in a line to kd_end, which it reaches at update `steps`. */
#ifndef SN_FRONTEND_DISTILL_H
#define SN_FRONTEND_DISTILL_H

#include "ir/graph/graph.h"

#define SN_TEACHER "teacher." /* before the names of the teacher's parameters in the store */

typedef struct sn_distill_opt {
  const sn_module *student;   /* graphs train (tokens, targets) -> loss, and perhaps eval */
  const sn_module *teacher;   /* graph logits (tokens i32[B, T]) -> logits [B, T, V] */
  const char *divergence;     /* kind of the op divergence */
  double temperature, weight; /* defaults of the inputs */
  int64_t window;             /* T of a training step */
  bool changes;               /* the weight moves to `end` with the steps: inputs kd_end, steps, state step */
  double end;                 /* default of kd_end */
} sn_distill_opt;

/* The longest T of the tokens of a graph; 0: it takes none. */
int64_t sn_distill_context(const sn_module *m, const char *graph);
/* T of a step: the longest that both take, 0 when there is none. */
int64_t sn_distill_window(const sn_module *student, const sn_module *teacher);

/* -> a module with `train` (T is `window`; outputs loss, the student's alone, and kd) and, as it is, the student's
 * `eval`. Parameters of the teacher are frozen and called "teacher.NAME".
 * owns: arena. errors: SN_ERR_INPUT graphs that are missing or do not fit, with expected and found. */
SN_MUST sn_code sn_distill_module(const sn_distill_opt *o, sn_arena *arena, sn_diags *diags, sn_module **out);

#endif
