/* Loss over a whole text: every token once, in windows one after another. Prints nothing. */
#ifndef SN_RUNTIME_LOOP_EVAL_H
#define SN_RUNTIME_LOOP_EVAL_H

#include "runtime/io/dataset.h"
#include "runtime/runtime.h"

typedef struct sn_eval_opt {
  sn_runtime *runtime;
  const sn_plan *plan;
  sn_store *store;
  const sn_dataset *data; /* its validation part is measured */
  int64_t batch, window;  /* B and T of a run */
  /* After each run: tokens done, of how many. Returns false to stop. NULL: none */
  bool (*on_tokens)(void *user, int64_t done, int64_t count);
  void *user;
} sn_eval_opt;

typedef struct sn_eval_result {
  int64_t tokens;   /* predicted: all but the first of the text, and those left out */
  int64_t windows;  /* whole ones */
  int64_t last;     /* tokens of the last, partial window; 0: none */
  int64_t left_out; /* tokens at the end that the graph takes in no window: its T is not free */
  double loss;      /* mean over the tokens, nats */
  double seconds;
} sn_eval_result;

/* Each window begins without memory of the one before; the last one is shorter when the text does not divide.
 * needs: a graph `eval` (tokens, targets or none i32[B, T]) -> loss, the mean over its tokens.
 * errors: SN_ERR_INTERRUPTED on_tokens said stop; those of the runtime. */
SN_MUST sn_code sn_eval(const sn_eval_opt *o, sn_diags *diags, sn_eval_result *out);

typedef struct sn_eval_rows_opt {
  sn_runtime *runtime;
  const sn_plan *plan;
  sn_store *store;
  int32_t *tokens, *targets; /* [rows, length] */
  int64_t rows, length;
  int64_t draw; /* what the graph draws at random, it draws otherwise for other numbers */
} sn_eval_rows_opt;

/* One run of the graph `eval`. *out_loss: the graph's mean over the rows, nats. errors: those of the runtime */
SN_MUST sn_code sn_eval_rows(const sn_eval_rows_opt *o, sn_diags *diags, double *out_loss);

#endif
