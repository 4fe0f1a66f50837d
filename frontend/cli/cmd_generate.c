/* sinter generate: continues a prompt with a trained model. stdout is the text only. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "frontend/cli/rundir.h"
#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/loop/serving.h"

typedef struct output {
  cli *c;
  bool json;
  sn_code printed;
  int64_t count;
  sn_text text;
} output;

static bool on_text(void *user, int32_t id, const char *text, int bytes) {
  output *out = user;
  (void)id;
  out->count++;
  if (out->json) return sn_text_bytes(&out->text, text, (size_t)bytes), true;
  out->printed = sn_file_print(stdout, "stdout", text, (size_t)bytes, out->c->diags);
  return !ferror(stdout);
}

static sn_code read_options(cli *c, sn_continue_opt *o, int64_t *threads) {
  int64_t seed;
  o->prompt = cli_get(c, CLI_PROMPT, NULL);
  if (!o->prompt) return cli_usage_error(c, "sinter generate needs --prompt TEXT");
  SN_TRY(cli_int(c, CLI_TOKENS, 256, 0, INT64_C(1) << 31, &o->tokens));
  SN_TRY(cli_real(c, CLI_TEMPERATURE, 0.8, 0, 1e6, &o->sampling.temperature));
  SN_TRY(cli_int(c, CLI_TOP_K, 0, 0, INT64_C(1) << 31, &o->sampling.top_k));
  SN_TRY(cli_real(c, CLI_TOP_P, 1, 0, 1, &o->sampling.top_p));
  SN_TRY(cli_int(c, CLI_SEED, 1, INT64_MIN, INT64_MAX, &seed));
  o->seed = (uint64_t)seed;
  return cli_int(c, CLI_THREADS, 0, 1, 1024, threads);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static sn_code print_json(cli *c, const output *out, const sn_continue_opt *o, double seconds) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, "{\"prompt\": ");
  sn_json_quote(&t, o->prompt);
  sn_text_add(&t, ", \"text\": ");
  sn_json_quote(&t, out->text.at);
  sn_text_add(&t, ", \"tokens\": %lld, \"tokens_per_s\": %.6g}\n", (long long)out->count,
              seconds > 0 ? (double)out->count / seconds : 0);
  return cli_print(c, &t);
}

typedef struct generation {
  cli *c;
  bool open;
  sn_serving serving;
} generation;

static int generate(void *arg) {
  generation *g = arg;
  cli *c = g->c;
  const char *path;
  cli_rundir dir;
  sn_continue_opt o = {.on_text = on_text};
  int64_t threads;
  output out = {.c = c, .json = cli_has(c, CLI_JSON), .text = sn_text_begin(c->arena)};
  SN_TRY(cli_word(c, "DIR", &path));
  SN_TRY(read_options(c, &o, &threads));
  SN_TRY(cli_rundir_read(c, path, &dir));
  sn_runtime_opt run = cli_runtime_opt(c, dir.compiled, (int)threads);
  sn_plan *plan = dir.compiled ? dir.compiled->plan : NULL;
  if (!plan)
    SN_TRY(sn_plan_read(c->arena, c->diags, "model.plan", dir.parts.part[SN_PAYLOAD_PLAN].data,
                        dir.parts.part[SN_PAYLOAD_PLAN].bytes, &plan));
  SN_TRY(cli_rundir_serves(c, path, plan));
  SN_TRY(cli_trace_begin(c, plan, &run));
  SN_TRY(sn_serving_open(&dir.parts, plan, &run, 1, c->diags, &g->serving));
  g->open = true;
  o.user = &out;
  double start = now();
  SN_TRY(sn_serving_continue(&g->serving, &o, c->diags));
  return out.json ? print_json(c, &out, &o, now() - start) : out.printed;
}

sn_code cli_generate(cli *c) {
  generation g = {.c = c};
  sn_code code = (sn_code)sn_protect(generate, &g); /* what it made is freed below, also when memory runs out */
  if (g.open) sn_serving_close(&g.serving);
  return code;
}
