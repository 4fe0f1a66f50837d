/* Training and grading of what rows of systems ask, through the C interface; and their table. */
#include "tests/rows/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVERY = 100 };

struct row_run {
  const row_net *net;
  sn_ctx *ctx;
  sn_program *program;
  sn_store *store;
  int vocab, step;
};

static int failed, lines;
static const char *running;
static struct timespec since;

static void must(const row_run *w, sn_code code) {
  if (!code) return;
  fprintf(stderr, "%s: %s\n", running, sn_ctx_error(w->ctx));
  exit(2);
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

typedef struct batch {
  int rows, length;
  int32_t *tokens, *targets; /* [rows, length]; targets: answer + 1 */
} batch;

static void draw_row(const row_task *k, uint64_t seed, uint64_t index, int32_t *tokens, int32_t *targets) {
  int x[ROW_LENGTH_MAX], y[ROW_LENGTH_MAX];
  k->sample(k, seed, index, x, y);
  for (int t = 0; t < k->length; t++) tokens[t] = x[t], targets[t] = y[t] + 1;
}

static batch batch_draw(const row_task *k, int rows, uint64_t seed, uint64_t index) {
  size_t count = (size_t)rows * (size_t)k->length;
  batch b = {rows, k->length, malloc(count * 4), malloc(count * 4)};
  for (int i = 0; i < rows; i++) {
    int64_t at = (int64_t)i * k->length;
    draw_row(k, seed, index * (uint64_t)rows + (uint64_t)i, b.tokens + at, b.targets + at);
  }
  return b;
}

static void batch_free(batch *b) {
  free(b->tokens);
  free(b->targets);
}

/* ---- training --------------------------------------------------------------------------------------------------- */

static int vocab_of(row_run *w) {
  sn_tensor_view v;
  must(w, sn_store_tensor(w->store, "embed.weight", &v));
  return (int)v.extent[0];
}

row_run *row_begin(const row_net *n) {
  char graphs[64];
  row_run *w = calloc(1, sizeof *w);
  w->net = n;
  snprintf(graphs, sizeof graphs, "train|%s", n->graph);
  must(w, sn_ctx_create(&(sn_ctx_opt){.threads = 1}, &w->ctx)); /* models are small */
  must(w, sn_compile(w->ctx, n->model, &(sn_compile_opt){.graphs = graphs, .set = n->set}, &w->program));
  must(w, sn_store_create_for(w->program, ROW_LEARNED, "B=64", &w->store));
  w->vocab = vocab_of(w);
  return w;
}

void row_end(row_run *w) {
  sn_ctx_destroy(w->ctx);
  free(w);
}

void row_take(row_run *w, row_run *from) {
  char path[64];
  snprintf(path, sizeof path, "rows-%d.safetensors", (int)getpid());
  must(from, sn_store_save(from->store, path));
  must(w, sn_store_load(w->store, path));
  unlink(path);
}

static float step(row_run *w, const row_task *k) {
  const row_net *n = w->net;
  row_task now = *k;
  if (k->vary) k->vary(&now, ROW_LEARNED, (uint64_t)w->step);
  batch b = batch_draw(&now, n->batch, ROW_LEARNED, (uint64_t)w->step);
  float lr = n->lr, least = n->lr / 10, decay = 0, loss;
  int32_t warm = n->steps / 20, steps = n->steps;
  must(w, sn_run(w->program, "train", w->store, {"tokens", b.tokens, {b.rows, b.length}},
                 {"targets", b.targets, {b.rows, b.length}}, {"lr", &lr, {0}}, {"min_lr", &least, {0}},
                 {"warmup", &warm, {0}}, {"steps", &steps, {0}}, {"weight_decay", &decay, {0}}, {"loss", &loss, {0}}));
  batch_free(&b);
  w->step++;
  return loss;
}

row_run *row_train(const row_net *n, const row_task *k) {
  row_run *w = row_begin(n);
  double mean = 0;
  while (w->step < n->steps) {
    mean += (double)step(w, k) / EVERY;
    if (w->step % EVERY) continue;
    row_score s = row_eval(w, k, 0, 64);
    if (getenv("ROWS_VERBOSE"))
      fprintf(stderr, "%s: step %d, loss %.4f; fresh: right %.4f, %.4f nat\n", running, w->step, mean, s.right, s.loss);
    mean = 0;
    if (s.loss <= n->enough) break;
  }
  return w;
}

/* ---- grading ---------------------------------------------------------------------------------------------------- */

static void grade(const float *z, int vocab, int target, row_score *s) {
  double most = z[0], sum = 0;
  int best = 0;
  for (int v = 1; v < vocab; v++)
    if ((double)z[v] > most) most = (double)z[v], best = v;
  for (int v = 0; v < vocab; v++) sum += exp((double)z[v] - most);
  s->right += best == target;
  s->loss += most + log(sum) - (double)z[target];
  s->asked++;
}

static void grade_batch(row_run *w, const batch *b, int from, row_score *s) {
  int64_t rows = (int64_t)b->rows * b->length;
  float *z = malloc((size_t)(rows * w->vocab) * sizeof *z);
  sn_store_reset(w->store, "layers.*|-*adam*"); /* states of what was seen before */
  must(w, sn_run(w->program, w->net->graph, w->store, {"tokens", b->tokens, {b->rows, b->length}},
                 {"logits", z, {b->rows, b->length, w->vocab}}));
  for (int64_t i = 0; i < rows; i++)
    if (b->targets[i] > 0 && i % b->length >= from) grade(z + i * w->vocab, w->vocab, b->targets[i], s);
  free(z);
}

row_score row_eval(row_run *w, const row_task *k, int from, int count) {
  row_score s = {0};
  int rows = w->net->batch < count ? w->net->batch : count;
  for (int i = 0; i < count / rows; i++) {
    batch b = batch_draw(k, rows, ROW_FRESH, (uint64_t)i);
    grade_batch(w, &b, from, &s);
    batch_free(&b);
  }
  s.right /= (double)s.asked;
  s.loss /= (double)s.asked;
  return s;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void line(const char *row, const char *check, double value, const char *how, double bound, bool pass) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("| %s | %s | %.4g | %s %.4g | %s | %.0f s |\n", row, check, value, how, bound, pass ? "PASS" : "FAIL",
         (double)(now.tv_sec - since.tv_sec) + (double)(now.tv_nsec - since.tv_nsec) * 1e-9);
  fflush(stdout);
  since = now;
  failed += !pass;
  lines++;
}

void row_at_least(const char *row, const char *check, double value, double bound) {
  line(row, check, value, "at least", bound, value >= bound);
}
void row_at_most(const char *row, const char *check, double value, double bound) {
  line(row, check, value, "at most", bound, value <= bound);
}

static bool is_named(const row_check *c, int argc, char **argv) {
  if (argc < 2) return true;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], c->name) || (c->quick && !strcmp(argv[i], "quick"))) return true;
  return false;
}

int row_main(int argc, char **argv, const row_check *check, int count) {
  if (!SN_HAVE_LLVM) return printf("skipped: built without LLVM\n"), 77;
  for (int i = 0; i < count; i++) {
    if (!is_named(&check[i], argc, argv)) continue;
    running = check[i].name;
    clock_gettime(CLOCK_MONOTONIC, &since);
    check[i].run();
  }
  if (!lines) fprintf(stderr, "no such row\n");
  return failed || !lines;
}
