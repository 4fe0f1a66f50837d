/* sinter_host.h: models inside a C program. Compile a model (linked in, or a model file), give it weights, run its
 * graphs by name, save it.
 *
 * Everything hangs off a context (sn_ctx); there is no other state. Several may be used at once, each, with what was
 * made from it, by one thread at a time. A program (sn_program) is compiled graphs, or ones loaded from a file that
 * sn_program_save wrote. A store (sn_store) is weights and other state of one instance of a model.
 *
 * Functions that can fail return a code; sn_ctx_error says in words what was wrong with the newest call. Nothing here
 * prints, exits or aborts.
 *
 * Two libraries have these functions: `sinter` (all of them), and `sinter-rt` (all but sn_model_load, sn_compile and
 * sn_program_save), which is small and has no compiler inside.
 *
 * Model files and sn_program_save need files that are installed with the library. They are found from where it lies; a
 * program that has the static library inside sets SINTER_PREFIX in its environment.
 *
 *   sn_ctx *ctx;
 *   sn_program *p;
 *   sn_store *s;
 *   extern const sn_model sn_model_gpt;  // of gpt.c, linked in; or sn_model_load
 *   sn_ctx_create(NULL, &ctx);
 *   sn_compile(ctx, &sn_model_gpt, &(sn_compile_opt){.graphs = "train", .set = "layers=2"}, &p);
 *   sn_store_create(p, 42, &s);
 *   sn_run(p, "train", s, {"tokens", tokens, {8, 64}}, {"targets", next, {8, 64}}, {"loss", &loss, {0}});
 */
#ifndef SINTER_HOST_H
#define SINTER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/base/allocator.h"
#include "ir/base/code.h"

/* The version of this interface. It is part of every symbol, so that a program never runs with another one. Structs of
 * options may grow at the end within a version: their size travels with each call. */
#define SN_API_VERSION 1
#define SN_API(name) sn_v1_##name
#define sn_version SN_API(version)
#define sn_version_text SN_API(version_text)
#define sn_ctx_destroy SN_API(ctx_destroy)
#define sn_ctx_error SN_API(ctx_error)
#define sn_ctx_problem SN_API(ctx_problem)
#define sn_model_load SN_API(model_load)
#define sn_program_load SN_API(program_load)
#define sn_program_save SN_API(program_save)
#define sn_program_destroy SN_API(program_destroy)
#define sn_program_graph SN_API(program_graph)
#define sn_program_port SN_API(program_port)
#define sn_program_parameter SN_API(program_parameter)
#define sn_program_parameter_count SN_API(program_parameter_count)
#define sn_program_report SN_API(program_report)
#define sn_program_extents SN_API(program_extents)
#define sn_store SN_API(store)
#define sn_store_create SN_API(store_create)
#define sn_store_create_for SN_API(store_create_for)
#define sn_store_destroy SN_API(store_destroy)
#define sn_store_load SN_API(store_load)
#define sn_store_save SN_API(store_save)
#define sn_store_tensor SN_API(store_tensor)
#define sn_store_changed SN_API(store_changed)
#define sn_store_reset SN_API(store_reset)
#define sn_store_reorder SN_API(store_reorder)
#define sn_compile_opt SN_API(compile_opt)

#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* sn_run leaves some out */
#pragma GCC visibility push(default)
#endif

typedef struct sn_ctx sn_ctx;
typedef struct sn_program sn_program;
typedef struct sn_store sn_store;
typedef struct sn_model sn_model; /* sinter.h */

/* SN_API_VERSION of the library that is loaded. */
int sn_version(void);
/* Its release: "0.1.0". */
const char *sn_version_text(void);

/* ---- context ---------------------------------------------------------------------------------------------------- */

typedef enum sn_log_level { SN_LOG_ERROR, SN_LOG_INFO } sn_log_level;

typedef struct sn_ctx_opt {
  int threads;           /* that run graphs and generate code; 0: all cores */
  const char *cache_dir; /* compiled code is kept there; NULL: $XDG_CACHE_HOME/sinter or ~/.cache/sinter; "": nowhere */
  int64_t memory_limit;  /* bytes of tensors of one program; 0: none. A run that needs more is refused */
  /* Called with one message at a time, without a line end; from the thread that called. NULL: none. */
  void (*log)(void *user, sn_log_level level, const char *text);
  void *user;
  /* Of tensors and of compiler data; it may be called from several threads. NULL: the C library. Libraries underneath
   * (LLVM, OpenMP, JSON) and records of fixed size use the C library in any case. Kept until sn_ctx_destroy. */
  const sn_allocator *allocator;
} sn_ctx_opt;

/* opt: NULL for defaults.
 *   errors: SN_ERR_LIMIT out of memory, SN_ERR_USAGE options that this library does not know   owns: the caller */
