/* The command: shared by its subcommands. Messages go to stderr, results to stdout. */
#ifndef SN_FRONTEND_CLI_CLI_H
#define SN_FRONTEND_CLI_CLI_H

#include "backends/compile.h"
#include "frontend/build.h"
#include "frontend/cli/log.h"
#include "ir/base/status.h"
#include "ir/graph/graph.h"

typedef enum cli_option {
#define OPT(id, name, argument, many, commands, help) CLI_##id,
#include "frontend/cli/options.def"
#undef OPT
  CLI_OPTION_COUNT
} cli_option;

typedef struct cli_values {
  int count, capacity;
  const char **at;
} cli_values;

/* Undone when the command ends. */
typedef struct cli_held {
  void (*undo)(void *what);
  void *what;
} cli_held;

/* One call of the command. */
typedef struct cli {
  sn_arena *arena;
  sn_diags *diags;
  const char *command;                /* "train" */
  cli_values word;                    /* positional arguments */
  cli_values value[CLI_OPTION_COUNT]; /* of each option; flags: "" */
  const sn_backend *backend;          /* of --backend; NULL: --target decides */
  int64_t memory_limit;               /* of --mem-limit; 0: none */
  const char *vocab;                  /* form of losses that was chosen for --vocab auto; NULL: none */
  bool tuned;                         /* --tune was done */
  int refusals;                       /* diagnostics up to the one for which it was chosen */
  cli_log_state log;
  struct sn_run_trace *trace; /* of --trace; NULL: none */
  int held_count, held_capacity;
  cli_held *held;
} cli;

static inline bool cli_has(const cli *c, cli_option o) { return c->value[o].count > 0; }
const char *cli_option_name(cli_option o);
/* The last value given, or `otherwise`. */
const char *cli_get(const cli *c, cli_option o, const char *otherwise);
/* Numbers: errors name the option, what it takes and what was found. */
SN_MUST sn_code cli_int(cli *c, cli_option o, int64_t otherwise, int64_t min, int64_t max, int64_t *out);
SN_MUST sn_code cli_real(cli *c, cli_option o, double otherwise, double min, double max, double *out);
/* Splits "NAME=REST". */
SN_MUST sn_code cli_pair(cli *c, cli_option o, const char *text, const char **name, const char **rest);
/* The single positional argument, called `what` in messages. */
SN_MUST sn_code cli_word(cli *c, const char *what, const char **out);
SN_MUST sn_code cli_usage_error(cli *c, const char *format, ...) SN_PRINTF(2, 3);

/* A result, to stdout. errors: as sn_file_print */
SN_MUST sn_code cli_print(cli *c, const sn_text *t);
/* The same as one line or more, formatted. */
SN_MUST sn_code cli_printf(cli *c, const char *format, ...) SN_PRINTF(2, 3);

/* undo(what) happens when the command ends, after its messages were printed, the newest first. */
void cli_hold(cli *c, void (*undo)(void *what), void *what);
/* The whole of a file, as sn_file_read; held. */
SN_MUST sn_code cli_read_file(cli *c, const char *path, size_t max_bytes, char **out, size_t *out_bytes);

/* A model file (.c) or a graph text (.sn) as a module; `graphs` as in sn_model_opt, extra_set: one more setting or
 * NULL. What was loaded is held. */
typedef struct cli_source {
  const char *path;
  const char *name;    /* of the model: that of SN_MODEL, of a text its file name without folder and suffix */
  sn_model_file *file; /* NULL for .sn */
  sn_module *module;
  const char *settings;
  const char *precision; /* that a run folder was trained with; NULL: what --precision says */
} cli_source;
/* graphs: names between commas, NULL: all, "": the only one, else train. */
SN_MUST sn_code cli_load(cli *c, const char *path, const char *graphs, int set_count, const char *const *set,
                         cli_source *out);
bool cli_declares(const cli_source *s, const char *setting);

