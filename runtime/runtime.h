/* The runtime: binds a plan to memory and threads, and runs its graphs. Contains no compiler. */
#ifndef SN_RUNTIME_RUNTIME_H
#define SN_RUNTIME_RUNTIME_H

#include "ir/plan/plan.h"

typedef struct sn_runtime sn_runtime; /* a plan bound to code and threads */
typedef struct sn_store sn_store;     /* storage of parameters and states of one model instance */

typedef struct sn_buffer { /* caller's memory for an input or output */
  const char *name;
  void *data;
  int rank;
  int64_t extent[SN_RANK_MAX];
} sn_buffer;

typedef struct sn_run_error {
  sn_code code;
  int step; /* step of the graph that failed, -1: none */
} sn_run_error;

typedef struct sn_runtime_opt {
  int threads; /* 0: all cores */
  /* Host steps (ref target): called with the graph, the values of the symbols and data of every slot. */
  sn_code (*host)(void *user, const sn_plan *p, int graph, const int64_t *dims, void *const *slot_data,
                  sn_diags *diags);
  void *user;
  /* Kernel text blobs (template target): runs one instance range. NULL: refused with SN_ERR_DEVICE. */
  sn_code (*kernel_text)(void *user, const sn_code_blob *blob, const void *args, int64_t lo, int64_t hi,
                         sn_diags *diags);
  /* Profiling: called after each step with nanoseconds; runs are serialised per step. NULL: off. */
  void (*on_step)(void *user, int graph, int step, double ns);
  void *step_user; /* of on_step */
  /* Tracing: called by each worker after its part of a step, with times of CLOCK_MONOTONIC. NULL: off. */
  void (*on_part)(void *user, int64_t run, int graph, int step, int thread, double start_ns, double end_ns);
  void *part_user; /* of on_part */
  /* What does not end anything but should be known, "file: is damaged and not used". NULL: nobody is told. */
  void (*on_warning)(void *user, const char *message);
  void *warning_user;   /* of on_warning */
  int64_t memory_limit; /* bytes; 0: none. A bind that needs more is refused with SN_ERR_LIMIT before it starts */
  /* Looking for faults: bytes of ones (NaN, -1) behind every storage of the host that the runtime makes, and
   * temporaries are all ones at first: what reads what nobody wrote gets the same from it each time. 0: none. */
  int64_t guard;
} sn_runtime_opt;

/* Does the plan run on a device of its own, beside the processor? Then on_part tells times of the device's clock. */
bool sn_device_wanted(const sn_plan *p);

/* keeps: the plan, until destroyed. errors: SN_ERR_DEVICE when the host lacks a feature that the code needs, naming it.
 */
SN_MUST sn_code sn_runtime_create(const sn_plan *p, const sn_runtime_opt *opt, sn_diags *diags, sn_runtime **out);
void sn_runtime_destroy(sn_runtime *r);
const sn_plan *sn_runtime_plan(const sn_runtime *r);
int sn_runtime_threads(const sn_runtime *r);
/* Of the newest run: value of each symbol, and data of every slot (NULL: not of that graph, or in the memory of a
 * device). After SN_ERR_NUMERIC inputs, parameters and states are as they were before the run. Valid until the next
 * run, while the caller's buffers are. */
const int64_t *sn_runtime_dims(const sn_runtime *r);
void *const *sn_runtime_slots(const sn_runtime *r);
/* The same of one slot, wherever it is; a device's is read for it. Valid until it is asked for again. May be called
 * from on_step.   errors: NULL: not of that graph, or it cannot be read */
const void *sn_runtime_slot(sn_runtime *r, int slot, sn_diags *diags);

/* A store with initial values: seed and name of a tensor decide its values (the same on every device and build). State
 * extents that depend on symbols (caches of B rows) are allocated for `dims` (NULL: maxima). */
SN_MUST sn_code sn_store_create(sn_runtime *r, uint64_t seed, const int64_t *dims, sn_diags *diags, sn_store **out);
void sn_store_destroy(sn_store *s);
/* Elements that were given initial values other than zero so far: those that were needed by a run, or looked at, before
 * other values were there. */
int64_t sn_store_drawn(const sn_store *s);
/* Raw row-major data of a parameter or state, in its slot's type, to be read and written until the next run: a device
 * has its own copy, which is brought here first and renewed afterwards. NULL: no such storage, or it cannot be read. */
void *sn_store_data(sn_store *s, int slot, int64_t *bytes);
/* The same, to be written whole: what stood there is not brought, and initial values are not made. Its content is
 * open until then. */
