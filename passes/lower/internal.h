/* Shared by the schedule writers and by fuse: strided views, the shape of a group, tiles of values, kernels and steps.
 *
 *   view      where the elements of a value lie in a buffer: an offset and a stride per axis (view.c)
 *   chain     the views between a value and the space that a kernel iterates over, innermost first (chain.c)
 *   group     nodes of one kernel with their space: every access to memory as a view over that space (group.c)
 *   kernel    a kernel under construction with its slots and sizes (kernel.c)
 *   tile      values of a group on one tile of its space (tile.c, point.c)
 *   plan      slots and steps of the plan being assembled (lower.c) */
#ifndef SN_PASSES_LOWER_INTERNAL_H
#define SN_PASSES_LOWER_INTERNAL_H

#include "ir/ops/ops.h"
#include "passes/lower/lower.h"
#include "passes/lower/schedule.h"

/* ---- views: element (i0, i1, ..) of a value is buffer[offset + i0*stride0 + i1*stride1 + ..] ------------- */

enum { SN_VIEW_RANK = 12 };

typedef struct sn_shape {
  int rank;
  const sn_dimx *extent[SN_VIEW_RANK];
} sn_shape;

typedef struct sn_view {
  int rank;
  const sn_dimx *extent[SN_VIEW_RANK];
  const sn_dimx *stride[SN_VIEW_RANK]; /* elements of the buffer; 0: repeated */
  const sn_dimx *offset;               /* elements */
} sn_view;

sn_shape sn_shape_of(const sn_type *t);
bool sn_shape_equal(const sn_shape *a, const sn_shape *b);
/* Row-major, contiguous. */
sn_view sn_view_of(sn_types *t, const sn_shape *s);
/* The view of a view node's result, given the view of its operand. false: not a strided view (then *v is undefined). */
bool sn_view_through(sn_types *t, sn_view *v, const sn_func *f, const sn_node *n);
/* Follows view nodes of a body from value v down to what lies in memory: the value at the bottom (ARG or a node that
 * computes) -> *base, and the strided view of v over the buffer of that value. false: not strided. */
bool sn_view_resolve(const sn_func *f, sn_val v, sn_val *base, sn_view *out);
bool sn_dimx_is_zero(const sn_dimx *d);
/* Merges axis i + 1 into axis i. */
void sn_view_merge(sn_types *t, sn_view *v, int i);

/* Steps between shapes. A chain maps a value to the space at its end; equal chains are one pointer. */
typedef struct sn_step_map {
  sn_op op; /* RESHAPE TRANSPOSE BROADCAST SLICE */
  sn_shape from, to;
  int at[SN_VIEW_RANK]; /* TRANSPOSE: result axis i is operand axis at[i]; BROADCAST: axis of operand axis i */
  const sn_dimx *start[SN_VIEW_RANK]; /* SLICE; may be negative: a shift */
} sn_step_map;

typedef struct sn_chain {
  sn_step_map map;             /* applied first */
  const struct sn_chain *next; /* then these; NULL: the space */
} sn_chain;

typedef struct sn_chains {
  sn_arena *arena;
  sn_types *types;
  int count, capacity;
  const sn_chain **at; /* all of them, for interning */
} sn_chains;

/* Adds a step at the inner end; cancels and composes neighbours, drops identities. */
const sn_chain *sn_chain_add(sn_chains *c, const sn_step_map *m, const sn_chain *next);
/* The step of a view node; inverse: from its result to its operand (RESHAPE and TRANSPOSE only, false otherwise). */
bool sn_step_of(const sn_func *f, const sn_node *n, bool inverse, sn_step_map *out);
bool sn_view_step(sn_types *t, sn_view *v, const sn_step_map *m);
bool sn_view_chain(sn_types *t, sn_view *v, const sn_chain *c);

/* ---- groups: what one kernel covers ----------------------------------------------------------------------- */

typedef enum sn_access_kind {
  SN_ACCESS_BUFFER,  /* memory */
  SN_ACCESS_IOTA,    /* the "address" is the value */
  SN_ACCESS_UNIFORM, /* the "address" is the element that the random number belongs to */
  SN_ACCESS_GATHER,  /* table rows: the view leaves out the indexed axes */
  SN_ACCESS_RESULT,  /* a reduction or contraction inside the group: checked, holds no memory */
} sn_access_kind;

