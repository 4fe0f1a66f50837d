/* One training run of the command: prepared in cmd_train.c, run and reported in train_run.c. */
#ifndef SN_FRONTEND_CLI_TRAIN_H
#define SN_FRONTEND_CLI_TRAIN_H

#include "frontend/cli/progress.h"
#include "frontend/cli/teacher.h"
#include "runtime/io/dir.h"
#include "runtime/io/metrics.h"
#include "runtime/io/recipe.h"
#include "runtime/loop/train.h"

typedef struct cli_training {
  cli *c;
  const char *path; /* of the model */
  int set_count;    /* settings that it was loaded with */
  const char *const *set;
  cli_source source;
  bool distills, serves; /* serves: generation has its graphs, and a plan */
  cli_teacher *teacher;  /* of a distillation; NULL: none */
  uint64_t teacher_hash; /* of its parameters */
  sn_compiled compiled;  /* train and eval */
  uint64_t plan_hash[2]; /* sn_compile_identity of it, once identified: the first checkpoint asks for it */
  bool identified;
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
  sn_recipe started, recipe; /* what a resumed run was started with, and what this call does */
  const char *dir_path;
  sn_dir dir;
  sn_dir_lock lock;
  char *init; /* image of the file of --init, until it is in the store; freed */
  size_t init_bytes;
  sn_runtime *runtime;
  sn_store *store;
  sn_metrics *metrics;
  int skipped;      /* checkpoints that are damaged */
  double last_line; /* when the progress line was printed */
  cli_progress evaluating;
  bool tty;
  sn_code printed; /* what printing JSON came to: once it failed, no more is printed, and training goes on */
} cli_training;

/* Resuming: options that the call leaves out are those that the run was started with; others that differ are refused,
 * or announced where they change no weight that was computed before. */
SN_MUST sn_code cli_recipe_restore(cli_training *t);
/* Fills t->recipe. errors: SN_ERR_INPUT a resumed run was started with other data. */
SN_MUST sn_code cli_recipe_record(cli_training *t);

/* Reads the file of weights that --init names, if one is named. */
SN_MUST sn_code cli_training_read_init(cli_training *t);
/* Starts from these weights; none are named: from those of the seed. */
SN_MUST sn_code cli_training_init(cli_training *t);

/* Writes everything of the folder but weights and checkpoints: before the first step, so that a run that is killed can
 * be used. */
SN_MUST sn_code cli_training_describe(cli_training *t);

/* Resumes if asked, trains, writes weights, metrics and curve; prints progress, and JSON if asked. */
SN_MUST sn_code cli_training_run(cli_training *t);

#endif
