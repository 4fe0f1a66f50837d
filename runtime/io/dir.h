/* The folder of a trained model: model.safetensors, graph.sn, settings.json, run.json, tokenizer.json, model.plan,
 * checkpoints/, metrics.jsonl, loss.svg, and a lock while a run writes it. */
#ifndef SN_RUNTIME_IO_DIR_H
#define SN_RUNTIME_IO_DIR_H

#include "ir/base/str.h"
#include "ir/base/status.h"

typedef struct sn_dir {
  const char *path;
  const char *weights, *graph, *settings, *recipe, *tokenizer, *plan, *checkpoints, *metrics, *curve,
      *lock; /* below it */
} sn_dir;

/* Names only; nothing is opened. owns: arena. */
sn_dir sn_dir_of(sn_arena *arena, const char *path);

/* Makes a folder and those above it. out_made: it was not there before.  errors: SN_ERR_LIMIT, SN_ERR_FAIL, with the
 * system's reason */
SN_MUST sn_code sn_dir_make(const char *path, sn_diags *diags, bool *out_made);

typedef enum sn_dir_mode {
  SN_DIR_NEW,    /* must not exist */
  SN_DIR_RESUME, /* must exist */
  SN_DIR_FORCE,  /* may exist: a former run's files are removed, others stay */
} sn_dir_mode;

/* Held by a run. */
typedef struct sn_dir_lock {
  int fd;    /* -1: none */
  bool made; /* the folder was not there before */
} sn_dir_lock;

/* May a run begin in this mode? Nothing is made.  errors: SN_ERR_USAGE as sn_dir_open */
SN_MUST sn_code sn_dir_check(const sn_dir *d, sn_dir_mode mode, sn_diags *diags);
/* Makes or opens the folder for a run and locks it against a second one until the lock is released or the process ends.
 * errors: SN_ERR_USAGE it exists (NEW), is missing (RESUME), or is no folder; SN_ERR_FAIL cannot be made, or another
 * run holds it. */
SN_MUST sn_code sn_dir_open(const sn_dir *d, sn_dir_mode mode, sn_diags *diags, sn_dir_lock *out_lock);
void sn_dir_release(sn_dir_lock lock);
/* The same after a start that failed: a folder that it made goes away, if it holds nothing but the lock. */
void sn_dir_abandon(const sn_dir *d, sn_dir_lock lock);

#endif