typedef struct sn_access {
  sn_access_kind kind;
  sn_val value;                     /* BUFFER: what is read (not a view); otherwise the node's value */
  const sn_chain *chain;            /* from the value to the space */
  sn_val base;                      /* GATHER: the table's buffer */
  const sn_dimx *row[SN_RANK_MAX];  /* GATHER: stride of each index operand */
  const sn_dimx *rows[SN_RANK_MAX]; /* GATHER: extent of each indexed axis */
  sn_view view;                     /* over the axes of the space, merged like it */
  bool used;                        /* emitted in the kernel being built */
} sn_access;

typedef struct sn_group_output {
  sn_val value;
  const sn_chain *chain;
  sn_view view; /* where it is stored, over the space */
  bool reduced; /* lives on the kept axes only */
  int slot;     /* where to; set by sn_group_slots */
} sn_group_output;

typedef struct sn_place {
  sn_val value;
  const sn_chain *chain;
  int next; /* 1 + position of the next value of its bucket; 0: none */
} sn_place;

/* Values with chains, found by value. */
enum { SN_PLACE_BUCKETS = 64 };
typedef struct sn_places {
  int count, capacity;
  sn_place *at;
  int head[SN_PLACE_BUCKETS]; /* 1 + position of the newest of the bucket; 0: none */
} sn_places;

typedef struct sn_group {
  sn_arena *arena;
  sn_chains chains;
  const sn_func *f;
  int node_count;
  const sn_node *const *node; /* the members and the views between them, in topological order */
  const bool *member;         /* by value id: computed here; NULL: every node that is not ARG */
  const bool *stored;         /* by value id: view nodes whose result lies in memory; NULL: none */
  sn_shape space;             /* after sn_group_merge: sorted and merged axes */
  bool reduce[SN_VIEW_RANK];  /* axes that reductions run over */
  sn_val anchor;              /* the value whose shape the space was at first */
  int access_count, access_capacity;
  sn_access *access;
  int output_count;
  sn_group_output *output; /* as given */
  sn_places placed;        /* values with a known way to the space */
  sn_places seen;          /* walked already */
  int reduce_count;        /* reductions inside */
  sn_val contract;         /* the contraction inside, 0: none */
  bool views_first;        /* of two places of a value, that through a view */
  const char *why;         /* reason when it is not one kernel */
} sn_group;

/* Finds the space of the nodes and every access that the outputs need.
 * -> false with g->why when they do not fit one kernel. */
bool sn_group_build(sn_group *g, sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node,
                    const bool *member, const bool *stored, int output_count, const sn_val *output);
/* The same with a given anchor. */
bool sn_group_build_at(sn_group *g, sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node,
                       const bool *member, const bool *stored, sn_val anchor, int output_count, const sn_val *output);
/* Makes the space have these extents; old axis i becomes axis_of[i], every view repeats along the others. */
void sn_group_remap(sn_group *g, const sn_shape *space, const int *axis_of);
/* May axes i and i + 1 be one? Makes them one. */
bool sn_group_may_join(const sn_group *g, int i);
void sn_group_join(sn_group *g, int i);
/* The group of a whole body. */
bool sn_group_of_body(sn_group *g, sn_arena *arena, const sn_func *body);
/* Sorts axes by the strides of the first store and merges neighbours wherever every access and store allows it. */
void sn_group_merge(sn_group *g);
/* The way of a value to the space; false: not known. */
bool sn_group_placed(const sn_group *g, sn_val v, const sn_chain **out);
sn_access *sn_group_access(const sn_group *g, sn_access_kind kind, sn_val value, const sn_chain *chain);

/* ---- lowering of one function ------------------------------------------------------------------------------ */

typedef struct sn_plan_build sn_plan_build; /* plan under construction, passes/plan/assemble.h */

/* Extents of a tile that a schedule writer is to use, where the shapes allow them; 0: its own. */
typedef struct sn_schedule {
  int rows, cols;
} sn_schedule;

