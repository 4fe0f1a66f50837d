/* A prepared training run: signals, progress, checkpoints, metrics, curve. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/progress.h"
#include "runtime/io/json.h"
#include "frontend/cli/data.h"
#include "frontend/cli/train.h"
#include "runtime/io/checkpoint.h"
#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"
#include "runtime/io/svg.h"

/* Set by signals; the second SIGINT ends the process at once. */
static volatile sig_atomic_t stop_asked;

static void on_signal(int number) {
  if (stop_asked && number == SIGINT) _exit(130);
  stop_asked = 1;
}

static void catch_signals(void) {
  struct sigaction a = {.sa_handler = on_signal};
  sigemptyset(&a.sa_mask);
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
  sigaction(SIGHUP, &a, NULL);
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

/* What the weights depend on beside the data; of a distillation also the teacher. */
static const char *identity(const cli_training *t) {
  if (!t->teacher) return t->source.settings;
  return sn_arena_printf(t->c->arena, "%s teacher=%016llx", t->source.settings, (unsigned long long)t->teacher_hash);
}

static sn_code info_of(cli_training *t, int64_t step, sn_checkpoint_info *out) {
  *out = (sn_checkpoint_info){.step = step,
                              .seed = t->seed,
                              .data_hash = sn_dataset_hash(t->data),
                              .model = t->source.name,
                              .settings = identity(t),
                              .batch = t->batch,
                              .window = t->window,
                              .option_count = t->recipe.option_count,
                              .option = t->recipe.option};
  if (!t->identified) SN_TRY(sn_compile_identity(&t->compiled, t->c->diags, t->plan_hash));
  t->identified = true;
  memcpy(out->plan_hash, t->plan_hash, sizeof out->plan_hash);
  return SN_OK;
}

/* Steps since the newest checkpoint may have seen other data: no new one is written. */
static sn_code check_data(void *user, int64_t step, sn_diags *diags) {
  cli_training *t = user;
  (void)step;
  return cli_data_check(t->data, diags);
}

static sn_code save(void *user, int64_t step, sn_diags *diags) {
  cli_training *t = user;
  sn_checkpoint_info info;
  SN_TRY(info_of(t, step, &info));
  SN_TRY(sn_checkpoint_save(t->dir.checkpoints, t->store, t->compiled.plan, &info, diags));
  return sn_store_save(t->store, t->compiled.plan, t->dir.weights, diags);
}

static void on_skip(void *user, const char *message) {
  cli_training *t = user;
  cli_log(&t->c->log, CLI_LOG_WARN, "skipped: %s", message);
  t->skipped++;
}

sn_code cli_training_read_init(cli_training *t) {
  const char *path = cli_init_file(t->c);
  sn_safetensors parts;
  if (!path) return SN_OK;
  SN_TRY(sn_file_read(path, SIZE_MAX / 4, t->c->diags, &t->init, &t->init_bytes));
  return sn_safetensors_read(t->c->arena, t->c->diags, path, t->init, t->init_bytes, &parts);
}

sn_code cli_training_init(cli_training *t) {
  const char *path = cli_init_file(t->c);
  sn_load mode = cli_has(t->c, CLI_TRAINABLE) ? SN_LOAD_TUNE : SN_LOAD_ALL;
  if (!path) return SN_OK;
  if (!t->init) SN_TRY(cli_training_read_init(t));
  SN_TRY(sn_store_load_image(t->store, t->compiled.plan, path, t->init, t->init_bytes, mode, t->c->diags));
  free(t->init);
  t->init = NULL;
  return SN_OK;
}

static sn_code resume(cli_training *t, int64_t *first) {
  cli *c = t->c;
  *first = 0;
  if (!cli_has(c, CLI_RESUME)) return SN_OK;
  sn_checkpoint_info info;
  SN_TRY(info_of(t, 0, &info));
  SN_TRY(sn_checkpoint_resume(t->dir.checkpoints, t->store, t->compiled.plan, &info, on_skip, t, c->diags, first));
  if (*first < 0 && t->skipped) {
    sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = t->dir.checkpoints},
            "no checkpoint is whole: nothing was changed");
    sn_fail_note(c->diags, "the weights in %s may be: --init takes them; --force starts over", t->dir.weights);
    return SN_ERR_INPUT;
  }
  if (*first < 0 && !access(t->dir.weights, F_OK)) { /* they are written after the first checkpoint */
    sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = t->dir.checkpoints},
            "the checkpoints of the run are gone: nothing was changed");
    sn_fail_expected(c->diags, "the newest step-*.ckpt");
    sn_fail_found(c->diags, "weights of a run that wrote some, %s", t->dir.weights);
    sn_fail_note(c->diags, "--force starts over, and --init %s with these weights", t->dir.weights);
    return SN_ERR_INPUT;
  }
  if (*first < 0) {
    *first = 0;
    cli_log(&c->log, CLI_LOG_WARN, "no checkpoint in %s yet: starting at step 0", t->dir.checkpoints);
    return cli_training_init(t);
  }
  return SN_OK;
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

