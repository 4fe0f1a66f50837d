/* Private to the runtime: what a bound plan, a store and one run consist of. */
#ifndef SN_RUNTIME_INSIDE_H
#define SN_RUNTIME_INSIDE_H

#include "runtime/cpu/cpu.h"
#include "runtime/cpu/image.h"
#include "runtime/runtime.h"

enum {
  SN_RT_ALIGN = 64,  /* of every storage, bytes */
  SN_RT_SLACK = 64,  /* readable bytes behind every storage */
  SN_RT_BOUNDS = 32, /* bindings kept per runtime */
};

/* One step of a graph under bound dims. */
typedef struct sn_bound_step {
  int64_t instances; /* LAUNCH: product of the grid extents */
  bool serial;       /* runs on one thread */
  bool goes_on;      /* needs nothing of the steps since the last barrier: there is none before it */
  int first_arg;     /* LAUNCH: position of its arguments in the flat list */
} sn_bound_step;

/* One graph (or the prepare steps: graph -1) under one tuple of dims. */
typedef struct sn_bound {
  struct sn_bound *next;
  int64_t id; /* no other binding of the runtime has or had it */
  int graph;
  int64_t *dims;       /* value of each symbol */
  int64_t *bytes;      /* of each slot of the graph and of the persistent ones; 0 for others */
  int64_t *offset;     /* of each TEMP that is a root: place in the pool; -1 for others */
  int64_t pool_bytes;  /* all temporaries */
  int arg_count;       /* of all steps together */
  sn_bound_step *step; /* one per step */
} sn_bound;

/* How an extent of an input gives the value of a symbol. */
typedef struct sn_extent_rule {
  int lone;  /* the extent is this symbol, -1: it is not a lone symbol */
  int solve; /* the only symbol in the expression, -1: none or several */
} sn_extent_rule;

typedef struct sn_stage { /* storage of an input or output that the caller's memory does not serve */
  void *data;
  int64_t bytes;
} sn_stage;

struct sn_device;       /* runtime/device.h */
struct sn_device_store; /* a device's copies of a store */

struct sn_runtime {
  const sn_plan *plan;
  sn_runtime_opt opt;
  int threads;
  int symbol_count;
  struct sn_device *device; /* that runs the plan; NULL: the processor */
  int *root;                /* per slot: the slot whose storage it shares, itself when its own */
  sn_extent_rule *rule;     /* slot * SN_RANK_MAX + axis, of inputs */
  sn_image *image;          /* code of the CPU blobs, NULL when there are none */
  sn_bound *bound;          /* newest first */
  int64_t bound_count;      /* made so far */
  void *pool;               /* temporaries */
  int64_t pool_bytes;
  void *workspace;         /* threads * workspace_bytes */
  int64_t workspace_bytes; /* per thread, a multiple of SN_RT_ALIGN */
  sn_cpu_share *share;     /* threads of them */
  sn_stage *stage;         /* per slot */
  int64_t stage_bytes;     /* sum over slots */
  sn_stage *fetched;       /* per slot: what sn_runtime_slot read from the device */
  void **data;             /* per slot: its storage in the current run; with a device: host memory of ports */
  int64_t *dims;           /* values of the symbols in the current run */
  sn_rt_arg *arg;          /* of the current run */
  int arg_capacity;
  sn_cpu_task *task;
  int *parent;     /* per task: the control step around it */
  int64_t *rounds; /* per task: rounds of a loop */
  int task_capacity;
  int64_t run_count; /* walks over steps so far */
  bool running;      /* a host step may not run graphs of the same runtime */
};

/* What stands in the storage of a parameter or state. */
enum {
  SN_RT_OWN,   /* its values */
  SN_RT_BLANK, /* zeros, until sn_rt_settle draws the initial values */
  SN_RT_LENT,  /* its values, in the caller's memory, which may not be written */
};

struct sn_store {
  sn_runtime *runtime;
  uint64_t seed;
  int64_t *dims; /* value of each symbol that sized the states */
  void **data;   /* per slot: PARAM, STATE, PACKED; NULL for others. With a device: the host's copies */
  struct sn_device_store *device; /* the device's; NULL: there is none */
  unsigned char *newer;           /* per slot: sn_newer */
  int64_t *bytes;                 /* per slot, without slack */
  unsigned char *state;           /* per slot: SN_RT_OWN.. */
  int64_t drawn_count;            /* see sn_store_drawn */
  bool *reference;                /* per slot: of another model, see sn_store_set_reference */
  int64_t total_bytes;
  sn_tally tally;
  bool prepared; /* PACKED slots are up to date */
};

