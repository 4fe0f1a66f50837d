/* The `sinter` command: finds the subcommand, reads its options from the one table, prints diagnostics, exits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/cli/table.h"
#include "ir/base/memory.h"

enum {
  TRAIN = 1,
  GENERATE = 2,
  BUILD = 4,
  RUN = 8,
  EXPLAIN = 16,
  BENCH = 32,
  DUMP = 64,
  OPTC = 128,
  INSPECT = 256,
  DOCTOR = 512,
  EVAL = 1024,
  DISTILL = 2048,
  FUZZ = 4096,
  REDUCE = 8192,
  BISECT = 16384,
  CONFORM = 1 << 17,
  PAGES = 1 << 18,
  TUNE = 1 << 19,
  RECIPE = 1 << 20,
  ANY = (1 << 21) - 1
};

static const cli_option_row options[] = {
#define OPT(id, name, argument, many, commands, help) {name, argument, many, commands, help},
#include "frontend/cli/options.def"
#undef OPT
};

/* clang-format off */
static const cli_command_row commands[] = {
  {"train",    TRAIN,    cli_train,    "MODEL.c",       "train the graph `train` of a model on text",
   "  sinter train models/gpt.c --steps 200 --out run\n  sinter train models/gpt.c --data book.txt --tokenizer char --set layers=6 --lr 6e-4 --out run --force\n"},
  {"distill",  DISTILL,  cli_distill,  "STUDENT.c",     "train a model on text and on the logits of a trained one",
   "  sinter distill --teacher run student.c --data book.txt --out small\n  sinter distill --teacher run student.c --set layers=2 --divergence jsd --temperature 1 --kd-weight 0.5 --out small\n"},
  {"eval",     EVAL,     cli_eval,     "DIR",           "loss and perplexity of a trained model over a text",
   "  sinter eval run --data book.txt\n  sinter eval run --data a.txt b.txt --batch 4 --json\n"},
  {"generate", GENERATE, cli_generate, "DIR",           "continue a prompt with a trained model",
   "  sinter generate run --prompt 'static int' --tokens 100\n  sinter generate run --prompt 'To be' --temperature 0 --json\n"
   "  sinter generate run --prompt 'To be' --draft small --draft-tokens 6\n"},
  {"build",    BUILD,    cli_build,    "MODEL.c|DIR",   "write a native executable, object with header, plan, or any stage as text",
   "  sinter build run -o gpt && ./gpt --prompt 'static int'\n  sinter build models/gpt.c --emit kernel --graph eval -o gpt.kernels\n"},
  {"run",      RUN,      cli_run,      "MODEL.c|FILE.sn|PLAN", "run one graph on .npy files, optionally with gradients",
   "  sinter run models/mlp.sn --graph train --in x=x.npy --in targets=y.npy --out loss=loss.npy\n  sinter run models/gpt.c --graph eval --in tokens=t.npy --in targets=u.npy --grad loss --wrt wte.weight --out grad.wte.weight=g.npy\n  sinter run net.sn --in x=x.npy --kernels edited.kernels\n  sinter run net.sn --in x=x.npy --plan edited.txt\n  sinter run net.plan --in x=x.npy\n"},
  {"explain",  EXPLAIN,  cli_explain,  "MODEL.c|FILE.sn", "what each kernel fuses, reads, writes and computes, and what was not fused and why",
   "  sinter explain models/gpt.c --graph train\n  sinter explain models/gpt.c --graph eval --dim B=1 --dim T=64 --json\n"},
  {"bench",    BENCH,    cli_bench,    "MODEL.c|FILE.sn|PLAN", "time a graph, or a ladder from nothing fused to everything fused",
   "  sinter bench models/gpt.c --ladder\n  sinter bench models/gpt.c --graph eval --dim B=4 --threads 1 --json\n"},
  {"tune",     TUNE,     cli_tune_command, "MODEL.c|FILE.sn", "find the fastest of the kernels of equal bits on this machine; later compilations use them",
   "  sinter tune models/gpt.c --graph train\n  sinter tune models/gpt.c --graph decode --dim B=1 --threads 1 --tune-seconds 10\n"},
  {"dump",     DUMP,     cli_dump,     "MODEL.c|FILE.sn", "print the graphs, after all passes or after one",
   "  sinter dump models/gpt.c --graph decode --pass inline\n  sinter dump models/gpt.c --emit kernel --graph eval\n"},
  {"opt",      OPTC,     cli_opt,      "FILE.sn|TEXT",  "read a graph text, run passes, print it again; or kernel or plan text, verified",
   "  sinter opt models/mlp.sn --pass grad\n  sinter opt models/mlp.sn --disable canon\n  sinter opt net.kernels\n"},
  {"inspect",  INSPECT,  cli_inspect,  "FILE|DIR",      "say what a file is and what it holds (weights, arrays, plans, checkpoints, texts, executables, cached code, run folders)",
   "  sinter inspect run/model.safetensors\n  sinter inspect run\n"},
  {"fuzz",     FUZZ,     cli_fuzz,     "graph",         "compile random graphs and compare them with the interpreter; failures are reduced and written",
   "  sinter fuzz graph -n 200 --target template\n  mkdir found && sinter fuzz graph --seed 7 -n 5000 --failures found\n  sinter fuzz graph --each-pass -n 500\n"},
  {"reduce",   REDUCE,   cli_reduce,   "FILE.sn|MODEL.c", "shrink a graph that does not agree with the interpreter",
   "  sinter reduce seed12.sn --in x0=seed12.x0.npy --dim B=3 --fuse all -o small.sn\n"},
  {"bisect",   BISECT,   cli_bisect,   "FILE.sn|MODEL.c", "name the pass and the rule that make a graph wrong, and shrink the graph",
   "  sinter bisect seed12.sn --in x0=seed12.x0.npy --dim B=3 --fuse all\n  sinter bisect models/gpt.c --graph eval --dim B=1 --dim T=8 --set width=16\n"},
  {"doctor",   DOCTOR,   cli_doctor,   "",              "say what this machine and this build can do",
   "  sinter doctor\n  sinter doctor --json\n"},
  {"conformance", CONFORM, cli_conformance, "[MODEL.c...]", "try a backend: tile programs with every kernel op, random graphs with every op, whole models",
   "  sinter conformance --backend ./mine.so\n  sinter conformance --target template -n 50 --json\n"},
  {"recipe",   RECIPE,   cli_recipe,   "[ID...]",       "train and judge the systems of docs/systems.md on tasks whose best result is known",
   "  sinter recipe --list\n  sinter recipe tp.causal\n  sinter recipe --all --rows tp,dec --quick --out report\n"},
  {"pages",    PAGES,    cli_pages,    "man|bash|zsh|fish", "write the manual page, or the completions of a shell",
   "  sinter pages man | man -l -\n  source <(sinter pages bash)\n"},
};
/* clang-format on */
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

