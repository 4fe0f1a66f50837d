/* Products: what the files mma*.c share.
 *   mma.c          recognises products with what surrounds them and describes one
 *   mma_operand.c  where operands lie, and the copies that bring them into a form that microkernels read
 *   mma_keep.c     copies that outlive an instance
 *   mma_slide.c    the same of windows that slide along a loop
 *   mma_blocks.c   macro tile -> calls of microkernels
 *   mma_ahead.c    prefetches of what comes after
 *   mma_next.c     prefetches of what the next stretch of k or the next instance multiplies
 *   mma_kernels.c  microkernels
 *   mma_dot.c      products along k, of few rows and columns that lie side by side
 *   mma_row.c      the same of few rows of a product on tiles
 *   mma_tiles.c    products of bf16 on AMX tiles      mma_pack.c  their operands      mma_amx.c  their microkernel
 *   mma_pairs.c    products of bf16 by vectors of pairs, where there are no tiles */
#ifndef SN_BACKENDS_LLVM_MMA_H
#define SN_BACKENDS_LLVM_MMA_H

#include "backends/llvm/cg.h"

/* Rows of memory: pointer and row stride in elements; ld_const 0: not known here. */
typedef struct cg_mat {
  ll_v p, ld;
  int64_t ld_const;
} cg_mat;

enum { CG_FETCH_BELOW = 2 }; /* fetch: rows of a window, and what is asked for are the next k rows below */

/* What distinguishes microkernels: C[rows, vectors*lanes] (+)= A * B. */
typedef struct cg_uk_key {
  int rows, vectors;
  int tail;              /* valid lanes of the last vector; 0: all */
  int elem, elem_b;      /* of accumulator and a; of b in memory */
  int ta;                /* a is [k][m] */
  int beta;              /* adds to C: 0 no, it writes it, 1 yes, CG_BETA_ARG as an argument says */
  int any_k;             /* k may be 0 or no multiple of 4 */
  int fetch;             /* b comes from far: panels of it are prefetched; of tiles: cg_fetch */
  int next, next_turns;  /* see cg_next; of tiles: lines in a row of the result, asked for during the steps */
  int pairs;             /* bf16 pairs of k: products of two terms */
  int amx;               /* rows and vectors count tiles */
  int row;               /* one row in the order of tiles */
  int dots;              /* columns of a block whose vectors run along k; 0: they run along columns */
  int none;              /* keys are compared as bytes: nothing lies between */
  int64_t lda, ldb, ldc; /* elements; 0: run-time argument */
} cg_uk_key;

enum { CG_BETA_ARG = 2 };
typedef enum cg_fetch { CG_FETCH_NONE, CG_FETCH_STEP, CG_FETCH_PANEL } cg_fetch;

typedef struct cg_uk_entry {
  cg_uk_key key;
  ll_v fn;
} cg_uk_entry;
struct cg_uk {
  cg_uk_entry *at;
  int count, capacity;
};

/* Windows that the rows after a product touch. */
enum { CG_AHEAD = 6 };
typedef struct cg_ahead {
  int count;
  bool direct;                  /* microkernels store there themselves */
  const sn_kins *ins[CG_AHEAD]; /* load or store */
  cg_mat mem[CG_AHEAD];
  int bytes[CG_AHEAD]; /* of an element */
} cg_ahead;

/* One operand in the tile's orientation. */
typedef struct cg_operand {
  sn_kv v;
  cg_mat mem;      /* in place */
  sn_elem elem;    /* in memory */
  bool in_place;   /* else only by copy */
  bool k_rows;     /* rows of the tile run along k */
  bool mem_k_rows; /* rows of memory run along k */
  bool pad_zero;
  bool slid;            /* read where mma_slide.c copied it */
  sn_kv k_limit, limit; /* window limits along k and across; 0: none or proven */
} cg_operand;