#define sn_ctx_create(...) SN_API(ctx_create)(sizeof(sn_ctx_opt), __VA_ARGS__)
SN_MUST sn_code SN_API(ctx_create)(size_t opt_bytes, const sn_ctx_opt *opt, sn_ctx **out);
/* Destroys everything that was made from it. NULL is allowed. */
void sn_ctx_destroy(sn_ctx *ctx);

/* What was wrong with the newest call that can fail, as text of one or more lines; "" when nothing was. Valid until the
 * next such call. */
const char *sn_ctx_error(const sn_ctx *ctx);

typedef struct sn_problem {
  sn_code code;
  const char *file;     /* of the model; NULL: unknown */
  int line, column;     /* from 1; 0: unknown */
  const char *message;  /* lower case, no full stop */
  const char *expected; /* NULL: not applicable */
  const char *found;
  const char *note;
} sn_problem;

/* The same in parts: problem i of the newest call. -> false: there are not so many. */
bool sn_ctx_problem(const sn_ctx *ctx, int i, sn_problem *out);

/* ---- models and programs ---------------------------------------------------------------------------------------- */

/* A model file, compiled with $CC (cc) and loaded. Model files are programs: they run with the user's rights.
 *   errors: SN_ERR_INPUT what the compiler says, or no model in the file   owns: ctx */
SN_MUST sn_code sn_model_load(sn_ctx *ctx, const char *path, const sn_model **out);

typedef struct sn_compile_opt {
  const char *graphs;  /* "train|decode"; NULL: all that the model declares */
  const char *set;     /* settings of the model, "layers=4 width=64"; NULL: as declared */
  const char *target;  /* "cpu" (NULL), "template" or "ref" */
  const char *backend; /* a backend's shared object instead of a target; NULL: none */
  const char *isa;  /* at most this feature level: baseline, avx2, avx512, avx512bf16, amx; NULL: all that there is */
  const char *fuse; /* "all" (NULL), "none" or kinds: "map,rows,contract,attend,index" */
  const char *disable;   /* rules to switch off, "pass.rule,..."; NULL: none */
  const char *real;      /* the model's working float: "f32" (NULL) or "f64" */
  const char *grad;      /* a scalar output: graphs that have it also have its derivatives by their parameters, outputs
                            "grad.NAME"; NULL: none */
  const char *trainable; /* of the parameters that the model trains only those of these names, as sn_store_reset has
                            patterns; no work is done for the others; NULL: all */
  const char *vocab;     /* losses over large vocabularies: "auto" (NULL), "whole", "parts" or "fused" */
} sn_compile_opt;

/* opt: NULL for defaults.
 *   errors: SN_ERR_INPUT mistakes of the model at its lines; SN_ERR_DEVICE target or backend   owns: ctx */
#define sn_compile(...) SN_API(compile)(sizeof(sn_compile_opt), __VA_ARGS__)
SN_MUST sn_code SN_API(compile)(size_t opt_bytes, sn_ctx *ctx, const sn_model *model, const sn_compile_opt *opt,
                                sn_program **out);

/* Writes `path`.plan, which sn_program_load reads, and `path`.o with `path`.h: the program as an object that a C
 * program links, with a header that includes nothing of ours. Weights are not in them.
 *   errors: SN_ERR_DEVICE code of this target cannot stand alone, SN_ERR_LIMIT a file cannot be written */
SN_MUST sn_code sn_program_save(const sn_program *p, const char *path);
/* errors: SN_ERR_INPUT no such file or damaged, SN_ERR_DEVICE the machine lacks a feature the code needs   owns: ctx */
SN_MUST sn_code sn_program_load(sn_ctx *ctx, const char *path, sn_program **out);
/* With its stores. NULL is allowed. */
void sn_program_destroy(sn_program *p);

/* Name of graph i; NULL: there are not so many. */
const char *sn_program_graph(const sn_program *p, int i);

typedef struct sn_port {
  const char *name;
  bool is_output;
  bool is_optional;  /* an input with a default */
  const char *dtype; /* "f32", "i32", ... */
  int rank;
  const char *type; /* with its extents: "i32[B, T]" */
} sn_port;

/* Input or output i of a graph, inputs first. -> false: there is none. */
bool sn_program_port(const sn_program *p, const char *graph, int i, sn_port *out);

/* Name of parameter i of all graphs; NULL: there are not so many. */
const char *sn_program_parameter(const sn_program *p, int i);
/* Numbers in all of them: what a store would hold, without one. */
int64_t sn_program_parameter_count(const sn_program *p);

/* ---- what a run does -------------------------------------------------------------------------------------------- */

