/* A native executable of a trained model: this program with the model appended (runtime/io/payload.h). Generates text;
 * needs no compiler, no LLVM, no file beside it and no environment. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/loop/serving.h"

static const char help[] =
    "usage: %s --prompt TEXT [options]\n\n"
    "continue a prompt with the model inside this file\n\n"
    "  --prompt TEXT      text to continue\n"
    "  --tokens N         tokens to write (256)\n"
    "  --temperature X    0 is greedy (0.8)\n"
    "  --top-k N          sample among the N likeliest; 0: all (0)\n"
    "  --top-p X          sample among the likeliest that sum to X (1)\n"
    "  --seed S           of sampling (1)\n"
    "  --threads N        worker threads (all cores)\n"
    "  --mem-limit BYTES  most memory that the model may take: 512M, 2G (any)\n"
    "  --json             machine-readable output\n"
    "  --help             this text\n\n"
    "examples:\n  %s --prompt 'static int' --tokens 100\n  %s --prompt 'To be' --temperature 0\n";

typedef struct options {
  sn_continue_opt run;
  int64_t threads, memory_limit; /* 0: all cores; none */
  bool json, help;
} options;

/* One option with its value; false: it does not take that value, or is unknown. */
static bool set_option(options *o, const char *name, const char *value) {
  int64_t seed;
  if (!strcmp(name, "--prompt")) return o->run.prompt = value, true;
  if (!strcmp(name, "--tokens")) return sn_int_in(value, 0, INT64_C(1) << 31, &o->run.tokens);
  if (!strcmp(name, "--temperature")) return sn_real_in(value, 0, 1e6, &o->run.sampling.temperature);
  if (!strcmp(name, "--top-k")) return sn_int_in(value, 0, INT64_C(1) << 31, &o->run.sampling.top_k);
  if (!strcmp(name, "--top-p")) return sn_real_in(value, 0, 1, &o->run.sampling.top_p);
  if (!strcmp(name, "--mem-limit")) return sn_bytes_in(value, 1, INT64_MAX / 2, &o->memory_limit);
  if (!strcmp(name, "--threads")) return sn_int_in(value, 1, 1024, &o->threads);
  if (strcmp(name, "--seed") || !sn_int_in(value, INT64_MIN, INT64_MAX, &seed)) return false;
  o->run.seed = (uint64_t)seed;
  return true;
}

static int usage(const char *self, const char *what, const char *word) {
  fprintf(stderr, "%s: %s%s; --help lists the options\n", self, what, word);
  return SN_ERR_USAGE;
}

static int read_options(int argc, char **argv, options *o) {
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--json"))
      o->json = true;
    else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
      o->help = true;
    else if (i + 1 >= argc || strncmp(argv[i], "--", 2))
      return usage(argv[0], "unexpected or incomplete: ", argv[i]);
    else if (!set_option(o, argv[i], argv[i + 1]))
      return usage(argv[0], "unknown option or bad value: ", argv[i]);
    else
      i++;
  }
  return o->help || o->run.prompt ? SN_OK : usage(argv[0], "--prompt is needed", "");
}

typedef struct output {
  bool json;
  sn_diags *diags;
  sn_code printed;
  int64_t count;
  sn_text text;
} output;

static bool on_text(void *user, int32_t id, const char *text, int bytes) {
  output *out = user;
  (void)id;
  out->count++;
  if (out->json) {
    sn_text_bytes(&out->text, text, (size_t)bytes);
    return true;
  }
  out->printed = sn_file_print(stdout, "stdout", text, (size_t)bytes, out->diags);
  return !ferror(stdout);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static sn_code print_json(const output *out, const options *o, double seconds, sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t, "{\"prompt\": ");
  sn_json_quote(&t, o->run.prompt);
  sn_text_add(&t, ", \"text\": ");
  sn_json_quote(&t, out->text.at);
  sn_text_add(&t, ", \"tokens\": %lld, \"tokens_per_s\": %.6g}\n", (long long)out->count,
              seconds > 0 ? (double)out->count / seconds : 0);
  return sn_file_print(stdout, "stdout", t.at, (size_t)t.count, out->diags);
}

typedef struct call {
  const char *self;
  options *o;
  sn_arena *arena;
  sn_diags *diags;
} call;

static sn_code print_help(call *c) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, help, c->self, c->self, c->self);
  return sn_file_print(stdout, "stdout", t.at, (size_t)t.count, c->diags);
}

static void on_warning(void *user, const char *message) {
  const call *c = user;
  fprintf(stderr, "%s: warning: %s\n", c->self, message);
}

static int run(void *arg) {
  call *c = arg;
  if (c->o->help) return print_help(c);
  sn_payload parts;
  sn_serving serving;
  sn_runtime_opt opt = {
      .threads = (int)c->o->threads, .memory_limit = c->o->memory_limit, .on_warning = on_warning, .warning_user = c};
  SN_TRY(sn_payload_open("/proc/self/exe", c->diags, &parts));
  SN_TRY(sn_serving_open(&parts, NULL, &opt, 1, c->diags, &serving));
  output out = {.json = c->o->json, .diags = c->diags, .text = sn_text_begin(c->arena)};
  c->o->run.on_text = on_text;
  c->o->run.user = &out;
  double start = now();
  sn_code code = sn_serving_continue(&serving, &c->o->run, c->diags);
  if (!code) code = out.json ? print_json(&out, c->o, now() - start, c->arena) : out.printed;
  sn_serving_close(&serving);
  sn_payload_close(&parts);
  return code;
}

static int print_messages(void *arg) {
  const call *c = arg;
  if (c->diags->count) fputs(sn_diags_print(c->diags, c->arena), stderr);
  return SN_OK;
}

int main(int argc, char **argv) {
  options o = {.run = {.tokens = 256, .sampling = {0.8, 0, 1}, .seed = 1}};
  int code = read_options(argc, argv, &o);
  if (code) return code;
  call c = {argv[0], &o, sn_arena_create(), sn_diags_create()};
  if (!c.arena || !c.diags) {
    fputs("out of memory\n", stderr);
    sn_diags_destroy(c.diags);
    sn_arena_destroy(c.arena);
    return SN_ERR_LIMIT;
  }
  code = sn_protect(run, &c);
  if (sn_protect(print_messages, &c) || (code == SN_ERR_LIMIT && !c.diags->count)) fputs("out of memory\n", stderr);
  sn_diags_destroy(c.diags);
  sn_arena_destroy(c.arena);
  return code;
}
