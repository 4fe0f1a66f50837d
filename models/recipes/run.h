/* How a recipe is run, for `sinter recipe`; recipes themselves need recipe.h only. */
#ifndef SINTER_MODELS_RECIPES_RUN_H
#define SINTER_MODELS_RECIPES_RUN_H

#include "ir/base/status.h"
#include "models/recipes/recipe.h"

/* All rows, by file and in the order of each. -> NULL behind the last */
const recipe_row *recipe_row_at(int i);
/* What the full form took when docs/systems.md was written; 0: it does not say. */
double recipe_row_seconds(const recipe_row *row);

typedef struct recipe_check {
  recipe_kind kind;
  const char *what;
  bool at_least; /* else at most */
  double value, bound;
  double of, share, low, high; /* of: trials behind a share, with its interval; 0: the value is none */
  bool pass;                   /* of controls: that the bound is missed */
  const char *skipped;         /* why it was not judged; NULL: it was. Those that are skipped pass */
} recipe_check;

typedef struct recipe_trained {
  const char *label, *model, *graph;
  int64_t parameters, changed; /* numbers in the store; of them in tensors that the steps changed */
  int steps;
  const char *batch; /* the first port of the feed: "tokens[16, 64]" */
  double rate, loss; /* the highest rate; mean loss of the last tenth of the steps */
  double seconds;
} recipe_trained;

typedef struct recipe_line {
  const char *title; /* of its chart */
  const char *label;
  int count, capacity;
  double *x, *y;
} recipe_line;

typedef struct recipe_options {
  bool quick;
  uint64_t seed;
  int threads;
  const char *target;    /* NULL: cpu */
  const char *cache_dir; /* as in sn_ctx_opt */
  const char *text;      /* for models of bytes */
  int64_t text_bytes;
  void *user;
  void (*on_step)(void *user, const char *label, int64_t done, int64_t count, double loss); /* NULL: none */
  void (*on_trained)(void *user, const recipe_trained *t);                                  /* NULL: none */
  void (*on_check)(void *user, const recipe_check *c);                                      /* NULL: none */
} recipe_options;

typedef struct recipe_result {
  int check_count, trained_count, line_count;
  const recipe_check *check;
  const recipe_trained *trained;
  const recipe_line *line;
  double seconds;
  bool pass; /* there are checks, and all of them pass */
} recipe_result;

/* Trains and checks. owns: arena. errors: those of compiling and running; checks that fail are none */
SN_MUST sn_code recipe_run(const recipe_row *row, const recipe_options *o, sn_arena *arena, sn_diags *diags,
                           recipe_result *out);

#endif