void *sn_store_overwrite(sn_store *s, int slot, int64_t *bytes);
/* The values of a parameter are those at `data`, in its slot's type, row-major, with 64 readable bytes behind them,
 * instead of a copy. keeps: data, until the store is destroyed or the slot is written through sn_store_data or
 * sn_store_overwrite, which make a copy. -> false: not done, since data is not aligned to 64, or a step of the plan may
 * write the slot */
bool sn_store_lend(sn_store *s, int slot, const void *data);
/* The same as sn_store_data to be read only: the device keeps its copy. */
const void *sn_store_read(sn_store *s, int slot, int64_t *bytes);
/* Bytes of a parameter or state; 0: none. Moves nothing. */
int64_t sn_store_bytes(const sn_store *s, int slot);
/* Parameters of a second model in the same program, read from a store of their own: they are not saved with the first.
 */
void sn_store_set_reference(sn_store *s, int slot);
/* Is the slot a parameter or state that belongs to the model of this store, and so to its files? */
bool sn_store_owns(const sn_store *s, int slot);
/* Value of each symbol that sized the states. */
const int64_t *sn_store_dims(const sn_store *s);
/* What a training loop carries from step to step beside tensors; checkpoints keep it, so that a resumed run reports the
 * same losses. Zero at first. */
typedef struct sn_tally {
  double loss_sum; /* of the steps since the last evaluation */
  int64_t loss_count;
} sn_tally;
sn_tally *sn_store_tally(sn_store *s);
/* After parameters were changed from outside: prepare steps run before the next graph. */
void sn_store_touch(sn_store *s);
/* Initial values again for states (role STATE) whose name matches the pattern. */
void sn_store_reset(sn_store *s, const char *pattern);
/* In every state whose first extent is the symbol `dim`, row i < count becomes what row parent[i] was: the caches of
 * sequences "B" go on from others.   errors: SN_ERR_USAGE no such row or dim, SN_ERR_LIMIT memory, SN_ERR_DEVICE it
 * cannot be read */
SN_MUST sn_code sn_store_reorder(sn_store *s, const char *dim, int64_t count, const int32_t *parent, sn_diags *diags);

/* Runs one graph once. Symbols are bound from the extents of inputs; buffers of unused outputs may be left out.
 * Inputs are only read. Data aligned to 64 bytes is used in place, other data is copied.
 * errors: SN_ERR_USAGE unknown or missing input; SN_ERR_INPUT shape outside bounds, or an element that names a row
 * which is not there (expected and found); SN_ERR_LIMIT
 * memory; SN_ERR_NUMERIC a check failed: no state was written. */
SN_MUST sn_code sn_run(sn_runtime *r, sn_store *s, const char *graph, int buffer_count, const sn_buffer *buffers,
                       sn_diags *diags);

/* What a plan needs when it is run, in bytes. */
typedef struct sn_need {
  int64_t params, states, packed; /* of a store */
  int64_t temporaries;            /* of the graph with most: graphs share them */
  int64_t ports;                  /* inputs and outputs of all graphs */
  int64_t workspace;              /* scratch of kernels, of all threads */
  int64_t total;
} sn_need;

typedef struct sn_planned_run {
  const char *graph;   /* one that the plan lacks needs nothing */
  const int64_t *dims; /* value of each symbol */
} sn_planned_run;

/* Of a store for `store_dims` (as in sn_store_create) and these runs; nothing is allocated.
 *   errors: SN_ERR_LIMIT more than can be addressed */
SN_MUST sn_code sn_runtime_need(sn_runtime *r, const int64_t *store_dims, int count, const sn_planned_run *run,
                                sn_diags *diags, sn_need *out);
/* Do they keep to the memory limit? To be asked before the store is created.
 *   errors: SN_ERR_LIMIT with what they need, by part, and the extent of the first run with which they would fit */
SN_MUST sn_code sn_runtime_check_memory(sn_runtime *r, const int64_t *store_dims, int count, const sn_planned_run *run,
                                        sn_diags *diags);

/* Peak bytes of temporaries of a graph under `dims`, as the planner lays them out. */
SN_MUST sn_code sn_plan_peak_bytes(const sn_plan *p, int graph, const int64_t *dims, int64_t *out);
/* The same with the size and place in the pool of each temporary, by slot; offset -1: no storage of its own there. */
SN_MUST sn_code sn_plan_place(const sn_plan *p, int graph, const int64_t *dims, int64_t *bytes, int64_t *offset,
                              int64_t *out);

#endif
