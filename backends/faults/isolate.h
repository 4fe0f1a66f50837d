/* A piece of work in a process of its own: a crash or a hang of it is a result like any other. */
#ifndef SN_BACKENDS_FAULTS_ISOLATE_H
#define SN_BACKENDS_FAULTS_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SN_OUTCOME_TEXT = 600 };

typedef enum sn_outcome_kind {
  SN_OUTCOME_NONE,    /* begun */
  SN_OUTCOME_RIGHT,   /* agrees */
  SN_OUTCOME_WRONG,   /* a mismatch */
  SN_OUTCOME_REFUSED, /* the target lacks something and says what */
  SN_OUTCOME_ERROR,   /* a diagnostic */
  SN_OUTCOME_CRASH,   /* a signal, or an exit */
  SN_OUTCOME_HANG,    /* took more time of the processor than allowed */
} sn_outcome_kind;

/* Plain data: it comes through a pipe. */
typedef struct sn_outcome {
  uint64_t seed;
  sn_outcome_kind kind;
  int code;    /* ERROR: sn_code */
  int variant; /* that failed */
  int runs;
  int64_t total, excluded;
  char text[SN_OUTCOME_TEXT]; /* what was wrong */
} sn_outcome;

typedef void (*sn_isolated_fn)(void *user, uint64_t seed, sn_outcome *out);

/* fn(user, seed, &o) in a child, for at most `seconds` of the processor. false: there is no child process to be had. */
bool sn_isolate(sn_isolated_fn fn, void *user, uint64_t seed, int seconds, sn_outcome *out);

/* The same for seeds from .. to - 1, one after another in few children; take(taker, &o) for each in order, until it
 * returns false. false: there is no child process to be had. */
bool sn_isolate_range(sn_isolated_fn fn, void *user, uint64_t from, uint64_t to, int seconds,
                      bool (*take)(void *taker, const sn_outcome *o), void *taker);

/* Are these the same mistake? Numbers and names of values may differ. */
bool sn_outcome_same(const sn_outcome *a, const sn_outcome *b);
static inline bool sn_outcome_failed(const sn_outcome *o) {
  return o->kind != SN_OUTCOME_RIGHT && o->kind != SN_OUTCOME_REFUSED;
}

#endif
