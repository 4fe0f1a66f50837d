/* State shared by the files that emit one kernel as SPIR-V. An instance of the grid is a workgroup; its tiles are
 * spread over the invocations. backend.c begins a module, analyse.c decides, control.c walks the blocks; layout.c,
 * slots.c and window.c are about where elements lie, the others about what is done to them.
 *
 * One layout: every tile of a kernel lies over the same TY x TX invocations, tx fastest, rows over ty and columns over
 * tx, so that tiles of one shape always meet and elementwise operations never move anything. A column vector is spread
 * over ty and copied along tx, a row vector the other way round, a scalar is everywhere: broadcasts cost nothing. */
#ifndef SN_BACKENDS_SPIRV_SG_H
#define SN_BACKENDS_SPIRV_SG_H

#include "backends/spirv/spv.h"
#include "ir/kernel/kernel.h"
#include "ir/types/target.h"

enum {
  SG_ELEMENTS = 64,     /* most of one tile in an invocation */
  SG_WHOLE = 64 * 64,   /* operands of products up to this many elements are staged at once */
  SG_INVOCATIONS = 256, /* most of a workgroup */
  SG_NARROW_LANES = 8,  /* subgroups up to this size give factors of products from lane to lane */
  SG_DEPTH = 32,        /* steps of k of others, at most; of those that matrices multiply, twice as many */
  SG_TURNS = 16,        /* quads of a factor that one invocation brings in, at most */
  SG_BATCH = 4,         /* registers that go through a cross-subgroup reduction together */
  SG_BITS = 3,          /* bits of the number of an invocation that are exchanged with one barrier */
  SG_SLOTS = 512,       /* most of a kernel: they are placed in time that grows with the cube of their number */
  SG_ARGS = 14,         /* arguments in the push block; more are in a table */
};

/* How one axis of a tile lies over the invocations: element j of invocation t has coordinate
 * (j / vec) * threads * vec + (t mod threads) * vec + j mod vec. */
typedef struct sg_axis {
  uint32_t extent, threads, vec, per; /* per: elements of one invocation */
} sg_axis;

typedef struct sg_tile { /* e[i * c.per + j]; e NULL: not in registers */
  sg_axis r, c;
  spv_id *e;
} sg_tile;

/* What is known of a value before anything is emitted. */
typedef struct sg_value {
  int def, last; /* position of its definition and of its last use */
  int uses;
  const sn_kblock *block; /* that defines it */
  bool registers;         /* somebody wants it spread over the invocations */
  bool staged;            /* somebody wants all of it: it has a slot */
  bool walked;            /* a load that products bring in by steps of k: no slot of its own */
  bool thin;              /* a product that is summed straight from memory, and what leads to its factors */
  sn_kv alias;            /* TRANS whose users read the slot of what it turns; 0: none */
  int slot;
  uint32_t pitch; /* elements from row to row in the slot */
  bool padded;    /* the slot has room for the elements beyond the tile */
  bool factor;    /* of a product */
} sg_value;

/* The arrays of shared memory. Elements of SG_WORDS are words of 32 bits, of 64-bit types two. */
typedef enum sg_array {
  SG_WORDS,
  SG_NARROW, /* patterns of 16 bits, for cooperative matrices */
  SG_QUADS,  /* four words each: factors of products, and results of matrices on their way out */
  SG_ARRAYS
} sg_array;

/* Memory of a workgroup. */
typedef struct sg_slot {
  int def, last;   /* positions between which it lives */
  int64_t words;   /* size; 0: not memory, but an inout buffer whose order is kept */
  bool global;     /* in the workspace instead of shared memory: of SG_WORDS only */
  sg_array array;  /* `words` and `at` count its elements */
  int64_t at;      /* first element */
  uint64_t *meets; /* slots that share bytes with it, itself too: bits */
} sg_slot;

