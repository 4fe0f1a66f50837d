/* The plan: what the compiler hands to a runtime. Slots (tensors with symbolic sizes), code, and per graph a list of
 * steps. It is the artefact: in-process run, disk cache, executable and object file are this, packaged differently.
 * Plain data; the runtime contains no compiler. */
#ifndef SN_IR_PLAN_PLAN_H
#define SN_IR_PLAN_PLAN_H

#include "ir/base/status.h"
#include "ir/base/str.h"
#include "ir/types/type.h"

typedef enum sn_slot_role {
  SN_SLOT_INPUT,  /* given by the caller for each run */
  SN_SLOT_OUTPUT, /* written for the caller */
  SN_SLOT_PARAM,  /* weights: persistent, in checkpoints */
  SN_SLOT_STATE,  /* other persistent state: moments, caches, step counts */
  SN_SLOT_TEMP,   /* one run */
  SN_SLOT_PACKED, /* made of PARAMs that no graph updates, another layout or a value; filled by `prepare` steps */
} sn_slot_role;

typedef enum sn_init_kind {
  SN_INITIAL_NONE,
  SN_INITIAL_FILL,
  SN_INITIAL_NORMAL,
  SN_INITIAL_UNIFORM,
  SN_INITIAL_TRUNCATED
} sn_init_kind;

typedef struct sn_slot {
  const char *name; /* of inputs, outputs, parameters, states; generated for the others */
  sn_slot_role role;
  const sn_type *type;     /* row-major, contiguous */
  const sn_dimx *elements; /* storage, at least the product of the dims */
  sn_init_kind init;       /* PARAM, STATE: initial value; INPUT scalars: FILL = default */
  double init_a;           /* standard deviation, bound or value */
  bool optional;           /* INPUT with a default */
  bool frozen;             /* PARAM that no graph updates */
  int graph;               /* INPUT, OUTPUT, TEMP: the graph it belongs to; -1: shared by all */
  int first, last;         /* TEMP: steps of its graph between which it lives */
  int alias;               /* TEMP, OUTPUT: slot whose storage it shares, -1: its own */
  int buddy;               /* STATE double buffers: -1 none */
  int line;                /* of the text that it was read from; 0: none */
} sn_slot;

typedef enum sn_code_kind { SN_CODE_CPU, SN_CODE_SPIRV, SN_CODE_KERNEL_TEXT } sn_code_kind;

typedef struct sn_code_blob {
  sn_code_kind kind;
  const char *name; /* of the kernel */
  const unsigned char *bytes;
  int64_t byte_count; /* CPU: position-independent image, entry at `entry`; SPIRV: words of a module, entry "main" */
  int64_t entry;      /* SPIRV: invocations of a workgroup */
  int64_t workspace_bytes; /* per thread, 64-byte aligned; SPIRV: per workgroup */
  const char *features;    /* what the code needs: CPU as sn_target.features, SPIRV words of runtime/vulkan/facts.h */
  int line;                /* of the text that it was read from; 0: none */
} sn_code_blob;

/* SPIRV kernels take 8 bytes each as push constants: [0] instances in all, [1] address of the workspace (0: none), then
 * the arguments in order: the address of a slot, or the value of a size. With more than 14 arguments [2] is the address
 * of a table of them. An instance is done by one workgroup: it begins with that of its linear number (x + y * count of
 * x) and goes on in steps of the number of workgroups. */

/* Is the entry one that code of its kind may have: inside of it; SPIRV: a number of invocations, at most 65535? */
bool sn_code_entry_ok(const sn_code_blob *b);

/* An argument of a launch: a slot or a symbol of the plan. */
typedef struct sn_plan_arg {
  bool is_slot;
  int index; /* slot, or symbol of plan->types: an i64 size */
} sn_plan_arg;

typedef enum sn_step_kind {
  SN_STEP_LAUNCH, /* run a kernel over its grid */
  SN_STEP_COPY,   /* whole slot `to` = slot `from` */
  SN_STEP_CHECK,  /* end the run with SN_ERR_NUMERIC when the bool slot `from` is false; no state was written before */
  SN_STEP_SWAP,   /* exchange the storage of two slots of one type (state double buffer) */
  SN_STEP_HOST,   /* call the host function `host` of the plan's owner (ref target) */
  SN_STEP_CHOOSE, /* block[0] steps follow for when the bool slot `from` is true, then block[1] for when it is false */
  SN_STEP_WHILE, /* block[0] steps follow that set the bool slot `from`; while it is true, the next block[1], then again
                  */
} sn_step_kind;

typedef struct sn_step {
  sn_step_kind kind;
  int code; /* LAUNCH: blob */
  int arg_count;
  const sn_plan_arg *arg;
  uint64_t writes; /* LAUNCH: bit i: the kernel stores to argument i (roles OUT and INOUT); at most 64 arguments */
  const sn_dimx *grid[3]; /* LAUNCH: extents, last fastest; missing ones are NULL */
  int from, to;           /* COPY, CHECK, SWAP */
  int block[2];           /* CHOOSE, WHILE: steps of the blocks, at least 1 each */
  int64_t limit;          /* WHILE: rounds at most */
  /* report */
  const char *kind_name;                             /* "map", "rows", "contract", "attend", "index", "copy" ... */
  const char *ops;                                   /* the ops fused, "mul add gelu" */
  const char *where;                                 /* layer or source line; may be NULL */
  const sn_dimx *flops, *bytes_read, *bytes_written; /* distinct bytes of this launch */
  int line;                                          /* of the text that it was read from; 0: none */
} sn_step;

