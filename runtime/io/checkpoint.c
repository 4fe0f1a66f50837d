/* Checkpoint files: store -> file, newest valid file -> store.
 *   layout: magic (8), header length u64, header JSON padded to 64, tensors each padded to 64, XXH3-128 of all before
 * (16) */
#include "runtime/io/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/io/checkpoint_file.h"
#include "runtime/io/file.h"

enum { KEEP = 2 };

/* ---- the folder --------------------------------------------------------------------------------- */

/* Step of a file name; -1: it is none of ours. */
static int64_t step_of(const char *name) {
  int64_t step = 0;
  if (strncmp(name, "step-", 5)) return -1;
  const char *p = name + 5;
  for (; *p >= '0' && *p <= '9' && p - name < 23; p++) step = step * 10 + (*p - '0');
  return p - name >= 13 && !strcmp(p, ".ckpt") ? step : -1;
}

static bool is_leftover(const char *name) { return !strncmp(name, "step-", 5) && strstr(name, ".ckpt.tmp-"); }

static int descending(const void *x, const void *y) {
  int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
  return (a < b) - (a > b);
}

static char *path_of(sn_arena *arena, const char *folder, int64_t step) {
  return sn_arena_printf(arena, "%s/step-%08" PRId64 ".ckpt", folder, step);
}

/* Steps that have a file, newest first; a missing folder has none.   -> -1: it cannot be read, see errno */
static int list_steps(sn_arena *arena, const char *folder, int64_t **out, bool clean) {
  int count = 0, capacity = 0;
  int64_t *at = NULL;
  DIR *d = opendir(folder);
  if (!d && errno != ENOENT) return -1;
  for (struct dirent *e; d && (e = readdir(d));) {
    if (clean && is_leftover(e->d_name)) unlink(sn_arena_printf(arena, "%s/%s", folder, e->d_name));
    int64_t step = step_of(e->d_name);
    if (step < 0) continue;
    SN_GROW(arena, at, count, capacity);
    at[count++] = step;
  }
  if (d) closedir(d);
  if (count) qsort(at, (size_t)count, sizeof *at, descending);
  *out = at;
  return count;
}

/* Leaves `newest` and the one before. Later ones are of a run that this one left behind when it resumed. */
static void prune(sn_arena *arena, const char *folder, int64_t newest) {
  int64_t *step;
  int count = list_steps(arena, folder, &step, true), kept = 0;
  for (int i = 0; i < count; i++)
    if (step[i] > newest || ++kept > KEEP) unlink(path_of(arena, folder, step[i]));
}

/* ---- saving ------------------------------------------------------------------------------------- */

static sn_code save(sn_arena *arena, const char *folder, sn_store *s, const sn_plan *p, const sn_checkpoint_info *info,
                    sn_diags *diags) {
  const char *path = path_of(arena, folder, info->step);
  if (mkdir(folder, 0777) && errno != EEXIST) {
    sn_code code = errno == ENOSPC || errno == EDQUOT ? SN_ERR_LIMIT : SN_ERR_FAIL;
    return sn_fail(diags, code, (sn_loc){.file = folder}, "cannot make folder %s: %s", folder, strerror(errno));
  }
  const sn_text header = sn_checkpoint_header(arena, s, p, info); /* nothing is asked for while the file is open */
  sn_file_out *f;
  SN_TRY(sn_file_begin(path, diags, &f));
  sn_code code = sn_checkpoint_write(f, &header, s, p, diags);
  if (code) {
    sn_file_abandon(f);
    return code;
  }
  SN_TRY(sn_file_commit(f, diags));
  prune(arena, folder, info->step);
  return SN_OK;
}

sn_code sn_checkpoint_save(const char *folder, sn_store *s, const sn_plan *p, const sn_checkpoint_info *info,
                           sn_diags *diags) {
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = folder}, "out of memory");
  sn_code code = save(arena, folder, s, p, info, diags);
  sn_arena_destroy(arena);
  return code;
}

/* ---- resuming ----------------------------------------------------------------------------------- */

typedef struct resume {
  sn_store *s;
  const sn_plan *p;
  const sn_checkpoint_info *run;
  sn_diags *diags;
  const char *path;
} resume;

static sn_code differs(const resume *r, const char *what, const char *expected, const char *found) {
  sn_fail(r->diags, SN_ERR_INPUT, (sn_loc){.file = r->path}, "the checkpoint belongs to another run: %s differs", what);
  sn_fail_expected(r->diags, "%s", expected);
  sn_fail_found(r->diags, "%s", found);
  return SN_ERR_INPUT;
}

static sn_code differs_int(const resume *r, const char *what, int64_t expected, int64_t found) {
  char a[32], b[32];
  snprintf(a, sizeof a, "%" PRId64, expected);
  snprintf(b, sizeof b, "%" PRId64, found);
  return differs(r, what, a, b);
}

static sn_code differs_hash(const resume *r, const char *what, uint64_t expected, uint64_t found) {
  char a[32], b[32];
  snprintf(a, sizeof a, "%016" PRIx64, expected);
  snprintf(b, sizeof b, "%016" PRIx64, found);
  return differs(r, what, a, b);
}

/* The next option from *i on that has to be the same; NULL: none. `like`: the run's, which know what is loose. */
static const sn_run_option *next_option(int count, const sn_run_option *option, const sn_checkpoint_info *like,
                                        int *i) {
  for (; *i < count; ++*i) {
    bool loose = false;
    for (int k = 0; k < like->option_count; k++)
      loose |= like->option[k].loose && !strcmp(like->option[k].name, option[*i].name);
    if (!loose) return &option[(*i)++];
  }
  return NULL;
}

