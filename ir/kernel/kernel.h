/* The kernel IR: a tile program. One kernel is a grid of independent instances; each is a structured, sequential
 * program over 2-D tiles of static shape. No threads, lanes, vectors, registers, barriers or pointers.
 *
 * Values are SSA and immutable, of three kinds:
 *   index   uniform i64 (offsets, sizes, loop variables); hash-consed and folded: equal expression, equal id
 *   tile    dtype x [R, C], R and C compile-time constants; scalar [1,1], row vector [1,C], column vector [R,1]
 *   buffer  a parameter or a local scratch array of flat elements
 *
 * Memory: `in` buffers never overlap anything that is stored to; a window that an instance has stored is not loaded
 * again in it; no element of an output is written by two instances; `iload` reads only `in` buffers. Narrow dtypes
 * (bf16 f16 f8e4m3 f8e5m2 i8 u8) appear only in load, store, gather, cast, bcast, trans, select and as mma operands;
 * arithmetic is f32, i32 or bool, in kernels of graphs that have them f64 and i64. Grid: the last dimension runs
 * fastest; consecutive instances run on one core and share its cache. */
#ifndef SN_IR_KERNEL_KERNEL_H
#define SN_IR_KERNEL_KERNEL_H

#include <stdint.h>

#include "ir/base/status.h"
#include "ir/base/str.h"
#include "ir/types/dtype.h"

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

typedef int sn_kv; /* id of an instruction in its kernel; 0: none */

typedef enum sn_kclass {
  SN_KCLASS_IDX,
  SN_KCLASS_MEM,
  SN_KCLASS_SRC,
  SN_KCLASS_UN,
  SN_KCLASS_BIN,
  SN_KCLASS_CMP,
  SN_KCLASS_TER,
  SN_KCLASS_SHAPE,
  SN_KCLASS_MMA,
  SN_KCLASS_CTL
} sn_kclass;

typedef enum sn_kop {
  SN_K_NONE,
#define SN_KOP(e, text, cls) SN_K_##e,
#include "ir/kernel/kop.def"
#undef SN_KOP
  SN_K_COUNT
} sn_kop;

/* index values: elem SN_ELEM_NONE, r = c = 0.  buffers: their elem, r = c = 0.  statements (for, if, store): r = c =
 * -1. */
typedef struct sn_ktype {
  sn_elem elem;
  int r, c;
} sn_ktype;

enum { SN_K_TA = 1, SN_K_TB = 2, SN_K_VNNI = 4 }; /* mma flags */
enum { SN_K_ARGS = 20, SN_K_PARAMS = 64, SN_K_YIELDS = 16, SN_K_DEPTH = 16 };

typedef struct sn_kblock {
  sn_kv *ins; /* in order; IV, CARRY, RESULT and IDX ops are not listed */
  int count, capacity;
  sn_kv yield[SN_K_YIELDS];
  int yield_count;
} sn_kblock;

typedef struct sn_kins {
  sn_kop op;
  sn_ktype type;
  int count;
  sn_kv a[SN_K_ARGS]; /* operands, see kop.def */
  int64_t i;          /* integer attribute */
  double f;           /* float attribute */
  int where;          /* its line: place in sn_kernel.line, plus 1; 0: not known */
  sn_kblock *body[2];
  sn_kv in[SN_K_YIELDS];  /* FOR: its CARRY ids */
  sn_kv out[SN_K_YIELDS]; /* FOR, IF: its RESULT ids */
  sn_kv iv;               /* FOR: its loop variable */
} sn_kins;

typedef enum sn_krole { SN_K_IN, SN_K_OUT, SN_K_INOUT, SN_K_SIZE } sn_krole; /* SIZE: an i64 */

typedef struct sn_kparam {
  const char *name;
  sn_krole role;
  sn_elem elem;     /* of a buffer */
  int64_t min, max; /* SIZE: proven bounds */
  int64_t divisor;  /* SIZE: known divisor; buffers: alignment of the base in bytes (64 from arenas) */
  sn_kv value;
} sn_kparam;