/* A kernel that was written, but into no plan. */
typedef struct sn_trial {
  const sn_kernel *kernel; /* finished */
  int kernels;             /* that the node was written as */
  sn_schedule want, tile;  /* what was asked for, and what the writer made of it; 0: it has no such choice */
} sn_trial;

typedef struct sn_lower_ctx {
  sn_arena *arena; /* scratch */
  sn_diags *diags;
  const sn_target *target;
  sn_types *types;
  sn_plan_build *plan;
  const sn_func *graph; /* the function being lowered */
  const sn_node *fused; /* the fused node */
  const sn_func *body;  /* its body: ARG leaves are buffers, all else is computed */
  int arg_count, result_count;
  const int *arg_slot;            /* slot that holds ARG i */
  const int *result_slot;         /* slot that result i goes to */
  bool in_place;                  /* some result goes to the slot of an argument */
  bool accumulates;               /* the first one does, and is a sum with that argument */
  struct sn_build_kernel *inside; /* the instance that the body is part of; NULL: the body is a kernel of its own */
  sn_schedule want;               /* of the kernel to be written */
  sn_trial *trial;                /* where it goes instead of the plan; NULL: into the plan */
  sn_code failed;
} sn_lower_ctx;

/* A new temporary of this graph; its life is found from the steps. */
int sn_lower_temp(sn_lower_ctx *c, const char *name, const sn_type *type, const sn_dimx *elements);
/* Where a value of the body is stored: a result that is v, or v through views that only rename elements (reshape,
 * transpose). The view is over v's axes. Call with nth = 0, 1, .. until it says false: a value may be stored twice. */
bool sn_lower_sink(const sn_lower_ctx *c, sn_val v, int nth, int *slot, sn_view *view);
/* Slot and view of an operand of the body that is an ARG, maybe through views. false: computed inside or not strided.
 */
bool sn_lower_source(const sn_lower_ctx *c, sn_val v, int *slot, sn_view *view);
const sn_type *sn_lower_slot_type(const sn_lower_ctx *c, int slot);
/* "this kind of node is not supported: .." at the fused node's line; SN_ERR_DEVICE. */
sn_code sn_lower_fail(sn_lower_ctx *c, const char *format, ...) SN_PRINTF(2, 3);

/* ---- kernels ----------------------------------------------------------------------------------------------- */

enum { SN_LOWER_BUFFERS = 56 };

/* The layer or line that reports name for steps of the node; NULL: unknown. */
const char *sn_build_where(const sn_lower_ctx *c);

typedef struct sn_build_kernel {
  sn_lower_ctx *c;
  sn_kernel *k;
  int buffer_count;
  struct {
    int slot; /* maybe + SN_LOWER_WORDS */
    sn_kv value;
    sn_krole role;
  } buffer[SN_LOWER_BUFFERS];
  int symbol_count;
  sn_kv *symbol; /* by symbol index of the types: the size parameter, 0: not declared */
  const sn_dimx *grid[3];
  int grid_count;
  sn_kv id[3];            /* of a body inside an instance: the loops that stand for its grid */
  bool loop[3];           /* is there one? */
  struct sn_inner *inner; /* buffers below SN_LOWER_INNER */
  sn_kv skew, product[4]; /* of attention (attend_rows.c): scratch; products of the queries with rows on this block */
} sn_build_kernel;

/* slot + SN_LOWER_WORDS: an i64 slot seen as i32 words, the low one first. */
enum { SN_LOWER_WORDS = 1 << 24 };

/* Slots of a body inside an instance: scratch of the instance, or a part of a buffer that begins at `base`. */
enum { SN_LOWER_INNER = 1 << 25 };
typedef struct sn_inner {
  int count, capacity;
  struct sn_inner_slot {
    const sn_type *type;
    sn_kv buffer;
    sn_kv base; /* index value added to every address; 0: none */
  } *at;
} sn_inner;
/* -> slot of the bodies inside */
int sn_inner_add(sn_build_kernel *b, const sn_type *type, sn_kv buffer, sn_kv base);
/* Scratch for a value of the type. 0 and c->failed: it is too large. */
int sn_inner_local(sn_build_kernel *b, const sn_type *type);
/* Address `off` of a slot in its buffer. */
sn_kv sn_build_offset(const sn_build_kernel *b, int slot, sn_kv off);
/* Number of the instance along grid dimension i. */
sn_kv sn_build_id(const sn_build_kernel *b, int i);
typedef struct sn_buffer_use {
  int slot;
  sn_krole role;
} sn_buffer_use;

