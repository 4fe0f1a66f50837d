/* Constants of the binary form, shared by its writer and reader. Layout: see write.c. */
#ifndef SN_IR_PLAN_BINARY_H
#define SN_IR_PLAN_BINARY_H

#define SN_PLAN_MAGIC "SNPLAN1"  /* with its final zero */
#define SN_PLAN_NULL 0xffffffffu /* length of a string that is NULL */

enum { SN_PLAN_MAGIC_BYTES = 8, SN_PLAN_VERSION = 4, SN_PLAN_HEADER_BYTES = 32 };

#endif