const char cli_exit_codes[] =
    "0 ok, 1 failure, 2 usage, 3 bad model or file, 4 resource limit, 5 device, 6 numerical,\n"
    "            7 interrupted and checkpointed (a second SIGINT: 130)\n";

const cli_option_row *cli_options(int *count) { return *count = CLI_OPTION_COUNT, options; }
const cli_command_row *cli_commands(int *count) { return *count = COMMAND_COUNT, commands; }

static void write_commands(sn_text *t) {
  sn_text_add(t, "sinter - a dataflow-graph compiler for language models\n\nusage: sinter COMMAND ...\n\n");
  for (int i = 0; i < COMMAND_COUNT; i++)
    sn_text_add(t, "  %-9s %-16s %s\n", commands[i].name, commands[i].words, commands[i].help);
  sn_text_add(t, "\nenvironment:\n");
  cli_variables_print(t, false);
  sn_text_add(t, "\n`sinter COMMAND --help` lists the options of one, with examples.\nexit codes: %s", cli_exit_codes);
}

static sn_code print_help(cli *c, const cli_command_row *k) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, "usage: sinter %s %s [options]\n\n%s\n\n", k->name, k->words, k->help);
  for (int i = 0; i < CLI_OPTION_COUNT; i++) {
    const cli_option_row *o = &options[i];
    if (!(o->commands & k->bit)) continue;
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    sn_text_add(&t, "  %-28s %s%s\n", left, o->help, o->many == '+' ? " (may be repeated)" : "");
  }
  sn_text_add(&t, "\nexamples:\n%s", k->examples);
  return cli_print(c, &t);
}

/* ---- parsing -------------------------------------------------------------------------------------- */

static void add(cli *c, cli_values *v, const char *s) {
  SN_GROW(c->arena, v->at, v->count, v->capacity);
  v->at[v->count++] = s;
}

/* The option called `name` (of `length` bytes) that the command knows. */
static int find_option(const cli_command_row *k, const char *name, size_t length) {
  for (int i = 0; i < CLI_OPTION_COUNT; i++)
    if ((options[i].commands & k->bit) && strlen(options[i].name) == length && !memcmp(options[i].name, name, length))
      return i;
  return -1;
}