static sn_code check_options(const resume *r, const sn_checkpoint_info *c) {
  const sn_checkpoint_info *run = r->run;
  for (int i = 0, k = 0;;) {
    const sn_run_option *a = next_option(run->option_count, run->option, run, &i);
    const sn_run_option *b = next_option(c->option_count, c->option, run, &k);
    if (!a && !b) return SN_OK;
    if (a && b && !strcmp(a->name, b->name) && !strcmp(a->value, b->value)) continue;
    bool same = a && b && !strcmp(a->name, b->name);
    char what[80];
    snprintf(what, sizeof what, "--%.60s", a ? a->name : b->name);
    return differs(r, what, a ? a->value : "not given", same ? b->value : a ? "not given" : b->value);
  }
}

static sn_code check_run(const resume *r, const sn_checkpoint_info *c) {
  const sn_checkpoint_info *run = r->run;
  if (strcmp(run->model, c->model)) return differs(r, "the model", run->model, c->model);
  if (strcmp(run->settings, c->settings)) return differs(r, "the settings", run->settings, c->settings);
  if (run->batch != c->batch) return differs_int(r, "the batch size", run->batch, c->batch);
  if (run->window != c->window) return differs_int(r, "the context", run->window, c->window);
  if (run->seed != c->seed) return differs_int(r, "the seed", (int64_t)run->seed, (int64_t)c->seed);
  SN_TRY(check_options(r, c));
  if (run->data_hash != c->data_hash) return differs_hash(r, "the data", run->data_hash, c->data_hash);
  for (int i = 0; i < 2; i++)
    if (run->plan_hash[i] != c->plan_hash[i])
      return differs_hash(r, "the compiled plan (model, compiler or processor)", run->plan_hash[i], c->plan_hash[i]);
  return SN_OK;
}

/* Every parameter and state must be there with its bytes before one of them is written. */
static sn_code restore(const resume *r, const sn_checkpoint_file *c, bool write) {
  for (int i = 0; i < r->p->slot_count; i++) {
    const sn_slot *slot = &r->p->slot[i];
    if (!sn_store_owns(r->s, i)) continue;
    int64_t bytes = sn_store_bytes(r->s, i);
    void *to = write ? sn_store_overwrite(r->s, i, &bytes) : NULL;
    const sn_checkpoint_tensor *t = sn_checkpoint_find(c, slot->name);
    if (!t || (write && !to) || t->elem != slot->type->elem)
      return differs(r, "a tensor", slot->name, "no such tensor");
    if (t->bytes != bytes) return differs_int(r, slot->name, bytes, t->bytes);
    if (write && bytes) memcpy(to, t->data, (size_t)bytes);
  }
  return SN_OK;
}

static sn_code apply(const resume *r, const sn_checkpoint_file *c) {
  SN_TRY(check_run(r, &c->info));
  SN_TRY(restore(r, c, false));
  SN_TRY(restore(r, c, true));
  *sn_store_tally(r->s) = c->tally;
  sn_store_touch(r->s);
  return SN_OK;
}

/* Reads and checks one file. *valid false: it is damaged, and the messages in `quiet` say how. */
static sn_code try_file(resume *r, sn_arena *arena, sn_diags *quiet, bool *valid) {
  char *data;
  size_t bytes;
  sn_checkpoint_file c;
  *valid = false;
  sn_code code = sn_file_read(r->path, SIZE_MAX / 4, quiet, &data, &bytes);
  if (!code) {
    code = sn_checkpoint_parse(arena, quiet, r->path, data, bytes, &c);
    *valid = !code;
    if (!code) code = apply(r, &c);
    free(data);
  }
  if (*valid || code != SN_ERR_LIMIT) return *valid ? code : SN_OK;
  return sn_fail(r->diags, code, (sn_loc){.file = r->path}, "no memory to read the checkpoint");
}

static sn_code find_newest(resume *r, const char *folder, sn_arena *arena, sn_diags *quiet,
                           void (*on_skip)(void *user, const char *message), void *user, int64_t *out_step) {
  int64_t *step;
  int count = list_steps(arena, folder, &step, false);
  if (count < 0) {
    sn_code code = errno == ENOMEM || errno == EMFILE || errno == ENFILE ? SN_ERR_LIMIT : SN_ERR_FAIL;
    return sn_fail(r->diags, code, (sn_loc){.file = folder}, "cannot list the checkpoints: %s", strerror(errno));
  }
  for (int i = 0; i < count; i++) {
    bool valid;
    r->path = path_of(arena, folder, step[i]);
    SN_TRY(try_file(r, arena, quiet, &valid));
    if (valid) {
      *out_step = step[i];
      return SN_OK;
    }
    const char *why = quiet->count ? quiet->at[quiet->count - 1].message : "unreadable";
    if (on_skip) on_skip(user, sn_arena_printf(arena, "%s is skipped: %s", r->path, why));
  }
  *out_step = -1;
  return SN_OK;
}

sn_code sn_checkpoint_resume(const char *folder, sn_store *s, const sn_plan *p, const sn_checkpoint_info *run,
                             void (*on_skip)(void *user, const char *message), void *user, sn_diags *diags,
                             int64_t *out_step) {
  resume r = {.s = s, .p = p, .run = run, .diags = diags};
  sn_arena *arena = sn_arena_scratch();
  sn_diags *quiet = sn_diags_scratch();
  sn_code code = arena && quiet ? find_newest(&r, folder, arena, quiet, on_skip, user, out_step)
                                : sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = folder}, "out of memory");
  sn_diags_destroy(quiet);
  sn_arena_destroy(arena);
  return code;
}

sn_code sn_checkpoint_read_info(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                                sn_checkpoint_info *out) {
  sn_checkpoint_file c;
  SN_TRY(sn_checkpoint_parse(arena, diags, file, data, bytes, &c));
  *out = c.info;
  return SN_OK;
}
