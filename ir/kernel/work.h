/* What a kernel does, counted from its text: operations and bytes of all instances together. For predicted times. */
#ifndef SN_IR_KERNEL_WORK_H
#define SN_IR_KERNEL_WORK_H

#include "ir/kernel/kernel.h"

typedef struct sn_work {
  double instances;
  double products; /* multiply-adds of products of f32, f64 and f16 */
  double pairs;    /* of bf16 and i8 */
  double points;   /* elements through elementwise operations and reductions */
  double loaded;   /* bytes that windows load; what several instances load counts for each */
  double stored;   /* bytes that windows store */
  double pieces;   /* rows of windows, each side by side in memory; rows that lie behind each other are one */
} sn_work;

/* size: value of each parameter that is a size, by its position. Loops count as in their middle round; windows as far
 * as their limits; a branch as its longer side. */
void sn_kernel_work(const sn_kernel *k, sn_arena *scratch, const int64_t *size, sn_work *out);

#endif
