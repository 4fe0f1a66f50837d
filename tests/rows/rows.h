/* Rows of systems that are settled by training: a model is trained on a task whose best result is known, and what it
 * reached is compared with what the row asks. Controls, which must not reach it, are part of each row. */
#ifndef SN_TESTS_ROWS_H
#define SN_TESTS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/sinter_host.h"

enum { ROW_LENGTH_MAX = 2048, ROW_LEARNED = 1, ROW_FRESH = 2 /* seeds of samples */ };

/* What a model is asked. */
typedef struct row_task {
  /* Sample `index`: tokens and answers [length], answers counted from 0 or -1 where nothing is asked. A model learns
   * answer + 1, and 0 where nothing is asked. */
  void (*sample)(const struct row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers);
  /* The sizes of training batch `index`, at most those of k; NULL: all are alike. */
  void (*vary)(struct row_task *k, uint64_t seed, uint64_t index);
  int length;       /* tokens of a sample */
  int count;        /* the task's own number */
  const void *data; /* and what it is made from */
} row_task;

/* A model and how it is trained. */
typedef struct row_net {
  const sn_model *model;
  const char *set;   /* its settings */
  const char *graph; /* from tokens to logits */
  int batch, steps;  /* rows of a batch; at most so many runs */
  float lr;
  double enough; /* nats an answer of fresh samples, looked at every 100 runs: then it is done */
} row_net;

typedef struct row_run row_run;

/* owns: the caller, row_end */
row_run *row_begin(const row_net *n);
row_run *row_train(const row_net *n, const row_task *k); /* begun and trained */
void row_end(row_run *w);
/* Has the weights of another run, whose settings may differ in what has no weights. */
void row_take(row_run *w, row_run *from);

/* Of `count` fresh samples, those answers at `from` or behind: the share of right ones, and the mean of -log p. */
typedef struct row_score {
  double right, loss;
  int64_t asked;
} row_score;
row_score row_eval(row_run *w, const row_task *k, int from, int count);

/* A line of the table: `value` must be at least, or at most, the bound. */
void row_at_least(const char *row, const char *check, double value, double bound);
void row_at_most(const char *row, const char *check, double value, double bound);

/* Runs checks by name, those that take seconds (quick), or all.   -> the program's result */
typedef struct row_check {
  const char *name;
  void (*run)(void);
  bool quick;
} row_check;
int row_main(int argc, char **argv, const row_check *check, int count);

#endif
