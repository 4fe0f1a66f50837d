/* The training loop: steps of the graph `train`, evaluations with `eval`, checkpoints, clean stops. Prints nothing. */
#ifndef SN_RUNTIME_LOOP_TRAIN_H
#define SN_RUNTIME_LOOP_TRAIN_H

#include <signal.h>

#include "runtime/io/dataset.h"
#include "runtime/runtime.h"

typedef struct sn_scalar_value {
  const char *name; /* scalar input of the graph `train` */
  double value;
} sn_scalar_value;

typedef struct sn_train_event {
  int64_t step, steps; /* steps done, of how many */
  double loss;         /* of the newest step */
  double train_loss;   /* mean since the evaluation before; NAN without steps */
  double val_loss;     /* NAN unless this is an evaluation with validation data */
  double tokens_per_s; /* training only, since the start */
  double seconds;      /* since the start */
  double watched;      /* output `watch` of the newest step; NAN without */
  double eta_s;        /* until the last step */
  bool evaluation;     /* val_loss was measured */
  bool last;
} sn_train_event;

typedef struct sn_train_opt {
  sn_runtime *runtime;
  const sn_plan *plan;
  sn_store *store;
  const sn_dataset *data;
  int64_t batch, window;    /* B and T */
  int64_t first, steps;     /* first: steps done before (a resumed run) */
  int64_t eval_every;       /* steps; 0: only at the end */
  int64_t eval_batches;     /* batches of one evaluation; < 0: the whole split */
  int64_t checkpoint_every; /* steps; 0: only at the end */
  uint64_t seed;
  int scalar_count;
  const sn_scalar_value *scalar;
  const char *watch;           /* a further f32[] output of `train` to report; NULL: none */
  volatile sig_atomic_t *stop; /* set from outside: finish the step, save, return SN_ERR_INTERRUPTED; NULL: never */
  /* After every batch of an evaluation: done, of how many; NULL: none. */
  void (*on_batch)(void *user, int64_t done, int64_t count);
  /* After every step; not called when there is no step left to do. */
  void (*on_event)(void *user, const sn_train_event *e);
  /* Saves everything after `step` steps. Its failure does not end the run: it is reported by on_warning and tried again
   * at the next occasion; at the end it is the result. */
  sn_code (*save)(void *user, int64_t step, sn_diags *diags);
  void (*on_warning)(void *user, const char *message);
  /* Asked before an evaluation or a save: does the data still hold what the run was started with? An error ends the run
   * without saving. NULL: no. */
  sn_code (*check)(void *user, int64_t step, sn_diags *diags);
  /* A step failed its check (NaN or Inf): the state is untouched. Adds the diagnostic that names the culprit. */
  void (*on_nonfinite)(void *user, int64_t step, int count, const sn_buffer *buffers, sn_diags *diags);
  void *user;
} sn_train_opt;

/* Runs steps first..steps. errors: SN_ERR_NUMERIC a check failed (the weights of the step before stay, and are saved);
 * SN_ERR_INTERRUPTED; those of the runtime. needs: graph `train` with inputs tokens, targets (or none) [B, T] and
 * output loss; `eval` likewise if there is validation data. out: the last event. */
SN_MUST sn_code sn_train(const sn_train_opt *o, sn_diags *diags, sn_train_event *out);

/* Mean loss of the graph `eval` over `batches` batches spread over the validation split (< 0: all of it, every token
 * once). NAN when there is no validation data. */
SN_MUST sn_code sn_evaluate(const sn_train_opt *o, sn_diags *diags, double *out_loss);

#endif
