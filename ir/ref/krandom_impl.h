/* What the files of the random program generator share. Every float value carries a bound of its magnitude and of the
 * error that f32 arithmetic may have made, so that programs stay far from overflow and from their tolerances. */
#ifndef SN_IR_REF_KRANDOM_IMPL_H
#define SN_IR_REF_KRANDOM_IMPL_H

#include "ir/base/rng.h"
#include "ir/ref/krandom.h"

enum { SN_KR_POOL = 512, SN_KR_LOOPS = 8, SN_KR_SIZES = 3, SN_KR_PALETTE = 4, SN_KR_BUFFERS = 28 };

typedef struct sn_krvalue {
  sn_kv v;
  sn_elem elem;
  int r, c;
  double mag, err; /* floats: bounds of |x| and of the rounding error */
  bool exact;      /* the same in exact and rounded arithmetic */
} sn_krvalue;

/* An index and its range under the chosen sizes; never negative. */
typedef struct sn_krindex {
  sn_kv v;
  int64_t lo, hi;
} sn_krindex;

typedef struct sn_krbuffer {
  sn_kv v;
  sn_elem elem;
  sn_krole role;
  int64_t need;   /* elements */
  int64_t below;  /* integers: values in [0, below); 0: any */
  bool quantised; /* floats: multiples of 1/4, so that equal values occur */
} sn_krbuffer;

typedef struct sn_kgen {
  sn_rng rng;
  sn_kernel *k;
  unsigned avoid;
  sn_krvalue pool[SN_KR_POOL];
  int pool_count;
  sn_krbuffer buffer[SN_K_PARAMS]; /* by parameter number; sizes have v of a size */
  sn_krindex size[SN_KR_SIZES];
  int size_count;
  int64_t size_divisor[SN_KR_SIZES];
  int extent[SN_KR_PALETTE]; /* tile extents of this program */
  int64_t area, work;        /* largest tile, largest product */
  sn_krindex gid[3], instance;
  int grid_count;
  sn_krindex loop[SN_KR_LOOPS]; /* loop variables in scope */
  int loop_count, depth;
} sn_kgen;

/* krandom_mem.c */
int64_t sn_kr_below(sn_kgen *g, int64_t n); /* [0, n) */
bool sn_kr_chance(sn_kgen *g, int percent);
sn_krindex sn_kr_const(sn_kgen *g, int64_t n);
sn_krindex sn_kr_index(sn_kgen *g); /* some small index value */
sn_krvalue sn_kr_value(sn_kgen *g, sn_kv v, double mag, double err, bool exact);
sn_krvalue sn_kr_load(sn_kgen *g, sn_elem e, int r, int c);
sn_krvalue sn_kr_load_narrow(sn_kgen *g, sn_elem e, int r, int c); /* of a matrix: strides fit mma operands */
sn_krvalue sn_kr_gather(sn_kgen *g, int r, int c);
sn_krvalue sn_kr_local(sn_kgen *g, sn_krvalue x);               /* through scratch */
sn_krindex sn_kr_extent(sn_kgen *g, int tile);                  /* a size parameter or a number */
sn_krvalue sn_kr_contract(sn_kgen *g, int r, int c, int depth); /* loop of products over a common extent */
void sn_kr_store(sn_kgen *g, sn_krvalue x);                     /* to a new output */

/* krandom_ops.c */
sn_krvalue sn_kr_float(sn_kgen *g, int r, int c); /* some value of a shape */
sn_krvalue sn_kr_int(sn_kgen *g, int r, int c);
sn_krvalue sn_kr_bool(sn_kgen *g, int r, int c);
sn_krvalue sn_kr_tame(sn_kgen *g, sn_krvalue x, double mag, double err); /* scaled until its bounds hold */
void sn_kr_push(sn_kgen *g, sn_krvalue x);
sn_krvalue sn_kr_product(sn_kgen *g, sn_krvalue acc); /* acc += a b */
void sn_kr_step(sn_kgen *g);                          /* one random computation into the pool */
void sn_kr_shape(sn_kgen *g, int *r, int *c);

/* krandom_gen.c */
void sn_kr_program(sn_kgen *g);

#endif