/* A fusion that was refused; or, where `ops` begins with SN_REFUSAL_FORM, the form that something got. */
#define SN_REFUSAL_FORM "form of "
typedef struct sn_refusal {
  const char *ops, *reason;
} sn_refusal;

bool sn_refusal_is_form(const sn_refusal *r);

/* What an input must be, checked before a run. EACH: its elements number rows, every element v has 0 <= v and v + span
 * <= rows. The others: some element is so; if none is, a sum that is divided by is 0: the loss has no targets. */
typedef enum sn_limit_kind {
  SN_LIMIT_EACH,
  SN_LIMIT_SOME_LESS,
  SN_LIMIT_SOME_MORE,
  SN_LIMIT_SOME_EQUAL,
  SN_LIMIT_SOME_OTHER,
} sn_limit_kind;

typedef struct sn_plan_limit {
  sn_limit_kind kind;
  int slot;            /* INPUT; EACH: of integers */
  const sn_dimx *rows; /* EACH: of what the op looks into */
  const sn_dimx *span; /* EACH: rows that one element reaches: 1, or the positions that are added to a start */
  double value;        /* SOME: than, or that, some element is */
  const char *op;      /* "gather" */
  const char *file;    /* of the user's line; may be NULL */
  int line;
} sn_plan_limit;

typedef struct sn_plan_graph {
  const char *name;
  int step_count;
  sn_step *step;
  int refusal_count;
  sn_refusal *refusal; /* fusions that were refused, with the reason */
  int limit_count;
  sn_plan_limit *limit;
  int line; /* of the text that it was read from; 0: none */
} sn_plan_graph;

typedef struct sn_plan {
  sn_arena *arena;
  sn_types *types;      /* symbols with bounds */
  const char *model;    /* name of the model */
  const char *settings; /* "layers=4 heads=4", as compiled */
  const char *target;   /* name of the device, and its features */
  const char *file;     /* the text or binary that it was read from; NULL: none */
  int slot_count;
  sn_slot *slot;
  int code_count;
  sn_code_blob *code;
  int graph_count;
  sn_plan_graph *graph;
  int prepare_count; /* steps to run after parameters were loaded: what depends on nothing else, packing */
  sn_step *prepare;
} sn_plan;

/* Position of a graph / slot by name; -1: none. */
int sn_plan_find_graph(const sn_plan *p, const char *name);
int sn_plan_find_slot(const sn_plan *p, int graph, const char *name);

/* Does all of its code run without the compiler: on a processor or a GPU? */
bool sn_plan_is_native(const sn_plan *p);

/* The step behind step i and its blocks. */
int sn_step_end(const sn_step *steps, int i);
/* The innermost control step around each step; -1: none.   needs: verified steps */
void sn_plan_parents(const sn_step *steps, int count, int *parent);

/* A walk over verified steps. */
typedef struct sn_flow {
  const sn_step *step;
  const int *parent;                  /* by sn_plan_parents */
  int64_t *rounds;                    /* per step: rounds begun of a WHILE */
  bool (*flag)(void *user, int slot); /* its value now */
  void *user;
} sn_flow;
/* May something else than the next step follow? */
bool sn_flow_branches(const sn_flow *f, int i);
/* The step after step i, which is done; the number of steps when it was the last. */
int sn_flow_next(sn_flow *f, int i);

/* Everything a loader relies on: indices in range, types of arguments, lifetimes, blobs, aliases. Mistakes are reported
 * at their line of the text, if there is one. */
SN_MUST sn_code sn_plan_verify(const sn_plan *p, sn_diags *diags);
/* Two different slots alive at once never share storage; a state is written only after the last check step; what is
 * computed is written before it is read. */
SN_MUST sn_code sn_plan_check_hazards(const sn_plan *p, sn_diags *diags);

/* Text form, parses back. Code blobs are shown as hex. */
void sn_plan_print(sn_text *out, const sn_plan *p, bool with_code);
SN_MUST sn_code sn_plan_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                              sn_plan **out);
/* The same into a table that may know its symbols already: a symbol of other bounds is a mistake. */
SN_MUST sn_code sn_plan_parse_into(sn_types *types, sn_diags *diags, const char *file, const char *text, size_t bytes,
                                   sn_plan **out);
/* One step, as it is printed, without what only reports show. */
void sn_plan_step_print(sn_text *out, const sn_step *s);

/* Binary form: magic, version, length and checksum, then sections. Reading trusts nothing. */
SN_MUST sn_code sn_plan_write(sn_arena *arena, const sn_plan *p, unsigned char **out, size_t *out_bytes);
SN_MUST sn_code sn_plan_read(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                             sn_plan **out);
/* 128-bit identity of everything that decides results: steps, code, initial values; in checkpoints.
 * errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_plan_hash(const sn_plan *p, uint64_t out[2]);

#endif
