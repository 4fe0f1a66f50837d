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

/* Beams are no samples. */
static sn_code read_search(cli *c, sn_continue_opt *o) {
  static const cli_option sampled[] = {CLI_TEMPERATURE, CLI_TOP_K, CLI_TOP_P, CLI_SEED, CLI_DRAFT};
  static const char *const names[] = {"temperature", "top-k", "top-p", "seed", "draft"};
  SN_TRY(cli_int(c, CLI_BEAM, 0, 1, 1024, &o->beams));
  for (int i = 0; o->beams && i < 5; i++)
    if (cli_has(c, sampled[i]))
      return cli_usage_error(c, "--beam searches the likeliest text: --%s does not go with it", names[i]);
  SN_TRY(cli_int(c, CLI_AHEAD, 4, 1, 1024, &o->ahead));
  if (cli_has(c, CLI_AHEAD) && !cli_has(c, CLI_DRAFT)) return cli_usage_error(c, "--draft-tokens needs --draft");
  return SN_OK;
}

static sn_code read_options(cli *c, sn_continue_opt *o, int64_t *threads) {
  int64_t seed;
  o->prompt = cli_get(c, CLI_PROMPT, NULL);
  if (!o->prompt) return cli_usage_error(c, "sinter generate needs --prompt TEXT");
  if (!*o->prompt) return cli_usage_error(c, "the prompt is empty: at least one token is needed");
  SN_TRY(cli_int(c, CLI_TOKENS, 256, 0, INT64_C(1) << 31, &o->tokens));
  SN_TRY(cli_real(c, CLI_TEMPERATURE, 0.8, 0, 1e6, &o->sampling.temperature));
  SN_TRY(cli_int(c, CLI_TOP_K, 0, 0, INT64_C(1) << 31, &o->sampling.top_k));
  SN_TRY(cli_real(c, CLI_TOP_P, 1, 0, 1, &o->sampling.top_p));
  SN_TRY(cli_int(c, CLI_SEED, 1, INT64_MIN, INT64_MAX, &seed));
  o->seed = (uint64_t)seed;
  SN_TRY(read_search(c, o));
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
  sn_text_add(&t, ", \"tokens\": %lld, \"tokens_per_s\": %.6g", (long long)out->count,
              seconds > 0 ? (double)out->count / seconds : 0);
  if (o->draft)
    sn_text_add(&t, ", \"drafted\": %lld, \"kept\": %lld", (long long)o->drafted[0], (long long)o->drafted[1]);
  sn_text_add(&t, "}\n");
  return cli_print(c, &t);
}

typedef struct generation {
  cli *c;
  int64_t threads;
  int count; /* of servings that are open */
  sn_serving serving[2];
  cli_rundir dir[2];
} generation;

/* The model of a run folder, for so many sequences. */
static sn_code open_folder(generation *g, const char *path, int64_t sequences) {
  cli *c = g->c;
  cli_rundir *dir = &g->dir[g->count];
  SN_TRY(cli_rundir_read(c, path, dir));
  sn_runtime_opt run = cli_runtime_opt(c, dir->compiled, (int)g->threads);
  sn_plan *plan = dir->compiled ? dir->compiled->plan : NULL;
  if (!plan)
    SN_TRY(sn_plan_read(c->arena, c->diags, "model.plan", dir->parts.part[SN_PAYLOAD_PLAN].data,
                        dir->parts.part[SN_PAYLOAD_PLAN].bytes, &plan));
  SN_TRY(cli_rundir_serves(c, path, plan));
  if (!g->count) SN_TRY(cli_trace_begin(c, plan, &run));
  SN_TRY(sn_serving_open(&dir->parts, plan, &run, sequences, c->diags, &g->serving[g->count]));
  g->count++;
  return SN_OK;
}

/* The draft must mean the same by an id. */
static sn_code open_draft(generation *g, sn_continue_opt *o) {
  const char *path = cli_get(g->c, CLI_DRAFT, NULL);
  if (!path) return SN_OK;
  SN_TRY(open_folder(g, path, 1));
  size_t bytes = g->dir[0].parts.part[SN_PAYLOAD_TOKENIZER].bytes;
  const void *tokens = g->dir[0].parts.part[SN_PAYLOAD_TOKENIZER].data;
  o->draft = &g->serving[1];
  if (g->dir[1].parts.part[SN_PAYLOAD_TOKENIZER].bytes == bytes &&
      !memcmp(g->dir[1].parts.part[SN_PAYLOAD_TOKENIZER].data, tokens, bytes))
    return SN_OK;
  sn_code code =
      sn_fail(g->c->diags, SN_ERR_INPUT, (sn_loc){.file = path}, "the draft has another tokenizer than the model");
  sn_fail_note(g->c->diags, "train it on the same data with the same --tokenizer");
  return code;
}

static int generate(void *arg) {
  generation *g = arg;
  cli *c = g->c;
  const char *path;
  int64_t drafted[2] = {0};
  sn_continue_opt o = {.on_text = on_text, .drafted = drafted};
  output out = {.c = c, .json = cli_has(c, CLI_JSON), .text = sn_text_begin(c->arena)};
  SN_TRY(cli_word(c, "DIR", &path));
  SN_TRY(read_options(c, &o, &g->threads));
  SN_TRY(open_folder(g, path, o.beams > 1 ? o.beams : 1));
  SN_TRY(open_draft(g, &o));
  o.user = &out;
  double start = now();
  SN_TRY(sn_serving_continue(&g->serving[0], &o, c->diags));
  return out.json ? print_json(c, &out, &o, now() - start) : out.printed;
}

sn_code cli_generate(cli *c) {
  generation g = {.c = c};
  sn_code code = (sn_code)sn_protect(generate, &g); /* what it made is freed below, also when memory runs out */
  while (g.count) sn_serving_close(&g.serving[--g.count]);
  return code;
}
