/* Random tile programs: kernels that are valid by construction, with arguments and what every element of their outputs
 * must be. The other half of a backend's test: run the kernel on sn_krandom_args, compare with sn_krandom_check. */
#ifndef SN_IR_REF_KRANDOM_H
#define SN_IR_REF_KRANDOM_H

#include "ir/ref/kinterp.h"

/* What a program shall do without. */
enum {
  SN_KRANDOM_NO_MATH = 1, /* exp exp2 log log2 sin cos tanh erf */
  SN_KRANDOM_NO_F16 = 2,
  SN_KRANDOM_NO_VNNI = 4,
  SN_KRANDOM_NO_I64 = 8,
  SN_KRANDOM_NO_LOCAL = 16,
  SN_KRANDOM_NO_GATHER = 32,
  SN_KRANDOM_NO_BITS = 64, /* bitcast, mulhi */
};

typedef struct sn_krandom_case {
  unsigned avoid;    /* in: SN_KRANDOM_NO_* */
  const char *error; /* NULL, or why the program could not be run: a mistake of the generator */
  int arg_count;
  sn_karg args[SN_K_PARAMS]; /* initial contents; outputs are filled with 0xff. Copy them: sn_krandom_args */
  int64_t elements[SN_K_PARAMS];
  double *expected[SN_K_PARAMS];  /* per element of a stored buffer; NULL: not stored */
  double *tolerance[SN_K_PARAMS]; /* per element: allowed difference; 0: equal; -1: must be untouched; -2: anything */
  int64_t instances, excluded;    /* excluded: a comparison or cast of theirs hangs on rounding */
  int64_t bytes_read, bytes_written; /* distinct, of the whole grid */
} sn_krandom_case;

/* A finished, verified kernel and its case. tolerance: 32 * |exact - rounded| + 1e-5 * (1 + |x|), and one unit of a
 * narrow output type.   needs: out->avoid set, the rest zero.   owns: arena */
sn_kernel *sn_krandom(sn_arena *arena, uint64_t seed, sn_krandom_case *out);
/* Fresh copies of the arguments, aligned to 64 bytes.   owns: arena */
void sn_krandom_args(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, sn_karg *args);
/* Are the outputs in `got` right? If not, *why says which element of which buffer.   owns: arena */
bool sn_krandom_check(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, const sn_karg *got,
                      const char **why);

#endif
