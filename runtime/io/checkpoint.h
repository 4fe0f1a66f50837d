/* Checkpoints: everything that a run needs to go on, in one file that is whole or invalid. */
#ifndef SN_RUNTIME_IO_CHECKPOINT_H
#define SN_RUNTIME_IO_CHECKPOINT_H

#include "runtime/io/recipe.h"
#include "runtime/runtime.h"

/* What a run is, beside its tensors: a checkpoint of another one is refused, naming what differs. */
typedef struct sn_checkpoint_info {
  int64_t step; /* steps done; rows of the data follow from it */
  uint64_t seed;
  uint64_t plan_hash[2]; /* sn_compile_identity: of the plan with its usual kernels, tuned or not */
  uint64_t data_hash;    /* of the tokens */
  const char *model;
  const char *settings;
  int64_t batch, window;
  int option_count;
  const sn_run_option *option; /* what the run was started with */
} sn_checkpoint_info;

/* Writes FOLDER/step-%08lld.ckpt atomically, then removes all but the newest two. Makes the folder.
 * errors: SN_ERR_LIMIT disk full, SN_ERR_FAIL; older checkpoints are left alone then. */
SN_MUST sn_code sn_checkpoint_save(const char *folder, sn_store *s, const sn_plan *p, const sn_checkpoint_info *info,
                                   sn_diags *diags);

/* Loads the newest valid checkpoint of a folder into a store: parameters and states. Invalid files are skipped, each
 * with a message to on_skip. *out_step: its step, -1: there is none. errors: SN_ERR_INPUT a valid one that belongs to
 * another run: model, settings, options, plan, data, seed, batch or context. */
SN_MUST sn_code sn_checkpoint_resume(const char *folder, sn_store *s, const sn_plan *p, const sn_checkpoint_info *run,
                                     void (*on_skip)(void *user, const char *message), void *user, sn_diags *diags,
                                     int64_t *out_step);

/* Checks a file image completely and reads its header. owns: arena.  errors: SN_ERR_INPUT */
SN_MUST sn_code sn_checkpoint_read_info(sn_arena *arena, sn_diags *diags, const char *file, const void *data,
                                        size_t bytes, sn_checkpoint_info *out);

#endif
