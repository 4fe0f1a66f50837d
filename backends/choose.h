/* Which of several kernels of equal bits a plan gets: what was measured to be best, or the model's choice. */
#ifndef SN_BACKENDS_CHOOSE_H
#define SN_BACKENDS_CHOOSE_H

#include "backends/backend.h"
#include "backends/cache.h"
#include "ir/types/limits.h"
#include "passes/lower/schedule.h"

/* A node that could be several kernels. */
typedef struct sn_choice {
  uint64_t id[2];                 /* of the kernel that is usual, with target and code generator */
  uint64_t kernel;                /* of the one that was taken */
  int count, taken;               /* kernels; which one */
  int model;                      /* which one the cost model takes */
  double predicted[SN_SCHEDULES]; /* seconds, of each */
  bool tuned;                     /* it was taken because it was measured */
} sn_choice;

/* What was measured: pairs of an identity and the kernel that is best. */
typedef struct sn_tuned {
  int count, capacity;
  struct sn_tuned_row {
    uint64_t id[2], kernel;
  } *at;
} sn_tuned;

typedef struct sn_chooser {
  sn_arena *arena;
  const sn_target *target;
  const sn_backend *backend;
  sn_limits limits;
  bool chooses; /* else every node becomes its usual kernel */
  int forced;   /* take this one wherever there is one; -1: choose */
  sn_tuned tuned;
  int count, capacity;
  sn_choice *at; /* in order */
  int *code;     /* of the plan, by choice */
  int code_capacity;
} sn_chooser;

/* Reads what was measured on this machine. A damaged file, or lines that name no candidate, change nothing. */
void sn_tuned_read(const sn_cache *cache, const sn_target *t, const sn_backend *b, sn_arena *arena, sn_tuned *out);
/* Adds to what the cache holds, in place of what it says of the same identities. */
void sn_tuned_write(const sn_cache *cache, const sn_target *t, const sn_backend *b, sn_arena *arena,
                    const sn_tuned *add);
void sn_tuned_add(sn_tuned *t, sn_arena *arena, const uint64_t id[2], uint64_t kernel);

/* Everything that its choices follow from, as text: part of the key of whole plans. */
void sn_chooser_print(sn_text *out, const sn_chooser *c);

/* For sn_pass_env. user: sn_chooser */
int sn_choose(void *user, int count, const sn_kernel *const *kernel);
void sn_chose(void *user, int code);

#endif
