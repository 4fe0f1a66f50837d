/* Kernel interpreter: the oracle of backends. f64 arithmetic (or f32 on request), bounds of every access, races between
 * instances, reads of what was never written, and the distinct bytes that a kernel touches. */
#ifndef SN_IR_REF_KINTERP_H
#define SN_IR_REF_KINTERP_H

#include "ir/kernel/kernel.h"

#ifdef __GNUC__
#pragma GCC visibility push(default) /* loaded backends call these */
#endif

typedef union sn_karg {
  void *p;
  int64_t i;
} sn_karg; /* one per parameter; the ABI of compiled kernels too */

typedef struct sn_kinterp {
  sn_diags *diags;
  const sn_karg *args;
  const int64_t *elements; /* per parameter: elements of the buffer */
  bool round;     /* round every f32 result to f32, as hardware does; else exact f64 between loads and stores */
  bool check;     /* bounds, roles, races, undefined reads */
  int64_t lo, hi; /* linear range of instances; hi < 0: all */
  int64_t bytes_read, bytes_written; /* out, with check: distinct bytes per buffer, summed */
  /* For tests that compare two ways of computing; zero when not wanted. */
  int64_t *const
      *writer; /* per parameter: instance + 1 that stored each element, kept from call to call; entries may be NULL */
  bool watch;
  uint64_t trace;  /* out, with watch: hash of every integer and bool tile computed */
  int64_t fragile; /* out, with watch: decisions (compare, float -> int, floor, argmax) on computed floats that a
                      relative change of 1e-5 would turn */
} sn_kinterp;

/* errors: SN_ERR_FAIL with the instruction, the instance and the access that went wrong. */
SN_MUST sn_code sn_kinterp_run(sn_kinterp *in, const sn_kernel *k);

/* Number of instances under the sizes in args. */
int64_t sn_kernel_instances(const sn_kernel *k, const sn_karg *args);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#endif