typedef struct sn_kernel {
  sn_arena *arena;
  const char *name;
  sn_kparam param[SN_K_PARAMS];
  int param_count;
  sn_kv grid[3]; /* extents: index expressions of sizes */
  int grid_count;
  sn_kins *ins; /* ins[0] unused */
  int ins_count, ins_capacity;
  sn_kblock *body;
  sn_kblock *at[SN_K_DEPTH]; /* builder: insertion stack */
  int depth;
  sn_kv *table; /* builder: hash of index values */
  int table_count, table_capacity;
  const char *broken; /* builder: first limit that was exceeded (verify reports it); NULL: none */
  sn_loc loc;         /* of a kernel that was read from a text; file NULL: none */
  sn_loc *line;       /* where instructions come from: lines of that text or of a model. No part of the printed text */
  int line_count, line_capacity;
  int here; /* builder: `where` of what is built */
} sn_kernel;

/* ---- build: operand mistakes are compiler mistakes (sn_kernel_verify finds them) ------------------- */

sn_kernel *sn_kernel_create(sn_arena *arena, const char *name);
sn_kv sn_kernel_buffer(sn_kernel *k, const char *name, sn_elem elem, sn_krole role); /* alignment 64 */
sn_kv sn_kernel_size(sn_kernel *k, const char *name, int64_t min, int64_t max, int64_t divisor);
void sn_kernel_grid(sn_kernel *k, int count, sn_kv e0, sn_kv e1, sn_kv e2);
/* What is built from now on comes from there; file NULL: not known. */
void sn_k_at(sn_kernel *k, sn_loc loc);
sn_kv sn_k_gid(sn_kernel *k, int dim);
sn_kv sn_k_local(sn_kernel *k, sn_elem elem, int64_t elements);

/* index values; folds constants, identities and what bounds and divisors prove */
sn_kv sn_k_i(sn_kernel *k, int64_t v);
sn_kv sn_k_ibin(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b);
sn_kv sn_k_iadd(sn_kernel *k, sn_kv a, sn_kv b);
sn_kv sn_k_isub(sn_kernel *k, sn_kv a, sn_kv b);
sn_kv sn_k_imul(sn_kernel *k, sn_kv a, sn_kv b);
sn_kv sn_k_imulc(sn_kernel *k, sn_kv a, int64_t c);
sn_kv sn_k_iceil(sn_kernel *k, sn_kv a, int64_t by); /* ceil(a / by) */
sn_kv sn_k_iload(sn_kernel *k, sn_kv buffer, sn_kv off);

typedef struct sn_kwin {
  sn_kv buf, off, rs, cs, nr, nc;
} sn_kwin; /* 0: off 0, rs 0, cs 1, no limit */
sn_kv sn_k_load(sn_kernel *k, int r, int c, sn_kwin w, double pad);
void sn_k_store(sn_kernel *k, sn_kwin w, sn_kv v);
/* rows: i32 [R,1] or [R,C]. Rows out of [0, limit) are the caller's mistake; limit 0: unknown. */
sn_kv sn_k_gather(sn_kernel *k, int r, int c, sn_kwin w, sn_kv rows, double pad);

sn_kv sn_k_const(sn_kernel *k, sn_elem e, int r, int c, double v);
sn_kv sn_k_isplat(sn_kernel *k, int r, int c, sn_kv index);
sn_kv sn_k_iota(sn_kernel *k, int r, int c, int axis, sn_kv base);
sn_kv sn_k_un(sn_kernel *k, sn_kop op, sn_kv x);
sn_kv sn_k_cast(sn_kernel *k, sn_elem e, sn_kv x); /* x itself when it has that type */
sn_kv sn_k_bitcast(sn_kernel *k, sn_elem e, sn_kv x);
sn_kv sn_k_bin(sn_kernel *k, sn_kop op, sn_kv x, sn_kv y);   /* broadcasts either operand (emits bcast) */
sn_kv sn_k_binc(sn_kernel *k, sn_kop op, sn_kv x, double c); /* with a constant */
sn_kv sn_k_fma(sn_kernel *k, sn_kv x, sn_kv y, sn_kv z);
sn_kv sn_k_select(sn_kernel *k, sn_kv cond, sn_kv x, sn_kv y);
sn_kv sn_k_bcast(sn_kernel *k, int r, int c, sn_kv x);
sn_kv sn_k_reduce(sn_kernel *k, sn_kop op, int axis, sn_kv x); /* RSUM RPROD RMAX RARGMAX */
sn_kv sn_k_trans(sn_kernel *k, sn_kv x);
sn_kv sn_k_rescale(sn_kernel *k, sn_kv acc, sn_kv stat);
sn_kv sn_k_mma(sn_kernel *k, sn_kv acc, sn_kv a, sn_kv b, int flags);