static sn_code unknown_option(cli *c, const cli_command_row *k, const char *word) {
  const char *known[CLI_OPTION_COUNT];
  int count = 0;
  for (int i = 0; i < CLI_OPTION_COUNT; i++)
    if (options[i].commands & k->bit) known[count++] = options[i].name;
  const char *near = sn_nearest(word + strspn(word, "-"), known, count);
  if (near) return cli_usage_error(c, "%s: unknown option; did you mean --%s?", word, near);
  return cli_usage_error(c, "%s: unknown option; `sinter %s --help` lists those it has", word, k->name);
}

static bool is_option(const char *word) { return word[0] == '-' && word[1] && !strchr("0123456789.", word[1]); }

/* Reads the option at argv[*i], advances over its values. */
static sn_code read_option(cli *c, const cli_command_row *k, int argc, char **argv, int *i) {
  const char *word = argv[*i], *name = word + 2, *equals = strchr(word, '=');
  int o = -1;
  if (!strcmp(word, "-o"))
    o = find_option(k, "output", 6);
  else if (!strcmp(word, "-n"))
    o = find_option(k, "count", 5);
  else if (!strcmp(word, "-h"))
    o = CLI_HELP;
  else if (word[1] == '-')
    o = find_option(k, name, equals ? (size_t)(equals - name) : strlen(name));
  if (o < 0) return unknown_option(c, k, word);
  if (!options[o].argument) {
    if (equals) return cli_usage_error(c, "--%s takes no value", options[o].name);
    add(c, &c->value[o], "");
    return SN_OK;
  }
  if (equals && word[1] == '-') {
    add(c, &c->value[o], equals + 1);
    return SN_OK;
  }
  if (*i + 1 >= argc) return cli_usage_error(c, "--%s needs %s", options[o].name, options[o].argument);
  add(c, &c->value[o], argv[++*i]);
  while (options[o].many == '*' && *i + 1 < argc && !is_option(argv[*i + 1])) add(c, &c->value[o], argv[++*i]);
  return SN_OK;
}

static sn_code read_words(cli *c, const cli_command_row *k, int argc, char **argv) {
  for (int i = 2; i < argc; i++) {
    if (is_option(argv[i]))
      SN_TRY(read_option(c, k, argc, argv, &i));
    else
      add(c, &c->word, argv[i]);
  }
  return SN_OK;
}

/* ---- values, for the subcommands ------------------------------------------------------------------- */

sn_code cli_usage_error(cli *c, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return sn_fail(c->diags, SN_ERR_USAGE, (sn_loc){0}, "%s", text);
}

const char *cli_option_name(cli_option o) { return options[o].name; }

const char *cli_get(const cli *c, cli_option o, const char *otherwise) {
  const cli_values *v = &c->value[o];
  return v->count ? v->at[v->count - 1] : otherwise;
}

sn_code cli_real(cli *c, cli_option o, double otherwise, double min, double max, double *out) {
  const char *s = cli_get(c, o, NULL);
  *out = otherwise;
  if (!s) return SN_OK;
  if (!sn_real_in(s, min, max, out))
    return cli_usage_error(c, "--%s takes a number from %g to %g, found \"%s\"", options[o].name, min, max, s);
  return SN_OK;
}

sn_code cli_int(cli *c, cli_option o, int64_t otherwise, int64_t min, int64_t max, int64_t *out) {
  const char *s = cli_get(c, o, NULL);
  *out = otherwise;
  if (!s) return SN_OK;
  if (!sn_int_in(s, min, max, out))
    return cli_usage_error(c, "--%s takes a whole number from %lld to %lld, found \"%s\"", options[o].name,
                           (long long)min, (long long)max, s);
  return SN_OK;
}

sn_code cli_pair(cli *c, cli_option o, const char *text, const char **name, const char **rest) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || !equals[1])
    return cli_usage_error(c, "--%s takes %s, found \"%s\"", options[o].name, options[o].argument, text);
  char *copy = sn_arena_strdup(c->arena, text);
  copy[equals - text] = 0;
  *name = copy;
  *rest = copy + (equals - text) + 1;
  return SN_OK;
}

sn_code cli_word(cli *c, const char *what, const char **out) {
  if (c->word.count == 1) {
    *out = c->word.at[0];
    return SN_OK;
  }
  if (!c->word.count) return cli_usage_error(c, "sinter %s needs %s", c->command, what);
  return cli_usage_error(c, "sinter %s takes one %s, found \"%s\" as well", c->command, what, c->word.at[1]);
}