/* Starts a kernel with these buffers (a slot used twice becomes one `inout` buffer), then every symbol that the
 * body's types or `extra` dims mention. Names: buffers b0, b1, ..; sizes as their symbols. */
sn_build_kernel *sn_build_kernel_begin(sn_lower_ctx *c, const char *name, int count, const sn_buffer_use *use);
sn_kv sn_build_buffer(const sn_build_kernel *b, int slot); /* 0: not declared */
/* What is built from now on comes from the line of a node, if that is known. -> what sn_kernel.here was */
int sn_build_at(const sn_build_kernel *b, const sn_node *n);
/* A dim as an index value. */
sn_kv sn_build_dim(sn_build_kernel *b, const sn_dimx *d);
void sn_build_grid(sn_build_kernel *b, int count, const sn_dimx *e0, const sn_dimx *e1, const sn_dimx *e2);
/* offset + sum of coordinate[i] * stride[i] for the axes whose coordinate is not 0 (SN_KV none). */
sn_kv sn_build_address(sn_build_kernel *b, const sn_view *v, const sn_kv *coordinate);
/* Elements left in a block of `block` at `at`: extent - at, or 0 (no limit) when `extent` is a multiple of the block
 * (but 0 elements in the one block there is).
 */
sn_kv sn_build_limit(sn_build_kernel *b, const sn_dimx *extent, int block, sn_kv at);

typedef struct sn_report {
  const char *kind;                                  /* "map", "rows", .. ; NULL: that of the fused node */
  const char *ops;                                   /* NULL: those of the body */
  const sn_dimx *flops, *bytes_read, *bytes_written; /* distinct bytes; NULL: 0 */
  bool prepare;                                      /* run once after parameters were loaded */
} sn_report;

/* Finishes the kernel (equal kernels become one) and appends the launch to the steps of the graph. */
SN_MUST sn_code sn_build_kernel_end(sn_build_kernel *b, const sn_report *report);

/* Distinct elements of a buffer that views touch: the views must be over the same buffer. */
const sn_dimx *sn_footprint(sn_types *t, int count, const sn_view *const *view, const sn_dimx *buffer_elements);

/* ---- values on tiles ------------------------------------------------------------------------------------------ */

/* Element type in which values of type e are computed: bf16 f16 f8 -> f32, i8 u8 -> i32. */
sn_elem sn_compute_elem(sn_elem e);
/* Tile of a POINT node from tiles of its operands (broadcast as needed); operands and result in compute types.
 * 0: the op has no kernel form for this type (c->failed is set). */
sn_kv sn_point_emit(sn_build_kernel *b, const sn_func *f, const sn_node *n, const sn_kv *arg);
/* Value v rounded to element type e and back, when e is narrow: what a CAST in the graph does. */
sn_kv sn_point_round(sn_build_kernel *b, sn_elem e, sn_kv v);
/* uniform [0, 1): seed as two i32 tiles, step i32, element number as i32 low and high words. */
sn_kv sn_uniform_emit(sn_build_kernel *b, uint64_t stream, sn_kv seed_low, sn_kv seed_high, sn_kv step, sn_kv low,
                      sn_kv high);

/* Evaluates a region whose arguments are scalars, on tiles: arg[i].tile for scalar arguments, arg[i].slot >= 0 with a
 * view for captured tensors (read through `index`). Results in compute types. */
typedef struct sn_region_arg {
  sn_kv tile;
  sn_kv element; /* of a captured tensor that is read in one place: its elements there; 0: they are loaded */
  int slot;
  sn_view view;
} sn_region_arg;
SN_MUST sn_code sn_region_emit(sn_build_kernel *b, const sn_func *region, int arg_count, const sn_region_arg *arg,
                               sn_kv *result);