/* for: `carry` holds the initial values on entry and the carried values on return -> the loop variable.
 * end_for: `carry` holds the yielded values on entry and the results on return. */
sn_kv sn_k_for(sn_kernel *k, sn_kv lo, sn_kv hi, int64_t step, int count, sn_kv *carry);
void sn_k_end_for(sn_kernel *k, int count, sn_kv *carry);
void sn_k_if(sn_kernel *k, sn_kv cond);
void sn_k_else(sn_kernel *k, int count, const sn_kv *yield);
void sn_k_end_if(sn_kernel *k, int count, sn_kv *yield); /* results on return */

/* ---- inspect ------------------------------------------------------------------------------------- */

const char *sn_kop_name(sn_kop op);
sn_kclass sn_kop_class(sn_kop op);
bool sn_kop_is_elementary(sn_kop op); /* expanded before a backend sees it */
sn_kop sn_kop_find(const char *name); /* SN_K_NONE: unknown */
/* The line that v comes from; file NULL: not known. */
sn_loc sn_k_loc(const sn_kernel *k, sn_kv v);
/* The pointer is valid until the next instruction is built. */
static inline const sn_kins *sn_k_ins(const sn_kernel *k, sn_kv v) { return &k->ins[v]; }
static inline sn_ktype sn_k_type(const sn_kernel *k, sn_kv v) { return k->ins[v].type; }
bool sn_k_is_const(const sn_kernel *k, sn_kv index, int64_t *out);
/* Facts of an index value from the parameters' bounds and divisors. */
int64_t sn_k_divisor(const sn_kernel *k, sn_kv index); /* 0 for the constant 0 */
void sn_k_bounds(const sn_kernel *k, sn_kv index, int64_t *min, int64_t *max);
/* By value, as printed: the number of %number of listed values, results and carries; that of loop variables; 0: none.
 */
typedef struct sn_knames {
  int *value, *loop;
} sn_knames;
sn_knames sn_k_names(const sn_kernel *k, sn_arena *arena);
/* The line that defines v as sn_kernel_print shows it (for v of a FOR or IF: its first line), without indentation: for
 * messages. */
const char *sn_k_text(const sn_kernel *k, sn_kv v, sn_arena *arena);

/* Scope, types, roles, shapes, yields, restrictions of the head comment. Names the instruction, at its line if the
 * kernel was read from a text. errors: SN_ERR_INPUT of a text, else SN_ERR_FAIL */
SN_MUST sn_code sn_kernel_verify(const sn_kernel *k, sn_diags *diags);

/* ---- text: parses back to an equal kernel; equal kernels print equal bytes ------------------------ */

void sn_kernel_print(sn_text *out, const sn_kernel *k);
SN_MUST sn_code sn_kernel_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                                sn_kernel **out);
/* All kernels of a text, one after another.   owns: arena */
SN_MUST sn_code sn_kernel_parse_all(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                                    int *out_count, sn_kernel ***out);
/* "(b0: in f32, B: size 1..8)": its parameters as they are printed. */
const char *sn_kernel_params_text(const sn_kernel *k, sn_arena *arena);
/* Renumbers in program order and drops unused instructions: the form that is printed, hashed and deduplicated. */
sn_kernel *sn_kernel_finish(sn_arena *arena, const sn_kernel *k);
/* Do they print the same bytes? */
bool sn_kernel_equal(const sn_kernel *a, const sn_kernel *b, sn_arena *scratch);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