typedef struct cg_product {
  cg *c;
  sn_kv v;  /* the mma instruction */
  sn_kv iv; /* of the loop over k that is one product, beginning at a constant; 0: none */
  cg_operand a, b;
  cg_mat pa, pb, d;         /* as microkernels read them; d: the accumulator */
  int64_t a_panel, b_panel; /* elements from one panel to the next, a panel being what a microkernel reads; 0: none */
  cg_mat next_a, next_b;    /* where p: what is needed next, mma_next.c */
  int64_t next_depth;       /* where next_b lies in one piece: its rows, else 0 */
  sn_elem elem, elem_a, elem_b; /* accumulator, operands as microkernels read them */
  int m, n;
  bool ta, beta, any_k;
  bool pairs, amx;  /* b holds pairs of k; by tiles */
  bool by_pairs;    /* b and rows of a that run along k are brought into pairs of k */
  bool near_b;      /* b was copied and is in a cache */
  bool whole_steps; /* k is known to be a multiple of 32 */
  ll_v adds;        /* with beta: at run time, does this stretch of k add, or write? NULL: it adds */
  ll_v k;
  int64_t k_most;  /* upper bound of k when it is a constant, else 0 */
  ll_v valid;      /* rows of a that exist; NULL: all */
  bool keep_rows;  /* rows beyond `valid` are not to be written */
  sn_kv condition; /* a column limit that decided that this code runs, 0: none */
  const cg_ahead *ahead;
  sn_kv holds, fails; /* a column limit known to hold / not to hold here */
} cg_product;

/* mma.c */
bool cg_is_product_loop(const cg *c, const cg_step *s); /* a loop over k that is one product */
/* does off gain `stride` for every 1 of the loop variable? */
bool cg_moves_along(const sn_kernel *k, sn_kv iv, int64_t step, sn_kv off, sn_kv stride);
/* mma_operand.c */
cg_operand cg_operand_of(cg *c, sn_kv v, bool k_rows);
cg_mat cg_window_mat(cg *c, const sn_kins *x);
bool cg_is_window(const cg *c, sn_kv v);
sn_kv cg_factor_source(const cg *c, sn_kv v, bool *k_rows); /* behind virtual transpositions and casts */
bool cg_direct_b(const cg_product *p, sn_elem e);           /* can microkernels read b of this type? */
void cg_run_product(cg_product *p);
/* Before stretches of k, `whole` in all, that add to each other: does the first one write? */
bool cg_begin_sum(const cg_product *p, ll_v whole);
/* mma_keep.c: may a copy of b be kept for the next instances? *fill (if asked for): must this one make it? */
bool cg_keeps(const cg_product *p, ll_v *fill);
ll_v cg_keep(cg *c, int64_t bytes);          /* workspace that lasts from one instance to the next */
int64_t cg_keep_bytes(cg *c, int64_t bytes); /* the same as an offset from c->kept */
/* Grid dimensions that an index value depends on, as bits; CG_ANY_DIM when it depends on a loop other than `iv`. */
enum { CG_ANY_DIM = 15 };
int cg_dims_of(const cg *c, sn_kv v, sn_kv iv);
int cg_first_free(const cg *c, int dims);    /* of the trailing dimensions that do not matter */
bool cg_one_instance(const cg *c, int from); /* have all dimensions from there on extent 1? */
ll_v cg_starts_over(cg *c, int from);        /* is this the first instance of a call, or are all those dimensions 0? */
/* mma_slide.c: is the window copied for many instances? *out: where; its limits hold there too */
bool cg_slid(cg *c, sn_kv v, cg_mat *out);
/* mma_blocks.c */
void cg_emit_blocks(const cg_product *p);
int cg_chunk_columns(const cg_product *p); /* of one microkernel; the last may have fewer */
int cg_even_rows(const cg_product *p);     /* rows of each microkernel when all have the same number, else 0 */
void cg_zero(const cg_product *p, ll_v from, ll_v to); /* rows [from, to) of the accumulator */
/* mma_ahead.c */
void cg_look_ahead(cg *c, const cg_step *next, int rows, int cols, cg_ahead *out);
void cg_look_at_store(cg *c, sn_kv store, cg_ahead *out); /* that receives the product itself */
void cg_prefetch_ahead(cg *c, const cg_ahead *a, ll_v row, int rows, int col, int columns);
/* mma_next.c: lines that the microkernel of a block asks for: with every four steps `at_once` (0: none), `ld` bytes
 * from one to the next; the next four steps go on below them, or, after `turns` such groups, beside the first */