typedef struct sg {
  spv *s;
  const sn_kernel *k;
  const sn_target *t;
  sn_arena *arena;
  const char *why; /* refused: the reason; NULL: none yet */
  sg_value *value; /* per value of the kernel, as the next three */
  sg_tile *tile;
  spv_id *index; /* index values that dominate the open block */
  int *staging;  /* products: first of the two slots they walk through; thin ones: of their sums; -1: none */
  bool *quads;   /* products: these are of SG_QUADS */
  int *leaving;  /* products of cooperative matrices: the slot that their results leave through, -1: others */
  sn_kv *trail;  /* index values in the order of their emission */
  int trail_count;
  int position;
  /* workgroup */
  uint32_t TX, TY, NT, S; /* S: invocations of a subgroup, 1: no subgroup operations */
  spv_id tid, tx, ty;
  spv_id apart;                     /* u64: 0, which drivers do not know; 0: nothing */
  spv_id grid[3], table, workspace; /* table: address of the arguments, 0: in the push block */
  /* memory */
  sg_slot *slot;
  int slot_count, slot_capacity, words;  /* words: of a bit set of slots */
  int reduce_slot;                       /* two of them, one after the other; -1: none */
  int64_t global_words, size[SG_ARRAYS]; /* elements of the arrays */
  spv_id array[SG_ARRAYS];               /* their variables */
  bool matrices;                         /* may products use cooperative matrices? */
  bool whole_quads;                      /* are factors that are staged whole of SG_QUADS? */
  uint32_t depth;                        /* steps of k of factors that are brought in as quads; 0: none is */
  spv_id subgroup;                       /* number of the subgroup in its workgroup */
  uint64_t *read, *written;              /* slots since the last barrier */
  uint64_t **loop_read, **loop_written;  /* per FOR: slots that its body touches */
  const int *names, *loops;              /* numbers of values and loop variables in the kernel's text; NULL: no names */
  int barriers, drop;                    /* drop: leave out this barrier, for tests; 0: none */
} sg;

static inline const sn_kins *sg_ins(const sg *g, sn_kv v) { return &g->k->ins[v]; }
static inline bool sg_is_tile(const sn_kins *x) { return x->type.r > 0; }
static inline uint32_t sg_log2(uint32_t power) { return (uint32_t)__builtin_ctz(power); }
static inline uint32_t sg_power_up(uint32_t x) {
  uint32_t p = 1;
  while (p < x) p *= 2;
  return p;
}
static inline uint32_t sg_padded(sg_axis a) { return a.threads * a.per; }
static inline uint32_t sg_count(sg_tile t) { return t.r.per * t.c.per; }

/* ---- emission: one instruction each; constants are made first ---------------------------------------------------- */

spv_id sg_type(sg *g, sn_elem e); /* of an element in a register: f64 f32 u32 bool, i64: sg_long_type */
bool sg_is_wide(sn_elem e);       /* 64 bits in a register? */
spv_id sg_const(sg *g, sn_elem e, double value);
spv_id sg_int(sg *g, spv_opcode op, spv_id a, spv_id b); /* u32 */
spv_id sg_intc(sg *g, spv_opcode op, spv_id a, uint32_t c);
spv_id sg_test(sg *g, spv_opcode op, spv_id a, spv_id b);               /* -> bool */
spv_id sg_compare(sg *g, sn_elem e, spv_opcode op, spv_id a, spv_id b); /* numbers in registers -> bool */
spv_id sg_testc(sg *g, spv_opcode op, spv_id a, uint32_t c);
spv_id sg_both(sg *g, spv_id a, spv_id b); /* and of conditions; 0: always true */
spv_id sg_select(sg *g, spv_id type, spv_id condition, spv_id a, spv_id b);
spv_id sg_bits(sg *g, spv_id type, spv_id a); /* bitcast */
/* As written: never contracted with others, nor (a * b + (a * c + d)) computed as (a * (b + c) + d), which Mesa 26
 * does. */
spv_id sg_float(sg *g, spv_opcode op, spv_id type, spv_id a, spv_id b);
spv_id sg_fma(sg *g, spv_id type, spv_id a, spv_id b, spv_id c);
spv_id sg_add(sg *g, spv_id a, uint32_t c); /* u32; a itself for 0 */
spv_id sg_mul(sg *g, spv_id a, uint32_t c); /* u32; shifts and nothing where that is enough */

/* ---- wide.c: integers of 64 bits, on devices without them as pairs of words -------------------------------------- */

spv_id sg_long_type(sg *g);
spv_id sg_longk(sg *g, int64_t c); /* a constant */
spv_id sg_long(sg *g, spv_opcode op, spv_id a, spv_id b);
spv_id sg_longc(sg *g, spv_opcode op, spv_id a, int64_t c);
spv_id sg_long_divide(sg *g, spv_opcode op, spv_id a, spv_id b, bool small); /* small: both are below 2^32 */
spv_id sg_long_test(sg *g, spv_opcode op, spv_id a, spv_id b);               /* -> bool */
spv_id sg_extend(sg *g, spv_id x);                                           /* u32 with its sign */
spv_id sg_address(sg *g, spv_id x);          /* of memory, as everything that is reached from there wants it */
spv_id sg_long_of(sg *g, spv_id x);          /* u32 without */
spv_id sg_low(sg *g, spv_id x);              /* -> u32 */
spv_id sg_words(sg *g, sn_elem e, spv_id x); /* element of 64 bits -> its two words */
spv_id sg_of_words(sg *g, sn_elem e, spv_id words);
spv_id sg_float_of_long(sg *g, sn_elem to, spv_id x);
spv_id sg_long_of_float(sg *g, sn_elem from, spv_id x); /* towards zero; needs: it fits */
/* spv_loop_body and spv_loop_end of such a counter */
void sg_long_loop_body(sg *g, spv_loop *l, spv_id limit, spv_id step);
void sg_long_loop_end(sg *g, spv_loop *l);