static void progress_line(cli_training *t, const sn_train_event *e) {
  char eta[32];
  bool keep = e->evaluation || e->last;
  if (!keep && cli_now() - t->last_line < (t->tty ? 0.2 : 10)) return;
  t->last_line = cli_now();
  cli_duration(eta, sizeof eta, e->eta_s);
  fprintf(stderr, "%sstep %lld/%lld  loss %.4f", t->tty ? "\r\033[K" : "", (long long)e->step, (long long)e->steps,
          isfinite(e->train_loss) ? e->train_loss : e->loss);
  if (isfinite(e->watched)) fprintf(stderr, "  kd %.4f", e->watched);
  if (isfinite(e->val_loss)) fprintf(stderr, "  val %.4f", e->val_loss);
  fprintf(stderr, "  %s tok/s  eta %s%s", cli_human(t->c->arena, floor(e->tokens_per_s), ""), eta,
          keep || !t->tty ? "\n" : "");
  fflush(stderr);
}

static void json_number(sn_text *t, const char *name, double x) {
  if (isfinite(x))
    sn_text_add(t, ", \"%s\": %.9g", name, x);
  else
    sn_text_add(t, ", \"%s\": null", name);
}

static void json_line(cli_training *t, const sn_train_event *e) {
  sn_text x = sn_text_begin(t->c->arena);
  sn_text_add(&x, "{\"step\": %lld", (long long)e->step);
  json_number(&x, "train_loss", e->train_loss);
  json_number(&x, "val_loss", e->val_loss);
  if (t->teacher) json_number(&x, "kd", e->watched);
  json_number(&x, "tokens_per_s", e->tokens_per_s);
  sn_text_add(&x, "}\n");
  t->printed = cli_print(t->c, &x);
}

static void on_batch(void *user, int64_t done, int64_t count) {
  cli_training *t = user;
  if (done == 1) t->evaluating = cli_progress_begin("evaluation", "batches");
  cli_progress_at(&t->evaluating, done, count);
}

static void on_event(void *user, const sn_train_event *e) {
  cli_training *t = user;
  progress_line(t, e);
  if (!e->evaluation) return;
  if (cli_has(t->c, CLI_JSON) && !t->printed) json_line(t, e);
  sn_metric m[] = {{"step", (double)e->step},         {"train_loss", e->train_loss}, {"val_loss", e->val_loss},
                   {"tokens_per_s", e->tokens_per_s}, {"seconds", e->seconds},       {"kd", e->watched}};
  if (!sn_metrics_add(t->metrics, t->teacher ? 6 : 5, m))
    cli_log(&t->c->log, CLI_LOG_WARN, "warning: %s cannot be written; training goes on", t->dir.metrics);
}

static void on_warning(void *user, const char *message) {
  cli_training *t = user;
  if (t->tty) fputs("\r\033[K", stderr);
  cli_log(&t->c->log, CLI_LOG_WARN, "warning: %s; training goes on", message);
}

