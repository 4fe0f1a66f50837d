/* Kernels on the Vulkan device of this machine against the interpreter: equal bits. */
#ifndef SN_TESTS_SPIRV_HARNESS_DEVICE_H
#define SN_TESTS_SPIRV_HARNESS_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/types/target.h"

typedef struct program {
  const char *text;
  int64_t elements[20]; /* of the parameters; a size: its value */
} program;

/* Facts of the device that is used; false, and a line that says so: there is none. */
bool find_device(sn_gpu *out);
/* Runs the program with whole numbers on both, for a device of these facts; fails the test where they differ. */
void check_program(const program *p, const sn_target *t);
/* Runs the program with fractions for devices of both facts; fails the test where a bit differs. */
void check_equal(const program *p, const sn_target *t, const sn_target *u);
/* Instructions of the module that multiply cooperative matrices. */
int count_products(const program *p, const sn_target *t);

#endif
