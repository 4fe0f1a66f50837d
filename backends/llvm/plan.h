/* What is decided about a kernel before any code is emitted: the order of its steps, which operations share one loop
 * over rows, and which values live in the workspace, where.
 *
 *   virtual values  const, isplat, iota, bcast, loads from `in` buffers, numbers of columns below a limit, trans used
 *                   only as first operand of mma, casts to f32 of such loads, from i8 used only as operands
 *                   of mma, from 16 bits only as second ones of few rows:
 *                   no place of their own, evaluated where they are used
 *   steps           mma, trans, for, if, or a row cluster: operations with the same number of rows that share one loop
 *                   over rows
 *   residence       a value used only inside its cluster lives in vector registers; all others have a slot in the
 *                   workspace, row-major with whole vectors per row */
#ifndef SN_BACKENDS_LLVM_PLAN_H
#define SN_BACKENDS_LLVM_PLAN_H

#include "ir/kernel/kernel.h"

enum {
  CG_STATIC_VECTORS = 16, /* rows of up to this many vectors may be unrolled whole */
  CG_FEW_ROWS = 8         /* products of so few rows take their time from reading the second operand */
};

typedef enum cg_step_kind { CG_ROWS, CG_MMA, CG_TRANS, CG_FOR, CG_IF } cg_step_kind;

typedef struct cg_step {
  cg_step_kind kind;
  sn_kv v; /* MMA, TRANS, FOR, IF */
  /* ROWS */
  sn_kv *ops; /* in program order */
  int count, rows;
  int number;     /* identity of the cluster, from 1 */
  int last_phase; /* of the wide form: the longest chain of row reductions */
  int work;       /* vector operations of one row */
  bool wide;      /* rows are walked in vector loops; else unrolled whole */
  bool reduces;   /* along rows */
  bool ordered;   /* loads memory that the kernel writes */
  sn_kv bound;    /* row limit beyond which nothing is observed, 0: none */
} cg_step;

typedef struct cg_block {
  const sn_kblock *b;
  int parent; /* -1: none */
  cg_step *step;
  int count, capacity;
  int end; /* clock after its last step */
} cg_block;

typedef struct cg_plan {
  const sn_kernel *k;
  sn_arena *arena;
  int lanes;
  cg_block *block;
  int block_count, block_capacity;
  int clock, clusters;
  /* per value */
  int *in;     /* its block */
  int *pos;    /* its place in the block */
  int *at;     /* clock of its step */
  int *member; /* number of its cluster, 0: none */
  int *phase;  /* wide clusters: from which phase on it is known */
  bool *virt, *slot;
  int *root;       /* union-find of values that share a slot */
  int *def, *use;  /* of roots: first definition, last use */
  int64_t *offset; /* of roots: bytes into the workspace */
  int64_t bytes;
} cg_plan;

void cg_plan_make(cg_plan *p, const sn_kernel *k, int lanes, sn_arena *arena);

/* Type of a tile; of a store: of the value stored. */
sn_ktype cg_shape(const sn_kernel *k, sn_kv v);
static inline bool cg_is_tile(const sn_kernel *k, sn_kv v) { return k->ins[v].type.r > 0; }
sn_krole cg_buffer_role(const sn_kernel *k, sn_kv buffer); /* local scratch: SN_K_INOUT */
static inline bool cg_is_reduce(const sn_kins *x) {
  return x->op == SN_K_RSUM || x->op == SN_K_RPROD || x->op == SN_K_RMAX || x->op == SN_K_RARGMAX;
}
bool cg_is_elementwise(sn_kop op);
/* The value behind broadcasts and virtual transpositions. */
sn_kv cg_source(const cg_plan *p, sn_kv v);
/* Places of the tiles that an instruction reads, virtual ones left out. Returns their number. */
int cg_deps(const cg_plan *p, sn_kv v, sn_kv *out);
sn_kv cg_root(const cg_plan *p, sn_kv v);
cg_block *cg_block_of(const cg_plan *p, const sn_kblock *b);
int cg_ld(const cg_plan *p, sn_ktype t); /* row stride of a slot, elements */
int64_t cg_slot_bytes(const cg_plan *p, sn_ktype t);
int cg_vectors(int columns, int lanes);

/* plan_cluster.c: properties of finished clusters */
void cg_cluster_shape(cg_plan *p, cg_step *s);
void cg_cluster_bound(cg_plan *p, cg_step *s); /* after residence is known */
/* plan_slots.c */
void cg_place_slots(cg_plan *p);

#endif