/* Loads what --backend names, if it is not loaded yet. */
SN_MUST sn_code cli_use_backend(cli *c);
/* A file that is installed with the command, "sinter-run"; NULL: missing. */
const char *cli_tool(cli *c, const char *name);
/* --target names one that works here, before anything begins. errors: SN_ERR_USAGE, SN_ERR_DEVICE */
SN_MUST sn_code cli_check_target(cli *c);
/* errors: SN_ERR_USAGE the target is the interpreter: "there are no kernels to `purpose`" */
SN_MUST sn_code cli_needs_kernels(cli *c, const char *purpose);
/* Compiler options from the flags. */
sn_compile_opt cli_compile_opt(cli *c, const cli_source *s);
/* Is this the first word of the text, after blanks and comments? "sinter", "kernel" and "plan" begin the stages. */
bool cli_text_begins(const char *text, const char *word);
/* The stage that an option names, read; NULL: not given. */
SN_MUST sn_code cli_stage(cli *c, cli_option o, const sn_stage_text **out);
/* sn_compile with a progress line and what --kernels names; says which kernels are the user's. */
/* After `code` of a check of memory: may a plan without logits fit? Then what is compiled from here on has them fused.
 */
bool cli_fuse_losses(cli *c, sn_code code);
/* After the check of that plan: says that it is taken, or leaves the refusal that asks for less memory.  -> code */
sn_code cli_fused_losses(cli *c, sn_code code);
SN_MUST sn_code cli_compile(cli *c, sn_module *m, sn_compile_opt *opt, sn_compiled *out);
/* Does the file start as a plan in binary form? */
bool cli_is_plan(const char *path);
/* Such a plan, ready to run. errors: SN_ERR_USAGE an option that needs the model; those of reading */
SN_MUST sn_code cli_load_plan(cli *c, const char *path, sn_compiled *out);
/* Value of every symbol: --dim, else B = 12 and T = the setting `context` or the maximum, else the maximum. */
SN_MUST sn_code cli_dims(cli *c, const sn_types *types, const char *settings, int64_t **out);
/* The graph named by --graph, else the only one, else `train`. */
SN_MUST sn_code cli_graph(cli *c, const sn_plan *p, int *out);

/* Options for a runtime of the command: its warnings are told. k: what it runs; NULL: a plan with all of its code. */
sn_runtime_opt cli_runtime_opt(cli *c, sn_compiled *k, int threads);
/* --mem-limit against a store and runs of one or two graphs with these rows and columns.   errors: as
 * sn_runtime_check_memory */
SN_MUST sn_code cli_check_memory(cli *c, sn_runtime *r, int64_t batch, int64_t window, const char *graph,
                                 const char *other);
/* With --trace: what runs of the plan do is recorded. Call it once the number of threads is set. */
SN_MUST sn_code cli_trace_begin(cli *c, const sn_plan *p, sn_runtime_opt *opt);
/* Writes the file, if there is anything to write; called when the command ends, well or not. */
SN_MUST sn_code cli_trace_end(cli *c);

/* 1234567 -> "1.2 M" */
const char *cli_human(sn_arena *arena, double x, const char *unit);
/* The file of weights that --init names, of a run folder if it is one; NULL: none. */
const char *cli_init_file(cli *c);

/* Kernels, plan, LLVM IR or assembly of the compiled graphs, as text. */
SN_MUST sn_code cli_emit_text(cli *c, const cli_source *s, const char *what, sn_text *t);

/* Subcommands. */
sn_code cli_train(cli *c);
sn_code cli_distill(cli *c);
sn_code cli_eval(cli *c);
sn_code cli_generate(cli *c);
sn_code cli_build(cli *c);
sn_code cli_run(cli *c);
sn_code cli_explain(cli *c);
sn_code cli_bench(cli *c);
sn_code cli_tune_command(cli *c);
sn_code cli_dump(cli *c);
sn_code cli_opt(cli *c);
sn_code cli_inspect(cli *c);
sn_code cli_doctor(cli *c);
sn_code cli_pages(cli *c);
sn_code cli_recipe(cli *c);
sn_code cli_conformance(cli *c);
sn_code cli_fuzz(cli *c);
sn_code cli_reduce(cli *c);
sn_code cli_bisect(cli *c);
sn_code cli_check(cli *c);

#endif