typedef struct cg_next {
  int at_once, turns; /* turns 1: always below */
  bool panel;         /* all that follows a panel of b is asked for */
  ll_v from, ld;
} cg_next;
void cg_look_at_next_rows(cg_product *p); /* sets next_a where that helps */
/* the same of panels that are packed side by side and that all instances of the last grid dimension read: next_b */
void cg_look_at_next_panel(cg_product *p);
enum { CG_PANEL_LINES = 4 }; /* of the next panel, asked for with every step of tiles */
ll_v cg_next_panel(const cg_product *p, int block_rows, ll_v row); /* the share of the block that begins there */
/* Elements from the rows of b to those that the loop around takes next: `rows` below, or where a table says. */
ll_v cg_rows_ahead_of(const cg_product *p, ll_v rows);
cg_next cg_next_of(const cg_product *p, int rows, int col, int columns, ll_v row);
/* mma_kernels.c */
ll_v cg_microkernel(cg *c, cg_uk_key key);
/* mma_dot.c: may the product be made along k, when its operands lie so? b: type of the second in memory */
bool cg_by_dots(const cg_product *p, bool a_k_rows, bool b_k_rows, sn_elem b);
void cg_emit_dots(const cg_product *p); /* of placed operands */
ll_v cg_dots_microkernel(cg *c, const cg_uk_key *key, const char *name);
/* mma_row.c: may rows be few at run time, and vectors multiply them? */
bool cg_may_be_rows(const cg_product *p);
void cg_emit_rows(const cg_product *p); /* those that exist, of placed operands */
ll_v cg_row_microkernel(cg *c, const cg_uk_key *key, const char *name);
/* mma_tiles.c */
void cg_run_tiles(const cg_product *p);
/* mma_pack.c: a stretch of k, brought to where tiles read it */
typedef struct cg_tile_piece {
  ll_v k0, count; /* first k, NULL: 0; how many exist: whole steps of 32, unless it is the tail */
  int most;       /* upper bound of count; of no meaning where both operands are read in place */
  bool tail;      /* less than one step: padded with zeros */
  bool keep;      /* b serves the next instances too */
} cg_tile_piece;
bool cg_tile_a_direct(const cg_product *p); /* can tiles read a where it is? */
void cg_tile_place_a(cg_product *p, const cg_tile_piece *k);
void cg_tile_place_b(cg_product *p, const cg_tile_piece *k);
/* rows of an operand where they lie, or copied in the tile's orientation; rows: of `across`, how many exist */
cg_mat cg_tile_rows(cg *c, const cg_operand *o, const cg_tile_piece *k, int across, ll_v rows, bool in_place);
/* dst[i][j] = (src[2i][j], src[2i + 1][j]); dst[i][j] = (src[j][2i], src[j][2i + 1]): ld in elements, of dst in pairs
 */
void cg_interleave(cg *c, cg_mat src, ll_v pairs, ll_v n, cg_mat dst);
void cg_turn_to_pairs(cg *c, cg_mat src, ll_v rows, ll_v pairs, cg_mat dst);
/* mma_pairs.c */
bool cg_pair_product(const sn_kernel *k, const sn_kins *x, const cg_isa *isa);
void cg_run_pairs(const cg_product *p);
/* mma_ahead.c: rows that a block will be stored to, in *out; where they go around the caches, `instead` (ld in bytes).
 * Returns the lines of a row, 0: nothing is known */
int cg_results_ahead(cg *c, const cg_ahead *a, ll_v row, ll_v col, int columns, cg_mat instead, cg_next *out);
/* mma_amx.c */
ll_v cg_amx_microkernel(cg *c, const cg_uk_key *key, const char *name);

#endif