/* ---- layout.c ---------------------------------------------------------------------------------------------------- */

sg_axis sg_axis_of(uint32_t extent, uint32_t threads);
sg_tile sg_tile_new(sg *g, int r, int c);
spv_id sg_coordinate(sg *g, sg_axis a, bool row, uint32_t j); /* u32 */
spv_id sg_clipped(sg *g, sg_axis a, bool row, uint32_t j);    /* the same, the last one where it lies beyond */
spv_id sg_owner(sg *g, sg_tile t);                            /* is this copy the one that stores? 0: always */
spv_id sg_inside(sg *g, sg_axis a, spv_id coordinate);        /* 0: surely */
sg_tile sg_broadcast(sg *g, sg_tile x, int r, int c);

/* ---- slots.c ----------------------------------------------------------------------------------------------------- */

int sg_slot_new(sg *g, int64_t words, int def, int last);
/* After analysis: shared memory first, then the workspace. -> false: patterns and quads do not fit */
bool sg_slots_place(sg *g);
int64_t sg_shared_bytes(const sg *g);              /* that the slots take */
void sg_slots_begin(sg *g);                        /* after main was opened */
uint64_t *sg_bits_of(sg *g, const uint64_t *from); /* a copy of a set of slots */
/* What follows reads two slots and writes one (-1: none): a barrier, if what was done to them has to be over first. All
 * that one step touches is said at once. */
void sg_will(sg *g, int read, int also, int write);
spv_id sg_slot_load(sg *g, int slot, sn_elem e, spv_id element);
void sg_slot_store(sg *g, int slot, sn_elem e, spv_id element, spv_id value);
/* Elements element..element+3 of 32 bits; `element` is a multiple of four, the slot of SG_QUADS. */
void sg_slot_store_four(sg *g, int slot, sn_elem e, spv_id element, const spv_id value[4]);
spv_id sg_slot_narrow(sg *g, int slot, spv_id element); /* pointer to a pattern */
/* Of SG_QUADS; `word` is one that a quad begins with, in sg_quad_word any. */
spv_id sg_quad(sg *g, int slot, spv_id word); /* pointer */
void sg_quad_load(sg *g, int slot, spv_id word, spv_id out[4]);
void sg_quad_store(sg *g, int slot, spv_id word, const spv_id words[4]);
spv_id sg_quad_word(sg *g, int slot, spv_id word); /* pointer to one of its words */
void sg_slot_pattern(sg *g, int slot, spv_id element, spv_id bits);
/* Registers -> a slot of rows `pitch` elements apart; padded: it has room for what lies beyond the tile. */
void sg_put(sg *g, sg_tile x, sn_elem e, int slot, uint32_t pitch, bool padded);
void sg_stage(sg *g, sn_kv v); /* registers -> its slot */
sg_tile sg_unstage(sg *g, sn_elem e, int r, int c, int slot, uint32_t pitch, bool turned);

/* ---- index.c ----------------------------------------------------------------------------------------------------- */

spv_id sg_index(sg *g, sn_kv v);   /* 64 bits */
spv_id sg_index32(sg *g, sn_kv v); /* its low bits */
void sg_index_forget(sg *g, int mark);

/* ---- window.c ---------------------------------------------------------------------------------------------------- */

typedef struct sg_window {
  sn_elem elem;
  int slot;      /* of a local or ordered buffer; -1: an address alone */
  bool local;    /* elements of the slot */
  spv_id base;   /* 64-bit address of element (0, 0), local: u32 element */
  spv_id rs, cs; /* element strides, u32 or of 64 bits (wide); cs 0: 1 */
  bool wide;
  spv_id rows, cols; /* u32 limits; 0: none */
  bool raw;          /* elements are patterns, as they are stored */
  uint32_t align;    /* elements: base, rs and the column limit are multiples of it */
  spv_id pad;
} sg_window;
sg_window sg_window_of(sg *g, const sn_kins *x, sn_ktype shape);
void sg_load(sg *g, sn_kv v);
void sg_store(sg *g, sn_kv v);
void sg_gather(sg *g, sn_kv v);
/* Elements (r, c), (r, c + 1), ... as they lie in memory, zeros where they are not valid: 4, each in a word, or 16
 * bytes as they are: 8 of 16 bits, 16 of 8. */