/* Replays the step on the untouched state in the interpreter, which names the first op that leaves the finite numbers.
 */
static void on_nonfinite(void *user, int64_t step, int count, const sn_buffer *buffers, sn_diags *diags) {
  cli_training *t = user;
  cli *c = t->c;
  const sn_plan *p = t->compiled.plan;
  int graph = sn_plan_find_graph(p, "train");
  int64_t bytes, *dims = SN_ARRAY(c->arena, sn_types_symbol_count(p->types) + 1, int64_t);
  void **data = SN_ARRAY(c->arena, p->slot_count + 1, void *);
  for (int i = 0; i < sn_types_symbol_count(p->types); i++) {
    const char *name = sn_dimx_symbol_name(sn_types_symbol(p->types, i));
    dims[i] = !strcmp(name, "B")   ? t->batch
              : !strcmp(name, "T") ? t->window
                                   : sn_dimx_max_value(sn_types_symbol(p->types, i));
  }
  for (int i = 0; i < p->slot_count; i++) {
    if (p->slot[i].role == SN_SLOT_PARAM || p->slot[i].role == SN_SLOT_STATE)
      data[i] = (void *)sn_store_read(t->store, i, &bytes);
    for (int k = 0; k < count && p->slot[i].graph == graph; k++)
      if (!strcmp(p->slot[i].name, buffers[k].name) && p->slot[i].role == SN_SLOT_INPUT) data[i] = buffers[k].data;
  }
  if (sn_compile_blame(&t->compiled, "train", dims, data, diags))
    sn_fail_note(diags, "in step %lld; the weights are those of the step before", (long long)step + 1);
  else
    sn_fail(
        diags, SN_ERR_NUMERIC, (sn_loc){0},
        "the loss or a gradient of step %lld is not finite in f32 arithmetic; the weights are those of the step before",
        (long long)step + 1);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static sn_code write_curve(cli_training *t) {
  cli *c = t->c;
  sn_series s[2] = {{.label = "training"}, {.label = "validation"}};
  double *x, *y;
  int count;
  static const char *const column[] = {"train_loss", "val_loss"};
  for (int i = 0; i < 2; i++) {
    SN_TRY(sn_metrics_read(c->arena, c->diags, t->dir.metrics, "step", column[i], &count, &x, &y));
    s[i].count = count, s[i].x = x, s[i].y = y;
  }
  sn_text svg = sn_text_begin(c->arena);
  sn_svg_lines(&svg, sn_arena_printf(c->arena, "%s: loss", t->source.name), "step", "loss (nats per token)", 2, s);
  return sn_file_write_all(t->dir.curve, svg.at, (size_t)svg.count, c->diags);
}

static sn_code report(cli_training *t, const sn_train_event *e) {
  cli *c = t->c;
  if (!cli_has(c, CLI_JSON)) {
    fprintf(stderr,
            "wrote %s: model.safetensors, graph.sn, settings.json, run.json, tokenizer.json, %scheckpoints/, "
            "metrics.jsonl, loss.svg\n",
            t->dir_path, t->serves ? "model.plan, " : "");
    return SN_OK;
  }
  sn_text x = sn_text_begin(c->arena);
  sn_text_add(&x, "{\"done\": true");
  json_number(&x, "val_loss", e->val_loss);
  json_number(&x, "seconds", e->seconds);
  sn_text_add(&x, ", \"out\": ");
  sn_json_quote(&x, t->dir_path);
  sn_text_add(&x, "}\n");
  return cli_print(c, &x);
}

typedef struct weights {
  int64_t own, trained, teacher; /* elements: of the model, of what a step changes, of the reference model */
} weights;

static weights count_weights(const cli_training *t) {
  const sn_plan *p = t->compiled.plan;
  weights w = {0};
  int64_t n;
  for (int i = 0; i < p->slot_count; i++) {
    if (p->slot[i].role != SN_SLOT_PARAM || !sn_dimx_is_const(p->slot[i].elements, &n)) continue;
    *(sn_store_owns(t->store, i) ? &w.own : &w.teacher) += n;
    if (!p->slot[i].frozen) w.trained += n;
  }
  return w;
}

static void say_start(cli_training *t) {
  cli *c = t->c;
  weights w = count_weights(t);
  if (t->teacher)
    fprintf(stderr, "teacher %s: %s, %s parameters, %s divergence\n", t->teacher->path, t->teacher->dir.settings.model,
            cli_human(c->arena, (double)w.teacher, ""), t->teacher->divergence);
  if (w.trained < w.own)
    fprintf(stderr, "%s: %lld of %lld parameters are trained\n", t->source.name, (long long)w.trained,
            (long long)w.own);
  fprintf(stderr,
          "%s: %s parameters, %d kernels (%d from the cache), compiled in %.2f s; %s training and %s validation "
          "tokens, batch %lld x %lld\n",
          t->source.name, cli_human(c->arena, (double)w.own, ""), t->compiled.kernel_count, t->compiled.cache_hits,
          (t->compiled.pass_ms + t->compiled.lower_ms + t->compiled.code_ms) * 1e-3,
          cli_human(c->arena, (double)sn_dataset_train_count(t->data), ""),
          cli_human(c->arena, (double)sn_dataset_val_count(t->data), ""), (long long)t->batch, (long long)t->window);
}

/* A run that is further than --steps says stays as it is. */
static sn_code report_nothing(cli_training *t, int64_t done) {
  const sn_train_event nothing = {.step = done, .val_loss = NAN};
  fprintf(stderr,
          "sinter: nothing to do: %s is at step %lld, and --steps %lld counts from the beginning of the run; more than "
          "%lld go on\n",
          t->dir_path, (long long)done, (long long)t->steps, (long long)done);
  return cli_has(t->c, CLI_JSON) ? report(t, &nothing) : SN_OK;
}

sn_code cli_training_run(cli_training *t) {
  cli *c = t->c;
  int64_t first;
  sn_train_event last = {0};
  t->tty = isatty(2);
  t->last_line = cli_now();
  SN_TRY(resume(t, &first));
  if (first > t->steps) return report_nothing(t, first);
  if (first) cli_log(&c->log, CLI_LOG_WARN, "going on at step %lld", (long long)first);
  SN_TRY(cli_training_describe(t));
  SN_TRY(sn_metrics_open(t->dir.metrics, cli_has(c, CLI_RESUME) ? first : -1, c->diags, &t->metrics));
  say_start(t);
  stop_asked = 0;
  catch_signals();
  sn_train_opt o = {.runtime = t->runtime,
                    .plan = t->compiled.plan,
                    .store = t->store,
                    .data = t->data,
                    .batch = t->batch,
                    .window = t->window,
                    .first = first,
                    .steps = t->steps,
                    .eval_every = t->eval_every,
                    .eval_batches = t->eval_batches,
                    .checkpoint_every = t->checkpoint_every,
                    .seed = t->seed,
                    .scalar_count = t->scalar_count,
                    .scalar = t->scalar,
                    .watch = t->teacher ? "kd" : NULL,
                    .stop = &stop_asked,
                    .check = check_data,
                    .on_batch = on_batch,
                    .on_event = on_event,
                    .save = save,
                    .on_warning = on_warning,
                    .on_nonfinite = on_nonfinite,
                    .user = t};
  sn_code code = sn_train(&o, c->diags, &last);
  if (code == SN_ERR_INTERRUPTED)
    fprintf(stderr, "sinter: interrupted after step %lld; checkpoint written, go on with --resume\n",
            (long long)last.step);
  if (code && code != SN_ERR_INTERRUPTED) return code;
  SN_TRY(write_curve(t));
  if (!code) code = t->printed;
  return code ? code : report(t, &last);
}
