/* One training run of the command: prepared in cmd_train.c, run and reported in train_run.c. */
#ifndef SN_FRONTEND_CLI_TRAIN_H
#define SN_FRONTEND_CLI_TRAIN_H

#include "frontend/cli/cli.h"
#include "runtime/io/dir.h"
#include "runtime/io/metrics.h"
#include "runtime/loop/train.h"

typedef struct cli_training {
  cli *c;
  const char *path; /* of the model */
  cli_source source;
  sn_compiled compiled; /* train and eval */
  int part_count;
  sn_dataset_part *parts;
  sn_tokenizer *tokenizer;
  sn_dataset *data;
  int scalar_count;
  sn_scalar_value scalar[16];
  int64_t batch, window, steps, eval_every, eval_batches, checkpoint_every;
  double val_fraction;
  uint64_t seed;
  int threads;
  const char *dir_path;
  sn_dir dir;
  int lock;
  sn_runtime *runtime;
  sn_store *store;
  sn_metrics *metrics;
  double last_line; /* when the progress line was printed */
  bool tty;
} cli_training;

/* Resumes if asked, trains, writes weights, metrics and curve; prints progress, and JSON if asked. */
SN_MUST sn_code cli_training_run(cli_training *t);

#endif