/* One tile of a group's space. Axes other than row and col have one coordinate. */
typedef struct sn_tile {
  sn_build_kernel *b;
  sn_group *g;
  sn_kv at[SN_VIEW_RANK];     /* first coordinate of each axis */
  int row, col;               /* axes along the tile's rows and columns; -1: none */
  int r, c;                   /* extents */
  sn_kv row_limit, col_limit; /* elements that exist from `at`; 0: all */
  sn_kv col_at;               /* i32 [R,1]: each row has a coordinate of its own along `col`, c = 1; 0: from `at` on */
  double pad;                 /* what loads give beyond the limits */
  bool narrow;                /* loads keep narrow element types */
  struct sn_tile_memo *memo;  /* values that were emitted where this tile can see them */
  /* a reduction or contraction inside the group: its tile, or 0 */
  sn_kv (*inner)(struct sn_tile *t, sn_val v, void *user);
  void *user;
} sn_tile;

/* Tile of value v of the body seen through `chain`: its natural extent, 1 where it does not vary. */
sn_kv sn_tile_value(sn_tile *t, sn_val v, const sn_chain *chain);
/* Stores a value of an output of the group to its slot. */
void sn_tile_store(sn_tile *t, const sn_group_output *o, sn_kv value);
/* Says which tile a value is, for values that the schedule makes itself. */
void sn_tile_remember(sn_tile *t, sn_val v, const sn_chain *chain, sn_kv tile);
struct sn_tile_memo *sn_tile_memo_new(sn_arena *arena, struct sn_tile_memo *outer);

/* ---- what the schedules of groups share -------------------------------------------------------------------------- */

typedef struct sn_axis_block {
  int axis, block;
  const sn_dimx *blocks; /* set by sn_tile_grid */
} sn_axis_block;

/* Makes a grid of the blocks of these axes (the last one fastest) and sets t->at of each; 0 where there is one block.
 */
void sn_tile_grid(sn_tile *t, int count, sn_axis_block *a);
/* Limits of the tile from its coordinates. */
void sn_tile_limits(sn_tile *t);
/* Output i goes to the slot of result i. */
void sn_group_slots(const sn_lower_ctx *c, sn_group *g);
/* A map kernel of a group whose outputs have slots. */
SN_MUST sn_code sn_map_emit(sn_lower_ctx *c, sn_group *g, const char *name, const sn_report *report);
/* Evaluates the outputs marked in `which` (NULL: all), then stores them to the slots of the results. */
void sn_tile_outputs(sn_tile *t, const bool *which);
/* A block near `wanted` that divides the extent where possible; the extent itself when it is small. */
int sn_block_of(const sn_dimx *extent, int wanted);
/* The same, in multiples of the target's unit where the extent is longer. */
int sn_block_for(const sn_target *target, const sn_dimx *extent, int wanted);
/* Does a reduction give a position? */
static inline bool sn_reduction_position(const sn_node *n) { return n->op == SN_OP_ARGMAX || n->op == SN_OP_ARGMIN; }
/* Is it worth more steps to have more instances? Never inside one. */
static inline bool sn_wants_instances(const sn_lower_ctx *c) { return c->target->instances > 1 && !c->inside; }
/* Appends the buffers that a group reads; that the results go to.  -> new count; at most SN_LOWER_BUFFERS */
int sn_group_buffers(const sn_lower_ctx *c, const sn_group *g, sn_buffer_use *list, int count);
int sn_result_buffers(const sn_lower_ctx *c, sn_buffer_use *list, int count);
/* Distinct bytes that the tiles emitted since sn_group_forget read. */
const sn_dimx *sn_groups_bytes_read(const sn_lower_ctx *c, int count, sn_group *const *g);
void sn_group_forget(sn_group *g);
const sn_dimx *sn_result_bytes(const sn_lower_ctx *c);
const sn_dimx *sn_outputs_bytes(const sn_lower_ctx *c, const sn_group *g);
const sn_dimx *sn_body_flops(const sn_lower_ctx *c); /* elementwise and reductions */
/* "map_mul_add": kind and the first ops of the body. */
const char *sn_kernel_name_of(const sn_lower_ctx *c, const char *kind);

