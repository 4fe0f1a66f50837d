/* State shared by the files that emit one kernel.
 *   kernel.c       entry function, index values, blocks, loops, branches
 *   window.c       loads and stores of windows, slots of the workspace
 *   convert.c      element types      elementwise.c   operations on vectors     reduce.c  reductions
 *   rows.c         row clusters       rows_wide.c     their form for long rows
 *   rows_ahead.c   prefetches of the rows that come next
 *   stream.c       stores around the caches
 *   move.c         copies of values   transpose.c     transposition
 *   mma*.c         products */
#ifndef SN_BACKENDS_LLVM_CG_H
#define SN_BACKENDS_LLVM_CG_H

#include "backends/llvm/ll.h"
#include "backends/llvm/plan.h"

enum { CG_FLIGHT = 4 }; /* most rows whose phases overlap */
enum { CG_MET = 8 };
enum { CG_ROWS_AHEAD = 8 }; /* most windows of a cluster that are fetched ahead */

typedef struct cg_uk cg_uk; /* microkernels, mma.h */
typedef struct cg_slides cg_slides;

typedef struct cg {
  ll g;
  const sn_kernel *k;
  sn_arena *arena;
  sn_diags *diags;
  sn_code code; /* sticky: the first failure */
  cg_plan p;
  ll_v ws, param[SN_K_PARAMS], gid[3];
  ll_v *iv;                 /* per value: loop variables */
  int64_t ws_bytes, ws_top; /* most and current bytes of the workspace */
  ll_v kept;                /* workspace that lasts from one instance to the next */
  int64_t kept_bytes;
  ll_v first;          /* is this the first instance of the call? */
  int nesting;         /* loops and branches around the step being emitted */
  ll_v trips;          /* how often the loops around it run it in an instance; NULL: once */
  const sn_kins *loop; /* the innermost of them; NULL: none */
  int64_t spare;       /* a vector's bytes that anything may be written to */
  /* the row being emitted */
  const cg_step *rows; /* open cluster; NULL: none */
  int flight;          /* which of the rows in flight */
  ll_v row;            /* its number, i64 */
  ll_v row_of[CG_FLIGHT];
  ll_v col;          /* first column of the vector group; NULL: 0 */
  ll_v col_end;      /* columns end here instead of at the tile's edge; NULL: at the edge */
  bool inside;       /* all columns of the group are known to be valid */
  sn_kv met[CG_MET]; /* .. and below these limits */
  int met_count;
  bool unlimited; /* column limits are known not to bite */
  bool streaming; /* stores that may stream do; stream.c */
  bool streamed;  /* did any? */
  int phase;      /* of the wide form */
  int64_t *least; /* per index value: proven lower bound, INT64_MAX: not asked yet */
  int64_t *spill; /* per value: workspace offset of what later phases read again, CG_SPILL_* */
  /* products */
  cg_uk *uk;
  cg_slides *slides;
  ll_v transpose[9];     /* function by element bytes */
  ll_v interleave, turn; /* functions, mma_pack.c */
  ll_v tile_config;      /* of tiles as most are */
  int tile_rows;         /* how many rows these have */
} cg;

enum { CG_SPILL_NONE = -1, CG_SPILL_SLOT = -2 };

static inline const sn_kins *cg_ins(const cg *c, sn_kv v) { return &c->k->ins[v]; }
static inline sn_ktype cg_type(const cg *c, sn_kv v) { return c->k->ins[v].type; }
/* Records a failure that names the instruction; emission goes on with harmless values. */
void cg_fail(cg *c, sn_kv v, const char *what);

/* kernel.c */
ll_v cg_index(cg *c, sn_kv v);
/* What it gains with the next turn of the loop around, where no number says that: places that a table gives. NULL: a
 * number does, or there is no loop. */
ll_v cg_to_next_turn(cg *c, sn_kv v);
ll_v cg_ws_at(cg *c, int64_t offset);
int64_t cg_temp(cg *c, int64_t bytes); /* workspace until the end of the step */
ll_v cg_slot(cg *c, sn_kv v);
ll_v cg_buffer(cg *c, sn_kv buffer);
bool cg_limit_holds(const cg *c, sn_kv limit, int64_t extent); /* limit >= extent, proven */
ll_v cg_clamp(cg *c, ll_v v, int64_t lo, int64_t hi);

/* window.c */
ll_t cg_reg(cg *c, sn_elem e); /* element type in vectors: bool i1, bf16, f16 and f8 as bits */
ll_t cg_mem(cg *c, sn_elem e); /* in memory: bool i8 */
ll_v cg_splat_const(cg *c, sn_elem e, double v);
ll_v cg_load_window(cg *c, sn_kv v, int j);
void cg_store_window(cg *c, sn_kv store, ll_v value, int j);
ll_v cg_window_place(cg *c, sn_kv v, int j); /* of the first element of vector j, unit column stride */
ll_v cg_slot_load(cg *c, ll_v base, sn_ktype t, int ld, int j);
void cg_slot_store(cg *c, ll_v value, ll_v base, sn_ktype t, int ld, int j);
ll_v cg_row_number(cg *c, sn_ktype t);
ll_v cg_column_numbers(cg *c, int j); /* i32 */
ll_v cg_limit32(cg *c, ll_v limit);

