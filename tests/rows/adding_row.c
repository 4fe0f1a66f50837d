/* rec.rnn: the adding problem, whose answer is a number. */
#include "tests/rows/adding_row.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/sinter_host.h"
#include "tests/oracles/copying.h"

enum { LENGTH = 100, ROWS = 64, LEARNED = 1, FRESH = 2 /* seeds */ };

extern const sn_model sn_model_adding;

typedef struct numbers {
  float value[ROWS * LENGTH], mark[ROWS * LENGTH], sum[ROWS];
} numbers;

static void draw(numbers *n, uint64_t seed, int batch) {
  double value[LENGTH], mark[LENGTH];
  for (int r = 0; r < ROWS; r++) {
    n->sum[r] = (float)adding_sample(seed, (uint64_t)(batch * ROWS + r), LENGTH, value, mark);
    for (int t = 0; t < LENGTH; t++)
      n->value[r * LENGTH + t] = (float)value[t], n->mark[r * LENGTH + t] = (float)mark[t];
  }
}

/* One batch; its squared error. */
static double run(sn_program *p, const char *graph, sn_store *s, numbers *n, float lr) {
  float loss = 0;
  sn_io io[] = {{"value", n->value, {ROWS, LENGTH}},
                {"mark", n->mark, {ROWS, LENGTH}},
                {"sum", n->sum, {ROWS}},
                {"loss", &loss, {0}},
                {"lr", &lr, {0}}};
  return SN_API(run)(p, graph, s, io, lr > 0 ? 5 : 4, sizeof *io) ? -1 : (double)loss;
}

static double fresh(sn_program *p, sn_store *s, numbers *n) {
  double mean = 0;
  for (int i = 0; i < 8; i++) {
    draw(n, FRESH, i);
    mean += run(p, "eval", s, n, 0) / 8;
  }
  return mean;
}

double adding_error(int steps, double enough) {
  sn_ctx *ctx = NULL;
  sn_program *p = NULL;
  sn_store *s = NULL;
  numbers *n = malloc(sizeof *n);
  double error = 1e9;
  if (sn_ctx_create(&(sn_ctx_opt){.threads = 1}, &ctx) || sn_compile(ctx, &sn_model_adding, NULL, &p) ||
      sn_store_create(p, LEARNED, &s)) {
    fprintf(stderr, "%s\n", ctx ? sn_ctx_error(ctx) : "no memory");
    exit(2);
  }
  for (int i = 1; i <= steps && error > enough; i++) {
    draw(n, LEARNED, i);
    if (run(p, "train", s, n, i < steps / 2 ? 5e-3f : 1e-3f) < 0) fprintf(stderr, "%s\n", sn_ctx_error(ctx)), exit(2);
    if (i % 100 == 0) error = fresh(p, s, n);
    if (i % 100 == 0 && getenv("ROWS_VERBOSE")) fprintf(stderr, "adding: step %d, error %.5f\n", i, error);
  }
  sn_ctx_destroy(ctx);
  free(n);
  return error;
}