/* Ops that are kernels of kind `index`; those among them whose operands are tiles along an axis: prefixes and sort. */
static inline bool sn_is_prefix_op(sn_op op) {
  return op == SN_OP_CUMSUM || op == SN_OP_CUMPROD || op == SN_OP_CUMMAX || op == SN_OP_RECUR;
}
static inline bool sn_is_along_op(sn_op op) { return op == SN_OP_SORT || sn_is_prefix_op(op); }
static inline bool sn_is_index_op(sn_op op) {
  return op == SN_OP_CONCAT || op == SN_OP_DYN_WRITE || op == SN_OP_SCATTER || op == SN_OP_INDEX_ADD ||
         op == SN_OP_SOLVE || sn_is_along_op(op);
}

/* What the sum of a scatter_add and an operand adds it to. 0: n is no such sum. scatter may be NULL. */
sn_val sn_scatter_sum(const sn_func *f, const sn_node *n, const sn_node **scatter);

/* ---- schedule writers: one fused node -> steps ------------------------------------------------------------------ */

SN_MUST sn_code sn_lower_map(sn_lower_ctx *c, const sn_node *fused);
SN_MUST sn_code sn_lower_rows(sn_lower_ctx *c, const sn_node *fused);
SN_MUST sn_code sn_lower_contract(sn_lower_ctx *c, const sn_node *fused);
SN_MUST sn_code sn_lower_index(sn_lower_ctx *c, const sn_node *fused);
/* One op of an index group: cumsum, cumprod, cummax, recur. */
SN_MUST sn_code sn_lower_prefix(sn_lower_ctx *c, const sn_node *n);
SN_MUST sn_code sn_lower_sort(sn_lower_ctx *c, const sn_node *n);
SN_MUST sn_code sn_lower_solve(sn_lower_ctx *c, const sn_node *n);
/* The body holds one SCAN and views of its operands; the step of the scan is made of fused nodes. */
SN_MUST sn_code sn_lower_scan(sn_lower_ctx *c, const sn_node *fused);
/* The body holds one COND or WHILE, whose regions are made of fused nodes. */
SN_MUST sn_code sn_lower_cond(sn_lower_ctx *c, const sn_node *fused);
SN_MUST sn_code sn_lower_while(sn_lower_ctx *c, const sn_node *fused);
/* For a fused node of the function f, in the plan that `of` is about: its operands lie in slots, its results will. */
sn_lower_ctx sn_lower_node_ctx(const sn_lower_ctx *of, const sn_func *f, const sn_node *n, const int *slot_of,
                               int *result);
/* The writer of the group's kind. */
SN_MUST sn_code sn_lower_group(sn_lower_ctx *c);
/* The same with tiles that sn_pass_env.choose prefers. */
SN_MUST sn_code sn_lower_scheduled(sn_lower_ctx *c);
/* The node as its writer writes it, first, and with every other tile that gives equal bits. -> how many; 0: the node
 * has no choice */
int sn_schedule_candidates(sn_lower_ctx *c, sn_trial out[SN_SCHEDULES]);
/* What the writer is asked for: `own`, or what was wanted instead; known to the trial as what it came to. */
static inline int sn_wanted(int want, int own) { return want ? want : own; }
static inline void sn_schedule_made(const sn_lower_ctx *c, int rows, int cols) {
  if (c->trial) c->trial->tile = (sn_schedule){rows, cols};
}
/* Can members with the contraction `contract` be one kernel? *why: reason when not. */
bool sn_contract_fits(sn_arena *arena, const sn_func *f, int node_count, const sn_node *const *node, const bool *member,
                      const bool *stored, int output_count, const sn_val *output, const char **why);
/* Queries or keys of a block of attention: those of the target, less where fewer can occur. */
/* Rows that a kernel takes at a time of pages of that many: a part of a block. */
int sn_attend_page_step(int block, int page);
int sn_attend_block(int block, const sn_dimx *extent);
/* The body holds one ATTENTION or ATTENTION_GRAD node, views of its operands, and returns its results (or views of
 * them). */
SN_MUST sn_code sn_lower_attend(sn_lower_ctx *c, const sn_node *fused);

#endif
