/* Which steps run on one thread though there are more: the runtime's rule, and what predicted times count on. */
#ifndef SN_IR_PLAN_SERIAL_H
#define SN_IR_PLAN_SERIAL_H

#include <stdbool.h>

/* Below SERIAL_US a step costs more on several threads than on one. Estimated at what one core surely does. */
enum { SN_SERIAL_US = 20, SN_SERIAL_BYTES_PER_US = 10000, SN_SERIAL_FLOPS_PER_US = 20000 };

/* A launch of so many instances that touches and computes so much. */
static inline bool sn_plan_is_serial(double instances, double bytes, double flops) {
  return instances < 2 || bytes / SN_SERIAL_BYTES_PER_US + flops / SN_SERIAL_FLOPS_PER_US < SN_SERIAL_US;
}

/* A copy of so many bytes. */
static inline bool sn_plan_copies_serial(double bytes) { return sn_plan_is_serial(2, 2 * bytes, 0); }

#endif