/* A check failed. -> SN_ERR_NUMERIC with its message */
sn_code sn_rt_not_finite(const sn_runtime *r, int graph, sn_diags *diags);
/* Draws the initial values of a slot whose storage has none yet. */
void sn_rt_settle(sn_store *s, int slot);
/* Zeroed aligned storage with slack, and a guard of ones where the runtime has one; NULL when out of memory. Freed with
 * sn_block_free. */
void *sn_rt_alloc(const sn_runtime *r, int64_t bytes);
/* The message that it failed for `what`: how much was needed and how much there is. -> SN_ERR_LIMIT */
sn_code sn_rt_no_memory(sn_diags *diags, const char *what, int64_t bytes);
/* Tells opt.on_warning. */
void sn_rt_warn(const sn_runtime *r, const char *format, ...) SN_PRINTF(2, 3);
/* Adds to the newest message which batch would fit into `available` bytes of temporaries, inputs and outputs; nothing
 * when no extent can be chosen, or available < 0. */
void sn_rt_note_fit(const sn_runtime *r, int graph, const int64_t *dims, int64_t available, sn_diags *diags);
/* What users choose freely, the batch as a rule: the symbol that alone is the first extent of an input; -1: none. */
int sn_rt_first_extent(const sn_runtime *r, int graph);
/* Needs grow with extents: the largest that fits up to `most`, as the symbol d allows; else the smallest. */
int64_t sn_rt_search(const sn_dimx *d, int64_t most, bool (*fits)(void *user, int64_t extent), void *user);
/* Adds what was found to the newest message: with `extent` it is enough, or not even with it. */
void sn_rt_note_extent(const sn_dimx *d, bool is_enough, int64_t extent, int64_t given, int64_t bytes, sn_diags *diags);
/* Bytes of `elements` of a type under dims. errors: SN_ERR_LIMIT on overflow. */
SN_MUST sn_code sn_rt_bytes(const sn_slot *slot, const int64_t *dims, int64_t *out);
bool sn_rt_persistent(sn_slot_role role);
/* Writes `count` elements of value x, converted to the element type. */
void sn_rt_fill(void *data, sn_elem elem, int64_t count, double x);
void sn_rt_set(void *data, sn_elem elem, int64_t i, double x);

/* Values of the symbols from the extents of the caller's buffers; symbols that no input names take the store's.
 *   errors: SN_ERR_USAGE unknown buffer, SN_ERR_INPUT extents that do not fit (expected, found) */
SN_MUST sn_code sn_bind_dims(const sn_runtime *r, const sn_store *s, int graph, int buffer_count,
                             const sn_buffer *buffers, sn_diags *diags, int64_t *out_dims);
/* The binding of a graph (-1: prepare steps) under dims, from the cache or new. owns: the runtime. */
SN_MUST sn_code sn_bind_graph(sn_runtime *r, int graph, const int64_t *dims, sn_diags *diags, const sn_bound **out);
void sn_bound_destroy(sn_bound *b);
/* Sets goes_on of every step.   needs: bytes, offset and serial of b; roots of slots   errors: SN_ERR_LIMIT memory */
SN_MUST sn_code sn_bind_barriers(sn_bound *b, const int *root, const sn_step *steps, int count);
/* Slot `name` of a graph or shared by all; -1: none. */
int sn_bind_slot(const sn_plan *p, int graph, const char *name);
/* Is the slot part of this graph (-1: prepare)? */
bool sn_bind_uses(const sn_slot *slot, int graph);

/* Places temporaries: first fit over lifetimes. bytes, root: per slot; offset: -1 except for TEMP roots of the graph.
 */
SN_MUST sn_code sn_layout(const sn_plan *p, int graph, const int *root, const int64_t *bytes, int64_t *offset,
                          int64_t *out_pool_bytes);
/* Roots of aliases. errors: SN_ERR_INPUT for a cycle. */
SN_MUST sn_code sn_layout_roots(const sn_plan *p, int *root);

/* Steps of a bound graph on r->data. */
SN_MUST sn_code sn_exec(sn_runtime *r, sn_store *s, const sn_bound *b, sn_diags *diags);

#endif
