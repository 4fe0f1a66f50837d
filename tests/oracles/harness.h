/* What every test of the oracles says: cmocka, and numbers that are near each other. */
#ifndef ORACLES_NEAR_H
#define ORACLES_NEAR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* |found - expected| <= bound; also false for what is not a number. */
#define assert_near(found, expected, bound)                                                         \
  do {                                                                                              \
    double near_found = (found), near_expected = (expected), near_off = near_found - near_expected; \
    if (!(near_off <= (bound) && -near_off <= (bound))) {                                           \
      fail_msg("%s: expected %.17g, found %.17g", #found, near_expected, near_found);               \
    }                                                                                               \
  } while (0)

#endif