/* stream.c: shall this store go around the caches? decided at run time; NULL: never */
ll_v cg_streams(cg *c, const sn_kins *store);
ll_v cg_cluster_streams(cg *c, const cg_step *s); /* all of the cluster that ever may */
/* emits one vector of a streaming cluster; false: an ordinary store is needed */
bool cg_stream_store(cg *c, const sn_kins *store, ll_v v, ll_v p);
void cg_stream_end(cg *c); /* before the call returns */

/* convert.c */
ll_v cg_cast(cg *c, ll_v x, sn_elem from, sn_elem to);

/* elementwise.c: a: operands; from: element type of the last operand */
ll_v cg_apply(cg *c, const sn_kins *x, sn_elem from, ll_v *a);
ll_v cg_max(cg *c, sn_elem e, ll_v a, ll_v b);

/* range.c: is every element NaN or in the range of i32? */
bool cg_fits_i32(const cg *c, sn_kv v);

/* reduce.c: a reduction in steps; the first value of acc is the running result, the second its column */
int cg_red_parts(const sn_kins *x);
void cg_red_init(cg *c, const sn_kins *x, ll_v *acc);
void cg_red_step(cg *c, const sn_kins *x, ll_v *acc, ll_v v, ll_v columns);
void cg_red_join(cg *c, const sn_kins *x, ll_v *acc, const ll_v *other);
ll_v cg_red_finish(cg *c, const sn_kins *x, ll_v *acc); /* in every lane */
ll_v cg_red_input(cg *c, const sn_kins *x, int j);      /* vector j of the operand; lanes past the edge are neutral */

/* rows.c */
ll_v cg_get(cg *c, sn_kv v, int j); /* vector j of v in the current row */
/* Vectors j .. j + n of it, operation by operation: a chain of dependent ones fills a processor's window long before
 * that of the next vector begins, so that chains that are to overlap are emitted side by side. */
void cg_get_side_by_side(cg *c, sn_kv v, int j, int n);
void cg_in_flight(cg *c, int r);
void cg_rows(cg *c, const cg_step *s);
int cg_windows(const cg *c, const cg_step *s, sn_kv *out, int most); /* loads and stores that the cluster evaluates */
static inline int cg_vecs(const cg *c, sn_ktype t) { return cg_vectors(t.c, c->g.lanes); }
/* rows_wide.c */
void cg_wide_prepare(cg *c);
int cg_wide_flights(const cg *c, const cg_step *s);
void cg_wide_rows(cg *c, int flights);
int cg_work_before(const cg *c, int phase); /* operations on vectors of a row in the phases before */
/* rows_ahead.c */
typedef struct cg_rows_ahead {
  int count;
  bool near; /* so few that the first level cache has room */
  sn_kv load[CG_ROWS_AHEAD];
  ll_v step[CG_ROWS_AHEAD]; /* bytes from its window to that of the rows that come next */
} cg_rows_ahead;
/* What the rows after these will read; cheap where there is nothing. */
void cg_look_at_rows(cg *c, const cg_step *s, int flights, cg_rows_ahead *out);
/* Asks for it: the share of one phase of `vectors` vectors of the row in flight, of windows of this width. */
void cg_fetch_rows(cg *c, const cg_rows_ahead *a, int width, int vectors);

/* move.c */
typedef struct cg_part { /* part of a value, copied to memory */
  ll_v row0, rows;       /* first row and number of rows; NULL: all */
  ll_v col0;             /* first column; NULL: 0 */
  ll_v col_end;          /* columns of the value end here; NULL: at its edge */
  int cols;              /* columns to write, rounded up to vectors */
  int panel;             /* columns of a panel, each written as [rows][panel]; 0: no panels */
  int64_t panel_step;    /* elements from one panel to the next */
  sn_elem elem;          /* written as */
} cg_part;
void cg_copy(cg *c, sn_kv v, ll_v dst, int ld, cg_part part);
void cg_move(cg *c, sn_kv dst, sn_kv src);                          /* whole value into the slot of dst */
void cg_move_all(cg *c, int n, const sn_kv *dst, const sn_kv *src); /* as if at once */

/* transpose.c */
void cg_transpose(cg *c, sn_kv v);
/* dst[j][i] = src[i][j], i < rows, j < cols */
void cg_transpose_mem(cg *c, sn_elem e, ll_v src, ll_v src_ld, ll_v rows, ll_v cols, ll_v dst, ll_v dst_ld);
/* the same of elements of `bytes` bytes, with row strides in bytes */
void cg_transpose_bytes(cg *c, int bytes, ll_v src, ll_v src_ld, ll_v rows, ll_v cols, ll_v dst, ll_v dst_ld);

/* mma.c: does index value e gain the same for every 1 of v? */
bool cg_gains(const sn_kernel *k, sn_kv v, sn_kv e, int64_t *gain);
/* mma_slide.c: finds them; emits what every instance does first */
void cg_slides_find(cg *c);
void cg_slides_begin(cg *c);
/* mma.c */
void cg_mma(cg *c, sn_kv v);
/* Products with what surrounds them: the product loop of a `for`, and a store straight into its destination. Returns
 * the number of steps that were emitted, 0 when the step is not such a product. */
int cg_mma_fused(cg *c, const cg_step *s, const cg_step *next);
/* mma_tiles.c: does the instruction run on tiles? */
bool cg_tile_product(const sn_kernel *k, const sn_kins *x, const cg_isa *isa);
void cg_amx_begin(cg *c);
void cg_amx_end(cg *c);

#endif
