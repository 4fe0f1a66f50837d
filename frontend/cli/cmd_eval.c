/* sinter eval: loss and perplexity of a trained model over a whole text. */
#include <math.h>
#include <stdio.h>

#include "frontend/cli/data.h"
#include "frontend/cli/ports.h"
#include "frontend/cli/progress.h"
#include "frontend/cli/rundir.h"
#include "runtime/io/safetensors.h"
#include "runtime/loop/eval.h"

typedef struct evaluation {
  cli *c;
  cli_rundir dir;
  sn_tokenizer *tokenizer;
  sn_compiled compiled;
  int64_t batch, window, threads;
  sn_runtime *runtime;
  sn_store *store;
  sn_dataset *data;
  cli_progress progress;
} evaluation;

static bool on_tokens(void *user, int64_t done, int64_t count) {
  evaluation *e = user;
  cli_progress_at(&e->progress, done, count);
  return true;
}

/* Of the text: the loss is that of the next token, which a graph with targets is given. NULL: of something else */
static const char *perplexity(const evaluation *e, const sn_eval_result *r, const char *format) {
  const sn_plan *p = e->compiled.plan;
  bool told = sn_plan_find_slot(p, sn_plan_find_graph(p, "eval"), "targets") >= 0 && isfinite(exp(r->loss));
  return told ? sn_arena_printf(e->c->arena, format, exp(r->loss)) : NULL;
}

static sn_code print_json(const evaluation *e, const sn_eval_result *r) {
  const char *of = perplexity(e, r, "%.9g");
  return cli_printf(e->c,
                    "{\"tokens\": %lld, \"windows\": %lld, \"last_window\": %lld, \"left_out\": %lld, \"loss\": %.9g, "
                    "\"perplexity\": %s, \"seconds\": %.6g, \"tokens_per_s\": %.6g}\n",
                    (long long)r->tokens, (long long)r->windows, (long long)r->last, (long long)r->left_out, r->loss,
                    of ? of : "null", r->seconds, r->seconds > 0 ? (double)r->tokens / r->seconds : 0);
}

static sn_code print_text(const evaluation *e, const sn_eval_result *r) {
  cli *c = e->c;
  sn_text t = sn_text_begin(c->arena);
  const char *of = perplexity(e, r, "  perplexity %.4f");
  sn_text_add(&t, "loss %.4f%s  over %lld tokens: %lld windows of %lld", r->loss, of ? of : "", (long long)r->tokens,
              (long long)r->windows, (long long)e->window);
  if (r->last) sn_text_add(&t, " and a last one of %lld", (long long)r->last);
  if (r->left_out) sn_text_add(&t, "; the last %lld tokens fill no window and were left out", (long long)r->left_out);
  sn_text_add(&t, "  (%s tok/s)\n",
              cli_human(c->arena, r->seconds > 0 ? floor((double)r->tokens / r->seconds) : 0, ""));
  return cli_print(c, &t);
}

static sn_code compile(evaluation *e, const char *path) {
  cli *c = e->c;
  sn_module *m;
  SN_TRY(cli_rundir_graph(c, path, "eval", &e->dir, &m));
  SN_TRY(cli_rundir_tokenizer(c, path, &e->dir, &e->tokenizer));
  SN_TRY(cli_check_ports(c, m, "eval", path));
  const sn_run_settings *of = &e->dir.settings;
  cli_source s = {.name = of->model, .settings = of->settings, .precision = of->precision};
  sn_compile_opt opt = cli_compile_opt(c, &s);
  SN_TRY(cli_compile(c, m, &opt, &e->compiled));
  return cli_data_window(c, e->compiled.plan, "eval", path, &e->window);
}

static sn_code load(evaluation *e) {
  cli *c = e->c;
  const sn_plan *p = e->compiled.plan;
  const sn_payload *parts = &e->dir.parts;
  sn_dataset_part *part;
  int64_t ids;
  int count;
  SN_TRY(cli_data_parts(c, "measure again", &count, &part));
  SN_TRY(cli_data_ids(e->dir.settings.settings, e->tokenizer, c->diags, &ids));
  SN_TRY(sn_dataset_create(c->diags, e->tokenizer, count, part, 1, e->window, ids, &e->data));
  sn_runtime_opt ro = cli_runtime_opt(c, &e->compiled, (int)e->threads);
  SN_TRY(cli_trace_begin(c, p, &ro));
  SN_TRY(sn_runtime_create(p, &ro, c->diags, &e->runtime));
  SN_TRY(cli_check_memory(c, e->runtime, e->batch, e->window, "eval", NULL));
  SN_TRY(sn_store_create(e->runtime, 0, NULL, c->diags, &e->store));
  return sn_store_load_image(e->store, p, "model.safetensors", parts->part[SN_PAYLOAD_WEIGHTS].data,
                             parts->part[SN_PAYLOAD_WEIGHTS].bytes, SN_LOAD_ALL, c->diags);
}

static sn_code measure(evaluation *e) {
  cli *c = e->c;
  sn_eval_result r;
  SN_TRY(load(e));
  e->progress = cli_progress_begin("eval", "tokens");
  sn_eval_opt o = {.runtime = e->runtime,
                   .plan = e->compiled.plan,
                   .store = e->store,
                   .data = e->data,
                   .batch = e->batch,
                   .window = e->window,
                   .on_tokens = on_tokens,
                   .user = e};
  SN_TRY(sn_eval(&o, c->diags, &r));
  cli_progress_end(&e->progress, r.tokens);
  SN_TRY(cli_data_check(e->data, c->diags));
  return cli_has(c, CLI_JSON) ? print_json(e, &r) : print_text(e, &r);
}

static int evaluate(void *arg) {
  evaluation *e = arg;
  cli *c = e->c;
  const char *path;
  SN_TRY(cli_word(c, "DIR", &path));
  SN_TRY(cli_int(c, CLI_BATCH, 12, 1, 1 << 20, &e->batch));
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &e->threads));
  SN_TRY(compile(e, path));
  return measure(e);
}

sn_code cli_eval(cli *c) {
  evaluation e = {.c = c};
  sn_code code = (sn_code)sn_protect(evaluate, &e); /* what it made is freed below, also when memory runs out */
  sn_store_destroy(e.store);
  sn_runtime_destroy(e.runtime);
  sn_dataset_destroy(e.data);
  cli_data_close();
  return code;
}