/* ---- main -------------------------------------------------------------------------------------------- */

typedef struct call {
  const cli_command_row *k;
  int argc;
  char **argv;
  cli c;
} call;

static int print_messages(void *arg) {
  const cli *c = arg;
  if (c->diags->count) fputs(sn_diags_print(c->diags, c->arena), stderr);
  return SN_OK;
}

/* Memory ran out where there was no room for a message. */
static void print_no_memory(void) {
  double wanted = (double)sn_memory_wanted(), available = (double)sn_memory_available();
  sn_arena *arena = wanted > 0 && available >= 0 ? sn_arena_create() : NULL;
  if (arena)
    fprintf(stderr, "sinter: out of memory: %s were asked for at once, %s are available\n",
            cli_human(arena, wanted, "B"), cli_human(arena, available, "B"));
  else
    fputs("sinter: out of memory\n", stderr);
  sn_arena_destroy(arena);
}

static sn_code read_limit(cli *c) {
  const char *s = cli_get(c, CLI_MEM_LIMIT, NULL);
  if (!s || sn_bytes_in(s, 1, INT64_MAX / 2, &c->memory_limit)) return SN_OK;
  return cli_usage_error(c, "--mem-limit takes bytes, or K, M, G or T of them (2G), found \"%s\"", s);
}

static int run_call(void *arg) {
  call *x = arg;
  SN_GROW(x->c.arena, x->c.held, x->c.held_count, x->c.held_capacity);
  sn_code code = read_words(&x->c, x->k, x->argc, x->argv);
  if (!code) code = read_limit(&x->c);
  if (!code && cli_has(&x->c, CLI_HELP)) return print_help(&x->c, x->k);
  if (!code && cli_has(&x->c, CLI_TUNE_SECONDS) && !cli_has(&x->c, CLI_TUNE) && x->k->bit != TUNE)
    code = cli_usage_error(&x->c, "--tune-seconds says how long --tune takes: give that as well");
  if (!code) code = cli_use_backend(&x->c);
  return code ? code : x->k->run(&x->c);
}

static int run_version(void *arg) {
  call *x = arg;
  return cli_printf(&x->c, "sinter " SN_VERSION "\n");
}

/* The list of commands; a complaint where no word was given. */
static int run_help(void *arg) {
  call *x = arg;
  sn_text t = sn_text_begin(x->c.arena);
  write_commands(&t);
  if (x->argc > 1) return cli_print(&x->c, &t);
  fputs(t.at, stderr);
  return SN_ERR_USAGE;
}

static int run_unknown(void *arg) {
  call *x = arg;
  const char *names[COMMAND_COUNT];
  for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
  const char *near = sn_nearest(x->c.command, names, COMMAND_COUNT);
  fprintf(stderr, "sinter: unknown command \"%s\"%s%s%s; `sinter help` lists them\n", x->c.command,
          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
  return SN_ERR_USAGE;
}

static int end_trace(void *arg) { return cli_trace_end(arg); }

/* Runs `body` on a call that has all it needs, prints the messages, frees what was held. */
static int with_call(int (*body)(void *call), const cli_command_row *k, const char *name, int argc, char **argv) {
  call x = {.k = k, .argc = argc, .argv = argv, .c = {.command = name}};
  x.c.arena = sn_arena_create();
  x.c.diags = sn_diags_create();
  if (!x.c.arena || !x.c.diags) {
    fputs("sinter: out of memory\n", stderr);
    sn_diags_destroy(x.c.diags);
    sn_arena_destroy(x.c.arena);
    return SN_ERR_LIMIT;
  }
  x.c.log = cli_log_begin();
  int code = sn_protect(body, &x), traced = sn_protect(end_trace, &x.c);
  if (!code) code = traced;
  if (sn_protect(print_messages, &x.c) || (code == SN_ERR_LIMIT && !x.c.diags->count)) print_no_memory();
  for (int i = x.c.held_count - 1; i >= 0; i--) x.c.held[i].undo(x.c.held[i].what);
  sn_diags_destroy(x.c.diags);
  sn_arena_destroy(x.c.arena);
  return code;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "help";
  const cli_command_row *k = NULL;
  int (*body)(void *call) = run_unknown;
  if (!strcmp(name, "--version") || !strcmp(name, "version")) body = run_version;
  if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) body = run_help;
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (!strcmp(name, commands[i].name)) k = &commands[i], body = run_call;
  return with_call(body, k, name, argc, argv);
}