void sg_window_quad(sg *g, const sg_window *w, spv_id r, spv_id c, uint32_t count, spv_id out[4]);
/* Elements of a window from (r, c) on that are loaded at once, at most `most`; nothing is emitted. */
uint32_t sg_window_chunk(sg *g, const sn_kins *x, uint32_t most);
/* v of them, c a multiple of v -> out; the pad beyond the window's limits. */
void sg_window_elements(sg *g, const sg_window *w, spv_id r, spv_id c, uint32_t v, spv_id *out);
/* Rows from..from+r and columns of a window -> a slot of rows `pitch` elements apart; row0, col0: u32, 0: none. */
void sg_window_stage(sg *g, const sg_window *w, int r, int c, spv_id row0, spv_id col0, int slot, uint32_t pitch);

/* ---- convert.c --------------------------------------------------------------------------------------------------- */

spv_id sg_cast(sg *g, sn_elem from, sn_elem to, spv_id x);
spv_id sg_widen(sg *g, sn_elem e, spv_id bits);   /* u32 pattern as in memory -> register */
spv_id sg_narrow(sg *g, sn_elem e, spv_id value); /* register -> u32 pattern */

/* ---- point.c, reduce.c, product.c, control.c --------------------------------------------------------------------- */

spv_id sg_binary(sg *g, sn_kop op, sn_elem e, spv_id a, spv_id b);
void sg_point(sg *g, sn_kv v);
void sg_source(sg *g, sn_kv v);
void sg_rescale(sg *g, sn_kv v);
void sg_reduce(sg *g, sn_kv v);
/* Sums `count` numbers over the invocations whose numbers differ in bits lo to hi. An exchange leaves the
 * partner half of them, where there are enough and their count is even: *first is the number of the first one left,
 * *copies the bits of the invocation whose values hold the same.  -> how many are left */
uint32_t sg_sum_across(sg *g, sn_elem e, spv_id *x, uint32_t count, uint32_t lo, uint32_t hi, spv_id *first,
                       uint32_t *copies);
void sg_product(sg *g, sn_kv v);
void sg_block(sg *g, const sn_kblock *b);

/* ---- debug.c: what is asked for by sn_target.debug_info, else nothing -------------------------------------------- */

void sg_debug_begin(sg *g);                      /* before main is opened */
void sg_debug_entry(sg *g);                      /* what every kernel has was made */
void sg_debug_index(sg *g, sn_kv v);             /* an index value was made */
spv_id sg_debug_at(sg *g, sn_kv v);              /* what follows comes from the line of v -> for sg_debug_made */
void sg_debug_made(sg *g, sn_kv v, spv_id from); /* registers of v that were made since have its name */

/* ---- order.c ----------------------------------------------------------------------------------------------------- */

/* May an element of the buffer pass from one invocation to another? Its accesses must keep their order then. */
bool sg_is_ordered(const sg *g, sn_kv buffer);

/* ---- thin.c ------------------------------------------------------------------------------------------------------ */

/* Which products are thin; their factors are not brought in by anybody else. After uses and transpositions. */
void sg_thin_find(sg *g);
/* Invocations that a thin product is worth. */
int64_t sg_thin_invocations(const sg *g, sn_kv mma);
int64_t sg_thin_words(sg *g, sn_kv mma);  /* of the slot of its sums */
uint32_t sg_thin_reach(sg *g, sn_kv mma); /* the invocations that they cross differ by less than this */
void sg_thin(sg *g, sn_kv mma);

/* ---- analyse.c --------------------------------------------------------------------------------------------------- */

/* Everything that is decided before emission. -> false: g->why says what is not supported. */
bool sg_analyse(sg *g);

/* How the result of a product lies over the subgroups in cooperative matrices: rows * cols subgroups, each holding r *
 * c matrices. rows 0: not at all. */
typedef struct sg_grid {
  uint32_t rows, cols, r, c;
} sg_grid;
sg_grid sg_grid_of(const sg *g, sn_kv mma);
uint32_t sg_step_of(const sg *g, sn_kv mma);  /* steps of k in one round */
uint32_t sg_piece_of(const sg *g, sn_kv mma); /* rows of the result that leave at once */
/* Elements of a quad of words in a factor: 4, which are computed with, or as many as matrices take from it. */
uint32_t sg_packed(const sg *g, sn_kv mma);
/* Words from row to row of a factor in quads of `packed` elements. along_k: the columns are steps of k. */
uint32_t sg_quad_pitch(uint32_t columns, uint32_t packed, bool along_k);
/* Rows of words along k lie without gaps, their quads exchanged by this mask: neighbours that read four rows each meet
 * different banks. 0: they are not */
uint32_t sg_quad_exchange(uint32_t columns, uint32_t packed, bool along_k);
sn_gpu_matrix sg_matrix_of(const sg *g, sn_elem e);     /* m 0: none */
uint32_t sg_pitch(const sg *g, sn_elem e, int columns); /* of a slot of such rows */

#endif