typedef struct sn_report_step {
  const char *kind;  /* schedule of a kernel: "map", "rows", "contract", "attend", "index", ...; "copy" */
  const char *ops;   /* that it fuses: "contract mul add" */
  const char *where; /* layer of the model, or file and line; "": unknown */
  double flops, bytes_read, bytes_written; /* of attention as if every query met every key */
  int64_t largest;                         /* elements of the largest tensor that it writes */
} sn_report_step;

typedef struct sn_report_buffer { /* a tensor that lives during a run only */
  const char *type;               /* "f32[B, T, 256]" */
  int64_t elements, bytes;
} sn_report_buffer;

/* `ahead`: steps that run once, after weights were loaded. */
typedef struct sn_report {
  int step_count, ahead_count, buffer_count;
  const sn_report_step *step, *ahead; /* in order */
  const sn_report_buffer *buffer;
  int64_t peak_bytes;  /* of all buffers that exist at the same time */
  int64_t state_bytes; /* of the states that it reads or writes, such as caches; without parameters */
} sn_report;

/* What a run of the graph with sizes "B=8 T=64" does; sizes that are not named count with their largest.
 *   errors: SN_ERR_USAGE no such graph, or no size of that name   owns: the program */
SN_MUST sn_code sn_program_report(sn_program *p, const char *graph, const char *dims, sn_report *out);

/* Extents of an input or output of the graph with such sizes.   errors: SN_ERR_USAGE no such port or size */
SN_MUST sn_code sn_program_extents(sn_program *p, const char *graph, const char *port, const char *dims,
                                   int64_t out[8]);

/* ---- weights and state ------------------------------------------------------------------------------------------ */

/* Initial values follow from seed and name of each tensor. Caches have room for the largest sizes that the model
 * allows. errors: SN_ERR_LIMIT out of memory   owns: the program */
SN_MUST sn_code sn_store_create(sn_program *p, uint64_t seed, sn_store **out);
/* The same with room for "B=8 T=64"; sizes that are not named count with their largest. */
SN_MUST sn_code sn_store_create_for(sn_program *p, uint64_t seed, const char *dims, sn_store **out);
void sn_store_destroy(sn_store *s); /* NULL is allowed */

/* Parameters from and to a .safetensors file; written atomically.
 *   errors: SN_ERR_INPUT missing, unknown or misshapen tensors, damaged files */
SN_MUST sn_code sn_store_load(sn_store *s, const char *path);
SN_MUST sn_code sn_store_save(sn_store *s, const char *path);

typedef struct sn_tensor_view {
  void *data; /* row-major; valid until the next run */
  const char *dtype;
  int rank;
  int64_t extent[8];
  size_t bytes;
} sn_tensor_view;

/* A parameter or state by name, to be read and written until the next run of the store: a run may move it, and a device
 * has a copy of its own. After writing to it call sn_store_changed.   errors: SN_ERR_USAGE no such tensor */
SN_MUST sn_code sn_store_tensor(sn_store *s, const char *name, sn_tensor_view *out);
void sn_store_changed(sn_store *s);
/* Initial values again for states (moments, caches) whose name matches: `*` any text, `|` or, leading `-` except. */
void sn_store_reset(sn_store *s, const char *pattern);
/* In every state whose first extent is the symbol `dim`, row i < count becomes what row parent[i] was: the caches of
 * "B" sequences go on from others, as beams do. errors: SN_ERR_USAGE no such row or dim, SN_ERR_LIMIT memory,
 * SN_ERR_DEVICE a state cannot be read */
SN_MUST sn_code sn_store_reorder(sn_store *s, const char *dim, int64_t count, const int32_t *parent);

/* ---- running ---------------------------------------------------------------------------------------------------- */

/* An input or output of a run: the caller's memory, row-major, in the port's element type. */
typedef struct sn_io {
  const char *name;
  void *data;
  int64_t extent[8]; /* as many as the port has axes; {0} for scalars */
  size_t bytes;      /* of data; 0: not checked */
} sn_io;

/* Runs a graph once: sn_run(p, "eval", s, {"tokens", t, {8, 64}}, {"loss", &loss, {0}}). Sizes such as B follow from
 * the inputs. Outputs that are not given are not kept. Data aligned to 64 bytes is used in place. errors: SN_ERR_USAGE
 * unknown or missing ports, SN_ERR_INPUT extents that do not fit, SN_ERR_LIMIT memory, SN_ERR_NUMERIC the result is not
 * finite: no state was written */
#define sn_run(p, graph, s, ...)                                                                                      \
  SN_API(run)(p, graph, s, (const sn_io[]){__VA_ARGS__}, (int)(sizeof((const sn_io[]){__VA_ARGS__}) / sizeof(sn_io)), \
              sizeof(sn_io))
SN_MUST sn_code SN_API(run)(sn_program *p, const char *graph, sn_store *s, const sn_io *io, int io_count,
                            size_t io_bytes);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
